"""Effects: the actions that a session asks its caller to perform. It performs no input or output itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from proxy.codec import CodecError, Transcoder
from proxy.session.refusals import Report

_UNSAFE_FLAGS: Final = frozenset({"write", "admin", "noscript", "movablekeys", "pubsub", "blocking"})
_UNSAFE_CATEGORIES: Final = frozenset({"@write", "@dangerous"})


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
"""The result of a conversion."""


class CommandInfo(NamedTuple):
    """The server's COMMAND INFO of a command that the table does not have."""

    flags: frozenset[str] = frozenset()
    unknown_because: str = ""
    """The reason if the server gives no information; empty otherwise."""
    first_key: int = 0
    """Index of the first key among the arguments; 0: the command has no keys, or their place is unknown."""
    categories: frozenset[str] = frozenset()
    """ACL categories, each with its `@`."""
    arity: int = -1
    """As COMMAND gives it: the number of arguments with the name, negative if there may be more."""

    def takes(self, count: int) -> bool:
        """Whether the arity allows a request of `count` arguments, including the name."""
        return count == self.arity or count >= -self.arity > 0

    @property
    def is_harmless(self) -> bool:
        """A plain read, whose keys are its arguments. `readonly` alone is not enough: some writes have that flag."""
        is_read = "readonly" in self.flags and not self.flags & _UNSAFE_FLAGS and self.first_key > 0
        return is_read and "@read" in self.categories and not self.categories & _UNSAFE_CATEGORIES


@dataclass(frozen=True, slots=True)
class Close:
    """Close both sides after all bytes of these effects have been written."""

    reason: str
    """For the log. It never holds bytes of a client."""
    redis_fails: bool = False
    """True if Redis, not the client, caused the close. It is logged as a warning."""


class LaneBytes(NamedTuple):
    """Bytes for the node at the other end of a lane."""

    lane: int
    data: bytes


class Dial(NamedTuple):
    """Connect a new lane. The caller answers with `Session.lane_ready` or `Session.lane_failed`."""

    lane: int
    """Its number. It is never used again in this conversation. (The first home lane has number 0.)"""
    address: str
    """`host:port`, as the map of slots has it."""


class Relink(NamedTuple):
    """Change the link. No reply is outstanding. The caller answers with `Session.relinked`, or `Session.fail`."""

    protocol: int
    """RESP version of the new link: 2 or 3. A link of the client's own begins with 2 in any case."""
    pin: str = ""
    """Why the client needs a connection of its own from now on: the value of a `Pin`. Empty: it still shares one."""


@dataclass(slots=True)
class Effects:
    """The actions of one event, in the order in which the caller performs them."""

    upstream: bytes = b""
    """For Redis; on a cluster, for the node of lane 0."""
    client: bytes = b""
    conversions: Sequence[Conversion] = ()
    """The caller answers each with one call of `Session.converted`."""
    lookups: Sequence[bytes] = ()
    """Names of commands that the table does not have. The caller answers each with `Session.looked_up`."""
    wants_turn: bool = False
    """The budget of this turn is used up: the caller calls `Session.take_turn` in a later turn."""
    close: Close | None = None
    flows: bool = False
    """The session can use more bytes of both sides."""
    reports: Sequence[Report] = ()
    """Refusals and failed conversions, for the log."""
    lanes: Sequence[LaneBytes] = ()
    """Bytes for other lanes, all of which are ready. Only on a cluster, like everything below."""
    dials: Sequence[Dial] = ()
    hang_ups: Sequence[int] = ()
    """Lanes to close once their bytes are written. The session knows nothing of them any more."""
    pauses: Sequence[int] = ()
    """Lanes of which no bytes are read for now: they hold enough, and it is not their turn. Lane 0 may be one."""
    resumes: Sequence[int] = ()
    """Lanes that are read again."""
    slots_are_old: bool = False
    """The map is fetched again. The caller answers with `Session.new_slots` or `Session.no_slots`."""
    relink: Relink | None = None
    """Only in a session that shares its link. No request is written before the caller has answered."""
