"""Payloads of every kind, written by both engines under random options.

Of a tree of plain types the native engine writes what CPython's pickler would if equal keys were one object, and no
other strings but the empty ones. The reference leaves the objects to chance: a small cache of the JSON library has most
of the keys, and CPython a single object for some strings of one character.
"""

import pickle
import random
from collections.abc import Iterator
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import CodecLimits, Transcoder
from proxy.codec.envelope import STORAGES
from proxy.codec.payload import json_payload, msgpack_payload
from proxy.engine import REFERENCE
from tests import effort
from tests.codec.adversarial import EQUALS, NUMBERS, TABLES, Make, mixed, most_accepted, random_make
from tests.codec.samples import transcoder
from tests.codec.test_lossless import JSON_VALUES, MSGPACK_VALUES, VALUES, stored_by_python
from tests.native import CASES, SEED
from tests.native.engines import ACCEPTED, WRITERS, Pair, native_codec, outcome, some
from tests.native.payloads import broken, packed


def strings(tree: Any) -> Iterator[Any]:
    """All of a tree but its keys."""
    if type(tree) is list:
        for item in tree:
            yield from strings(item)
    elif type(tree) is dict:
        yield from strings(list(tree.values()))
    elif type(tree) in (str, bytes):
        yield tree


def with_equal_keys_as_one(tree: Any, keys: dict[str, str]) -> Any:
    if type(tree) is list:
        return [with_equal_keys_as_one(item, keys) for item in tree]
    if type(tree) is dict:
        return {keys.setdefault(key, key): with_equal_keys_as_one(item, keys) for key, item in tree.items()}
    return tree


def is_plain(pair: Pair, payload: bytes) -> bool:
    """Whether the reference leaves the tree to CPython's pickler."""
    if pair.options.view is not None or pair.options.stored == "json":
        return False
    module = json_payload if pair.options.payload == "json" else msgpack_payload
    return not (pair.options.accept_tags and module.may_have_tags(payload))


def same(pair: Pair, payload: bytes) -> None:
    ours, wanted = outcome(pair.native, payload, True), outcome(pair.reference, payload, True)
    if ours == wanted:
        return
    assert is_plain(pair, payload), (pair.options, payload)
    if type(ours) is bytes and type(wanted) is not bytes:
        # With every key written once it just fits.
        most = pair.options.limits.decoded_bytes
        roomy = pair.options.limits._replace(decoded_bytes=1 << 24)
        wanted = Transcoder(pair.options._replace(limits=roomy), engine=REFERENCE).encode(payload)
        assert len(ours) <= most < len(wanted)
    assert type(ours) is type(wanted) is bytes, (pair.options, payload)
    read = msgspec.json.decode if pair.options.payload == "json" else lambda raw: msgpack.unpackb(raw, raw=False)
    tree = with_equal_keys_as_one(read(payload), {})
    mark = STORAGES[pair.options.stored].mark
    if any(len(text) == 1 for text in strings(tree)):
        assert repr(pickle.loads(ours.removeprefix(mark))) == repr(tree), (pair.options, payload)
    else:
        assert ours == mark + pickle.dumps(tree, pair.options.pickle_protocol), (pair.options, payload)


