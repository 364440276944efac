"""Arrays and frames that lie: errors or right values, and nothing is made of a size that is only said."""

import json
import re
import struct
import tracemalloc
from contextlib import suppress
from time import process_time

import pytest

from proxy.codec import CodecLimits, UndecodableError
from tests.codec.frames import builders as b
from tests.codec.pickles import MEMORY, PART, binary, call, cls, long, obj, refused, text
from tests.codec.samples import transcoder

ONE = b.array(b.dtype(), (1, 1), b.floats(1.5))
INT8 = b.dtype("i1", "|")


def read(body: bytes, types: str = "tagged", limits: CodecLimits | None = None) -> object:
    return json.loads(transcoder(types=types, limits=limits).decode(b"!" + body + b"."))


LYING_ARRAYS = {
    "far more elements than bytes": b.array(b.dtype(), (2**40,), b.floats(1.0)),
    "a product beyond every word": b.array(b.dtype(), (2**62, 2**62), b.floats(1.0)),
    "one byte less": b.array(b.dtype(), (2,), binary(b"\0" * 15)),
    "one byte more": b.array(b.dtype(), (2,), binary(b"\0" * 17)),
    "a negative axis": b.array(b.dtype(), (-1,), binary(b"")),
    "an axis of 10^30": b.array(b.dtype(), (0, 10**30), binary(b"")),
    "65 axes": b.array(b.dtype(), (1,) * 65, b.floats(1.0)),
    "an axis that is no int": b.array(b.dtype(), b.sequence(b"\x88"), b.floats(1.0)),
    "elements of no bytes": b.array(b.dtype("U0"), (2**20,), binary(b"")),
    "fewer objects": b.array(b.dtype("O8", "|"), (3,), b.array_of(b"N", b"N")),
    "objects that are bytes": b.array(b.dtype("O8", "|"), (1,), binary(b"\0" * 8)),
    "numbers that are objects": b.array(b.dtype(), (1,), b.array_of(b"N")),
    "no shape": b.array(b.dtype(), b"N", b.floats(1.0)),
    "a dtype of a megabyte": b.array(b.dtype("f" * 2**20), (1,), b.floats(1.0)),
    "a dtype of many digits": b.array(b.dtype("U" + "9" * 4000), (1,), b.floats(1.0)),
    "a dtype of three bytes": b.array(b.dtype("i3"), (1,), binary(b"\0" * 3)),
    "a dtype that is none": b.array(b"N", (1,), b.floats(1.0)),
    "a unit that is none": b.array(b.dtype("M8", unit="parsecs"), (1,), b.floats(1.0)),
    "a unit taken 10^20 times": b.array(b.dtype("M8", unit="s", step=10**20), (1,), b.floats(1.0)),
    "a time without a unit": b.array(b.dtype("M8"), (1,), b.floats(1.0)),
    "an order that is none": b.from_buffer(b.dtype(), (1,), b"\0" * 8, "Q"),
    "an axis twice": b.from_buffer(INT8, (1, 1), b"\0", "K", b.sequence(b.number(0), b.number(0))),
    "an axis that is not there": b.from_buffer(INT8, (1, 1), b"\0", "K", b.sequence(b.number(0), b.number(7))),
    "too few axes": b.from_buffer(INT8, (1, 1), b"\0", "K", b.sequence(b.number(0))),
    "a buffer that is no bytes": call("numpy._core.numeric", "_frombuffer", b"N", INT8, b.sequence(), text("C")),
    "too few arguments": call("numpy._core.numeric", "_frombuffer", binary(b"\0")),
    "no state": call("numpy.core.multiarray", "_reconstruct", cls("numpy", "ndarray"), b")", binary(b"b")),
    "text that is no Unicode": b.array(b.dtype("U1"), (1,), binary(b"\0\xd8\0\0")),
    "a scalar of more bytes": call("numpy.core.multiarray", "scalar", INT8, binary(b"\0\0")),
    "a scalar of objects": call("numpy.core.multiarray", "scalar", b.dtype("O8"), b"N"),
}


