"""The app loads every accepted value in a short time, even with collisions, and without errors."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from proxy.codec import PayloadError, UndecodableError, dumps, loads
from proxy.codec.pickler import hash_cost
from proxy.codec.pickler.hash_cost import Collisions, Parts
from tests.codec.adversarial import (
    EQUALS,
    HASH,
    MODULUS,
    NUMBERS,
    TABLES,
    Make,
    in_frozensets,
    in_tuples,
    mixed,
    most_accepted,
    msgpack_map,
    random_make,
)
from tests.codec.samples import FORMATS, encode, transcoder

SOON = 2.0
"""CPU seconds: several times the estimate's limit, because machines differ."""


def clocked(values: list[bytes]) -> list[float | str]:
    """CPU seconds to load each value, in a child process with limits."""
    child = [sys.executable, str(Path(__file__).parents[1] / "judge.py"), "clock"]
    lines = "\n".join(value.hex() for value in values)
    told = subprocess.run(child, input=lines, capture_output=True, text=True, timeout=300, check=True)
    seconds: list[float | str] = json.loads(told.stdout)
    return seconds


def _json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def most(make: Make, table: str, payload: str = "json") -> bytes:
    """A value with about the most members that are accepted."""
    as_json = transcoder()

    def encode(raw: bytes) -> bytes | None:
        try:
            return as_json.encode(raw)
        except PayloadError:
            return None

    fits, _ = most_accepted(encode, make, table, slack=6)
    tree = TABLES[table]([make(number) for number in range(fits)])
    return as_json.encode(_json(tree)) if payload == "json" else transcoder("msgpack").encode(msgpack.packb(tree))


PAIRS = [
    ("ints of 14280 bits", "decimals of 70 bits"),
    ("ints of 2000 bits", "decimals of 250 bits"),
    ("floats", "decimals of 70 bits"),
    ("UUIDs", "decimals of 70 bits"),
    ("ints of 1000 bits", "floats"),
]
"""Kinds that take long to compare with each other."""


def test_the_most_that_is_accepted_of_two_kinds_loads_soon() -> None:
    makes = [mixed([NUMBERS[name] for name in pair]) for pair in PAIRS]
    makes += [
        in_tuples([EQUALS[name]], NUMBERS["ints of 70 bits"])
        for name in ("long texts", "bytes", "zones", "a float and a decimal")
    ]
    makes += [in_frozensets(size, *[NUMBERS["ints of 70 bits"]] * 2) for size in (1, 20)]
    for seconds in clocked([most(make, "set") for make in makes]):
        assert isinstance(seconds, float), seconds
        assert seconds < SOON


@pytest.mark.parametrize("table", TABLES)
def test_the_most_that_is_accepted_of_random_kinds_loads_soon(table: str) -> None:
    rng = random.Random(table)
    values = [most(random_make(rng), table, payload) for payload in FORMATS]
    for seconds in clocked(values):
        assert isinstance(seconds, float), seconds
        assert seconds < SOON


def test_the_most_keys_of_a_msgpack_map_load_soon() -> None:
    codec = transcoder("msgpack")
    floats = [HASH * 2.0 ** (61 * power) for power in range(-15, 15)]
    for members in ([number << 20 for number in range(16_000)], [MODULUS, *floats, 2 * MODULUS, *range(10_000)]):
        (seconds,) = clocked([codec.encode(msgpack_map(members))])
        assert isinstance(seconds, float), seconds
        assert seconds < SOON
    with pytest.raises(PayloadError, match="are too many"):
        codec.encode(msgpack_map([number << 20 for number in range(17_000)]))


# -- the estimate ----------------------------------------------------------------------------------------


def colliding(count: int) -> list[int]:
    return [HASH + MODULUS * number for number in range(count)]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda it: {"py/set": [it]},
        lambda it: [{"py/frozenset": [it]}],
        lambda it: {"py/dict": [[it, 1]]},
        lambda it: {"py/ordereddict": [[it, 1]]},
        lambda it: {"py/set": [{"py/tuple": [1, {"py/tuple": [it]}]}]},
        lambda it: {"py/set": [{"py/frozenset": [{"py/tuple": [{"py/frozenset": [it]}]}]}]},
        lambda it: {"a": [{"py/dict": [["k", {"py/set": [it]}]]}]},
    ],
    ids=["set", "frozenset", "dict", "OrderedDict", "tuples", "frozensets", "value"],
)
def test_members_of_a_frozenset_count_wherever_it_is_hashed(wrap: Callable[[Any], Any]) -> None:
    for inner in (
        {"py/frozenset": colliding(10_000)},
        {"py/frozenset": [{"py/tuple": [it]} for it in colliding(5000)]},
    ):
        with pytest.raises(PayloadError, match="are too many"):
            encode(wrap(inner))
    encode(wrap({"py/frozenset": colliding(3000)}))


