"""Payload tree -> pickle, for values with tags. CPython's own pickler could write these only with the classes imported.

Opcodes are those of CPython's pickletools, protocols 2 to 5. The pickler walks the tree once, without recursion. For
each value, a plan has the code before its parts, the parts, and the code after them. Repeated strings and class names
use the memo as in CPython, so that the app loads them as fast as its own values.
"""

import struct
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from proxy.codec.errors import PayloadError
from proxy.codec.limits import OBJECT_NODES, PAIR_NODES, TAG_NODES, CodecLimits
from proxy.codec.nodes import READ_ONLY_TAGS, RESERVED, Key
from proxy.codec.pickler import hash_cost
from proxy.codec.pickler.hash_cost import Collisions, Parts

_double: Final = struct.Struct(">d").pack
_MAX_MEMO_STRING: Final = 256
_MOST_COMPARED: Final = 40
"""Characters of an unknown tag that are compared to find the nearest tag, because that takes time."""
_STR_KEYS: Final = frozenset({str})
_FOLD: Final = 0x80
"""The bit of the month that stores `fold`."""
_PYTHON_2_NAMES: Final = {"int": "long", "str": "unicode"}
"""As in CPython's _compat_pickle."""


_JSONPICKLE: Final = frozenset({"object", "type", "function", "reduce", "newobj", "state", "id", "ref", "repr", "b64"})
"""Keys of jsonpickle, without their `py/`. `py/object` names the class of an object."""
_NATURAL: Final = frozenset({"str", "list", "bool", "none"})
"""Names of types that both formats have themselves."""
_NEAR: Final = 0.7
"""The ratio from which on two names are near, from 0 to 1. (`str` and `set` have 0.67.)"""


class Plan(NamedTuple):
    """The code of one value: `open`, then each part, then `close` (which must not use the memo)."""

    open: bytes
    parts: Iterable[Any] = ()
    close: bytes = b""
    kind: int | None = None
    """The kind of the value in `hash_cost`; None: Python cannot hash it."""
    hashed: bool = False
    """Python hashes each part (members of a set)."""


class Table(NamedTuple):
    """The code of a kind of dict: `empty` creates it, its items follow, then `close`."""

    empty: bytes = b"}"
    close: bytes = b""
    times: int = 1
    """The number of times that loading looks up each key."""


class _Close(NamedTuple):
    code: bytes
    hashed: Parts | None
    """The hashed parts to which the value belongs; None: Python does not hash it."""


