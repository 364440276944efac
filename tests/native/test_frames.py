"""Arrays and frames, read by both engines: what real libraries stored, random ones, hostile ones, and tampered ones."""

import json
import random
import subprocess
import sys
from itertools import product

import pytest
from hypothesis import given, settings

from proxy.codec import CodecLimits, Options, UndecodableError
from tests import effort
from tests.codec.frames import builders as b
from tests.codec.frames.test_hostile import INSIDE, LYING_ARRAYS, LYING_ARROW, LYING_FRAMES
from tests.codec.frames.test_stored import STORED
from tests.codec.pickles import MEGABYTE, binary, text
from tests.codec.samples import REAL_ARRAYS
from tests.codec.test_fuzz import tampered
from tests.native import CASES, SEED
from tests.native.engines import LIMITS, READERS, Pair, as_stored, native_codec, pair, some
from tests.native.frames import VALUES
from tests.native.test_decode import same

REAL = {
    (libraries, name): bytes.fromhex(vector["hex"])
    for source in (REAL_ARRAYS, STORED)
    for libraries, vectors in source.items()
    for name, vector in vectors.items()
}
BY_THE_REFERENCE = (
    *("frame_category", "frame_datetime_tz", "frame_multiindex", "series_category", "timestamp_tz"),
    *("interval", "period", "iv", "per_", "ts_fold1", "ts_old", "pa_tstz_ms"),
    *("f_cat", "f_iv", "f_interval", "f_mi_", "f_per", "f_sparse", "f_tz"),
)
"""Beginnings of the names of values that the reference reads: categories, intervals, levels, zones with rules ..."""
FORMS = [
    pair(Options(payload, types=types, big_ints=big_ints, naive=naive))
    for payload, types, big_ints, naive in product(
        ("json", "msgpack"), ("tagged", "plain"), ("number", "tagged"), ("", "utc")
    )
]


def answer(each: Pair, stored: bytes, *, native: bool) -> object:
    """The payload, or the text of the error and its limit; None: it is left to the reference."""
    try:
        return native_codec(each).decode(stored) if native else each.reference.decode(stored)
    except UndecodableError as error:
        return str(error), error.limit


@pytest.mark.parametrize("libraries", [*REAL_ARRAYS, *STORED])
def test_real_values_are_equal_and_not_left_to_the_reference(libraries: str) -> None:
    for (source, name), stored in REAL.items():
        for each in FORMS if source == libraries else ():
            found = answer(each, stored, native=True)
            if name.startswith(BY_THE_REFERENCE):
                assert found is None, name
            else:
                assert found == answer(each, stored, native=False), (name, each.options)


def test_few_are_left_to_the_reference() -> None:
    left = [name for _, name in REAL if name.startswith(BY_THE_REFERENCE)]
    assert len(left) < len(REAL) // 5


@given(VALUES)
@settings(max_examples=effort.cases(600))
def test_random_values(body: bytes) -> None:
    stored = b"!" + body + b"."
    for each in FORMS:
        found = answer(each, stored, native=True)
        assert found is None or found == answer(each, stored, native=False), each.options
    for each in READERS:
        if each.options.limits in LIMITS[2:]:
            same(each, as_stored(each, stored))


def test_tampered_values() -> None:
    seeds = list(REAL.values())
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        stored = tampered(rng, seeds)
        for each in some(rng, READERS)[:3]:
            same(each, as_stored(each, stored))


@pytest.mark.parametrize("most", range(1, 60))
def test_budgets_end_at_the_same_value(most: int) -> None:
    """Nodes, bytes and depth."""
    for limits in (CodecLimits(nodes=most), CodecLimits(decoded_bytes=30 * most), CodecLimits(depth=most % 8 + 1)):
        for payload, types in product(("json", "msgpack"), ("tagged", "plain")):
            each = pair(Options(payload, types=types, limits=limits))
            for stored in random.Random(most).sample(sorted(REAL.values()), 8):
                same(each, stored)


# -- hostile -------------------------------------------------------------------------------------------


def _memoised(body: bytes, times: int) -> bytes:
    return b"](" + body + b"q\0" + b"h\0" * (times - 1) + b"e"


MANY = 2_000_000
"""Bytes of an array that is as long as they are."""
BYTES = b.array(b.dtype("i1", "|"), (MANY,), binary(b"\1" * MANY))
LONG = {
    "numbers": BYTES,
    "axes": b.array(b.dtype("i1", "|"), (2,) * 20, binary(b"\0" * 2**20), is_fortran=True),
    "texts of nothing": b.array(b.dtype("U500000"), (1,), binary(b"\0" * MANY)),
    "texts of nothing, often": _memoised(b.array(b.dtype("U50000"), (1,), binary(b"\0" * 200_000)), 100_000),
    "a column often": _memoised(b.frame([b.block(BYTES, b.number(0))], b.index(text("a")), b.range_index(MANY)), 99),
    "names of a megabyte": b.frame(
        [b.block(b.array(b.dtype("i1", "|"), (1, 9000), binary(b"\0" * 9000)), b.places(0, 1))],
        b.index(text("n" * MEGABYTE)),
        b.range_index(9000),
    ),
    "keys of a megabyte": b"X" + MEGABYTE.to_bytes(4, "little") + b"k" * MEGABYTE + b"q\0" + b"0"
    + b.series(b.array(b.dtype("i1", "|"), (9000,), binary(b"\0" * 9000)), b.index(*[b"h\0"] * 9000)),
    "columns of nothing": b.frame(
        [b.block(b.array(b.dtype(), (100_000, 0), binary(b"")), b.places(0, 100_000))],
        b.range_index(100_000),
        b.range_index(0),
    ),
    "chunks of nothing": b.arrow("string", 0, None, None, None) + b"q\0" + b"0"
    + b.array_of(b.chunked("string", *[b"h\0"] * 200_000) + b"q\1", *[b"h\1"] * 1000),
    "bits": b.arrow("bool", 8 * MANY, b"\xff" * MANY, b"\xff" * MANY),
}  # fmt: skip
HOSTILE = {**LYING_ARRAYS, **LYING_FRAMES, **LYING_ARROW, **INSIDE, **LONG}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values(name: str) -> None:
    for each in FORMS[:8:4] if name in LONG else FORMS[::4]:
        stored = b"!" + HOSTILE[name] + b"."
        found = answer(each, stored, native=True)
        assert found is None or found == answer(each, stored, native=False)


_ROOM = 192 * MEGABYTE
_CHILD = """
import json, resource, sys
from proxy import _native
from proxy.codec import UndecodableError
from tests.native.engines import native_codec
from tests.native.test_frames import FORMS, HOSTILE

size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]),) * 2)
for body in HOSTILE.values():
    for each in FORMS[::4]:
        try:
            native_codec(each).decode(b"!" + body + b".")
        except UndecodableError:
            pass
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_utime))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel limits the memory")
def test_hostile_values_take_bounded_time_and_memory() -> None:
    """A process with little more memory than it has reads all of them, one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(_ROOM)], capture_output=True, text=True, check=True, timeout=300
    )
    assert json.loads(done.stdout) < 60
