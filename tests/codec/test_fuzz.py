"""Stored values with random damage: readers raise only UndecodableError, and read the same values as CPython.

In the environment, FUZZ_CASES=200000 makes a longer search, and FUZZ_SEED=7 another one.
"""

import json
import os
import pickletools
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.codec import CodecLimits, PayloadError, UndecodableError
from tests import effort
from tests.codec.samples import HOSTILE, REAL_VALUES, VECTORS, transcoder
from tests.codec.unpickle.test_machine import instruction

CASES = int(os.environ.get("FUZZ_CASES", effort.cases(8000)))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
BATCH = 5000

LIMITS = CodecLimits(payload_bytes=1 << 20, decoded_bytes=1 << 18, nodes=5000)
UNWRITABLE = (
    "the content of py/response",
    "the content of py/zoned",
    "py/decimal cannot be",
    "set members or keys",
    "can be read but not written",
)
"""Errors for values that may be stored, but that no client may write."""

INSTRUCTIONS = [instruction(opcode) for opcode in pickletools.opcodes]
SEEDS = [vector.stored for vector in VECTORS] + [sample.stored for sample in HOSTILE if len(sample.stored) < 2000]
SEEDS += [bytes.fromhex(value["hex"]) for values in REAL_VALUES.values() for value in values.values()]


def _flip(rng: random.Random, value: bytearray) -> None:
    value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)


def _overwrite(rng: random.Random, value: bytearray) -> None:
    value[rng.randrange(len(value))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _cut(rng: random.Random, value: bytearray) -> None:
    at = rng.randrange(len(value))
    del value[at : at + rng.randint(1, 6)]


def _repeat(rng: random.Random, value: bytearray) -> None:
    at = rng.randrange(len(value))
    piece = value[at : at + rng.randint(1, 12)]
    value[at:at] = piece * rng.randint(1, 3)


def _insert(rng: random.Random, value: bytearray) -> None:
    at = rng.randrange(1, len(value) + 1)
    value[at:at] = rng.choice(INSTRUCTIONS)


def _replace(rng: random.Random, value: bytearray) -> None:
    at = rng.randrange(1, len(value) + 1)
    value[at : at + 1] = rng.choice(INSTRUCTIONS)


def _splice(rng: random.Random, value: bytearray) -> None:
    other = rng.choice(SEEDS)
    at = rng.randrange(1, len(value) + 1)
    start = rng.randrange(len(other))
    value[at:at] = other[start : start + rng.randint(1, 40)]


def _nest(rng: random.Random, value: bytearray) -> None:
    """The value, and another behind it, in a container."""
    other = rng.choice(SEEDS)
    if other.startswith(b"!") and other.endswith(b".") and value.endswith(b"."):
        opening, closing = rng.choice(
            ((b"](", b"e."), (b"(", b"t."), (b"}(", b"u."), (b"\x8f(", b"\x90."), (b"(", b"\x91."))
        )
        value[1:] = opening + value[1:-1] + other[1:-1] + closing


MUTATIONS: list[Callable[[random.Random, bytearray], None]] = [
    _flip, _overwrite, _cut, _repeat, _insert, _replace, _splice, _nest
]  # fmt: skip


def tampered(rng: random.Random, seeds: Sequence[bytes] = SEEDS) -> bytes:
    value = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        rng.choice(MUTATIONS)(rng, value)
        if len(value) < 2:
            break
    value[:1] = b"!"
    return bytes(value)


def batches() -> Iterator[range]:
    for start in range(0, CASES, BATCH):
        yield range(start, min(start + BATCH, CASES))


def judged(pairs: list[tuple[bytes, bytes]]) -> list[str]:
    """CPython's verdict on each pair, from a separate process with its own limits."""
    lines = "\n".join(f"{stored.hex()}\t{rewritten.hex()}" for stored, rewritten in pairs)
    program = Path(__file__).with_name("judge.py")
    answer = subprocess.run(
        [sys.executable, "-I", str(program)], input=lines, capture_output=True, text=True, timeout=300, check=True
    )
    verdicts: list[str] = json.loads(answer.stdout)
    assert len(verdicts) == len(pairs)
    return verdicts


HARMLESS = re.compile(
    r"same"
    # In protocols 3 to 5, CPython does not map names of Python 2, so it finds no such module.
    r"|unloadable: ModuleNotFoundError: No module named '(copy_reg|__builtin__)'"
    # The judge does not load this class. The object was created and dropped by the pickle, or it is a response or a
    # zone, which have no class in a payload.
    r"|unloadable: UnpicklingError: \S+"
    # The object was created and dropped by the pickle, so it is not in the value.
    r"|unloadable: TypeError: (unhashable type: .*|Cannot hash a signaling NaN value)"
)


@pytest.mark.parametrize("cases", list(batches()), ids=lambda cases: f"{cases.start}-{cases.stop - 1}")
def test_what_is_read_of_tampered_values_is_what_cpython_reads(cases: range) -> None:
    codec = transcoder(limits=LIMITS)
    msgpack = transcoder("msgpack", limits=LIMITS)
    plain = transcoder(types="plain", limits=LIMITS)
    read = []
    for case in cases:
        stored = tampered(random.Random(SEED * 1_000_003 + case))
        for other in (msgpack, plain):
            with suppress(UndecodableError):
                other.decode(stored)
        try:
            payload = codec.decode(stored)
        except UndecodableError:
            continue
        try:
            read.append((stored, codec.encode(payload)))
        except PayloadError as error:
            if not any(each in str(error) for each in UNWRITABLE):
                raise
    verdicts = judged(read)
    wrong = [
        (stored, verdict)
        for (stored, _), verdict in zip(read, verdicts, strict=True)
        if not HARMLESS.fullmatch(verdict)
    ]
    assert wrong == []
    assert len(read) > len(cases) // 20


def test_the_judge_tells_a_difference() -> None:
    assert judged(
        [(b"!I1\n.", b"!I01\n."), (b"!F0.0\n.", b"!F-0.0\n."), (b"!cos\nsystem\n.", b"!N."), (b"1", b"!I1\n.")]
    ) == [
        "different",
        "different",
        "unloadable: UnpicklingError: os.system",
        "same",
    ]
