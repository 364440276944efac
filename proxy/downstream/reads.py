"""The reads of a connection: bytes of the client and of Redis. The hot path of the shell.

While nothing waits on either side, a small read takes the session's fast path, which gives bytes. All other reads wait
in a receive buffer or go to the session, which gives effects.
"""

import asyncio
import logging
from time import perf_counter
from typing import Any

from proxy.downstream.flow_control import FlowControl
from proxy.downstream.phase import Phase
from proxy.downstream.receive_buffer import SMALL
from proxy.downstream.services import Services
from proxy.downstream.watchdog import Checks
from proxy.session import BLOCKING, PASS, Effects, Session
from proxy.upstream.link import Link

_log = logging.getLogger("proxy.connection")


class Reads(asyncio.Protocol):
    """See the module. `Connection` does everything else."""

    __slots__ = (
        "_asked_at",
        "_checks",
        "_client",
        "_flow",
        "_flows",
        "_link",
        "_owed",
        "_phase",
        "_services",
        "_session",
        "_traffic",
        "number",
    )

    def __init__(self, services: Services, session: Session, number: int) -> None:
        """`number` identifies the connection in the log."""
        self._services = services
        self._session = session
        self.number = number
        self._phase = Phase.DIALING
        self._owed = session.owed
        self._traffic = services.metrics.traffic
        self._client: Any = None
        self._link: Link | None = None
        self._flow = FlowControl()
        self._flows = False  # both sides are open and read, and nothing waits: reads may take the fast path
        self._checks = Checks()
        self._asked_at = 0.0  # when the oldest outstanding request was sent; 0: no request, or one that may block

    def apply(self, effects: Effects) -> None:
        """Carry out the effects of a step of the session."""
        raise NotImplementedError

    def _adjust(self) -> None:
        """Start or stop reading on both sides, and schedule turns for the bytes that wait."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        size, traffic = len(data), self._traffic
        traffic.received_client += size
        traffic.unwatched += size
        if traffic.unwatched > self._services.allowance:
            self._services.sum_up()
        if self._flows and size <= SMALL:
            requests = self._session.take_requests(data)
            if requests is None:
                requests = self._session.take_other_requests(data)
            if requests is None:
                self.apply(self._session.go_on_with_requests())
                return
            self._link.write(requests)  # type: ignore[union-attr]  # it is there while `_flows` is true
            traffic.sent_upstream += len(requests)
            if not self._asked_at and self._owed.size and self._owed.first is not BLOCKING:
                self._asked_at = perf_counter()
            return
        if self._phase is Phase.CLOSING:
            return
        if self._flows and not (data := self._pass_on(data)):
            return
        buffer = self._flow.client
        if buffer.passes(data):
            self.apply(self._session.from_client(data))
        elif buffer.paused:
            self._client.pause_reading()  # uvloop starts reading after connection_made, even if that has paused it
        else:
            self._adjust()

    def _pass_on(self, data: bytes) -> bytes:
        """Write the large requests at the head of a read that pass unchanged. Returns the bytes behind them."""
        end = self._session.pass_requests(data)
        if end:
            passed = data[:end]  # no copy if it is all
            self._link.write(passed)  # type: ignore[union-attr]  # it is there while `_flows` is true
            self._traffic.sent_upstream += end
            if not self._asked_at and self._owed.size and self._owed.first is not BLOCKING:
                self._asked_at = perf_counter()
        return data[end:]

    def link_received(self, data: bytes) -> None:
        """Bytes from Redis."""
        size, traffic = len(data), self._traffic
        traffic.received_upstream += size
        traffic.unwatched += size
        if traffic.unwatched > self._services.allowance:
            self._services.sum_up()
        if self._phase is Phase.CLOSING:
            return
        self._checks.heard = True
        if self._asked_at:
            self._count_round_trip()
        if self._flows and (size <= SMALL or self._only_passes):
            replies = self._session.take_replies(data)
            if replies is None:
                self.apply(self._session.go_on_with_replies())
            else:
                self._client.write(replies)
                traffic.sent_client += len(replies)
        elif self._flow.link.passes(data):
            self.apply(self._session.from_upstream(data))
        else:
            self._adjust()

    @property
    def _only_passes(self) -> bool:
        """True if all outstanding replies pass unchanged. Even a large read of them takes little time, and no copy."""
        return self._owed.has_only(PASS)

    def _count_round_trip(self) -> None:
        seconds, self._asked_at = perf_counter() - self._asked_at, 0.0
        self._services.round_trips.observe(seconds)
        if 0 < self._services.slow_seconds <= seconds:
            _log.warning("[%d] slow: Redis took %.3g s to answer %s", self.number, seconds, self._session.asked)
