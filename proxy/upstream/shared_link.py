"""A shared link: one client's place on the trunks. It is a `SharedPlace`, and takes only whole requests.

While replies are outstanding, the link stays on its trunk, so they come in order. With nothing outstanding, the next
request takes the least busy trunk.

Theory. A link is in one state:
  - OPEN: requests go out, replies come in.
  - FINISHING: the client sends no more. The link is lost once it has the replies that are outstanding.
  - CLOSED: the client has left, or the trunk has ended. Replies that still come are dropped.
While it is paused, replies are kept. After that they are given to the owner in turns of the event loop, and later ones
wait behind them. `take` is the function for the bytes of this state, so the usual case costs one call.
"""

import asyncio
import logging
from enum import Enum, auto
from typing import Any, Final, Protocol

from proxy.resp import count_commands
from proxy.session.runs import Runs
from proxy.upstream.link import Receiver, SharedOwner
from proxy.upstream.trunk import FAILED, Trunk

_log = logging.getLogger("proxy.upstream")
_AT_ONCE: Final = 512 * 1024
"""Bytes of kept replies that the owner gets in a turn. A trunk's read brings fewer."""
_READ: Final = 256 * 1024
"""The most that a read of a trunk brings. The end of a reply that may hold the trunk comes with the rest of a read."""


class _State(Enum):
    OPEN = auto()
    FINISHING = auto()
    CLOSED = auto()


class Places(Protocol):
    """The trunks of one protocol, as a link sees them."""

    most_kept: int
    """Bytes that a paused link keeps."""

    only: Trunk | None
    """The trunk, if there is never more than one, and it is open. It saves the choice."""

    def choose(self) -> Trunk:
        """The least busy trunk."""

    def leave(self, link: "SharedLink", *, is_evicted: bool = False) -> None:
        """The link is closed."""


