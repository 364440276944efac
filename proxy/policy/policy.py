"""Rules, guard and limits, frozen: they decide which requests are allowed and which values are transcoded.

A reload makes a new Policy. Replies to requests under the old one keep its rules.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple

from proxy.codec import CodecLimits, Options, PayloadError, Transcoder
from proxy.codec.glob import Matcher
from proxy.codec.unservable import fault
from proxy.commands import Access, Command
from proxy.resp import RequestLimits

_SHOW_SECRETS: Final = frozenset({b"CONFIG|GET", b"ACL|LIST", b"ACL|GETUSER"})
"""Commands that show `requirepass`, `masterauth`, or the hashes of users' passwords."""


class As(Enum):
    """How a rule treats its keys."""

    VALUE = "value"
    UNTOUCHED = "untouched"
    READ_ONLY = "read-only"
    REFUSED = "refused"
    """Not a setting. Only `OVERSIZE` has it."""


class OnUndecodable(Enum):
    """The reply to a read of a stored value that cannot be decoded."""

    ERROR = "error"
    NIL = "nil"
    RAW = "raw"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One `[[rule]]`, for the clients of listeners with one payload format."""

    name: str
    matches: Matcher
    prefix: bytes
    """The fixed beginning of every key of the rule."""
    is_prefix: bool
    """Every key with this beginning belongs to the rule."""
    treats_as: As
    transcoder: Transcoder
    inline: Transcoder
    """The same with limits so small that it may run on the event loop."""
    on_undecodable: OnUndecodable
    default_ttl: int
    """Seconds for a SET without an expiry; 0: it gets no expiry."""
    only_reads: bool = False
    """The rule belongs to a plain listener, which only reads."""
    has_digits: bool = True
    """Ints are stored as digits, so INCR and DECR work on them."""
    pattern: bytes = b""
    """The glob of `matches`. Two policies with the same patterns manage the same keys."""
    views: Matcher | None = None
    """Matches the keys under which only values may be stored that Flask can serve as a view; None: there are none."""

    def view_fault(self, key: bytes, stored: bytes) -> PayloadError | None:
        """The error for a value of our encoder that must not be stored under this key; None: it may."""
        return fault(stored) if self.views is not None and self.views(key) else None

    @property
    def limits(self) -> CodecLimits:
        """The limits of its values, on their way through the proxy too."""
        return self.transcoder.options.limits

    @property
    def limits_of_rule(self) -> tuple[str, ...]:
        """The names of the limits that it sets itself."""
        return self.transcoder.options.limits_of_rule


LONGEST_KEY: Final = 64 * 1024
"""Bytes of the longest key that is matched, as matching takes time. Longer keys that may be managed are refused."""

OVERSIZE: Final = Rule(
    name="oversize",
    matches=lambda key: len(key) > LONGEST_KEY,
    prefix=b"",
    is_prefix=False,
    treats_as=As.REFUSED,
    transcoder=Transcoder(Options()),
    inline=Transcoder(Options()),
    on_undecodable=OnUndecodable.ERROR,
    default_ttl=0,
)
"""The rule of keys that are too long to match and begin like managed keys. It refuses every command on them."""


class Guard(NamedTuple):
    """`[guard]`."""

    allow_all_scripts: bool = False
    allowed_scripts: frozenset[bytes] = frozenset()
    """SHA1s, lower-case hex."""
    allowed_commands: frozenset[bytes] = frozenset()
    """Names in upper case: `PARENT|SUB` for one subcommand, `PARENT` for all its subcommands."""
    keeps_secrets: bool = False
    """The proxy logs in to Redis itself, so commands that show passwords are refused too."""
    only_reads: bool = False
    """A plain listener, which only reads: scripts and writes of a whole database are always refused."""

    def names(self, name: bytes) -> bool:
        """Whether `[guard] allow` names a command, or the command that a subcommand belongs to."""
        return name in self.allowed_commands or name.partition(b"|")[0] in self.allowed_commands

    def refuses(self, command: Command) -> bool:
        """Whether a command is refused regardless of its keys. (Scripts are allowed by their SHA1, elsewhere.)"""
        if command.access is Access.NEVER:
            return True
        is_closed = command.access is Access.ADMIN or (self.keeps_secrets and command.name in _SHOW_SECRETS)
        return is_closed and not self.names(command.name)


class SessionLimits(NamedTuple):
    """The limits of one conversation."""

    request: RequestLimits = RequestLimits()
    codec: CodecLimits = CodecLimits()
    """Of values, where their rule has no limits of its own."""
    pending_commands: int = 1024 * 1024
    """Commands whose replies are outstanding."""
    buffered_bytes: int = 16 * 1024 * 1024
    """Bytes that the entries of these commands hold."""
    turn_steps: int = 1000
    """Requests, or values of one request, that one turn of the event loop may handle."""
    inline_encode_bytes: int = 64 * 1024
    """Payload bytes that one turn of the event loop may encode itself. Larger values go to the converter process."""
    inline_decode_bytes: int = 16 * 1024
    """The same for decoding: stored bytes plus payload bytes. Decoding costs several times as much as encoding."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Policy:
    """All settings that a session depends on."""

    rules: tuple[Rule, ...]
    guard: Guard = field(default_factory=Guard)
    limits: SessionLimits = field(default_factory=SessionLimits)
    plans: dict[tuple[object, ...], Any] = field(default_factory=dict, repr=False)
    """A memo in which sessions keep objects made from the rules. A memo elsewhere would keep old rules alive."""

    def match(self, key: bytes) -> Rule | None:
        """The rule of a managed key, by the first match. None: the key is not managed."""
        if len(key) > LONGEST_KEY:
            return self._match_by_prefix(key)
        for rule in self.rules:
            if rule.matches(key):
                return None if rule.treats_as is As.UNTOUCHED else rule
        return None

    def manages_as(self, other: "Policy") -> bool:
        """Whether both policies manage the same keys, in the same way."""
        return [(rule.pattern, rule.treats_as) for rule in self.rules] == [
            (rule.pattern, rule.treats_as) for rule in other.rules
        ]

    def _match_by_prefix(self, key: bytes) -> Rule | None:
        """OVERSIZE for a key that may be managed. An untouched rule that surely matches hides the rules after it."""
        for rule in self.rules:
            if not key.startswith(rule.prefix):
                continue
            if rule.treats_as is not As.UNTOUCHED:
                return OVERSIZE
            if rule.is_prefix:
                return None
        return None

    @property
    def widest(self) -> CodecLimits:
        """The largest limits that any value has, for tools that look at all of them."""
        all_limits = [self.limits.codec, *(rule.limits for rule in self.rules)]
        return CodecLimits(*map(max, zip(*all_limits, strict=True)))

    def may_reach(self, pattern: bytes) -> bool:
        """Whether a pattern of SORT may name a managed key. Its first `*` stands for any text; without one: False."""
        start, star, _ = pattern.partition(b"*")
        if not star:
            return False
        return any(
            rule.prefix.startswith(start) or start.startswith(rule.prefix)
            for rule in self.rules
            if rule.treats_as is not As.UNTOUCHED
        )
