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
from typing import Any, Final

from proxy.endpoint import decrypted, has_hung_up, keep_alive, limit_decrypted
from proxy.farewell import Farewell, finish
from proxy.host import Host
from proxy.inlet import SLICE, Inlet
from proxy.policy import Policy
from proxy.resp import writers
from proxy.session import Conversion, Effects, Gate, Session
from proxy.upstream import UpstreamError, UpstreamSide
from proxy.watch import Deadline, Deadlines

_log = logging.getLogger("proxy.connection")
_UPSTREAM_BUFFER: Final = 1024 * 1024
_PROGRESS: Final = 5.0
"""Seconds without any progress after which a connection that one side has left is over."""


class Connection(asyncio.Protocol):
    """The client's side, and the pair as a whole."""

    __slots__ = (
        "__weakref__",
        "_asked_at",
        "_client",
        "_client_full",
        "_dialing",
        "_draining",
        "_ending",
        "_from_client",
        "_from_upstream",
        "_half_closed",
        "_heard",
        "_host",
        "_looks",
        "_looks_before",
        "_lost",
        "_session",
        "_session_due",
        "_timer",
        "_upstream",
        "_upstream_full",
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
        self._from_client = Inlet(paused=True)
        self._client_full = False  # it does not take its replies
        self._from_upstream = Inlet(paused=False)
        self._upstream_full = False
        self._work: list[asyncio.Task[None]] = []
        self._ending = False  # nothing more is looked at
        self._draining = False  # no further command is taken
        self._half_closed = False  # the client sends no more
        self._heard = False  # Redis has sent something since the last look
        self._asked_at = 0.0  # when Redis was first asked for what it owes; 0: nothing, or something that blocks
        self._looks = 0  # in vain, at what Redis owes
        self._looks_before = 0  # in vain, at a client that has not sent its first command
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
        self._limit_client()
        self._dialing = True
        self._host.start(self._dial(), f"dial {self.number}").add_done_callback(self._dialed)

    def _limit_client(self) -> None:
        """How much it may leave unread."""
        if self._client is not None:
            high = self._host.buffered_bytes
            self._client.set_write_buffer_limits(high=high, low=high // 4)
            limit_decrypted(self._client, SLICE)

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
        if self._from_client.passes(data):
            self._apply(self._session.from_client(data))
        elif self._from_client.paused:
            self._client.pause_reading()  # uvloop starts to read behind connection_made, whatever that has paused
        else:
            self._adjust()

    def _go_on_with_client(self) -> None:
        self._from_client.due = False
        if not self._ending and self._takes_client:
            self._apply(self._session.from_client(self._from_client.take(SLICE)))

    def eof_received(self) -> bool:
        """The client will send no more: what it has asked is still answered."""
        if self._ending or self._is_idle or not self._client.can_write_eof():
            return False  # TLS closes both ways at once
        self._half_closed = True
        self._watch_progress()
        self._settle_half_closed()
        return True

    def _settle_half_closed(self) -> None:
        """Go with the client once it has its replies. A command that may block for ever, Redis itself is to drop."""
        all_passed_on = not self._from_client.size and self._session.wants_client and self._upstream is not None
        drops = self._session.is_blocked and all_passed_on
        if self._is_idle or (drops and not finish(self._upstream)):
            self.close()

    def _watch_progress(self, before: object = None) -> None:
        """One side has left: wait on, as long as there is something to wait for or the client takes what it is owed."""
        now = self._session.pending, self._from_upstream.size, self._client.get_write_buffer_size()
        if now == before and not self._awaits_others:
            self.close()
        else:
            self._set_timer(asyncio.get_running_loop().call_later(_PROGRESS, self._watch_progress, now))

    @property
    def _awaits_others(self) -> bool:
        """It is Redis that is to answer, or the converter, and not the client that takes nothing."""
        return bool(self._work) or (self._upstream is not None and not self._client_full)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. What it has asked for is still done, as when it talks to Redis itself."""
        self._client = None
        self._release()
        if self._upstream is not None:
            if not self._upstream.is_closing():
                self._upstream.resume_reading()
                if not finish(self._upstream):
                    self._upstream.close()
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
        if self._from_upstream.passes(data):
            self._apply(self._session.from_upstream(data))
        else:
            self._adjust()

    def _go_on_with_upstream(self) -> None:
        self._from_upstream.due = False
        if not self._ending and self._takes_upstream and not self._client.is_closing():  # as it may be, in a while
            self._apply(self._session.from_upstream(self._from_upstream.take(SLICE)))

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
        if self._from_upstream.size or not self._session.wants_upstream:
            return
        if self._session.pending and not (self._half_closed and self._session.is_blocked):  # which we had it drop
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
            level = logging.WARNING if effects.close.redis_fails else logging.DEBUG
            _log.log(level, "[%d] closing: %s", self.number, effects.close.reason)
            self._end()
        elif self._draining and self._session.is_idle:
            self._end()
        else:
            if self._half_closed:
                self._settle_half_closed()
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
        result = await self._host.convert(conversion)
        if not self._ending:
            self._apply(self._session.converted(conversion.half, result))

    async def _look_up(self, name: bytes) -> None:
        info = await self._host.command_info(name)
        if not self._ending:
            self._apply(self._session.looked_up(info))

    @property
    def _takes_client(self) -> bool:
        """More of the client's bytes can be used."""
        return not (
            self._upstream is None
            or self._upstream_full
            or self._client_full
            or self._draining
            or not self._session.wants_client
        )

    @property
    def _takes_upstream(self) -> bool:
        """More of Redis' bytes can be used."""
        return not self._client_full and self._session.wants_upstream

    def _adjust(self) -> None:
        """Read each side while what it sends can be used, and go on with what has been read."""
        if self._ending or self._client is None:
            return
        client, upstream = self._from_client, self._from_upstream
        if (
            not (client.paused or upstream.paused or client.size or upstream.size)
            and not (self._client_full or self._upstream_full or self._draining or self._upstream is None)
            and self._session.flows
        ):
            return  # as after most events: nothing is held up, and nothing waits
        if client.adjust(self._client, self._takes_client):
            self._host.wait_turn(partial(self._go_on, self._go_on_with_client))
        if upstream.adjust(self._upstream, self._takes_upstream):
            self._host.wait_turn(partial(self._go_on, self._go_on_with_upstream))

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
        self._limit_client()

    @property
    def memory(self) -> int:
        """Bytes that its buffers take, about."""
        unsent: int = sum(side.get_write_buffer_size() for side in (self._client, self._upstream) if side is not None)
        held = unsent + self._from_client.memory + self._from_upstream.memory + self._session.memory
        return held + (decrypted(self._client) if self._client is not None else 0)

    @property
    def is_admitted(self) -> bool:
        """It has given the password, or needs none."""
        return self._session.is_admitted

    @property
    def pending(self) -> int:
        """Replies outstanding."""
        return self._session.pending

    @property
    def paused(self) -> list[str]:
        """The sides that are not being read."""
        sides = (("client", self._from_client.paused), ("upstream", self._from_upstream.paused))
        return [side for side, paused in sides if paused]

    def look(self, deadlines: Deadlines) -> None:
        """Find out what no event tells: that a client which is not being read has hung up, or that time is up."""
        if self._ending or self._client is None:
            return
        if self._from_client.paused and has_hung_up(self._client, half=self._session.is_blocked):
            self.abort()
            return
        if not (self._dialing or self._session.has_begun):
            self._looks_before += 1
            if self._is_up(deadlines.first_command, self._looks_before):
                return
        if self._heard or not self._session.awaits_reply or self._from_upstream.paused:
            self._looks, self._heard = 0, False
        else:
            self._looks += 1
            self._is_up(deadlines.reply, self._looks)

    def _is_up(self, due: Deadline | None, looks: int) -> bool:
        """Whether time is up; then it has been closed."""
        if due is None or looks < due.looks:
            return False
        self._host.metrics.closed[due.setting] += 1
        _log.warning("[%d] %s", self.number, due.text)
        self._apply(self._session.fail(due.text))
        return True

    def drain(self) -> None:
        """Take no further command, and close once those that were taken are answered."""
        self._draining = True
        if self._ending or self._client is None:
            return
        if self._session.is_idle:
            self._end()
        else:
            self._adjust()

    @property
    def _is_idle(self) -> bool:
        """Nothing of the client's is under way."""
        return not self._from_client.size and self._session.is_idle

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
        self._from_client.clear()
        self._from_upstream.clear()
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
