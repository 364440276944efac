"""Ordinary Redis clients, as they come: nothing about them is adapted to the proxy."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.e2e.conftest import client_of
from tests.e2e.proxy_process import DEADLINE, ProxyProcess, wait_until
from tests.e2e.wire import request

KEY = "flask_cache_k"


def tool(name: str) -> str:
    """A program of Redis' own; where it is missing the test is skipped, but never in CI."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed")
    return str(found)


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(request: pytest.FixtureRequest, proxy: ProxyProcess) -> Iterator[redis.Redis]:
    """redis-py in either protocol."""
    with client_of(proxy.json, protocol=request.param, decode_responses=True) as client:
        yield client


class TestRedisPy:
    def test_opens_as_it_likes(self, proxy: ProxyProcess, direct: redis.Redis) -> None:
        host, port = proxy.json
        with redis.Redis.from_url(f"redis://{host}:{port}/3", client_name="producer") as client:
            client.set(KEY, "[1]")
            assert client.get(KEY) == b"[1]"
            assert client.client_getname() in ("producer", b"producer")
        assert direct.info("keyspace").keys() == {"db3"}

    def test_values(self, client: redis.Redis) -> None:
        assert client.get(KEY) is None
        assert client.set(KEY, '{"a":[1,null]}', ex=60)
        assert client.get(KEY) == '{"a":[1,null]}'
        assert client.getex(KEY, persist=True) == '{"a":[1,null]}'
        assert client.set(KEY, "5", get=True) == '{"a":[1,null]}'
        assert client.incr(KEY) == 6
        assert client.getdel(KEY) == "6"
        assert client.mget(KEY, "other") == [None, None]
        with pytest.raises(redis.ResponseError, match=r"flask-cache-proxy: .*not valid JSON"):
            client.set(KEY, "{nope")
        with pytest.raises(redis.ResponseError, match="flask-cache-proxy: HSET is refused"):
            client.hset(KEY, "f", "v")

    def test_pipelines(self, client: redis.Redis) -> None:
        for transaction in (False, True):
            with client.pipeline(transaction=transaction) as pipe:
                for number in range(1_000):
                    pipe.set(f"{KEY}:{number}", json.dumps([number])).get(f"{KEY}:{number}").get("none")
                replies = pipe.execute()
            assert replies[0::3] == [True] * 1_000
            assert replies[1::3] == [f"[{number}]" for number in range(1_000)]
            assert replies[2::3] == [None] * 1_000

    def test_a_pipeline_with_errors_in_it(self, client: redis.Redis) -> None:
        with client.pipeline(transaction=False) as pipe:
            pipe.set(KEY, "{nope").set("other", "x").append(KEY, "x").get("other")
            replies = pipe.execute(raise_on_error=False)
        assert [type(reply) for reply in replies] == [redis.ResponseError, bool, redis.ResponseError, str]

    def test_optimistic_locking(self, client: redis.Redis, direct: redis.Redis) -> None:
        client.set(KEY, "1")
        with client.pipeline() as pipe:
            pipe.watch(KEY)
            value = json.loads(pipe.get(KEY))
            pipe.multi()
            pipe.set(KEY, json.dumps(value + 1))
            assert pipe.execute() == [True]
            pipe.watch(KEY)
            direct.set(KEY, "7")
            pipe.multi()
            pipe.set(KEY, "0")
            with pytest.raises(redis.WatchError):
                pipe.execute()
        assert client.get(KEY) == "7"

    def test_pub_sub(self, client: redis.Redis, direct: redis.Redis) -> None:
        with client.pubsub() as listener:
            listener.subscribe("a")
            listener.psubscribe("p*")
            assert [listener.get_message(timeout=DEADLINE)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
            direct.publish("a", "x")
            direct.publish("pq", "y")
            assert [listener.get_message(timeout=DEADLINE)["data"] for _ in range(2)] == ["x", "y"]
            listener.unsubscribe()
            listener.punsubscribe()
            assert [listener.get_message(timeout=DEADLINE)["data"] for _ in range(2)] == [1, 0]

    def test_a_lock(self, client: redis.Redis) -> None:
        with (
            pytest.raises(redis.ResponseError, match="flask-cache-proxy: EVALSHA is refused"),
            client.lock("lock", timeout=10),
        ):
            pass

    def test_scans_and_others(self, client: redis.Redis) -> None:
        client.mset({f"{KEY}:{number}": str(number) for number in range(100)})
        assert len(set(client.scan_iter(f"{KEY}:*"))) == 100
        assert client.delete(*client.keys(f"{KEY}:*")) == 100
        assert client.info("server")["tcp_port"] >= 0
        assert client.object("encoding", "none") is None
        client.xadd("x", {"f": "v"}, id="1-1")
        assert client.xrange("x") == [("1-1", {"f": "v"})]
        client.zadd("z", {"m": 1.5})
        assert client.zscore("z", "m") == 1.5

    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_asyncio(self, proxy: ProxyProcess, protocol: int) -> None:
        host, port = proxy.json
        async with redis.asyncio.Redis(host=host, port=port, protocol=protocol) as client:

            async def write_and_read(number: int) -> Any:
                await client.set(f"{KEY}:{number}", json.dumps({"n": number}))
                return json.loads(await client.get(f"{KEY}:{number}"))

            done = await asyncio.gather(*map(write_and_read, range(50)))
            assert done == [{"n": number} for number in range(50)]
            async with client.pipeline(transaction=True) as pipe:
                assert await pipe.set(KEY, '"x"').get(KEY).get("none").execute() == [True, b'"x"', None]


class TestToolsOfRedis:
    def run(self, name: str, proxy: ProxyProcess, *arguments: str, sent: bytes = b"") -> str:
        host, port = proxy.json
        command = [tool(name), "-h", str(host), "-p", str(port), *arguments]
        done = subprocess.run(command, input=sent, capture_output=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, done
        return done.stdout.decode()

    def test_redis_cli(self, proxy: ProxyProcess, direct: redis.Redis) -> None:
        assert self.run("redis-cli", proxy, "SET", KEY, '"foo"', "EX", "60") == "OK\n"
        assert self.run("redis-cli", proxy, "GET", KEY) == '"foo"\n'
        assert self.run("redis-cli", proxy, "-3", "GET", KEY) == '"foo"\n'
        assert "flask-cache-proxy" in self.run("redis-cli", proxy, "SET", KEY, "{nope")

    def test_redis_cli_pipe(self, proxy: ProxyProcess, direct: redis.Redis) -> None:
        sent = b"".join(request("SET", f"{KEY}:{number}", f"[{number}]") for number in range(5_000))
        said = self.run("redis-cli", proxy, "--pipe", sent=sent)
        assert "errors: 0, replies: 5000" in said
        assert direct.dbsize() == 5_000

    @pytest.mark.parametrize("depth", ["1", "16"])
    def test_redis_benchmark(self, proxy: ProxyProcess, direct: redis.Redis, depth: str) -> None:
        said = self.run("redis-benchmark", proxy, "-q", "-n", "2000", "-P", depth, "-t", "set,get")
        assert "SET: " in said
        assert "GET: " in said
        self.run("redis-benchmark", proxy, "-q", "-n", "2000", "-P", depth, "SET", KEY, '{"a": [1, 2, 3]}')
        self.run("redis-benchmark", proxy, "-q", "-n", "2000", "-P", depth, "GET", KEY)
        assert direct.get(KEY)[:1] == b"!"
        wait_until(lambda: not direct.info("clients")["blocked_clients"], "quiet")
