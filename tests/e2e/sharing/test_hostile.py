"""Clients that try to shift the count of replies, and servers that lie: nobody ever gets what is another client's."""

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conversations.scripted_redis import ScriptedRedis
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.e2e.sharing.conftest import Sharing, environment
from tests.e2e.wire import Wire, is_served, pipeline, request

OK = b"+OK\r\n"


def are_served(clients: Iterable[Wire]) -> None:
    """Each gets its own reply, and nothing else."""
    for number, client in enumerate(clients):
        reply = client("ECHO", f"<{number}>")
        assert reply == b"$%d\r\n<%d>\r\n" % (len(str(number)) + 2, number)
        assert client.received == b""


# -- clients --------------------------------------------------------------------------------------------------

MANY = 1500
ODD = {
    "inline commands": b"SET a 1\r\nGET a\r\n\r\n\r\nPING\r\n",
    "empty requests": b"*0\r\n*-1\r\n\r\n*0\r\n" * 50 + request("PING"),
    "an empty name": request("") + request("", "x") + request("PING"),
    "a NUL and a line in a name": request("GET\0", "a") + request("GET\r\n", "a") + request("PI\nNG"),
    "names of HTTP": b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    "the same in RESP": request("POST", "/") + request("Host:", "x") + request("PING"),
    "what looks like replies": b"+OK\r\n:1\r\n$2\r\nhi\r\n",
    "a lie about the length": b"*2\r\n$3\r\nGET\r\n$1\r\nabc\r\n" + request("PING"),
    "a negative length": b"*1\r\n$-1\r\n" + request("PING"),
    "a huge length": b"*2\r\n$3\r\nGET\r\n$9999999999\r\n",
    "a huge count": b"*2147483647\r\n$3\r\nGET\r\n",
    "leading zeros and signs": b"*+2\r\n$03\r\nGET\r\n$1\r\na\r\n" + b"*02\r\n$3\r\nGET\r\n$1\r\na\r\n",
    "many arguments": request("MGET", *["a"] * MANY) + request("DEL", *["a"] * MANY) + request("PING"),
    "a large value": request("SET", "large", "x" * 3_000_000) + request("GET", "large") + request("STRLEN", "large"),
    "a large JSON value": request("SET", "flask_cache_l", '"' + "x" * 900_000 + '"') + request("GET", "flask_cache_l"),
    "replies that are off": pipeline("CLIENT REPLY OFF", "GET a", "CLIENT REPLY SKIP", "GET a", "CLIENT REPLY ON"),
    "an odd reply mode": pipeline("CLIENT REPLY", "CLIENT REPLY NO", "client reply skip", "PING", "PING"),
    "odd greetings": pipeline("HELLO 9", "HELLO 3 AUTH", "HELLO 3 SETNAME", "HELLO x", "HELLO 3 SETNAME a b"),
    "odd names": pipeline("CLIENT SETNAME", "CLIENT SETNAME a b", "CLIENT SETINFO a b", "CLIENT", "CLIENT ID x"),
    "unsubscribing": pipeline("UNSUBSCRIBE", "UNSUBSCRIBE a b c", "PUNSUBSCRIBE", "SUNSUBSCRIBE a", "PING"),
    "subscribing to many": pipeline("SUBSCRIBE a b c d", "PING", "UNSUBSCRIBE", "PING"),
    "a broken transaction": pipeline("MULTI", "MULTI", "NOSUCH", "GET", "EXEC", "EXEC", "DISCARD", "PING"),
    "questions about commands": pipeline("COMMAND", "COMMAND DOCS GET", "COMMAND GETKEYS GET a", "COMMAND NO", "PING"),
    "a way out": pipeline("GET a", "QUIT", "GET b", "SET c 1"),
    "resets": pipeline("RESET", "HELLO 3", "RESET", "RESET x", "MULTI", "RESET", "GET a"),
    "the end of a large request is missing": request("SET", "large", "x" * 2_000_000)[:-7],
}  # fmt: skip
"""What a client says -> the bytes."""


def at_once(data: bytes) -> list[bytes]:
    return [data]


