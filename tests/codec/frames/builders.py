"""Pickles of arrays and frames made by hand, as numpy, pandas and pyarrow write them, or nearly so."""

import struct

from tests.codec.pickles import binary, call, cls, long, obj, text

NONE = b"N"


def number(value: int) -> bytes:
    return long(value)


def sequence(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def array_of(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def dtype(spelled: str = "f8", order: str = "<", *, unit: str = "", step: int = 1) -> bytes:
    state = [number(3), text(order), NONE, NONE, NONE, number(-1), number(-1), number(0)]
    if unit:
        state.append(sequence(NONE, sequence(binary(unit.encode()), number(step), number(1), number(1))))
    return call("numpy", "dtype", text(spelled), b"\x89", b"\x88") + sequence(*state) + b"b"


def array(kind: bytes, shape: bytes | tuple[int, ...], content: bytes, *, is_fortran: bool = False) -> bytes:
    """`kind`: a dtype. `content`: instructions for bytes, or for a list."""
    sizes = shape if isinstance(shape, bytes) else sequence(*map(number, shape))
    made = call("numpy.core.multiarray", "_reconstruct", cls("numpy", "ndarray"), sequence(number(0)), binary(b"b"))
    return made + sequence(number(1), sizes, kind, b"\x88" if is_fortran else b"\x89", content) + b"b"


def from_buffer(kind: bytes, shape: tuple[int, ...], content: bytes, order: str, *axes: bytes) -> bytes:
    sizes = sequence(*map(number, shape))
    return call("numpy._core.numeric", "_frombuffer", binary(content), kind, sizes, text(order), *axes)


def floats(*values: float) -> bytes:
    return binary(struct.pack(f"<{len(values)}d", *values))


def objects(*items: bytes) -> bytes:
    return array(dtype("O8", "|"), (len(items),), array_of(*items))


def labels(values: bytes, name: bytes = NONE) -> bytes:
    attributes = mapping(data=values, name=name)
    return call("pandas.core.indexes.base", "_new_Index", cls("pandas.core.indexes.base", "Index"), attributes)


def index(*each: bytes, name: bytes = NONE) -> bytes:
    return labels(objects(*each), name)


def range_index(stop: int, step: int = 1) -> bytes:
    bounds = mapping(name=NONE, start=number(0), stop=number(stop), step=number(step))
    range_class = cls("pandas.core.indexes.range", "RangeIndex")
    return call("pandas.core.indexes.base", "_new_Index", range_class, bounds)


def places(start: int, stop: int, step: int = 1) -> bytes:
    return call("builtins", "slice", number(start), number(stop), number(step))


def block(values: bytes, at: bytes) -> bytes:
    return call("pandas._libs.internals", "_unpickle_block", values, at, number(2))


def frame(blocks: list[bytes], columns: bytes, rows: bytes) -> bytes:
    axes = array_of(columns, rows)
    manager = call("pandas.core.internals.managers", "BlockManager", sequence(*blocks), axes)
    return obj("pandas.core.frame", "DataFrame", _mgr=manager, _typ=text("dataframe"))


def series(values: bytes, rows: bytes, name: bytes = NONE) -> bytes:
    old_block = mapping(values=values, mgr_locs=places(0, 1))
    known = b"}" + text("0.14.1") + mapping(axes=array_of(rows), blocks=array_of(old_block)) + b"s"
    state = sequence(array_of(rows), array_of(values), array_of(rows), known)
    manager = cls("pandas.core.internals.managers", "SingleBlockManager") + b")\x81" + state + b"b"
    return obj("pandas.core.series", "Series", _mgr=manager, _typ=text("series"), _name=name)


def arrow(kind: str, size: int, *buffers: bytes | None, start: int = 0) -> bytes:
    made = [NONE if raw is None else call("pyarrow.lib", "py_buffer", binary(raw)) for raw in buffers]
    fields = sequence(
        call("pyarrow.lib", "type_for_alias", text(kind)),
        number(size),
        number(-1),
        number(start),
        array_of(*made),
        b"]",
        NONE,
    )
    return call("pyarrow.lib", "_restore_array", fields)


def chunked(kind: str, *chunks: bytes) -> bytes:
    return call("pyarrow.lib", "chunked_array", array_of(*chunks), call("pyarrow.lib", "type_for_alias", text(kind)))
