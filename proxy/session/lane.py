"""A lane, and the entries of the client's FIFO. `state` has the theory."""

from dataclasses import dataclass
from typing import Final

from proxy.resp import ReplyFramer
from proxy.session.expected_replies import Entry
from proxy.session.runs import Runs

_OBJECT: Final = 64
"""Estimate of the bytes of a ready entry, without its reply."""


class Lane:
    """One upstream connection, as a conversation sees it. As an entry of the client's FIFO: the reply comes on it."""

    __slots__ = ("framer", "out", "owed")

    def __init__(self) -> None:
        """No bytes written, no bytes received."""
        self.framer = ReplyFramer()
        """Splits the bytes of Redis into replies."""
        self.owed: Runs[Entry] = Runs()
        """The replies that Redis owes, in order."""
        self.out: list[bytes] = []
        """Bytes for Redis, in order."""


class Suppressed:
    """The reply comes on `lane` and is dropped, because the client has sent CLIENT REPLY OFF or SKIP."""

    __slots__ = ("lane",)

    def __init__(self, lane: Lane) -> None:
        """For replies on `lane`."""
        self.lane = lane


@dataclass(frozen=True, slots=True)
class Ready:
    """The reply is ours and only waits for the replies before it. No bytes went upstream."""

    reply: bytes

    @property
    def size(self) -> int:
        """Estimate of the bytes that it holds."""
        return _OBJECT + len(self.reply)


@dataclass(frozen=True, slots=True)
class Last(Ready):
    """The conversation ends with this reply."""

    reason: str


@dataclass(frozen=True, slots=True)
class Header(Ready):
    """The header of an array. Its elements are in the replies that follow, up to an entry with `ends_array`."""


Owed = Lane | Suppressed | Ready
"""An entry of the client's FIFO: it names the lane of its reply, or holds a reply of ours."""
