"""Arrays of numpy: orders of bytes and axes, dtypes, and what msgpack has of them."""

import json
import struct
from itertools import permutations, product

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import Options, Transcoder, UndecodableError, loads
from proxy.codec.frames.elements import in_c_order
from proxy.engine import ENGINE, REFERENCE, Engine
from tests.codec.frames import builders as b
from tests.codec.pickles import binary, call, cls, text
from tests.codec.samples import transcoder

ENGINES = [pytest.param(REFERENCE, id="reference"), pytest.param(ENGINE, id="chosen")]


def tagged(body: bytes) -> dict[str, object]:
    content: dict[str, object] = json.loads(transcoder().decode(b"!" + body + b"."))["py/ndarray"]
    return content


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_axes_are_turned_as_numpy_does(axes: tuple[int, ...]) -> None:
    shape = (2, 3, 4)
    flat = list(range(24))
    turned = tuple(shape[axis] for axis in axes)
    expected = []
    for place in product(*map(range, turned)):
        at = [0, 0, 0]
        for axis, index in zip(axes, place, strict=True):
            at[axis] = index
        expected.append(at[0] * 12 + at[1] * 4 + at[2])
    assert in_c_order(flat, shape, axes) == expected
    sizes = b.sequence(*map(b.number, axes))
    body = b.from_buffer(b.dtype("i1", "|"), shape, bytes(flat), "K", sizes)
    assert tagged(body) == {"dtype": "int8", "shape": list(turned), "values": expected}


def test_fortran_order_is_column_by_column() -> None:
    body = b.array(b.dtype("i2", ">"), (2, 3), binary(struct.pack(">6h", 1, 4, 2, 5, 3, 6)), is_fortran=True)
    assert tagged(body)["values"] == [1, 2, 3, 4, 5, 6]
    assert transcoder(types="plain").decode(b"!" + body + b".") == b"[[1,2,3],[4,5,6]]"


WORDS = [("i", size) for size in (2, 4, 8)] + [("u", size) for size in (2, 4, 8)] + [("f", size) for size in (2, 4, 8)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("kind", "size"), WORDS)
def test_msgpack_has_words_as_little_endian_bytes_in_c_order(kind: str, size: int, order: str) -> None:
    raw = bytes(range(6 * size))
    stored = raw if order == "<" else b"".join(raw[at : at + size][::-1] for at in range(0, len(raw), size))
    kept = b.array(b.dtype(f"{kind}{size}", order), (2, 3), binary(stored))
    assert msgpack.unpackb(transcoder("msgpack").decode(b"!" + kept + b"."))["py/ndarray"]["values"] == raw
    turned = b.array(b.dtype(f"{kind}{size}", order), (3, 2), binary(stored), is_fortran=True)
    expected = b"".join(raw[size * at : size * (at + 1)] for at in (0, 3, 1, 4, 2, 5))
    assert msgpack.unpackb(transcoder("msgpack").decode(b"!" + turned + b"."))["py/ndarray"]["values"] == expected


@pytest.mark.parametrize("kind", ["b1", "i1", "u1"])
def test_msgpack_has_single_bytes_as_numbers(kind: str) -> None:
    body = b.array(b.dtype(kind, "|"), (2,), binary(b"\1\0"))
    values = msgpack.unpackb(transcoder("msgpack").decode(b"!" + body + b"."))["py/ndarray"]["values"]
    assert values == ([True, False] if kind == "b1" else [1, 0])


@given(st.lists(st.floats(width=32)))
def test_what_is_no_number_is_tagged_or_null(values: list[float]) -> None:
    body = b.array(b.dtype("f4"), (len(values),), binary(struct.pack(f"<{len(values)}f", *values)))
    found = loads(b"!" + body + b".")
    assert struct.pack(f"{len(values)}f", *found.values) == struct.pack(f"{len(values)}f", *values)
    finite = [value if value - value == 0 else None for value in values]
    assert json.loads(transcoder(types="plain").decode(b"!" + body + b".")) == finite