def cut_anywhere(data: bytes) -> list[bytes]:
    chance = random.Random(len(data))
    at = sorted(chance.sample(range(len(data)), min(20, len(data))))
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


def closes(client: Wire) -> None:
    client.close()


def resets(client: Wire) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def ends(client: Wire) -> None:
    with suppress(OSError):
        client.send_no_more()
    client.until_closed()
    client.close()


@pytest.mark.parametrize("leave", [closes, resets, ends], ids=lambda leave: leave.__name__)
@pytest.mark.parametrize("name", ODD)
def test_what_a_client_says_never_moves_the_replies_of_others(
    sharing: Sharing, name: str, leave: Callable[[Wire], None]
) -> None:
    bystanders = sharing.clients(4)
    for cut in (at_once, cut_anywhere):
        hostile = sharing.client()
        with suppress(OSError):  # the proxy may have closed
            for part in cut(ODD[name]):
                hostile.send(part)
                are_served(bystanders[:1])
        are_served(bystanders)
        leave(hostile)
        are_served(bystanders)


@pytest.mark.parametrize("at", [1, 5, 14, 20, 100, 1_000_000])
def test_a_reset_within_a_request_sends_no_part_of_it(sharing: Sharing, at: int) -> None:
    bystanders = sharing.clients(4)
    whole = request("SET", "a", "1")
    for _ in range(20):
        hostile = Wire(sharing.proxy.json)
        hostile.send(whole * 3 + request("SET", "cut", "x" * 1_000_100)[:at])
        resets(hostile)
    are_served(bystanders)
    assert bystanders[0]("EXISTS", "cut") == b":0\r\n"


# -- servers --------------------------------------------------------------------------------------------------

