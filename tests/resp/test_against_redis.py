"""Compares the parser's requests with the commands that a real Redis executes for the same bytes.

Each stream goes to Redis twice: unchanged, and as the canonical bytes of the parser. If the parser accepts a request,
both answers must be equal. If it refuses one, Redis refuses with the same text, or the reason is in `STRICTER`.
"""

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proxy.resp import ProtocolError, RequestLimits, RequestParser
from proxy.resp.encode import command, error
from proxy.resp.inline import MAX_INLINE_BYTES
from tests import effort, servers
from tests.conftest import RawRedis
from tests.resp.streams import mutated, one_by_one

pytestmark = pytest.mark.usefixtures("each_server")

STRICTER: dict[str, Callable[[bytes], object]] = {
    "expected CRLF after a bulk": lambda stream: b"$" in stream,
    "expected LF after CR": re.compile(rb"\r[^\n]").search,
    "NUL byte in inline request": lambda stream: b"\0" in stream,
    r"expected '\*', got '.'": lambda stream: b"*" in stream,  # inline behind RESP
    "a request of .* is over the limit of .*": re.compile(rb"[*$][0-9]{7}").search,
    # Redis searches lines with strchr: it never sees the end of one with a NUL in it, and waits for ever.
    "invalid (multi)?bulk length": lambda stream: b"\0" in stream,
    r"expected '\$', got '.'": lambda stream: b"\0" in stream,
}
"""Every reason of ours that Redis does not share, and what a stream must show for it to be the true one."""


def read(*chunks: bytes) -> tuple[bytes, str]:
    """The canonical bytes of what a stream holds that comes in `chunks`, and the error that ends it."""
    parser, canonical = RequestParser(RequestLimits()), []
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while request := parser.next():
                canonical.append(request.raw)
    except ProtocolError as refusal:
        return b"".join(canonical), refusal.text
    return b"".join(canonical), ""


def check(redis_raw: RawRedis, stream: bytes) -> None:
    """`stream` means the same to Redis and to us, or we refuse it."""
    redis_raw.exchange(b"FLUSHALL\r\n")
    expected = redis_raw.exchange(stream)
    redis_raw.exchange(b"FLUSHALL\r\n")
    canonical, refusal = read(stream)
    assert read(*one_by_one(stream)) == (canonical, refusal)
    answers = redis_raw.exchange(canonical)
    if not refusal:
        assert answers == expected
        return
    assert expected.startswith(answers)
    rest = expected[len(answers) :]
    if rest == error(refusal):
        return
    reasons = [
        pattern
        for pattern in STRICTER
        if re.fullmatch(f"ERR (Protocol error|flask-cache-proxy): {pattern}", refusal, re.DOTALL)
    ]
    assert len(reasons) == 1, refusal
    assert STRICTER[reasons[0]](stream), refusal


@pytest.fixture
def reads_words_as_redis(redis_executable: str) -> None:
    """Valkey has other inline words than Redis: behind quotes, and of bytes beyond ASCII. Ours are those of Redis."""
    if servers.version(redis_executable)[0] == "valkey":
        pytest.skip("Valkey reads inline words in its own way")


no_flush = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

words = st.sampled_from([b"k", b"", b"a b", b"\r\n", b"*1\r\n", b"$4", b"\0", b"\xff", b"'", b'"', b"\\", b"{}", b"7"])
commands = st.one_of(
    st.builds(lambda word: command(b"ECHO", word), words),
    st.builds(lambda word: command(b"PING", word), words),
    st.builds(lambda key, value: command(b"SET", key, value), words, words),
    st.builds(lambda key, value: command(b"APPEND", key, value), words, words),
    st.builds(lambda key: command(b"GET", key), words),
    st.builds(lambda args: command(b"MGET", *args), st.lists(words, max_size=3)),
    st.builds(lambda args: command(b"nothing", *args), st.lists(words, max_size=3)),
    st.just(command(b"PING")),
    st.just(command()),
)
inline_commands = st.sampled_from(
    [
        b"PING\r\n",
        b"PING\n",
        b"ECHO 'a b'\r\n",
        b'ECHO "\\x41"\r\n',
        b"  SET k v\r\n",
        b"\r\n",
        b"GET k\r\n",
        b"'PING\r\n",
    ]
)
scraps = st.sampled_from(
    [
        *(
            b"\r",
            b"\n",
            b"\r\n",
            b"\0",
            b"\xff",
            b" ",
            b"$",
            b"*",
            b"-",
            b"+",
            b"0",
            b"1",
            b"9",
            b"",
            b":5\r\n",
            b"_\r\n",
        ),
        *(
            b"*0\r\n",
            b"*-1\r\n",
            b"*-5\r\n",
            b"*1\r\n",
            b"*1\rX",
            b"$-1\r\n",
            b">1\r\n",
            b"PING\r\n",
            b"$4\r\nPING\r\n",
        ),
        *(b"*2147483648\r\n", b"$536870913\r\n", b"*01\r\n", b"$+1\r\n", b"*-9223372036854775809\r\n"),
    ]
)


