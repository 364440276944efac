"""One client and its upstream: two asyncio protocols around a session. It carries out effects and decides nothing.

Flow control, both ways: a side is read, and what was read is worked at, only while it can be used. The client must wait
while Redis does not take its requests, while its own replies pile up, or while the session waits; Redis must wait while
the client does not take its replies, or a reply is being converted.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol

from proxy.endpoint import has_hung_up, keep_alive
from proxy.farewell import Farewell, finish
from proxy.metrics import Histogram, Metrics
from proxy.policy import Policy
from proxy.resp import writers
from proxy.session import CommandInfo, Conversion, Converted, Effects, Gate, Opening, Session, Tally
from proxy.upstream import UpstreamError, UpstreamSide
from proxy.watch import Deadlines

_log = logging.getLogger("proxy.connection")
_UPSTREAM_BUFFER: Final = 1024 * 1024
_SMALL: Final = 4 * 1024
"""Bytes of one side that are worked at as they come; more wait for their turn, ..."""
_SLICE: Final = 64 * 1024
"""... in which no more than these are worked at."""
_PROGRESS: Final = 5.0
"""Seconds without any progress after which a connection that one side has left is over."""


class Host(Protocol):
    """What a connection needs of the server that it belongs to."""

    metrics: Metrics
    tally: Tally
    round_trips: Histogram
    buffered_bytes: int
    slow_seconds: float
    """From how long on Redis is slow to answer; 0: it never is."""

    def opening(self) -> tuple[Opening, ...]:
        """What begins each conversation. Raises UpstreamError."""

    def wait_turn(self, work: Callable[[], None]) -> None:
        """Do it in turn with the large pieces of others."""

    def received(self, size: int) -> None:
        """Bytes have come in."""

    async def dial(self, factory: Callable[[], UpstreamSide]) -> UpstreamSide:
        """Connect to Redis. Raises UpstreamError."""

    async def convert(self, conversion: Conversion) -> list[Converted]:
        """Convert away from the loop."""

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """What Redis says of a command."""

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Run a task, and keep it until it ends."""

    def opened(self, connection: "Connection") -> None:
        """The client is there."""

    def closed(self, connection: "Connection") -> None:
        """The connection has ended, both sides of it."""


