"""The proxy in front of a real cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.wire import Wire
from tests.redis_cluster import Node, RedisCluster


class ClusterProxy:
    """A proxy, its admin port, and the cluster behind it."""

    def __init__(
        self, cluster: RedisCluster, home: Path, *, env: dict[str, str] | None = None, config: str = ""
    ) -> None:
        """Start it. `config`: its file; the url of the cluster is given by flag."""
        self.cluster = cluster
        self.admin = str(home / "admin.sock")
        file = home / "config.toml"
        file.write_text(config)
        given = {"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{self.admin}", **(env or {})}
        listen = () if "[[listener]]" in config else ("--listen", "json=127.0.0.1:0", "--listen", "msgpack=127.0.0.1:0")
        arguments = ("--config", str(file), "--upstream", cluster.url, *listen)
        self.process = ProxyProcess(arguments, env=given)

    @property
    def json(self) -> tuple[str, int]:
        """The JSON listener."""
        address = self.process.json
        assert isinstance(address, tuple)
        return address


@pytest.fixture
def cluster(redis_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """The session's cluster, empty and healthy."""
    redis_cluster.flush()
    yield redis_cluster
    redis_cluster.heal()


@pytest.fixture(scope="module")
def shared(redis_cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProxy]:
    """One proxy for a module's tests. Tests use `proxy`."""
    proxy = ClusterProxy(redis_cluster, tmp_path_factory.mktemp("proxy"))
    try:
        proxy.process.wait_until_ready()
        yield proxy
    finally:
        proxy.process.stop()


@pytest.fixture
def proxy(shared: ClusterProxy, cluster: RedisCluster) -> Iterator[ClusterProxy]:
    """The module's proxy, with an empty cluster behind it."""
    assert shared.cluster is cluster
    yield shared
    shared.process.check_log()


@pytest.fixture
def wire(proxy: ClusterProxy) -> Iterator[Wire]:
    """A client of the proxy."""
    with Wire(proxy.json) as made:
        yield made


def other(cluster: RedisCluster, node: Node) -> Node:
    """A master that is not this one."""
    return next(each for each in cluster.masters if each is not node)


def key_on(cluster: RedisCluster, node: Node, prefix: str = "key") -> str:
    """A key that this master owns."""
    return next(
        key for key in (f"{prefix}{number}" for number in range(1000)) if cluster.owner(cluster.slot(key)) is node
    )