@pytest.mark.usefixtures("reads_words_as_redis")
@given(stream=mutated(st.builds(b"".join, st.lists(commands, max_size=4)), scraps))
@settings(no_flush, max_examples=effort.cases(600))
def test_a_stream_of_arrays_means_the_same_to_redis(redis_raw: RawRedis, stream: bytes) -> None:
    check(redis_raw, stream)


@pytest.mark.usefixtures("reads_words_as_redis")
@given(stream=mutated(st.builds(b"".join, st.lists(inline_commands | commands, max_size=5)), scraps))
@settings(no_flush, max_examples=effort.cases(400))
def test_a_stream_with_inline_commands_means_the_same_to_redis(redis_raw: RawRedis, stream: bytes) -> None:
    check(redis_raw, stream)


@pytest.mark.usefixtures("reads_words_as_redis")
@given(stream=st.lists(scraps | words, max_size=12).map(b"".join))
@settings(no_flush, max_examples=effort.cases(250))
def test_a_stream_of_scraps_means_the_same_to_redis(redis_raw: RawRedis, stream: bytes) -> None:
    check(redis_raw, stream)


@pytest.mark.parametrize(
    "stream",
    [
        b"*1\r\n$4\r\nPINGXX*2\r\n$4\r\nECHO\r\n$1\r\na\r\n",
        b"*1\rX$4\rXPINGXX",
        b"*2\r\n$4\r\nECHO\r\n$10\r\nab\r\n$1\r\nc\r\n\r\n",
        b"*2\r\n$4\r\nECHO\r\n:5\r\n",
        b"*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\na\r\n",
        b"*1\r\n=8\r\ntxt:PING\r\n",
        b"*2\r\n$4\r\nECHO\r\n$-1\r\n",
        b"*2147483648\r\n",
        b"*-9223372036854775808\r\nPING\r\n",
        b"*-9223372036854775809\r\n",
        b"*1\r\n$536870913\r\n",
        b"*" + b"1" * (MAX_INLINE_BYTES + 1),
        b"*1\r\n$" + b"1" * (MAX_INLINE_BYTES + 1),
        b"x" * (MAX_INLINE_BYTES + 1),
        b"ECHO " + b"x" * (MAX_INLINE_BYTES - 10) + b"\r\n",
        b"*1\0\r\n",
        b"*1\r\n\0$4\r\nPING\r\n",
        b"PING\0\r\nPING\r\n",
        b"GET / HTTP/1.1\r\nAccept: */*\r\n\r\n",
        b"\x16\x03\x01\x02\n",
        command(*[b"MGET", *[b"k"] * 3000]),
        command(b"SET", b"k", b"v" * 100_000) + command(b"GET", b"k") + b"\r\n" + command(b"STRLEN", b"k"),
    ],
)
def test_a_stream_known_to_be_odd_means_the_same_to_redis(redis_raw: RawRedis, stream: bytes) -> None:
    check(redis_raw, stream)


@pytest.mark.usefixtures("reads_words_as_redis")
def test_a_line_of_json_means_the_same_to_redis(redis_raw: RawRedis) -> None:
    check(redis_raw, b'{"a": 1}\r\n')


@pytest.mark.usefixtures("reads_words_as_redis")
@given(
    line=st.lists(
        st.sampled_from(
            [
                b"a",
                b"b",
                b" ",
                b"\t",
                b"\v",
                b"\f",
                b"\r",
                b"'",
                b'"',
                b"\\",
                b"\\x",
                b"4",
                b"f",
                b"g",
                b"\\n",
                b"\\'",
                b"\xe9",
            ]
        ),
        max_size=14,
    ).map(b"".join)
)
@example(line=b"''\"\"")
@example(line=b"'' \"\"")
@example(line=b'"\\x4"')
@example(line=b'a"b"')
@example(line=b'a"b"\v')
@example(line=b"a\vb")
@settings(no_flush, max_examples=effort.cases(750))
def test_inline_words_are_quoted_as_redis_quotes_them(redis_raw: RawRedis, line: bytes) -> None:
    # An unknown command's error repeats its arguments; ECHO repeats one exactly.
    check(redis_raw, b"nothing " + line + b"\r\nECHO " + line + b"\n" + b"RPUSH k " + line + b"\r\nLRANGE k 0 -1\r\n")
