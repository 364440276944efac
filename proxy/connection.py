"""One client and its upstream: two asyncio protocols around a session. It carries out effects and decides nothing.

Flow control, both ways: a side is read only while what it sends can be used. The client is not read while Redis
does not take its requests, while its own replies pile up, or while the session waits; Redis is not read while the
client does not take its replies, or a reply is being converted.
"""

import asyncio
import logging
import select
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from proxy.metrics import Metrics
from proxy.policy import Policy
from proxy.resp import writers
from proxy.session import CommandInfo, Conversion, Converted, Effects, Gate, Half, Opening, Session
from proxy.upstream import UpstreamError

_log = logging.getLogger("proxy.connection")
_UPSTREAM_BUFFER: Final = 1024 * 1024
_LINGER: Final = 1.0
"""Seconds that a client has to read our last words before the connection is gone."""
_STUCK: Final = 60.0
"""Seconds that a client may take nothing of what it has coming, once nothing more will."""
_WATCH: Final = 2.0
"""Seconds between two looks at whether a client that is not being read has hung up."""
_SLICE: Final = 64 * 1024
"""Bytes of one side that are worked at in one go: a read may bring more, and others want their turn."""
_HALF_CLOSED: Final = 5.0
"""Seconds without any progress after which a client that has said that it will send no more has had its answers."""


