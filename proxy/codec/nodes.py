"""What a stored value is made of while it is between pickle and payload.

None, bool, int, float, str, bytes, bytearray, list, tuple and dict stand for themselves; the rest are the
inert stand-ins below. None of them is ever hashed or compared by content: a dict's string keys are plain
strings (CPython hashes those with a secret key), any other key is wrapped in `Key`, which hashes by identity.
"""

from typing import Any, Final, NamedTuple, TypeAlias

Node: TypeAlias = Any
"""One of the types above. Any, because the types are recursive and the machine checks each by itself."""


class Key:
    """A dict key that is not a string."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        """`node`: the key itself."""
        self.node = node


class Symbol:
    """A class or function by its name. It is never imported. There is one for each name, in `shapes`."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        """`module` and `name`: as Python 3 calls them."""
        self.module = module
        self.name = name

    def __str__(self) -> str:
        """As in an import."""
        return f"{self.module}.{self.name}"


class Collection:
    """A set, frozenset or OrderedDict: `tag` says which; `items` is a list, or a dict for the last."""

    __slots__ = ("items", "tag")

    def __init__(self, tag: str, items: Node) -> None:
        """`tag`: `py/set`, `py/frozenset` or `py/ordereddict`."""
        self.tag = tag
        self.items = items


class Scalar(NamedTuple):
    """A value of a known class without parts of its own: `content` is what stands under its tag."""

    tag: str
    content: Any
    parts: int = 0
    """What it was put together from, beyond a fixed few: a Response's headers and pieces of its body."""


class Zone(NamedTuple):
    """A timezone: its offset from UTC."""

    offset: Any
    """A datetime.timedelta, shorter than a day."""


class Instance:
    """An object made by NEWOBJ (or Python 2's _reconstructor), its state as BUILD gave it."""

    __slots__ = ("state", "symbol")

    def __init__(self, symbol: Symbol) -> None:
        """`symbol`: the object's class."""
        self.symbol = symbol
        self.state: Node = None


TAGS: Final = frozenset(
    {
        *("py/bytes", "py/bytearray", "py/tuple", "py/set", "py/frozenset", "py/dict", "py/ordereddict"),
        *("py/datetime", "py/date", "py/time", "py/timedelta", "py/decimal", "py/uuid", "py/complex"),
        *("py/float", "py/int", "py/markup", "py/response"),
    }
)
"""The keys that mean a type; an object with any other key is plain data."""

CONTAINERS: Final = frozenset({list, dict, tuple, Collection, Instance})
"""Types that can hold others, and so may be shared or deep."""
