"""Arrow's arrays and chunked arrays, as pyarrow pickles them.

Sources: the Arrow columnar format (validity bitmaps, offsets, https://arrow.apache.org/docs/format/Columnar.html) and
`pyarrow.lib.Array.__reduce__`: `_restore_array((type, length, null_count, offset, buffers, children, dictionary))`.
"""

import re
import struct
from collections.abc import Callable
from datetime import timedelta
from itertools import chain, pairwise
from operator import le
from typing import Any, Final, NamedTuple

from proxy.codec import zones
from proxy.codec.errors import UndecodableError
from proxy.codec.frames import moments
from proxy.codec.frames.arrays import Count
from proxy.codec.frames.columns import Column, Kind
from proxy.codec.frames.dtypes import DType, corrupt
from proxy.codec.frames.elements import raw
from proxy.codec.nodes import Instance, Node, Zone

_CODES: Final = {
    **dict(zip(("int8", "int16", "int32", "int64"), "bhiq", strict=True)),
    **dict(zip(("uint8", "uint16", "uint32", "uint64"), "BHIQ", strict=True)),
    **dict(zip(("halffloat", "float", "double"), "efd", strict=True)),
    **dict(zip(("float16", "float32", "float64"), "efd", strict=True)),
}
"""struct's letter by the name of the type; the floats under both names that Arrow has for them."""
_OFFSETS: Final = {"string": "i", "utf8": "i", "large_string": "q", "large_utf8": "q"}
_DATES: Final = frozenset({"date32", "date32[day]"})
_DAYS: Final = DType("M", 8, unit="D")
_TIMESTAMP: Final = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=([^\]]{1,100}))?\]")
_UNITS: Final = ("s", "ms", "us", "ns")
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
_PRINTED: Final = re.compile(r"[\w\[\]., =+:/()-]{1,80}")
_MOST: Final = 2**62
_COPIED_PER_NODE: Final = 8
_TEXT_PER_NODE: Final = 128
"""Bytes of strings that count as one part: many chunks may have one buffer."""
_BITS: Final = [tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256)]
"""The bits of each byte, the least significant first."""


class ArrowType(NamedTuple):
    """A type of Arrow."""

    name: str
    """As Arrow spells it."""
    unit: str = ""
    """Of a timestamp."""
    zone: Zone | None = None


class _Chunk(NamedTuple):
    type: ArrowType
    size: int
    start: int
    buffers: list[bytes | bytearray | None]


def of(node: Node, count: Count) -> Column:
    """The column of an array or a chunked array. Raises UndecodableError.

    `count`: told how many chunks are looked at, before they are.
    """
    chunks = _chunks(node, count)
    kind = chunks.type
    size = sum(chunk.size for chunk in chunks.parts)
    read = _reader(kind)

    def values() -> list[Any]:
        return list(chain.from_iterable(read(chunk) for chunk in chunks.parts))

    return Column(kind.name, size, _kind(kind), values)


class _Chunks(NamedTuple):
    type: ArrowType
    parts: list[_Chunk]


def _chunks(node: Node, count: Count) -> _Chunks:
    name = node.symbol.text if type(node) is Instance else ""
    if name == _ARRAY:
        chunk = _chunk(node, count)
        return _Chunks(chunk.type, [chunk])
    if name != _CHUNKED or not node.args or type(node.args[0]) not in (list, tuple):
        raise corrupt("Arrow array")
    count(len(node.args[0]))
    parts = [_chunk(part, count) for part in node.args[0]]
    kind = type_of(node.args[1]) if len(node.args) > 1 else parts[0].type if parts else None
    if kind is None or any(part.type != kind for part in parts):
        raise corrupt("Arrow array")
    return _Chunks(kind, parts)


