"""What `loads` gives for arrays and frames, and that nothing of it can be stored."""

import json
import struct

import pytest

from proxy.codec import (
    Array,
    Column,
    Frame,
    Labels,
    Levels,
    NumpyScalar,
    Options,
    PayloadError,
    Series,
    Timestamp,
    Transcoder,
    UndecodableError,
    dumps,
    loads,
)
from proxy.codec.nodes import READ_ONLY_TAGS
from tests.codec.frames import builders as b
from tests.codec.pickles import binary, call, obj, text
from tests.codec.samples import REAL_ARRAYS, transcoder


def stored(library: str, name: str) -> bytes:
    return bytes.fromhex(REAL_ARRAYS[library][name]["hex"])


PRICE = Column("price", "float64", [1.5, None, 3.0])


@pytest.mark.parametrize(
    ("library", "name", "value"),
    [
        ("numpy-2.4.6", "float64.p4", NumpyScalar("float64", 1.5)),
        ("numpy-2.4.6", "complex128.p4", NumpyScalar("complex128", 1 - 2j)),
        ("numpy-2.4.6", "array_int_fortran.p5", Array("int32", (2, 3), [0, 1, 2, 3, 4, 5])),
        ("numpy-2.4.6", "array_bool.p4", Array("bool", (2,), [True, False])),
        ("numpy-2.4.6", "array_object.p4", Array("object", (3,), ["a", None, 3])),
        ("pandas-2.2.3", "nat.p4", Timestamp("NaT")),
        ("pandas-2.2.3", "timestamp_tz.p4", Timestamp("2024-07-02T03:04:05+02:00", "Europe/Berlin")),
        ("pandas-2.2.3", "series_float.p4", Series("v", "float64", range(3), [1.0, None, 2.5])),
    ],
)
def test_each_has_a_stand_in(library: str, name: str, value: object) -> None:
    assert loads(stored(library, name)) == value


def test_a_frame_has_columns_and_an_index() -> None:
    frame = loads(stored("pandas-3.1.1-pyarrow", "frame_numbers_int_labels.p5"))
    assert frame == Frame(1, range(1), [Column(0, "int64", [1]), Column(1, "float64", [2.0])])
    named = loads(stored("pandas-1.5.3", "frame_named_index.p4"))
    assert named.index == Labels("sku", "object", ["x", "y"])
    levels = [Labels("k", "int64", [1, 2]), Labels("q", "float64", [2.5, 3.5])]
    many = loads(stored("pandas-1.5.3", "frame_multiindex.p4"))
    assert many.index == Levels(["k", "q"], levels, [[0, 0, 1], [0, 1, 0]])


def test_scalars_can_be_keys_and_frames_cannot() -> None:
    assert loads(stored("numpy-2.4.6", "key_int64.p4")) == {NumpyScalar("int64", 3): "x"}
    stamp = call("pandas._libs.tslibs.timestamps", "_unpickle_timestamp", b.number(0), b"N", b"N", b.number(7))
    assert loads(b"!}" + stamp + b"Ns.") == {Timestamp("1970-01-01T00:00:00"): None}
    with pytest.raises(UndecodableError, match="unhashable"):
        loads(b"!}" + b.frame([], b.index(), b.range_index(0)) + b"Ns.")


@pytest.mark.parametrize("value", [NumpyScalar("int64", 1), Array("bool", (0,), []), Timestamp("NaT"), PRICE])
def test_none_of_them_can_be_dumped(value: object) -> None:
    with pytest.raises(PayloadError, match="can only be read"):
        dumps([value])


@pytest.mark.parametrize("tag", sorted(READ_ONLY_TAGS))
def test_no_client_can_write_one(tag: str) -> None:
    for payload in (json.dumps({tag: {"dtype": "float64", "value": 1.5}}), json.dumps([{tag: "NaT"}])):
        with pytest.raises(
            PayloadError, match=r"(is a py/\w+|is the class or function NaT), which can be read but not written"
        ):
            transcoder().encode(payload.encode())


def test_errors_name_the_place_of_an_object() -> None:
    secret = obj("shop", "Secret", a=b"N")
    values = b.array(b.dtype("O8", "|"), (1, 2), b.array_of(b"N", secret))
    body = b.frame([b.block(values, b.places(0, 1))], b.index(text("price")), b.range_index(2))
    for types in ("tagged", "plain"):
        with pytest.raises(UndecodableError, match=r"\$\.price\[1\] is a shop\.Secret, which"):
            transcoder(types=types, read_classes=("pandas.*", "numpy.*")).decode(b"!" + body + b".")


@pytest.mark.parametrize("types", ["tagged", "plain"])
def test_read_classes_are_those_of_the_value_and_not_of_its_parts(types: str) -> None:
    frame = stored("pandas-3.1.1-pyarrow", "frame_arrow_string.p5")
    assert b'"a"' in transcoder(types=types, read_classes=("pandas.*",)).decode(frame)
    with pytest.raises(UndecodableError, match=r"\$ is a pandas\.DataFrame, which read_classes"):
        transcoder(types=types, read_classes=("numpy.*", "pyarrow.*")).decode(frame)
    scalar = stored("numpy-1.24.4", "float64.p4")
    assert b"1.5" in transcoder(types=types, read_classes=("numpy.*",)).decode(scalar)
    with pytest.raises(UndecodableError, match=r"\$ is a numpy\.core\.multiarray\.scalar, which"):
        transcoder(types=types, read_classes=("pandas.*",)).decode(scalar)


def test_large_ints_and_naive_times_of_columns_follow_the_settings_of_the_rule() -> None:
    ints = b.array(b.dtype("i8"), (1, 2), binary(struct.pack("<2q", 2**60, 5)))
    times = b.array(b.dtype("M8", unit="s"), (1, 2), binary(struct.pack("<2q", 0, -(2**63))))
    blocks = [b.block(ints, b.places(0, 1)), b.block(times, b.places(1, 2))]
    value = b"!" + b.frame(blocks, b.index(text("n"), text("t")), b.range_index(2)) + b"."
    tagged = json.loads(Transcoder(Options(big_ints="tagged")).decode(value))["py/dataframe"]["columns"]
    assert [column["values"] for column in tagged] == [[{"py/int": str(2**60)}, 5], ["1970-01-01T00:00:00", None]]
    plain = json.loads(Transcoder(Options(types="plain", big_ints="tagged", naive="utc")).decode(value))
    assert plain == [{"n": str(2**60), "t": "1970-01-01T00:00:00Z"}, {"n": 5, "t": None}]
    rows = json.loads(Transcoder(Options(types="plain")).decode(value))
    assert rows == [{"n": 2**60, "t": "1970-01-01T00:00:00"}, {"n": 5, "t": None}]
