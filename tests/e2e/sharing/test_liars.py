"""A server that lies in RESP3, when a connection is opened, and on a client's own connection."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conversations.scripted_redis import ScriptedRedis
from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.sharing.conftest import environment
from tests.e2e.wire import Wire, is_served, request

HELLO_2 = b"*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:7\r\n"
HELLO_3 = b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:7\r\n"
GOOD = {"PING": b"+PONG\r\n", "HELLO": HELLO_2, "HELLO 2": HELLO_2, "HELLO 3": HELLO_3, "GET own": b"$3\r\nown\r\n"}
MESSAGE = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\nhis\r\n"
HIS = b"$3\r\nhis\r\n"
Start = Callable[..., ProxyProcess]

RESP3 = {
    "a message": MESSAGE,
    "a message before its reply": MESSAGE + HIS,
    "a message behind its reply": HIS + MESSAGE,
    "a message within its reply": b"*2\r\n" + MESSAGE + HIS,
    "an invalidation": b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nown\r\n" + HIS,
    "an empty push": b">0\r\n" + HIS,
    "an attribute": b"|1\r\n+ttl\r\n:1\r\n" + HIS,
    "a stream": b"$?\r\n;3\r\nhis\r\n;0\r\n",
    "an array without a length": b"*?\r\n" + HIS + b".\r\n",
    "an error within, and one too many": b"*2\r\n-ERR his\r\n" + HIS * 2,
    "a map with half a pair, and the next reply": b"%1\r\n" + HIS + b"+OK\r\n" + HIS,
    "a kind that there is not": b"@3\r\nhis\r\n",
}
"""The reply to a GET."""


def test_in_resp3_it_loses_its_trunk_and_tells_nobody(start_proxy: Start, tmp_path: Path) -> None:
    answers = dict(GOOD)
    with ScriptedRedis(tmp_path, answers) as server:
        proxy = start_proxy("--upstream", f"unix://{server.unix}", env=environment(str(tmp_path / "admin.sock"), 1))
        proxy.expect("a shared connection to Redis at .* ended|Redis closed with")
        with Wire(proxy.json) as idle, Wire(proxy.json) as other:
            assert idle("HELLO", "3")[:1] == b"%"
            for name, lie in RESP3.items():
                before = len(proxy.lines)
                answers["GET lie"] = lie
                with Wire(proxy.json) as asks:
                    assert asks("HELLO", "3")[:1] == b"%"
                    asks.send(request("GET", "lie"))
                    proxy.wait_for_line("a shared connection to Redis at .* ended", before)
                    for client in (idle, other) * 3:
                        assert client("GET", "own") == b"$3\r\nown\r\n"
                        assert client.received == b""
                    with suppress(OSError):
                        asks.send_no_more()
                    assert lie.startswith(asks.until_closed()), name
        assert is_served(proxy.json)


OPENINGS = {
    "a push": b">2\r\n$2\r\nid\r\n:1\r\n",
    "a push before it": MESSAGE + HELLO_2,
    "an attribute": b"|1\r\n+ttl\r\n:1\r\n" + HELLO_2,
    "a text": b"$5\r\nhello\r\n",
    "a word": b"+OK\r\n",
    "a number": b":3\r\n",
    "null": b"_\r\n",
    "an error in a text": b"!9\r\nERR hello\r\n",
    "more than one": HELLO_2 * 2,
    "too much": b"*1\r\n$100000\r\n" + b"x" * 100_000 + b"\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}
"""The reply to HELLO of a version."""
HARMLESS = {
    "levels without end": b"*1\r\n" * 10_000 + b":1\r\n",
    "no fields": b"*0\r\n",
    "null in place of fields": b"*-1\r\n",
    "half a field": b"*1\r\n$2\r\nid\r\n",
    "an id that is a list": b"*4\r\n$2\r\nid\r\n*2\r\n:1\r\n:2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n",
}
"""A client that asks for it gets it, as without shared connections."""


@pytest.mark.parametrize("version", ["2", "3"])
def test_an_odd_greeting_is_an_error_to_each_client_that_needs_it(
    start_proxy: Start, tmp_path: Path, version: str
) -> None:
    answers = dict(GOOD)
    with ScriptedRedis(tmp_path, answers) as server:
        proxy = start_proxy("--upstream", f"unix://{server.unix}", env=environment(str(tmp_path / "admin.sock"), 1))
        proxy.expect(r"\[\d+\] .*(HELLO|is not a Redis|Redis at)")
        for name, greeting in OPENINGS.items():
            answers[f"HELLO {version}"] = greeting
            for _ in range(2):
                with Wire(proxy.json) as client, suppress(OSError):
                    client.send(request("HELLO", version) + request("GET", "own"))
                    client.send_no_more()
                    came = client.until_closed()
                assert came.startswith(b"-ERR flask-cache-proxy: "), name
                assert came.count(b"\r\n") == 1, name
        answers.update(GOOD)
        with Wire(proxy.json) as client:
            assert client("HELLO", version)[:1] == {"2": b"*", "3": b"%"}[version]


@pytest.mark.parametrize("name", HARMLESS)
def test_a_greeting_that_says_little_harms_nobody(start_proxy: Start, tmp_path: Path, name: str) -> None:
    with ScriptedRedis(tmp_path, {**GOOD, "HELLO 2": HARMLESS[name]}) as server:
        proxy = start_proxy("--upstream", f"unix://{server.unix}", env=environment(str(tmp_path / "admin.sock"), 1))
        proxy.expect("runs in cluster mode")
        with Wire(proxy.json) as client:
            client.send(request("HELLO", "2") + request("GET", "own"))
            client.send_no_more()
            assert client.until_closed().endswith(b"$3\r\nown\r\n")


OWN = {
    "an error": b"-ERR no\r\n",
    "a text": HIS,
    "two": b"+OK\r\n" * 2,
    "none of RESP": b"HTTP/1.1 400\r\n",
    "a list": b"*2\r\n+OK\r\n-ERR his\r\n",
}
"""The reply to CLIENT SETNAME, which the proxy sends first."""


def test_an_odd_answer_on_an_own_connection_is_nobody_elses(start_proxy: Start, tmp_path: Path) -> None:
    answers = {**GOOD, "WATCH a": b"+WATCHED\r\n"}
    with ScriptedRedis(tmp_path, answers) as server:
        proxy = start_proxy("--upstream", f"unix://{server.unix}", env=environment(str(tmp_path / "admin.sock"), 1))
        proxy.expect(r"\[\d+\] ")
        with Wire(proxy.json) as idle:
            for name, answer in OWN.items():
                answers["CLIENT SETNAME me"] = answer
                with Wire(proxy.json) as pinned:
                    assert pinned("CLIENT", "SETNAME", "me") == b"+OK\r\n"
                    assert idle("GET", "own") == b"$3\r\nown\r\n"
                    pinned.send(request("WATCH", "a"))
                    with suppress(OSError):
                        pinned.send_no_more()
                    came = pinned.until_closed()
                assert came in (b"", b"+WATCHED\r\n") or came.startswith(b"-ERR flask-cache-proxy: "), name
                assert idle("GET", "own") == b"$3\r\nown\r\n"
        assert is_served(proxy.json)
