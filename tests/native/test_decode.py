"""Stored values of every kind, read by both engines under random options."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import _native
from proxy.codec import Options, Transcoder, UndecodableError
from proxy.engine import REFERENCE
from tests import effort
from tests.codec.pickles import binary, headers, response, text
from tests.codec.samples import HOSTILE, VECTORS
from tests.codec.test_fuzz import tampered
from tests.codec.test_lossless import VALUES, stored_by_python
from tests.native import CASES, SEED
from tests.native.engines import LIMITS, READERS, SMALL, Pair, as_stored, native_codec, outcome, some
from tests.native.payloads import broken, packed


def same(pair: Pair, stored: bytes) -> None:
    assert outcome(pair.native, stored, False) == outcome(pair.reference, stored, False), (pair.options, stored)


@pytest.mark.parametrize("stored", [each.stored for each in VECTORS], ids=[f"{x.stack}-{x.name}" for x in VECTORS])
def test_what_real_stacks_stored(stored: bytes) -> None:
    for pair in READERS:
        same(pair, as_stored(pair, stored))


def test_json_bodies() -> None:
    """Which `types = "plain"` reads as the value itself."""
    content_type = headers(text("Content-Type") + text("application/json; charset=utf-8") + b"\x86")
    for case in range(CASES // 10):
        rng = random.Random(SEED * 1_000_003 + case)
        body = b"]" + binary(broken(rng, packed(rng, "json"))) + b"a"
        for pair in some(rng, [each for each in READERS if each.options.types == "plain"]):
            same(pair, b"!" + response(headers=content_type, response=body) + b".")


def test_json_values() -> None:
    """Which `stored = "json"` reads."""
    for case in range(CASES // 4):
        rng = random.Random(SEED * 1_000_003 + case)
        stored = broken(rng, packed(rng, "json"))
        for pair in some(rng, [each for each in READERS if each.options.stored == "json"]):
            same(pair, stored)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: each.name)
def test_hostile_pickles(hostile: object) -> None:
    stored = hostile.stored  # type: ignore[attr-defined]
    quick = [pair for pair in READERS if pair.options.limits.nodes <= SMALL.nodes]
    for pair in (READERS[0], *(quick if len(stored) < 10_000 else ())):
        same(pair, stored)


@given(VALUES, st.integers(0, 5), st.sampled_from(READERS))
@settings(max_examples=effort.cases(400))
def test_whatever_python_stores(value: object, protocol: int, pair: Pair) -> None:
    same(pair, as_stored(pair, stored_by_python(value, protocol)))


@pytest.mark.parametrize("values", [([1], [2]), ([1], 3), (3, [1]), (3, 4), ((), {}), ([1], 3, [2], 5), (3, list, 4)])
def test_values_whose_keys_have_one_name(values: tuple[object, ...]) -> None:
    keys = ("1", 1, b"1", 1.0)
    items = b"".join(stored_by_python(item, 2)[3:-1] for pair in zip(keys, values, strict=False) for item in pair)
    for each in READERS:
        same(each, as_stored(each, b"!}(" + items + b"u."))


def test_floats() -> None:
    """Among them ties between two shortest texts."""
    rng = random.Random(SEED)
    for _ in range(max(1, CASES // 1000)):
        powers = [
            float(rng.getrandbits(rng.choice((20, 50, 51, 52, 53)))) * 2.0 ** rng.randint(-60, 120) for _ in range(500)
        ]
        bits = struct.unpack(">500d", rng.randbytes(8 * 500))
        rounded = [round(rng.uniform(-1, 1) * 10.0 ** rng.randint(-6, 17), rng.randint(0, 8)) for _ in range(500)]
        stored = stored_by_python([*powers, *bits, *rounded, dict.fromkeys(powers)], 4)
        for pair in READERS:
            if pair.options.limits is LIMITS[0]:
                same(pair, stored)


def test_tampered_values() -> None:
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        stored = tampered(rng)
        for pair in some(rng, READERS):
            same(pair, as_stored(pair, stored))


NO_PICKLES = [
    *(
        b"",
        b"42",
        b" +4_2\n",
        b"-0",
        b"1__2",
        b"_1",
        b"007",
        b"1" * 25,
        b"\x1c1",
        "\u0661".encode(),
        b"{}",
        b"\xff\xfe",
    ),
    *(b"9" * 4300, b"9" * 4301, b"-" + b"9" * 4300, b"0" * 4290 + b"1" * 20, b"\x80\x04N."),
]


@pytest.mark.parametrize("stored", NO_PICKLES, ids=range(len(NO_PICKLES)))
def test_what_is_no_pickle(stored: bytes) -> None:
    for pair in READERS:
        same(pair, stored)


def test_hardly_anything_is_left_to_the_reference() -> None:
    """Which would hide a defect, and be slow. Objects of other classes, Counter and its like are: few of these."""
    not_json_after_all = ("msgpack", "application/json")
    pairs = [
        pair
        for pair in READERS
        if pair.options.limits is LIMITS[0]
        and (pair.options.payload, pair.options.view) != not_json_after_all
        and pair.options.stored != "json"
    ]
    known = Transcoder(Options(), REFERENCE)
    stored_values = [each.stored for each in VECTORS] + [tampered(random.Random(case)) for case in range(500)]
    readable = [stored for stored in stored_values if is_read(known, stored)]
    left = [
        stored
        for stored in readable
        for pair in pairs
        if answer(native_codec(pair), as_stored(pair, stored)) is None
        # A pickle without a mark that does not begin as one may be compressed, or JSON: the reference says so.
        and (pair.options.stored == "flask" or as_stored(pair, stored).startswith(b"\x80"))
    ]
    assert len(readable) > len(VECTORS) // 2
    assert len(left) < len(pairs) * len(readable) // 100


def is_read(transcoder: Transcoder, stored: bytes) -> bool:
    try:
        transcoder.decode(stored)
    except UndecodableError:
        return False
    return True


@pytest.mark.parametrize("stored", [b"1", b'"a"', b'[1.5, {"k": null}]', b'{"a": {"py": true}, "b": "\\u00e9"}'])
def test_stored_json_is_not_left_to_the_reference(stored: bytes) -> None:
    for pair in READERS:
        if pair.options.stored == "json" and pair.options.limits is LIMITS[0]:
            is_left = pair.options.types == "tagged" and b"\\u" in stored  # it may spell a tag
            assert (answer(native_codec(pair), stored) is None) is is_left, pair.options


def answer(codec: _native.Codec, stored: bytes) -> object:
    try:
        return codec.decode(stored)
    except UndecodableError as error:
        return error


def test_an_error_says_the_same() -> None:
    """Where there is but one reason for it."""
    for stored in (
        b"!",
        b"!X",
        b"!}X\1\0\0\0as.",
        b"!](]e",
        b"!h\0.",
        b"![" * 300,
    ):
        texts = set()
        for transcoder in (READERS[0].reference, READERS[0].native):
            with pytest.raises(UndecodableError) as caught:
                transcoder.decode(stored)
            texts.add(str(caught.value))
        assert len(texts) == 1
