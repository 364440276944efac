"""The store on a real cluster: all keys are found, and slots that move are followed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.config import Flags, load
from proxy.inspection.store import Store, StoreError, Write, opened
from tests.redis_cluster import RedisCluster

KEYS = [b"flask_cache_%d" % number for number in range(100)]


@contextmanager
def store_of(url: str, **env: str) -> Iterator[Store]:
    variables = {f"FLASK_CACHE_PROXY_UPSTREAM_{name.upper()}": text for name, text in env.items()}
    with opened(load(None, variables, Flags(upstream=url), serves=False)) as store:
        yield store


@pytest.fixture
def cluster(redis_cluster: RedisCluster) -> RedisCluster:
    """The session's cluster, empty."""
    redis_cluster.flush()
    return redis_cluster


@pytest.fixture
def store(cluster: RedisCluster) -> Iterator[Store]:
    """The cluster's store, with a value under each key."""
    with store_of(cluster.url) as made:
        assert made.write([Write(key, b"!" + key, 60_000) for key in KEYS]) == [None] * len(KEYS)
        yield made


def found(store: Store) -> list[bytes]:
    return sorted(key for _, keys in store.scan(b"flask_*") for key in keys)


def test_all_masters_are_counted_and_scanned(store: Store, cluster: RedisCluster) -> None:
    assert all(node.client.dbsize() for node in cluster.masters)
    assert store.count() == len(KEYS)
    assert found(store) == sorted(KEYS)
    assert store.place == f"the cluster {cluster.url.partition('//')[2].replace(',', ', ')}"


def test_entries_come_in_the_order_of_their_keys(store: Store, cluster: RedisCluster) -> None:
    cluster.owner(cluster.slot("list")).client.rpush("list", "x")
    entries = list(store.look([*KEYS, b"none", b"list"]))
    assert [entry.key for entry in entries] == [*KEYS, b"list"]
    assert [entry.stored for entry in entries] == [*(b"!" + key for key in KEYS), b""]
    assert [entry.type for entry in entries[-2:]] == ["string", "list"]
    assert entries[0].ttl is not None
    assert entries[0].size == len(entries[0].stored)


def test_lives_are_extended(store: Store) -> None:
    store.keep(list(store.look(KEYS[:3])), 600_000)
    assert all(entry.ttl is not None and entry.ttl > 60_000 for entry in store.look(KEYS[:3]))
    store.keep(list(store.look(KEYS[:3])), None)
    assert [entry.ttl for entry in store.look(KEYS[:3])] == [None] * 3


def test_slots_that_move_are_followed(store: Store, cluster: RedisCluster) -> None:
    keys = [b"{m}%d" % number for number in range(10)]
    slot = cluster.slot("{m}")
    store.write([Write(key, key, None) for key in keys])
    target = next(node for node in cluster.masters if node is not cluster.owner(slot))
    cluster.begin_move(slot, target)
    cluster.move_keys(slot, target, only=keys[:5])
    assert [entry.stored for entry in store.look(keys)] == keys
    cluster.move_keys(slot, target)
    cluster.end_move(slot, target)
    assert [entry.stored for entry in store.look(keys)] == keys
    assert store.write([Write(keys[0], b"new", None)]) == [None]


def test_addresses_of_the_table_are_dialed(cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table leads one node's address to another node, which redirects: so this cannot work."""
    monkeypatch.setattr("proxy.inspection.cluster_clients._PAUSE", 0)
    first, second = cluster.masters[:2]
    with (
        pytest.raises(StoreError, match="slots are moving"),
        store_of(f"redis-cluster://{second.address}", addresses=f"{first.address}={second.address}") as store,
    ):
        list(store.look(KEYS))


def test_a_cluster_that_cannot_be_reached_is_named() -> None:
    with (
        pytest.raises(StoreError, match=r"no node of the cluster 127\.0\.0\.1:1 tells its slots"),
        store_of("redis-cluster://127.0.0.1:1"),
    ):
        pass


def run(cluster: RedisCluster, *arguments: str, given: str = "") -> str:
    command = [sys.executable, "-m", "proxy", *arguments, "--upstream", cluster.url]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tools_of_the_command_line(cluster: RedisCluster) -> None:
    run(cluster, "load", "-", given="".join(f'{{"key":"flask_cache_{n}","value":{n}}}\n' for n in range(20)))
    assert run(cluster, "get", "flask_cache_1") == "1\n"
    assert run(cluster, "export").count("\n") == 20
    assert " 20 " in run(cluster, "scan", "--prefixes")
