"""Much of everything: streamed, in order, and in flat memory."""

import hashlib
import random
from collections.abc import Callable

import pytest
import redis

from tests.e2e.conftest import RedisServer, StartProxy
from tests.e2e.conversations.conftest import Both
from tests.e2e.conversations.scripts import Cut, lines, random_chunks, whole
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire, pipeline, request

MIB = 1024 * 1024


@pytest.fixture(params=[whole, random_chunks], ids=lambda cut: cut.__name__)
def cut(request: pytest.FixtureRequest) -> Cut:
    """Byte by byte takes long, and teaches nothing that it does not teach on little."""
    return request.param


def test_keys_of_100_000(both: Both, hello: bytes) -> None:
    came = both(hello + lines("KEYS *|DBSIZE|KEYS key:9999*"), setup="DEBUG POPULATE 100000", order=False)
    assert len(came) > 1_000_000


def test_a_list_of_20_000(both: Both, hello: bytes) -> None:
    items = " ".join(f"item:{number}" for number in range(20_000))
    script = lines("LRANGE l 0 -1|GET a|MULTI|LRANGE l 0 -1|GET a|EXEC")
    assert len(both(hello + script, setup=f"RPUSH l {items}")) > 400_000


def test_replies_of_100_mb_are_streamed_in_flat_memory(
    start_proxy: StartProxy, direct: redis.Redis, redis_server: RedisServer
) -> None:
    for key in "ab":
        direct.setrange(key, 100 * MIB, "end")
    direct.rpush("l", *[b"x" * 1000] * 10_000)
    script = lines("GET a|MULTI|GET b|EXEC|LRANGE l 0 -1|MGET none a|QUIT")
    proxy = start_proxy(env={"FLASK_CACHE_PROXY_LIMITS_BUFFERED_BYTES": str(4 * MIB)})  # a slow reader fills it
    with Wire(proxy.json) as client:
        client("GET", "none")
    before = proxy.peak_bytes()
    straight, through = _digest(redis_server.unix, script), _digest(proxy.json, script)
    assert through == straight
    assert through[0] > 300 * MIB
    assert proxy.peak_bytes() - before < 16 * MIB


def _digest(address: Address, script: bytes) -> tuple[int, str]:
    """How much comes, and what it is."""
    size, digest = 0, hashlib.sha1()
    with Wire(address) as client:
        client.send(script)
        while data := client.socket.recv(MIB):
            size += len(data)
            digest.update(data)
    return size, digest.hexdigest()


def test_a_pipeline_of_10_000_mixed_commands(both: Both, hello: bytes) -> None:
    chance = random.Random(10)
    commands = [_some_command(chance) for _ in range(10_000)]
    assert len(both(hello + pipeline(*commands, "DISCARD", "EXEC"))) > 100_000


def test_mixed_commands_with_transactions_and_protocol_switches(both: Both) -> None:
    chance = random.Random(11)
    turns = ["MULTI", "EXEC", "EXEC", "DISCARD", "HELLO 2", "HELLO 3", "WATCH a", "UNWATCH", "SELECT 1", "SELECT 0"]
    turns.append("RESET")
    both(pipeline(*(chance.choice(turns) if chance.random() < 0.3 else _some_command(chance) for _ in range(3_000))))


def _some_command(chance: random.Random) -> str:
    key = chance.choice("abcde")
    commands = (
        f"SET {key} {chance.randrange(1000)}", f"GET {key}", f"INCR {key}", f"MGET a b {key}", f"DEL {key}", "PING",
        f"RPUSH {key} x y z", f"LRANGE {key} 0 -1", f"HSET {key} f v", f"HGETALL {key}", f"TYPE {key}", "NOSUCH",
        f"ZADD {key} 1.5 m", f"ZRANGE {key} 0 -1 WITHSCORES", f"EXISTS {key}", f"ECHO {'x' * chance.randrange(200)}",
        f"GETSET {key} x", f"GETDEL {key}", f"SET {key} v GET", f"GET {key} extra", f"APPEND {key} x", "HGETALL none",
        f"XADD {key} 1-1 f v", f"SETNX {key} 1", f"LPOP {key} 2", f"PERSIST {key}", f"OBJECT ENCODING {key}",
    )  # fmt: skip
    return chance.choice(commands)


def test_a_million_commands_before_the_first_read_do_not_deadlock(
    proxy: ProxyProcess, direct: redis.Redis, connect: Callable[[Address], Wire]
) -> None:
    client = connect(proxy.json)
    many = request("RPUSH", "l", "x") * 10_000
    for _ in range(100):
        client.send(many)
    client.send(request("QUIT"))
    came = client.until_closed()
    assert came.count(b"\r\n") == 1_000_001
    assert came.endswith(b":999999\r\n:1000000\r\n+OK\r\n")
