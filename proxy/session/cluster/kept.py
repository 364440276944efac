"""A lane's FIFO that keeps the requests: a redirect needs them again.

Usual requests that were written together are kept together, as the bytes of all. They are told apart only when somebody
looks at one of them, because few requests are ever sent again.
"""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.engine import ENGINE
from proxy.session.expected_replies import Entry
from proxy.session.runs import Runs
from proxy.session.slots import key_slot
from proxy.session.state import Conversation

NO_SLOT: Final = -1


class Sent(NamedTuple):
    """A request whose reply has not come."""

    raw: bytes
    """As it was written; empty for a command that is never sent again."""
    slot: int = NO_SLOT
    """The slot that we computed; `NO_SLOT` if the request names no key."""
    is_trusted: bool = True
    """Redis itself makes the reply. False: a client's script may make it, with any bytes."""
    hops: int = 0
    """Redirects that it has followed."""
    was_asked: bool = False
    """The last of them was ASK: at that time, the node of the slot lacked all its keys."""


NOT_KEPT: Final = Sent(b"")


class Requests:
    """Requests whose replies have not come, in pieces. A piece is one request, or the bytes of usual ones.

    The key of each usual one is its first argument. The native engine has its own class.
    """

    __slots__ = ("_left", "_pieces", "_sizes")

    def __init__(self) -> None:
        """No request is kept."""
        self._pieces: deque[Sent | bytes] = deque()
        self._left: deque[int] = deque()
        self._sizes: deque[int] = deque()

    def append(self, piece: Sent | bytes, left: int, size: int) -> None:
        """Append a piece. `left`: the number of its requests whose replies have not come: its last ones."""
        self._pieces.append(piece)
        self._left.append(left)
        self._sizes.append(size)

    def take(self, count: int) -> int:
        """Remove the first `count` requests, which must be there. Returns the bytes of the pieces that are over."""
        size, all_left = 0, self._left
        while count > 0:
            if all_left[0] > count:
                all_left[0] -= count
                break
            count -= all_left.popleft()
            self._pieces.popleft()
            size += self._sizes.popleft()
        return size

    @property
    def first(self) -> tuple[Sent | bytes, int]:
        """The first piece, and the number of its requests that are left."""
        return self._pieces[0], self._left[0]

    def split(self, parts: list[tuple[Sent, int]]) -> int:
        """Replace the first piece by these requests, each with its size. Returns the change of the bytes."""
        self._pieces.popleft()
        self._left.popleft()
        before = self._sizes.popleft()
        for sent, size in reversed(parts):
            self._pieces.appendleft(sent)
            self._left.appendleft(1)
            self._sizes.appendleft(size)
        return sum(size for _, size in parts) - before

    @property
    def pieces(self) -> list[tuple[Sent | bytes, int]]:
        """All pieces, and the number of the requests of each that are left."""
        return [*zip(self._pieces, self._left, strict=True)]


ReferenceRequests = Requests

if not TYPE_CHECKING:
    Requests = ENGINE.of("Requests", Requests)


class Kept(Runs[Entry]):
    """See the module. The bytes that are kept count in `Conversation.pending_bytes`, as the caller adds them."""

    __slots__ = ("_conversation", "requests")

    def __init__(self, conversation: Conversation) -> None:
        """Nothing is kept."""
        super().__init__()
        self._conversation = conversation
        self.requests = Requests()
        """One for each entry. The fast path takes from both itself."""

    def keep(self, sent: Sent) -> None:
        """Keep the request of the last entry."""
        self.requests.append(sent, 1, len(sent.raw))

    @property
    def first_sent(self) -> Sent:
        """The request of the entry at the head."""
        first, left = self.requests.first
        if isinstance(first, Sent):
            return first
        several = _several(first, left)
        self._conversation.pending_bytes += self.requests.split([(sent, len(sent.raw)) for sent in several])
        return several[0]

    def of(self, slot: int) -> Iterator[Sent]:
        """The requests of a slot."""
        for piece, left in self.requests.pieces:
            several = [piece] if isinstance(piece, Sent) else _several(piece, left)
            yield from (each for each in several if each.slot == slot)

    def take(self, count: int = 1) -> None:
        """See Runs."""
        self.take_runs(count)

    def take_runs(self, count: int) -> None:
        """See Runs."""
        super().take_runs(count)
        self._conversation.pending_bytes -= self.requests.take(count)


def _several(raw: bytes, left: int) -> list[Sent]:
    """The last `left` of these requests."""
    return [*_requests(raw)][-left:]


def _requests(raw: bytes) -> Iterator[Sent]:
    """The requests in canonical RESP, such as our own encoder writes."""
    at = 0
    while at < len(raw):
        start, end = at, raw.index(b"\r\n", at)
        key = b""
        arguments, at = int(raw[at + 1 : end]), end + 2
        for number in range(arguments):
            end = raw.index(b"\r\n", at)
            stop = end + 2 + int(raw[at + 1 : end])
            if number == 1:
                key = raw[end + 2 : stop]
            at = stop + 2
        yield Sent(raw[start:at], key_slot(key))