class Connection(asyncio.Protocol):
    """The client's side, and the pair as a whole."""

    __slots__ = (
        "__weakref__",
        "_asked_at",
        "_client",
        "_client_due",
        "_client_full",
        "_client_paused",
        "_client_rest",
        "_dialing",
        "_draining",
        "_ending",
        "_heard",
        "_host",
        "_looks",
        "_lost",
        "_session",
        "_session_due",
        "_timer",
        "_upstream",
        "_upstream_due",
        "_upstream_full",
        "_upstream_paused",
        "_upstream_rest",
        "_work",
        "listener",
        "number",
        "payload",
    )

    def __init__(self, host: Host, listener: int, payload: str, policy: Policy, gate: Gate | None, number: int) -> None:
        """`listener`: the number of the one that it came by. `payload`: the format that the client speaks.

        `number`: names the connection in the log.
        """
        self._host = host
        self.listener = listener
        self.payload = payload
        self.number = number
        self._session = Session(policy, gate, host.tally)
        self._session_due = False  # it waits for its turn
        self._client: Any = None
        self._upstream: Any = None
        self._dialing = False
        self._lost = False  # Redis is gone
        self._client_rest = b""  # read, but its turn is yet to come ...
        self._client_due = False  # ... which the loop knows
        self._client_full = False  # it does not take its replies
        self._client_paused = True
        self._upstream_rest = b""
        self._upstream_due = False
        self._upstream_full = False
        self._upstream_paused = False
        self._work: list[asyncio.Task[None]] = []
        self._ending = False  # nothing more is looked at
        self._draining = False
        self._heard = False  # Redis has sent something since the last look
        self._asked_at = 0.0  # when Redis was first asked for what it owes; 0: nothing, or something that blocks
        self._looks = 0  # in vain, at what is due
        self._timer: asyncio.TimerHandle | Farewell | None = None

    # -- the client ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client: it is not read before Redis is there."""
        self._client = transport
        if self._ending:  # aborted before it was made
            self._client.abort()
            return
        self._host.opened(self)
        if self._ending:  # too late: the proxy is stopping
            return
        self._client.pause_reading()
        keep_alive(self._client)
        high = self._host.buffered_bytes
        self._client.set_write_buffer_limits(high=high, low=high // 4)
        self._dialing = True
        self._host.start(self._dial(), f"dial {self.number}").add_done_callback(self._dialed)

    async def _dial(self) -> None:
        try:
            opening = self._host.opening()
            upstream = await self._host.dial(lambda: UpstreamSide(self))
        except UpstreamError as error:
            self._host.metrics.upstream_failures += 1
            _log.warning("[%d] %s", self.number, error)
            if self._client is not None:
                self._end(writers.error(f"ERR flask-cache-proxy: {error}"))
            return
        self._upstream = upstream.transport
        self._host.metrics.upstreams_total += 1
        if self._upstream is None:
            return
        if self._client is None or self._ending:
            self._upstream.close()
            return
        self._upstream.set_write_buffer_limits(high=_UPSTREAM_BUFFER, low=_UPSTREAM_BUFFER // 4)
        self._apply(self._session.start(opening))

    def _dialed(self, task: asyncio.Task[None]) -> None:
        self._dialing = False
        self._abort_if_failed(task)
        self._close_if_over()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        self._host.metrics.traffic.received_client += len(data)
        self._host.received(len(data))
        if self._ending:
            return
        if self._client_paused or self._client_rest or len(data) > _SMALL:
            self._client_rest += data
            if self._client_paused:
                self._client.pause_reading()  # uvloop starts to read behind connection_made, whatever that has paused
            else:
                self._adjust()
        else:
            self._apply(self._session.from_client(data))

    def _go_on_with_client(self) -> None:
        self._client_due = False
        if not self._ending and self._takes_client:
            data, self._client_rest = self._client_rest[:_SLICE], self._client_rest[_SLICE:]
            self._apply(self._session.from_client(data))

    def eof_received(self) -> bool:
        """The client will send no more: what it has asked is still answered."""
        if self._ending or self._is_idle or self._session.is_blocked or not self._client.can_write_eof():
            return False  # as Redis, which drops a command that blocks with its client; TLS closes both ways at once
        self._draining = True
        self._watch_progress()
        return True

    def _watch_progress(self, before: object = None) -> None:
        """One side has left: wait on, as long as Redis answers or the client takes what it has coming."""
        now = self._session.pending, len(self._upstream_rest), self._client.get_write_buffer_size()
        if now == before:
            self.close()
        else:
            self._set_timer(asyncio.get_running_loop().call_later(_PROGRESS, self._watch_progress, now))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. What it has asked for is still done, as when it talks to Redis itself."""
        self._client = None
        self._release()
        if self._upstream is not None:
            if not self._upstream.is_closing():
                self._upstream.resume_reading()
                finish(self._upstream)
            self._set_timer(asyncio.get_running_loop().call_later(_PROGRESS, self._upstream.abort))
        self._close_if_over()

    def pause_writing(self) -> None:
        """The client does not read: stop asking Redis for more."""
        self._client_full = True
        self._adjust()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._client_full = False
        self._adjust()

    # -- Redis -----------------------------------------------------------------------------------------

    def upstream_received(self, data: bytes) -> None:
        """Bytes of Redis."""
        self._host.metrics.traffic.received_upstream += len(data)
        self._host.received(len(data))
        if self._ending:
            return
        self._heard = True
        if self._asked_at:
            self._answered(perf_counter() - self._asked_at)
        if self._upstream_paused or self._upstream_rest or len(data) > _SMALL:
            self._upstream_rest += data
            self._adjust()
        else:
            self._apply(self._session.from_upstream(data))

    def _go_on_with_upstream(self) -> None:
        self._upstream_due = False
        if not self._ending and self._takes_upstream:
            data, self._upstream_rest = self._upstream_rest[:_SLICE], self._upstream_rest[_SLICE:]
            self._apply(self._session.from_upstream(data))

    def upstream_made(self) -> None:
        """Connected: `upstream_lost` will follow."""
        self._host.metrics.upstreams += 1

    def upstream_full(self, full: bool) -> None:
        """Whether Redis takes no more for now."""
        self._upstream_full = full
        self._adjust()

    def upstream_lost(self) -> None:
        """Redis is gone: what it has answered is delivered, the rest has no answer."""
        self._upstream, self._lost = None, True
        self._host.metrics.upstreams -= 1
        if not self._ending:
            self._watch_progress()
            self._finish_without_redis()
        elif self._client is None:
            self._set_timer(None)
        self._close_if_over()

    def _finish_without_redis(self) -> None:
        """Close, once what it has sent is delivered: a reply may be under conversion, or the client slow."""
        if self._upstream_rest or not self._session.wants_upstream:
            return
        if self._session.pending:
            _log.warning("[%d] Redis closed with %d replies outstanding", self.number, self._session.pending)
        self.close()

    # -- effects ---------------------------------------------------------------------------------------

    def _apply(self, effects: Effects) -> None:
        if effects.upstream and self._upstream is not None:
            self._upstream.write(effects.upstream)
            self._host.metrics.traffic.sent_upstream += len(effects.upstream)
            if not self._asked_at and self._session.awaits_reply:
                self._asked_at = perf_counter()
        if effects.client:
            self._client.write(effects.client)
            self._host.metrics.traffic.sent_client += len(effects.client)
        if effects.conversions or effects.lookups or effects.wants_turn:
            self._begin(effects)
        if effects.close is not None:
            _log.debug("[%d] closing: %s", self.number, effects.close.reason)
            self._end()
        elif self._draining and self._is_idle:
            self.close()
        else:
            self._adjust()
            if self._lost:
                self._finish_without_redis()

    def _answered(self, seconds: float) -> None:
        """Redis has begun to answer: what is behind that is asked for from here on."""
        self._asked_at = 0.0
        self._host.round_trips.observe(seconds)
        if self._host.slow_seconds and seconds >= self._host.slow_seconds:
            _log.warning("[%d] slow: Redis took %.3g s to answer %s", self.number, seconds, self._session.asked)

    def _begin(self, effects: Effects) -> None:
        """What takes longer than this turn."""
        for conversion in effects.conversions:
            self._host.metrics.conversions[conversion.half.name.lower()] += 1
            self._start(self._convert(conversion), "convert")
        for name in effects.lookups:
            self._start(self._look_up(name), "look up")
        if effects.wants_turn and not self._session_due:
            self._session_due = True
            self._host.wait_turn(partial(self._go_on, self._go_on_with_session))

    def _go_on_with_session(self) -> None:
        self._session_due = False
        if not self._ending:
            self._apply(self._session.take_turn())

    def _start(self, work: Awaitable[None], what: str) -> None:
        task = self._host.start(work, f"{what} {self.number}")
        self._work.append(task)
        task.add_done_callback(self._work.remove)
        task.add_done_callback(self._abort_if_failed)

    def _abort_if_failed(self, task: asyncio.Task[None]) -> None:
        """A task on which the client waits: if it fails, nobody must wait for ever."""
        if not task.cancelled() and task.exception() is not None:
            self.abort()

    async def _convert(self, conversion: Conversion) -> None:
        results = await self._host.convert(conversion)
        if not self._ending:
            self._apply(self._session.converted(conversion.half, results))

    async def _look_up(self, name: bytes) -> None:
        info = await self._host.command_info(name)
        if not self._ending:
            self._apply(self._session.looked_up(info))

    @property
    def _takes_client(self) -> bool:
        """More of the client's bytes can be used."""
        return not (
            self._upstream is None or self._upstream_full or self._client_full or not self._session.wants_client
        )

    @property
    def _takes_upstream(self) -> bool:
        """More of Redis' bytes can be used."""
        return not self._client_full and self._session.wants_upstream

    def _adjust(self) -> None:
        """Read each side while what it sends can be used, and go on with what has been read."""
        if self._ending or self._client is None:
            return
        takes = self._takes_client
        if self._client_rest and takes and not self._client_due:
            self._client_due = True
            self._host.wait_turn(partial(self._go_on, self._go_on_with_client))
        if (pause := not takes or len(self._client_rest) > _SLICE) is not self._client_paused:
            self._client_paused = pause
            (self._client.pause_reading if pause else self._client.resume_reading)()
        takes = self._takes_upstream
        if self._upstream_rest and takes and not self._upstream_due:
            self._upstream_due = True
            self._host.wait_turn(partial(self._go_on, self._go_on_with_upstream))
        if (pause := not takes or len(self._upstream_rest) > _SLICE) is not self._upstream_paused:
            self._upstream_paused = pause
            if self._upstream is not None:
                (self._upstream.pause_reading if pause else self._upstream.resume_reading)()

    def _go_on(self, step: Callable[[], None]) -> None:
        """A step in a turn of its own: if it fails, nobody must wait for ever."""
        try:
            step()
        except BaseException:
            self.abort()
            raise

    # -- what is seen from outside ---------------------------------------------------------------------

    def set_policy(self, policy: Policy, gate: Gate | None) -> None:
        """For requests from now on."""
        self._session.set_policy(policy, gate)

    @property
    def memory(self) -> int:
        """Bytes that its buffers take, about."""
        unsent: int = sum(side.get_write_buffer_size() for side in (self._client, self._upstream) if side is not None)
        return unsent + len(self._client_rest) + len(self._upstream_rest) + self._session.memory

    @property
    def pending(self) -> int:
        """Replies outstanding."""
        return self._session.pending

    @property
    def paused(self) -> list[str]:
        """The sides that are not being read."""
        sides = (("client", self._client_paused), ("upstream", self._upstream_paused))
        return [side for side, paused in sides if paused]

    def look(self, deadlines: Deadlines) -> None:
        """Find out what no event tells: that a client which is not being read has hung up, or that time is up."""
        if self._ending or self._client is None:
            return
        if self._client_paused and has_hung_up(self._client, half=self._session.is_blocked):
            self.abort()
            return
        awaits_reply = self._session.awaits_reply and not self._upstream_paused
        if self._heard or self._dialing or not (awaits_reply or not self._session.has_begun):
            self._looks, self._heard = 0, False
            return
        self._looks += 1
        due = deadlines.reply if awaits_reply else deadlines.first_command
        if due is not None and self._looks >= due.looks:
            self._host.metrics.closed[due.setting] += 1
            _log.warning("[%d] %s", self.number, due.text)
            self._apply(self._session.fail(due.text))

    def drain(self) -> None:
        """Close at the next command boundary."""
        self._draining = True
        if self._is_idle:
            self.close()

    @property
    def _is_idle(self) -> bool:
        """Nothing of the client's is under way."""
        return not self._client_rest and self._session.is_idle

    # -- the end ---------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let the client have what it has coming, and close both sides."""
        if not self._ending:
            self._end(farewell=not self._is_idle or self._client.get_write_buffer_size() > 0)

    def evict(self, text: str) -> None:
        """Close it now, and tell the client why, unless it does not read what it has coming anyway."""
        if self._ending or self._client.get_write_buffer_size():
            self.abort()
        else:
            self._apply(self._session.fail(text))

    def abort(self) -> None:
        """Close now."""
        self._release()
        for side in (self._upstream, self._client):
            if side is not None:
                side.abort()

    def _end(self, reply: bytes = b"", *, farewell: bool = True) -> None:
        """Say it and close. Redis gets no more: what it has not taken yet may never be taken."""
        self._release()
        if self._upstream is not None:
            self._upstream.abort()
        if reply:
            self._client.write(reply)
        if farewell:
            self._set_timer(Farewell(self._client))
        else:
            self._client.close()

    def _release(self) -> None:
        """Nothing more is looked at, and nothing held but what the client has coming."""
        self._ending = True
        self._set_timer(None)
        self._session.end()
        self._client_rest = self._upstream_rest = b""
        for work in self._work:
            work.cancel()

    def _set_timer(self, timer: "asyncio.TimerHandle | Farewell | None") -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _close_if_over(self) -> None:
        """Both sides are gone, and none is to come."""
        if self._client is None and self._upstream is None and not self._dialing:
            self._host.closed(self)