def _chunk(node: Node, count: Count) -> _Chunk:
    if type(node) is not Instance or node.symbol.text != _ARRAY or len(node.args) != 1:
        raise corrupt("Arrow array")
    fields = node.args[0]
    if type(fields) is not tuple or len(fields) < 5:
        raise corrupt("Arrow array")
    kind, size, _nulls, start, buffers = fields[:5]
    arrow_type = type_of(kind)
    if not all(type(number) is int and 0 <= number < _MOST for number in (size, start)) or type(buffers) is not list:
        raise corrupt("Arrow array")
    if len(buffers) != (3 if arrow_type.name in _OFFSETS else 2):
        raise corrupt("Arrow array")
    chunk = _Chunk(arrow_type, size, start, [_bytes(buffer, count) for buffer in buffers])
    _check_size(chunk)
    if arrow_type.name in _OFFSETS:
        count(max(0, _offsets(chunk, size, 1)[0] - _offsets(chunk, 0, 1)[0]) // _TEXT_PER_NODE if size else 0)
    return chunk


def _offsets(chunk: _Chunk, first: int, count: int) -> tuple[int, ...]:
    """So many offsets of strings."""
    at = (chunk.start + first) * _width(chunk.type)
    return struct.unpack_from(f"<{count}{_code(chunk.type)}", chunk.buffers[1] or b"", at)


def _check_size(chunk: _Chunk) -> None:
    """That the bytes are there. Nothing of the size that a chunk says is made before."""
    end = chunk.start + chunk.size
    has_offsets = chunk.type.name in _OFFSETS  # one more than there are strings
    needed = (end + 7) // 8 if chunk.type.name == "bool" else (end + has_offsets) * _width(chunk.type)
    if chunk.size and len(chunk.buffers[1] or b"") < needed:
        raise corrupt("Arrow array")
    if chunk.buffers[0] is not None and len(chunk.buffers[0]) < (end + 7) // 8:
        raise corrupt("Arrow array")


def _width(kind: ArrowType) -> int:
    """Bytes of an element in the second buffer."""
    return struct.calcsize("<" + _code(kind))


def _code(kind: ArrowType) -> str:
    if kind.name in _OFFSETS:
        return _OFFSETS[kind.name]
    if kind.name in _DATES:
        return "i"
    return "q" if kind.unit else _CODES.get(kind.name, "B")


def _bytes(buffer: Node, count: Count) -> bytes | bytearray | None:
    """The bytes of `pyarrow.lib.py_buffer(bytes)`. An empty array may have None in place of a buffer."""
    if buffer is None:
        return None
    if type(buffer) is not Instance or buffer.symbol.text != "pyarrow.lib.py_buffer" or len(buffer.args) != 1:
        raise corrupt("Arrow buffer")
    if type(buffer.args[0]) is str:
        count(len(buffer.args[0]) // _COPIED_PER_NODE)
    found = raw(buffer.args[0])
    if found is None:
        raise corrupt("Arrow buffer")
    return found


# -- types ---------------------------------------------------------------------------------------------


def type_of(node: Node) -> ArrowType:
    """The type that a node describes. Raises UndecodableError for one that is not read, by its name."""
    if type(node) is not Instance or not node.args:
        raise corrupt("Arrow type")
    function = node.symbol.text.removeprefix("pyarrow.lib.")
    if function == "timestamp":
        unit, zone = node.args[0], node.args[1] if len(node.args) > 1 else None
        if unit not in _UNITS:
            raise corrupt("Arrow type")
        return _timestamp(unit, zone)
    name = node.args[0]
    if function != "type_for_alias" or type(name) is not str:
        raise UndecodableError(f"an Arrow array of type {_printed(function)}")
    found = _TIMESTAMP.fullmatch(name)
    if found is not None:
        return _timestamp(found[1], found[2])
    if name not in _CODES and name not in _OFFSETS and name not in _DATES and name != "bool":
        raise UndecodableError(f"an Arrow array of type {_printed(name)}")
    return ArrowType(_SPELLED.get(name, name))


_SPELLED: Final = {
    "date32": "date32[day]",
    "float16": "halffloat",
    "float32": "float",
    "float64": "double",
    "utf8": "string",
    "large_utf8": "large_string",
}


def _printed(name: str) -> str:
    return name if _PRINTED.fullmatch(name) else "unknown"


def _timestamp(unit: str, zone: Node) -> ArrowType:
    if zone is None:
        return ArrowType(f"timestamp[{unit}]", unit)
    if type(zone) is not str:
        raise corrupt("Arrow type")
    return ArrowType(f"timestamp[{unit}, tz={_printed(zone)}]", unit, _zone(zone))


def _zone(name: str) -> Zone:
    if name in zones.NAMES:
        fixed = zones.fixed_offset(name)
        return Zone(None, name) if fixed is None else Zone(fixed)
    found = _OFFSET.fullmatch(name)
    if found is None or int(found[2]) > 23 or int(found[3]) > 59:
        raise UndecodableError("an Arrow timestamp in a zone that is not known")
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return Zone(-offset if found[1] == "-" else offset)


# -- values --------------------------------------------------------------------------------------------


def _kind(kind: ArrowType) -> Kind:
    if kind.name in _OFFSETS or kind.name in _DATES or kind.zone is not None:
        return Kind.TEXTS
    return Kind.MOMENTS if kind.unit else Kind.NUMBERS


def _reader(kind: ArrowType) -> Callable[[_Chunk], list[Any]]:
    if kind.name == "bool":
        return lambda chunk: _valid(chunk, _bits(chunk.buffers[1] or b"", chunk))
    if kind.name in _OFFSETS:
        return _texts
    if kind.name in _DATES:
        return lambda chunk: _valid(chunk, moments.texts(_numbers(chunk), _DAYS))
    if kind.unit:
        dtype = DType("M", 8, unit=kind.unit)
        return lambda chunk: _moments(chunk, dtype)
    if _CODES[kind.name] in "efd":
        return lambda chunk: [None if value != value else value for value in _valid(chunk, list(_numbers(chunk)))]
    return lambda chunk: _valid(chunk, list(_numbers(chunk)))


def _numbers(chunk: _Chunk) -> tuple[Any, ...]:
    code = _code(chunk.type)
    data = chunk.buffers[1] or b""
    return struct.unpack_from(f"<{chunk.size}{code}", data, chunk.start * _width(chunk.type)) if chunk.size else ()


def _bits(data: bytes | bytearray, chunk: _Chunk) -> list[bool]:
    first, end = chunk.start // 8, (chunk.start + chunk.size + 7) // 8
    bits = list(chain.from_iterable(map(_BITS.__getitem__, data[first:end])))
    skipped = chunk.start - 8 * first
    return bits[skipped : skipped + chunk.size]


def _valid(chunk: _Chunk, values: list[Any]) -> list[Any]:
    """The values, with None where the bitmap says that there is none."""
    if chunk.buffers[0] is None:
        return values
    valid = _bits(chunk.buffers[0], chunk)
    return [value if there else None for value, there in zip(values, valid, strict=True)]


def _moments(chunk: _Chunk, dtype: DType) -> list[Any]:
    """A time that is not there may be any number, beyond all years too."""
    numbers = [moments.NAT if number is None else number for number in _valid(chunk, list(_numbers(chunk)))]
    return moments.texts(numbers, dtype, chunk.type.zone)


def _texts(chunk: _Chunk) -> list[Any]:
    """Strings: each from its offset to the next in the third buffer."""
    if not chunk.size:
        return []
    data = chunk.buffers[2] or b""
    where = _offsets(chunk, 0, chunk.size + 1)
    first, last = where[0], where[-1]
    if not 0 <= first <= last <= len(data) or not all(map(le, where, where[1:])):
        raise corrupt("Arrow array")
    used = bytes(data[first:last])
    text = used.decode() if used.isascii() else used
    parts = _valid(chunk, [text[begin - first : end - first] for begin, end in pairwise(where)])
    if type(text) is str:
        return parts
    try:
        return [None if part is None else part.decode() for part in parts]
    except UnicodeDecodeError:
        raise UndecodableError("an Arrow string that is not UTF-8") from None


_ARRAY: Final = "pyarrow.lib._restore_array"
_CHUNKED: Final = "pyarrow.lib.chunked_array"
CLASSES: Final[dict[str, Callable[[Instance, Count], Column]]] = {_ARRAY: of, _CHUNKED: of}
"""By name: the reader of its objects."""
