"""What is allowed and what is transcoded: rules, guard and limits, frozen.

A reload makes a new Policy; what was queued under the old one keeps the rule that it was queued with.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from proxy.codec import CodecLimits, Transcoder
from proxy.commands import Access, Command
from proxy.glob import Matcher
from proxy.resp import RequestLimits

_SHOW_SECRETS: Final = frozenset({b"CONFIG|GET", b"ACL|LIST", b"ACL|GETUSER"})
"""`requirepass`, `masterauth`, and the hashes of users' passwords."""


class As(Enum):
    """How a rule treats its keys."""

    VALUE = "value"
    UNTOUCHED = "untouched"
    READ_ONLY = "read-only"


class OnUndecodable(Enum):
    """What a reader gets for a stored value that no payload can stand for."""

    ERROR = "error"
    NIL = "nil"
    RAW = "raw"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One `[[rule]]`, for the clients of listeners with one payload format."""

    name: str
    matches: Matcher
    prefix: bytes
    """What every key of the rule begins with."""
    treats_as: As
    transcoder: Transcoder
    brief: Transcoder
    """The same under limits so small that it may run on the event loop."""
    on_undecodable: OnUndecodable
    default_ttl: int
    """Seconds given to a SET without any expiry; 0: none."""


class Guard(NamedTuple):
    """`[guard]`."""

    allow_all_scripts: bool = False
    allowed_scripts: frozenset[bytes] = frozenset()
    """SHA1s, lower-case hex."""
    allowed_commands: frozenset[bytes] = frozenset()
    """Upper case; `PARENT|SUB` for one subcommand, `PARENT` for all of them."""
    keeps_secrets: bool = False
    """The proxy logs in to Redis itself: what shows passwords is refused too."""

    def names(self, name: bytes) -> bool:
        """Whether `[guard] allow` names a command, or the command that a subcommand belongs to."""
        return name in self.allowed_commands or name.partition(b"|")[0] in self.allowed_commands

    def refuses(self, command: Command) -> bool:
        """Whether a command is refused whatever its keys are; scripts are decided by their SHA1."""
        if command.access is Access.NEVER:
            return True
        is_closed = command.access is Access.ADMIN or (self.keeps_secrets and command.name in _SHOW_SECRETS)
        return is_closed and not self.names(command.name)


class SessionLimits(NamedTuple):
    """What one conversation may hold."""

    request: RequestLimits = RequestLimits()
    codec: CodecLimits = CodecLimits()
    pending_commands: int = 1024 * 1024
    buffered_bytes: int = 16 * 1024 * 1024
    """What is remembered of these commands."""
    turn_steps: int = 1000
    """Requests, and values of one request, that one turn of the event loop may deal with."""
    inline_encode_bytes: int = 64 * 1024
    """Payload bytes that one turn of the event loop may encode itself; more goes to the converter process."""
    inline_decode_bytes: int = 16 * 1024
    """Likewise for stored bytes that are decoded, and what they become; it costs several times as much."""


class Policy(NamedTuple):
    """All that decides what a session does."""

    rules: tuple[Rule, ...]
    guard: Guard = Guard()
    limits: SessionLimits = SessionLimits()

    def match(self, key: bytes) -> Rule | None:
        """The rule of a managed key; None: the key is not managed. First match wins."""
        for rule in self.rules:
            if rule.matches(key):
                return None if rule.treats_as is As.UNTOUCHED else rule
        return None

    def may_reach(self, pattern: bytes) -> bool:
        """Whether a pattern of SORT, its star replaced by anything, may name a managed key."""
        start = pattern.partition(b"*")[0]
        return any(
            rule.prefix.startswith(start) or start.startswith(rule.prefix)
            for rule in self.rules
            if rule.treats_as is not As.UNTOUCHED
        )
