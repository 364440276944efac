"""Requests of all shapes, and what is no request: the same words, and closed at the same place."""

import pytest

from tests import servers
from tests.e2e.conversations.conftest import Both
from tests.e2e.conversations.scripts import Cut, lines
from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.wire import Wire, pipeline, request

pytestmark = pytest.mark.usefixtures("each_server")


@pytest.mark.parametrize(
    "script",
    [
        b"*0\r\n" + pipeline("PING") + b"*0\r\n*-1\r\n*-5\r\n" + pipeline("PING"),
        b"*-2147483649\r\n*-9223372036854775808\r\n" + pipeline("PING"),
        b"\r\n\r\n\r\n" + pipeline("PING") + b"\r\n",
        b"\n\n\r\n" + pipeline("PING"),
        b"PING\r\n",
        b"PING\n",
        b"  ping   hello \r\n\r\nPING\r\n" + pipeline("PING x"),
        b"SET a \"b \\x41\\n\\\"c\"\r\nGET a\r\nSET 'a' 'x\\'y'\r\nGET a\r\nPING \"\"\r\n",
        b"MULTI\r\nSET a 1\r\nGET a\r\nEXEC\r\n",
        b"NOSUCH a\r\nGET\r\nGET a\r\n",
        b"$4\r\nPING\r\n+PING\r\n:1\r\n",
        b"SUBSCRIBE a\r\nPING\r\nUNSUBSCRIBE\r\nQUIT\r\nPING\r\n",
        request("SET", "a", ""),
        request("SET", b"", b"\r\n*1\r\n$4\r\nPING\r\n") + request("GET", b""),
        request("SET", bytes(range(256)), bytes(range(256))) + request("GET", bytes(range(256))),
        request("PING", "x" * 100_000),
        request("ECHO", b"\r\n") + request("ECHO", b"$3") + request("ECHO", b"*1\r\n"),
        request("NOSUCH", "x" * 300) + request("NO SUCH" * 30) + request("CLIENT", "no such" * 30),
        request("", "a") + request("\r\n", "a") + request("SE\nT") + request("CLIENT", ""),
        request("NOSUCH", "a\r\nb", "c\nd"),
        request("MGET", *(f"k{number}" for number in range(2000))),
    ],
    ids=lambda script: repr(script[:24]),
)
def test_requests_of_all_shapes_are_answered_the_same(both: Both, script: bytes) -> None:
    assert both(script)


JUNK = [
    b"*a\r\n",
    b"*\r\n",
    b"*99999999999\r\n",
    b"*2147483648\r\n",
    b"*-9223372036854775809\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n\xff\r\n",
    b"*1\r\n%1\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$4\r\nPING\r\n$x\r\n",
    b"*1\r\n$a\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$-2\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999\r\n",
    b"*1\r\n$00\r\n\r\n",
    b"*1\r\n$ 4\r\nPING\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*" + b"1" * 70_000,
    b"*1\r\n$" + b"1" * 70_000,
]
INLINE_JUNK = [
    b'SET a "b\r\n',
    b"'\r\n",
    b"PING " + b"x" * 70_000,
]
QUOTES_WITHIN_WORDS = [b"SET a 'b'c\r\n", b'"a"b\r\n']
"""Junk to Redis and to us; Valkey takes it."""


@pytest.mark.parametrize("junk", JUNK + INLINE_JUNK, ids=lambda junk: repr(junk[:24]))
def test_protocol_errors_are_answered_in_the_same_words_and_close(both: Both, junk: bytes) -> None:
    before = pipeline("PING") if junk in JUNK else b"PING\r\n"
    behind = pipeline("SET a 1") if len(junk) < 1000 else b""
    assert b"+PONG\r\n-ERR Protocol error: " in both(before + junk + behind, end=b"")
    assert b"$-1\r\n" in both(pipeline("GET a"))


@pytest.mark.parametrize("junk", QUOTES_WITHIN_WORDS, ids=repr)
def test_quotes_within_a_word_are_a_protocol_error(proxy: ProxyProcess, cut: Cut, junk: bytes) -> None:
    with Wire(proxy.json) as client:
        client.send(b"PING\r\n" + junk, cut)
        assert client.until_closed() == b"+PONG\r\n-ERR Protocol error: unbalanced quotes in request\r\n"


@pytest.mark.parametrize(
    "before",
    [
        "MULTI|SET a 1|GET a",
        "SUBSCRIBE a|PSUBSCRIBE *",
        "HELLO 3|SUBSCRIBE a|GET none",
        "BLPOP l 0.01|PING",
        "WATCH a|NOSUCH a",
        "CLIENT REPLY OFF|PING|CLIENT REPLY ON",
        "MONITOR",
    ],
)
def test_a_protocol_error_comes_behind_every_reply_before_it(both: Both, before: str, redis_executable: str) -> None:
    if before.startswith("BLPOP") and ("redis", 8) <= servers.version(redis_executable) < ("valkey", 0):
        pytest.skip("Redis 8 looks at what follows a blocked command when more comes")
    came = both(lines(before) + b"*x\r\n", end=b"")
    assert came.endswith(b"\r\n-ERR Protocol error: invalid multibulk length\r\n")


@pytest.mark.parametrize("behind", [b"*x\r\n", pipeline("PING"), b"PING\r\n"], ids=repr)
def test_nothing_behind_quit_is_looked_at(both: Both, behind: bytes) -> None:
    assert both(lines("PING|QUIT") + behind, end=b"") == b"+PONG\r\n+OK\r\n"


@pytest.mark.parametrize("line", [b"PING\r\n", b"SET flask_cache_k evil\r\n", b"$4\r\nPING\r\n", b"\x16\x03\x01\r\n"])
def test_an_inline_command_behind_others_is_a_protocol_error_behind_their_replies_in_whichever_read(
    proxy: ProxyProcess, line: bytes, cut: Cut
) -> None:
    with Wire(proxy.json) as client:
        client.send(lines("SET a 1|GET a|MULTI|GET a|EXEC") + line + pipeline("SET a 2"), cut)
        came = client.until_closed()
    replies = b"+OK\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n"
    assert came == replies + b"-ERR Protocol error: expected '*', got '%s'\r\n" % line[:1]


def test_inline_commands_may_stand_behind_what_begins_a_conversation(both: Both, hello: bytes) -> None:
    begun = lines("CLIENT GETNAME|SELECT 1|PING") + hello + b"SET a 1\r\nGET a\r\n"
    both(begun + pipeline("PING") + b"PING\r\n\r\nGET a\r\n" + lines("SELECT 0|GET a"))


@pytest.mark.parametrize("line", ["POST / HTTP/1.1", "host: a", "Host: a"])
def test_a_line_of_http_closes_without_a_word(both: Both, line: str) -> None:
    assert both(f"\r\n{line}\r\nSET a 1\r\n".encode(), end=b"") == b""
    assert b"$-1\r\n" in both(pipeline("GET a"))
