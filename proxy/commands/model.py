"""The model of a command: the treatment of managed keys, and finders for keys and cached values in its arguments.

A row says what the proxy does, but not how. A finder takes the whole request (`args[0]` is the name) and never raises.
If the arguments are malformed, it finds too many keys rather than too few: a managed key must not hide behind a wrong
count or an unusual spelling. Option words are compared like in Redis: without case, and as C strings, which end at a
NUL.

A request may have a million arguments, so finders must be fast. They find keys lazily, and search for words only
among the first arguments.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import chain, islice

Args = Sequence[bytes]
KeyFinder = Callable[[Args], Iterable[bytes]]
ValueFinder = Callable[[Args], Sequence[int] | None]

#: The number of arguments that are searched for option words. In a longer request, every argument counts as a key.
MOST_WORDS = 1000
#: In bytes. No server has a command, a subcommand or an option with a longer name.
LONGEST_NAME = 64

_VALID_NAME = re.compile(rb"[A-Za-z0-9._|-]+")


def is_valid_name(name: bytes) -> bool:
    """True if `name` can be a command or subcommand: a short word without a NUL, at which Redis' comparison ends."""
    return len(name) <= LONGEST_NAME and _VALID_NAME.fullmatch(name) is not None


class Managed(Enum):
    """The treatment of a command that names a managed key."""

    REFUSE = auto()
    PASS = auto()
    #: Values are encoded in the request and decoded in the reply.
    TRANSCODE = auto()
    #: Passes if all its keys have the same rule, otherwise refused.
    SAME_RULE = auto()


class Reply(Enum):
    """The positions of stored values in the reply, or its other content that clients must not get."""

    #: No stored value.
    RAW = auto()
    #: One value.
    VALUE = auto()
    #: A value if the request has the GET option (SET), otherwise raw.
    VALUE_IF_GET = auto()
    #: An array with one value for each key.
    VALUES = auto()
    #: No value, but it has addresses of cluster nodes, which clients must not get.
    NODES = auto()
    #: No value and no address, but Redis sends it only in cluster mode. Valkey sends it always.
    CLUSTER = auto()
    #: No value. ROLE's reply, which has the addresses of the master or the replicas.
    ROLE = auto()


class Turn(Enum):
    """The change that a command makes to the connection's state. SUBSCRIBE and UNSUBSCRIBE include P and S forms."""

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
    CLIENT_CACHING = auto()
    CLIENT_SETNAME = auto()
    #: Changes state that only Redis keeps: tracking, the library's name, READONLY.
    STATE = auto()


class Access(Enum):
    """The clients that may send a command, independent of its keys."""

    OPEN = auto()
    #: Refused unless `[guard] allow` names it.
    ADMIN = auto()
    #: Follows `[guard] scripts` and `allow_scripts`.
    SCRIPT = auto()
    #: Refused, and no setting allows it.
    NEVER = auto()
    #: Answered by the proxy with Redis' error for an unknown subcommand.
    UNKNOWN_SUBCOMMAND = auto()
    #: Changes a cluster. Answered by the proxy like a Redis that is not in cluster mode.
    CLUSTER = auto()
    #: The first word of an HTTP request. The proxy closes the connection, like Redis.
    CLOSE = auto()


class Spread(Enum):
    """The nodes of a Redis Cluster to which a command goes, and the reply that the client gets. See `session/cluster`.

    A *lane* is a connection to one node. The *home lane* is the one for commands that any node can answer.
    """

    #: The node of the first key. Without a key: the home lane.
    KEYED = auto()
    #: As KEYED. The client's own code may make the reply, so a redirect in it proves nothing.
    SCRIPT = auto()
    #: The node of the first argument, a shard channel.
    CHANNEL = auto()
    #: In parts, one for each run of keys of one slot. The replies become one.
    RUNS = auto()
    #: The home lane.
    HOME = auto()
    #: All masters; the sum of the numbers.
    SUM = auto()
    #: All masters; the first reply, which is that of each.
    FIRST = auto()
    #: All masters; an array with the least number for each element.
    EACH_LEAST = auto()
    #: All masters; an array of names, each with the sum of its numbers.
    EACH_SUM = auto()
    #: All masters; the elements of all arrays, one node after the other.
    STREAM = auto()
    #: One master after the other. The cursor says which.
    SCAN = auto()
    #: Begins or ends a transaction, which is on one node.
    MULTI = auto()
    #: Begins or ends the watch of keys, which is on the node of the transaction that follows.
    WATCH = auto()
    #: All lanes, also later ones; the reply of the home lane.
    EVERY_LANE = auto()
    #: The home lane. All others are closed.
    RESET = auto()
    #: Nowhere: we answer as a cluster of one node.
    TOPOLOGY = auto()
    #: Nowhere: the command is refused, for a reason of its own.
    REFUSED = auto()