def test_members_count_in_what_python_dumps_too() -> None:
    few = frozenset(colliding(1000))
    assert loads(dumps({few: 1, (few, "x"): 2})) == {few: 1, (few, "x"): 2}
    many = frozenset(colliding(6000))
    for value in ({many}, {many: 1}, {("x", (many,)): 1}, [frozenset({many})]):
        with pytest.raises(PayloadError, match="are too many"):
            dumps(value)


@pytest.mark.parametrize(("ints", "decimals"), [(60, 60), (40, 400), (400, 40)])
def test_long_ints_are_few_where_decimals_are(ints: int, decimals: int) -> None:
    members: list[Any] = [10**4298 + number for number in range(ints)]
    encode({"py/set": members})
    members += [{"py/decimal": str(number)} for number in range(decimals)]
    for name in ("set", "OrderedDict", "a set of one frozenset"):
        with pytest.raises(PayloadError, match="are too many"):
            encode(TABLES[name](members))


@pytest.mark.parametrize(
    ("one_hash", "member"),
    [
        (1, True),
        (0, False),
        (0, ""),
        (0, {"py/bytes": ""}),
        (0, {"py/markup": ""}),
        (HASH, HASH),
        (0, None),  # its hash is another one, and the same in every process since Python 3.12
    ],
    ids=["true", "false", "text", "bytes", "markup", "int", "none"],
)
@pytest.mark.parametrize("table", TABLES)
def test_a_member_that_comes_again_and_again_meets_all_of_its_hash(one_hash: int, member: Any, table: str) -> None:
    decimals: list[Any] = [{"py/decimal": str(one_hash + MODULUS * number)} for number in range(1, 2001)]
    for payload, pack in (("json", _json), ("msgpack", msgpack.packb)):
        codec = transcoder(payload)
        codec.encode(pack({"py/set": [*decimals[:1000], *[member] * 100]}))
        if table != "many sets":
            with pytest.raises(PayloadError, match="are too many"):
                codec.encode(pack(TABLES[table](decimals + [member] * 10_000)))


def test_floats_are_few_where_decimals_are_and_zones_where_others_are() -> None:
    floats: list[Any] = [number + 0.5 for number in range(1000)]
    decimals = [{"py/decimal": f"{number}.25"} for number in range(1000)]
    with pytest.raises(PayloadError, match="are too many"):
        encode({"py/set": floats + decimals})
    encode([{"py/set": floats}, {"py/set": decimals}])
    moments = [f"2024-01-02T03:04:05.{number:06}" for number in range(2000)]
    encode({"py/set": [{"py/datetime": f"{moment}+01:00"} for moment in moments]})
    with pytest.raises(PayloadError, match="are too many"):
        encode({"py/set": [{"py/datetime": f"{moment}+0{at % 2}:00"} for at, moment in enumerate(moments)]})
    assert len(encode({"py/set": [{"py/datetime": moment} for moment in moments]})) == 2000


@pytest.mark.parametrize(
    "make",
    [
        lambda number: {"py/tuple": ["k", number, 1.5, None, {"py/decimal": "1.25"}, {"py/date": "2024-01-02"}]},
        lambda number: {"py/frozenset": [f"tag {number + at}" for at in range(5)]},
        lambda number: {"py/frozenset": [number + at for at in range(5)]},
        lambda number: {"py/decimal": f"{number}.25"},
        lambda number: {"py/datetime": f"2024-01-02T03:04:05.{number:06}+02:00"},
        lambda number: {"py/timedelta": [number, 0, 0]},
        lambda number: (None, True, "", number, f"name {number}", number + 0.5)[number % 6],
        lambda number: {"py/tuple": [(None, "", f"name {number}")[number % 3], number % 2 == 0, number]},
    ],
    ids=["rows", "tags", "frozensets", "decimals", "datetimes", "timedeltas", "mixed", "nullable"],
)
def test_ordinary_members_are_as_many_as_ever(make: Make) -> None:
    encode({"py/set": [make(number) for number in range(2200)]})


