"""What numpy, pandas and pyarrow stored, tampered with at random. Only UndecodableError leaves."""

import random
from itertools import islice

from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError
from proxy.engine import ENGINE, REFERENCE
from tests import effort
from tests.codec.samples import REAL_ARRAYS

CASES = effort.cases(16_000)
LIMITS = CodecLimits(decoded_bytes=1 << 18, nodes=5000)
SEEDS = [
    bytes.fromhex(vector["hex"]) for vectors in REAL_ARRAYS.values() for vector in islice(vectors.values(), 0, None, 3)
]
READERS = [
    [Transcoder(Options(payload, types=types, limits=LIMITS), engine) for engine in (ENGINE, REFERENCE)]
    for payload in ("json", "msgpack")
    for types in ("tagged", "plain")
]


def tampered(rng: random.Random) -> bytes:
    value = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(1, len(value))
        match rng.randrange(4):
            case 0:
                value[at] ^= 1 << rng.randrange(8)
            case 1:
                value[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del value[at : at + rng.randint(1, 8)]
            case _:
                other = rng.choice(SEEDS)
                start = rng.randrange(len(other))
                value[at:at] = other[start : start + rng.randint(1, 40)]
        if len(value) < 2:
            break
    return bytes(value)


def _read(transcoder: Transcoder, value: bytes) -> bytes | None:
    try:
        return transcoder.decode(value)
    except UndecodableError:
        return None


def test_only_our_error_leaves_and_both_engines_agree() -> None:
    rng = random.Random(17)
    for case in range(CASES):
        value = tampered(rng)
        native, reference = READERS[case % len(READERS)]
        assert _read(native, value) == _read(reference, value)
