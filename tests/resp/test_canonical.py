"""Checks of bytes: they are harmless, they are canonical, and each command's end is found."""

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.resp import canonical, count_commands
from proxy.resp import hiredis_reader as proofs
from proxy.resp.encode import command
from tests import effort
from tests.resp.streams import mutated

commands = st.lists(st.lists(st.binary(max_size=12), max_size=5), max_size=6)
PING = b"*1\r\n$4\r\nPING\r\n"


@given(commands=commands, before=st.binary(max_size=9), behind=st.binary(max_size=9))
def test_each_ends_where_its_encoding_does(commands: list[list[bytes]], before: bytes, behind: bytes) -> None:
    encoded = [command(*args) for args in commands]
    stops = list(accumulate(map(len, encoded), initial=len(before)))[1:]
    assert proofs.canonical_ends(commands, before + b"".join(encoded) + behind, len(before)) == stops


@pytest.mark.parametrize(
    "data",
    [
        b"*01\r\n$4\r\nPING\r\n",
        b"*+1\r\n$4\r\nPING\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n$4\r\nPING\n\n",
        b"*1\r\n$4\r\nPINGxx",
        b"*1\r\r$4\r\nPING\r\n",
        b"*1\r\n+PING\r\n",
        b"*2\r\n$4\r\nPING\r\n",
        b"*1\r\n$4\r\nPONG\r\n",
        b"\r\n" + PING,
        PING[:-1],
        b"",
    ],
)
def test_any_other_spelling_is_not_canonical(data: bytes) -> None:
    assert proofs.canonical_ends([[b"PING"]], data, 0) is None
    assert proofs.canonical_ends([[b"PING"], [b"PING"]], PING + data, 0) is None
    assert proofs.canonical_ends([[b"PING"]], PING + data, 0) == [len(PING)]


@pytest.mark.parametrize("odd", [None, [b"PING"], {}])
def test_what_is_no_argument_is_an_error(odd: object) -> None:
    with pytest.raises(TypeError):
        proofs.canonical_ends([[b"PING"], [odd]], PING + PING, 0)


def test_lengths_of_any_size_are_spelled_alike() -> None:
    for size in (0, 9, 10, 99, 100, 12345, 100_000):
        encoded = command(b"x" * size)
        assert proofs.canonical_ends([[b"x" * size]], encoded, 0) == [len(encoded)]
    encoded = command(*[b"x"] * 12_345)
    assert proofs.canonical_ends([[b"x"] * 12_345], encoded, 0) == [len(encoded)]


@pytest.mark.parametrize(
    ("data", "harmless"),
    [
        (PING, True),
        (b"*1\r\n$6\r\n*99\r\n\r\r\n", True),
        (b"*1\r\n$7\r\n*100\r\n\r\r\n", False),
        (b"*1\r\n$7\r\n*100\r\n\r\r\n" + b"x" * 600, True),
        (b"*100" * 2 + b"x" * 600, False),
        (b"*123456789123", False),
        (b"*10" + b"x" * 60 + b"*100", False),
        (b"%1\r\n", False),
        (b"x" * 63 + b"~0\r\n", False),
        (b"x" * 63 + b">-1\r\n", False),
        (b"|" + b"1" * 19 + b"\r\n", False),
        (b"|" + b"1" * 20 + b"\r\n", True),
        (b"|--1\r\n%\r\n~1\n>1\r", True),
        (b"<td>25</td>\r\n<td>2\r\n%1-2\r\n", False),
        (b"<td>25</td>\r\n<td>2<\r\n%1-2\r\n", True),
        (b"", True),
        (command(b"SET", b"k", b"x" * 20_000)[:-1], False),  # hiredis would read it in vain
        (command(b"SET", b"k", b"x" * 20_000, b"EX", b"5")[:20_000], False),
        (command(b"SET", b"k", b"x" * 20_000), True),
        (PING + command(b"SET", b"k", b"x" * 20_000)[:-1], True),
        (command(*[b"x"] * 3_000)[:-1], True),  # too many to be looked at
    ],
)
def test_what_hiredis_would_make_room_for_is_harmless_or_not(data: bytes, harmless: bool) -> None:
    assert canonical.harmless_bytes(data) == (len(data) if harmless else 0)


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (PING * 2, 2 * len(PING)),
        (PING + PING[:-1], len(PING)),
        (PING + b"*1\r\n$4\r\nPINGxx" + PING, len(PING)),
        (PING + b"*2\r\n$1\r\na\r\n*99999\r\n", len(PING)),
        (PING + b"*99999\r\n$1\r\na\r\n", len(PING)),
        (PING + b"*1\r\n$04\r\nPING\r\n", len(PING)),
        (PING + b"*1\r\n$999999999\r\nPING\r\n", len(PING)),
        (PING + b"*1\r\n$99999999999999999999999\r\nPING\r\n", len(PING)),
        (PING + b"%1\r\n", len(PING)),
        (b"*0\r\n" + PING, 0),
        (b"*01\r\n$4\r\nPING\r\n", 0),
        (b"\r\n" + PING, 0),
        (command(b"*99999\r\n", b"%1\r\n"), 28),
        (b"", 0),
    ],
)
def test_of_the_native_engine_hiredis_gets_whole_canonical_commands(data: bytes, whole: int) -> None:
    native = pytest.importorskip("proxy._native")
    assert native.harmless_bytes(data) == whole


