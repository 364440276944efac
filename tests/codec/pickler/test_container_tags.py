"""Counter, defaultdict and deque: the pickles are those of CPython, and load as equal values in every Python."""

import json
import pickle
import pickletools
import re
from collections import Counter, defaultdict, deque
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from proxy.codec import CodecLimits, PayloadError, dumps, loads
from tests import effort
from tests.codec.judge import normal
from tests.codec.samples import encode, transcoder
from tests.codec.test_lossless import FACTORIES, HASHABLE_SCALARS, collections_of, loaded

SCALARS = HASHABLE_SCALARS.filter(lambda scalar: type(scalar) is not Markup)  # dumps() uses a stand-in for it
KEYS = SCALARS | st.lists(SCALARS, max_size=3).map(tuple) | st.frozensets(SCALARS, max_size=3)
COLLECTIONS = st.recursive(
    SCALARS, lambda inner: collections_of(inner, KEYS) | st.lists(inner, max_size=3), max_leaves=8
)


@settings(max_examples=effort.cases(300), deadline=None)
@given(COLLECTIONS, st.integers(2, 5))
def test_what_python_dumps_loads_equal_type_for_type(value: Any, protocol: int) -> None:
    stored = dumps(value, protocol=protocol)
    assert normal(loaded(stored)) == normal(loads(stored)) == normal(value)


def significant(stored: bytes) -> list[tuple[str, Any]]:
    """The instructions of a pickle, without those that do not matter: frames, the memo, and the sizes of batches."""
    trivial = {"PROTO", "FRAME", "MARK"}
    single = {"APPENDS": "APPEND", "SETITEMS": "SETITEM"}
    found: list[tuple[str, Any]] = []
    memo: list[tuple[str, Any]] = []
    for code, argument, _ in pickletools.genops(stored):
        if code.name in ("MEMOIZE", "BINPUT"):
            memo.append(found[-1])
        elif code.name == "BINGET" and "UNICODE" in memo[argument][0]:
            found.append(memo[argument])  # CPython repeats a string that is another object
        elif code.name not in trivial:
            found.append((single.get(code.name, code.name), argument))
    return found


@pytest.mark.parametrize(
    "value",
    [
        Counter({"a": 3}), Counter(), Counter({1: "x"}), deque([1]), deque(maxlen=0), deque([1], 2**40),
        *(defaultdict(factory, {"k": 1}) for factory in FACTORIES), defaultdict(list),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_the_instructions_are_those_of_cpython(value: Any, protocol: int) -> None:
    assert significant(dumps(value, protocol=protocol)[1:]) == significant(pickle.dumps(value, protocol))


@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_entries_are_an_object_or_pairs(payload: str) -> None:
    pack = msgpack.packb if payload == "msgpack" else lambda tree: json.dumps(tree).encode()
    for entries, wanted in (
        ({"a": 3, "": {"py/tuple": []}}, {"a": 3, "": ()}),
        ({"py/dict": [[1, 2], ["a", None]]}, {1: 2, "a": None}),
        ({"py/dict": []}, {}),
        ({}, {}),
        ({"py/dict": [["py/dict", 1]]}, {"py/dict": 1}),
    ):
        for accept in (("data",), ("counter", "defaultdict", "tuple")):  # the pairs belong to the tag around them
            counter = encode(pack([{"py/counter": entries}]), payload=payload, accept_tags=accept)
            assert normal(counter) == normal([Counter(wanted)])
            tree = {"py/defaultdict": {"dict": entries, "factory": "set"}}
            made = encode(pack(tree), payload=payload, accept_tags=accept)
            assert normal(made) == normal(defaultdict(set, wanted))


def test_a_msgpack_map_with_other_keys_may_hold_the_entries() -> None:
    counter = encode(msgpack.packb({"py/counter": {1: 2, b"x": 3, "a": 4}}), payload="msgpack")
    assert normal(counter) == normal(Counter({1: 2, b"x": 3, "a": 4}))


def test_a_maxlen_beyond_a_double_may_have_the_tag_that_it_reads_with() -> None:
    made = encode({"py/deque": {"items": [1], "maxlen": {"py/int": str(2**62)}}})
    assert (made, made.maxlen) == (deque([1]), 2**62)


def test_more_items_than_maxlen_are_an_error_and_not_a_loss() -> None:
    with pytest.raises(PayloadError, match="maxlen is null, or an integer not less than the number of items"):
        encode({"py/deque": {"items": [1, 2, 3], "maxlen": 2}})


def test_a_container_is_one_level_deep() -> None:
    limits = CodecLimits(depth=2)
    for wrap in (
        lambda it: {"py/counter": {"a": it}},
        lambda it: {"py/defaultdict": {"factory": None, "dict": {"a": it}}},
        lambda it: {"py/deque": {"items": [it], "maxlen": None}},
    ):
        encode(wrap(wrap(1)), limits=limits)
        with pytest.raises(PayloadError, match="deep"):
            encode(wrap(wrap(wrap(1))), limits=limits)


@pytest.mark.parametrize(
    ("tree", "nodes"),
    [
        ({"py/counter": {"a": 1, "b": 2}}, 4),
        ({"py/counter": {"py/dict": [[1, 2]]}}, 6),
        ({"py/defaultdict": {"factory": "int", "dict": {"a": 1}}}, 5),
        ({"py/deque": {"items": [1, 2], "maxlen": None}}, 6),
    ],
    ids=json.dumps,
)
def test_every_part_of_the_payload_counts_as_a_node(tree: Any, nodes: int) -> None:
    raw = json.dumps(tree).encode()
    transcoder(limits=CodecLimits(nodes=nodes)).encode(raw)
    with pytest.raises(PayloadError, match=re.escape("nodes ([limits] nodes)")):
        transcoder(limits=CodecLimits(nodes=nodes - 1)).encode(raw)