@pytest.mark.parametrize("name", [name for name in LYING_ARRAYS if name != "a time without a unit"])
def test_an_array_that_lies_is_an_error(name: str) -> None:
    refused(LYING_ARRAYS[name] + b".")


def test_a_time_without_a_unit_has_no_text() -> None:
    body = LYING_ARRAYS["a time without a unit"]
    assert "values" in str(read(body))
    with pytest.raises(UndecodableError, match="without a unit"):
        read(body, "plain")


@pytest.mark.parametrize("shape", [(0, 2**40), (2**40, 0)])
def test_an_empty_array_says_no_more_than_the_limit(shape: tuple[int, ...]) -> None:
    refused(b.array(b.dtype(), shape, binary(b"")) + b".", "nodes")


@pytest.mark.parametrize(("shape", "plain"), [((0, 3), []), ((2, 0), [[], []]), ((2, 0, 3), [[], []])])
def test_a_small_empty_array_is_read(shape: tuple[int, ...], plain: object) -> None:
    body = b.array(b.dtype(), shape, binary(b""))
    assert read(body, "plain") == plain
    assert read(body) == {"py/ndarray": {"dtype": "float64", "shape": list(shape), "values": []}}


def _memoised(made: bytes, times: int) -> bytes:
    """A list of one thing, again and again."""
    return b"](" + made + b"q\0" + b"h\0" * (times - 1) + b"e."


@pytest.mark.parametrize(
    "made",
    [
        b.array(b.dtype(), (100,), binary(b"\0" * 800)),
        b.array(b.dtype("U5000"), (1,), binary(b"\0" * 20_000)),
        b.array(b.dtype("S20000", "|"), (1,), binary(b"\0" * 20_000)),
        b.objects(*[b"N"] * 100),
        b.frame([b.block(ONE, b.places(0, 1))], b.index(text("a" * 5000)), b.range_index(1)),
    ],
)
def test_what_is_shared_counts_each_time(made: bytes) -> None:
    refused(_memoised(made, 2000), "more than .*(nodes|bytes)", PART)


def test_an_array_of_objects_that_holds_itself_is_an_error() -> None:
    made = call("numpy.core.multiarray", "_reconstruct", cls("numpy", "ndarray"), b.sequence(b.number(0)), binary(b"b"))
    state = b.sequence(b.number(1), b.sequence(b.number(1)), b.dtype("O8", "|"), b"\x89", b.array_of(b"]h\0a"))
    refused(made + b"q\0" + state + b"b.", "holds itself")


def test_a_list_inside_an_array_may_hold_itself() -> None:
    body = b.objects(b"]q\0h\0a")
    assert read(body) == {"py/ndarray": {"dtype": "object", "shape": [1], "values": [[{"py/cycle": 1}]]}}
    assert read(body, "plain") == [[None]]


def test_an_object_that_reaches_itself_is_whole_where_a_frame_first_has_it() -> None:
    shop = cls("shop", "P") + b")\x81q\0}(" + text("title") + text("tea") + text("me") + b"h\0ub"
    values = b.array(b.dtype("O8", "|"), (1, 2), b.array_of(shop, b"h\0"))
    body = b.frame([b.block(values, b.places(0, 1))], b.index(text("p")), b.range_index(2))
    assert read(body, "plain") == [{"p": {"title": "tea", "me": {"title": "tea"}}}, {"p": {"title": "tea"}}]


# -- frames --------------------------------------------------------------------------------------------

