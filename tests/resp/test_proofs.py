"""What is proven of bytes: that they are harmless, that they are canonical, and where each command ends."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.resp.requests import PROOFS
from proxy.resp.writers import command

commands = st.lists(st.lists(st.binary(max_size=12), max_size=5), max_size=6)
PING = b"*1\r\n$4\r\nPING\r\n"


@given(commands=commands, before=st.binary(max_size=9), behind=st.binary(max_size=9))
def test_each_ends_where_its_encoding_does(commands: list[list[bytes]], before: bytes, behind: bytes) -> None:
    encoded = [command(*args) for args in commands]
    stops = list(accumulate(map(len, encoded), initial=len(before)))[1:]
    assert PROOFS.canonical_ends(commands, before + b"".join(encoded) + behind, len(before)) == stops


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
    assert PROOFS.canonical_ends([[b"PING"]], data, 0) is None
    assert PROOFS.canonical_ends([[b"PING"], [b"PING"]], PING + data, 0) is None
    assert PROOFS.canonical_ends([[b"PING"]], PING + data, 0) == [len(PING)]


@pytest.mark.parametrize("odd", [None, [b"PING"], {}])
def test_what_is_no_argument_is_an_error(odd: object) -> None:
    with pytest.raises(TypeError):
        PROOFS.canonical_ends([[b"PING"], [odd]], PING + PING, 0)


def test_lengths_of_any_size_are_spelled_alike() -> None:
    for size in (0, 9, 10, 99, 100, 12345, 100_000):
        encoded = command(b"x" * size)
        assert PROOFS.canonical_ends([[b"x" * size]], encoded, 0) == [len(encoded)]
    encoded = command(*[b"x"] * 12_345)
    assert PROOFS.canonical_ends([[b"x"] * 12_345], encoded, 0) == [len(encoded)]


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
        (b"", True),
    ],
)
def test_what_hiredis_would_make_room_for_is_harmless_or_not(data: bytes, harmless: bool) -> None:
    assert PROOFS.is_harmless(data) is harmless
