"""Clients in front of a cluster: ordinary ones, which know of no cluster, and those for clusters.

Flask's own cache is ordinary too: `RedisCache` reaches the cluster through a proxy that leaves its keys untouched.
Beside it, `RedisClusterCache` goes straight to the cluster.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from flask import Flask
from flask_caching import Cache

from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import ProxyProcess
from tests.interop.conftest import Judge
from tests.interop.programs import HERE, run
from tests.redis_cluster import RedisCluster

UNTOUCHED = """
[[listener]]
bind = "unix:{socket}"

[[rule]]
keys = "flask_cache_*"
as = "untouched"
"""


@pytest.fixture(scope="module")
def redis_server(redis_cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The cluster as one server: a proxy that converts nothing."""
    home = tmp_path_factory.mktemp("untouched")
    config = home / "config.toml"
    config.write_text(UNTOUCHED.format(socket=home / "redis.sock"))
    proxy = ProxyProcess(["--config", str(config), "--upstream", redis_cluster.url])
    proxy.expect("manages no key")
    try:
        proxy.wait_until_ready()
        yield SimpleNamespace(unix=str(home / "redis.sock"))
    finally:
        proxy.stop()


@pytest.fixture
def direct(redis_server: SimpleNamespace, redis_cluster: RedisCluster) -> Iterator[redis.Redis]:
    """Bytes as they are stored in the cluster, which is empty at first."""
    redis_cluster.flush()
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        yield client


@pytest.fixture(scope="module")
def shared_proxy(redis_cluster: RedisCluster) -> Iterator[ProxyProcess]:
    """The proxy for producers."""
    listeners = ("--listen", "json=127.0.0.1:0", "--listen", "msgpack=127.0.0.1:0")
    proxy = ProxyProcess([*listeners, "--upstream", redis_cluster.url])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def proxy(shared_proxy: ProxyProcess, direct: redis.Redis) -> Iterator[ProxyProcess]:
    """The same, with an empty cluster."""
    assert direct.dbsize() == 0
    yield shared_proxy
    shared_proxy.check_log()


class TestOrdinaryClients:
    @pytest.mark.parametrize("protocol", ["2", "3"])
    def test_go_redis(self, go_programs: Path, address: str, judge: Judge, protocol: str) -> None:
        judge(run(str(go_programs / "goredis"), address, protocol))

    @pytest.mark.parametrize("protocol", ["2", "3"])
    @pytest.mark.usefixtures("flask_at_work")
    def test_rueidis(self, go_programs: Path, address: str, judge: Judge, protocol: str) -> None:
        judge(run(str(go_programs / "rueidis"), address, protocol, "single"))

    @pytest.mark.parametrize(
        ("program", "package", "protocol"),
        [
            ("with-ioredis.mjs", "ioredis", "2"),
            ("with-node-redis.mjs", "redis", "2"),
            ("with-glide.mjs", "@valkey/valkey-glide", "3"),
        ],
    )
    @pytest.mark.usefixtures("flask_at_work")
    def test_node(
        self, node: str, address: str, msgpack_address: str, judge: Judge, program: str, package: str, protocol: str
    ) -> None:
        judge(run(node, program, address, msgpack_address, package, protocol, at=HERE / "node"))


PAYLOAD = '{"written": "past"}'
ENCODED = '{"written":"past"}\n'
AWARE = {
    "go-redis": "go",
    "rueidis": "go",
    "ioredis": "node",
    "ioredis-6": "node",
    "redis": "node",
    "redis-6": "node",
    "@valkey/valkey-glide": "node",
    "redis-py": "python",
    "redis-py-asyncio": "python",
    "jedis": "java",
    "lettuce": "java",
}
"""Clients for clusters, and the language of each."""


@pytest.mark.parametrize("client", AWARE)
def test_clients_for_clusters_see_one_node(
    client: str, address: str, direct: redis.Redis, request: pytest.FixtureRequest
) -> None:
    """They write and read through the proxy: the payload is stored as Flask stores it."""
    assert run(*program(client, request), address, f"flask_cache_{client}", PAYLOAD) == ENCODED
    stored = direct.get(f"flask_cache_{client}")
    assert isinstance(stored, bytes)
    assert stored.startswith(b"!\x80")


def program(client: str, request: pytest.FixtureRequest) -> Sequence[str]:
    """The command that runs it; the address, a key and a payload follow."""
    language = AWARE[client]
    if language == "go":
        return (str(request.getfixturevalue("go_programs") / "cluster"), client)
    if language == "node":
        return (request.getfixturevalue("node"), str(HERE / "node" / "cluster.mjs"), client)
    if language == "java":
        return (*request.getfixturevalue("java"), "interop.Cluster", client)
    return (sys.executable, str(HERE / "python" / "cluster.py"), client)


@pytest.fixture
def straight(redis_cluster: RedisCluster) -> Iterator[Any]:
    """Flask-Caching's RedisClusterCache, straight on the cluster."""
    app = Flask("straight")
    nodes = ",".join(node.address for node in redis_cluster.masters)
    app.config.update(CACHE_TYPE="RedisClusterCache", CACHE_REDIS_CLUSTER=nodes, CACHE_KEY_PREFIX="flask_cache_")
    cache = Cache(app)
    with app.app_context():
        backend = cache.cache
    yield backend
    backend._write_client.close()


class TestFlask:
    KEYS = [f"key{number}" for number in range(30)]  # noqa: RUF012

    def test_redis_cache_does_all_of_it(self, flask: FlaskApp, redis_cluster: RedisCluster) -> None:
        cache = flask.cache
        assert cache.set_many({key: {"n": key} for key in self.KEYS})
        assert cache.get_many(*self.KEYS) == [{"n": key} for key in self.KEYS]
        assert cache.get_dict(*self.KEYS[:2]) == {key: {"n": key} for key in self.KEYS[:2]}
        assert cache.delete_many(*self.KEYS[:10])
        assert cache.get_many(*self.KEYS[:11]) == [None] * 10 + [{"n": "key10"}]
        assert cache.add("key0", 1)
        assert cache.clear()
        assert sum(node.client.dbsize() for node in redis_cluster.masters) == 0

    def test_views_and_memoized_functions(self, flask: FlaskApp) -> None:
        square = flask.memoized()
        assert [square(number) for number in (2, 3, 2)] == [{"square": 4}, {"square": 9}, {"square": 4}]
        assert flask.runs["square"] == 2
        assert [flask.get("/index") for _ in range(2)] == ["foo"] * 2
        assert flask.runs["index"] == 1

    def test_values_are_shared_with_redis_cluster_cache_and_producers(
        self, flask: FlaskApp, straight: Any, proxy: ProxyProcess
    ) -> None:
        flask.cache.set("ours", (1, 2))
        straight.set("theirs", {3})
        assert straight.get("ours") == (1, 2)
        assert flask.cache.get("theirs") == {3}
        with redis.Redis(*proxy.json) as producer:
            assert producer.get("flask_cache_ours") == b'{"py/tuple":[1,2]}'
            assert producer.set("flask_cache_third", '["x"]')
        assert flask.cache.get("third") == straight.get("third") == ["x"]

    def test_redis_cluster_cache_falls_short(self, straight: Any, redis_cluster: RedisCluster) -> None:
        """As docs/cluster.md says. If this fails, it does no longer, and the page has to change."""
        for key in self.KEYS:
            straight.set(key, 1)
        with pytest.raises(Exception, match="same"):
            straight.get_many(*self.KEYS)
        straight.clear()
        assert sum(node.client.dbsize() for node in redis_cluster.masters) > 0
