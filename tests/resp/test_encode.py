"""Replies of our own, read back as a client reads them."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.resp import encode


def read(data: bytes) -> object:
    reader, more = hiredis.Reader(notEnoughData=...), ...
    reader.feed(data)
    reply = reader.gets()
    assert reader.gets() is more
    return reply


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ERR no", b"-ERR no\r\n"),
        ("ERR a\r\nb\nc", b"-ERR a  b c\r\n"),
        ("ERR \u00e9", b"-ERR \xc3\xa9\r\n"),
        (b"ERR \xff".decode("utf-8", "surrogateescape"), b"-ERR \xff\r\n"),
    ],
)
def test_an_error_is_one_line(text: str, expected: bytes) -> None:
    assert encode.error(text) == expected


@given(data=st.binary())
def test_an_error_stays_one_line_whatever_it_tells(data: bytes) -> None:
    written = encode.error(data.decode("utf-8", "surrogateescape"))
    assert written.startswith(b"-")
    assert written.endswith(b"\r\n")
    assert not set(written[:-2]) & set(b"\r\n")
    assert isinstance(read(written), hiredis.ReplyError)


@given(payload=st.binary())
def test_a_bulk_is_read_back(payload: bytes) -> None:
    assert read(encode.bulk(payload)) == payload


@given(args=st.lists(st.binary(), min_size=1, max_size=12))
def test_a_command_is_its_header_and_its_arguments(args: list[bytes]) -> None:
    assert encode.header(len(args)) + encode.arguments(*args) == encode.command(*args)


@given(args=st.lists(st.binary(), max_size=5))
def test_a_command_is_an_array_of_bulks(args: list[bytes]) -> None:
    written = encode.command(*args)
    assert written == b"*%d\r\n" % len(args) + b"".join(map(encode.bulk, args))
    assert read(written) == args


def test_both_nulls_are_null() -> None:
    assert read(encode.NULL_RESP2) is None
    assert read(encode.NULL_RESP3) is None
