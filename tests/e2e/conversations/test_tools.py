"""Redis' own tools, straight and through: they say the same."""

import subprocess
from collections.abc import Sequence

import pytest
import redis

from tests.e2e.conftest import RedisServer
from tests.e2e.conversations.scripts import lines
from tests.e2e.proxy_process import DEADLINE, Address, ProxyProcess
from tests.e2e.test_clients import tool

TYPED = """
SET a "a \\"quoted\\" \\x41 \\r\\n value"
GET a
3 PING
INCR n
HSET h f 1 g 2
HGETALL h
ZADD z 1.5 m
ZRANGE z 0 -1 WITHSCORES
GET none
NOSUCH 'a b'
SET a
MULTI
GET a
MGET a none
HGETALL h
EXEC
EXEC
SELECT 3
DBSIZE
CLIENT GETNAME
CONFIG GET maxmemory
SMEMBERS none
LOLWUT VERSION 1
"""


def said(name: str, address: Address, *arguments: str, typed: bytes = b"") -> tuple[int, str]:
    """The output of a tool that uses `address`, and its exit code."""
    where = ["-s", address] if isinstance(address, str) else ["-h", address[0], "-p", str(address[1])]
    done = subprocess.run(
        [tool(name), *where, *arguments], input=typed, capture_output=True, timeout=DEADLINE * 2, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.fixture
def addresses(proxy: ProxyProcess, redis_server: RedisServer) -> Sequence[Address]:
    """Straight, and through."""
    return redis_server.unix, proxy.json


@pytest.mark.parametrize(
    "options", [[], ["-3"], ["--no-raw"], ["-3", "--no-raw"], ["--csv"], ["-n", "2"]], ids=" ".join
)
def test_redis_cli(addresses: Sequence[Address], direct: redis.Redis, options: list[str]) -> None:
    came = []
    for address in addresses:
        direct.flushall()
        came.append(said("redis-cli", address, *options, typed=TYPED.encode()))
    assert came[0][0] == 0
    assert came[1] == came[0]


def test_redis_cli_scans(addresses: Sequence[Address], direct: redis.Redis) -> None:
    direct.mset({f"key:{number}": "x" * number for number in range(500)})
    for options in (["--scan"], ["--scan", "--pattern", "key:1*"], ["--bigkeys"]):
        straight, through = (said("redis-cli", address, *options) for address in addresses)
        assert through == straight
        assert through[0] == 0


def test_redis_cli_pipe(addresses: Sequence[Address], direct: redis.Redis) -> None:
    script = lines(
        "NOSUCH|" + "|".join(f"SET key:{number} {number}|INCR n|LPUSH l {number}" for number in range(10_000))
    )
    came = []
    for address in addresses:
        direct.flushall()
        code, text = said("redis-cli", address, "--pipe", typed=script)
        came.append((code, sorted(text.splitlines()), direct.execute_command("DEBUG", "DIGEST")))
    assert "errors: 1, replies: 30001" in came[0][1]
    assert came[1] == came[0]


@pytest.mark.parametrize("options", [["-P", "1"], ["-P", "16"], ["-P", "16", "-3"]], ids=" ".join)
def test_redis_benchmark_runs_all_that_it_has(
    addresses: Sequence[Address], direct: redis.Redis, options: list[str]
) -> None:
    ran = []
    for address in addresses:
        direct.flushall()
        code, text = said("redis-benchmark", address, "-n", "400", "-c", "10", "-r", "100", "--csv", *options)
        assert code == 0, text
        ran.append([line.split('"')[1] for line in text.splitlines()])
    assert ran[1] == ran[0]
    assert len(ran[0]) > 15