class Pickler:
    """Writes one value.

    Each method returns code that reads and fills the memo. The code must be written in the order of the calls.
    """

    __slots__ = ("_collisions", "_home", "_limits", "_memo", "_nodes", "_out", "_tags", "protocol")

    def __init__(self, protocol: int, tags: "dict[str, TagWriter]", limits: CodecLimits) -> None:
        """`protocol`: 2 to 5. `tags`: the accepted tags. An object with any other key is plain data."""
        self.protocol = protocol
        self._tags = tags
        self._limits = limits
        self._out: list[bytes] = []
        self._memo: dict[Any, int] = {}  # the key of a class or a zone is a tuple, which never equals a string
        self._nodes = 0
        self._collisions = Collisions()
        self._home: timedelta | str | None = None
        """The first zone of the value, as offset or name."""

    def dumps(self, root: Any) -> bytes:
        """The pickle of a tree. Raises PayloadError."""
        out, todo = self._out, [root]
        out.append(b"\x80%c" % self.protocol)
        depth = 0
        hashed: Parts | None = None
        while todo:
            item = todo.pop()
            kind = type(item)
            leaf = _LEAVES.get(kind)
            if leaf is not None:
                self._nodes += 1
                if hashed is not None:
                    self._collisions.add(hashed, _KINDS[kind](item))
                out.append(leaf(self, item))
                continue
            if kind is _Close:
                out.append(item.code)
                hashed = item.hashed
                depth -= 1
                continue
            self.count(1)
            among = hashed
            if kind is _Hashed:
                item, among = item
            try:
                plan = self.plan(item)
                parts = self._parts(plan, item, among)
            except PayloadError as error:
                error.part = item if error.limit is None else None
                raise
            out.append(plan.open)
            if not plan.close:
                continue
            depth += 1
            if depth > self._limits.depth:
                raise PayloadError(f"nested more than {self._limits.depth} deep ([limits] depth)", "depth")
            todo.append(_Close(plan.close, hashed))
            hashed = parts
            todo.extend(reversed(list(plan.parts)))
        out.append(b".")
        self.count(0)
        return b"".join(out)

    def plan(self, value: Any) -> Plan:
        """The plan of `value`. Raises PayloadError."""
        kind = type(value)
        leaf = _LEAVES.get(kind)
        return _PLANS[kind](self, value) if leaf is None else Plan(leaf(self, value), kind=_KINDS[kind](value))

    def _parts(self, plan: Plan, value: Any, among: Parts | None) -> Parts | None:
        """The object for the value's own parts; None: Python does not hash them. `among`: see `_Close.hashed`.

        Raises PayloadError if Python cannot hash the value, or if the comparisons could take too long.
        """
        if among is None:
            return hash_cost.table() if plan.hashed else None
        if plan.kind is None:
            if type(value) is dict and self.tag_of(value):
                (name,) = value
                raise PayloadError(f"this {name} cannot be a set's member or a key of py/dict: Python cannot hash it")
            raise PayloadError("a list or an object cannot be a set's member or a key of py/dict: use py/tuple")
        parts = self._collisions.add(among, plan.kind)
        return parts if plan.kind >= hash_cost.TUPLE else None  # Python hashes the parts of no other kind

    def count(self, nodes: int) -> None:
        """Count more nodes than one for each value. Raises PayloadError."""
        self._nodes += nodes
        if self._nodes > self._limits.nodes:
            raise PayloadError(f"more than {self._limits.nodes} nodes ([limits] nodes)", "nodes")

    def tag_of(self, value: dict[Any, Any]) -> "TagWriter | None":
        """The writer of the tag if it is an object's only key; None: the object is plain data. Raises PayloadError."""
        if len(value) != 1:
            return None
        (name,) = value
        if not self._tags or type(name) is not str or not name.startswith(RESERVED):
            return None
        tag = self._tags.get(name)
        if tag is None:
            raise _no_tag(name, self._tags)
        return tag

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
        """A str, from the memo if it has been written before."""
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
        """A bytes object. Protocol 2 has no opcode for it and calls _codecs.encode."""
        if self.protocol == 2:
            call = self.symbol("_codecs", "encode")
            return call + self.string(raw.decode("latin-1")) + self.string("latin1") + b"\x86R"
        if len(raw) < 256:
            return b"C%c" % len(raw) + raw
        return b"B" + len(raw).to_bytes(4, "little") + raw

    def symbol(self, module: str, name: str) -> bytes:
        """A class or function by its name. Protocol 2 has names of Python 2, which CPython maps to those of 3."""
        key = (module, name)
        index = self._memo.get(key)
        if index is not None:
            return self._get(index)
        if self.protocol >= 4:
            return self.string(module) + self.string(name) + b"\x93" + self._put(key)
        if self.protocol == 2 and module == "builtins":
            module, name = "__builtin__", _PYTHON_2_NAMES.get(name, name)
        return f"c{module}\n{name}\n".encode() + self._put(key)

    def _put(self, key: Any) -> bytes:
        index = self._memo[key] = len(self._memo)
        if self.protocol >= 4:
            return b"\x94"
        return b"q%c" % index if index < 256 else b"r" + index.to_bytes(4, "little")

    def _get(self, index: int) -> bytes:
        return b"h%c" % index if index < 256 else b"j" + index.to_bytes(4, "little")

    def offset(self, zone: tzinfo) -> bytes:
        """A fixed offset as the last argument of a datetime or time."""
        offset = zone.utcoffset(None) or timedelta(0)
        key = ("datetime", "timezone", offset)
        index = self._memo.get(key)
        if index is not None:
            return self._get(index)
        return self.symbol("datetime", "timezone") + self.delta(offset) + b"\x85R" + self._put(key)

    def _zone_info(self, name: str) -> bytes:
        """A named zone, as CPython pickles a ZoneInfo of its cache."""
        key = ("zoneinfo", "ZoneInfo", name)
        index = self._memo.get(key)
        if index is not None:
            return self._get(index)
        owner = self.symbol("builtins", "getattr") + self.symbol("zoneinfo", "ZoneInfo")
        return owner + self.string("_unpickle") + b"\x86R" + self.string(name) + b"K\x01\x86R" + self._put(key)

    def kind_in(self, zone: tzinfo | str | None) -> int:
        """The kind of a datetime or time in `hash_cost`. Python compares two of one zone without the offset."""
        if zone is None:
            return hash_cost.RAW
        same = zone if isinstance(zone, str) else zone.utcoffset(None)
        self._home = same if self._home is None else self._home
        return hash_cost.HOME if same == self._home else hash_cost.AWAY

    def delta(self, delta: timedelta) -> bytes:
        """A timedelta."""
        fields = b"".join(map(self.integer, (delta.days, delta.seconds, delta.microseconds)))
        return self.symbol("datetime", "timedelta") + fields + b"\x87R"

    def raw(self, raw: bytes) -> bytes:
        """A bytes object of msgpack. It counts as in JSON, which needs a tag for it."""
        self.count(TAG_NODES)
        return self.binary(raw)

    def timestamp(self, moment: datetime) -> Plan:
        """A datetime of msgpack."""
        self.count(OBJECT_NODES)
        return self.moment(moment)

    def moment(self, moment: datetime, zone: str | None = None) -> Plan:
        """A datetime with its offset, or in the zone of the name `zone`. `fold` is written only with a named zone.

        CPython sets the bit of `fold` only in protocols 4 and 5. Every Python with zoneinfo reads it in all protocols.
        """
        month = moment.month | (_FOLD if zone is not None and moment.fold else 0)
        packed = bytes([*divmod(moment.year, 256), month, moment.day, moment.hour, moment.minute, moment.second])
        packed += moment.microsecond.to_bytes(3, "big")
        code = self.symbol("datetime", "datetime") + self.binary(packed)
        if zone is not None:
            return Plan(code + self._zone_info(zone) + b"\x86R", kind=self.kind_in(zone))
        return self.in_zone(code, moment.tzinfo)

    def in_zone(self, code: bytes, zone: tzinfo | None) -> Plan:
        """A datetime or time with its offset, if it has one. `code`: its class and first argument."""
        code += b"\x85R" if zone is None else self.offset(zone) + b"\x86R"
        return Plan(code, kind=self.kind_in(zone))

    # -- containers ------------------------------------------------------------------------------------

    def list_plan(self, items: list[Any]) -> Plan:
        """A list."""
        return Plan(b"](", items, b"e") if items else Plan(b"]")

    def tuple_plan(self, items: list[Any]) -> Plan:
        """A tuple."""
        if not items:
            return Plan(b")", kind=hash_cost.TUPLE)
        if len(items) <= 3:
            return Plan(b"", items, b"\x84\x85\x86\x87"[len(items) : len(items) + 1], hash_cost.TUPLE)
        return Plan(b"(", items, b"t", hash_cost.TUPLE)

    def dict_plan(self, value: dict[Any, Any]) -> Plan:
        """An object: a tagged value, or a dict."""
        tag = self.tag_of(value)
        if tag is not None:
            ((name, content),) = value.items()
            self.count(tag.nodes)
            return tag.write(self, content, name)
        return self.object_plan(value)

    def object_plan(self, value: dict[Any, Any], table: Table = Table()) -> Plan:  # noqa: B008 (immutable)
        """An object without a tag, as the kind of dict that `table` writes."""
        if _STR_KEYS.issuperset(map(type, value)):
            self._nodes -= len(value)  # string keys are not nodes
        else:
            self.count(TAG_NODES + PAIR_NODES * len(value))  # as for readers, who get a `py/dict`
        keys = hash_cost.table(table.times)
        parts: list[Any] = []
        for key, item in value.items():
            parts += (_Hashed(key.node, keys) if type(key) is Key else key, item)
        return _filled(table, parts)

    def pairs_plan(self, items: list[list[Any]], table: Table = Table()) -> Plan:  # noqa: B008 (immutable)
        """The same for pairs with any keys."""
        self.count(PAIR_NODES * len(items))
        keys = hash_cost.table(table.times)
        parts: list[Any] = []
        for key, item in items:
            parts += (_Hashed(key, keys), item)
        return _filled(table, parts)