LABELS = b.index(text("a"))
LYING_FRAMES = {
    "an index longer than its data": b.frame([b.block(ONE, b.places(0, 1))], LABELS, b.range_index(2**40)),
    "an index shorter than its data": b.frame([b.block(ONE, b.places(0, 1))], LABELS, b.range_index(0)),
    "a column that is missing": b.frame(
        [b.block(ONE, b.places(0, 1))], b.index(text("a"), text("b")), b.range_index(1)
    ),
    "blocks that overlap": b.frame([b.block(ONE, b.places(0, 1))] * 2, LABELS, b.range_index(1)),
    "a block beyond the columns": b.frame([b.block(ONE, b.places(7, 8))], LABELS, b.range_index(1)),
    "a block of too few places": b.frame([b.block(ONE, b.places(0, 0))], LABELS, b.range_index(1)),
    "places far beyond": b.frame([b.block(ONE, b.places(0, 2**61))] * 2, LABELS, b.range_index(1)),
    "a step of nothing": b.frame([b.block(ONE, b.places(0, 1, 0))], LABELS, b.range_index(1)),
    "a range that stands still": b.frame([b.block(ONE, b.places(0, 1))], LABELS, b.range_index(1, 0)),
    "a million columns": b.frame([], b.range_index(1_000_000), b.range_index(0)),
    "columns beyond every word": b.frame([], b.range_index(2**63), b.range_index(0)),
    "a block that is none": b.frame([b"N"], LABELS, b.range_index(1)),
    "an axis that is none": b.frame([b.block(ONE, b.places(0, 1))], b"N", b.range_index(1)),
    "a block of three axes": b.frame(
        [b.block(b.array(b.dtype(), (1, 1, 1), b.floats(1.0)), b.places(0, 1))], LABELS, b.range_index(1)
    ),
    "a manager of no blocks": obj("pandas", "DataFrame", _typ=text("dataframe"), _mgr=obj("pandas", "BlockManager")),
    "another manager": obj("pandas", "DataFrame", _typ=text("dataframe"), _mgr=obj("pandas", "ArrayManager")),
    "a series longer than its index": b.series(b.array(b.dtype(), (1,), b.floats(1.0)), b.range_index(2)),
    "a series of two columns": b.series(b.array(b.dtype(), (2, 1), b.floats(1.0, 2.0)), b.range_index(1)),
    "a series of an index that is none": b.series(b.array(b.dtype(), (1,), b.floats(1.0)), b"N"),
}


@pytest.mark.parametrize("name", LYING_FRAMES)
def test_a_frame_that_lies_is_an_error(name: str) -> None:
    refused(LYING_FRAMES[name] + b".")


def test_columns_of_one_name_lose_nothing() -> None:
    two = b.array(b.dtype(), (2, 1), b.floats(1.5, 2.5))
    body = b.frame([b.block(two, b.places(0, 2))], b.index(text("a"), text("a")), b.range_index(1))
    assert read(body, "plain") == {"columns": ["a", "a"], "rows": [[1.5, 2.5]]}


@pytest.mark.parametrize(
    ("label", "tagged", "plain"),
    [
        (b"N", None, None),
        (b.number(7), 7, 7),
        (b.sequence(text("a"), b.number(1)), {"py/tuple": ["a", 1]}, ["a", 1]),
        (text("py/float"), "py/float", None),
    ],
)
def test_a_column_may_have_any_name(label: bytes, tagged: object, plain: object) -> None:
    body = b.frame([b.block(ONE, b.places(0, 1))], b.index(label), b.range_index(1))
    column = {"name": tagged, "dtype": "float64", "values": [1.5]}
    frame = {"rows": 1, "index": {"range": [0, 1, 1]}, "columns": [column]}
    assert read(body) == {"py/dataframe": frame}
    natural = [{"py/float": 1.5}] if label == text("py/float") else {"columns": [plain], "rows": [[1.5]]}
    assert read(body, "plain") == natural


def test_a_category_that_is_not_there_is_an_error() -> None:
    for code in (1, -2):
        state = _categorical(code)
        refused(b.series(state, b.range_index(1)) + b".", "Categorical")


def _categorical(code: int) -> bytes:
    categories = obj("pandas", "CategoricalDtype", categories=b.index(text("x")), ordered=b"\x89")
    codes = b.array(INT8, (1,), binary(struct.pack("b", code)))
    return obj("pandas.core.arrays.categorical", "Categorical", _dtype=categories, _codes=codes)


def test_a_mask_shorter_than_its_values_is_an_error() -> None:
    values, mask = b.array(INT8, (2,), binary(b"\1\2")), b.array(b.dtype("b1", "|"), (1,), binary(b"\0"))
    refused(b.series(obj("pandas.arrays", "IntegerArray", _data=values, _mask=mask), b.range_index(2)) + b".")


