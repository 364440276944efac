"""Clients that look for other nodes, with a Redis in cluster mode and with a standalone one.

In both modes the proxy must answer like a standalone server of the same kind.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests import servers
from tests.conftest import RedisServer, running_server
from tests.e2e.admin import ask
from tests.e2e.conftest import StartProxy
from tests.e2e.proxy_process import Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire, request

Connect = Callable[[Address], Wire]
CLUSTER_MODE = r" WARNING Redis at .* runs in cluster mode"
READS = """
    COUNT-FAILURE-REPORTS COUNTKEYSINSLOT GETKEYSINSLOT GETSLOTMIGRATIONS INFO KEYSLOT LINKS MYID MYSHARDID NODES
    REPLICAS SHARDS SLAVES SLOT-STATS SLOTS NOSUCH
"""
CHANGES = """
    ADDSLOTS ADDSLOTSRANGE BUMPEPOCH CANCELSLOTMIGRATIONS DELSLOTS DELSLOTSRANGE FAILOVER FLUSHSLOT FLUSHSLOTS FORGET
    MEET MIGRATESLOTS MIGRATION REPLICATE RESET SAVECONFIG SET-CONFIG-EPOCH SETSLOT SYNCSLOTS
"""
PROBES = [
    *[["CLUSTER", name, *["1"] * count] for name in (READS + CHANGES).split() for count in range(4)],
    *[[name, *["1"] * count] for name in ("READONLY", "READWRITE", "ASKING", "ROLE") for count in range(2)],
    ["CLUSTER"],
    ["cluster", "sLots"],
    ["CLUSTER", "SLOTS|x"],
]


@pytest.fixture(scope="module", params=servers.today())
def executable(request: pytest.FixtureRequest) -> str:
    """Each kind of server."""
    return servers.executable(request.param)


@pytest.fixture(scope="module")
def alone(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that is in no cluster."""
    with running_server(executable, tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module")
def node(executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A node of a cluster, with all slots but the last, which another has."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "60000")
    with (
        running_server(executable, tmp_path_factory, *options) as server,
        running_server(executable, tmp_path_factory, *options) as other,
        redis.Redis(unix_socket_path=server.unix) as client,
        redis.Redis(unix_socket_path=other.unix) as its_client,
    ):
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16382)
        its_client.execute_command("CLUSTER ADDSLOTS", 16383)
        client.execute_command("CLUSTER MEET", "127.0.0.1", other.port)
        for each in (client, its_client):
            wait_until(lambda each=each: each.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster")
        yield server


@pytest.fixture(params=["alone", "node"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    """Either."""
    found: RedisServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def before(start_proxy: StartProxy) -> Callable[[RedisServer], ProxyProcess]:
    """Starts a proxy in front of a server."""

    def start(server: RedisServer) -> ProxyProcess:
        proxy = start_proxy("--upstream", f"redis://127.0.0.1:{server.port}")
        proxy.expect(CLUSTER_MODE)
        return proxy

    return start


def _valkey_tells(args: list[str]) -> bool:
    """Whether a Valkey answers it in any mode, so that its own answer passes where it is known to be alone."""
    return args[:2] == ["CLUSTER", "KEYSLOT"] or args[0] in ("READONLY", "READWRITE")


def test_nobody_can_tell_it_from_a_server_alone(
    before: Callable[[RedisServer], ProxyProcess], connect: Connect, alone: RedisServer, server: RedisServer
) -> None:
    straight, through = connect(alone.unix), connect(before(server).json)
    is_valkey = b"valkey" in straight("HELLO", "2")
    through("HELLO", "2")
    for args in PROBES:
        expected = straight(*args)
        if server is not alone and is_valkey and _valkey_tells(args) and not expected.startswith(b"-"):
            expected = b"-ERR This instance has cluster support disabled\r\n"
        assert through(*args) == expected, args


def test_nor_inside_multi(
    before: Callable[[RedisServer], ProxyProcess], connect: Connect, alone: RedisServer, server: RedisServer
) -> None:
    straight, through = connect(alone.unix), connect(before(server).json)
    is_valkey = b"valkey" in straight("HELLO", "2")
    for args in PROBES:
        if is_valkey and _valkey_tells(args):
            continue
        script = [["MULTI"], args, ["PING"], ["EXEC"]]
        assert [through(*each) for each in script] == [straight(*each) for each in script], args


@pytest.mark.parametrize("protocol", ["2", "3"])
def test_hello_says_standalone(
    before: Callable[[RedisServer], ProxyProcess], connect: Connect, node: RedisServer, protocol: str
) -> None:
    straight, through = connect(node.unix), connect(before(node).json)
    for script in ([["HELLO", protocol]], [["MULTI"], ["HELLO", protocol], ["EXEC"]]):
        expected = b"".join(straight(*each) for each in script)
        got = b"".join(through(*each) for each in script)
        assert b"$4\r\nmode\r\n$7\r\ncluster\r\n" in expected
        expected = expected.replace(b"$4\r\nmode\r\n$7\r\ncluster\r\n", b"$4\r\nmode\r\n$10\r\nstandalone\r\n")
        assert _without_id(got) == _without_id(expected)


def _without_id(reply: bytes) -> bytes:
    head, name, rest = reply.partition(b"$2\r\nid\r\n:")
    return head + name + rest.partition(b"\r\n")[2]


def test_a_replica_is_shown_as_a_master(
    before: Callable[[RedisServer], ProxyProcess], connect: Connect, alone: RedisServer, tmp_path: Path
) -> None:
    through = connect(before(alone).json)
    with redis.Redis(unix_socket_path=alone.unix) as direct:
        direct.replicaof("127.0.0.1", 1)
        try:
            assert b"slave" in connect(alone.unix)("ROLE")
            assert through("ROLE").startswith(b"*3\r\n$6\r\nmaster\r\n:")
            assert b"127.0.0.1" not in through("ROLE")
        finally:
            direct.replicaof("NO", "ONE")


def test_keys_of_the_node_work_and_others_are_refused(
    before: Callable[[RedisServer], ProxyProcess], connect: Connect, node: RedisServer
) -> None:
    through = connect(before(node).json)
    key, other = _key_of(node, lambda slot: slot < 16383), _key_of(node, lambda slot: slot == 16383)
    assert through("SET", key, '{"a": 1}') == b"+OK\r\n"
    assert through("GET", key) == b'$7\r\n{"a":1}\r\n'
    refused = (
        b"-ERR flask-cache-proxy: Redis redirected this command; a cluster needs upstream.url = redis-cluster://\r\n"
    )
    assert connect(node.unix)("SET", other, "1").startswith(b"-MOVED 16383 127.0.0.1:")
    assert through("SET", other, "1") == refused
    through("MULTI")
    assert through("SET", other, "1") == refused
    assert through("EXEC").startswith(b"-EXECABORT ")


def _key_of(node: RedisServer, fits: Callable[[int], bool]) -> str:
    with redis.Redis(unix_socket_path=node.unix) as direct:
        names = (f"flask_cache_{number}" for number in range(10**6))
        return next(name for name in names if fits(direct.execute_command("CLUSTER KEYSLOT", name)))


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("password", ["", "secret"])
def test_it_is_not_ready_and_warns_once(
    start_proxy: StartProxy, connect: Connect, node: RedisServer, tmp_path: Path, workers: str, password: str
) -> None:
    admin = str(tmp_path / "admin.sock")
    with redis.Redis(unix_socket_path=node.unix) as direct:
        direct.config_set("requirepass", password)
        try:
            proxy = start_proxy(
                *("--upstream", f"redis://127.0.0.1:{node.port}"),
                env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}", "FLASK_CACHE_PROXY_SERVER_WORKERS": workers},
            )
            if password:  # Redis does not tell the proxy, but clients
                assert ask(admin, "GET /readyz")[0] == 200
            for _ in range(2):
                connect(proxy.json)("HELLO", "3", *(("AUTH", "default", password) if password else ()))
            wait_until(lambda: ask(admin, "GET /readyz")[0] == 503, "not to be ready")
            assert "runs in cluster mode" in ask(admin, "GET /readyz")[2]
            proxy.wait_for_line(CLUSTER_MODE)
            assert ask(admin, "GET /livez")[0] == 200
            proxy.terminate()
            assert proxy.wait() == 0
            proxy.expect(CLUSTER_MODE)
            assert sum("runs in cluster mode" in line for line in proxy.lines) == 1
        finally:
            direct.config_set("requirepass", "")


def test_a_server_that_is_alone_is_ready(
    start_proxy: StartProxy, connect: Connect, alone: RedisServer, tmp_path: Path
) -> None:
    admin = str(tmp_path / "admin.sock")
    proxy = start_proxy(
        "--upstream", f"redis://127.0.0.1:{alone.port}", env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}"}
    )
    connect(proxy.json).send(request("HELLO"))
    assert ask(admin, "GET /readyz")[0] == 200
