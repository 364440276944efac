"""Both proofs of the same bytes."""

import random

from proxy import _native
from proxy.resp import canonical
from proxy.resp.writers import command
from tests.native import CASES, SEED

_SCRAPS = (b"", b"\r", b"\n", b"\r\n", b"$", b"*", b"0", b"1", b"$1\r\n", b"*0\r\n", b"\0")


def test_streams_at_random() -> None:
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
        assert ends == canonical.reference(commands, data, start), (commands, data, start)
        proven += bool(ends)
    assert proven > CASES // 5
