"""Every type that the codec keeps: as Python, as JSON, and as what msgpack packs."""

import json
from dataclasses import dataclass
from typing import Any

import msgpack

SAME: Any = object()


@dataclass(frozen=True)
class Value:
    """One value in its three spellings."""

    name: str
    python: str
    """An expression, with the names of `evaluated` in driver.py."""
    json: str
    """The payload on a JSON listener, read and written."""
    packed: Any = SAME
    """The value that a msgpack listener packs. By default it is the same as in JSON."""

    @property
    def msgpack(self) -> bytes:
        """The payload on a msgpack listener, read and written."""
        return msgpack.packb(json.loads(self.json) if self.packed is SAME else self.packed)


def unpacked(payload: bytes) -> Any:
    """The tree of a msgpack payload."""
    return msgpack.unpackb(payload, strict_map_key=False)


_LONG = "x" * 300
_VERY_LONG = "é" * 70_000
_ALL_BYTES = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

VALUES = [
    Value("none", "None", "null"),
    Value("true", "True", "true"),
    Value("false", "False", "false"),
    Value("zero", "0", "0"),
    Value("one byte", "200", "200"),
    Value("negative", "-7", "-7"),
    Value("32 bits", "-2**31", "-2147483648"),
    Value("64 bits", "2**64 - 1", "18446744073709551615"),
    Value("beyond 64 bits", "2**70", "1180591620717411303424", {"py/int": "1180591620717411303424"}),
    Value("big in a list", "[-2**70]", "[-1180591620717411303424]", [{"py/int": "-1180591620717411303424"}]),
    Value("hundreds of digits", "[2**3000]", f"[{2**3000}]", [{"py/int": str(2**3000)}]),
    Value("float", "1.5", "1.5"),
    Value("whole float", "2.0", "2.0"),
    Value("negative zero", "-0.0", "-0.0"),
    Value("huge float", "1e308", "1e308"),
    Value("least float", "5e-324", "5e-324"),
    Value("nan", "nan", '{"py/float": "nan"}', float("nan")),
    Value("inf", "inf", '{"py/float": "inf"}', float("inf")),
    Value("minus inf", "[-inf]", '[{"py/float": "-inf"}]', [float("-inf")]),
    Value("no text", "''", '""'),
    Value("text", "'foo'", '"foo"'),
    Value("digits as text", "'42'", '"42"'),
    Value("a bang", "'!x'", '"!x"'),
    Value("text beyond ASCII", r"'h\xe9\U0001f600\u2603\x00\n'", r'"h\u00e9\ud83d\ude00\u2603\u0000\n"'),
    Value("long text", f"'{_LONG}'", f'"{_LONG}"'),
    Value("very long text", "'\xe9' * 70000", f'"{_VERY_LONG}"'),
    Value("empty list", "[]", "[]"),
    Value("list", "[1, 'a', None, True, 1.5]", '[1, "a", null, true, 1.5]'),
    Value("long list", "list(range(1500))", json.dumps(list(range(1500)))),
    Value("empty dict", "{}", "{}"),
    Value("dict", "{'b': 1, 'a': {'b': [2]}, '': None}", '{"b": 1, "a": {"b": [2]}, "": null}'),
    Value(
        "rows with the same keys",
        "[{'id': n, 'name': 'x', 'x': 'name'} for n in range(300)]",
        json.dumps([{"id": n, "name": "x", "x": "name"} for n in range(300)]),
    ),
    Value("deep", f"{'[' * 90}{']' * 90}", f"{'[' * 90}{']' * 90}"),
    Value("no bytes", "b''", '{"py/bytes": ""}', b""),
    Value("bytes", "bytes(range(32))", f'{{"py/bytes": "{_ALL_BYTES}"}}', bytes(range(32))),
    Value("high bytes", "b'!\\xff\\x80'", '{"py/bytes": "If+A"}', b"!\xff\x80"),
    Value("long bytes", "b'\\xff' * 300", f'{{"py/bytes": "{"////" * 100}"}}', b"\xff" * 300),
    Value("digits as bytes", "[b'42']", '[{"py/bytes": "NDI="}]', [b"42"]),
    Value("bytearray", "bytearray(b'\\xff0')", '{"py/bytearray": "/zA="}', {"py/bytearray": b"\xff0"}),
    Value("empty tuple", "()", '{"py/tuple": []}'),
    Value("tuple", "(1, (2,), (3, 4, 5, 'a'))", '{"py/tuple": [1, {"py/tuple": [2]}, {"py/tuple": [3, 4, 5, "a"]}]}'),
    Value(
        "hundreds of strings, twice",
        "tuple(str(n) for n in range(300)) * 2",
        json.dumps({"py/tuple": [str(n) for n in range(300)] * 2}),
    ),
    Value("empty set", "set()", '{"py/set": []}'),
    Value("set", "{1, 2}", '{"py/set": [1, 2]}'),
    Value("set of tuples", "{(1, 'a')}", '{"py/set": [{"py/tuple": [1, "a"]}]}'),
    Value("empty frozenset", "frozenset()", '{"py/frozenset": []}'),
    Value("frozenset in a set", "{frozenset({1})}", '{"py/set": [{"py/frozenset": [1]}]}'),
    Value("int keys", "{1: 2, -1: 'a'}", '{"py/dict": [[1, 2], [-1, "a"]]}'),
    Value(
        "keys of any type",
        "{None: 1, True: 2, 1.5: 3, 'a': 4, (1, 'b'): 5, date(2024, 1, 2): 6}",
        '{"py/dict": [[null, 1], [true, 2], [1.5, 3], ["a", 4], [{"py/tuple": [1, "b"]}, 5],'
        ' [{"py/date": "2024-01-02"}, 6]]}',
    ),
    Value("a tag as a key", "{'py/bytes': 1}", '{"py/dict": [["py/bytes", 1]]}'),
    Value("no tag as a key", "{'py/unknown': 1}", '{"py/dict": [["py/unknown", 1]]}'),
    Value("a tag among keys", "{'py/set': [1], 'a': 2}", '{"py/set": [1], "a": 2}'),
    Value("Counter", "Counter({'a': 3, 1: 2})", '{"py/counter": {"py/dict": [["a", 3], [1, 2]]}}'),
    Value(
        "defaultdict", "defaultdict(list, {'a': [1]})", '{"py/defaultdict": {"factory": "list", "dict": {"a": [1]}}}'
    ),
    Value("deque", "deque([1, (2,)], 5)", '{"py/deque": {"items": [1, {"py/tuple": [2]}], "maxlen": 5}}'),
    Value("ordered dict", "OrderedDict([('b', 1), (2, 'a')])", '{"py/ordereddict": [["b", 1], [2, "a"]]}'),
    Value("empty ordered dict", "OrderedDict()", '{"py/ordereddict": []}'),
    Value("datetime", "datetime(2024, 1, 2, 3, 4, 5)", '{"py/datetime": "2024-01-02T03:04:05"}'),
    Value("microseconds", "datetime(1, 1, 1, 0, 0, 0, 678)", '{"py/datetime": "0001-01-01T00:00:00.000678"}'),
    Value("UTC", "datetime(2024, 1, 2, tzinfo=timezone.utc)", '{"py/datetime": "2024-01-02T00:00:00+00:00"}'),
    Value(
        "an offset",
        "[datetime(9999, 12, 31, 23, 59, 59, 999999, timezone(timedelta(hours=5, minutes=30)))] * 2",
        '[{"py/datetime": "9999-12-31T23:59:59.999999+05:30"}, {"py/datetime": "9999-12-31T23:59:59.999999+05:30"}]',
    ),
    Value(
        "a western offset",
        "datetime(2024, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=-8)))",
        '{"py/datetime": "2024-01-02T03:04:00-08:00"}',
    ),
    Value("date", "date(2024, 1, 2)", '{"py/date": "2024-01-02"}'),
    Value("time", "time(23, 59, 59, 999999)", '{"py/time": "23:59:59.999999"}'),
    Value("time with a zone", "time(1, 2, 3, tzinfo=timezone.utc)", '{"py/time": "01:02:03+00:00"}'),
    Value("timedelta", "timedelta(1, 2, 3)", '{"py/timedelta": [1, 2, 3]}'),
    Value("negative timedelta", "timedelta(microseconds=-1)", '{"py/timedelta": [-1, 86399, 999999]}'),
    Value("decimal", "Decimal('1.10')", '{"py/decimal": "1.10"}'),
    Value(
        "odd decimals",
        "[Decimal('-0'), Decimal('NaN'), Decimal('-Infinity'), Decimal('1E+1000')]",
        '[{"py/decimal": "-0"}, {"py/decimal": "NaN"}, {"py/decimal": "-Infinity"}, {"py/decimal": "1E+1000"}]',
    ),
    Value(
        "uuid",
        "UUID('12345678-1234-5678-1234-567812345678')",
        '{"py/uuid": "12345678-1234-5678-1234-567812345678"}',
    ),
    Value("least uuid", "[UUID(int=0)]", '[{"py/uuid": "00000000-0000-0000-0000-000000000000"}]'),
    Value("complex", "complex(1, -2.5)", '{"py/complex": [1.0, -2.5]}'),
    Value("markup", r"Markup('<b>\xe9</b>')", '{"py/markup": "<b>é</b>"}'),
    Value(
        "markup among text",
        "['<b>', Markup('<b>'), Markup('<b>')]",
        '["<b>", {"py/markup": "<b>"}, {"py/markup": "<b>"}]',
    ),
    Value(
        "a bit of everything",
        "{'rows': [(1, Decimal('9.90'), date(2024, 1, 2), {'a'}, b'x')], 'page': {'next': None, 'of': 3}}",
        '{"rows": [{"py/tuple": [1, {"py/decimal": "9.90"}, {"py/date": "2024-01-02"}, {"py/set": ["a"]},'
        ' {"py/bytes": "eA=="}]}], "page": {"next": null, "of": 3}}',
        {
            "rows": [{"py/tuple": [1, {"py/decimal": "9.90"}, {"py/date": "2024-01-02"}, {"py/set": ["a"]}, b"x"]}],
            "page": {"next": None, "of": 3},
        },
    ),
]
"""Each is read as it is written."""

