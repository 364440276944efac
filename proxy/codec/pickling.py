"""Payload tree -> pickle, for values with tags, which CPython's own pickler cannot write without the classes.

Opcodes as in CPython's pickletools, protocols 2 to 5. The tree is walked once, without recursion; a plan says
for each value what stands before its parts, the parts, and what stands behind them. Repeated strings and
class names are memoised as CPython does, so that the app loads them as fast as its own values.
"""

import struct
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from proxy.codec import collisions
from proxy.codec.collisions import Collisions
from proxy.codec.errors import PayloadError
from proxy.codec.limits import OBJECT_NODES, PAIR_NODES, TAG_NODES, CodecLimits
from proxy.codec.nodes import Key

_double: Final = struct.Struct(">d").pack
_MAX_MEMO_STRING: Final = 256
_STR_KEYS: Final = frozenset({str})

# What Python does with a value.
_NOTHING: Final = 0
_HASHES: Final = 1
"""It is a key, or a member of a set."""
_HASHES_WITH_ANOTHER: Final = 2
"""It is a part of such a one."""


class Plan(NamedTuple):
    """How one value is written: `open`, then each part, then `close` (which may not touch the memo)."""

    open: bytes
    parts: Iterable[Any] = ()
    close: bytes = b""
    hashed: bool = False
    """Python hashes each part (members of a set)."""


class _Close(NamedTuple):
    code: bytes
    hashed: int


