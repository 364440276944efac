"""A trunk: a connection to Redis that several clients share. It takes whole requests, and gives each user its replies.

Theory. Redis answers in order, so the trunk keeps the users of the outstanding replies in a FIFO. The splitter finds
the ends of replies. The two must never disagree, so only whole requests with one reply each go on a trunk. In any
doubt the trunk closes, and its users with something outstanding lose it.

A trunk lives once: WAITING (dialled, or not even that; requests wait in it), OPEN, ENDED. The pool has a new one then.

The requests of all users in one turn of the event loop leave in one write. A user that does not take a large reply may
hold the trunk, which is then not read, for a short time (see `hold`).
"""

import asyncio
import logging
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final, Protocol

from proxy.net.sockets import keep_alive
from proxy.resp import FramingError, ReplyFramer, ReplySplitter
from proxy.session.runs import Runs
from proxy.upstream.link import BUFFER, Receiver

_log = logging.getLogger("proxy.upstream")
_BATCH: Final = 64 * 1024
"""Bytes of requests that are written at once, before the turn ends."""
_LARGE: Final = 1024 * 1024
"""A longer reply may hold the trunk."""
PATIENCE: Final = 1.0
"""Seconds for which one user may hold the trunk, in all."""
HALVINGS: Final = 4
"""Each user that is closed for it halves them for the next, at most so many times. It may come again at once."""
FORGIVES: Final = 10.0
"""Seconds after which one halving is taken back."""
_LOOK: Final = 0.05
"""Seconds between two looks whether it is the holder's client that does not read, or the proxy that is behind."""
FAILED: Final = "a client on a shared connection failed, and is closed"
"""For the log, with the exception."""
_MAX_OPENING_BYTES: Final = 64 * 1024


class Phase(Enum):
    """See the module."""

    WAITING = auto()
    OPEN = auto()
    ENDED = auto()


class User(Protocol):
    """A client's place on the trunk."""

    outstanding: int
    """Replies that Redis owes it. The trunk counts them down."""
    take: Receiver
    """Takes the bytes of its replies."""
    held: float
    """Seconds for which it has held the trunk, and its client did not read."""

    @property
    def is_unread(self) -> bool:
        """True if its client does not read. Else only the proxy is behind."""

    def held_too_long(self) -> None:
        """It has held the trunk for as long as it may."""

    def lose(self) -> bool:
        """The trunk has ended, with replies to it outstanding. False if it had left before."""


class Keeper(Protocol):
    """The pool of the trunk."""

    def trunk_made(self, trunk: "Trunk") -> None:
        """The trunk is connected. `trunk_ended` will follow."""

    def trunk_full(self, trunk: "Trunk") -> None:
        """The write buffer has become full, or has room again."""

    def trunk_failed(self, trunk: "Trunk") -> None:
        """The trunk takes no further requests. `trunk_ended` follows."""

    def trunk_ended(self, trunk: "Trunk", reason: str) -> None:
        """The connection is closed."""


