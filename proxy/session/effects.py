"""What a session wants done: the only way in which it acts on the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from proxy.codec import CodecError, Transcoder

_UNSAFE_FLAGS: Final = frozenset({"admin", "noscript", "movablekeys", "pubsub", "blocking"})


class Half(Enum):
    """The two halves of a session; each has at most one conversion under way."""

    REQUESTS = auto()
    REPLIES = auto()


@dataclass(frozen=True, slots=True)
class Conversion:
    """A value to convert away from the event loop. Requests encode, replies decode."""

    half: Half
    transcoder: Transcoder
    value: bytes


Converted = bytes | CodecError
"""What became of it."""


class CommandInfo(NamedTuple):
    """What the server says of a command that the table does not hold."""

    flags: frozenset[str] = frozenset()
    unknown_because: str = ""
    """Why it does not say anything."""

    @property
    def is_harmless(self) -> bool:
        """A plain read, whose keys are its arguments."""
        return "readonly" in self.flags and not self.flags & _UNSAFE_FLAGS


@dataclass(frozen=True, slots=True)
class Close:
    """Close both sides, once all that is in these effects has been written."""

    reason: str
    """For the log; never any of the clients' bytes."""
    redis_fails: bool = False
    """Redis has ended it, by what it said: whoever runs it should know."""


@dataclass(slots=True)
class Effects:
    """To be carried out in this order."""

    upstream: bytes = b""
    client: bytes = b""
    conversions: Sequence[Conversion] = ()
    """To be answered by `Session.converted`, each once."""
    lookups: Sequence[bytes] = ()
    """Names of commands that the table does not hold, to be answered by `Session.looked_up`."""
    wants_turn: bool = False
    """`Session.take_turn` is to be called in a later turn of the event loop: this one has done enough."""
    close: Close | None = None