FEW = [
    each
    for each in VALUES
    if each.name
    in {
        "none", "zero", "beyond 64 bits", "nan", "text beyond ASCII", "digits as text", "rows with the same keys",
        "bytes", "keys of any type", "ordered dict", "an offset", "markup among text", "a bit of everything",
    }
]  # fmt: skip
"""One of each kind that a library, its Python or its MarkupSafe might treat in its own way."""

WRITTEN = [
    Value("a float as a tag", "2.0", '{"py/float": 2}', {"py/float": 2}),
    Value("an int as a tag", "[2**70]", '[{"py/int": "1180591620717411303424"}]'),
    Value("UTC as Z", "datetime(2024, 1, 2, tzinfo=timezone.utc)", '{"py/datetime": "2024-01-02T00:00:00Z"}'),
    Value("surplus seconds", "timedelta(2, 1)", '{"py/timedelta": [1, 86401, 0]}'),
    Value("negative zero as an int", "0", "-0", 0),
    Value("int keys of msgpack", "{1: 'a', 'b': 2}", '{"py/dict": [[1, "a"], ["b", 2]]}', {1: "a", "b": 2}),
    Value(
        "timestamp of msgpack",
        "datetime(2024, 1, 2, 3, 4, 5, 678, timezone.utc)",
        '{"py/datetime": "2024-01-02T03:04:05.000678Z"}',
        msgpack.Timestamp(1704164645, 678000),
    ),
]
"""Further spellings that writers may use."""
