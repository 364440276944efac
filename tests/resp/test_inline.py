"""Inline commands: words and quotes. `test_against_redis` holds them against the real thing."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.resp import ProtocolError, inline


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", []),
        (b" \t\v\f\r\n ", []),
        (b"PING", [b"PING"]),
        (b"  SET\tk   v ", [b"SET", b"k", b"v"]),
        (b"a\vb\fc", [b"a\vb\fc"]),  # they part words only where none has begun
        (b"a\rb", [b"a", b"b"]),
        (b"''", [b""]),
        (b'""', [b""]),
        (b"'a b'", [b"a b"]),
        (b'"a b"', [b"a b"]),
        (b"a'b c'", [b"ab c"]),
        (b"'a'\v'b'", [b"a", b"b"]),
        (rb"'it\'s'", [b"it's"]),
        (rb"'\n\x41\\ '", [rb"\n\x41\\ "]),
        (rb'"\n\r\t\b\a\"\\\q"', [b'\n\r\t\b\a"\\q']),
        (rb'"\x41\xfF\x00"', [b"A\xff\0"]),
        (rb'"\x4g\x4"', [b"x4gx4"]),
        (rb"\n", [rb"\n"]),
        (b"\xff\x80", [b"\xff\x80"]),
        (b"*1", [b"*1"]),
    ],
)
def test_a_line_is_split_into_words(line: bytes, expected: list[bytes]) -> None:
    assert inline.split(line) == expected


@pytest.mark.parametrize(
    "line", [b"'", b'"', b"'a", b'"a', b"'a'b", b'"a"b', b"'a'\"b\"", rb"'a\'", rb"'\\'", rb'"a\"', b'"\\']
)
def test_quotes_must_be_balanced_and_end_their_word(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="unbalanced quotes in request"):
        inline.split(line)


@pytest.mark.parametrize("line", [b"\0", b"PING\0", b"'\0'"])
def test_a_nul_is_refused_since_redis_never_sees_past_it(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="NUL byte in inline request"):
        inline.split(line)


@given(words=st.lists(st.binary(), max_size=5))
def test_quoted_words_come_back_whatever_they_hold(words: list[bytes]) -> None:
    quoted = ['"' + "".join(f"\\x{char:02x}" for char in word) + '"' for word in words]
    assert inline.split(" ".join(quoted).encode()) == words


@given(line=st.binary() | st.text("'\"\\ xab0").map(str.encode))
def test_a_line_is_split_or_refused(line: bytes) -> None:
    with suppress(ProtocolError):
        assert all(isinstance(word, bytes) for word in inline.split(line))
