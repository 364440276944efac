"""The rest of a command that passes: only proven bytes, wherever reads cut them. On both engines."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engine import ENGINE
from proxy.resp.encode import bulk
from proxy.resp.limits import MAX_BULK
from proxy.resp.rest_of_command import reference, rest_of_command
from tests.resp.streams import cuts, pieces

Rest = Callable[[bytes, int, int, int, int], tuple[int, int, int, int]]
ROOM = 1 << 30
on_each = pytest.mark.parametrize(
    "rest",
    [reference, *([rest_of_command] if ENGINE.is_native else [])],
    ids=["reference", "native"][: 1 + ENGINE.is_native],
)


@on_each
@pytest.mark.parametrize(
    ("data", "left", "awaited", "expected"),
    [
        (b"ab", 9, 0, (2, 7, 0, 0)),
        (b"abcdefg", 9, 0, (7, 2, 0, 0)),
        (b"abcdefg\r", 9, 0, (7, 2, 0, 0)),
        (b"abcdefg\r\n", 9, 0, (9, 0, 0, 0)),
        (b"abcdefg\r\n*1\r\n", 9, 0, (9, 0, 0, 0)),
        (b"abcdefgxx", 9, 0, (7, 2, 0, 0)),
        (b"\r\n", 2, 0, (2, 0, 0, 0)),
        (b"\r", 2, 0, (0, 2, 0, 0)),
        (b"", 2, 0, (0, 2, 0, 0)),
        (b"", 0, 1, (0, 0, 1, 0)),
        (b"$", 0, 1, (0, 0, 1, 0)),
        (b"$2\r", 0, 1, (0, 0, 1, 0)),
        (b"$2\r\n", 0, 1, (4, 4, 0, 8)),
        (b"$2\r\nE", 0, 1, (5, 3, 0, 8)),
        (b"$2\r\nEX\r", 0, 1, (6, 2, 0, 8)),
        (b"$0\r\n\r\n$1\r\n0\r\n", 0, 2, (13, 0, 0, 13)),
        (b"$02\r\nEX\r\n", 0, 1, (0, 0, 1, 0)),
        (b"$+2\r\nEX\r\n", 0, 1, (0, 0, 1, 0)),
        (b"$%d\r\n" % (MAX_BULK + 1), 0, 1, (0, 0, 1, 0)),
        (b":1\r\n", 0, 1, (0, 0, 1, 0)),
        (b"xx$2\r\nEX\r\n", 4, 1, (2, 2, 1, 0)),
    ],
)
def test_bytes_pass_up_to_the_first_that_is_not_proven(
    rest: Rest, data: bytes, left: int, awaited: int, expected: tuple[int, int, int, int]
) -> None:
    assert rest(data, left, awaited, 0, ROOM) == expected


@on_each
def test_a_header_over_the_limit_is_left(rest: Rest) -> None:
    data = bulk(b"abc") * 2
    assert rest(data, 0, 2, 10, 28) == (18, 0, 0, 28)
    assert rest(data, 0, 2, 10, 27) == (9, 0, 1, 19)


@on_each
@given(values=st.lists(st.binary(max_size=30), min_size=1, max_size=6), cuts=cuts)
def test_the_end_does_not_depend_on_the_reads(rest: Rest, values: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(bulk, values))
    left, awaited, size, passed, held = 0, len(values), 0, 0, b""
    for read in pieces(data + b"*1\r\n", cuts):
        held += read
        end, left, awaited, size = rest(held, left, awaited, size, ROOM)
        passed, held = passed + end, held[end:]
    assert (passed, left, awaited, size) == (len(data), 0, 0, len(data))
    assert held == b"*1\r\n"


@pytest.mark.skipif(not ENGINE.is_native, reason="there is one engine")
def test_both_engines_at_random() -> None:
    for seed in range(2000):
        chance = random.Random(seed)
        data = b"".join(bulk(b"v" * chance.choice((0, 1, 9, 30))) for _ in range(4))
        at = chance.randrange(len(data))
        data = data[:at] + chance.choice((b"", b"", b"x", b"\r", b"$1\r\n", b"0")) + data[at + chance.randrange(2) :]
        state = (
            chance.choice((0, 1, 2, 3, 40)),
            chance.randrange(6),
            chance.randrange(50),
            chance.choice((40, 90, ROOM)),
        )
        state = (state[0] if state[0] != 1 else 0, *state[1:])
        piece = data[chance.randrange(len(data)) :]
        assert rest_of_command(piece, *state) == reference(piece, *state), (piece, state)
