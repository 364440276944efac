"""Frames as tables."""

import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from proxy.cli.frame_tables import Table, extract, without_blocks
from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError, envelope
from proxy.inspection.raw_parts import raw_parts
from tests import effort
from tests.codec.frames import builders as b
from tests.codec.frames.test_fuzz import tampered
from tests.codec.pickles import binary, obj, text
from tests.codec.samples import REAL_ARRAYS

READER = Transcoder(Options())
WIDTH = 80


def frame(columns: dict[str, list[Any]], index: dict[str, Any] | None = None) -> dict[str, Any]:
    """A tagged frame."""
    rows = len(next(iter(columns.values()), []))
    made = [{"name": name, "dtype": "object", "values": values} for name, values in columns.items()]
    return {"py/dataframe": {"rows": rows, "index": index or {"range": [0, rows, 1]}, "columns": made}}


def table(value: Any, width: int = WIDTH) -> Table:
    """The one table of a value."""
    rest, (made,) = extract(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(), width)
    assert rest == b'"table 1"'
    return made


def stored(name: str, library: str = "pandas-2.2.3") -> bytes:
    """The payload of a value that pandas stored."""
    return READER.decode(bytes.fromhex(REAL_ARRAYS[library][name]["hex"]))


def test_a_frame_is_a_table() -> None:
    rest, tables = extract(stored("frame_mixed.p5"), WIDTH)
    assert rest == b'"table 1"'
    assert tables == [
        Table(
            "table 1",
            "a DataFrame of 3 rows and 4 columns",
            [
                "     price    qty  ok     name",
                "   float64  int64  bool   object",
                "0      1.5      1  true   a",
                "1     null      2  false  null",
                "2      3.0      3  true   c",
            ],
        )
    ]


def test_indexes_are_columns_before_the_others() -> None:
    (named,) = extract(stored("frame_named_index.p5"), WIDTH)[1]
    assert named.lines[:3] == ["sku           v      w", "object  float64  int64", "x           1.0      3"]
    (levels,) = extract(stored("frame_multiindex.p5"), WIDTH)[1]
    assert levels.lines == [
        "    k        q      v",
        "int64  float64  int64",
        "    1      2.5      1",
        "    1      3.5      2",
        "    2      2.5      3",
    ]


def test_a_missing_label_of_a_level_is_null() -> None:
    level = {"name": None, "dtype": "object", "values": ["x"]}
    index = {"names": ["a"], "levels": [level], "codes": [[0, -1]]}
    lines = table(frame({"n": [1, 2]}, index)).lines[2:]
    assert [line.split() for line in lines] == [["x", "1"], ["null", "2"]]


def test_a_series_is_a_table_of_one_column() -> None:
    (made,) = extract(stored("series_str_index.p5"), WIDTH)[1]
    assert made.title == "a Series of 2 values"
    assert made.lines == ["           mean", "object  float64", "a           1.5", "b           2.5"]


def test_frames_inside_other_values_are_named_in_their_places() -> None:
    rest, tables = extract(stored("dict_of_frames.p5"), WIDTH)
    assert json.loads(rest) == {"a": "table 1", "b": "table 2"}
    assert [made.lines[0].split() for made in tables] == [["x"], ["y"]]
    rest, _ = extract(json.dumps([1, {"py/tuple": [frame({"a": [2**70]})]}], separators=(",", ":")).encode(), WIDTH)
    assert json.loads(rest) == [1, {"py/tuple": ["table 1"]}]


def test_other_values_stay_byte_for_byte() -> None:
    for payload in (b'{"a": [1.50, 1e5]}', b'"{\\"py/dataframe\\":"', b'{"py/dict":[["py/dataframe",1]]}'):
        assert extract(payload, WIDTH) == (payload, [])


def test_only_the_first_and_last_rows_are_shown() -> None:
    made = table(frame({"n": list(range(60_000))}))
    assert made.title == "a DataFrame of 60,000 rows and 1 column"
    shown = [line.split()[0] for line in made.lines[2:]]
    assert shown == [*map(str, range(10)), "...", *map(str, range(59_990, 60_000))]


