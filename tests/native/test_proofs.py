"""Each proof by both engines, of the same bytes."""

import random

from proxy import _native
from proxy.resp import proofs
from proxy.resp.writers import command
from tests.native import CASES, SEED

_SCRAPS = (b"", b"\r", b"\n", b"\r\n", b"$", b"*", b"0", b"1", b"$1\r\n", b"*0\r\n", b"\0")


def test_canonical_streams_at_random() -> None:
    proven = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        commands = [
            [rng.randbytes(rng.choice((0, 1, 9, 10, 100))) for _ in range(rng.choice((0, 1, 2, 3, 10, 11)))]
            for _ in range(rng.randint(0, 4))
        ]
        data = b"".join(command(*args) for args in commands)
        if rng.random() < 0.5:
            at = rng.randrange(len(data) + 1)
            data = data[:at] + rng.choice(_SCRAPS) + data[at + rng.randint(0, 2) :]
        start = rng.choice((0, 0, 0, 1, len(data), len(data) + 1))
        ends = _native.canonical_ends(commands, data, start)
        assert ends == proofs.canonical_ends(commands, data, start), (commands, data, start)
        proven += bool(ends)
    assert proven > CASES // 5


def test_harmless_streams_at_random() -> None:
    harmful = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        pieces = rng.choices(
            [*_SCRAPS, b"*", b"%", b"~", b">", b"|", b"-", b"12", b"x" * 30, b"0" * 9], k=rng.randint(0, 30)
        )
        data = b"".join(pieces)
        harmless = _native.is_harmless(data)
        assert harmless is proofs.is_harmless(data), data
        harmful += not harmless
    assert CASES // 20 < harmful < CASES * 19 // 20