def entries_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The entries of a kind of dict, as a payload has them; sometimes a tag that is no dict."""
    keys = st.text(max_size=3) | st.sampled_from(["py/dict", "py/set", "py/counter"])
    pairs = st.lists(st.tuples(st.text(max_size=2) | st.integers(0, 5), inner).map(list), max_size=3)
    return st.dictionaries(keys, inner, max_size=3) | pairs.map(lambda them: {"py/dict": them})


def in_any_order(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.permutations([*members])
    return st.tuples(names, st.fixed_dictionaries(members)).map(lambda it: {name: it[1][name] for name in it[0]})


@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_random_payloads_whole_and_broken(payload: str) -> None:
    for case in range(CASES // 2):
        rng = random.Random(SEED * 1_000_003 + case)
        raw = broken(rng, packed(rng, payload))
        for pair in some(rng, WRITERS, payload):
            same(pair, raw)


@given(JSON_VALUES, st.sampled_from([each for each in WRITERS if each.options.payload == "json"]))
@settings(max_examples=effort.cases(200))
def test_whatever_json_holds(tree: Any, pair: Pair) -> None:
    same(pair, msgspec.json.encode(tree))


@given(MSGPACK_VALUES, st.sampled_from([each for each in WRITERS if each.options.payload == "msgpack"]))
@settings(max_examples=effort.cases(200))
def test_whatever_msgpack_holds(tree: Any, pair: Pair) -> None:
    same(pair, msgpack.packb(tree, datetime=True))


@given(VALUES, st.sampled_from(WRITERS), st.randoms(use_true_random=False))
@settings(max_examples=effort.cases(800))
def test_whatever_stands_for_a_value_of_python(value: Any, pair: Pair, rng: random.Random) -> None:
    stored = stored_by_python(value, 4)
    payload = transcoder(pair.options.payload).decode(stored)
    same(pair, payload)
    same(pair, broken(rng, payload))


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 2000, 2001])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_batches_end_where_cpython_ends_them(count: int, protocol: int) -> None:
    for tree in (list(range(count)), {f"key {number}": number for number in range(count)}):
        for pair in (each for each in WRITERS if each.options.pickle_protocol == protocol):
            same(pair, (msgspec.json.encode if pair.options.payload == "json" else msgpack.packb)(tree))


@pytest.mark.parametrize("size", [1, 250, 255, 256, 300, 65_530, 65_535, 65_536, 65_537, 200_000])
def test_frames_end_where_cpython_ends_them(size: int) -> None:
    tree = [["x" * size, {"k" * size: 1}], {"k" * size: 2}, *[f"{number:>100}" for number in range(700)], "y" * size]
    for pair in WRITERS:
        if pair.options.limits.nodes > 10_000:
            same(pair, (msgspec.json.encode if pair.options.payload == "json" else msgpack.packb)(tree))


@pytest.mark.parametrize("accept", ACCEPTED, ids=",".join)
def test_ints_end_where_python_ends_them(accept: tuple[str, ...]) -> None:
    numbers = [
        sign * (2**bits + off) for bits in (*range(6, 70), 127, 2031, 2039) for off in (-1, 0, 1) for sign in (1, -1)
    ]
    for tree in (numbers, [{"a": number, "py/x": 1} for number in numbers], *numbers):
        for pair in WRITERS:
            if pair.options.payload == "json" and pair.options.accept_tags == accept:
                same(pair, msgspec.json.encode(tree))


@pytest.mark.parametrize("count", [1, 5, 11, 12, 13, 40, 300])
def test_of_equal_keys_the_last_wins(count: int) -> None:
    rng = random.Random(count)
    for _ in range(20):
        keys = [f"k{rng.randrange(count)}" for _ in range(count)]
        inner = ",".join(f'"{key}":[{at},{{"{key}":{at}}}]' for at, key in enumerate(keys))
        for pair in some(rng, WRITERS, "json"):
            same(pair, f'{{{inner},"k0":{{{inner}}}}}'.encode())


ROOMY = [
    pair for pair in WRITERS if pair.options.limits == CodecLimits() and "response" in pair.options.accept_tags
]  # fmt: skip


TREES = st.recursive(
    st.none() | st.integers(-300, 2**63) | st.text(max_size=4),
    lambda inner: (
        entries_of(inner).map(lambda entries: {"py/counter": entries})
        | in_any_order(
            dict=entries_of(inner), factory=st.sampled_from(["list", "int", "str", "frozenset", "eval", None])
        ).map(lambda content: {"py/defaultdict": content})
        | in_any_order(
            items=st.lists(inner, max_size=3), maxlen=st.sampled_from([None, 0, 2, 3, 300, 2**63 - 1, -1, ""])
        ).map(lambda content: {"py/deque": content})
        | st.lists(inner, max_size=2)
    ),
    max_leaves=10,
)


@given(TREES, st.sampled_from(WRITERS), st.sampled_from(ROOMY), st.randoms(use_true_random=False))
@settings(max_examples=effort.cases(400))
def test_whatever_stands_for_a_container_of_the_standard_library(
    tree: Any, pair: Pair, roomy: Pair, rng: random.Random
) -> None:
    for each in (pair, roomy):
        payload = (msgspec.json.encode if each.options.payload == "json" else msgpack.packb)(tree)
        same(each, payload)
        same(each, broken(rng, payload))
    wanted = outcome(roomy.reference, payload, True)
    if not is_plain(roomy, payload):  # the native engine does it by itself
        assert native_codec(roomy).encode(payload) == (wanted if type(wanted) is bytes else None)


def same_estimate(tree: Any, rng: random.Random) -> None:
    """The native engine itself comes to the verdict, and leaves nothing that is accepted to the reference."""
    for pair in rng.sample(ROOMY, 3):
        try:
            payload = (msgspec.json.encode if pair.options.payload == "json" else msgpack.packb)(tree)
        except OverflowError:
            continue
        wanted = outcome(pair.reference, payload, True)
        assert native_codec(pair).encode(payload) == (wanted if type(wanted) is bytes else None), pair.options


@pytest.mark.parametrize("table", TABLES)
def test_members_that_collide_are_accepted_and_refused_by_both(table: str) -> None:
    rng = random.Random(SEED + len(table))
    for _ in range(4):
        make = random_make(rng)
        same_estimate(TABLES[table]([make(number) for number in range(rng.choice((2, 30, 300)))]), rng)


@pytest.mark.parametrize("make", [NUMBERS["UUIDs"], mixed([*NUMBERS.values()]), mixed([*EQUALS.values()])])
def test_both_accept_members_up_to_the_same_number(make: Make) -> None:
    rng = random.Random(SEED)
    codec = native_codec(next(pair for pair in ROOMY if pair.options.payload == "json"))
    fits, too_many = most_accepted(codec.encode, make, "OrderedDict")
    for count in (fits, too_many):
        same_estimate(TABLES["OrderedDict"]([make(number) for number in range(count)]), rng)


@given(st.text("sSnNaAiIfFyYtT0129_-+.eE \t\n\u0663\u2003", max_size=12), st.sampled_from(ROOMY))
@settings(max_examples=effort.cases(500))
def test_whatever_spells_a_decimal(text: str, pair: Pair) -> None:
    pack = msgspec.json.encode if pair.options.payload == "json" else msgpack.packb
    for spelled in (text, f"snan{text}", f"1e{text}"):
        same(pair, pack({"py/decimal": spelled}))
        same(pair, pack([{"py/set": [{"py/tuple": [{"py/decimal": spelled}]}]}]))
