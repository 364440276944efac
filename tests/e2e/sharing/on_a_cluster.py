"""Proxies whose clients share connections to the nodes of a real cluster."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.admin import ask, metric
from tests.e2e.cluster.conftest import ClusterProxy, cluster, key_on
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.e2e.wire import Wire, request
from tests.redis_cluster import Node, RedisCluster

__all__ = ["cluster", "shared_nodes", "sharing_nodes", "start_nodes"]

TRUNKS = 2
"""For each node and protocol."""
CONFIG = '[guard]\nscripts = "allow"\n'
LOST = r"a shared connection to Redis at .* ended"
_OF_A_NODE = re.compile(r'flask_cache_proxy_cluster_lanes\{node="([^"]*)"\} (\S+)')


@dataclass
class NodeSharing:
    """The proxy and its cluster."""

    cluster: RedisCluster
    proxy: ProxyProcess
    admin: str
    """The address of the admin port."""
    _clients: list[Wire] = field(default_factory=list)

    def client(self) -> Wire:
        """A client that is connected, and has had its first answer."""
        wire = Wire(self.proxy.json)
        self._clients.append(wire)
        assert wire("ECHO", "first") == b"$5\r\nfirst\r\n"
        return wire

    def clients(self, count: int) -> list[Wire]:
        """Several of them."""
        return [self.client() for _ in range(count)]

    def leave(self) -> None:
        """All clients close."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def number(self, name: str) -> int:
        """A metric."""
        return int(metric(self.admin, name))

    def pins(self, count: int) -> None:
        """Wait until so many clients have connections of their own."""
        wait_until(lambda: self.number("pinned_clients") == count, f"{count} pinned clients")

    def awaits(self, count: int) -> None:
        """Wait until so many replies are outstanding."""
        wait_until(lambda: self.number("pending_replies") == count, f"{count} outstanding replies")

    @property
    def lanes(self) -> dict[str, int]:
        """By node: the connections of clients, as the metric says."""
        return {node: int(float(text)) for node, text in _OF_A_NODE.findall(ask(self.admin, "GET /metrics")[2])}

    @property
    def config(self) -> Path:
        """The configuration file."""
        return Path(self.admin).with_name("config.toml")

    @property
    def keys(self) -> list[str]:
        """A key of each master."""
        return [key_on(self.cluster, node) for node in self.cluster.masters]

    def kill(self, *nodes: Node) -> None:
        """These nodes close all connections of clients."""
        for node in nodes:
            node.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    @contextmanager
    def writes_wait(self, *nodes: Node) -> Iterator[None]:
        """These nodes answer no write until the end of the block. Each of them is alive for the others."""
        for node in nodes:
            node.client.execute_command("CLIENT", "PAUSE", "100000", "WRITE")
        try:
            yield
        finally:
            for node in nodes:
                node.client.execute_command("CLIENT", "UNPAUSE")


def connections(node: Node, protocol: int) -> int:
    """The connections of proxies that a node has, without those for questions of the proxy's own.

    Tests themselves come by the unix socket. Masters and replicas have flags of their own.
    """
    lines = node.client.execute_command("CLIENT", "LIST", parse=False)
    text = lines.decode() if isinstance(lines, bytes) else lines
    each = [dict(word.partition("=")[::2] for word in line.split()) for line in text.splitlines()]
    return sum(
        client["addr"].startswith("127.0.0.1:")
        and not {"S", "M"} & {*client["flags"]}
        and client["resp"] == str(protocol)
        and client["cmd"].partition("|")[0] not in ("cluster", "command", "migrate", "restore-asking")
        for client in each
    )


def are_served(clients: list[Wire], keys: list[str]) -> None:
    """Each gets its own replies, from all nodes."""
    for number, client in enumerate(clients):
        client.send(b"".join(request("SET", f"{{{key}}}:{number}", f"{key}:{number}") for key in keys))
        client.send(b"".join(request("GET", f"{{{key}}}:{number}") for key in keys))
    for number, client in enumerate(clients):
        own = [f"{key}:{number}" for key in keys]
        expected = b"+OK\r\n" * len(keys) + b"".join(b"$%d\r\n%s\r\n" % (len(text), text.encode()) for text in own)
        assert client.replies(2 * len(keys)) == expected
        assert client.received == b""


StartNodes = Callable[..., NodeSharing]


@pytest.fixture(scope="module")
def shared_nodes(redis_cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeSharing]:
    """One for the tests of a module. Tests use `sharing_nodes`."""
    env = {"FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": str(TRUNKS)}
    made = ClusterProxy(redis_cluster, tmp_path_factory.mktemp("proxy"), env=env, config=CONFIG)
    try:
        yield NodeSharing(redis_cluster, made.process.wait_until_ready(), made.admin)
    finally:
        made.process.stop()


@pytest.fixture
def sharing_nodes(shared_nodes: NodeSharing, cluster: RedisCluster) -> Iterator[NodeSharing]:
    """That of the module, with an empty cluster. Its log is checked, and that nothing is left of its clients."""
    assert shared_nodes.cluster is cluster
    yield shared_nodes
    shared_nodes.leave()
    wait_until(lambda: shared_nodes.number("clients") == 0, "all clients to leave")
    shared_nodes.pins(0)
    trunks = shared_nodes.number("upstream_trunks")
    wait_until(lambda: shared_nodes.number("upstream_connections") == trunks, "their connections to end")
    assert sum(shared_nodes.lanes.values()) == trunks
    shared_nodes.proxy.check_log()


@pytest.fixture
def start_nodes(cluster: RedisCluster, tmp_path: Path) -> Iterator[StartNodes]:
    """Starts proxies of the test's own."""
    with ExitStack() as stack:

        def start(connections: int | str = TRUNKS, config: str = CONFIG, **env: str) -> NodeSharing:
            home = tmp_path / f"{connections}"
            home.mkdir()
            given = {"FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": str(connections), **env}
            proxy = ClusterProxy(cluster, home, env=given, config=config)
            stack.callback(proxy.process.stop)
            made = NodeSharing(cluster, proxy.process.wait_until_ready(), proxy.admin)
            stack.callback(made.leave)
            return made

        yield start