class Pickler:
    """Writes one value.

    Each method returns code that uses and fills the memo: it must be written in the order of the calls.
    """

    __slots__ = ("_collisions", "_limits", "_memo", "_nodes", "_out", "_tags", "protocol")

    def __init__(self, protocol: int, tags: "dict[str, TagWriter]", limits: CodecLimits) -> None:
        """`protocol`: 2 to 5. `tags`: the tags that are accepted; an object with any other key is plain data."""
        self.protocol = protocol
        self._tags = tags
        self._limits = limits
        self._out: list[bytes] = []
        # A string by itself; a class, or a zone, by a tuple that no string is equal to.
        self._memo: dict[Any, int] = {}
        self._nodes = 0
        self._collisions = Collisions()

    def dumps(self, root: Any) -> bytes:
        """The pickle of a tree. Raises PayloadError."""
        out, todo = self._out, [root]
        out.append(b"\x80%c" % self.protocol)
        depth, hashed = 0, _NOTHING
        while todo:
            item = todo.pop()
            kind = type(item)
            leaf = _LEAVES.get(kind)
            if leaf is not None:
                self._nodes += 1
                if hashed:
                    self._check_hashable(item, hashed)
                out.append(leaf(self, item))
                continue
            if kind is _Close:
                out.append(item.code)
                hashed = item.hashed
                depth -= 1
                continue
            self.count(1)
            use = hashed
            if kind is _Hashed:
                item, use = item.value, hashed or _HASHES
            plan = self.plan(item, use)
            out.append(plan.open)
            if not plan.close:
                continue
            depth += 1
            if depth > self._limits.depth:
                raise PayloadError(f"nested more than {self._limits.depth} deep ([limits] depth)")
            todo.append(_Close(plan.close, hashed))
            hashed = _HASHES_WITH_ANOTHER if use else _HASHES if plan.hashed else _NOTHING
            todo.extend(reversed(list(plan.parts)))
        out.append(b".")
        self.count(0)
        return b"".join(out)

    def plan(self, value: Any, use: int = _NOTHING) -> Plan:
        """How `value` is written; `use`: what Python does with it. Raises PayloadError."""
        if use:
            self._check_hashable(value, use)
        leaf = _LEAVES.get(type(value))
        return _PLANS[type(value)](self, value) if leaf is None else Plan(leaf(self, value))

    def _check_hashable(self, value: Any, use: int) -> None:
        """That Python can hash a value, and that comparing it takes no longer than it may."""
        kind = type(value)
        nanoseconds, chars = 0, 0
        if kind is int:
            nanoseconds = collisions.of_int(value)
        elif kind is list or kind is dict:
            nanoseconds, chars = self._tagged_key(value)
        elif not (kind is str or kind is bytes or kind is bool or value is None):
            nanoseconds = collisions.NUMBER
        if use == _HASHES_WITH_ANOTHER:
            self._collisions.more(nanoseconds + collisions.NESTED, chars)
        elif nanoseconds:
            self._collisions.key(nanoseconds, chars)

    def _tagged_key(self, value: Any) -> tuple[int, int]:
        """Nanoseconds to compare a tagged value, 0 where CPython keys its hash, and the length of its text.

        Raises PayloadError where there is no hash.
        """
        tag = self._tag(value) if type(value) is dict else None
        if tag is None:
            raise PayloadError("a list or an object cannot be a set's member or a key of py/dict: use py/tuple")
        ((name, content),) = value.items()
        if not tag.hashable(content):
            raise PayloadError(f"this {name} cannot be a set's member or a key of py/dict: Python cannot hash it")
        return tag.compared, len(content) if type(content) is str and tag.compared else 0

    def count(self, nodes: int) -> None:
        """Count nodes besides those of `plan`. Raises PayloadError."""
        self._nodes += nodes
        if self._nodes > self._limits.nodes:
            raise PayloadError(f"more than {self._limits.nodes} nodes ([limits] nodes)")

    def _tag(self, value: dict[str, Any]) -> "TagWriter | None":
        if len(value) != 1:
            return None
        (name,) = value
        if type(name) is not str or not name.startswith("py/"):
            return None
        return self._tags.get(name)

    # -- scalars ---------------------------------------------------------------------------------------

    def integer(self, number: int) -> bytes:
        """An int."""
        if 0 <= number < 256:
            return b"K%c" % number
        if 0 <= number < 65536:
            return b"M" + number.to_bytes(2, "little")
        if -(2**31) <= number < 2**31:
            return b"J" + number.to_bytes(4, "little", signed=True)
        raw = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
        if len(raw) < 256:
            return b"\x8a%c" % len(raw) + raw
        return b"\x8b" + len(raw).to_bytes(4, "little") + raw

    def real(self, number: float) -> bytes:
        """A float."""
        return b"G" + _double(number)

    def string(self, text: str) -> bytes:
        """A str, from the memo where it has been written before."""
        index = self._memo.get(text)
        if index is not None:
            return self._get(index)
        raw = text.encode()
        if self.protocol >= 4 and len(raw) < 256:
            code = b"\x8c%c" % len(raw) + raw
        else:
            code = b"X" + len(raw).to_bytes(4, "little") + raw
        return code + self._put(text) if len(raw) <= _MAX_MEMO_STRING else code

    def binary(self, raw: bytes) -> bytes:
        """A bytes object; protocol 2 has none and calls _codecs.encode."""
        if self.protocol == 2:
            call = self.symbol("_codecs", "encode")
            return call + self.string(raw.decode("latin-1")) + self.string("latin1") + b"\x86R"
        if len(raw) < 256:
            return b"C%c" % len(raw) + raw
        return b"B" + len(raw).to_bytes(4, "little") + raw

    def symbol(self, module: str, name: str) -> bytes:
        """A class or function by its name; Python 2's names under protocol 2, which CPython maps back."""
        key = (module, name)
        index = self._memo.get(key)
        if index is not None:
            return self._get(index)
        if self.protocol >= 4:
            return self.string(module) + self.string(name) + b"\x93" + self._put(key)
        module = "__builtin__" if module == "builtins" and self.protocol == 2 else module
        return f"c{module}\n{name}\n".encode() + self._put(key)

    def _put(self, key: Any) -> bytes:
        index = self._memo[key] = len(self._memo)
        if self.protocol >= 4:
            return b"\x94"
        return b"q%c" % index if index < 256 else b"r" + index.to_bytes(4, "little")

    def _get(self, index: int) -> bytes:
        return b"h%c" % index if index < 256 else b"j" + index.to_bytes(4, "little")

    def zone(self, zone: tzinfo | None) -> bytes:
        """A fixed offset as the last argument of a datetime or time; nothing where there is none."""
        if zone is None:
            return b""
        offset = zone.utcoffset(None) or timedelta(0)
        key = ("datetime", "timezone", offset)
        index = self._memo.get(key)
        if index is not None:
            return self._get(index)
        return self.symbol("datetime", "timezone") + self.delta(offset) + b"\x85R" + self._put(key)

    def delta(self, delta: timedelta) -> bytes:
        """A timedelta."""
        fields = b"".join(map(self.integer, (delta.days, delta.seconds, delta.microseconds)))
        return self.symbol("datetime", "timedelta") + fields + b"\x87R"

    def raw(self, raw: bytes) -> bytes:
        """A bytes object that msgpack has a type for; it counts as in JSON, which has none."""
        self.count(TAG_NODES)
        return self.binary(raw)

    def timestamp(self, moment: datetime) -> bytes:
        """A datetime that msgpack has a type for."""
        self.count(OBJECT_NODES)
        return self.moment(moment)

    def moment(self, moment: datetime) -> bytes:
        """A datetime (`fold` is lost)."""
        packed = bytes([*divmod(moment.year, 256), moment.month, moment.day, moment.hour, moment.minute, moment.second])
        packed += moment.microsecond.to_bytes(3, "big")
        close = b"\x85R" if moment.tzinfo is None else b"\x86R"
        return self.symbol("datetime", "datetime") + self.binary(packed) + self.zone(moment.tzinfo) + close

    # -- containers ------------------------------------------------------------------------------------

    def list_plan(self, items: list[Any]) -> Plan:
        """A list."""
        return Plan(b"](", items, b"e") if items else Plan(b"]")

    def tuple_plan(self, items: list[Any]) -> Plan:
        """A tuple."""
        if not items:
            return Plan(b")")
        if len(items) <= 3:
            return Plan(b"", items, b"\x84\x85\x86\x87"[len(items) : len(items) + 1])
        return Plan(b"(", items, b"t")

    def dict_plan(self, value: dict[Any, Any]) -> Plan:
        """An object: the value that its tag stands for, or a dict."""
        tag = self._tag(value)
        if tag is not None:
            ((name, content),) = value.items()
            self.count(tag.nodes)
            return tag.write(self, content, name)
        if not value:
            return Plan(b"}")
        if _STR_KEYS.issuperset(map(type, value)):
            self._nodes -= len(value)  # they are no nodes
        else:
            self.count(TAG_NODES + PAIR_NODES * len(value))  # as the `py/dict` that it reads as
        parts = [part for key, item in value.items() for part in (_Hashed(key.node) if type(key) is Key else key, item)]
        return Plan(b"}(", parts, b"u")

    def pairs_plan(self, items: list[list[Any]], empty: bytes) -> Plan:
        """A dict of any keys: `empty` makes it, the pairs fill it."""
        self.count(PAIR_NODES * len(items))
        parts: list[Any] = []
        for key, item in items:
            parts += (_Hashed(key), item)
        return Plan(empty + b"(", parts, b"u") if parts else Plan(empty)


class _Hashed(NamedTuple):
    """A part that Python hashes."""

    value: Any


def always(_content: Any) -> bool:
    """Of a type that Python can hash."""
    return True


class TagWriter(NamedTuple):
    """How the content of one tag is written."""

    write: Callable[[Pickler, Any, str], Plan]
    """Raises PayloadError for content that the tag cannot hold."""
    hashable: Callable[[Any], bool] = always
    """Whether Python can hash the value of that content."""
    nodes: int = TAG_NODES
    """How many nodes it counts beyond itself."""
    compared: int = collisions.OBJECT
    """Nanoseconds for one comparison; 0 if CPython keys its hash, as it does for strings."""


_LEAVES: Final[dict[type, Callable[[Pickler, Any], bytes]]] = {
    type(None): lambda _, value: b"N",
    bool: lambda _, value: b"\x88" if value else b"\x89",
    int: Pickler.integer,
    float: Pickler.real,
    str: Pickler.string,
    bytes: Pickler.raw,
    datetime: Pickler.timestamp,
}
_PLANS: Final[dict[type, Callable[[Pickler, Any], Plan]]] = {list: Pickler.list_plan, dict: Pickler.dict_plan}