@pytest.mark.parametrize("width", [-5, 0, 20, 33, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    cells = ["x" * 5000, "字" * 5000, "e\u0301" * 5000, 10**4000, {"a": ["b" * 1000]}, None]
    made = table(frame({f"{'n' * at}{at}": cells for at in range(1, 400)}), width)
    for line in made.lines:
        columns = sum(0 if char == "\u0301" else 2 if char == "字" else 1 for char in line)
        assert columns <= max(width, 20)
        assert len(line) <= 2 * max(width, 20)
    assert made.lines[-1].startswith("... ")
    assert made.lines[-1].endswith(" more columns")
    assert sum(map(len, made.lines)) < 10_000


def test_control_characters_are_escaped_everywhere() -> None:
    evil = "\x1b[2J\x9b\u202e\n\u2028"
    index = {"name": evil, "dtype": evil, "values": [evil, {evil: evil}, [evil]]}
    made = table(frame({evil: [evil, [evil], {evil: [evil]}]}, index), 500)
    assert all(line.isprintable() for line in made.lines)
    assert "\\x1b[2J" in made.lines[0]
    assert len(made.lines) == 5


def test_a_value_of_many_frames_has_a_few_tables() -> None:
    payload = json.dumps([frame({"a": [1]})] * 500, separators=(",", ":")).encode()
    rest, tables = extract(payload, WIDTH)
    assert len(tables) == 20
    assert json.loads(rest)[19:21] == ["table 20", frame({"a": [1]})]


def test_an_empty_frame_has_no_rows() -> None:
    (made,) = extract(stored("frame_empty.p5"), WIDTH)[1]
    assert (made.title, made.lines) == ("a DataFrame of 0 rows and 0 columns", ["", ""])


def test_codes_that_lie_are_missing_labels() -> None:
    level = b.index(text("x"))
    codes = b.array(b.dtype("i1", "|"), (3,), binary(struct.pack("3b", 0, 7, -3)))
    attributes = b.mapping(levels=b.array_of(level), codes=b.array_of(codes), names=b.array_of(b"N"))
    index = b.call("pandas.core.indexes.base", "_new_Index", b.cls("pandas", "MultiIndex"), attributes)
    values = b.array(b.dtype(), (1, 3), b.floats(1.5, 2.5, 3.5))
    body = b.frame([b.block(values, b.places(0, 1))], b.index(text("a")), index)
    (made,) = extract(READER.decode(b"!" + body + b"."), WIDTH)[1]
    assert [line.split() for line in made.lines[2:]] == [["x", "1.5"], ["null", "2.5"], ["null", "3.5"]]


def read() -> Iterator[bytes]:
    """Payloads of frames, tampered with where they can still be read."""
    rng = random.Random(17)
    for vectors in REAL_ARRAYS.values():
        for vector in vectors.values():
            yield bytes.fromhex(vector["hex"])
    for _ in range(effort.cases(4000)):
        yield tampered(rng)


def test_what_can_be_read_can_be_shown() -> None:
    reader = Transcoder(Options(limits=CodecLimits(decoded_bytes=1 << 18, nodes=5000)))
    for value in read():
        try:
            payload = reader.decode(value)
        except UndecodableError:
            continue
        rest, tables = extract(payload, WIDTH)
        msgspec.json.decode(rest)
        assert all(len(line) <= WIDTH and line.isprintable() for made in tables for line in made.lines)


def test_raw_parts_leave_out_the_blocks_of_frames_alone() -> None:
    value = b"](" + b.frame([], b.index(), b.range_index(0)) + obj("shop", "P", price=b.number(1)) + b"e."
    frame_, product = without_blocks(raw_parts(envelope.read(b"!" + value, CodecLimits(), "flask").root))
    assert frame_["class"] == "pandas.core.frame.DataFrame"
    assert frame_["state"] == {"_mgr": "shown as a table", "_typ": "dataframe"}
    assert (product["class"], product["state"]) == ("shop.P", {"price": 1})
