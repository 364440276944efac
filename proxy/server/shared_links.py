"""The shared links of a process: clients' places on the trunks, and what is counted of both."""

import logging
from dataclasses import replace
from typing import Any, Final

from proxy.downstream.watchdog import Deadlines
from proxy.observe.families import (
    CLOSED,
    CLUSTER_DIALS,
    CLUSTER_LANES,
    PINNED_CLIENTS,
    TRUNKS,
    TRUNKS_LOST,
    UPSTREAM_CONNECTS,
    UPSTREAM_FAILURES,
    UPSTREAMS,
)
from proxy.observe.metrics import Metrics
from proxy.server.cluster_follower import ClusterFollower
from proxy.session.runs import Runs
from proxy.upstream.link import Greeting, SharedOwner, SharedPlace, UpstreamError
from proxy.upstream.node_trunks import NodeTrunks
from proxy.upstream.trunks import Counts, Trunks

_log = logging.getLogger("proxy.server")
_PINNED: Final = (
    "[%d] has a connection of its own to Redis from now on, because of its commands: %s. The log says this once for"
    " each reason; the metric pinned_clients counts all such clients"
)
_LATER: Final = 2
"""A trunk ends after so many times the time after which the client at its head is closed."""


class _Links:
    """Pins, deadlines and counts, for a plain Redis and for a cluster."""

    def __init__(self, trunks: Trunks | NodeTrunks, metrics: Metrics) -> None:
        self._of_all = trunks
        self._metrics = metrics
        self._said: set[str] = set()
        self._counted = replace(trunks.counts)
        self._open = 0

    def pinned(self, number: int, reason: str) -> None:
        """See PinServices."""
        self._metrics.add(PINNED_CLIENTS, 1, reason)
        if reason not in self._said:
            self._said.add(reason)
            _log.info(_PINNED, number, reason)

    def unpinned(self, reason: str) -> None:
        """See PinServices."""
        self._metrics.add(PINNED_CLIENTS, -1, reason)

    def check(self, deadlines: Deadlines) -> None:
        """Called in each interval of the watchdog. End the trunks on which Redis does not answer."""
        self._of_all.check(0 if deadlines.reply is None else _LATER * deadlines.reply.checks)

    def count(self) -> None:
        """Bring the metrics up to date."""
        metrics, before, now = self._metrics, self._counted, replace(self._of_all.counts)
        self._counted = now
        failures = now.failures - before.failures
        metrics.add(UPSTREAM_CONNECTS, now.dials - before.dials - failures)
        metrics.add(UPSTREAM_FAILURES, failures)
        metrics.add(TRUNKS_LOST, now.deaths - before.deaths)
        metrics.add(CLOSED, now.evictions - before.evictions, "connections")
        trunks = self._of_all.open()
        for protocol, number in trunks.items():
            metrics.set(TRUNKS, number, str(protocol))
        was_open, self._open = self._open, sum(trunks.values())
        metrics.add(UPSTREAMS, self._open - was_open)


class SharedLinks(_Links):
    """For a plain Redis. See the module and `downstream.services.SharedServices`."""

    def __init__(self, trunks: Trunks, database: int, metrics: Metrics) -> None:
        """`database`: of `upstream.url`."""
        super().__init__(trunks, metrics)
        self.database = database
        self._trunks = trunks

    async def link(self, owner: SharedOwner, owed: Runs[Any], protocol: int = 2) -> SharedPlace:
        """See SharedServices."""
        return await self._trunks.link(owner, owed, protocol)


class NodeSharedLinks(_Links):
    """For a cluster. See the module and `downstream.services.NodeSharingServices`."""

    def __init__(self, trunks: NodeTrunks, follower: ClusterFollower, metrics: Metrics) -> None:
        """`follower`: knows the nodes, and hears of those that cannot be reached."""
        super().__init__(trunks, metrics)
        self._trunks = trunks
        self._follower = follower
        self._of_nodes: dict[str, Counts] = {}
        self._lanes: dict[str, int] = {}

    async def greeting(self, node: str, protocol: int) -> Greeting:
        """See NodeSharingServices."""
        try:
            return await self._trunks.greeting(node, protocol)
        except UpstreamError:
            self._follower.doubt(node)
            raise

    async def link(self, owner: SharedOwner, owed: Runs[Any], node: str, protocol: int) -> SharedPlace:
        """See NodeSharingServices."""
        try:
            return await self._trunks.link(owner, owed, node, protocol)
        except UpstreamError:
            self._follower.doubt(node)
            raise

    def check(self, deadlines: Deadlines) -> None:
        """Called in each interval of the watchdog. Also close the trunks to nodes that have left the cluster."""
        super().check(deadlines)
        if self._follower.nodes:
            self._trunks.forget(self._follower.nodes)

    def count(self) -> None:
        """See SharedLinks. Trunks count among the connections to their node, as clients' own ones do."""
        super().count()
        metrics = self._metrics
        for node, counts in self._trunks.counts_by_node():
            before, now = self._of_nodes.get(node, Counts()), replace(counts)
            self._of_nodes[node] = now
            failures = now.failures - before.failures
            metrics.add(CLUSTER_DIALS, failures, node, "failed")
            metrics.add(CLUSTER_DIALS, now.dials - before.dials - failures, node, "connected")
        lanes = {node: sum(trunks.open().values()) for node, trunks in self._trunks.by_node()}
        for node in self._lanes.keys() | lanes.keys():
            metrics.add(CLUSTER_LANES, lanes.get(node, 0) - self._lanes.get(node, 0), node)
        self._lanes = lanes
