"""Clients for clusters in front of a Redis in cluster mode, and of one that is not: none writes past the proxy.

Straight on a node they write what nobody encodes; that is tried first, so that the test would notice.
"""

import sys
from collections.abc import Iterator, Sequence

import pytest
import redis

from tests import servers
from tests.conftest import RedisServer, running_server
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.e2e.wire import Wire
from tests.interop.conftest import address_of
from tests.interop.programs import HERE, run

PAYLOAD = '{"written": "past"}'
ENCODED = '{"written":"past"}'
DISABLED = "cluster support disabled"
GO, NODE, PYTHON, JAVA = "go", "node", "python", "java"
CLIENTS = {
    "go-redis": (GO, DISABLED),
    "rueidis": (GO, ""),
    "ioredis": (NODE, DISABLED),
    "ioredis-6": (NODE, DISABLED),
    "redis": (NODE, "All the root nodes are unavailable"),
    "redis-6": (NODE, "All the root nodes are unavailable"),
    "@valkey/valkey-glide": (NODE, "No topology views found"),
    "redis-py": (PYTHON, "Cluster mode is not enabled on this node"),
    "redis-py-asyncio": (PYTHON, "Cluster mode is not enabled on this node"),
    "jedis": (JAVA, "Could not initialize cluster slots cache"),
    "lettuce": (JAVA, DISABLED),
}
"""By client: its language, and what it says of a server in no cluster; empty: it takes it as it is."""


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """One of them."""
    name: str = request.param
    return name


@pytest.fixture
def program(client: str, request: pytest.FixtureRequest) -> Sequence[str]:
    """The command that runs it; the address, a key and a payload follow."""
    language = CLIENTS[client][0]
    if language == GO:
        return (str(request.getfixturevalue("go_programs") / "cluster"), client)
    if language == NODE:
        return (request.getfixturevalue("node"), str(HERE / "node" / "cluster.mjs"), client)
    if language == JAVA:
        return (*request.getfixturevalue("java"), "interop.Cluster", client)
    return (sys.executable, str(HERE / "python" / "cluster.py"), client)


@pytest.fixture(scope="module")
def node_of_a_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The one node of a cluster."""
    executable = servers.executable()
    with running_server(
        executable, tmp_path_factory, "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"
    ) as server:
        with redis.Redis(unix_socket_path=server.unix) as direct:
            direct.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: direct.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster")
        yield server


@pytest.fixture(params=["in cluster mode", "alone"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    """The server behind the proxy."""
    name = "redis_server" if request.param == "alone" else "node_of_a_cluster"
    found: RedisServer = request.getfixturevalue(name)
    return found


@pytest.fixture
def guarded(server: RedisServer) -> Iterator[str]:
    """The address of a proxy in front of it."""
    proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--upstream", f"redis://127.0.0.1:{server.port}"])
    try:
        yield address_of(proxy.wait_until_ready().json)
        proxy.expect("runs in cluster mode")
    finally:
        proxy.stop()


class Witness:
    """Sees every command that a server runs."""

    def __init__(self, server: RedisServer) -> None:
        """Begin."""
        self._server = server
        self._wire = Wire(server.unix)
        assert self._wire("MONITOR") == b"+OK\r\n"

    def seen(self) -> bytes:
        """All so far, and no more from here on."""
        with Wire(self._server.unix) as last:
            last("ECHO", "the last of all")
        seen = self._wire.until(b"the last of all")
        self._wire.close()
        return seen


def test_straight_on_a_node_it_writes_what_it_is_given(
    node_of_a_cluster: RedisServer, program: Sequence[str], client: str
) -> None:
    witness = Witness(node_of_a_cluster)
    key = f"flask_cache_straight_{client}"
    assert run(*program, f"127.0.0.1:{node_of_a_cluster.port}", key, PAYLOAD) == f"{PAYLOAD}\n"
    assert b"written" in witness.seen()


def test_none_writes_past_the_proxy(server: RedisServer, guarded: str, program: Sequence[str], client: str) -> None:
    witness = Witness(server)
    key = f"flask_cache_{client}"
    said = run(*program, guarded, key, PAYLOAD)
    error = CLIENTS[client][1]
    if error:
        assert said.startswith("error: ")
        assert error in said
    else:
        assert said == f"{ENCODED}\n"
    with Wire(server.unix) as direct:
        stored = direct("GET", key)
        assert direct("DEL", key) == (b":0\r\n" if error else b":1\r\n")
    assert PAYLOAD.replace('"', '\\"').encode() not in witness.seen()
    assert stored == b"$-1\r\n" if error else stored.partition(b"\r\n")[2].startswith(b"!\x80")
