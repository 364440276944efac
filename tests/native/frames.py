"""Pickles of arrays, columns and frames made at random, as numpy, pandas and pyarrow of several versions write them."""

import struct
from collections.abc import Callable

from hypothesis import strategies as st

from tests.codec.frames import builders as b
from tests.codec.pickles import binary, call, cls, obj, text

Draw = st.DrawFn
NUMPY = ("numpy.core", "numpy._core")
WORDS = [(kind, size) for kind, sizes in (("i", (1, 2, 4, 8)), ("u", (1, 2, 4, 8)), ("f", (2, 4, 8))) for size in sizes]
NUMBERS = [*WORDS, ("b", 1), ("c", 8), ("c", 16)]
UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as")
CODES = {("f", 2): "e", ("f", 4): "f", ("f", 8): "d", ("c", 8): "f", ("c", 16): "d"}
ARROW = {"bool": 0, "int8": 1, "int64": 8, "uint64": 8, "uint16": 2, "float": 4, "double": 8, "date32[day]": 4}
ARROW |= {"timestamp[ns]": 8, "timestamp[s, tz=UTC]": 8, "timestamp[us, tz=+05:30]": 8, "halffloat": 2}

raw_integers = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.integers(-100, 10_000), st.sampled_from((-(2**63), 2**63 - 1, 0))
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
orders = st.sampled_from("<>")


@st.composite
def numbers(draw: Draw, kind: str, size: int, order: str, count: int) -> bytes:
    """The bytes of so many numbers."""
    if kind in "fc":
        parts = count * (2 if kind == "c" else 1)
        found = draw(st.lists(st.floats(width=16), min_size=parts, max_size=parts))
        return struct.pack(f"{order}{parts}{CODES[kind, size]}", *found)
    if draw(st.booleans()):
        return draw(st.binary(min_size=count * size, max_size=count * size))
    found = draw(st.lists(raw_integers, min_size=count, max_size=count))
    byte_order = "little" if order == "<" else "big"
    return b"".join((each % 2 ** (8 * size)).to_bytes(size, byte_order) for each in found)


@st.composite
def dtypes(draw: Draw) -> tuple[str, int, str, bytes]:
    """Kind, size, order, and the instructions for it."""
    order = draw(orders)
    if draw(st.booleans()):
        kind, size = draw(st.sampled_from(NUMBERS))
        return kind, size, order, b.dtype(f"{kind}{size}", order)
    kind = draw(st.sampled_from("Mm"))
    unit, step = draw(st.sampled_from(UNITS)), draw(st.sampled_from((1, 1, 1, 25, 2**31)))
    return kind, 8, order, b.dtype(f"{kind}8", order, unit=unit, step=step)


@st.composite
def strings(draw: Draw, count: int) -> tuple[bytes, bytes]:
    """A dtype of strings, and the bytes of so many."""
    width, order = draw(st.integers(1, 5)), draw(orders)
    found = [each[:width] for each in draw(st.lists(texts, min_size=count, max_size=count))]
    if draw(st.booleans()):
        form = "utf-32-le" if order == "<" else "utf-32-be"
        content = b"".join(each.ljust(width, "\0").encode(form) for each in found)
        return b.dtype(f"U{width}", order), content
    return b.dtype(f"S{width}", "|"), b"".join(each.encode()[:width].ljust(width, b"\0") for each in found)