def _filled(table: Table, parts: list[Any]) -> Plan:
    """A table with its keys and values in turn."""
    if not parts:
        return Plan(table.empty + table.close)
    return Plan(table.empty + b"(", parts, b"u" + table.close)


def _no_tag(key: str, tags: Iterable[str]) -> PayloadError:
    """The error for a key that looks like a tag. It does not repeat the key, which may be anything."""
    return PayloadError(
        f"an object whose only key begins with {RESERVED} has a tag, and this key is not one{_hint(key, tags)}; "
        f'to write the object as it is, escape it as {{"py/dict": [[key, value]]}}'
    )


def _hint(key: str, tags: Iterable[str]) -> str:
    """The tag that the writer may have meant. Empty: none is near."""
    name = key[len(RESERVED) : _MOST_COMPARED].lower()
    if name in _JSONPICKLE:
        return f"; {RESERVED}{name} is jsonpickle's and is not executed here"
    if name in _NATURAL:
        return f"; a {name} needs no tag"
    names = [tag.removeprefix(RESERVED) for tag in tags if tag not in READ_ONLY_TAGS]
    near = get_close_matches(name, names, n=1, cutoff=_NEAR)
    return f"; the nearest is {RESERVED}{near[0]}" if near else ""


class _Hashed(NamedTuple):
    """A key."""

    value: Any
    among: Parts
    """The keys of its dict."""


class TagWriter(NamedTuple):
    """The writer of one tag."""

    write: Callable[[Pickler, Any, str], Plan]
    """Makes the plan of the content. Raises PayloadError for content that the tag cannot hold."""
    nodes: int = TAG_NODES
    """Nodes that count beyond the value itself."""


_LEAVES: Final[dict[type, Callable[[Pickler, Any], bytes]]] = {
    type(None): lambda _, value: b"N",
    bool: lambda _, value: b"\x88" if value else b"\x89",
    int: Pickler.integer,
    float: Pickler.real,
    str: Pickler.string,
    bytes: Pickler.raw,
}
_PLANS: Final[dict[type, Callable[[Pickler, Any], Plan]]] = {
    list: Pickler.list_plan,
    dict: Pickler.dict_plan,
    datetime: Pickler.timestamp,
}
_KINDS: Final[dict[type, Callable[[Any], int]]] = {
    type(None): lambda _: hash_cost.FIXED,
    bool: lambda _: hash_cost.INT,
    int: hash_cost.of_int,
    float: lambda _: hash_cost.FLOAT,
    str: hash_cost.of_text,
    bytes: lambda raw: hash_cost.of_raw(len(raw)),
}
"""The kind of each leaf in `hash_cost`."""