HELLO_2 = b"*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:2\r\n"
GOOD = {"PING": b"+PONG\r\n", "HELLO": HELLO_2, "HELLO 2": HELLO_2, "HELLO 3": b"-ERR no\r\n"}
FAULTS = {
    "two replies": (b"$3\r\nhis\r\n" * 2, "a reply that nobody is owed"),
    "many replies": (b"$3\r\nhis\r\n" * 1000, "a reply that nobody is owed"),
    "half a reply more": (b"$3\r\nhis\r\n$3\r\nhi", "a reply that nobody is owed"),
    "a push": (b">2\r\n+invalidate\r\n*1\r\n+a\r\n", "a push"),
    "a push within": (b"*2\r\n+a\r\n>1\r\n+b\r\n", "a push"),
    "an attribute": (b"|1\r\n+ttl\r\n:1\r\n$3\r\nhis\r\n", "an attribute"),
    "garbage": (b"\x00\x01 garbage\r\n", "a header without a number"),
    "an unknown type": (b"@1\r\n", "unknown reply type"),
    "no number": (b"$x\r\n", "a header without a number"),
    "a bulk that is longer": (b"$3\r\nhis and more\r\n", "a bulk without its CRLF"),
    "a line without its CR": (b"+his\n", "a line without its CR"),
    "a streamed value": (b"*?\r\n+a\r\n.\r\n", "a header without a number"),
    "an endless header": (b"$" + b"1" * 100_000, "a header without"),
}
"""What a server sends to one request -> its reply, and what the proxy's log says."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_server_that_lies_loses_its_trunk_and_tells_nobody(
    start_proxy: Callable[..., ProxyProcess], tmp_path: Path, name: str
) -> None:
    lie, text = FAULTS[name]
    with ScriptedRedis(tmp_path, {**GOOD, "GET lie": lie, "GET own": b"$3\r\nown\r\n"}) as server:
        proxy = start_proxy("--upstream", f"unix://{server.unix}", env=environment(str(tmp_path / "admin.sock"), 1))
        proxy.expect(f"a shared connection to Redis at .* ended .*{text}|Redis closed with")
        with Wire(proxy.json) as asks, Wire(proxy.json) as idle, Wire(proxy.json) as leaves:
            assert asks("PING") == idle("PING") == leaves("PING") == b"+PONG\r\n"
            for client in (asks, leaves):
                before = len(proxy.lines)
                client.send(request("GET", "lie"))
                if client is leaves:
                    client.close()
                proxy.wait_for_line(text, before)
                for _ in range(3):
                    assert idle("GET", "own") == b"$3\r\nown\r\n"
                assert idle.received == b""
            with suppress(OSError):
                asks.send_no_more()
            assert lie.startswith(asks.until_closed())
            assert is_served(proxy.json)


class Server:
    """A server whose connections are opened as Redis opens them; `speak` does the rest."""

    def __init__(self, unix: str, speak: Callable[[socket.socket], None]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(unix)
        self._listener.listen()
        self._speak = speak
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._speak(connection)

    def close(self) -> None:
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def opened(connection: socket.socket) -> bool:
    """Answer what opens a trunk. False: it is another connection, which asks for something else."""
    first = connection.recv(65536)
    connection.sendall(HELLO_2 + b"-ERR no\r\n" if b"HELLO" in first else b"+PONG\r\n")
    return b"HELLO" in first


def speaks_first(connection: socket.socket) -> None:
    """It says something before it is asked."""
    if opened(connection):
        connection.sendall(b"$3\r\nhis\r\n")
        connection.recv(65536)


def speaks_too_early(connection: socket.socket) -> None:
    """It says something behind what opens the trunk, in one write."""
    connection.recv(65536)
    connection.sendall(HELLO_2 + b"-ERR no\r\n$3\r\nhis\r\n")
    connection.recv(65536)


def closes_within_a_reply(connection: socket.socket) -> None:
    if opened(connection):
        connection.recv(65536)
        connection.sendall(b"$100\r\nhalf of his")


def closes_within_an_opening(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(HELLO_2[:20])


def says_nothing_and_closes(connection: socket.socket) -> None:
    if opened(connection):
        connection.recv(65536)


def opens_without_end(connection: socket.socket) -> None:
    connection.recv(65536)
    while True:
        connection.sendall(b"*1000000\r\n" + b"+x\r\n" * 10_000)


@pytest.mark.parametrize(
    "speak",
    [
        speaks_first, speaks_too_early, closes_within_a_reply, closes_within_an_opening, says_nothing_and_closes,
        opens_without_end,
    ],
    ids=lambda speak: speak.__name__,
)  # fmt: skip
def test_a_server_that_breaks_off_or_speaks_out_of_turn_costs_connections_and_nothing_else(
    start_proxy: Callable[..., ProxyProcess], tmp_path: Path, speak: Callable[[socket.socket], None]
) -> None:
    unix, admin = str(tmp_path / "server.sock"), str(tmp_path / "admin.sock")
    server = Server(unix, speak)
    try:
        proxy = start_proxy("--upstream", f"unix://{unix}", env=environment(admin, 1))
        proxy.expect("a shared connection|Redis closed with|not a Redis|closed the connection|\\[\\d+\\] ")
        memory = proxy.resident_bytes()
        clients = [Wire(proxy.json) for _ in range(10)]
        for client in clients:
            client.send(request("GET", "own"))
        for client in clients:
            came = client.until_closed()
            client.close()
            if speak is closes_within_a_reply:
                assert came in (b"", b"$100\r\nhalf of his")
            else:
                assert came == b"" or came.startswith(b"-ERR flask-cache-proxy: ")
        assert proxy.resident_bytes() < memory + 64 * 1024 * 1024
    finally:
        server.close()


def test_a_half_reply_goes_to_one_client_only(start_proxy: Callable[..., ProxyProcess], tmp_path: Path) -> None:
    unix = str(tmp_path / "server.sock")
    server = Server(unix, closes_within_a_reply)
    try:
        proxy = start_proxy("--upstream", f"unix://{unix}", env=environment(str(tmp_path / "admin.sock"), 1))
        proxy.expect("a shared connection|Redis closed with|\\[\\d+\\] ")
        with Wire(proxy.json) as one, Wire(proxy.json) as other:
            one.send(request("GET", "own"))
            assert one.until_closed() == b"$100\r\nhalf of his"
            other.send(request("GET", "own"))
            assert other.until_closed() == b"$100\r\nhalf of his"
        wait_until(lambda: len(proxy.lines) > 0, "its log")
    finally:
        server.close()
