"""Commands that change the connection's state: HELLO, SELECT, RESET, QUIT, MONITOR, CLIENT REPLY."""

# ruff: noqa: E501 (a conversation reads best on one line)

from collections.abc import Callable

import pytest

from tests.e2e.conftest import StartProxy
from tests.e2e.conversations.conftest import Both
from tests.e2e.conversations.scripts import Aside, Until, lines, logins
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire, pipeline

TURNS = {
    "hello": "SET a 1|HELLO 3|HGETALL h|GET none|HELLO 2|HGETALL h|GET none|HELLO|HELLO 3 SETNAME me|GET none|CLIENT GETNAME",
    "hello with errors": "HELLO 1|HELLO 4|HELLO x|HELLO 3 NOPE|HELLO 3 AUTH a|HELLO 3 SETNAME|HELLO 3 AUTH a b SETNAME me|CLIENT GETNAME|HELLO 2 SETNAME a\nb|GET none",
    "select": "SET a 0|SELECT 1|GET a|SET a 1|SELECT 16|GET a|SELECT -1|SELECT 0 1|SELECT|GET a|SELECT 0|GET a|RESET|GET a",
    "reset": "SET a 1|MULTI|GET a|RESET|GET a|HELLO 3|RESET|GET none|SELECT 4|RESET|GET a|WATCH a|RESET|EXEC|CLIENT SETNAME me|RESET|CLIENT GETNAME|RESET x",
    "quit": "SET a 1|QUIT|SET a 2|GET a",
    "quit with arguments": "SET a 1|quit now please|GET a",
    "replies off": "SET a 1|CLIENT REPLY OFF|GET a|NOSUCH|INCR|SET a 2|MULTI|GET a|EXEC|CLIENT REPLY ON|GET a",
    "replies skipped": "CLIENT REPLY SKIP|GET a|GET a|CLIENT REPLY SKIP|CLIENT REPLY SKIP|GET a|GET a|CLIENT REPLY SKIP|NOSUCH|GET a|"
    "CLIENT REPLY ON|GET a|CLIENT REPLY SKIP|CLIENT REPLY ON|GET a|CLIENT REPLY SKIP|MGET a b|MGET a b",
    "replies off, then skipped": "CLIENT REPLY OFF|CLIENT REPLY SKIP|GET a|GET a|CLIENT REPLY ON|GET a|CLIENT REPLY OFF|RESET|GET a",
    "replies off, and errors": "CLIENT REPLY|CLIENT REPLY x|CLIENT REPLY ON x|CLIENT REPLY OFF|CLIENT REPLY x|CLIENT REPLY|client reply on|PING",
    "replies off, and hello": "CLIENT REPLY OFF|HELLO 3|GET none|CLIENT REPLY ON|GET none|CLIENT REPLY SKIP|HELLO 2|GET none",
    "replies off, and subscriptions": "CLIENT REPLY OFF|SUBSCRIBE a|PUBLISH a x|UNSUBSCRIBE|PING|CLIENT REPLY ON|CLIENT REPLY SKIP|SUBSCRIBE b|PING|UNSUBSCRIBE|PING",
    "errors of our own": "n@me|GET a|n@me x|CLIENT REPLY SKIP|n@me|n@me|GET a|CLIENT REPLY SKIP|CONFIG n@me|GET a|CLIENT REPLY OFF|n@me|GET a|"
    "CLIENT REPLY ON|MULTI|n@me|SET a 1|EXEC|GET a|n@me|MULTI|DISCARD|n@me|MULTI|RESET|n@me|GET a",
    "a transaction half skipped": "CLIENT REPLY SKIP|MULTI|GET a|MGET a b|EXEC|MULTI|SET a 1|DISCARD",
}  # fmt: skip


@pytest.mark.parametrize("name", TURNS)
def test_replies_are_the_same(both: Both, hello: bytes, name: str) -> None:
    assert both(*logins(TURNS[name], hello))


def test_monitor(both: Both, hello: bytes) -> None:
    came = both(
        hello + lines("PING|MONITOR"),
        Until(rb"\+OK\r\n"),
        Aside("SET a 1"),
        Aside("GET OK"),
        Until(rb'"GET" "OK"\r\n'),
        lines("RESET|GET a"),
        Until(rb"\$1\r\n1\r\n"),
    )
    assert b'"SET" "a" "1"' in came


def test_quit_ends_monitor(both: Both, hello: bytes) -> None:
    both(hello + lines("SELECT 3|MONITOR"), Until(rb"\+OK\r\n\+OK\r\n"), Aside("PING x"), Until(rb'"PING" "x"\r\n'))


def test_after_monitor_only_reset_and_quit_are_taken(proxy: ProxyProcess, connect: Callable[[Address], Wire]) -> None:
    client = connect(proxy.json)
    assert client("MONITOR") == b"+OK\r\n"
    refused = b"-ERR flask-cache-proxy: after MONITOR only RESET and QUIT are allowed\r\n"
    for line in ("GET flask_cache_k", "NOSUCH", "MULTI", "CLIENT REPLY OFF", "SUBSCRIBE a"):
        client.send(pipeline(line))
        assert client.until(rb"-ERR[^\r]*\r\n").endswith(refused)
    client.send(pipeline("RESET", "SET flask_cache_k [1]"))
    client.until(rb"\+RESET\r\n\+OK\r\n")
    assert client("GET", "flask_cache_k") == b"$3\r\n[1]\r\n"


def test_quit_is_silent_while_replies_are_off_and_closes(
    proxy: ProxyProcess, connect: Callable[[Address], Wire]
) -> None:
    # Redis 7.0 waits here to write a reply that it never has, and so never closes.
    client = connect(proxy.json)
    client.send(lines("PING|CLIENT REPLY OFF|GET a|QUIT|PING"))
    assert client.until_closed() == b"+PONG\r\n"


@pytest.mark.parametrize("line", ["CLIENT MAINT_NOTIFICATIONS on", "client capa redirect", "CLIENT CAPA"])
def test_what_would_lead_a_client_around_us_is_unknown(
    proxy: ProxyProcess, connect: Callable[[Address], Wire], line: str
) -> None:
    unknown = f"-ERR unknown subcommand '{line.split()[1]}'. Try CLIENT HELP.\r\n".encode()
    client = connect(proxy.json)
    client.send(pipeline("CLIENT NOSUCH", line, "MULTI", line, "EXEC", "QUIT"))
    came = client.until_closed()
    assert came.startswith(unknown.replace(line.split()[1].encode(), b"NOSUCH") + unknown + b"+OK\r\n" + unknown)
    assert came.endswith(b"-EXECABORT Transaction discarded because of previous errors.\r\n+OK\r\n")


def test_a_database_in_the_upstream_url_is_where_clients_begin(
    start_proxy: StartProxy, redis_server: object, connect: Callable[[Address], Wire]
) -> None:
    proxy = start_proxy("--upstream", f"unix://{redis_server.unix}?db=7")  # type: ignore[attr-defined]
    client = connect(proxy.json)
    client.send(lines("SET a 7|SELECT 0|SET a 0|RESET|GET a|HELLO 3|GET a|MULTI|GET a|EXEC|QUIT"))
    came = client.until_closed()
    assert came.startswith(b"+OK\r\n+OK\r\n+OK\r\n+RESET\r\n$1\r\n7\r\n%7\r\n")
    assert came.endswith(b"$1\r\n7\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n7\r\n+OK\r\n")
