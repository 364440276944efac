"""Flask-Caching's RedisSentinelCache: it writes to the master and reads from a replica. The proxy is at the master."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import client_of
from tests.e2e.proxy_process import DEADLINE, ProxyProcess
from tests.e2e.test_sentinel import NAME, Group
from tests.stacks.environments import Stack
from tests.stacks.judge import Judge
from tests.stacks.test_flask import APPS, key_of, on, served

# 1.11 looks at localhost:6379, whatever it is told.
pytestmark = on([stack for stack in APPS if stack.version("Flask-Caching")[:2] not in ((), (1, 11))])

DATABASE = 2


@dataclass(frozen=True)
class House:
    """A master, a replica and their sentinels, and clients of them."""

    group: Group
    producer: redis.Redis
    """Of a proxy that asks the sentinels where the master is."""
    master: redis.Redis
    replica: redis.Redis

    def replicate(self) -> None:
        """Wait until the replica has all that the master has.

        WAIT looks at the last write of its own connection, so there is one.
        """
        self.master.incr("replications")
        assert self.master.wait(1, int(DEADLINE * 1000)) == 1

    def reads_at(self, server: redis.Redis) -> int:
        """How often a server was asked for a value."""
        return sum(server.info("commandstats").get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("get", "mget"))


@pytest.fixture(scope="module")
def house(redis_executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """See House."""
    with ExitStack() as stack:
        group = Group(redis_executable, tmp_path_factory.mktemp("sentinel"), stack)
        proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--upstream", group.url])
        stack.callback(proxy.stop)
        producer = stack.enter_context(client_of(proxy.wait_until_ready().json))
        ports = group.master, group.replica
        master, replica = (stack.enter_context(redis.Redis(port=port, db=DATABASE)) for port in ports)
        yield House(group, producer, master, replica)


@pytest.fixture
def judge(stack: Stack, house: House, python: Path) -> Iterator[Judge]:
    """An app that has nothing but a sentinel's address; its cache is empty."""
    house.master.flushall()
    house.replicate()
    place = f"{house.group.sentinels[0]} {NAME} {DATABASE}"
    judge = Judge(stack, python, place, "flask_caching_sentinel")
    yield judge
    judge.close()


def test_the_app_reads_from_the_replica_what_a_producer_wrote(judge: Judge, house: House) -> None:
    for path, text in (("/page/a", "written"), ("/page/b", "twice")):
        house.producer.set(key_of(path), json.dumps(text), ex=60)
        house.replicate()
        before = house.reads_at(house.replica)
        assert served(judge, path).body == text.encode()
        assert house.reads_at(house.replica) == before + 2
    house.producer.delete(key_of("/page/a"))
    house.replicate()
    assert judge.view("/page/a").runs == 1


def test_a_producer_reads_at_the_master_what_the_app_wrote(judge: Judge, house: House) -> None:
    assert judge.view("/returns/dict").runs == 1
    assert house.producer.get(key_of("/returns/dict")) == b'{"price":1.5,"tags":["a","b"]}'
    judge.set("n", "41")
    judge.set("t", "(1,)")
    assert house.producer.mget("flask_cache_n", "flask_cache_t") == [b"41", b'{"py/tuple":[1]}']
    house.replicate()
    assert judge.view("/returns/dict").runs == 0
    assert judge.get("t") == judge.describe("(1,)")


def test_a_value_that_both_write_is_the_last_ones(judge: Judge, house: House) -> None:
    judge.set("k", "'the app'")
    house.producer.set("flask_cache_k", '"the producer"')
    house.replicate()
    assert judge.get("k") == judge.describe("'the producer'")
    judge.set("k", "'the app'")
    assert house.producer.get("flask_cache_k") == b'"the app"'
