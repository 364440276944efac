"""Hostile clients are refused or closed, with little memory, while other clients are served."""

import json
import os
import pickle
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import client_of
from tests.e2e.proxy_process import Address, ProxyProcess, connected, wait_until
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]
KEY = "flask_cache_k"
MIB = 1024 * 1024
SMALL = 24 * MIB
"""The limit for the memory of each case. The frames declare gigabytes."""


@pytest.fixture
def bystander(proxy: ProxyProcess, direct: redis.Redis) -> Iterator[redis.Redis]:
    """Another client, served before and after; and meanwhile the proxy has not grown."""
    with client_of(proxy.json) as client:
        client.set("flask_cache_bystander", '"here"')
        before = proxy.resident_bytes()
        yield client
        assert client.get("flask_cache_bystander") == b'"here"'
        assert proxy.resident_bytes() - before < SMALL


def send_all_it_takes(wire: Wire, piece: bytes, total: int) -> int:
    """Send `piece` again and again, until `total` bytes are out or the other side has had enough."""
    sent = 0
    try:
        while sent < total:
            wire.send(piece)
            sent += len(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


@pytest.mark.parametrize(
    "junk",
    [
        b"*100000000\r\n",
        b"*2147483647\r\n",
        b"*2147483648\r\n",
        b"*9223372036854775808\r\n",
        b"*" + b"9" * 60 + b"\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$99999999999\r\n",
        b"*1\r\n$-1\r\n",
        b"*2\r\n$3\r\nGET\r\n:1\r\n",
        b"*1\r\n" * 1000,
        b"*9999\r\n" * 1000,
        b"*1\r\n%1\r\n$3\r\nGET\r\n",
        b"*1\r\n$4\r\nPINGxx",
        b"*1\r\n$4\r\nPING\rx",
        b"*1\rX$4\r\nPING\r\n",
        b"*1\r\n$4\nPING\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 22\r\n\r\nSET flask_cache_k evil\r\n",
        b"Host: 127.0.0.1\r\nSET flask_cache_k evil\r\n",
        b"PING \x00\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\n",
        b"\xff" * 100_000,
    ],
    ids=lambda junk: repr(junk[:32]),
)
def test_a_malformed_request_is_closed_and_stores_nothing(
    proxy: ProxyProcess, direct: redis.Redis, bystander: redis.Redis, connect: Connect, junk: bytes
) -> None:
    client = connect(proxy.json)
    client.send(junk)
    if not junk.startswith((b"POST", b"Host")):
        # HTTP's GET is a command with too many arguments to Redis; its Host: line closes.
        assert b"-ERR " in (came := client.until_closed())
        assert len(came) < 1000
    else:
        assert client.until_closed() == b""
    assert direct.keys() == [b"flask_cache_bystander"]


@pytest.mark.parametrize(
    "start",
    [b"x", b"*", b"*1\r\n$", b"SET flask_cache_k ", b"*1\r\n$4\r\nPING\r\n*1", b'"'],
    ids=repr,
)
def test_a_line_of_100_mb_without_an_end_is_closed(
    proxy: ProxyProcess, bystander: redis.Redis, connect: Connect, start: bytes
) -> None:
    client = connect(proxy.json)
    client.send(start)
    sent = send_all_it_takes(client, b"1" * MIB, 100 * MIB)
    assert sent < 100 * MIB or b"-ERR Protocol error: too big" in client.until_closed()


def test_a_bulk_over_the_limit_is_refused_by_its_header(
    proxy: ProxyProcess, bystander: redis.Redis, connect: Connect
) -> None:
    client = connect(proxy.json)
    client.send(b"*3\r\n$3\r\nSET\r\n$5\r\nother\r\n$500000000\r\n")
    assert b"([limits] request_bytes)" in client.until_closed()


def test_an_array_over_the_limit_is_refused_by_its_header(
    proxy: ProxyProcess, bystander: redis.Redis, connect: Connect
) -> None:
    client = connect(proxy.json)
    client.send(b"*1048577\r\n")
    assert b"([limits] arguments)" in client.until_closed()


def test_a_payload_over_the_limit_is_an_error_and_the_connection_goes_on(
    proxy: ProxyProcess, direct: redis.Redis, connect: Connect
) -> None:
    client = connect(proxy.json)
    assert b"payload_bytes" in client("SET", KEY, '"' + "x" * (9 * MIB) + '"')
    assert b"nodes" in client("SET", KEY, "[" + "1," * 300_000 + "1]")
    assert b"depth" in client("SET", KEY, "[" * 5_000 + "]" * 5_000)
    assert direct.dbsize() == 0
    assert client("PING") == b"+PONG\r\n"


class TestNamesThatRedisReadsOtherwise:
    def test_a_nul_and_a_tail_in_a_command_name(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect
    ) -> None:
        client = connect(proxy.json)
        names = [b"SET\x00%d" % number for number in range(1000)]
        names += [
            name + tail
            for name in (b"SET", b"set", b"SETEX", b"MSET", b"GETSET")
            for tail in (b"\x00", b"\x00\x00", b" ", b"\n")
        ]
        names += [
            b"\x00SET",
            b"S\x00ET",
            b"",
            b"\xffSET",
            b"SET\r",
            "SE\u0422".encode(),
            b"client\x00319",
            b"EVAL\x001",
        ]
        client.send(b"".join(request(name, KEY, "!cos\nsystem\n(S'x'\ntR.") for name in names))
        for _ in names:
            assert client.reply().startswith(b"-ERR unknown command '")
        assert direct.dbsize() == 0
        assert client("PING") == b"+PONG\r\n"

    def test_a_nul_in_a_subcommand(self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect) -> None:
        client = connect(proxy.json)
        for number in range(100):
            tail = b"\x00%d" % number
            assert client("CONFIG", b"SET" + tail, "maxmemory", "1").startswith(b"-ERR ")
            assert client("CLIENT", b"REPLY" + tail, "OFF").startswith(b"-ERR ")
            assert client("OBJECT", b"ENCODING" + tail, KEY).startswith(b"-ERR ")
        assert direct.config_get("maxmemory") == {"maxmemory": "0"}

    @pytest.mark.parametrize(
        "args",
        [
            ("SET", KEY, '"x"', b"EX\x00", "10"),
            ("SET", KEY, '"x"', b"EX\x00junk", "10"),
            ("SET", KEY, '"x"', b"GET\x00"),
            ("SET", KEY, '"x"', b"NX\x00", b"GET\x00"),
            ("SET", KEY, '"x"', "EX"),
            ("SET", KEY, '"x"', "KEEPTTL2"),
            ("SET", KEY, '"x"', ""),
            ("GETEX", KEY, b"EX\x00", "10"),
            ("GETEX", KEY, b"PERSIST\x00"),
            ("SETEX", KEY, b"10\x00", '"x"'),
            ("PSETEX", KEY, b"\x0010", '"x"'),
        ],
        ids=repr,
    )
    def test_a_nul_or_junk_in_an_option(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect, args: tuple[str | bytes, ...]
    ) -> None:
        direct.set(KEY, "1")
        client = connect(proxy.json)
        assert client(*args).startswith(b"-ERR ")
        assert direct.get(KEY) == b"1"
        assert direct.ttl(KEY) == -1
        assert client("PING") == b"+PONG\r\n"

    @pytest.mark.parametrize(
        "args",
        [
            ("SORT", "list", b"STORE\x00", KEY),
            ("SORT", "list", b"by\x00x", "flask_cache_*", "STORE", KEY),
            ("GEORADIUS", "geo", "0", "0", "1", "km", b"STORE\x00x", KEY),
            ("COPY", "list", KEY),
            ("LMOVE", "list", KEY, "LEFT", "LEFT"),
            ("EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", KEY),
            ("EVAL", "redis.call('SET', 'flask_cache_k', 'x')", "0"),
            ("BITOP", "OR", KEY, "raw"),
            ("ZRANGESTORE", KEY, "z", "0", "-1"),
            ("XREAD", "COUNT", "1", "STREAMS", KEY, "0"),
        ],
        ids=repr,
    )
    def test_nothing_is_planted_by_a_roundabout_way(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect, args: tuple[str | bytes, ...]
    ) -> None:
        direct.rpush("list", "1")
        direct.set("raw", "!cos\nsystem\n")
        direct.geoadd("geo", (0, 0, "m"))
        client = connect(proxy.json)
        assert client(*args).startswith(b"-ERR ")
        assert direct.exists(KEY) == 0


class TestSmuggling:
    @pytest.mark.parametrize(
        "data",
        [
            b"*3\r\n$3\r\nSET\r\n$5\r\nother\r\n$1\r\nxXX*3\r\n$3\r\nSET\r\n$13\r\nflask_cache_k\r\n$4\r\nevil\r\n",
            b"*1\rX*3\r\n$3\r\nSET\r\n$13\r\nflask_cache_k\r\n$4\r\nevil\r\n",
            b"*2\r\n$4\r\nPING\r\n$5\r\nhello*3\r\n$3\r\nSET\r\n$13\r\nflask_cache_k\r\n$4\r\nevil\r\n",
            b"*2\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$13\r\nflask_cache_k\r\n$4\r\nevil\r\n",
            b"PING\r\x00\nSET flask_cache_k evil\r\n",
            b"*2\r\n$4\r\nECHO\r\n$1\r\na\r\nSET flask_cache_k evil\r\n",
            b"*3\r\n$0003\r\nSET\r\n$13\r\nflask_cache_k\r\n$4\r\nevil\r\n",
            b"*3\r\n$3\r\nSET\r\n$13\r\nflask_cache_k\r\n$+4\r\nevil\r\n",
        ],
        ids=lambda data: repr(data[:24]),
    )
    def test_lax_framing_plants_nothing(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect, data: bytes
    ) -> None:
        client = connect(proxy.json)
        client.send(data)
        assert b"-ERR " in client.until_closed()
        assert direct.exists(KEY) == 0

    def test_an_inline_command_is_held_to_the_same_rules(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect
    ) -> None:
        client = connect(proxy.json)
        client.send(b'SET flask_cache_k "\\x21cos"\r\n')
        assert client.reply().startswith(b"-ERR flask-cache-proxy: ")
        client.send(b"set flask_cache_k '\"fine\"'\r\n")
        assert client.reply() == b"+OK\r\n"
        assert pickle.loads(direct.get(KEY)[1:]) == "fine"


class TestBadCompany:
    def test_a_slow_trickle_is_served_at_its_pace_and_others_at_theirs(
        self, proxy: ProxyProcess, bystander: redis.Redis, connect: Connect
    ) -> None:
        clients = [connect(proxy.json) for _ in range(20)]
        for byte in request("SET", KEY, '"slow"'):
            for client in clients:
                client.send(bytes([byte]))
            assert bystander.ping()
        assert all(client.reply() == b"+OK\r\n" for client in clients)

    @pytest.mark.parametrize("cut_at", [1, 4, 9, 20, 30, -3, -1])
    def test_a_client_that_vanishes_within_a_command_stores_nothing(
        self, proxy: ProxyProcess, direct: redis.Redis, bystander: redis.Redis, cut_at: int
    ) -> None:
        for reset in (False, True):
            with Wire(proxy.json) as client:
                client.send(request("SET", KEY, '"half of it"')[:cut_at])
                if reset:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        assert direct.exists(KEY) == 0

    def test_clients_that_vanish_with_replies_outstanding(
        self, proxy: ProxyProcess, direct: redis.Redis, bystander: redis.Redis
    ) -> None:
        direct.set("large", b"x" * MIB)
        for number in range(20):
            with Wire(proxy.json) as client:
                client.send(request("GET", "large") * 10 + request("BLPOP", "nothing", "0"))
                if number % 2:
                    client.until(b"x" * 1000)
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 0, "the blocked clients to go")

    def test_a_client_that_does_not_read_stops_being_asked_for(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect
    ) -> None:
        direct.set("large", b"x" * MIB)
        client, other = connect(proxy.json), connect(proxy.json)
        client.send(request("GET", "large") * 300)
        assert other("SET", KEY, '"x"') == b"+OK\r\n"
        for _ in range(200):
            assert other("GET", "large").endswith(b"x\r\n")
        assert proxy.resident_bytes() < 160 * MIB
        for _ in range(300):
            assert len(client.reply()) > MIB

    def test_a_flood_of_connections(self, proxy: ProxyProcess, bystander: redis.Redis) -> None:
        for _ in range(3):
            flood = [connected(proxy.json) for _ in range(300)]
            assert bystander.ping()
            for number, one in enumerate(flood):
                if number % 3 == 0:
                    one.sendall(b"*3\r\n$3\r\nSET\r\n")
                elif number % 3 == 1:
                    one.sendall(pipeline("PING"))
                one.close()
            assert bystander.ping()


