"""Nodes: the parts of a stored value between pickle and payload.

None, bool, int, float, str, bytes, bytearray, list, tuple and dict stand for themselves. All other types are the inert
classes below. The code never hashes or compares nodes by content. String keys of a dict are plain strings, which
CPython hashes with a secret key. Any other key is wrapped in `Key`, which hashes by identity.
"""

from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeAlias

Node: TypeAlias = Any
"""One of the types above. `Any`, because the types are recursive and the machine checks each at run time."""


UNKNOWN: Final = object()
"""The value of a field that has not been computed yet."""


class OldBytes(bytes):
    """A str of Python 2 that is not ASCII."""

    __slots__ = ()


class Key:
    """A dict key that is not a string."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        """`node`: the key itself."""
        self.node = node


class Symbol:
    """A class or function, only by its name. It is never imported. A machine has one object for each name."""

    __slots__ = ("module", "name", "text")

    def __init__(self, module: str, name: str) -> None:
        """`module` and `name`: as in the pickle. CPython's table maps names of Python 2."""
        self.module = module
        self.name = name
        self.text = f"{module}.{name}"
        """The dotted name."""

    def __str__(self) -> str:
        """The dotted name."""
        return self.text


class Collection:
    """A container of the standard library: its tag, and its items as a list or dict."""

    __slots__ = ("items", "more", "tag")

    def __init__(self, tag: str, items: Node, more: str | int | None = None) -> None:
        """`items`: a list for `py/set`, `py/frozenset` and `py/deque`; a dict for `py/ordereddict`, `py/counter` and
        `py/defaultdict`. `more`: the `maxlen` of a deque, or the factory of a defaultdict.
        """
        self.tag = tag
        self.items = items
        self.more = more


class Scalar(NamedTuple):
    """A value of a known class that is not a container. `content` is the content of its tag."""

    tag: str
    content: Any
    parts: int = 0
    """Number of parts beyond a fixed few: the headers of a Response and the pieces of its body."""


class Damaged(NamedTuple):
    """An object of a known class in a form that its class never pickles. Presenting it is an error."""

    symbol: Symbol


class Zone(NamedTuple):
    """A timezone, as a datetime needs it."""

    offset: timedelta | None
    """The offset from UTC, less than a day; None: the rules of `name` give it for each datetime."""
    name: str | None = None
    """The name in the time zone database; None: a zone with a fixed offset."""


class Instance:
    """An object of any class, as its pickle describes it. The object itself is never created.

    It is complete when the pickle ends. `unpickle.instances` computes the value that a reader gets.
    """

    __slots__ = ("args", "is_called", "items", "kwargs", "pairs", "rest", "state", "symbol", "value", "zone")

    def __init__(self, symbol: Symbol, args: tuple[Node, ...] = (), *, is_called: bool = False) -> None:
        """`symbol`: its class, or the function that creates it. `is_called`: by REDUCE, which may call a function."""
        self.symbol = symbol
        self.args = args
        self.is_called = is_called
        self.kwargs: dict[Any, Node] | None = None
        self.state: Node = None
        """The argument of BUILD."""
        self.items: list[Node] | None = None
        """The items that APPEND, APPENDS and ADDITEMS add."""
        self.pairs: dict[Any, Node] | None = None
        """The pairs that SETITEM and SETITEMS add."""
        self.zone: Zone | None = None
        """The object as a timezone; None: not computed yet, or not a known timezone."""
        self.value: Node = UNKNOWN
        """The value that a reader gets."""
        self.rest: Node = UNKNOWN
        """The value without containers, for an object that contains itself."""


READ_ONLY_TAGS: Final = frozenset(
    {
        *("py/instance", "py/global", "py/cycle"),
        *("py/numpy", "py/ndarray", "py/timestamp", "py/series", "py/dataframe"),
    }
)
"""Tags of values that only the app can write. Writers must not use them."""

TAGS: Final = READ_ONLY_TAGS | {
    *("py/bytes", "py/bytearray", "py/tuple", "py/set", "py/frozenset", "py/dict", "py/ordereddict"),
    *("py/datetime", "py/date", "py/time", "py/timedelta", "py/decimal", "py/uuid", "py/complex"),
    *("py/float", "py/int", "py/markup", "py/response"),
    *("py/counter", "py/defaultdict", "py/deque", "py/zoned"),
}
"""All tags: keys that name a type. An object with any other key is plain data."""

RESERVED: Final = "py/"
"""An object whose only key begins with this is never plain data: the key is a tag, or an error for writers."""

CONTAINERS: Final = frozenset({list, dict, tuple, Collection, Instance})
"""Types that can hold other nodes, and so may be shared or nested."""
