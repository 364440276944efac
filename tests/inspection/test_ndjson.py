"""Lines are read as they were written, and invalid lines are refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.inspection import ndjson
from proxy.inspection.ndjson import MOST_TTL, Line, LineError


@given(
    st.binary(max_size=40) | st.text(max_size=20).map(str.encode),
    st.sampled_from([b"1", b'"\xe2\x98\x83"', b'{"py/tuple":[]}', b"1180591620717411303424.0", b"[1e5,-0]"]),
    st.none() | st.integers(1, MOST_TTL * 1000),
)
def test_what_is_written_is_read_again(key: bytes, payload: bytes, ttl: int | None) -> None:
    line = Line(key, payload, ttl)
    written = ndjson.write(line)
    assert b"\n" not in written
    assert ndjson.read(written) == line
    assert ndjson.read(b"  " + written + b"\r\n") == line


def test_the_spelling() -> None:
    assert ndjson.write(Line("é".encode(), b"1", 58_312)) == '{"key":"é","ttl":58.312,"value":1}'.encode()
    assert ndjson.write(Line(b"k", b"1", 60_000)) == b'{"key":"k","ttl":60,"value":1}'
    assert ndjson.write(Line(b"\xff", b"1", None)) == b'{"key":{"py/bytes":"/w=="},"value":1}'
    assert ndjson.read(b'{"value": 1, "key": {"py/bytes": "aw=="}, "ttl": null}') == Line(b"k", b"1", None)
    assert ndjson.read(b'{"key": "k", "value": 1, "ttl": 1e3}').ttl == 1_000_000


def test_whatever_ttl_redis_holds_is_written_as_one_that_is_read() -> None:
    most = Line(b"k", b"1", MOST_TTL * 1000)
    assert ndjson.read(ndjson.write(most._replace(ttl=2**62))) == most


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_of_a_byte_order_mark_it_is_said_what_to_do(encoding: str) -> None:
    with pytest.raises(ndjson.LineError, match="save the file as UTF-8 without one"):
        ndjson.read('{"key": "k", "value": 1}'.encode(encoding))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"key": 1, "value": 1}',
        b'{"key": null, "value": 1}',
        b'{"key": "k", "value": }',
        b'{"key": "k", "value": 1}{}',
        b'{"key": "\xff", "value": 1}',
        b'{"key": "\\ud800", "value": 1}',
        b'\xef\xbb\xbf{"key": "k", "value": 1}',
        b'{"key": "k", "value": 1, "ttl": 0.0001}',
        b'{"key": "k", "value": 1, "ttl": 1e400}',
        b'{"key": "k", "value": 1, "ttl": 1e300}',
        b'{"key": "k", "value": 1, "ttl": [1]}',
        b'{"key": {"py/bytes": "aw==", "more": 1}, "value": 1}',
        b'{"key": "k", "value": ' + b"[" * 200_000,
        b'{"key": "k", "value": 1, "ttl": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_bad_line(raw: bytes) -> None:
    with pytest.raises(LineError) as error:
        ndjson.read(raw)
    assert len(str(error.value)) < 200


def test_a_line_that_is_not_utf8_is_named_so() -> None:
    with pytest.raises(LineError, match=r"^it is not UTF-8$"):
        ndjson.read(b'{"key": "\xff", "value": 1}')


@given(st.binary(max_size=80))
def test_nothing_but_a_line_error_comes_of_any_bytes(raw: bytes) -> None:
    with suppress(LineError):
        ndjson.read(raw)
