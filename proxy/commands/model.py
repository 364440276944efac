"""What a command means to us, and where its keys and cached values stand among its arguments.

A row says what the proxy does, never how. Finders take the whole request (`args[0]` is the name) and
never raise. Where the arguments are malformed they find too many keys rather than too few: a managed key
must not hide behind a wrong count or an unusual spelling. Option words are compared as Redis compares
them: without case, and as C strings, which end at a NUL.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

Args = Sequence[bytes]
KeyFinder = Callable[[Args], Sequence[bytes]]
ValueFinder = Callable[[Args], Sequence[tuple[int, int]] | None]

#: What a name or subcommand must match wholly: Redis compares names as C strings, which end at a NUL.
VALID_NAME = re.compile(rb"[A-Za-z0-9._|-]+")


class Managed(Enum):
    """What happens to a command that names a managed key."""

    REFUSE = auto()
    PASS = auto()
    #: Values are encoded on the way in and decoded on the way out.
    TRANSCODE = auto()
    #: Passes if all its keys are of one rule, else refused.
    SAME_RULE = auto()


class Reply(Enum):
    """Where stored values stand in the reply."""

    RAW = auto()
    VALUE = auto()
    #: A value if the request has the GET option (SET), else raw.
    VALUE_IF_GET = auto()
    #: An array with one value for each key.
    VALUES = auto()


class Turn(Enum):
    """How a command turns the conversation. SUBSCRIBE and UNSUBSCRIBE stand for their P and S forms too."""

    NONE = auto()
    MULTI = auto()
    EXEC = auto()
    DISCARD = auto()
    WATCH = auto()
    RESET = auto()
    HELLO = auto()
    AUTH = auto()
    SELECT = auto()
    SUBSCRIBE = auto()
    UNSUBSCRIBE = auto()
    MONITOR = auto()
    QUIT = auto()
    CLIENT_REPLY = auto()
    #: Touches state of the connection that only Redis keeps: its name, tracking, READONLY.
    STATE = auto()


class Access(Enum):
    """Who may send a command, whatever its keys."""

    OPEN = auto()
    #: Refused unless `[guard] allow` names it.
    ADMIN = auto()
    #: Follows `[guard] scripts` and `allow_scripts`.
    SCRIPT = auto()
    #: Refused, and no setting allows it.
    NEVER = auto()
    #: Answered by us as a subcommand that Redis does not know.
    UNKNOWN_SUBCOMMAND = auto()
    #: Not a command: an HTTP request sent to a Redis port. Redis closes such a connection, and so do we.
    CLOSE = auto()


def no_keys(args: Args) -> Sequence[bytes]:
    """For commands without keys."""
    return ()


def first(args: Args) -> Sequence[bytes]:
    """`GET key ...`."""
    return args[1:2]


def first_two(args: Args) -> Sequence[bytes]:
    """`RENAME key newkey`."""
    return args[1:3]


def all_but_last(args: Args) -> Sequence[bytes]:
    """`BLPOP key [key ...] timeout`."""
    return args[1:-1]


def at(index: int) -> KeyFinder:
    """One key, at `index`."""
    return lambda args: args[index : index + 1]


def since(index: int, *, step: int = 1) -> KeyFinder:
    """Every argument from `index` on, or every `step`th."""
    return lambda args: args[index::step]


def counted(index: int, *, also: KeyFinder = no_keys) -> KeyFinder:
    """`numkeys key [key ...]` with numkeys at `index`, behind the keys that `also` finds."""

    def keys(args: Args) -> Sequence[bytes]:
        count = _count(args, index)
        return [*also(args), *args[index + 1 : None if count is None else index + 1 + count]]

    return keys


def counted_pairs(args: Args) -> Sequence[bytes]:
    """`MSETEX numkeys key value [key value ...]`."""
    count = _count(args, 1, each=2)
    return args[2:] if count is None else args[2 : 2 + 2 * count : 2]


def first_and_after(*words: bytes, options_at: int) -> KeyFinder:
    """The first argument, and what follows any of `words` as an option: `GEORADIUS key ... STORE key`."""
    return lambda args: [*args[1:2], *after(*words, options_at=options_at)(args)]


def after(*words: bytes, options_at: int) -> KeyFinder:
    """What follows any of `words`, even where the word may be the operand of another option."""

    def found(args: Args) -> Sequence[bytes]:
        return [args[i + 1] for i in range(options_at, len(args) - 1) if _word(args[i]) in words]

    return found


def sort_patterns(args: Args) -> Sequence[bytes]:
    """The BY and GET patterns of SORT through which it reads other keys; without a `*` it reads none."""
    return [pattern for pattern in after(b"BY", b"GET", options_at=2)(args) if b"*" in pattern]


_STREAM_OPTIONS = {
    b"BLOCK": 1, b"COUNT": 1, b"GROUP": 2, b"NOACK": 0, b"CLAIM": 1, b"MAXCOUNT": 1, b"MAXSIZE": 1,
}  # fmt: skip


def streams(args: Args) -> Sequence[bytes]:
    """`XREADGROUP GROUP group consumer ... STREAMS key [key ...] id [id ...]`; STREAMS may name a group."""
    i = 1
    while i < len(args):
        word = _word(args[i])
        if word == b"STREAMS":
            rest = args[i + 1 :]
            return rest if len(rest) % 2 else rest[: len(rest) // 2]
        if word not in _STREAM_OPTIONS:
            return args[i:]
        i += 1 + _STREAM_OPTIONS[word]
    return ()


def rest_after(word: bytes, *, options_at: int, also: KeyFinder = no_keys) -> KeyFinder:
    """All that follows `word`, and what `also` finds: `MIGRATE host port key|"" db timeout ... KEYS key`."""

    def found(args: Args) -> Sequence[bytes]:
        words = (i for i in range(options_at, len(args)) if _word(args[i]) == word)
        return [key for key in (*also(args), *args[next(words, len(args)) + 1 :]) if key]

    return found


def no_values(args: Args) -> Sequence[tuple[int, int]]:
    """For commands that write no cached value."""
    return ()


def value_at(index: int) -> ValueFinder:
    """One value at `index`, its key first of all."""
    place = ((1, index),)
    return lambda args: place if len(args) > index else ()


def value_after_key(args: Args) -> Sequence[tuple[int, int]]:
    """`MSET key value [key value ...]`."""
    return [(i - 1, i) for i in range(2, len(args), 2)]


def value_after_counted_key(args: Args) -> Sequence[tuple[int, int]] | None:
    """`MSETEX numkeys key value [key value ...]`; None where numkeys does not fit."""
    count = _count(args, 1, each=2)
    return None if count is None else [(i - 1, i) for i in range(3, 3 + 2 * count, 2)]


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """One row of the table.

    Attributes:
        name: In upper case; `PARENT|SUB` for a subcommand.
        keys: Finds the keys that a request names. Channels are not keys.
        managed: What becomes of a request that names a managed key.
        values: Finds the (index of key, index of value) of every cached value that a request writes; None if
            that cannot be told, and then the request must be refused.
        reply: Where stored values stand in the reply.
        options: The options known to be safe on a managed key, each with its number of operands; any other word
            where options stand must be refused, one with a NUL in it too. None: no options.
        options_from: Index at which options begin, where no value is written.
        unknown_option: Redis' own error for such a word, which stands in it as `{}`.
        refused_options: Options that compare bytes, which equal values need not share: refused by name.
        patterns: Finds the patterns through which a request reads keys that it does not name.
        turn: How it turns the conversation.
        access: Who may send it, whatever its keys.
        writes: As Redis flags it.
        blocking: Its reply may wait for other clients.
        subcommands: By upper-case name, if this row is a container.
        is_straight: Its one key stands first, and nothing else about it matters: it is open to all, turns nothing and
            waits for nobody.
    """

    name: bytes
    keys: KeyFinder = field(default=no_keys, repr=False)
    managed: Managed = Managed.REFUSE
    values: ValueFinder = field(default=no_values, repr=False)
    reply: Reply = Reply.RAW
    options: Mapping[bytes, int] | None = field(default=None, repr=False)
    options_from: int = field(default=2, repr=False)
    unknown_option: str = field(default="ERR syntax error", repr=False)
    refused_options: frozenset[bytes] = field(default=frozenset(), repr=False)
    patterns: KeyFinder = field(default=no_keys, repr=False)
    turn: Turn = Turn.NONE
    access: Access = Access.OPEN
    writes: bool = False
    blocking: bool = False
    subcommands: Mapping[bytes, "Command"] | None = field(default=None, repr=False)
    is_straight: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Work out what the hot path asks, once."""
        open_to_all = self.access is Access.OPEN and self.turn is Turn.NONE and self.subcommands is None
        straight = open_to_all and self.keys is first and self.patterns is no_keys and not self.blocking
        object.__setattr__(self, "is_straight", straight)

    def options_at(self, args: Args) -> int:
        """Index at which options begin: behind the last value, if any is written."""
        values = self.values(args)
        return values[-1][1] + 1 if values else self.options_from

    @property
    def pins(self) -> bool:
        """Whether the conversation needs an upstream connection of its own from here on."""
        return self.blocking or self.turn is not Turn.NONE


def _word(arg: bytes) -> bytes:
    """`arg` as strcasecmp sees it."""
    return arg.partition(b"\0")[0].upper()


def _count(args: Args, index: int, *, each: int = 1) -> int | None:
    """The numkeys at `index`, if well-formed and that many keys of `each` arguments follow, else None."""
    text = args[index] if len(args) > index else b""
    if not text.isdigit() or len(text) > 9 or (text[0] == ord("0") and text != b"0"):
        return None
    count = int(text)
    return count if index + 1 + count * each <= len(args) else None
