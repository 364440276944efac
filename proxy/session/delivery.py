"""Delivers replies to the client: moves the reply at the head of a lane, whole or in pieces, as its entry says.

`lane` is the lane that the head of the client's FIFO names. It does not change in the middle of a reply.

The arrays of EXEC and MGET have an entry for each element. Such an array opens a *level*. While a level is open, the
head is the entry of its next element.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from proxy.resp import FramingError
from proxy.session import topology
from proxy.session.expected_replies import Entry
from proxy.session.lane import Header, Last, Owed, Ready, Suppressed
from proxy.session.state import Conversation

PUSH, ARRAY, MAP, BULK, NULL, STATUS, ERROR, BULK_ERROR, ATTRIBUTE = (ord(char) for char in ">*%$_+-!|")
"""Kinds of replies, by their first byte."""
ERRORS: Final = (ERROR, BULK_ERROR)
_MOST_COLLECTED: Final = 64 * 1024 * 1024
"""Bytes of a reply that is collected. A reply to the longest PUBSUB NUMSUB has not so many."""
LONGEST_ERROR: Final = 512
"""Bytes of the longest error that is examined. Longer ones pass."""


class _Level:
    """The entries of an open array. There may be a million, so it iterates and does not copy them."""

    __slots__ = ("_rest", "head")

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._rest = iter(entries)
        self.head = next(self._rest)

    def go_on(self) -> bool:
        """Go to the entry of the next element. False: there is no further element."""
        head = next(self._rest, None)
        if head is not None:
            self.head = head
        return head is not None


def nothing() -> None:
    """The continuation after a push or an attribute: it completes no entry."""


class Delivery:
    """See the module. A method returns False if it needs more bytes."""

    __slots__ = (
        "_conversation",
        "_counted",
        "_sink",
        "_substitute",
        "_then",
        "collected",
        "framer",
        "joined",
        "lane",
        "levels",
        "out",
        "pieces",
        "trash",
    )

    def __init__(self, conversation: Conversation) -> None:
        """No bytes received."""
        self._conversation = conversation
        self.lane = conversation.home
        self.framer = self.lane.framer
        self.levels: list[_Level] = []
        """The open arrays, innermost last. The next reply is an element of the last one."""
        self._sink: list[bytes] = []  # destination of the value that is being forwarded
        self._then: Callable[[], None] | None = nothing  # the call that follows it; None: `complete`
        self._substitute = b""  # the client gets it in place of the reply that is being dropped
        self.out: list[bytes] = []
        """Bytes for the client."""
        self.joined: list[bytes] | None = None
        """Pushes that wait: the client has a part of an array that several replies make. None: no such array."""
        self.trash: list[bytes] = []
        """Bytes to throw away."""
        self.pieces: list[bytes] = []
        """Pieces of a reply that is collected; see `whole`."""
        self.collected = 0
        """Their bytes, while the reply is not whole."""
        self._counted = 0  # the number of pieces in `collected`

    @property
    def is_between_replies(self) -> bool:
        """The client has received no part of the reply at the head."""
        return not self.framer.forwarding and not self.levels and not self.pieces and self.joined is None

    @property
    def pushes(self) -> list[bytes]:
        """The destination of a push, which must not come inside a reply."""
        return self.out if self.joined is None else self.joined

    def turn_to(self, head: Owed) -> Ready | None:
        """Select the lane that `head` names, the client's first entry. If that entry is ready, return it instead."""
        if isinstance(head, Ready):
            return head
        lane = head.lane if isinstance(head, Suppressed) else head
        if lane is not self.lane:
            self.framer.let_go()
            self.lane, self.framer = lane, lane.framer
        return None

    def give(self, ready: Ready) -> bool:
        """Send the client the ready entry at the head. False: the conversation ends with it."""
        conversation = self._conversation
        self.out.append(ready.reply)
        if isinstance(ready, Header):
            self.joined = []
        conversation.owed.take()
        conversation.pending_bytes -= ready.size
        if isinstance(ready, Last):
            conversation.close_reason = ready.reason
        return conversation.close_reason is None

    def head(self) -> Entry | None:
        """The entry of the next reply or element of the lane."""
        if self.levels:
            return self.levels[-1].head
        return self.lane.owed.first if self._conversation.owed.size else None

    def target(self) -> list[bytes]:
        """The destination of the reply at the head: `out`, or `trash` if the client does not want it."""
        owed = self._conversation.owed
        return self.trash if owed.size and type(owed.first) is Suppressed else self.out

    def complete(self) -> None:
        """Complete the entry at the head. The last element completes the entry of its array too."""
        if self._substitute:
            self.target().append(self._substitute)
            self._substitute = b""
        while self.levels:
            if self.levels[-1].go_on():
                return
            self.levels.pop()
        entry = self.lane.owed.first
        self._conversation.pending_bytes -= entry.size
        if entry.ends_array and self.joined is not None:
            self.out += self.joined
            self.joined = None
        self._conversation.serve(self.lane)

    def forward(self, sink: list[bytes], then: Callable[[], None]) -> bool:
        """Stream the value at the head to `sink` as its bytes arrive, then call `then`."""
        if not self.framer.forward(sink):
            self._sink, self._then = sink, then
            if sink is self.pieces:
                self._limit_collected()
            return False
        self._then = nothing  # a bound method kept here would be a reference cycle
        then()
        return True

    def go_on(self) -> bool:
        """Continue to stream the value that is being forwarded."""
        return self.forward(self._sink, self.complete if self._then is None else self._then)

    def goes_on(self) -> None:
        """The framer has begun to pass on the reply at the head, to the client and unchanged."""
        self._sink, self._then = self.out, None

    def pass_on(self, kind: int) -> bool:
        """Pass the reply at the head unchanged, unless it redirects the client past the proxy."""
        if kind == BULK_ERROR:
            return self._bulk_error()
        if kind == ERROR:
            return self._error()
        return self.forward(self.target(), self.complete)

    def _error(self) -> bool:
        """MOVED, ASK and REDIRECT send the client to another server. Long errors are a script's own, and pass."""
        line = self.framer.short_line(LONGEST_ERROR)
        if line is None:
            return False
        if line.startswith(topology.REDIRECTIONS):
            return self.drop(self.redirected)
        return self.forward(self.target(), self.complete)

    @property
    def redirected(self) -> bytes:
        """In place of a redirect that is not followed."""
        return topology.REDIRECTED if self._conversation.on_error is None else topology.NOT_FOLLOWED

    def _bulk_error(self) -> bool:
        size = self.framer.length()
        if size is None:
            return False
        if not 0 <= size <= LONGEST_ERROR:
            return self.forward(self.target(), self.complete)
        text = self.framer.bulk()
        if text is None:
            return False
        redirects = (b"-%b" % text).startswith(topology.REDIRECTIONS)
        return self.deliver(self.redirected if redirects else b"!%d\r\n%b\r\n" % (size, text))

    def drop(self, substitute: bytes) -> bool:
        """Drop the reply at the head and send the client `substitute` in its place."""
        self._substitute = substitute
        return self.forward(self.trash, self.complete)

    def deliver(self, reply: bytes | None) -> bool:
        """Send `reply` for the entry at the head and complete the entry. None: the reply is not ready yet."""
        if reply is None:
            return False
        self.target().append(reply)
        self.complete()
        return True

    def collect(self, then: Callable[[], None]) -> bool:
        """Collect the reply at the head until it is whole, then call `then`, which gets it from `whole`."""
        return self.forward(self.pieces, then)

    def _limit_collected(self) -> None:
        """Count the pieces that have come. Raises FramingError if they are too many for a reply that is collected."""
        pieces = self.pieces
        self.collected += sum(map(len, pieces[self._counted :]))
        self._counted = len(pieces)
        if self.collected > _MOST_COLLECTED:
            raise FramingError("a reply that is longer than any of its kind")

    def whole(self) -> bytes:
        """The reply that `collect` has collected."""
        reply = b"".join(self.pieces)
        self.pieces.clear()
        self.collected = self._counted = 0
        return reply

    def elements(self, entries: Iterable[Entry], count: int) -> None:
        """Expect an element for each of `count` entries. The header of their array has been consumed."""
        if count:
            self.levels.append(_Level(entries))
        else:
            self.complete()

    def array(self, entries: Sequence[Entry], kind: int) -> bool:
        """Open an array with an element for each of `entries`. A null or an error passes.

        Raises FramingError if the array has another length.
        """
        size = self.framer.length() if kind == ARRAY else -1
        if size is None:
            return False
        if size < 0:
            return self.pass_on(kind)
        if size != len(entries):
            raise FramingError("an array of another length than was asked for")
        header = self.framer.enter()
        if header is None:
            return False
        self.target().append(header)
        self.elements(entries, size)
        return True