class Pin(Enum):
    """Why a client needs a connection to Redis of its own, where clients share connections. `value` is for counters.

    A shared connection takes only whole requests that bring exactly one reply, leave no state and do not block.
    """

    #: MULTI, WATCH and what belongs to them.
    TRANSACTION = "transaction"
    #: The reply may wait for other clients, who would wait for it in turn.
    BLOCKING = "blocking"
    SUBSCRIPTION = "subscription"
    MONITOR = "monitor"
    #: SELECT of another database than that of the url.
    DATABASE = "database"
    TRACKING = "tracking"
    #: Other state of a connection, or a question about it.
    CLIENT = "client"
    #: Scripts and functions may run for long.
    SCRIPT = "script"
    #: Refused unless `[guard] allow` names it.
    ADMIN = "admin"
    #: It works on all keys.
    KEYSPACE = "keyspace"
    #: A login that Redis itself must answer.
    LOGIN = "login"
    #: The table does not have the command. No row has this.
    UNKNOWN = "unknown"
    #: The request is large. No row has this.
    LARGE = "large"


def no_keys(args: Args) -> Iterable[bytes]:
    """For commands without keys."""
    return ()


def first(args: Args) -> Iterable[bytes]:
    """`GET key ...`."""
    return args[1:2]


def first_two(args: Args) -> Iterable[bytes]:
    """`RENAME key newkey`."""
    return args[1:3]


def all_but_last(args: Args) -> Iterable[bytes]:
    """`BLPOP key [key ...] timeout`."""
    return islice(args, 1, max(1, len(args) - 1))


def at(index: int) -> KeyFinder:
    """One key, at `index`."""
    return lambda args: args[index : index + 1]


def since(index: int, *, step: int = 1) -> KeyFinder:
    """Every argument from `index` on, or every `step`th."""
    return lambda args: islice(args, index, None, step)


def counted(index: int, *, also: KeyFinder = no_keys) -> KeyFinder:
    """The keys that `also` finds, then `numkeys key [key ...]` with numkeys at `index`."""

    def keys(args: Args) -> Iterable[bytes]:
        count = _count(args, index)
        return chain(also(args), islice(args, index + 1, None if count is None else index + 1 + count))

    return keys


def counted_pairs(args: Args) -> Iterable[bytes]:
    """`MSETEX numkeys key value [key value ...]`."""
    count = _count(args, 1, each=2)
    return islice(args, 2, None) if count is None else islice(args, 2, 2 + 2 * count, 2)


def first_and_after(*words: bytes, options_at: int) -> KeyFinder:
    """The first argument and each argument after one of `words`: `GEORADIUS key ... STORE key`."""
    return lambda args: chain(args[1:2], after(*words, options_at=options_at)(args))


def after(*words: bytes, options_at: int) -> KeyFinder:
    """Each argument after one of `words`, even if the word could be the operand of another option."""

    def found(args: Args) -> Iterable[bytes]:
        if len(args) > MOST_WORDS:
            return islice(args, options_at, None)
        return (args[i + 1] for i in range(options_at, len(args) - 1) if word(args[i]) in words)

    return found


_STREAM_OPTIONS = {
    b"BLOCK": 1, b"COUNT": 1, b"GROUP": 2, b"NOACK": 0, b"CLAIM": 1, b"MAXCOUNT": 1, b"MAXSIZE": 1,
}  # fmt: skip


