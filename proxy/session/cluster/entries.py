"""Entries of lanes that only a cluster needs. Each moves its own reply: `take` returns False if it needs more bytes."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, cast

from proxy.resp import FramingError, encode
from proxy.session import error_texts, topology
from proxy.session.cluster.gather import Gather, Verdict
from proxy.session.cluster.lanes import NodeLane, Phase
from proxy.session.delivery import ARRAY, ERROR, ERRORS, Delivery
from proxy.session.expected_replies import PASS, Entry
from proxy.session.slots import MOST_NODES
from proxy.session.state import Conversation

_OBJECT: Final = 64
IDS: Final = MOST_NODES + 1
"""A client's cursor is a node's cursor times this, plus the id of the node."""
_LONGEST_CURSOR: Final = 20
_MOST: Final = (1 << 63) - 1
"""The largest cursor that every client can read."""
_LONGEST_REPEATED: Final = 512
"""Bytes of an error that stands for each element of a part of MGET's array."""


_PART_REFUSED: Final = encode.error(error_texts.PART_REFUSED)


class ClusterEntry(Entry):
    """The base class."""

    __slots__ = ()

    @abstractmethod
    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """Move the reply at the head, whose first byte is `kind`."""

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT


@dataclass(frozen=True, slots=True)
class Part(ClusterEntry):
    """A part of a reply that `gather` puts together. The client gets it with the last part."""

    gather: Gather

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry. The replies are short, so each is collected."""

        def add() -> None:
            self.gather.add(delivery.whole())
            delivery.deliver(self.gather.result() if self.gather.is_whole else b"")

        return delivery.collect(add)


@dataclass(frozen=True, slots=True)
class Slice(ClusterEntry):
    """A part of MGET's array. Its header is dropped, because the whole array's header has been sent."""

    entries: Sequence[Entry]
    is_last: bool

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + 8 * len(self.entries)

    @property
    def ends_array(self) -> bool:
        """See Entry."""
        return self.is_last

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry. An error stands for each element."""
        if kind == ERROR:
            line = delivery.framer.line()
            if line is None:
                return False
            if topology.redirects(line):
                line = topology.NOT_FOLLOWED
            if len(line) > _LONGEST_REPEATED:
                line = line[: _LONGEST_REPEATED - 2] + b"\r\n"
            return delivery.deliver(line * len(self.entries))
        size = delivery.framer.length() if kind == ARRAY else -1
        if size is None:
            return False
        if size != len(self.entries):
            raise FramingError("an array of another length than was asked for")
        if delivery.framer.enter() is None:
            return False
        delivery.elements(self.entries, size)
        return True


class Stream:
    """The arrays of all masters, which become one: their headers must be known before the first element moves."""

    __slots__ = ("error", "is_open", "lanes", "left")

    def __init__(self, lanes: Sequence[NodeLane]) -> None:
        """`lanes`: all that have been asked, in order."""
        self.lanes = lanes
        self.left = len(lanes)
        self.is_open = False
        """The header of the whole array has been sent."""
        self.error = b""
        """The error of a lane, which the client gets in place of the array."""

    def open(self, head: NodeLane) -> int | None:
        """The size of the whole array. None: a header has not come. Sets `error` if a reply is an error.

        `head`: has the first array. It is another lane than the one that was asked if that one gave a redirect.
        """
        total = 0
        for lane in (head, *self.lanes[1:]):
            kind = lane.framer.kind()
            if kind in ERRORS:
                return self._refuse(lane, lane.framer.short_line(_LONGEST_REPEATED) if kind == ERROR else b"")
            if kind and kind != ARRAY:
                raise FramingError("an array was asked for")
            size = lane.framer.length() if kind else None
            if size is None:
                return self._refuse(lane, None)
            total += max(0, size)
        return total

    def _refuse(self, lane: NodeLane, line: bytes | None) -> int | None:
        """End with this error. None: it is not whole, so the lane's own counts if that is lost."""
        if line is None:
            if lane.phase is not Phase.LOST:
                return None
            line = lane.why_lost
        self.error = topology.NOT_FOLLOWED if topology.redirects(line) else line or _PART_REFUSED
        return 0


@dataclass(frozen=True, slots=True)
class Streamed(ClusterEntry):
    """The array of one master. Its elements move as they come, and nothing is held whole."""

    stream: Stream

    @property
    def ends_array(self) -> bool:
        """See Entry."""
        return not self.stream.left

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry."""
        stream = self.stream
        if not stream.is_open:
            total = stream.open(cast(NodeLane, delivery.lane))
            if total is None:
                return False
            stream.is_open = True
            delivery.target().append(stream.error or b"*%d\r\n" % total)
            delivery.joined = None if stream.error else []
        if stream.error:
            return delivery.drop(b"")
        if kind != ARRAY:
            raise FramingError("an array was asked for")
        size = delivery.framer.length()
        if size is None or delivery.framer.enter() is None:
            return False
        stream.left -= 1
        delivery.elements(repeat(PASS, max(0, size)), max(0, size))
        return True


@dataclass(frozen=True, slots=True)
class Page(ClusterEntry):
    """SCAN's reply: a cursor, and an array of keys. The client's cursor also says which node is asked."""

    node: int
    """The id of the node that was asked."""
    following: int
    """The id of the node that comes after it; 0: it was the last."""

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry."""
        if kind != ARRAY:
            return delivery.pass_on(kind)
        text = delivery.framer.first_bulk(_LONGEST_CURSOR)
        if text is None:
            return False
        if not text.isdigit():
            raise FramingError("a cursor was asked for")
        cursor = int(text) * IDS + self.node if int(text) else self.following
        if cursor > _MOST:
            return delivery.drop(encode.error(error_texts.CURSOR_TOO_LARGE))
        return delivery.array((Instead(encode.bulk(b"%d" % cursor)), PASS), kind)


@dataclass(frozen=True, slots=True)
class First(ClusterEntry):
    """The home lane's reply to a command that goes to all lanes. The client gets it, as `entry` says."""

    entry: Entry
    verdict: Verdict

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + self.entry.size

    @property
    def admits(self) -> bool:
        """See Entry."""
        return self.entry.admits

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry. `ReplyHalf` moves the reply."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Echo(ClusterEntry):
    """Another lane's reply to such a command. The client never gets it."""

    verdict: Verdict

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry. A lane that refuses a command that home has accepted is of no use."""
        if kind in ERRORS and self.verdict.is_accepted:
            conversation.fail("a node of the cluster refused a command that another one had accepted")
        return delivery.drop(b"")


@dataclass(frozen=True, slots=True)
class Instead(ClusterEntry):
    """A harmless command went upstream inside MULTI. The client gets `reply` in place of its reply."""

    reply: bytes

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + len(self.reply)

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry."""
        return delivery.pass_on(kind) if kind in ERRORS else delivery.drop(self.reply)


@dataclass(frozen=True, slots=True)
class Watched(ClusterEntry):
    """The reply to WATCH. If it is an error, the transaction that follows is free to choose its node."""

    verdict: Verdict
    is_first: bool = True
    """No key was watched before."""

    def take(self, delivery: Delivery, conversation: Conversation, kind: int) -> bool:
        """See ClusterEntry."""
        self.verdict.settle(kind not in ERRORS)
        return delivery.pass_on(kind)
