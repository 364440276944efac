"""Keys that are arrays in plain JSON: both engines give them the same names and count the same."""

import pickle
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from proxy.codec import CodecLimits, Options, UndecodableError
from tests.codec.pickles import text
from tests.codec.unpickle.test_instances import Point
from tests.native import CASES, SEED
from tests.native.engines import READERS, as_stored, native_codec, pair
from tests.native.test_decode import answer, same

PLAIN = [each for each in READERS if each.options.types == "plain"]
PARTS: tuple[Any, ...] = (
    *(None, True, False, 0, -7, 2**53 + 1, 2**64, -(10**30), 1.5, -0.0, 1e300, float("nan"), float("inf")),
    *("", "a", 'é\n"', b"tea", b"\xff", 1 + 2j, complex("nan"), str, Ellipsis),
    *(date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, 5), timedelta(days=1, microseconds=5), Decimal("1.10")),
)
OBJECTS: tuple[Any, ...] = (Point(1, "b"), datetime(2024, 1, 2, tzinfo=UTC))


def key(rng: random.Random, parts: tuple[Any, ...], depth: int) -> Any:
    if depth == 0 or rng.random() < 0.5:
        return rng.choice(parts)
    items = [key(rng, parts, depth - 1) for _ in range(rng.randrange(4))]
    return tuple(items) if rng.random() < 0.7 else frozenset(items)


def test_random_keys() -> None:
    for case in range(CASES // 4):
        rng = random.Random(SEED * 1_000_003 + case)
        parts = PARTS + OBJECTS if rng.random() < 0.3 else PARTS
        value = [{key(rng, parts, 4): key(rng, parts, 2) for _ in range(rng.randrange(1, 6))}]
        stored = b"!" + pickle.dumps(value, rng.choice((2, 3, 4, 5)))
        for each in rng.sample(PLAIN, 5):
            same(each, as_stored(each, stored))


@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_keys_without_objects_are_not_left_to_the_reference(payload: str) -> None:
    value = {(1, "a"): 1, frozenset({2}): 2, 1 + 2j: 3, ((), (b"x", None)): 4}
    native = native_codec(pair(Options(payload=payload, types="plain")))
    assert native.decode(b"!" + pickle.dumps(value)) is not None


@pytest.mark.parametrize("most", range(1, 24))
def test_budgets_end_at_the_same_key(most: int) -> None:
    stored = b"!" + pickle.dumps([{(1, ("a", frozenset({2.5}))): 1, 1 + 2j: "\x01", ("é" * 9,): None}])
    for limits in (CodecLimits(nodes=most), CodecLimits(depth=most), CodecLimits(decoded_bytes=len(stored) + most)):
        each = pair(Options(types="plain", limits=limits))
        assert repr(answer(each.native, stored)) == repr(answer(each.reference, stored))


def test_keys_that_share_their_parts_end_at_the_limit_of_nodes() -> None:
    # Python itself would need years for the hash, so the pickle is made by hand.
    part = text("a") + b"\x94" + b"".join(b"h%c" % at + b"\x86\x94" for at in range(40))
    stored = b"!}" + part + b"Ns."
    for each in (pair(Options(types="plain")), pair(Options(types="plain", limits=CodecLimits(nodes=5000)))):
        for codec in (each.native, each.reference):
            with pytest.raises(UndecodableError, match="nodes"):
                codec.decode(stored)