class SharedLink:
    """See the module. It is the `User` of its trunk."""

    __slots__ = (
        "_asked",
        "_is_due",
        "_is_full",
        "_is_paused",
        "_kept",
        "_loop",
        "_owed",
        "_owner",
        "_places",
        "_state",
        "greeting",
        "held",
        "knows_setinfo",
        "outstanding",
        "protocol",
        "take",
        "trunk",
    )

    take: Receiver

    def __init__(self, owner: SharedOwner, owed: Runs[Any], places: Places, trunk: Trunk, protocol: int) -> None:
        """`owed`: the replies that Redis owes the client. It grows before each `write`, by one for each request."""
        self._owner: SharedOwner | None = owner
        self._owed = owed
        self._asked = owed.taken  # those that it owes already are still to be written
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._state = _State.OPEN
        self._is_paused = False
        self._is_full = False  # as the owner knows it
        self._is_due = False  # kept replies are given to the owner in a later turn
        self._kept = bytearray()
        self.trunk = trunk
        self.outstanding = 0
        """See User."""
        self.held = 0.0
        """See User."""
        self.protocol = protocol
        """The version of RESP on the trunk."""
        self.greeting = b""
        """The raw reply to HELLO: of this protocol, or the error to HELLO 3 if the protocol is 2 in its place."""
        self.knows_setinfo = False
        """The server has CLIENT SETINFO."""
        self._set_take()

    def _set_take(self) -> None:
        """Choose the function that takes replies."""
        if self._state is _State.CLOSED or self._owner is None:
            self.take = _drop
        elif self._is_paused or self._kept:
            self.take = self._keep
        else:
            self.take = self._owner.link_received if self._state is _State.OPEN else self._take_last

    # -- requests --------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send whole requests. `owed` has grown by their number. If it has not, the link sends nothing and aborts."""
        if self._state is not _State.OPEN:
            return
        owed = self._owed
        asked = owed.taken + owed.size
        count = asked - self._asked
        if count_commands(data) != count:
            _log.error("a defect: %d bytes for a shared connection are not %d whole requests", len(data), count)
            self.abort()
            return
        self._asked = asked
        if not count:
            return
        trunk = self.trunk
        if not self.outstanding:
            self.held = 0.0
            self.trunk = trunk = self._places.only or self._places.choose()
            if trunk.is_full is not self._is_full:
                self.set_full(trunk.is_full)
        self.outstanding += count
        trunk.put(self, data, count)

    def set_full(self, full: bool) -> None:
        """The write buffer of the trunk has become full, or has room again."""
        if full is not self._is_full and self._owner is not None:
            self._is_full = full
            self._owner.link_full(full)

    @property
    def unsent(self) -> int:
        """Bytes that are kept for this client. The bytes that are unsent are on the trunk, for all of its clients."""
        return len(self._kept)

    @property
    def is_head(self) -> bool:
        """True if the next reply on the trunk is this client's. Else the replies to others delay it."""
        return self.trunk.is_at_head(self)

    # -- replies ---------------------------------------------------------------------------------------

    def pause(self) -> None:
        """See Link. Replies that come are kept."""
        self._is_paused = True
        self._set_take()

    def resume(self) -> None:
        """See Link."""
        self._is_paused = False
        self._give_soon()
        self._set_take()

    def _keep(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > self._places.most_kept:
            self._overrun()

    @property
    def is_unread(self) -> bool:
        """See User."""
        return self._owner is not None and self._owner.is_unread

    def _overrun(self) -> None:
        """Hold the trunk, also while the owner takes some in each turn: a turn may bring more reads than it takes."""
        is_unread = self.is_unread
        if self.trunk.may_hold(self) or (self.is_head and not is_unread):
            self.trunk.hold(self)
        elif self._is_paused and is_unread and len(self._kept) > self._places.most_kept + _READ:
            self._evict(
                f"closed, because more than {self._places.most_kept} bytes of replies waited for you on a shared"
                " connection to Redis ([limits] buffered_bytes)"
            )

    def held_too_long(self) -> None:
        """See User."""
        if self._owner is not None:
            self._evict(
                f"closed, because {self._owner.lateness}: for {self.held:.2g} s it held up a shared connection to Redis"
                " ([upstream] connections)"
            )

    def _evict(self, text: str) -> None:
        owner = self._owner
        if self._state is _State.CLOSED or owner is None:
            return
        _log.warning("[%d] %s", owner.number, text)
        self._close(is_evicted=True)
        owner.evict(text)

    def _give_soon(self) -> None:
        if self._kept and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._give)

    def _give(self) -> None:
        """Give the owner some of the replies that are kept."""
        self._is_due = False
        if self._is_paused or not self._kept or self._owner is None:
            return
        given = bytes(self._kept[:_AT_ONCE])
        del self._kept[:_AT_ONCE]
        if len(self._kept) <= self._places.most_kept // 2:
            self.trunk.release(self)
        try:
            self._owner.link_received(given)
        except Exception:
            _log.exception("%s", FAILED)
            self._close()
        if not self._is_paused:
            self._give_soon()
        self._set_take()
        self._lose_if_finished()

    def _take_last(self, data: bytes) -> None:
        """Take replies while FINISHING."""
        if self._owner is not None:
            self._owner.link_received(data)
        self._lose_if_finished()

    # -- the end ---------------------------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        """See Link."""
        return self._state is _State.CLOSED

    def finish(self) -> bool:
        """See Link. The link is lost once the owner has the replies that are outstanding."""
        if self._state is _State.OPEN:
            self._state = _State.FINISHING
            self._set_take()
            self._lose_if_finished()
        return True

    def _lose_if_finished(self) -> None:
        if self._state is _State.FINISHING and not (self.outstanding or self._kept):
            self._close()

    def close(self) -> None:
        """See Link. Requests that have been written are sent, and their replies dropped."""
        self._close()

    def abort(self) -> None:
        """See Link. It is the same: requests that have been written are among those of others."""
        self._close()

    def _close(self, *, last: bytes = b"", is_evicted: bool = False) -> None:
        """Drop what comes. In the next turn of the event loop the owner gets `last`, and hears of the end."""
        if self._state is _State.CLOSED:
            return
        self._state = _State.CLOSED
        self._kept.clear()
        self._set_take()
        self.trunk.release(self)
        self._places.leave(self, is_evicted=is_evicted)
        self._loop.call_soon(self._tell_end, last)

    def leave(self) -> None:
        """See SharedPlace."""
        self._owner = None
        self._close()

    def lose(self) -> bool:
        """See User. The owner gets the replies that are kept, and hears of the end."""
        if self._state is _State.CLOSED:
            return False
        self._close(last=bytes(self._kept))
        return True

    def _tell_end(self, last: bytes) -> None:
        owner, self._owner = self._owner, None
        if owner is None:
            return
        try:
            if last:
                owner.link_received(last)
        finally:
            owner.place_lost()


def _drop(data: bytes) -> None:
    """Take replies whose client has left."""