def streams(args: Args) -> Iterable[bytes]:
    """`XREADGROUP GROUP group consumer ... STREAMS key [key ...] id [id ...]`. A group may be called STREAMS."""
    i = 1
    while i < len(args):
        option = word(args[i])
        if option == b"STREAMS":
            rest = len(args) - (i + 1)
            return islice(args, i + 1, None if rest % 2 else i + 1 + rest // 2)
        if option not in _STREAM_OPTIONS or i > MOST_WORDS:
            return islice(args, i, None)
        i += 1 + _STREAM_OPTIONS[option]
    return ()


def nested(args: Args) -> Iterable[bytes]:
    """KeyDB's `KEYDB.NHSET key.field[.field ...] value`, `KEYDB.NHGET [JSON|RESP] key...`: the key ends at a dot."""
    return [key for arg in args[1:3] for key in (arg, arg.partition(b".")[0])]


def compactions(args: Args) -> Iterable[bytes]:
    """The pattern of the series that a compaction policy of RedisTimeSeries adds to a new one: `key_AVG_60000`."""
    return [arg + b"_*" for arg in args[1:2]]


def rest_after(name: bytes, *, options_at: int, also: KeyFinder = no_keys) -> KeyFinder:
    """The keys that `also` finds and all arguments after `name`: `MIGRATE host port key|"" db timeout ... KEYS key`."""

    def found(args: Args) -> Iterable[bytes]:
        options = range(options_at, min(len(args), MOST_WORDS))
        at = next((i + 1 for i in options if word(args[i]) == name), options.stop)
        return filter(None, chain(also(args), islice(args, at, None)))

    return found


def no_values(args: Args) -> Sequence[int]:
    """For commands that write no cached value."""
    return ()


def value_at(index: int) -> ValueFinder:
    """One value at `index`, of the first key."""
    place = (index,)
    return lambda args: place if len(args) > index else ()


def value_after_key(args: Args) -> Sequence[int]:
    """`MSET key value [key value ...]`."""
    return range(2, len(args), 2)


def value_after_counted_key(args: Args) -> Sequence[int] | None:
    """`MSETEX numkeys key value [key value ...]`. None if numkeys does not fit."""
    count = _count(args, 1, each=2)
    return None if count is None else range(3, 3 + 2 * count, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """One row of the table.

    Attributes:
        name: In upper case; `PARENT|SUB` for a subcommand.
        keys: Finds the keys that a request names. Channels are not keys.
        managed: The treatment of a request that names a managed key.
        values: Finds the indexes of all cached values that a request writes. Their keys are the first that `keys`
            finds, in the same order. None: the indexes are unknown, and the request must be refused.
        value_index: The index of the cached value, if a request always writes one value at the same index. Then
            `values` is set from it.
        reply: The positions of stored values in the reply, or its other content that clients must not get.
        options: The options that are safe on a managed key, each with its number of operands. Any other word among
            the options must be refused, also one with a NUL. None: the command has no options.
        options_from: The index at which options begin if no value is written.
        unknown_option: Redis' own error for such a word. `{}` stands for the word.
        refused_options: Options that compare bytes. Equal values may have different bytes, so they are refused.
        patterns: Finds the patterns of keys that a request uses without naming the keys: those with a `*`.
        turn: The change of the connection's state.
        access: The clients that may send it, independent of its keys.
        writes: Redis' flag `write`.
        writes_unnamed: It writes without naming keys: a whole database, the functions or the scripts.
        counts: It adds to an int that is the value.
        of_another_type: It works on another type of Redis than strings, which cached values are.
        blocking: Its reply may wait for other clients.
        subcommands: The rows by upper-case name, if this row is a container.
        spread: Where it goes on a Redis Cluster. `spread` has the column; a row that is not in the table has KEYED.
        pin: Why it does not travel on a connection that clients share; None: it does. `pins` has the column.
        is_straight: Its only key is the first argument. It is open to all clients, changes no state and never blocks.
    """

    name: bytes
    keys: KeyFinder = field(default=no_keys, repr=False)
    managed: Managed = Managed.REFUSE
    values: ValueFinder = field(default=no_values, repr=False)
    value_index: int | None = field(default=None, kw_only=True, repr=False)
    reply: Reply = Reply.RAW
    options: Mapping[bytes, int] | None = field(default=None, repr=False)
    options_from: int = field(default=2, repr=False)
    unknown_option: str = field(default="ERR syntax error", repr=False)
    refused_options: frozenset[bytes] = field(default=frozenset(), repr=False)
    patterns: KeyFinder = field(default=no_keys, repr=False)
    turn: Turn = Turn.NONE
    access: Access = Access.OPEN
    writes: bool = False
    writes_unnamed: bool = field(default=False, kw_only=True, repr=False)
    counts: bool = field(default=False, kw_only=True, repr=False)
    of_another_type: bool = field(default=False, kw_only=True, repr=False)
    blocking: bool = False
    subcommands: Mapping[bytes, "Command"] | None = field(default=None, repr=False)
    spread: Spread = field(default=Spread.KEYED, kw_only=True, repr=False)
    pin: Pin | None = field(default=None, kw_only=True, repr=False)
    is_straight: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compute the attributes for the fast path once."""
        open_to_all = self.access is Access.OPEN and self.turn is Turn.NONE and self.subcommands is None
        straight = open_to_all and self.keys is first and self.patterns is no_keys and not self.blocking
        object.__setattr__(self, "is_straight", straight)
        if self.value_index is not None:
            object.__setattr__(self, "values", value_at(self.value_index))

    def options_at(self, args: Args) -> int:
        """The index at which options begin: after the last value, if one is written."""
        values = self.values(args)
        return values[-1] + 1 if values else self.options_from

    @property
    def travels(self) -> bool:
        """True if a shared connection takes it: it brings exactly one reply, leaves no state and does not block."""
        return self.pin is None


def word(arg: bytes) -> bytes:
    """`arg` as strcasecmp compares it, cut to the length that matters: longer words are in no table."""
    return arg[: LONGEST_NAME + 1].partition(b"\0")[0].upper()


def _count(args: Args, index: int, *, each: int = 1) -> int | None:
    """The numkeys at `index`. None if it is malformed, or if fewer keys of `each` arguments follow."""
    text = args[index] if len(args) > index else b""
    if len(text) > 9 or not text.isdigit() or (text[0] == ord("0") and text != b"0"):
        return None
    count = int(text)
    return count if index + 1 + count * each <= len(args) else None
