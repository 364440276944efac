"""Readers are shared by all clients, so each goes back empty."""

import pytest

from proxy.resp import canonical, hiredis_reader
from proxy.resp.encode import command

WORDS = [b"SET", b"k", b""]
WHOLE = command(*WORDS)


@pytest.fixture(autouse=True)
def cut_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the Python engine, which lets cut commands through."""
    monkeypatch.setattr(hiredis_reader, "harmless_bytes", canonical.harmless_bytes)


@pytest.mark.parametrize("begin", [b"", WHOLE])
@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_cut_command_leaves_nothing_to_the_next_read(begin: bytes, end: int) -> None:
    hiredis_reader.whole_commands(WHOLE)
    assert hiredis_reader.whole_commands(begin + WHOLE[:end]) == [WORDS] * bool(begin)
    encoded = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in WORDS)
    assert hiredis_reader.read_arguments(bytearray(encoded), 3, 1000) == (WORDS, encoded, False)
    assert hiredis_reader.whole_commands(WHOLE * 2) == [WORDS, WORDS]
    assert hiredis_reader.one_command(WHOLE) == WORDS


def test_a_reader_without_a_cut_command_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hiredis_reader.whole_commands(WHOLE)
    monkeypatch.setattr(hiredis_reader, "new_reader", None)
    for _ in range(3):
        assert hiredis_reader.whole_commands(WHOLE * 2) == [WORDS, WORDS]


@pytest.mark.parametrize(
    "data",
    [
        WHOLE * 2,
        WHOLE[:-1],
        WHOLE + b"\r\n",
        WHOLE.replace(b"*3", b"*03"),
        WHOLE.replace(b"$1", b"$2"),
        WHOLE.replace(b"*3", b"+3"),
        command(b"SET", b"k", b"\r\n"),
        command(b"SET", b"k", b"\r\n$1\r\na"),
        command(b"SET", b"k", b"v" * hiredis_reader.SLICE),
        b"",
        b"PING\r\n",
    ],
)
def test_one_command_is_whole_canonical_short_and_without_line_breaks(data: bytes) -> None:
    assert hiredis_reader.one_command(data) is None
