"""What each request is owed: the FIFO that ties the two halves of a session.

A request appends its entry in the same step that writes it upstream; a top-level reply takes the entry at the
head. Entries are immutable, and those that need no data of their own are shared.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from proxy.policy import Rule

_OBJECT: Final = 64
"""Bytes of one of these that is not shared, without what it refers to; about, and rather more than less."""


class Entry:
    """One expected reply. By itself: the reply goes to the client as it stands."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """Bytes of memory that it holds; those that are shared hold none."""
        return 0


PASS = Entry()


class Blocking(Entry):
    """As PASS, but the reply may wait for other clients: Redis drops the command when its client hangs up."""

    __slots__ = ()


BLOCKING = Blocking()


@dataclass(frozen=True, slots=True)
class Decode(Entry):
    """The reply is a stored value, to be decoded under `rule`."""

    rule: Rule
    applied: bool = False
    """The command has written too: an error of ours must say so."""
    element: bool = False
    """One of MGET's: Redis never puts an error there, so what cannot be decoded is nil."""


@lru_cache(maxsize=1024)
def decoding(rule: Rule, *, applied: bool = False, element: bool = False) -> Decode:
    """The one that all replies of a kind share."""
    return Decode(rule, applied, element)


@dataclass(frozen=True, slots=True)
class Each(Entry):
    """The reply is an array with one element for each of `entries`."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """See Entry. The elements of one rule are one object."""
        return _OBJECT + 8 * len(self.entries)


@dataclass(frozen=True, slots=True)
class Refusal(Entry):
    """A poison went upstream in place of a request that we refuse; its error becomes `reply`."""

    reply: bytes

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + len(self.reply)


@dataclass(frozen=True, slots=True)
class MustFail(Entry):
    """A request went upstream with an option that Redis must refuse. Its other errors pass."""

    error: bytes
    """What Redis says of that option ..."""
    instead: bytes
    """... and would have said of the client's."""

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + len(self.error) + len(self.instead)


@dataclass(frozen=True, slots=True)
class Last(Entry):
    """Nothing went upstream: `reply` is ours, and the conversation ends with it."""

    reply: bytes
    reason: str


class Opening(NamedTuple):
    """A command of the proxy's own that begins a conversation."""

    raw: bytes
    refused: str
    """What it means that Redis refuses it, in words for the client."""


@dataclass(frozen=True, slots=True)
class Setup(Entry):
    """An opening went upstream; the client never sees its reply."""

    refused: str


class Step(Enum):
    """How a reply moves the conversation on."""

    MULTI = auto()
    EXEC = auto()
    DISCARD = auto()
    RESET = auto()
    QUIT = auto()
    MONITOR = auto()
    SELECT = auto()


@dataclass(frozen=True, slots=True)
class Turning(Entry):
    """The reply passes, and if it is no error the conversation takes a step."""

    step: Step


@dataclass(frozen=True, slots=True)
class Hello(Entry):
    """The reply passes, and if it is no error the protocol changes to `version` (None: stays)."""

    version: int | None


@dataclass(frozen=True, slots=True)
class Subscription(Entry):
    """The reply is `confirmations` messages of `kind`, arrays in RESP2 and pushes in RESP3, or an error."""

    kind: bytes
    confirmations: int


class ReplyMode(Enum):
    """CLIENT REPLY."""

    ON = b"ON"
    OFF = b"OFF"
    SKIP = b"SKIP"


@dataclass(frozen=True, slots=True)
class SetReplyMode(Entry):
    """`CLIENT REPLY ON` went upstream, whatever was asked: if that is fine, `mode` applies from here on."""

    mode: ReplyMode


@dataclass(frozen=True, slots=True)
class Muted(Entry):
    """As `entry`, but under CLIENT REPLY OFF or SKIP: nothing of it reaches the client."""

    entry: Entry

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + self.entry.size
