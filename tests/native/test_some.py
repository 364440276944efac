"""Many values at once: the same bytes as one by one, as far as they are usual, and never more than were allowed."""

import random
from collections.abc import Callable

import pytest

from proxy import _native
from proxy.codec import CodecError, Options, Transcoder
from tests.codec.samples import VECTORS
from tests.native import CASES, SEED
from tests.native.engines import READERS, WRITERS, Pair, native_codec, some
from tests.native.payloads import broken, packed
from tests.native.test_decode import tampered


def usual(codec: _native.Codec, value: bytes, encode: bool) -> bytes | None:
    """What the native engine makes of one by itself; None: there is something to say about it, or it is not handled."""
    try:
        return codec.encode(value) if encode else codec.decode(value)
    except CodecError:
        return None


def one_by_one(codec: _native.Codec, values: list[bytes], limit: int, encode: bool) -> list[bytes]:
    results: list[bytes] = []
    for value in values:
        limit -= len(value)
        result = usual(codec, value, encode) if limit >= 0 else None
        if result is None:
            break
        limit -= 0 if encode else len(result)
        results.append(result)
        if limit < 0:
            break
    return results


def a_payload(rng: random.Random, pair: Pair) -> bytes:
    payload = packed(rng, pair.options.payload)
    return broken(rng, payload) if rng.random() < 0.1 else payload


def a_stored_value(rng: random.Random, _pair: Pair) -> bytes:
    return rng.choice(VECTORS).stored if rng.random() < 0.8 else tampered(rng)


@pytest.mark.parametrize(
    ("pairs", "one", "encode"), [(WRITERS, a_payload, True), (READERS, a_stored_value, False)], ids=["encode", "decode"]
)
def test_values_at_random(pairs: list[Pair], one: Callable[[random.Random, Pair], bytes], encode: bool) -> None:
    done = 0
    for case in range(CASES // 5):
        rng = random.Random(SEED * 1_000_003 + case)
        (pair, *_) = some(rng, pairs)
        values = [one(rng, pair) for _ in range(rng.randint(0, 6))]
        limit = rng.choice((0, 50, 1 << 30, sum(map(len, values))))
        results = (pair.native.encode_some if encode else pair.native.decode_some)(values, limit)
        assert results == one_by_one(native_codec(pair), values, limit, encode)
        done += len(results)
    assert done > CASES // 10


def test_without_the_native_engine_there_are_none() -> None:
    alone = Transcoder(Options(), native=None)
    assert alone.encode_some([b"1"], 10) == alone.decode_some([b"1"], 10) == []
