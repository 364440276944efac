"""Every limit is a setting, and each has its bound where it says: below it and at it nothing is felt, above it an error
that names it. The memory limits are in test_memory, the bounds of time in test_faults.
"""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.admin import metric
from tests.e2e.conftest import RedisServer, StartProxy
from tests.e2e.proxy_process import Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]
KEY = "flask_cache_k"
LIMITS = {
    "request_bytes": 5_000,
    "first_command_bytes": 3_000,
    "arguments": 20,
    "payload_bytes": 1_000,
    "depth": 5,
    "nodes": 50,
    "decoded_bytes": 2_000,
    "pending_commands": 4,
}


@pytest.fixture(scope="module")
def limited(redis_server: RedisServer) -> Iterator[ProxyProcess]:
    """A proxy with small limits."""
    env = {f"FLASK_CACHE_PROXY_LIMITS_{name.upper()}": str(value) for name, value in LIMITS.items()}
    upstream = f"unix://{redis_server.unix}"
    proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--upstream", upstream], env=env)
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def client(limited: ProxyProcess, direct: redis.Redis, connect: Connect) -> Wire:
    """One that is past its first command."""
    client = connect(limited.json)
    assert client("PING") == b"+PONG\r\n"
    return client


def sized(total: int) -> bytes:
    """A SET of a key that no rule matches, of just so many bytes."""
    empty = len(request("SET", "k", b"x" * 1_000)) - 1_000
    made = request("SET", "k", b"x" * (total - empty))
    assert len(made) == total
    return made


def nested(levels: int) -> str:
    return "[" * levels + "1" + "]" * levels


@pytest.mark.parametrize(
    ("limit", "fits"),
    [
        ("request_bytes", sized),
        ("arguments", lambda count: request("DEL", *["k"] * (count - 1))),
    ],
)
def test_a_request_at_the_limit_is_taken_and_one_above_it_closes(
    client: Wire, connect: Connect, limited: ProxyProcess, limit: str, fits: Callable[[int], bytes]
) -> None:
    for size in (LIMITS[limit] - 1, LIMITS[limit]):
        client.send(fits(size))
        assert client.reply()[:1] in b"+:"
    client.send(fits(LIMITS[limit] + 1))
    said = client.until_closed()
    assert said.startswith(b"-ERR flask-cache-proxy: a request of ")
    assert said.endswith(b"over the limit of %d ([limits] %s)\r\n" % (LIMITS[limit], limit.encode()))


def test_a_first_command_has_a_limit_of_its_own(connect: Connect, limited: ProxyProcess, direct: redis.Redis) -> None:
    limit = LIMITS["first_command_bytes"]
    for size in (limit - 1, limit):
        client = connect(limited.json)
        client.send(sized(size) + sized(limit + 1))
        assert client.replies(2) == b"+OK\r\n" * 2
    client = connect(limited.json)
    client.send(sized(limit + 1))
    assert client.until_closed() == (
        b"-ERR flask-cache-proxy: a first command of 3001 bytes or more is over the limit of 3000"
        b" ([limits] first_command_bytes)\r\n"
    )


@pytest.mark.parametrize(
    ("limit", "payload"),
    [
        ("payload_bytes", lambda size: json.dumps("x" * (size - 2))),
        ("depth", nested),
        ("nodes", lambda count: "[" + ",".join(["1"] * (count - 1)) + "]"),
    ],
)
def test_a_payload_at_the_limit_is_stored_and_one_above_it_is_an_error(
    client: Wire, direct: redis.Redis, limit: str, payload: Callable[[int], str]
) -> None:
    for size in (LIMITS[limit] - 1, LIMITS[limit]):
        assert client("SET", KEY, payload(size)) == b"+OK\r\n"
        assert client("GET", KEY).endswith(payload(size).encode() + b"\r\n")
    stored = direct.get(KEY)
    said = client("SET", KEY, payload(LIMITS[limit] + 1))
    assert said.startswith(b"-ERR flask-cache-proxy: ")
    assert b"([limits] %s)" % limit.encode() in said
    assert b" %d " % LIMITS[limit] in said
    assert direct.get(KEY) == stored
    assert client("PING") == b"+PONG\r\n"


def test_a_stored_value_whose_payload_is_at_the_limit_is_read_and_one_above_it_is_an_error(
    client: Wire, direct: redis.Redis
) -> None:
    def stored(size: int) -> bytes:
        return b"!\x80\x04X" + (size - 2).to_bytes(4, "little") + b"x" * (size - 2) + b"."

    limit = LIMITS["decoded_bytes"]
    for size in (limit - 10, limit - 8):  # the stored form is a little longer than the payload, and counts too
        direct.set(KEY, stored(size))
        assert client("GET", KEY) == b'$%d\r\n"%s"\r\n' % (size, b"x" * (size - 2))
    direct.set(KEY, stored(limit + 1))
    said = client("GET", KEY)
    assert said.startswith(b"-ERR flask-cache-proxy: cannot decode the stored value: ")
    assert b"%d ([limits] decoded_bytes)" % limit in said
    assert client("PING") == b"+PONG\r\n"