leaves = st.one_of(
    texts.map(text),
    st.integers(-(2**70), 2**70).map(b.number),
    st.floats().map(lambda number: b"G" + struct.pack(">d", number)),
    st.sampled_from((b"N", b"\x88", b"\x89", cls("pandas._libs.missing", "NA"), binary(b"\xff\x00"), binary(b"abc"))),
)
nodes = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: b.array_of(*items)),
        st.lists(inner, max_size=3).map(lambda items: b.sequence(*items)),
        inner.map(lambda item: obj("shop", "Thing", item=item)),
        st.tuples(texts, inner).map(lambda item: b"}" + text(item[0]) + item[1] + b"s"),
    ),
    max_leaves=6,
)
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def product(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


@st.composite
def made(draw: Draw, kind: bytes, shape: tuple[int, ...], content: bytes) -> bytes:
    """An array of one of the ways in which numpy pickles it."""
    way = draw(st.sampled_from(("C", "F", "buffer", "axes")))
    if way in "CF":
        body = b.array(kind, shape, draw(st.sampled_from((binary, _bytearray)))(content), is_fortran=way == "F")
        return body.replace(b"numpy.core.", draw(st.sampled_from((b"numpy.core.", b"numpy._core."))))
    if way == "buffer":
        return b.from_buffer(kind, shape, content, draw(st.sampled_from("CF")))
    axes = draw(st.permutations(range(len(shape))))
    return b.from_buffer(kind, shape, content, "K", b.sequence(*map(b.number, axes)))


def _bytearray(raw: bytes) -> bytes:
    return b"\x96" + struct.pack("<Q", len(raw)) + raw


@st.composite
def arrays(draw: Draw, shape: tuple[int, ...] | None = None, *, has_strings: bool = True) -> bytes:
    shape = draw(shapes) if shape is None else shape
    size = product(shape)
    what = draw(st.sampled_from(("number", "object", "string")))
    if what == "object":
        items = draw(st.lists(draw(st.sampled_from((nodes, texts.map(text)))), min_size=size, max_size=size))
        return b.array(b.dtype("O8", "|"), shape, b.array_of(*items))
    if what == "string" and has_strings:
        return draw(made(*_with_shape(draw(strings(size)), shape)))
    kind, width, order, spelled = draw(dtypes())
    return draw(made(spelled, shape, draw(numbers(kind, width, order, size))))


def _with_shape(found: tuple[bytes, bytes], shape: tuple[int, ...]) -> tuple[bytes, tuple[int, ...], bytes]:
    return found[0], shape, found[1]


@st.composite
def scalars(draw: Draw) -> bytes:
    module = draw(st.sampled_from(NUMPY)) + ".multiarray"
    if draw(st.booleans()):
        kind, size, order, spelled = draw(dtypes())
        return call(module, "scalar", spelled, binary(draw(numbers(kind, size, order, 1))))
    spelled, raw = draw(strings(1))
    return call(module, "scalar", spelled, binary(raw))


@st.composite
def moments(draw: Draw) -> bytes:
    """A Timestamp, NaT or Timedelta."""
    zone = draw(st.sampled_from((b"N", b"N", UTC, call("datetime", "timezone", _delta(-5400)))))
    unit = draw(st.integers(6, 11))
    value = b.number(draw(raw_integers))
    return draw(
        st.sampled_from(
            (
                call("pandas._libs.tslibs.timestamps", "_unpickle_timestamp", value, b"N", zone, b.number(unit)),
                call("pandas._libs.tslibs.timestamps", "Timestamp", value, b"N", zone),
                call("pandas._libs.tslibs.nattype", "_nat_unpickle", b"N"),
                call("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle", value, b.number(unit)),
                call("pandas._libs.tslibs.timedeltas", "Timedelta", value),
            )
        )
    )


def _delta(seconds: int) -> bytes:
    return call("datetime", "timedelta", b.number(0), b.number(seconds), b.number(0))


UTC = call("datetime", "timezone", _delta(0))


# -- columns -------------------------------------------------------------------------------------------


def _string_dtype(missing: bytes) -> bytes:
    return call("pandas.core.arrays.string_", "StringDtype", text("python"), missing)


@st.composite
def extensions(draw: Draw, rows: int) -> bytes:
    """An array of pandas with one axis."""
    make: Callable[[Draw, int], bytes] = draw(st.sampled_from((_strings, _masked, _local, _arrow)))
    return make(draw, rows)


def _strings(draw: Draw, rows: int) -> bytes:
    nan = b"G" + struct.pack(">d", float("nan"))
    items = draw(st.lists(st.one_of(texts.map(text), st.sampled_from((nan, b"N"))), min_size=rows, max_size=rows))
    dtype = _string_dtype(nan) if draw(st.booleans()) else call("pandas", "StringDtype", text("python"))
    if draw(st.booleans()):
        return obj("pandas.arrays", "StringArray", _dtype=dtype, _ndarray=b.objects(*items))
    made = call("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked", cls("pandas.arrays", "StringArray"), b"N", b"N")
    return made + b.sequence(dtype, b.objects(*items), b"}") + b"b"


def _masked(draw: Draw, rows: int) -> bytes:
    kind, size = draw(st.sampled_from([*WORDS, ("b", 1)]))
    order = draw(orders)
    values = b.array(b.dtype(f"{kind}{size}", order), (rows,), binary(draw(numbers(kind, size, order, rows))))
    mask = b.array(b.dtype("b1", "|"), (rows,), binary(draw(st.binary(min_size=rows, max_size=rows))))
    return obj("pandas.arrays", "IntegerArray", _data=values, _mask=mask)


def _local(draw: Draw, rows: int) -> bytes:
    kind = call("pandas.core.dtypes.dtypes", "DatetimeTZDtype", text("ns"), UTC)
    raw = draw(numbers("M", 8, "<", rows))
    unit = draw(st.sampled_from(("s", "us", "ns")))
    return obj(
        "pandas.arrays", "DatetimeArray", _dtype=kind, _ndarray=b.array(b.dtype("M8", unit=unit), (rows,), binary(raw))
    )


def _arrow(draw: Draw, rows: int) -> bytes:
    kind = draw(st.sampled_from(("string", "large_string", *ARROW)))
    cut = draw(st.integers(0, rows))
    body = draw(st.sampled_from((0, 1)))
    whole = chunk(draw, kind, rows)
    held = whole if body else b.chunked(kind, chunk(draw, kind, cut), chunk(draw, kind, rows - cut))
    dtype = _string_dtype(b"G" + struct.pack(">d", float("nan"))) if "string" in kind else call("pandas", "ArrowDtype")
    name = "ArrowStringArray" if "string" in kind else "ArrowExtensionArray"
    return obj("pandas.arrays", name, _dtype=dtype, _pa_array=held)


def chunk(draw: Draw, kind: str, rows: int) -> bytes:
    start = draw(st.integers(0, 9))
    end = start + rows
    bitmap = draw(st.one_of(st.none(), st.binary(min_size=(end + 7) // 8, max_size=(end + 7) // 8)))
    if "string" in kind:
        found = [each.encode() for each in draw(st.lists(texts, min_size=end, max_size=end))]
        offsets = [sum(map(len, found[:at])) for at in range(end + 1)]
        code = "i" if kind == "string" else "q"
        return b.arrow(kind, rows, bitmap, struct.pack(f"<{end + 1}{code}", *offsets), b"".join(found), start=start)
    size = (end + 7) // 8 if kind == "bool" else end * ARROW[kind]
    return b.arrow(kind, rows, bitmap, draw(st.binary(min_size=size, max_size=size)), start=start)


@st.composite
def indexes(draw: Draw, rows: int) -> bytes:
    what = draw(st.sampled_from(("default", "range", "labels", "array", "texts", "numbers")))
    name = draw(st.one_of(st.just(b"N"), texts.map(text), nodes))
    if what == "default":
        return b.range_index(rows)
    if what == "range":
        step = draw(st.sampled_from((1, 3, -2, 10**9)))
        return b.range_index(rows * step, step)
    if what == "labels":
        return b.labels(draw(extensions(rows)), name)
    if what == "numbers":
        return b.labels(b.array(b.dtype("i4"), (rows,), binary(struct.pack(f"<{rows}i", *range(rows)))), name)
    if what == "texts":
        return b.index(*[text(each) for each in draw(st.lists(texts, min_size=rows, max_size=rows))], name=name)
    return b.labels(draw(arrays((rows,), has_strings=False)), name)


@st.composite
def series(draw: Draw) -> bytes:
    rows = draw(st.integers(0, 5))
    values = draw(extensions(rows)) if draw(st.booleans()) else draw(arrays((rows,), has_strings=False))
    return b.series(values, draw(indexes(rows)), draw(st.one_of(st.just(b"N"), texts.map(text), nodes)))


@st.composite
def frames(draw: Draw) -> bytes:
    rows, width = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    blocks, at = [], 0
    while at < width:
        if draw(st.booleans()):
            blocks.append(b.block(draw(extensions(rows)), b.places(at, at + 1)))
            at += 1
            continue
        count = draw(st.integers(1, width - at))
        place = b.places(at, at + count)
        if draw(st.booleans()):
            place = b.array(b.dtype("i8"), (count,), binary(struct.pack(f"<{count}q", *range(at, at + count))))
        blocks.append(b.block(draw(arrays((count, rows), has_strings=False)), place))
        at += count
    names = draw(st.lists(texts, min_size=width, max_size=width))
    columns = b.index(*map(text, names)) if draw(st.booleans()) else draw(indexes(width))
    return b.frame(blocks, columns, draw(indexes(rows)))


def _twice(body: bytes) -> bytes:
    """The same object at two places."""
    return b"](" + body + b"q\0" + b"h\0e"


ONE = st.one_of(arrays(), scalars(), moments(), series(), frames(), frames())
VALUES = st.one_of(
    ONE,
    ONE.map(_twice),
    st.one_of(scalars(), moments(), ONE).map(lambda key: b"}" + key + text("x") + b"s"),
    st.lists(ONE, max_size=3).map(lambda items: b.mapping(**{f"k{at}": item for at, item in enumerate(items)})),
    ONE.map(lambda item: obj("shop", "Report", frame=item)),
)
