"""Stored arrays and frames, made by hand: pandas need not be installed. They hold as much as they are asked for."""

import struct
from collections.abc import Callable
from functools import partial
from typing import Final

from proxy.codec import CodecLimits

_NANOSECONDS: Final = 1_704_164_645_123_456_789
_STEP: Final = 86_400_000_000_007


def _text(content: str) -> bytes:
    raw = content.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _bytes(raw: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(raw)) + raw


def _number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _class(name: str) -> bytes:
    module, _, last = name.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def _call(name: str, *arguments: bytes) -> bytes:
    return _class(name) + _tuple(*arguments) + b"R"


def _mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(_text(key) + value for key, value in items.items()) + b"u"


def _object(name: str, **state: bytes) -> bytes:
    return _class(name) + b")\x81" + _mapping(**state) + b"b"


def _dtype(spelled: str, unit: str = "") -> bytes:
    state = [_number(3), _text("<"), b"N", b"N", b"N", _number(-1), _number(-1), _number(0)]
    if unit:
        state.append(_tuple(b"N", _tuple(_bytes(unit.encode()), _number(1), _number(1), _number(1))))
    return _call("numpy.dtype", _text(spelled), b"\x89", b"\x88") + _tuple(*state) + b"b"


def _array(dtype: bytes, shape: tuple[int, ...], content: bytes, is_fortran: bool = False) -> bytes:
    """`content`: instructions for bytes, or for a list."""
    made = _call("numpy._core.multiarray._reconstruct", _class("numpy.ndarray"), _tuple(_number(0)), _bytes(b"b"))
    order = b"\x88" if is_fortran else b"\x89"
    return made + _tuple(_number(1), _tuple(*map(_number, shape)), dtype, order, content) + b"b"


def _floats(count: int) -> bytes:
    return _bytes(struct.pack(f"<{count}d", *(at * 1.000000001 + 0.1 for at in range(count))))


def _words(count: int) -> bytes:
    return _bytes(struct.pack(f"<{count}q", *(_NANOSECONDS + _STEP * (at % 20_000) for at in range(count))))


def _texts(count: int) -> bytes:
    return b"](" + b"".join(_text(f"v{at}") for at in range(count)) + b"e"


def _labels(count: int) -> bytes:
    names = _array(_dtype("O8"), (count,), b"](" + b"".join(_text(f"c{at}") for at in range(count)) + b"e")
    attributes = _mapping(data=names, name=b"N")
    return _call("pandas.core.indexes.base._new_Index", _class("pandas.core.indexes.base.Index"), attributes)


def _rows(count: int) -> bytes:
    bounds = _mapping(name=b"N", start=_number(0), stop=_number(count), step=_number(1))
    return _call("pandas.core.indexes.base._new_Index", _class("pandas.core.indexes.range.RangeIndex"), bounds)


def _frame(rows: int, *blocks: tuple[int, bytes]) -> bytes:
    """`blocks`: the number of columns of each, and its values."""
    made, place = [], 0
    for width, values in blocks:
        places = _call("builtins.slice", _number(place), _number(place + width), _number(1))
        made.append(_call("pandas._libs.internals._unpickle_block", values, places, _number(2)))
        place += width
    axes = b"](" + _labels(place) + _rows(rows) + b"e"
    manager = _call("pandas.core.internals.managers.BlockManager", _tuple(*made), axes)
    return _object("pandas.core.frame.DataFrame", _mgr=manager, _typ=_text("dataframe"))


def _stored(body: bytes) -> bytes:
    return b"!\x80\x04" + body + b"."


def usual(rows: int) -> bytes:
    """A frame as apps cache it: prices, counts, times and names."""
    return _stored(
        _frame(
            rows,
            (1, _array(_dtype("f8"), (1, rows), _floats(rows))),
            (1, _array(_dtype("i8"), (1, rows), _words(rows))),
            (1, _array(_dtype("M8", "ns"), (1, rows), _words(rows))),
            (1, _array(_dtype("O8"), (1, rows), _texts(rows))),
        )
    )


def _numbers(nodes: int) -> bytes:
    return _stored(_frame(nodes // 4, (4, _array(_dtype("f8"), (4, nodes // 4), _floats(nodes // 4 * 4)))))


def _moments(nodes: int) -> bytes:
    return _stored(_frame(nodes // 4, (4, _array(_dtype("M8", "ns"), (4, nodes // 4), _words(nodes // 4 * 4)))))


def _names(nodes: int) -> bytes:
    return _stored(_frame(nodes // 8, (4, _array(_dtype("O8"), (4, nodes // 8), _texts(nodes // 8 * 4)))))


def _zoned(nodes: int) -> bytes:
    kind = _call(
        "pandas.DatetimeTZDtype", _text("ns"), _call("zoneinfo.ZoneInfo._unpickle", _text("Europe/Berlin"), b"K\x01")
    )
    array = _array(_dtype("M8", "ns"), (1, nodes), _words(nodes))
    return _stored(_frame(nodes, (1, _object("pandas.arrays.DatetimeArray", _dtype=kind, _ndarray=array))))


def _wide(columns: int) -> bytes:
    return _stored(_frame(1, (columns, _array(_dtype("f8"), (columns, 1), _floats(columns)))))


def _arrow(nodes: int) -> bytes:
    offsets = struct.pack(f"<{nodes + 1}i", *range(nodes + 1))
    buffers = (
        b"](" + b"N" + b"".join(_call("pyarrow.lib.py_buffer", _bytes(raw)) for raw in (offsets, b"x" * nodes)) + b"e"
    )
    kind = _call("pyarrow.lib.type_for_alias", _text("string"))
    fields = _tuple(kind, _number(nodes), _number(0), _number(0), buffers, b"]", b"N")
    return _stored(_call("pyarrow.lib._restore_array", fields))


def _turned(nodes: int) -> bytes:
    return _stored(_array(_dtype("f8"), (nodes // 100, 100), _floats(nodes // 100 * 100), is_fortran=True))


def _rowed(nodes: int) -> bytes:
    return _stored(_array(_dtype("f8"), (nodes // 2, 1), _floats(nodes // 2)))


def _binary(size: int) -> bytes:
    return _stored(_array(_dtype("f8"), (size // 8,), _bytes(b"\1" * (size // 8 * 8))))


_MARGIN: Final = 500
"""Nodes for all that is around the values."""
_HEAD: Final = 1024
"""The same in bytes."""


def values(limits: CodecLimits, types: str) -> dict[str, Callable[[], bytes]]:
    """The costliest of each kind that fit the limits, or nearly so, by name. Plain, rows count too."""
    nodes = limits.nodes - _MARGIN
    if types == "plain":
        nodes = nodes * 3 // 8
    by_nodes = {
        "a frame of floats": _numbers,
        "a frame of datetimes": _moments,
        "a frame of zoned datetimes": _zoned,
        "a frame of texts": _names,
        "an array of lines in Fortran's order": _turned,
        "an array of lines of one": _rowed,
        "Arrow text": _arrow,
    }
    made: dict[str, Callable[[], bytes]] = {name: partial(make, nodes) for name, make in by_nodes.items()}
    made["a frame of many columns"] = partial(_wide, nodes if types == "plain" else nodes // 8)
    return made | {"an array that stays binary": partial(_binary, limits.decoded_bytes - _HEAD)}