class TestPlantedValues:
    """Values that somebody put into Redis directly."""

    @pytest.fixture(params=["json", "msgpack"])
    def client(self, request: pytest.FixtureRequest, proxy: ProxyProcess, connect: Connect) -> Wire:
        return connect(proxy.json if request.param == "json" else proxy.msgpack)

    def test_a_pickle_that_runs_a_command_is_shown_and_nothing_runs(
        self, client: Wire, direct: redis.Redis, tmp_path: Path
    ) -> None:
        trace = tmp_path / "trace"
        evil = [
            f"!cos\nsystem\n(S'touch {trace}'\ntR.".encode(),
            f"!cposix\nsystem\n(S'touch {trace}'\ntR.".encode(),
            f"!(S'touch {trace}'\nios\nsystem\n.".encode(),
            b"!" + pickle.dumps(_Evil(f"touch {trace}")),
            b"!" + pickle.dumps([{"a": _Evil(f"touch {trace}")}], protocol=2),
            f"!cbuiltins\nexec\n(S'open({str(trace)!r}, \"w\")'\ntR.".encode(),
        ]
        for value in evil:
            direct.set(KEY, value)
            for command in ("GET", "GETEX", "MGET"):
                assert b"py/instance" in client(command, KEY)
            client.send(pipeline("MULTI", f"GET {KEY}", "EXEC"))
            assert b"py/instance" in client.replies(3)
        assert not trace.exists()
        assert client("PING") == b"+PONG\r\n"

    def test_every_hostile_value_costs_an_error_at_most(
        self, proxy: ProxyProcess, client: Wire, direct: redis.Redis, bystander: redis.Redis
    ) -> None:
        for value in _hostile_values():
            direct.set(KEY, value)
            client.send(request("GET", KEY))
            assert client.reply()[:1] in (b"-", b"$")
            assert bystander.ping()
        assert proxy.peak_bytes() < 300 * MIB


def _hostile_values() -> list[bytes]:
    file = Path(__file__).parent.parent / "data" / "hostile_pickles.json"
    return [b"!" + bytes.fromhex(one["hex"]) for one in json.loads(file.read_text()).values()]


class _Evil:
    """Pickles as a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)
