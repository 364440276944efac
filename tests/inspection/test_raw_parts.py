"""The raw parts of objects."""

import enum
import json
import pickle
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import CodecLimits, UndecodableError, envelope
from proxy.inspection.raw_parts import raw_parts
from tests import effort
from tests.codec.samples import HOSTILE
from tests.codec.test_real_values import REAL_VALUES

LIMITS = CodecLimits()
HERE = __name__


class Color(enum.Enum):
    """Of a test's own."""

    RED = 1


class Point(NamedTuple):
    """Likewise."""

    x: int
    y: int


@dataclass
class Cart:
    """Likewise."""

    items: list[Any]


class Basket(list[int]):
    """Likewise."""


class Prices(dict[str, int]):
    """Likewise."""


def raw(value: Any) -> Any:
    return raw_parts(envelope.read(b"!" + pickle.dumps(value, 4), LIMITS).root)


def test_each_object_is_shown_as_the_pickle_has_it() -> None:
    assert raw(Color.RED) == {"object": 1, "class": f"{HERE}.Color", "is_called": True, "arguments": [1]}
    assert raw(Point(1, 2)) == {"object": 1, "class": f"{HERE}.Point", "arguments": [1, 2]}
    assert raw(Cart([(1, "a")])) == {
        "object": 1,
        "class": f"{HERE}.Cart",
        "state": {"items": [{"py/tuple": [1, "a"]}]},
    }
    assert raw(Basket([1])) == {"object": 1, "class": f"{HERE}.Basket", "items": [1]}
    assert raw(Prices(a=1)) == {"object": 1, "class": f"{HERE}.Prices", "pairs": {"a": 1}}
    assert raw([Cart]) == [{"py/global": f"{HERE}.Cart"}]


def test_an_object_that_occurs_again_has_a_number() -> None:
    cart = Cart([])
    cart.items += [cart, Point(1, 2), cart]
    assert raw(cart)["state"]["items"] == [
        {"same as": 1},
        {"object": 2, "class": f"{HERE}.Point", "arguments": [1, 2]},
        {"same as": 1},
    ]


def test_values_of_other_types_have_their_tags() -> None:
    cart = Cart(
        [b"\x00", {1}, date(2024, 1, 2), OrderedDict(a=1), defaultdict(list), Counter("a"), 2**70, 1e400, {1: 2}]
    )
    assert raw(cart)["state"]["items"] == [
        {"py/bytes": "AA=="},
        {"py/set": [1]},
        {"py/date": "2024-01-02"},
        {"py/ordereddict": {"a": 1}},
        {"py/defaultdict": {}, "more": "list"},
        {"py/counter": {"a": 1}},
        {"py/int": str(2**70)},
        {"py/float": "inf"},
        {"py/dict": [[1, 2]]},
    ]


def test_values_without_objects_have_no_parts() -> None:
    assert raw({"a": [1, (2,), b"x"]}) is None


def test_what_is_long_is_cut() -> None:
    shown = raw(Cart([list(range(1000)), "x" * 1000, b"x" * 1000, dict.fromkeys(map(str, range(1000)))]))
    numbers, text, data, pairs = shown["state"]["items"]
    assert numbers[-1] == {"cut": 900}
    assert (len(numbers), pairs["cut"], data["cut"]) == (101, 900, 800)
    assert text.endswith("... (1000 characters)")
    deep: Any = Cart([])
    for _ in range(40):
        deep = [deep]
    assert json.dumps(raw([Cart([]), deep])).count("cut") == 1
    assert len(json.dumps(raw([[Cart([0] * 100)] * 100 for _ in range(100)]))) < 100_000


@pytest.mark.parametrize("library", REAL_VALUES)
def test_what_real_libraries_stored_has_parts_that_are_json(library: str) -> None:
    for vector in REAL_VALUES[library].values():
        msgspec.json.encode(raw_parts(envelope.read(bytes.fromhex(vector["hex"]), LIMITS).root))


def test_a_damaged_object_and_any_new_kind_of_node_are_named() -> None:
    damaged = b"!\x80\x04cdatetime\ndate\nC\x01x\x85R."
    assert raw_parts(envelope.read(damaged, LIMITS).root) == {"class": "datetime.date", "damaged": True}
    assert raw_parts([object()]) == [{"kind": "object"}]


def test_hostile_values_are_shown_in_bounds() -> None:
    for sample in HOSTILE:
        try:
            root = envelope.read(sample.stored, LIMITS).root
        except UndecodableError:
            continue
        assert len(msgspec.json.encode(raw_parts(root))) < 10**6


@settings(max_examples=effort.cases(100), deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text() | st.binary() | st.floats(), st.lists))
def test_any_tree_is_json(tree: Any) -> None:
    msgspec.json.encode(raw([Color.RED, tree]))