bulks = st.lists(st.binary(max_size=12), max_size=6)


@pytest.mark.parametrize("whole_bulks", [canonical.whole_bulks, proofs.whole_bulks])
@given(bulks=bulks, behind=st.binary(max_size=9), most=st.integers(1, 7), room=st.integers(0, 100))
def test_bulks_that_are_whole_are_counted(
    whole_bulks: Any, bulks: list[bytes], behind: bytes, most: int, room: int
) -> None:
    encoded = [command(bulk).removeprefix(b"*1\r\n") for bulk in bulks]
    ends = [end for end in accumulate(map(len, encoded[:most]), initial=0) if end <= room]
    data = b"".join(encoded) + behind.removeprefix(b"$")
    assert whole_bulks(data, most, room)[:2] == (len(ends) - 1, ends[-1])


@pytest.mark.parametrize("whole_bulks", [canonical.whole_bulks, proofs.whole_bulks])
@pytest.mark.parametrize(
    "odd",
    [
        b"$01\r\na\r\n",
        b"$+1\r\na\r\n",
        b"$-1\r\n",
        b"$\r\n\r\n",
        b"$1\r\naXY",
        b"$1\rXa\r\n",
        b"$1\n\na\r\n",
        b"$2\r\na\r\n",
        b"$9999999999\r\na\r\n",
        b"+a\r\n",
        b"*1\r\n$1\r\na\r\n",
        b"~1\r\n$1\r\na\r\n",
        b"*99999999\r\n",
        b"_\r\n",
        b"\r\n",
    ],
)
def test_only_bulks_before_what_is_odd_are_counted(whole_bulks: Any, odd: bytes) -> None:
    bulk = b"$4\r\n\r\n~1\r\n"
    assert whole_bulks(odd + bulk, 9, 999) == (0, 0, False)
    assert whole_bulks(bulk * 2 + odd + bulk, 9, 999) == (2, 20, False)
    assert whole_bulks(bulk * 2 + odd, 1, 999) == (1, 10, False)


@pytest.mark.parametrize("whole_bulks", [canonical.whole_bulks, proofs.whole_bulks])
def test_of_one_that_is_cut_is_said_that_it_begins(whole_bulks: Any) -> None:
    bulk = b"$12\r\n\r\n~1\r\n123456\r\n"
    for cut in range(len(bulk)):
        assert whole_bulks(bulk * 2 + bulk[:cut], 3, 3 * len(bulk)) == (2, 2 * len(bulk), True)
        assert whole_bulks(bulk * 2 + bulk[:cut], 2, 3 * len(bulk)) == (2, 2 * len(bulk), False)
        assert whole_bulks(bulk[:cut], 1, len(bulk)) == (0, 0, True)
        assert whole_bulks(bulk[:cut], 1, len(bulk) - 1) == (0, 0, cut < len(b"$12\r\n"))