class Host(Protocol):
    """What a connection needs of the server that it belongs to."""

    metrics: Metrics
    buffered_bytes: int

    def opening(self) -> tuple[Opening, ...]:
        """What begins each conversation. Raises UpstreamError."""

    async def dial(self, factory: "Callable[[], UpstreamSide]") -> "UpstreamSide":
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

    def __init__(self, host: Host, payload: str, policy: Policy, gate: Gate | None, number: int) -> None:
        """`payload`: the format that the client speaks. `number`: names the connection in the log."""
        self._host = host
        self.payload = payload
        self.number = number
        self._session = Session(policy, gate)
        self._client: Any = None
        self._upstream: Any = None
        self._dialing = False
        self._early = b""  # what it sent before Redis was there
        self._client_rest = b""  # of a long read, for the next turns of the loop
        self._upstream_rest = b""
        self._work: set[asyncio.Task[None]] = set()
        self._deferred: list[Conversion] = []  # of replies that the client would not take yet
        self._client_full = False  # it does not take its replies
        self._upstream_full = False
        self._client_paused = True
        self._upstream_paused = False
        self._ending = False  # nothing more is looked at
        self._draining = False
        self._timer: asyncio.TimerHandle | None = None

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
        _keep_alive(self._client)
        asyncio.get_running_loop().call_later(_WATCH, self._watch_paused)
        high = self._host.buffered_bytes
        self._client.set_write_buffer_limits(high=high, low=high // 4)
        self._dialing = True
        self._start(self._dial(), "dial").add_done_callback(self._dialed)

    async def _dial(self) -> None:
        try:
            opening = self._host.opening()
            upstream = await self._host.dial(lambda: UpstreamSide(self))
        except UpstreamError as error:
            self._host.metrics.upstream_failures += 1
            _log.warning("[%d] %s", self.number, error)
            if self._client is not None and not self._ending:
                self._last_words(writers.error(f"ERR flask-cache-proxy: {error}"))
            return
        self._upstream = upstream.transport
        if self._upstream is None:
            return
        if self._client is None or self._ending:
            self._upstream.close()
            return
        self._upstream.set_write_buffer_limits(high=_UPSTREAM_BUFFER, low=_UPSTREAM_BUFFER // 4)
        self._apply(self._session.start(opening))
        if self._early:
            early, self._early = self._early, b""
            self._take_from_client(early)

    def _dialed(self, _task: asyncio.Task[None]) -> None:
        self._dialing = False
        self._close_if_over()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._ending:
            return
        self._host.metrics.received_bytes["client"] += len(data)
        if self._upstream is None:
            self._early += data
            self._client.pause_reading()  # uvloop starts to read behind connection_made, whatever that has paused
            return
        if self._client_rest:
            self._client_rest += data
        else:
            self._take_from_client(data)

    def _take_from_client(self, data: bytes) -> None:
        self._client_rest = data[_SLICE:]
        if self._client_rest:
            asyncio.get_running_loop().call_soon(self._go_on_with_client)
        self._apply(self._session.from_client(data[:_SLICE]))

    def _go_on_with_client(self) -> None:
        if not self._ending:
            self._take_from_client(self._client_rest)

    def eof_received(self) -> bool:
        """The client will send no more: what it has asked is still answered."""
        if self._ending or self._is_idle or self._session.is_blocked or not self._client.can_write_eof():
            return False  # as Redis, which drops a command that blocks with its client; TLS closes both ways at once
        self._draining = True
        self._watch_half_closed()
        return True

    def _watch_half_closed(self, owed_before: tuple[int, int] | None = None) -> None:
        """Wait on, as long as Redis answers or the client takes what it has coming."""
        owed = self._session.pending, self._client.get_write_buffer_size()
        if owed == owed_before:
            self.close()
        else:
            self._timer = asyncio.get_running_loop().call_later(_HALF_CLOSED, self._watch_half_closed, owed)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone. What it has asked for is still done, as when it talks to Redis itself."""
        self._client = None
        self._ending = True
        if self._timer is not None:
            self._timer.cancel()
        for work in self._work:
            work.cancel()
        if self._upstream is not None:
            if not self._upstream.is_closing():
                self._upstream.resume_reading()
                if self._upstream.can_write_eof():
                    self._upstream.write_eof()
            self._timer = asyncio.get_running_loop().call_later(_HALF_CLOSED, self._upstream.abort)
        self._close_if_over()

    def pause_writing(self) -> None:
        """The client does not read: stop asking Redis for more."""
        self._client_full = True
        self._adjust()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._client_full = False
        deferred, self._deferred = self._deferred, []
        for conversion in deferred:
            self._start_conversion(conversion)
        self._adjust()

    # -- Redis -----------------------------------------------------------------------------------------

    def upstream_received(self, data: bytes) -> None:
        """Bytes of Redis."""
        if self._ending:
            return
        self._host.metrics.received_bytes["upstream"] += len(data)
        if self._upstream_rest:
            self._upstream_rest += data
        else:
            self._take_from_upstream(data)

    def _take_from_upstream(self, data: bytes) -> None:
        self._upstream_rest = data[_SLICE:]
        if self._upstream_rest:
            asyncio.get_running_loop().call_soon(self._go_on_with_upstream)
        self._apply(self._session.from_upstream(data[:_SLICE]))
        if self._upstream is None and not self._upstream_rest and not self._ending:
            self._finish()

    def _go_on_with_upstream(self) -> None:
        if not self._ending:
            self._take_from_upstream(self._upstream_rest)

    def upstream_full(self, full: bool) -> None:
        """Whether Redis takes no more for now."""
        self._upstream_full = full
        self._adjust()

    def upstream_lost(self) -> None:
        """Redis is gone: what it has answered has been delivered, the rest has no answer."""
        self._upstream = None
        if self._client is None and self._timer is not None:
            self._timer.cancel()
        if not self._ending:
            self._finish()
        self._close_if_over()

    def _finish(self) -> None:
        """Close for want of Redis, once what it has sent is delivered: a reply may be under conversion."""
        if not self._session.wants_upstream or self._upstream_rest:
            return
        if self._session.pending:
            _log.warning("[%d] Redis closed with %d replies outstanding", self.number, self._session.pending)
        self.close()

    # -- effects ---------------------------------------------------------------------------------------

    def _apply(self, effects: Effects) -> None:
        if effects.upstream and self._upstream is not None:
            self._upstream.write(effects.upstream)
        if effects.client:
            self._client.write(effects.client)
        for conversion in effects.conversions:
            if self._client_full and conversion.half is Half.REPLIES:
                self._deferred.append(conversion)
            else:
                self._start_conversion(conversion)
        for name in effects.lookups:
            self._start(self._look_up(name), "look up")
        if effects.close is not None:
            _log.debug("[%d] closing: %s", self.number, effects.close.reason)
            self._last_words(b"")
        elif self._draining and self._is_idle:
            self.close()
        else:
            self._adjust()

    def _start_conversion(self, conversion: Conversion) -> None:
        self._host.metrics.conversions[conversion.half.name.lower()] += 1
        task = self._start(self._convert(conversion), "convert")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _start(self, work: Awaitable[None], what: str) -> asyncio.Task[None]:
        """Run a task on which the client waits: if it fails, nobody must wait for ever."""
        task = self._host.start(work, f"{what} {self.number}")
        task.add_done_callback(self._abort_if_failed)
        return task

    def _abort_if_failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.abort()

    async def _convert(self, conversion: Conversion) -> None:
        results = await self._host.convert(conversion)
        if not self._ending:
            self._apply(self._session.converted(conversion.half, results))
        if not self._ending and self._upstream is None:
            self._finish()

    async def _look_up(self, name: bytes) -> None:
        info = await self._host.command_info(name)
        if not self._ending:
            self._apply(self._session.looked_up(info))

    def _adjust(self) -> None:
        """Read each side while what it sends can be used."""
        if self._ending or self._client is None:
            return
        pause_client = bool(
            self._upstream is None
            or self._upstream_full
            or self._client_full
            or self._client_rest
            or not self._session.wants_client
        )
        if pause_client != self._client_paused:
            self._client_paused = pause_client
            (self._client.pause_reading if pause_client else self._client.resume_reading)()
        pause_upstream = bool(self._client_full or self._upstream_rest or not self._session.wants_upstream)
        if self._upstream is not None and pause_upstream != self._upstream_paused:
            self._upstream_paused = pause_upstream
            (self._upstream.pause_reading if pause_upstream else self._upstream.resume_reading)()

    # -- the end ---------------------------------------------------------------------------------------

    def set_policy(self, policy: Policy) -> None:
        """For requests from now on."""
        self._session.set_policy(policy)

    def drain(self) -> None:
        """Close at the next command boundary."""
        self._draining = True
        if self._is_idle:
            self.close()

    @property
    def _is_idle(self) -> bool:
        """Nothing of the client's is under way."""
        return not self._early and not self._client_rest and self._session.is_idle

    def abort(self) -> None:
        """Close now."""
        self._ending = True
        for side in (self._upstream, self._client):
            if side is not None:
                side.abort()

    def _last_words(self, reply: bytes) -> None:
        """Say it, and leave the client time to read it: closing with its bytes unread would reset the connection."""
        self._ending = True
        if self._upstream is not None:
            self._upstream.close()
        if reply:
            self._client.write(reply)
        if self._client.can_write_eof():
            self._client.write_eof()
            self._client.resume_reading()
        else:
            self._client.close()
        if self._timer is not None:
            self._timer.cancel()
        self._linger(self._client.get_write_buffer_size(), _STUCK)

    def _linger(self, unsent: int, patience: float) -> None:
        """Wait on, as long as the client takes what it has coming; once it has all, for its own close."""
        self._timer = asyncio.get_running_loop().call_later(_LINGER, self._lingered, unsent, patience - _LINGER)

    def _lingered(self, unsent_before: int, patience: float) -> None:
        if self._client is not None:
            unsent = self._client.get_write_buffer_size()
            if unsent and (unsent < unsent_before or patience > 0):
                self._linger(unsent, _STUCK if unsent < unsent_before else patience)
            else:
                self._client.abort()

    def _watch_paused(self) -> None:
        """A client that is not being read is not heard to hang up either: look."""
        if self._client is None:
            return
        if self._client_paused and _has_hung_up(self._client, half=self._session.is_blocked):
            self.abort()
        else:
            asyncio.get_running_loop().call_later(_WATCH, self._watch_paused)

    def _close_if_over(self) -> None:
        """Both sides are gone, and none is to come."""
        if self._client is None and self._upstream is None and not self._dialing:
            self._host.closed(self)

    def close(self) -> None:
        """Flush what the client has coming, and close both sides."""
        self._ending = True
        if self._upstream is not None:
            self._upstream.close()
        if self._client is not None:
            self._client.close()


def _keep_alive(transport: Any) -> None:
    """Let the system find out about clients whose machine has vanished."""
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _has_hung_up(transport: Any, *, half: bool) -> bool:
    """Whether the peer has closed (`half`: or will send no more), though unread bytes may stand before that."""
    connected = transport.get_extra_info("socket")
    if connected is None or connected.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(connected.fileno(), select.POLLRDHUP)
    wanted = select.POLLHUP | select.POLLERR | (select.POLLRDHUP if half else 0)
    return any(events & wanted for _, events in poll.poll(0))


class UpstreamSide(asyncio.Protocol):
    """Redis' side of a connection."""

    def __init__(self, connection: Connection) -> None:
        """`connection`: whose upstream it is."""
        self._connection = connection
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes of Redis."""
        self._connection.upstream_received(data)

    def pause_writing(self) -> None:
        """Redis takes no more for now."""
        self._connection.upstream_full(True)

    def resume_writing(self) -> None:
        """Redis takes more again."""
        self._connection.upstream_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Redis is gone."""
        self.transport = None
        self._connection.upstream_lost()
