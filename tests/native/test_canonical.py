"""Each proof by both engines, of the same bytes."""

import random
from collections.abc import Iterator

from proxy import _native
from proxy.resp import canonical
from proxy.resp.encode import command
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
        assert ends == canonical.canonical_ends(commands, data, start), (commands, data, start)
        proven += bool(ends)
    assert proven > CASES // 6


def test_hiredis_gets_whole_canonical_commands_of_streams_at_random() -> None:
    given = 0
    for data, _ in _streams():
        end = 0
        while header := canonical.ARRAY_HEADER.match(data, end):
            count, stop, _ = canonical.whole_bulks(data[header.end() :], int(header[1]), len(data))
            if count < int(header[1]):
                break
            end = header.end() + stop
        assert _native.harmless_bytes(data) == end, data
        given += end > 0
    assert given > CASES // 5


def test_commands_are_counted_in_streams_at_random() -> None:
    counted = 0
    for data, rng in _streams():
        for piece in (data, data[: rng.randint(0, len(data))]):
            count = _native.count_commands(piece)
            assert count == canonical.count_commands(piece), piece
            counted += count > 0
    assert counted > CASES // 5


def test_bulks_and_beginnings_at_random() -> None:
    found = begun = 0
    for data, rng in _streams():
        at, most, room = rng.randint(0, len(data)), rng.randint(1, 12), rng.randint(0, len(data) + 20)
        for piece in (data, data[:at], data[at:], data[4:]):
            bulks = _native.whole_bulks(piece, most, room)
            assert bulks == canonical.whole_bulks(piece, most, room), (piece, most, room)
            found += bulks[0] > 0
            begins = _native.begins_command(piece, most, room)
            assert begins is canonical.begins_command(piece, most, room), (piece, most, room)
            begun += begins
    assert found > CASES // 5
    assert begun > CASES // 5


def _streams() -> Iterator[tuple[bytes, random.Random]]:
    """Commands, many with a scrap in them, and what made them."""
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        commands = [
            [rng.randbytes(rng.choice((0, 1, 9, 10, 30))) for _ in range(rng.choice((1, 2, 3, 10, 11)))]
            for _ in range(rng.randint(1, 3))
        ]
        data = b"".join(command(*args) for args in commands)
        if rng.random() < 0.7:
            at = rng.randrange(len(data) + 1)
            data = data[:at] + rng.choice(_SCRAPS) + data[at + rng.randint(0, 2) :]
        yield data, rng
