"""Entries of a lane: one for each reply that Redis owes. `state` explains how they connect the halves of a session.

Entries are immutable. Those without data of their own are shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from proxy.commands import Command, Reply
from proxy.policy import Rule
from proxy.resp import encode

_OBJECT: Final = 64
"""Upper estimate of the bytes of an entry that is not shared, without the objects that it refers to."""
_EMPTY: Final = encode.bulk(b"")


class Entry:
    """One reply that Redis owes. The base class: the reply passes unchanged."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """Bytes of memory that the entry holds; 0 for a shared one."""
        return 0

    @property
    def admits(self) -> bool:
        """True if a reply that is not an error shows that the client is authenticated, or need not be."""
        return True

    @property
    def ends_array(self) -> bool:
        """True if the reply has the last elements of an array that began with a ready header."""
        return False


PASS = Entry()


class Blocking(Entry):
    """As PASS, but the reply may wait for other clients. Redis drops the command when its client disconnects."""

    __slots__ = ()


BLOCKING = Blocking()


@dataclass(frozen=True, slots=True)
class Decode(Entry):
    """The reply to `command` is a stored value, which `rule` decodes."""

    rule: Rule
    command: Command
    applied: bool = False
    """The command has also written: an error of ours must say so."""
    element: bool = False
    """An element of MGET's array. Redis never puts an error there, so a value that cannot be decoded becomes nil."""
    codec: Any = field(init=False, compare=False, repr=False)
    """The engine's codec for small values, for the fast path."""

    def __post_init__(self) -> None:
        """Set `codec`."""
        object.__setattr__(self, "codec", self.rule.inline.codec)

    def shown(self, payload: bytes) -> bytes:
        """The part of a payload that the client gets: all of it."""
        return payload

    def absent(self, protocol: int) -> bytes:
        """The reply for a value that is not there. `protocol`: 2 or 3, that of RESP."""
        return encode.NULL_RESP3 if protocol == 3 else encode.NULL_RESP2


@dataclass(frozen=True, slots=True)
class DecodePart(Decode):
    """As Decode, but the client gets a part of the payload. As in GETRANGE, `last` belongs to the part."""

    first: int = 0
    last: int = -1

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT

    def shown(self, payload: bytes) -> bytes:
        """See Decode. Bounds below 0 count from the end, as in Redis (t_string.c, getrangeCommand)."""
        size, first, last = len(payload), self.first, self.last
        if first < 0 and last < 0 and first > last:
            return b""
        first = max(first + size if first < 0 else first, 0)
        last = max(last + size if last < 0 else last, 0)
        return payload[first : last + 1]

    def absent(self, protocol: int) -> bytes:
        """See Decode. GETRANGE shows a missing key as an empty string."""
        return _EMPTY


@dataclass(frozen=True, slots=True)
class Each(Entry):
    """The reply is an array with one element for each of `entries`."""

    entries: Sequence[Entry]

    @property
    def size(self) -> int:
        """See Entry. The elements of one rule share one entry."""
        return _OBJECT + 8 * len(self.entries)


@dataclass(frozen=True, slots=True)
class Poison(Entry):
    """A poison went upstream in place of a request that we answer. `reply` replaces its error."""

    reply: bytes

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + len(self.reply)

    @property
    def admits(self) -> bool:
        """See Entry. Redis refuses a poison from every client."""
        return False


@dataclass(frozen=True, slots=True)
class MustFail(Entry):
    """A request went upstream with an option that Redis must refuse. Other errors of Redis pass."""

    error: bytes
    """The beginning of Redis' error for that option."""
    instead: bytes
    """The error that the client gets in its place: as Redis would have answered the client's own option."""

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + len(self.error) + len(self.instead)


@dataclass(frozen=True, slots=True)
class ClusterOnly(Entry):
    """Redis answers this command only in cluster mode. The client gets the error of a server in standalone mode."""

    names_nodes: bool
    """False: the reply passes if Redis is known to be in standalone mode. Valkey answers some commands there too."""


class Role(Entry):
    """The reply to ROLE. The client gets the reply of a master without replicas."""

    __slots__ = ()


SHOWN: Final = {Reply.NODES: ClusterOnly(True), Reply.CLUSTER: ClusterOnly(False), Reply.ROLE: Role()}
"""Entries for kinds of replies that hold no stored value, and that must change before a client gets them."""


class Opening(NamedTuple):
    """A command of the proxy's own, sent at the start of a conversation."""

    raw: bytes
    refused: str
    """The text for the client if Redis refuses it."""


@dataclass(frozen=True, slots=True)
class Setup(Entry):
    """The reply to an opening. The client never gets it."""

    refused: str


@dataclass(frozen=True, slots=True)
class Again(Entry):
    """The reply to a command that the proxy has already answered, and now sends to Redis. The client never gets it."""

    refused: str
    """The text for the client if Redis refuses it."""


class Step(Enum):
    """A change of the conversation's state that a reply brings."""

    MULTI = auto()
    EXEC = auto()
    DISCARD = auto()
    RESET = auto()
    QUIT = auto()
    MONITOR = auto()
    SELECT = auto()


@dataclass(frozen=True, slots=True)
class StateChange(Entry):
    """The reply passes. If it is not an error, the conversation takes a step."""

    step: Step

    @property
    def admits(self) -> bool:
        """See Entry. RESET and QUIT need no authentication."""
        return self.step not in (Step.RESET, Step.QUIT)


@dataclass(frozen=True, slots=True)
class Hello(Entry):
    """The reply to HELLO, in which cluster mode is hidden. Unless it is an error, the protocol becomes `version`."""

    version: int | None
    """None: the protocol stays."""
    logs_in: bool = False
    name: bytes | None = None
    """The client's name from then on; None: it stays."""

    @property
    def size(self) -> int:
        """See Entry."""
        return 0 if self.name is None else _OBJECT + len(self.name)

    @property
    def admits(self) -> bool:
        """See Entry."""
        return self.logs_in


@dataclass(frozen=True, slots=True)
class SetName(Entry):
    """CLIENT SETNAME went upstream. If Redis accepts it, the client has this name."""

    name: bytes

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + len(self.name)


@dataclass(frozen=True, slots=True)
class Login(Entry):
    """AUTH, or HELLO with AUTH, went upstream where a push may be pending. A poison follows it.

    Redis 7.2 to 8.6 and Valkey 7.2 to 8.1 do not answer a failing login while output is pending for the client. Then
    the poison's error comes in place of the reply.
    """

    entry: Entry
    """The entry that handles the reply, if there is a reply."""

    @property
    def size(self) -> int:
        """See Entry."""
        return _OBJECT + self.entry.size

    @property
    def admits(self) -> bool:
        """See Entry."""
        return self.entry.admits


@dataclass(frozen=True, slots=True)
class Subscription(Entry):
    """The reply is an error, or `confirmations` messages of `kind`: arrays in RESP2, pushes in RESP3."""

    kind: bytes
    confirmations: int


class ReplyMode(Enum):
    """The argument of CLIENT REPLY."""

    ON = b"ON"
    OFF = b"OFF"
    SKIP = b"SKIP"


@dataclass(frozen=True, slots=True)
class SetReplyMode(Entry):
    """`CLIENT REPLY ON` went upstream for any mode. If Redis accepts it, `mode` applies from then on."""

    mode: ReplyMode