def spent(add: Callable[[Collisions, Parts], Any]) -> int:
    estimate = Collisions()
    add(estimate, hash_cost.table())
    return estimate._spent


def test_the_estimate_is_the_sum_over_pairs_of_kinds() -> None:
    longs, decimals = [hash_cost.INT_MORE] * 7, [hash_cost.DECIMAL] * 5
    wanted = 7 * 7 * 310 + 5 * 5 * 40 + 2 * 7 * 5 * 345_000
    for kinds in (longs + decimals, decimals + longs, [*longs[:3], *decimals, *longs[3:]]):
        assert spent(lambda estimate, keys, kinds=kinds: [estimate.add(keys, kind) for kind in kinds]) == wanted


def test_parts_count_where_they_are_compared() -> None:
    def rows(estimate: Collisions, keys: Parts) -> None:
        for _ in range(10):
            parts = estimate.add(keys, hash_cost.TUPLE)
            estimate.add(parts, hash_cost.INT)
            members = estimate.add(parts, hash_cost.FROZENSET)
            for kind in (hash_cost.INT_128, hash_cost.INT_128, hash_cost.TEXT):
                estimate.add(members, kind)

    assert spent(rows) == 10 * 10 * (40 + 8 + 45 + 15) + 20 * 20 * 26


# -- values that would raise -----------------------------------------------------------------------------

SIGNALING = ["sNaN", "s_nan", " snan ", "-sNaN123", "+s_N_aN", "\tsnan\n", "SNAN0", "_snan", "\u2003sNaN\u0665"]


@pytest.mark.parametrize("text", SIGNALING)
@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_a_signaling_nan_is_hashed_nowhere_however_it_is_spelled(text: str, payload: str) -> None:
    codec = transcoder(payload)
    pack = _json if payload == "json" else msgpack.packb
    member = {"py/decimal": text}
    for hashed in (
        member,
        {"py/tuple": [1, member]},
        {"py/frozenset": [member]},
        {"py/tuple": [{"py/tuple": [member]}]},
    ):
        for wrap in TABLES.values():
            with pytest.raises(PayloadError, match="cannot be a set's member or a key"):
                codec.encode(pack(wrap([hashed])))
    assert "sNaN" in repr(encode([member]))


def test_a_signaling_nan_is_not_loaded_as_a_key() -> None:
    with pytest.raises(UndecodableError, match="unhashable"):
        loads(b"!(cdecimal\nDecimal\n(VsNaN\ntRI1\nd.")


ENDS: list[Any] = [
    *({"py/decimal": text} for text in ("NaN", "-nan12", "-Infinity", "-0E-5", "1_0__0", "NaN" + "1" * 4000)),
    *({"py/decimal": text} for text in ("9.99E+999999999999999999", "1E-1999999999999999997", "1e-999999999999999")),
    *({"py/datetime": f"0001-01-01T00:00:00{zone}"} for zone in ("", "+23:59", "-23:59:59", "+23:59:59.999999")),
    *({"py/datetime": f"9999-12-31T23:59:59.999999{zone}"} for zone in ("", "Z", "-23:59", "-23:59:59.999999")),
    *({"py/time": text} for text in ("00:00:00+23:59:59.999999", "23:59:59-23:59", "00:00:00")),
    *({"py/timedelta": fields} for fields in ([-999999999, 0, 0], [999999999, 86399, 999999], [0, 0, -1])),
    *({"py/uuid": "-".join(digit * size for size in (8, 4, 4, 4, 12))} for digit in "0f"),
    *({"py/int": text} for text in ("-" + "9" * 4300, "-0", "-1", "-2")),
    *({"py/float": "nan"}, {"py/complex": [{"py/float": "nan"}, {"py/float": "-inf"}]}, {"py/complex": [1e308, -0.0]}),
    *({"py/date": "0001-01-01"}, {"py/date": "9999-12-31"}, {"py/markup": ""}, {"py/bytes": ""}, "", None, True, -0.0),
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_is_accepted_at_the_ends_of_a_type_is_hashed_and_compared(protocol: int) -> None:
    codec = transcoder(protocol=protocol)
    rows = [{"py/tuple": [member, number]} for member in ENDS for number in (*colliding(2), 1)]
    trees = [wrap([*ENDS, *ENDS, *rows]) for wrap in TABLES.values()]
    for seconds in clocked([codec.encode(_json(tree)) for tree in trees]):
        assert isinstance(seconds, float), seconds