def test_large_ints_are_tagged_for_readers_with_doubles() -> None:
    body = b.array(b.dtype("i8"), (2,), binary(struct.pack("<2q", 2**53 + 1, 1)))
    reader = transcoder(big_ints="tagged")
    values = json.loads(reader.decode(b"!" + body + b"."))["py/ndarray"]["values"]
    assert values == [{"py/int": str(2**53 + 1)}, 1]
    plain = transcoder(types="plain", big_ints="tagged")
    assert json.loads(plain.decode(b"!" + body + b".")) == [str(2**53 + 1), 1]


def test_a_naive_time_gets_a_z_where_a_rule_says_so() -> None:
    body = b.array(b.dtype("M8", unit="s"), (2,), binary(struct.pack("<2q", 0, -(2**63))))
    assert transcoder(types="plain", naive="utc").decode(b"!" + body + b".") == b'["1970-01-01T00:00:00Z",null]'
    days = b.array(b.dtype("M8", unit="D"), (1,), binary(b"\0" * 8))
    assert transcoder(types="plain", naive="utc").decode(b"!" + days + b".") == b'["1970-01-01"]'


def test_python_2_wrote_the_bytes_as_a_str() -> None:
    for raw in (b"\1\0\0\0", b"\xff\0\0\0"):
        body = b.array(b.dtype("i4"), (1,), b"U\x04" + raw)
        assert tagged(body)["values"] == [struct.unpack("<i", raw)[0]]


def test_a_scalar_is_a_key_by_its_value() -> None:
    scalar = call("numpy.core.multiarray", "scalar", b.dtype("i2"), binary(b"\3\0"))
    body = b"}" + scalar + text("x") + b"s."
    assert transcoder(types="plain").decode(b"!" + body) == b'{"3":"x"}'


def test_an_array_is_no_key() -> None:
    body = b"}" + b.array(b.dtype(), (0,), binary(b"")) + b"Ns."
    for types in ("tagged", "plain"):
        with pytest.raises(Exception, match=r"unhashable|no plain name"):
            transcoder(types=types).decode(b"!" + body)


def masked(*state: bytes) -> bytes:
    classes = cls("numpy.ma.core", "MaskedArray"), cls("numpy", "ndarray")
    made = call("numpy.ma.core", "_mareconstruct", *classes, b.sequence(b.number(0)), binary(b"b"))
    return b"!]" + made + b.sequence(*state) + b"ba."


MASKED = (b.number(1), b.sequence(b.number(3)), b.dtype("i4"), b"\x89", binary(struct.pack("<3i", 1, 2, 3)))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_masked_array_is_its_elements_and_its_mask(engine: Engine) -> None:
    value = masked(*MASKED, binary(b"\0\1\0"), b"N")
    plain = Transcoder(Options(types="plain"), engine).decode(value)
    assert json.loads(plain) == [{"data": [1, 2, 3], "mask": [False, True, False]}]
    (shown,) = json.loads(Transcoder(Options(), engine).decode(value))
    assert shown == {
        "py/instance": {
            "class": "numpy.ma.core._mareconstruct",
            "value": {
                "data": {"py/ndarray": {"dtype": "int32", "shape": [3], "values": [1, 2, 3]}},
                "mask": {"py/ndarray": {"dtype": "bool", "shape": [3], "values": [False, True, False]}},
            },
        }
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("state", "place"),
    [
        (MASKED, r"masked array of unknown shape, at \$\[0\]$"),
        ((*MASKED, binary(b"\0"), b"N"), r"than its shape says, at \$\[0\]\.mask$"),
        ((*MASKED, b"N", b"N"), r"than its shape says, at \$\[0\]\.mask$"),
        ((*MASKED[:4], binary(b""), binary(b"\0\0\0"), b"N"), r"than its shape says, at \$\[0\]\.data$"),
    ],
)
def test_an_error_in_a_masked_array_names_its_place(engine: Engine, state: tuple[bytes, ...], place: str) -> None:
    for types in ("tagged", "plain"):
        with pytest.raises(UndecodableError, match=place):
            Transcoder(Options(types=types), engine).decode(masked(*state))