def test_commands_beyond_those_that_may_be_pending_wait_their_turn(client: Wire, direct: redis.Redis) -> None:
    for count in (LIMITS["pending_commands"] + change for change in (-1, 0, 1, 1_000)):
        direct.delete("n")
        client.send(pipeline("INCR n") * count)
        assert client.replies(count) == b"".join(b":%d\r\n" % number for number in range(1, count + 1))


def test_no_more_of_them_reach_redis(limited: ProxyProcess, client: Wire, direct: redis.Redis) -> None:
    client.send(pipeline("BLPOP l 0", "INCR n", "INCR n", "INCR n", "INCR m", "INCR m"))
    wait_until(lambda: direct.info("clients")["blocked_clients"], "BLPOP")
    direct.rpush("l", "x", "y")
    assert client.replies(6).endswith(b":1\r\n:2\r\n:3\r\n:1\r\n:2\r\n")


def test_a_multi_that_holds_as_many_commands_as_it_may_refuses_more(client: Wire, direct: redis.Redis) -> None:
    assert client("MULTI") == b"+OK\r\n"
    for _ in range(LIMITS["pending_commands"]):
        assert client("INCR", "n") == b"+QUEUED\r\n"
    assert client("INCR", "n").endswith(b"([limits] pending_commands and buffered_bytes)\r\n")
    assert client("EXEC").startswith(b"-EXECABORT ")
    assert direct.get("n") is None
    for number in range(1, 3):
        client.send(pipeline("MULTI", "INCR n", "EXEC"))
        assert client.replies(3) == b"+OK\r\n+QUEUED\r\n*1\r\n:%d\r\n" % number


def test_a_dial_may_take_as_long_as_it_is_given(start_proxy: StartProxy, connect: Connect) -> None:
    with socket.socket() as full, socket.socket() as one, socket.socket() as another:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # the third to connect gets no answer
        for waiting in (one, another):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        where = f"127.0.0.1:{full.getsockname()[1]}"
        env = {"FLASK_CACHE_PROXY_LIMITS_CONNECT_TIMEOUT": "0.2"}
        proxy = start_proxy("--upstream", f"redis://{where}", env=env)
        proxy.expect(rf"WARNING +\[1\] cannot reach Redis at {where}: no answer in 0.2 s$")
        said = connect(proxy.json).until_closed()
    assert said == b"-ERR flask-cache-proxy: cannot reach Redis at %s: no answer in 0.2 s\r\n" % where.encode()


class TestTheFirstCommand:
    @pytest.fixture
    def proxy(self, start_proxy: StartProxy, tmp_path_factory: pytest.TempPathFactory) -> ProxyProcess:
        self.admin = str(tmp_path_factory.mktemp("admin") / "admin.sock")
        env = {
            "FLASK_CACHE_PROXY_LIMITS_FIRST_COMMAND_TIMEOUT": "0.3",
            "FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{self.admin}",
        }
        proxy = start_proxy(env=env)
        proxy.expect(r"WARNING +\[\d+\] no command came in 0.3 s \(\[limits\] first_command_timeout\)$")
        return proxy

    @pytest.mark.parametrize("early", [b"", b"*1\r\n$4\r\nPIN", b"\r\n"])
    def test_a_client_that_sends_none_is_told_and_closed_and_others_may_be_idle(
        self, proxy: ProxyProcess, connect: Connect, early: bytes
    ) -> None:
        idle, silent = connect(proxy.json), connect(proxy.json)
        assert idle("PING") == b"+PONG\r\n"
        silent.send(early)
        assert silent.until_closed() == (
            b"-ERR flask-cache-proxy: no command came in 0.3 s ([limits] first_command_timeout)\r\n"
        )
        assert metric(self.admin, "closed_clients_total") == 1
        assert idle("PING") == b"+PONG\r\n"

    def test_one_that_only_shows_that_it_lacks_the_password_has_no_longer(
        self, start_proxy: StartProxy, connect: Connect, tmp_path: Path
    ) -> None:
        file = tmp_path / "config.toml"
        file.write_text(
            '[[listener]]\nbind = "127.0.0.1:0"\npassword = "sesame"\n[limits]\nfirst_command_timeout = 0.3\n'
        )
        proxy = start_proxy("--config", str(file))
        proxy.expect(r"no command came in 0\.3 s")
        stranger, friend = connect(proxy.json), connect(proxy.json)
        assert friend("AUTH", "sesame") == b"+OK\r\n"
        while (said := stranger("PING")) == b"-NOAUTH Authentication required.\r\n":
            pass
        assert said == b"-ERR flask-cache-proxy: no command came in 0.3 s ([limits] first_command_timeout)\r\n"
        assert friend("PING") == b"+PONG\r\n"

    def test_by_default_it_may_take_as_long_as_it_likes(
        self, proxy: ProxyProcess, start_proxy: StartProxy, connect: Connect
    ) -> None:
        patient = connect(start_proxy().json)
        connect(proxy.json).until_closed()
        assert patient("PING") == b"+PONG\r\n"