class Trunk(asyncio.Protocol):
    """See the module. It is the protocol of an asyncio connection."""

    __slots__ = (
        "_batch",
        "_batched",
        "_counts",
        "_framer",
        "_gone",
        "_halved_at",
        "_halvings",
        "_held_at",
        "_holder",
        "_keeper",
        "_loop",
        "_opened",
        "_opening_bytes",
        "_patience",
        "_reason",
        "_silent",
        "_splitter",
        "_transport",
        "failure",
        "heard",
        "is_full",
        "owed",
        "phase",
    )

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self.phase = Phase.WAITING
        self.owed: Runs[User] = Runs()
        """The users of the outstanding replies, in order."""
        self._splitter = ReplySplitter()
        self._batch: list[bytes] = []
        self._batched = 0
        self.is_full = False
        """The write buffer is full."""
        self.failure = ""
        """The reason why the trunk could not be opened."""
        self.heard = False
        """Redis has sent bytes since the last check."""
        self._silent = 0  # checks without a byte from Redis while replies were outstanding
        self._holder: User | None = None
        self._held_at = 0.0
        self._counts = False  # the time since then is the holder's
        self._patience: asyncio.TimerHandle | None = None
        self._halvings = self._halved_at = 0.0  # how often the patience was halved, as of when
        self._framer = ReplyFramer()  # of the opening
        self._opening_bytes = 0
        self._opened: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None
        self._reason = "Redis closed it"

    # -- life ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport
        self._gone = self._loop.create_future()
        self._transport.set_write_buffer_limits(high=BUFFER, low=BUFFER // 4)
        keep_alive(self._transport)
        self._keeper.trunk_made(self)
        if self.phase is Phase.ENDED:
            self._transport.abort()

    async def ask(self, requests: Sequence[bytes]) -> list[bytes]:
        """Send the requests that open the connection. Returns their replies, raw.

        Fewer: the connection has closed. Raises FramingError.
        """
        replies: list[list[bytes]] = [[]]
        if self.phase is Phase.WAITING:
            self._transport.write(b"".join(requests))
        while len(replies) <= len(requests) and self._transport is not None:
            if self._framer.forward(replies[-1]):
                replies.append([])
            else:
                self._opened = self._loop.create_future()
                await self._opened
        if self._framer.buffered:
            raise FramingError("bytes behind its first replies")
        return [b"".join(parts) for parts in replies[:-1]]

    def begin(self) -> None:
        """The opening has succeeded: send the requests that wait."""
        self.phase = Phase.OPEN
        was_full, self.is_full = self.is_full, False
        self._flush()
        if was_full and not self.is_full:
            self._keeper.trunk_full(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if exc is not None and self.phase is not Phase.ENDED:
            self._reason = str(exc) or type(exc).__name__
        self._transport = None
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self._wake()
        self._forget_holder()
        self._end(self._reason)
        self._keeper.trunk_ended(self, self._reason)

    def abort(self, reason: str) -> None:
        """Close at once. The users with something outstanding lose it."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def cut(self) -> None:
        """The dial has ended early. If it had just succeeded, uvloop closes the connection without a word."""
        if self._transport is not None:
            self._transport.abort()
            self.connection_lost(None)

    def _end(self, reason: str) -> None:
        if self.phase is not Phase.ENDED:
            self.phase, self._reason = Phase.ENDED, reason
            self._batch.clear()
            self._keeper.trunk_failed(self)

    @property
    def is_misframed(self) -> bool:
        """Redis has sent what it may not send on a shared connection."""
        return bool(self._splitter.fault)

    async def gone(self) -> None:
        """Wait until the connection is closed, if there has been one."""
        if self._gone is not None:
            await self._gone

    def users(self) -> list[User]:
        """The users with something outstanding."""
        return list(dict.fromkeys(user for user, _ in self.owed.records(self.owed.size)))

    # -- requests --------------------------------------------------------------------------------------

    def put(self, user: User, data: bytes, count: int) -> None:
        """Send `count` whole requests, each with one reply."""
        self.owed.append(user, count)
        batch = self._batch
        if not batch:
            self._loop.call_soon(self._flush)
            self._batched = 0
        batch.append(data)
        self._batched += len(data)
        if self._batched >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        batch = self._batch
        if self.phase is Phase.WAITING:
            self._wait()
        elif batch:
            if self.phase is Phase.OPEN:
                self._transport.write(batch[0] if len(batch) == 1 else b"".join(batch))
            batch.clear()

    def _wait(self) -> None:
        """The requests wait for the dial. Many of them fill the trunk."""
        if self._batched >= BUFFER and not self.is_full:
            self.is_full = True
            self._keeper.trunk_full(self)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.is_full = True
        self._keeper.trunk_full(self)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.is_full = False
        self._keeper.trunk_full(self)

    # -- replies ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from Redis. It is the hot path."""
        self.heard = True
        if self.phase is not Phase.OPEN:
            if self.phase is Phase.WAITING:
                self._take_opening(data)
            return
        for user, part, whole in self._splitter.split(data, self.owed):
            user.outstanding -= whole
            try:
                user.take(part)
            except Exception:
                _log.exception("%s", FAILED)
                user.lose()
        if self._splitter.fault:
            self.abort(f"Redis sent {self._splitter.fault}")

    def _take_opening(self, data: bytes) -> None:
        self._opening_bytes += len(data)
        if self._opening_bytes > _MAX_OPENING_BYTES:
            self.abort("its first replies are too long")
            return
        self._framer.feed(data)
        self._wake()

    def _wake(self) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    # -- a user that does not read ---------------------------------------------------------------------

    def may_hold(self, user: User) -> bool:
        """True if the reply that has begun is this user's, and large."""
        return self._splitter.unfinished > _LARGE and self.is_at_head(user)

    def is_at_head(self, user: User) -> bool:
        """True if the next reply, or the one that has begun, is this user's."""
        return self.owed.size > 0 and self.owed.first is user

    def hold(self, user: User) -> None:
        """Stop reading until `release`. The user's client may not read for `PATIENCE` seconds in all: see `HALVINGS`.

        The time counts only while it does not read. The proxy may also be behind, with the conversion of large values.
        """
        if self._holder is None and self._transport is not None:
            self._holder = user
            self._transport.pause_reading()
            self._watch(user)

    def release(self, user: User) -> None:
        """The user takes its reply again, or has left: continue reading."""
        if self._holder is user:
            self._count(user)
            self._forget_holder()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def _forget_holder(self) -> None:
        self._holder = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _watch(self, user: User) -> None:
        self._held_at, self._counts = self._loop.time(), user.is_unread
        left = max(0.0, PATIENCE / 2 ** self._halvings_left() - user.held)
        self._patience = self._loop.call_later(min(left, _LOOK) if self._counts else _LOOK, self._look, left)

    def _count(self, user: User) -> None:
        if self._counts:
            user.held += self._loop.time() - self._held_at

    def _look(self, left: float) -> None:
        user = self._holder
        if user is None:
            return
        if self._counts and self._loop.time() - self._held_at >= left:
            self.release(user)
            self._halvings, self._halved_at = min(self._halvings_left() + 1, HALVINGS), self._loop.time()
            user.held_too_long()
        else:
            self._count(user)
            self._watch(user)

    def _halvings_left(self) -> float:
        return max(0.0, self._halvings - (self._loop.time() - self._halved_at) / FORGIVES)

    # -- the watchdog ----------------------------------------------------------------------------------

    def check(self, most: int) -> None:
        """Count a check without a byte from Redis, which delays a reply. `most` of them end the trunk; 0: no limit."""
        awaits = self.phase is Phase.OPEN and self.owed.size > 0 and self._holder is None
        self._silent = self._silent + 1 if awaits and not self.heard else 0
        self.heard = False
        if 0 < most <= self._silent:
            self.abort("Redis has not answered in time ([limits] reply_timeout)")