def test_an_array_of_another_library_is_an_error_that_names_it() -> None:
    refused(b.series(obj("geopandas.array", "GeometryArray"), b.range_index(1)) + b".", "GeometryArray")


INTERVALS = call("pandas.core.indexes.interval", "_new_IntervalIndex", cls("pandas", "IntervalIndex"), b"}q\0")
INSIDE = {
    "intervals of themselves": INTERVALS + b"q\1" + b"h\0(" + text("left") + b"h\1" + text("right") + b"h\1"
    b"u0",
    "levels of themselves": call("pandas", "_new_Index", cls("pandas", "MultiIndex"), b"}q\0") + b"q\1" + b"h\0("
    + text("levels") + b"]h\1a" + text("codes") + b.array_of(b.array(INT8, (0,), binary(b"")))
    + text("names") + b.array_of(b"N") + b"u0",
    "categories of themselves": b.labels(
        cls("pandas", "Categorical") + b")\x81q\0}(" + text("_codes") + b.array(INT8, (0,), binary(b""))
        + text("_dtype") + obj("pandas", "CategoricalDtype", categories=b.labels(b"h\0")) + b"ub"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_an_index_inside_itself_is_an_error(name: str) -> None:
    refused(b.frame([], b.index(), INSIDE[name]) + b".", "inside each other")


@pytest.mark.parametrize("times", [3, 200])
def test_indexes_are_inside_each_other_a_few_times_only(times: int) -> None:
    ends = b.labels(b.array(INT8, (0,), binary(b"")))
    for _ in range(times):
        attributes = b.mapping(left=ends, right=b.labels(b.array(INT8, (0,), binary(b""))), closed=text("right"))
        new_index = cls("pandas.core.indexes.interval", "_new_IntervalIndex")
        ends = new_index + b"(" + cls("pandas", "IntervalIndex") + attributes + b"tR"
    body = b.frame([], b.index(), ends)
    if times < 4:
        assert read(body, "plain") == []
    else:
        refused(body + b".", "inside each other")


# -- Arrow ---------------------------------------------------------------------------------------------


def offsets(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


LYING_ARROW = {
    "offsets that run backwards": b.arrow("string", 2, None, offsets(0, 2, 1), b"ab"),
    "offsets that begin below": b.arrow("string", 1, None, offsets(-1, 1), b"ab"),
    "offsets beyond the buffer": b.arrow("string", 1, None, offsets(0, 3), b"ab"),
    "too few offsets": b.arrow("string", 2, None, offsets(0, 1), b"ab"),
    "a bitmap too short": b.arrow("int8", 9, b"\xff", b"\0" * 9),
    "fewer values": b.arrow("int64", 2, None, b"\0" * 15),
    "a length beyond all memory": b.arrow("int8", 2**61, None, b"\0"),
    "a length beyond every word": b.arrow("int8", 2**70, None, b"\0"),
    "a start beyond the end": b.arrow("int8", 1, None, b"\0", start=2**40),
    "a negative start": b.arrow("int8", 1, None, b"\0", start=-1),
    "a negative length": b.arrow("int8", -1, None, b"\0"),
    "no buffer": b.arrow("int8", 1, None, None),
    "too few buffers": b.arrow("string", 1, None, offsets(0, 1)),
    "text that is no UTF-8": b.arrow("string", 1, None, offsets(0, 1), b"\xff"),
    "bits too few": b.arrow("bool", 9, None, b"\xff"),
    "a type that is not read": b.arrow("list<item: int64>", 1, None, b"\0" * 8),
    "a type of a megabyte": b.arrow("x" * 2**20, 1, None, b"\0" * 8),
    "a zone that is none": b.arrow("timestamp[ns, tz=Mars/Base]", 1, None, b"\0" * 8),
    "chunks of two types": b.chunked("int8", b.arrow("int8", 1, None, b"\0"), b.arrow("int16", 1, None, b"\0\0")),
    "a chunk that is none": b.chunked("int8", b"N"),
}


@pytest.mark.parametrize("name", LYING_ARROW)
def test_an_arrow_array_that_lies_is_an_error(name: str) -> None:
    refused(LYING_ARROW[name] + b".")


def test_a_missing_string_may_have_any_bytes() -> None:
    body = b.arrow("string", 2, b"\x02", offsets(0, 1, 2), b"\xffa")
    assert read(body, "plain") == [None, "a"]


# -- memory --------------------------------------------------------------------------------------------

MOST = 150_000
"""Bytes, nearly as many as `PART` lets in."""
BYTES = b.array(INT8, (MOST,), binary(b"\0" * MOST))


@pytest.mark.parametrize(
    "body",
    [
        b.array(b.dtype(), (18_000,), binary(b"\0" * 144_000)),
        b.array(b.dtype("U1"), (37_000,), binary(b"a\0\0\0" * 37_000)),
        b.array(INT8, (100, 1500), binary(b"\0" * MOST), is_fortran=True),
        b.array(b.dtype("i2"), (2, 18_000, 2), binary(b"\0" * 144_000), is_fortran=True),
        b.array(b.dtype("i2"), (2,) * 16, binary(b"\0" * 131_072), is_fortran=True),
        b.arrow("bool", 8 * MOST, b"\xff" * MOST, b"\xff" * MOST),
        b.frame([], b.range_index(100_000), b.range_index(0)),
        b.frame([], b.index(), b.labels(BYTES)),
        b.frame([], b.labels(BYTES), b.range_index(0)),
        b.frame(
            [b.block(b.array(INT8, (100, 1500), binary(b"\0" * MOST)), b.places(0, 100))],
            b.range_index(100),
            b.range_index(1500),
        ),
    ],
)
def test_memory_is_bounded(body: bytes) -> None:
    for payload in ("json", "msgpack"):
        for types in ("tagged", "plain"):
            reader = transcoder(payload, types=types, limits=PART)
            tracemalloc.start()
            try:
                with suppress(UndecodableError):
                    reader.decode(b"!" + body + b".")
                assert tracemalloc.get_traced_memory()[1] < MEMORY // 25
            finally:
                tracemalloc.stop()


def test_long_ints_are_no_shape() -> None:
    refused(b.array(b.dtype(), b.sequence(long(10**4000)), b.floats(1.0)) + b".")


# -- sizes that multiply, and values where none belong ---------------------------------------------------

KEPT = b"\x94"
"""Keeps the last value in the memo: `h` and its number give it again."""


def spread(start: int, stop: int) -> bytes:
    bounds = b.mapping(name=b"N", start=b.number(start), stop=b.number(stop), step=b.number(1))
    return call("pandas.core.indexes.base", "_new_Index", cls("pandas.core.indexes.range", "RangeIndex"), bounds)


def sparse(fill: bytes, dtype: bytes, value: bytes, size: int = 2) -> bytes:
    index = call("pandas._libs.sparse", "IntIndex", b.number(size), b.array(b.dtype("i4"), (1,), binary(b"\0" * 4)))
    values = b.array(dtype, (1,), value)
    kind = obj("pandas", "SparseDtype", _fill_value=fill)
    array = obj("pandas.arrays", "SparseArray", _sparse_index=index, _sparse_values=values, _dtype=kind)
    return b.series(array, b.range_index(size))


def real(number: float) -> bytes:
    return b"G" + struct.pack(">d", number)


def intervals(left: bytes, right: bytes, rows: int = 1) -> bytes:
    array = obj("pandas.arrays", "IntervalArray", _left=left, _right=right, _closed=text("right"))
    return b.series(array, b.range_index(rows))


def test_a_range_is_no_longer_than_a_word() -> None:
    refused(b.frame([], spread(-(2**63), 2**63 - 1), b.range_index(0)) + b".", "RangeIndex")
    refused(b.frame([], b.index(), spread(-(2**63), 2**63 - 1)) + b".", "RangeIndex")


@pytest.mark.parametrize(
    ("fill", "dtype", "value"),
    [
        (real(0.0), b.dtype("c16"), b.floats(1.0, 2.0)),
        (long(10**400), b.dtype(), b.floats(1.0)),
        (long(10**4000), b.dtype("i8"), binary(b"\0" * 8)),
        (b.number(2**64), b.dtype("i8"), binary(b"\0" * 8)),
        (real(float("inf")), b.dtype("i8"), binary(b"\0" * 8)),
        (real(0.5), b.dtype("i8"), binary(b"\0" * 8)),
        (real(1e300), b.dtype("i8"), binary(b"\0" * 8)),
    ],
)
def test_the_usual_value_of_a_sparse_array_is_of_its_dtype(fill: bytes, dtype: bytes, value: bytes) -> None:
    refused(sparse(fill, dtype, value) + b".", "SparseArray")


def test_the_usual_value_of_a_sparse_array_may_be_written_in_another_type() -> None:
    assert read(sparse(b.number(0), b.dtype(), b.floats(1.5)), "plain") == [1.5, 0.0]
    assert read(sparse(real(2.0), b.dtype("i8"), binary(b"\1" + b"\0" * 7)), "plain") == [1, 2]
    assert read(sparse(real(float("nan")), b.dtype("i8"), binary(b"\1" + b"\0" * 7)), "plain") == [1, None]
    assert read(sparse(b.number(0), b.dtype(), b.floats(float("inf"))), "plain") == [None, 0.0]


def test_the_ends_of_intervals_are_numbers_or_times() -> None:
    one = b.array(INT8, (1,), binary(b"\1"))
    refused(intervals(b.objects(obj("shop", "Secret", word=text("x"))), one) + b".", "IntervalArray")
    refused(intervals(_text_category(10, 1), one) + b".", "Interval|Categorical")
    days = b.array(b.dtype("m8", unit="D"), (1,), binary(struct.pack("<q", 1)))
    refused(intervals(days, days) + b".", "IntervalArray")
    spans = b.array(b.dtype("m8", unit="s"), (1,), binary(struct.pack("<q", 86_400)))
    assert read(intervals(spans, spans), "plain") == ["(1 days 00:00:00, 1 days 00:00:00]"]


def _text_category(size: int, rows: int) -> bytes:
    kind = obj("pandas", "CategoricalDtype", categories=b.index(text("x" * size)), ordered=b"\x89")
    codes = b.array(INT8, (rows,), binary(b"\0" * rows))
    return obj("pandas.core.arrays.categorical", "Categorical", _dtype=kind, _codes=codes)


def test_months_that_msgpack_cannot_count_are_a_float() -> None:
    body = b.array(b.dtype("m8", unit="M", step=2**31), (1,), binary(struct.pack("<q", 2**62)))
    assert transcoder("msgpack", types="plain").decode(b"!" + body + b".")[1] == 0xCB


LONG = 4_000_000
CHUNK = {
    "one string": b.arrow("string", 1, None, offsets(0, LONG), b"a" * LONG),
    "one string that is missing": b.arrow("string", 1, b"\0", offsets(0, LONG), b"a" * LONG),
    "a buffer that is text": call(
        "pyarrow.lib",
        "_restore_array",
        b.sequence(
            call("pyarrow.lib", "type_for_alias", text("int8")),
            b.number(1),
            b.number(0),
            b.number(0),
            b.array_of(b"N", call("pyarrow.lib", "py_buffer", text("a" * LONG))),
        ),
    ),
}


@pytest.mark.parametrize("name", CHUNK)
def test_chunks_of_one_long_buffer_are_counted(name: str) -> None:
    body = CHUNK[name] + KEPT + b"0" + b.chunked("int8" if "text" in name else "string", *[b"h\0"] * 200_000)
    refused(body + b".", "nodes")


def test_the_name_of_a_zone_is_not_spelled_for_each_column() -> None:
    zone = call("dateutil.tz", "tzoffset", text("x" * 4_000_000), b.number(3600))
    kind = call("pandas.core.dtypes.dtypes", "DatetimeTZDtype", text("ns"), zone)
    times = obj(
        "pandas.arrays", "DatetimeArray", _dtype=kind, _ndarray=b.array(b.dtype("M8", unit="ns"), (0,), b.floats())
    )
    blocks = [b.block(b"h\0", b.number(at)) for at in range(10_000)]
    body = times + KEPT + b"0" + b.frame(blocks, b.range_index(10_000), b.range_index(0))
    assert b"datetime64[ns, UTC+01:00]" in transcoder().decode(b"!" + body + b".")


def test_levels_times_columns_are_counted_before_names_are_made() -> None:
    width, levels = 2_000, 2_000
    codes = b.array(INT8, (width,), binary(b"\0" * width))
    parts = b.index(text("x")) + KEPT + b"0" + codes + KEPT + b"0"
    attributes = b.mapping(
        levels=b.array_of(*[b"h\0"] * levels), codes=b.array_of(*[b"h\1"] * levels), names=b.array_of(*[b"N"] * levels)
    )
    labels = call("pandas.core.indexes.base", "_new_Index", cls("pandas", "MultiIndex"), attributes)
    values = b.array(b.dtype(), (width, 0), b.floats())
    body = parts + b.frame([b.block(values, b.places(0, width))], labels, b.range_index(0)) + b"."
    tracemalloc.start()
    try:
        refused(body, "nodes")
        assert tracemalloc.get_traced_memory()[1] < MEMORY // 4
    finally:
        tracemalloc.stop()


def test_levels_and_blocks_count_as_much_as_they_take() -> None:
    levels = 40_000
    none = b.array(INT8, (0,), binary(b""))
    attributes = b.mapping(
        levels=b.array_of(*[b"h\0"] * levels), codes=b.array_of(*[b"h\1"] * levels), names=b.array_of(*[b"N"] * levels)
    )
    parts = b.index(text("x")) + KEPT + b"0" + none + KEPT + b"0"
    labels = call("pandas.core.indexes.base", "_new_Index", cls("pandas", "MultiIndex"), attributes)
    refused(parts + b.frame([], labels, b.range_index(0)) + b".", "nodes")
    column = b.array(b.dtype(), (1, 0), b.floats())
    blocks = [b.block(b"h\0", b.number(at)) for at in range(levels)]
    refused(column + KEPT + b"0" + b.frame(blocks, b.range_index(levels), b.range_index(0)) + b".", "nodes")


def test_a_long_path_of_a_zone_is_not_searched_for_each_time() -> None:
    zone = call("dateutil.tz", "tzfile", b"N", text("/ofnienoz" * 400_000))
    time = call("datetime", "datetime", binary(bytes([7, 232, 1, 2, 3, 4, 5, 0, 0, 0])), b"h\0")
    body = zone + KEPT + b"0" + b.array_of(*[time] * 5_000) + b"."
    start = process_time()
    with suppress(UndecodableError):
        transcoder(types="plain").decode(b"!" + body)
    assert process_time() - start < 2


# -- what is not read is named, with its place ------------------------------------------------------------

STRINGS = call("numpy._core._internal", "_convert_to_stringdtype_kwargs", b.number(1))
RECORD = call("numpy", "dtype", cls("numpy", "record"), b"\x89", b"\x88")
DAY = b.array(b.dtype("M8", unit="ns"), (1,), binary(b"\0" * 8))
NOT_READ = {
    "dtype StringDType": b.array(STRINGS, (1,), b.array_of(text("a"))),
    "void (structured) dtype": b.array(RECORD, (1,), binary(b"\0" * 8)),
    "dtype longdouble": b.array(b.dtype("f16"), (1,), binary(b"\0" * 16)),
    "a pandas SparseArray of dtype datetime64[ns]": sparse(b"N", b.dtype("M8", unit="ns"), binary(b"\0" * 8)),
    "a pandas SparseArray of dtype object": sparse(b"N", b.dtype("O8", "|"), b.array_of(text("a"))),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read_is_named_with_its_place(name: str) -> None:
    body = b"}(" + text("sales") + b.array_of(text("x"), NOT_READ[name]) + b"u."
    refused(body, re.escape(name) + r".*, at \$\.sales\[1\]$")


def test_its_place_is_not_found_behind_a_value_that_holds_itself() -> None:
    inside = b"]q\0h\0a"
    body = b"}(" + text("a") + inside + text("b") + NOT_READ["dtype longdouble"] + b"u."
    refused(body, "longdouble$")
