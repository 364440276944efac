"""The shared links of a process: clients' places on the trunks, and what is counted of both."""

import logging
from dataclasses import replace
from typing import Any, Final

from proxy.downstream.watchdog import Deadlines
from proxy.observe.families import (
    CLOSED,
    PINNED_CLIENTS,
    TRUNKS,
    TRUNKS_LOST,
    UPSTREAM_CONNECTS,
    UPSTREAM_FAILURES,
    UPSTREAMS,
)
from proxy.observe.metrics import Metrics
from proxy.session.runs import Runs
from proxy.upstream.link import SharedOwner, SharedPlace
from proxy.upstream.trunks import Trunks

_log = logging.getLogger("proxy.server")
_PINNED: Final = (
    "[%d] has a connection of its own to Redis from now on, because of its commands: %s. The log says this once for"
    " each reason; the metric pinned_clients counts all such clients"
)
_LATER: Final = 2
"""A trunk ends after so many times the time after which the client at its head is closed."""


class SharedLinks:
    """See the module and `downstream.services.SharedServices`."""

    def __init__(self, trunks: Trunks, database: int, metrics: Metrics) -> None:
        """`database`: of `upstream.url`."""
        self.database = database
        self._trunks = trunks
        self._metrics = metrics
        self._said: set[str] = set()
        self._counted = replace(trunks.counts)
        self._open = 0

    async def link(self, owner: SharedOwner, owed: Runs[Any], protocol: int = 2) -> SharedPlace:
        """See SharedServices."""
        return await self._trunks.link(owner, owed, protocol)

    def pinned(self, number: int, reason: str) -> None:
        """See SharedServices."""
        self._metrics.add(PINNED_CLIENTS, 1, reason)
        if reason not in self._said:
            self._said.add(reason)
            _log.info(_PINNED, number, reason)

    def unpinned(self, reason: str) -> None:
        """See SharedServices."""
        self._metrics.add(PINNED_CLIENTS, -1, reason)

    def check(self, deadlines: Deadlines) -> None:
        """Called in each interval of the watchdog. End the trunks on which Redis does not answer."""
        self._trunks.check(0 if deadlines.reply is None else _LATER * deadlines.reply.checks)

    def count(self) -> None:
        """Bring the metrics up to date."""
        metrics, before, now = self._metrics, self._counted, replace(self._trunks.counts)
        self._counted = now
        failures = now.failures - before.failures
        metrics.add(UPSTREAM_CONNECTS, now.dials - before.dials - failures)
        metrics.add(UPSTREAM_FAILURES, failures)
        metrics.add(TRUNKS_LOST, now.deaths - before.deaths)
        metrics.add(CLOSED, now.evictions - before.evictions, "connections")
        trunks = self._trunks.open()
        for protocol, number in trunks.items():
            metrics.set(TRUNKS, number, str(protocol))
        was_open, self._open = self._open, sum(trunks.values())
        metrics.add(UPSTREAMS, self._open - was_open)