@pytest.fixture(params=[canonical.begins_command, proofs.begins_command], ids=["reference", "engine"])
def begins_command(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_command_that_is_cut_begins_one(begins_command: Any) -> None:
    data = command(b"SET", b"", b"*1\r\n$10\r\nx", b"v" * 100)
    for cut in range(1, len(data)):
        assert begins_command(data[:cut], 4, len(data)), cut
    assert not begins_command(data, 4, len(data))
    assert not begins_command(b"", 4, len(data))


def test_what_is_over_a_limit_does_not_once_a_header_says_so(begins_command: Any) -> None:
    data = command(b"SET", b"key", b"v" * 100)
    says = data.index(b"vv")
    for cut in range(1, len(data)):
        assert begins_command(data[:cut], 3, len(data) - 1) is (cut < says), cut
        assert begins_command(data[:cut], 2, len(data)) is (cut < len(b"*3\r\n")), cut


@pytest.mark.parametrize(
    "data",
    [
        b"*0",
        b"*0\r\n",
        b"*-1",
        b"*01",
        b"*x",
        b"*1x",
        b"*1\n",
        b"*1\rx",
        b"*9999999999",
        b"*1\r\n*",
        b"*1\r\n$-",
        b"*1\r\n$+1",
        b"*1\r\n$00",
        b"*1\r\n$01\r\n",
        b"*1\r\n$1\n",
        b"*1\r\n$1\rx",
        b"*1\r\n$9999999999",
        b"*2\r\n$1\r\naXY",
        b"*2\r\n$1\r\naXY$1",
        b"*2\r\n$1\r\na\r\n\r",
        b"*1\r\n$1\r\naXY",
        b"*1\r\n$1\r\na\r\n*",
        b"PING",
        b"\r\n*1",
    ],
)
def test_what_is_odd_begins_none(begins_command: Any, data: bytes) -> None:
    assert not begins_command(data, 9, 999)


scraps = st.sampled_from([b"", b"\r", b"\n", b"0", b"1", b"$", b"*", b"-", b"+", b"\r\n", b"$1\r\n", b"*2\r\n"])


@given(
    data=mutated(
        st.builds(lambda args: command(*args), st.lists(st.binary(max_size=6), min_size=1, max_size=4)), scraps
    ),
    cut=st.integers(0, 60),
    most=st.integers(1, 4),
    room=st.integers(0, 60),
)
@settings(max_examples=effort.cases(1000))
def test_both_engines_prove_the_same(data: bytes, cut: int, most: int, room: int) -> None:
    data = data[:cut]
    assert proofs.begins_command(data, most, room) is canonical.begins_command(data, most, room)
    assert proofs.whole_bulks(data[4:], most, room) == canonical.whole_bulks(data[4:], most, room)


counts = pytest.mark.parametrize("count", [canonical.count_commands, count_commands], ids=["reference", "engine"])


@counts
@given(st.lists(st.lists(st.binary(max_size=12), min_size=1, max_size=4), max_size=5))
def test_whole_commands_are_counted(count: Any, commands: list[list[bytes]]) -> None:
    encoded = [command(*arguments) for arguments in commands]
    data = b"".join(encoded)
    ends = [0, *accumulate(map(len, encoded))]
    assert count(data) == len(commands)
    assert [cut for cut in range(len(data) + 1) if count(data[:cut]) >= 0] == ends


@counts
@pytest.mark.parametrize(
    "odd",
    [
        b"*0\r\n",
        b"*-1\r\n",
        b"*01\r\n$1\r\na\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$01\r\na\r\n",
        b"*1\r\n$1\r\naXY",
        b"*1\r\n$2\r\na\r\n",
        b"*1\n$1\r\na\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n*1\r\n$1\r\na\r\n",
        b"*9999999999\r\n",
        b"*1\r\n$9999999999\r\n",
        b"PING\r\n",
        b"\r\n",
    ],
)
def test_other_bytes_make_the_count_void(count: Any, odd: bytes) -> None:
    ping = command(b"PING")
    assert [count(data) for data in (odd, ping + odd, odd + ping, ping + odd + ping)] == [-1] * 4
