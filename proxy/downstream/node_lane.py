"""One lane of a client's connection on a cluster: its link to a node, the receive buffer, and why it is not read.

A lane is not read while its buffer is full, while the session holds it (it is not its turn), or while no lane is read.
Its bytes are given to the session in order. Its loss is told after its last bytes. Bytes for the node are written at
the end of the turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.downstream.receive_buffer import SLICE, SMALL, ReceiveBuffer
from proxy.session import Effects
from proxy.upstream.link import Link, OwnLink


class LaneOwner(Protocol):
    """The links that this lane belongs to."""

    takes: bool
    """The lanes are read at all."""
    counts: Callable[[bytes, int], bool]
    """Counts bytes of a lane that a node has sent. False: the connection is closing, so they are dropped."""
    take: Callable[[bytes, int], None]
    """Handles the bytes of a lane at once, and counts them."""
    from_upstream: Callable[[bytes, int], Effects]
    """The session's: takes the bytes of a lane."""
    apply: Callable[[Effects], None]
    """The connection's: carries out effects."""
    at_end_of_turn: Callable[[Callable[[], None]], None]
    """Calls a function at the end of this turn of the loop."""
    dial: Callable[[OwnLink, str], Awaitable[None]]
    """Connects a link to a node, `host:port`. Raises UpstreamError."""

    def lane_made(self, lane: "NodeLane") -> None:
        """The lane's own link is connected. `lane_unmade` will follow."""

    def lane_unmade(self, lane: "NodeLane") -> None:
        """The lane's own link has closed. `lane_ended` follows."""

    def lane_waits(self, lane: "NodeLane") -> None:
        """The lane has bytes for a turn of the loop: `NodeLane.take_turn`."""

    def lane_full(self) -> None:
        """The write buffer of a lane has become full, or has room again."""

    def lane_ended(self, lane: "NodeLane", *, has_told_all: bool) -> None:
        """The lane's link has closed. `has_told_all`: the session has all its bytes."""

    def lane_told_all(self, lane: "NodeLane") -> None:
        """The session has all bytes of a lane whose link had closed before."""


class NodeLane:
    """See the module. It is the owner of its link."""

    __slots__ = (
        "_buffer",
        "_held",
        "_is_lost",
        "_owner",
        "_unwritten",
        "dialing",
        "full",
        "id",
        "is_dropped",
        "link",
        "made",
        "node",
    )

    def __init__(self, owner: LaneOwner, lane: int, node: str) -> None:
        """`lane`: the session's number of it. `node`: `host:port` as the map of slots has it."""
        self._owner = owner
        self._buffer = ReceiveBuffer(paused=False)
        self._held = False  # by the session
        self._is_lost = False
        self._unwritten: list[bytes] = []  # bytes of this turn
        self.made = False  # the link has been connected
        self.id = lane
        self.node = node
        self.link: Link = OwnLink(self)  # not connected: it does nothing
        self.dialing: asyncio.Task[None] | None = None
        self.full = False
        """The write buffer to the node is full."""
        self.is_dropped = False
        """The session has hung up: it gets nothing more of this lane."""

    async def connect(self) -> None:
        """Connect the link. Raises UpstreamError."""
        link = self.link = OwnLink(self)
        await self._owner.dial(link, self.node)
        if self._buffer.paused:
            link.pause()

    @property
    def waits_for_others(self) -> bool:
        """The replies to other clients delay the next one of this lane."""
        return False

    def link_made(self) -> None:
        """See LinkOwner."""
        self.made = True
        self._owner.lane_made(self)

    def link_received(self, data: bytes) -> None:
        """See LinkOwner. It is the hot path."""
        buffer = self._buffer
        if not (buffer.paused or buffer.size or self.is_dropped or len(data) > SMALL):
            self._owner.take(data, self.id)
        elif self._owner.counts(data, self.id) and not self.is_dropped:
            buffer.add(data)
            self.adjust()

    def write(self, data: bytes) -> None:
        """Write bytes to the node at the end of this turn."""
        if not self._unwritten:
            self._owner.at_end_of_turn(self.flush)
        self._unwritten.append(data)

    def flush(self) -> None:
        """Write these bytes now. A lost lane drops them."""
        pieces = self._unwritten
        if pieces and not self._is_lost:
            self.link.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        pieces.clear()

    def link_full(self, full: bool) -> None:
        """See LinkOwner."""
        self.full = full
        self._owner.lane_full()

    def link_lost(self) -> None:
        """See LinkOwner."""
        if not self._is_lost:  # else `cut` has told it
            self._owner.lane_unmade(self)
            self._end()

    def cut(self) -> None:
        """The dial has ended early. If it had just succeeded, uvloop closes the connection without a word."""
        self.link.abort()
        if self.made:
            self.link_lost()

    def _end(self) -> None:
        self._is_lost = True
        self.full = False
        self._owner.lane_ended(self, has_told_all=not self._buffer.size)

    @property
    def is_over(self) -> bool:
        """The dial has ended, and so has the link if there was one."""
        return self.dialing is None and (self._is_lost or not self.made)

    def hold(self, held: bool) -> None:
        """The session does not take this lane's bytes for now, or takes them again."""
        self._held = held
        self.adjust()

    @property
    def _is_taken(self) -> bool:
        return self._owner.takes and not self._held

    def adjust(self) -> None:
        """Start or stop reading, and ask for a turn for the bytes that wait."""
        if self.is_dropped:
            return
        takes = self._is_taken
        if self._buffer.changes(takes):
            (self.link.pause if self._buffer.paused else self.link.resume)()
        if self._buffer.needs_turn(takes):
            self._owner.lane_waits(self)

    def take_turn(self) -> None:
        """Give the session some of the bytes that wait."""
        self._buffer.due = False
        if self.is_dropped or not self._is_taken or not self._buffer.size:
            return
        self._owner.apply(self._owner.from_upstream(self._buffer.take(SLICE), self.id))
        self.adjust()
        if self._is_lost and not self._buffer.size:
            self._owner.lane_told_all(self)

    def close(self) -> None:
        """Close the link once everything is sent."""
        self.link.close()

    def abort(self) -> None:
        """Close the link at once."""
        self.link.abort()

    def drop(self) -> None:
        """Forget the bytes that wait. The session gets nothing more of this lane."""
        self.is_dropped = True
        self._buffer.clear()

    def let_go(self) -> None:
        """The session ends. It neither holds the lane nor takes the bytes that wait."""
        self._held = False
        self._buffer.clear()

    @property
    def memory(self) -> int:
        """Bytes in the receive buffer and in the write buffer."""
        return self._buffer.memory + sum(map(len, self._unwritten)) + self.link.unsent
