"""One client's connection and its link to Redis: an asyncio shell around a session. It carries out effects.

Theory. A connection is in one phase. Events move it to another phase by the table in `phase`, with their definitions.

The link is None while DIALING, and again after Redis has closed. Then the connection delivers the replies that it has,
and closes. (On a cluster, `cluster_connection` has a link that stands for several.)

Waiting:
  - The client waits for Redis, for the session and for its own replies. `flow_control` decides when it is read.
  - The session waits for a conversion, a lookup or a turn of the loop. An effect starts each of them, and each ends
    with new effects. A CLOSING connection cancels them.
  - The server waits until both sides have ended. So every way to the end leads to `_forget_if_over`.

When a client leaves, Redis still gets the commands that the client has sent (`connection_lost`), as without a proxy.
If one of them may block, the proxy also ends its sending side to Redis, so that Redis drops the command
(`_settle_half_closed`). A side without progress for `_PROGRESS` seconds is closed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter, time
from typing import Final

from proxy.downstream.jobs import Jobs
from proxy.downstream.phase import Event, Phase, after
from proxy.downstream.reads import Reads
from proxy.downstream.receive_buffer import SLICE
from proxy.downstream.services import Services
from proxy.downstream.watchdog import Deadline, Deadlines
from proxy.net.lingering_close import LingeringClose
from proxy.net.sockets import client_address, decrypted, has_hung_up, keep_alive, limit_decrypted
from proxy.observe.families import CLOSED, UPSTREAM_CONNECTS, UPSTREAM_FAILURES, UPSTREAMS
from proxy.policy import Policy
from proxy.resp import encode
from proxy.session import BLOCKING, Effects, Gate, Opening, Session
from proxy.upstream.link import Link, OwnLink, UpstreamError

_log = logging.getLogger("proxy.connection")
_PROGRESS: Final = 5.0
"""Seconds without progress after which a connection is closed, if one side has left it."""


class Connection(Reads):
    """The asyncio protocol of the client, and the owner of the link."""

    __slots__ = (
        "__weakref__",
        "_dial_task",
        "_jobs",
        "_timer",
        "listener",
    )

    def __init__(self, services: Services, listener: int, policy: Policy, gate: Gate | None, number: int) -> None:
        """`listener`: the number of the client's listener. `number` identifies the connection in the log."""
        super().__init__(services, Session(policy, gate, services.tally), number)
        self.listener = listener
        self._jobs = Jobs(services, self._session, self)
        self._dial_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | LingeringClose | None = None

    def _move(self, event: Event) -> None:
        self._phase = after(self._phase, event)
        self._flows = False

    # -- the client ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is connected. It is not read before the link is ready."""
        self._client = transport
        if self._phase is Phase.CLOSING:  # aborted before this call
            self._client.abort()
            return
        self._services.opened(self)
        if self._phase is not Phase.DIALING:  # the proxy is stopping
            return
        self._client.pause_reading()
        keep_alive(self._client)
        self._limit_client()
        self._begin_dial(self._dial())

    def _limit_client(self) -> None:
        """Limit the bytes that wait for the client to read them."""
        if self._client is not None:
            high = self._services.buffered_bytes
            self._client.set_write_buffer_limits(high=high, low=high // 4)
            limit_decrypted(self._client, SLICE)

    def _begin_dial(self, dial: Awaitable[None]) -> None:
        self._dial_task = self._services.start(dial, f"dial {self.number}")
        self._dial_task.add_done_callback(self._dialed)

    async def _dial(self) -> None:
        try:
            link, start = await self._connected()
        except UpstreamError as error:
            self._not_dialed(error)
            return
        if not link.is_closing:  # else Redis has closed already
            self._link = link
            if self._phase is Phase.CLOSING:
                link.close()
            else:
                self._move(Event.DIALED)
                self.apply(start())

    async def _connected(self) -> tuple[Link, Callable[[], Effects]]:
        """Dial. Returns the link, and the start of the session for the caller. Raises UpstreamError."""
        link, opening, wants_password = await self._own_link()
        return link, partial(self._session.start, opening, wants_password=wants_password)

    async def _own_link(self) -> tuple[OwnLink, tuple[Opening, ...], bool]:
        """Dial a link that only this client uses. Raises UpstreamError.

        Returns the link, the proxy's own first requests on it, and whether Redis needs a password from the client.
        """
        link = OwnLink(self)
        try:
            opening = self._services.opening()
            wants_password = await self._services.dial(link)
        except UpstreamError:
            self._services.metrics.add(UPSTREAM_FAILURES, 1)
            raise
        except asyncio.CancelledError:
            link.abort()
            raise
        self._services.metrics.add(UPSTREAM_CONNECTS, 1)
        return link, opening, wants_password

    def _not_dialed(self, error: UpstreamError) -> None:
        _log.warning("[%d] %s", self.number, error)
        is_open = self._phase is not Phase.CLOSING  # else the client has its last bytes already
        if is_open and self._client is not None and not self._client.is_closing():
            self._end(encode.error(f"ERR flask-cache-proxy: {error}"))

    def _dialed(self, task: asyncio.Task[None]) -> None:
        if task is self._dial_task:  # else it has begun another one
            self._dial_task = None
        self._jobs.abort_if_failed(task)
        self._forget_if_over()

    def eof_received(self) -> bool:
        """The client sends no more. It still gets its replies. Returns False to close at once."""
        if self._phase is Phase.CLOSING or self._is_idle or not self._client.can_write_eof():
            return False  # TLS always closes both directions at once
        if self._phase is Phase.DRAINING:
            self._flow.client.clear()  # a draining connection takes no further commands
        self._move(Event.CLIENT_ENDS)
        self._watch_progress()
        self._settle_half_closed()
        return True

    def _settle_half_closed(self) -> None:
        """Close once the client has its replies. If a command may block for ever, let Redis drop it."""
        all_passed_on = not self._flow.client.size and self._session.wants_client and self._link is not None
        drops = self._session.is_blocked and all_passed_on
        if self._is_idle or (drops and self._link is not None and not self._link.finish()):
            self.close()

    def _watch_progress(self, before: object = None) -> None:
        """One side has left. Close if neither the replies nor the client's reading makes progress."""
        now = self._session.pending, self._flow.link.size, self._client.get_write_buffer_size()
        if now == before and not self._awaits_others:
            self.close()
        else:
            self._set_timer(asyncio.get_running_loop().call_later(_PROGRESS, self._watch_progress, now))

    @property
    def _awaits_others(self) -> bool:
        """True if the next step is up to Redis or the converter, and not to a client that does not read."""
        return self._jobs.are_running or (self._link is not None and not self._flow.client_full)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left. Redis still executes its commands, as without a proxy."""
        self._client = None
        self._release()
        link = self._link
        if link is not None:
            if not link.is_closing:
                link.resume()
                if not link.finish():
                    link.close()
            self._set_timer(asyncio.get_running_loop().call_later(_PROGRESS, link.abort))
        self._forget_if_over()

    def pause_writing(self) -> None:
        """The client's write buffer is full: stop reading from Redis and from the client."""
        self._flow.client_full = True
        self._adjust()

    def resume_writing(self) -> None:
        """The client's write buffer has room again."""
        self._flow.client_full = False
        self._adjust()

    # -- Redis -----------------------------------------------------------------------------------------

    def link_made(self) -> None:
        """The link is connected. `link_lost` will follow."""
        self._services.metrics.add(UPSTREAMS, 1)

    def link_full(self, full: bool) -> None:
        """The write buffer to Redis has become full, or has room again."""
        self._flow.link_full = full
        self._adjust()

    def link_lost(self) -> None:
        """See LinkOwner."""
        self._services.metrics.add(UPSTREAMS, -1)
        self.links_ended()

    def links_ended(self) -> None:
        """Redis has closed. Its received replies are still delivered."""
        self._link, self._flows = None, False
        if self._phase is not Phase.CLOSING:
            self._watch_progress()
            self._finish_without_redis()
        elif self._client is None:
            self._set_timer(None)
        self._forget_if_over()

    def _finish_without_redis(self) -> None:
        """Close once the received replies are delivered. One may be in the converter, or the client may be slow."""
        if self._flow.link.size or not self._session.wants_upstream:
            return
        dropped_by_us = self._phase is Phase.HALF_CLOSED and self._session.is_blocked
        if self._session.pending and not dropped_by_us:
            _log.warning("[%d] Redis closed with %d replies outstanding", self.number, self._session.pending)
        self.close()

    # -- effects ---------------------------------------------------------------------------------------

    def apply(self, effects: Effects) -> None:
        """Carry out the effects of a step of the session."""
        if effects.upstream and self._link is not None:
            self._link.write(effects.upstream)
            self._traffic.sent_upstream += len(effects.upstream)
            if not self._asked_at and self._owed.size and self._owed.first is not BLOCKING:
                self._asked_at = perf_counter()
        if effects.client:
            self._client.write(effects.client)
            self._traffic.sent_client += len(effects.client)
        if effects.conversions or effects.lookups or effects.wants_turn:
            self._jobs.begin(effects)
        if effects.reports:
            self._services.refusals.add(time(), self.number, client_address(self._client), effects.reports)
        if effects.close is not None:
            level = logging.WARNING if effects.close.redis_fails else logging.DEBUG
            _log.log(level, "[%d] closing: %s", self.number, effects.close.reason)
            self._end()
        elif self._phase is not Phase.OPEN or self._link is None:
            self._apply_late()
        elif not (effects.flows and self._flow.is_free):  # as after few events
            self._adjust()
        else:
            self._flows = True

    def _apply_late(self) -> None:
        """The end of `apply` when one side has left or the proxy is draining."""
        if self._phase is Phase.DRAINING and self._session.is_idle:
            self._end()
            return
        if self._phase is Phase.HALF_CLOSED:
            self._settle_half_closed()
        self._adjust()
        if self._link is None and self._phase is not Phase.DIALING:
            self._finish_without_redis()

    # -- flow control ----------------------------------------------------------------------------------

    @property
    def _takes_client(self) -> bool:
        """True if the session can handle more of the client's bytes."""
        is_open = self._link is not None and self._phase is not Phase.DRAINING
        return is_open and self._flow.takes_client(self._session)

    def _adjust(self) -> None:
        """Start or stop reading on both sides, and schedule turns for the bytes that wait."""
        flow = self._flow
        self._flows = False
        if self._phase is Phase.CLOSING or self._client is None:
            return
        takes_client, takes_link = self._takes_client, flow.takes_link(self._session)
        if flow.client.changes(takes_client):
            (self._client.pause_reading if flow.client.paused else self._client.resume_reading)()
        if flow.link.changes(takes_link) and self._link is not None:
            (self._link.pause if flow.link.paused else self._link.resume)()
        if flow.client.needs_turn(takes_client):
            self._jobs.wait_turn(self._continue_client)
        if flow.link.needs_turn(takes_link):
            self._jobs.wait_turn(self._continue_link)

    def _continue_client(self) -> None:
        self._flow.client.due = False
        if self._takes_client:
            self.apply(self._session.from_client(self._flow.client.take(SLICE)))

    def _continue_link(self) -> None:
        self._flow.link.due = False
        if self._flow.takes_link(self._session) and not self._client.is_closing():  # both may have changed since
            self.apply(self._session.from_upstream(self._flow.link.take(SLICE)))

    # -- calls of the server and the watchdog ----------------------------------------------------------

    def set_policy(self, policy: Policy, gate: Gate | None) -> None:
        """Use a new policy and gate for further requests."""
        effects = self._session.set_policy(policy, gate)
        if effects is not None:
            self.apply(effects)
        self._limit_client()

    @property
    def memory(self) -> int:
        """See Watched. Buffers of both transports included."""
        held: int = self._flow.memory + self._session.memory
        if self._client is not None:
            held += self._client.get_write_buffer_size() + decrypted(self._client)
        return held if self._link is None else held + self._link.unsent

    @property
    def is_admitted(self) -> bool:
        """See Watched."""
        return self._session.is_admitted

    @property
    def pending(self) -> int:
        """See Watched."""
        return self._session.pending

    @property
    def paused(self) -> list[str]:
        """See Watched."""
        return self._flow.paused

    def check(self, deadlines: Deadlines) -> None:
        """See Watched. Notice a hang-up of a client that is not read, and a passed deadline."""
        if self._phase is Phase.CLOSING or self._client is None:
            return
        session = self._session
        if self._flow.client.paused and has_hung_up(self._client, half=session.is_blocked):
            self.abort()
            return
        has_begun = self._dial_task is not None or session.has_begun
        due = self._checks.overdue(deadlines, has_begun, self._awaits_redis)
        if due is not None:
            self._time_is_up(due)

    @property
    def _awaits_redis(self) -> bool:
        """True if a reply is outstanding, and only Redis delays it."""
        return self._session.awaits_reply and not self._flow.link.paused

    def _time_is_up(self, due: Deadline) -> None:
        self._services.metrics.add(CLOSED, 1, due.setting)
        _log.warning("[%d] %s", self.number, due.text)
        self.apply(self._session.fail(due.text))

    def drain(self) -> None:
        """Take no further commands. Close when all outstanding replies are sent."""
        if self._phase is Phase.HALF_CLOSED:
            self._flow.client.clear()
        self._move(Event.DRAIN)
        if self._phase is not Phase.CLOSING and self._client is not None:
            if self._session.is_idle:
                self._end(is_idle=True)
            else:
                self._adjust()

    @property
    def _is_idle(self) -> bool:
        """True if no request of the client is outstanding."""
        return not self._flow.client.size and self._session.is_idle

    # -- the end ---------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close both sides. The client first gets the bytes that are waiting for it."""
        if self._phase is not Phase.CLOSING:
            self._end(lingers=not self._is_idle or self._client.get_write_buffer_size() > 0)

    def evict(self, text: str) -> None:
        """See Watched. If the client does not read, it is aborted without the error."""
        if self._phase is Phase.CLOSING or self._client.get_write_buffer_size():
            self.abort()
        else:
            self.apply(self._session.fail(text))

    def abort(self) -> None:
        """Close both sides at once."""
        self._release()
        if self._link is not None:
            self._link.abort()
        if self._client is not None:
            self._client.abort()

    def _end(self, reply: bytes = b"", *, lingers: bool = True, is_idle: bool = False) -> None:
        """Send `reply`, abort the link, close the client. Unsent requests are dropped on purpose."""
        self._release()
        if self._link is not None:
            self._link.abort()
        if reply:
            self._client.write(reply)
        if lingers:
            self._set_timer(LingeringClose(self._client, is_idle=is_idle))
        else:
            self._client.close()

    def _release(self) -> None:
        """Stop handling bytes and free all buffers, except the bytes that wait for the client."""
        self._move(Event.CLOSE)
        self._set_timer(None)
        self._session.end()
        self._flow.clear()
        self._jobs.cancel()

    def _set_timer(self, timer: "asyncio.TimerHandle | LingeringClose | None") -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _forget_if_over(self) -> None:
        """If both sides have ended and no dial is under way, tell the server."""
        if self._client is None and self._link is None and self._dial_task is None:
            self._services.closed(self)
