"""The addresses of nodes: who is told which, who dials which, and with which login."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests import servers
from tests.conftest import RedisServer
from tests.e2e.admin import ask, metric
from tests.e2e.cluster.conftest import ClusterProxy, other
from tests.e2e.conftest import PrivateRedis, StartProxy, private_redis, redis_7, start_proxy
from tests.e2e.proxy_process import wait_until
from tests.e2e.test_tls import new_authority
from tests.e2e.wire import Wire, request
from tests.inspection.test_store import tls_redis
from tests.redis_cluster import Node, RedisCluster, free_port

__all__ = ["private_redis", "redis_7", "start_proxy"]

Start = Callable[..., ClusterProxy]


@pytest.fixture
def start(cluster: RedisCluster, tmp_path: Path) -> Iterator[Start]:
    """Starts proxies in front of the session's cluster, or of another one."""
    with ExitStack() as stack:

        def start(config: str = "", before: RedisCluster = cluster, **env: str) -> ClusterProxy:
            proxy = ClusterProxy(before, tmp_path, env=env, config=config)
            stack.callback(proxy.process.stop)
            proxy.process.wait_until_ready()
            return proxy

        yield start


def test_a_unix_listener_has_no_address_to_announce(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "json.sock"
    start(f'[[listener]]\nbind = "unix:{path}"\n')
    with Wire(str(path)) as wire:
        assert wire("SET", "a", "1") == b"+OK\r\n"
        assert wire("CLUSTER", "SLOTS").startswith(b"-ERR flask-cache-proxy: ")


def test_a_listener_announces_the_address_that_it_is_given(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "json.sock"
    start(f'[[listener]]\nbind = "unix:{path}"\nannounce = "proxy.example.com:7777"\n')
    with Wire(str(path)) as wire:
        assert b"$17\r\nproxy.example.com\r\n:7777\r\n" in wire("CLUSTER", "SLOTS")
        assert b"proxy.example.com" in wire("CLUSTER", "SHARDS")


@pytest.mark.usefixtures("redis_7")
@pytest.mark.parametrize(("kind", "hostname"), [("unknown-endpoint", ""), ("hostname", "localhost"), ("hostname", "")])
def test_nodes_may_tell_a_name_or_nothing(start: Start, cluster: RedisCluster, kind: str, hostname: str) -> None:
    """Nothing is null or `?` in CLUSTER SLOTS, and an empty host or `?` in redirects."""
    try:
        for node in cluster.nodes:
            node.client.config_set("cluster-preferred-endpoint-type", kind)
            node.client.config_set("cluster-announce-hostname", hostname)
        wait_until(lambda: all(_tells(node, hostname) for node in cluster.nodes), "the names of the nodes")
        proxy = start()
        with Wire(proxy.json) as wire:
            keys = [f"k{number}" for number in range(60)]
            wire.send(b"".join(request("SET", key, "x") for key in keys))
            assert wire.replies(60) == b"+OK\r\n" * 60
            slot = cluster.slot(keys[0])
            cluster.move(slot, other(cluster, cluster.owner(slot)))
            assert [wire("GET", key) for key in keys] == [b"$1\r\nx\r\n"] * 60
        assert metric(proxy.admin, "cluster_redirects_total") > 0
    finally:
        for node in cluster.nodes:
            node.client.config_set("cluster-preferred-endpoint-type", "ip")
            node.client.config_set("cluster-announce-hostname", "")
        wait_until(lambda: all(_tells(node, "") for node in cluster.nodes), "the nodes to forget their names")


def _tells(node: Node, hostname: str) -> bool:
    """Whether a node knows the host name of all nodes."""
    return all(place["hostname"] == hostname for place in node.client.execute_command("CLUSTER NODES").values())


def test_several_workers_serve_one_cluster(start: Start) -> None:
    proxy = start(FLASK_CACHE_PROXY_SERVER_WORKERS="2")
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(proxy.json)) for _ in range(6)]
        for number, wire in enumerate(wires):
            wire.send(b"".join(request("SET", f"k{number}:{key}", "x") for key in range(30)))
            assert wire.replies(30) == b"+OK\r\n" * 30
        assert wires[0]("DBSIZE") == b":180\r\n"
        page = ask(proxy.admin, "GET /metrics")[2]
        assert 'flask_cache_proxy_cluster_nodes{role="master"} 3.0\n' in page
        assert metric(proxy.admin, "cluster_slots") == 16384
        cursor, seen = b"0", 0
        for number in range(1000):  # any worker takes the cursor of another
            reply = wires[number % 6]("SCAN", cursor, "COUNT", "20").split(b"\r\n")
            cursor, seen = reply[2], seen + int(reply[3][1:])
            if cursor == b"0":
                break
        assert (cursor, seen) == (b"0", 180)
    lines = [line for line in proxy.process.lines if "16384 of 16384 slots" in line]
    assert len(lines) == 1


class Trap:
    """A port that counts the connections to it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def has_caught(self) -> bool:
        """Whether someone has connected."""
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Close it."""
        self._listener.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    """One."""
    made = Trap()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(redis_cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProxy]:
    """One proxy for some of the tests, which lets scripts through. Tests use `proxy`."""
    made = ClusterProxy(redis_cluster, tmp_path_factory.mktemp("proxy"), config='[guard]\nscripts = "allow"\n')
    try:
        made.process.wait_until_ready()
        yield made
    finally:
        made.process.stop()


class TestFalseRedirects:
    """A script can answer with the very bytes of a redirect."""

    def test_a_stranger_is_not_dialed(self, proxy: ClusterProxy, trap: Trap) -> None:
        slot = proxy.cluster.slot("a")
        with Wire(proxy.json) as wire:
            for kind in ("MOVED", "ASK"):
                script = f"return redis.error_reply('{kind} {slot} 127.0.0.1:{trap.port}')"
                assert wire("EVAL", script, "1", "a").startswith(b"-ERR flask-cache-proxy: ")
            assert wire("SET", "a", "1") == b"+OK\r\n"
        assert not trap.has_caught()

    def test_a_script_does_not_run_again_elsewhere(self, proxy: ClusterProxy) -> None:
        cluster, slot = proxy.cluster, proxy.cluster.slot("a")
        wrong = other(cluster, cluster.owner(slot))
        script = f"redis.call('INCR', KEYS[1]); return redis.error_reply('MOVED {slot} {wrong.address}')"
        with Wire(proxy.json) as wire:
            assert wire("EVAL", script, "1", "a").startswith(b"-ERR flask-cache-proxy: ")
            assert wire("GET", "a") == b"$1\r\n1\r\n"

    def test_a_script_follows_its_slot(self, proxy: ClusterProxy) -> None:
        cluster, slot = proxy.cluster, proxy.cluster.slot("a")
        with Wire(proxy.json) as wire:
            assert wire("SET", "a", "1") == b"+OK\r\n"
            cluster.move(slot, other(cluster, cluster.owner(slot)))
            assert wire("EVAL", "return redis.call('INCR', KEYS[1])", "1", "a") == b":2\r\n"


@pytest.mark.per_client
def test_a_home_node_is_chosen_for_each_client(proxy: ClusterProxy) -> None:
    """So that commands without keys do not all meet one node."""
    with ExitStack() as stack:
        for _ in range(9):
            assert stack.enter_context(Wire(proxy.json))("PING") == b"+PONG\r\n"
        page = ask(proxy.admin, "GET /metrics")[2]
        for node in proxy.cluster.masters:
            assert f'cluster_lanes{{node="{node.address}"}} 3.0\n' in page


def test_a_redis_that_is_no_cluster_is_named(
    start_proxy: StartProxy, redis_server: RedisServer, tmp_path: Path
) -> None:
    admin = str(tmp_path / "admin.sock")
    proxy = start_proxy(
        *("--upstream", f"redis-cluster://127.0.0.1:{redis_server.port}"),
        env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}"},
    )
    proxy.expect("This instance has cluster support disabled")
    with Wire(proxy.json) as wire:
        assert b"cluster support disabled" in wire.until_closed()
    assert "cluster support disabled" in ask(admin, "GET /readyz")[2]


def test_its_own_login(start: Start, cluster: RedisCluster) -> None:
    """Each lane, and each question for the slots, begins with it. Clients use the proxy's password."""
    for node in cluster.nodes:
        node.client.acl_setuser(
            "proxy", enabled=True, passwords=["+secret"], keys="*", channels="*", commands=["+@all"]
        )
    try:
        listener = '[[listener]]\nbind = "127.0.0.1:0"\npassword = "ours"\n'
        proxy = start(listener + '[upstream]\nusername = "proxy"\npassword = "secret"\n')
        with Wire(proxy.json) as wire:
            assert wire("GET", "a").startswith(b"-NOAUTH ")
            assert wire("AUTH", "ours") == b"+OK\r\n"
            wire.send(b"".join(request("SET", f"k{number}", "x") for number in range(60)))
            assert wire.replies(60) == b"+OK\r\n" * 60
            assert wire("KEYS", "*").startswith(b"*60\r\n")
            for node in cluster.masters:
                assert "proxy" in [client["user"] for client in node.client.client_list()]
        assert ask(proxy.admin, "GET /readyz")[0] == 200
    finally:
        for node in cluster.nodes:
            node.client.acl_deluser("proxy")


def test_a_login_that_a_node_refuses_is_told(start: Start) -> None:
    listener = '[[listener]]\nbind = "127.0.0.1:0"\npassword = "ours"\n'
    proxy = start(listener + '[upstream]\nusername = "nobody"\npassword = "secret"\n')
    proxy.process.expect("tells its slots")
    with Wire(proxy.json) as wire:
        assert b"refused the proxy's own login" in wire.until_closed()
    assert "refused the proxy's own login" in ask(proxy.admin, "GET /readyz")[2]


@pytest.fixture
def with_tls(tmp_path: Path) -> Iterator[PrivateRedis]:
    """The server on PATH: those in wheels are built without TLS."""
    own = PrivateRedis(tmp_path, servers.executable("path"))
    yield own
    own.kill()


def test_tls_to_each_node(with_tls: PrivateRedis, start_proxy: StartProxy, tmp_path: Path) -> None:
    """A cluster of one node, which speaks TLS only."""
    ours = new_authority(tmp_path / "ours")
    options = ("--cluster-enabled", "yes", "--tls-cluster", "yes")
    url, mutual = tls_redis(with_tls, ours, "redis.internal", *options, port=free_port())
    with redis.Redis(unix_socket_path=with_tls.unix) as node:
        node.execute_command("CLUSTER ADDSLOTS", *range(16384))
        wait_until(lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster")
    names = {"upstream_tls_ca": ours.ca, "upstream_tls_server_name": "redis.internal", **mutual}
    env = {f"FLASK_CACHE_PROXY_{name.upper()}": text for name, text in names.items()}
    env["FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT"] = "0"
    proxy = start_proxy("--upstream", url.replace("rediss://", "rediss-cluster://").removesuffix("/0"), env=env)
    with Wire(proxy.json) as wire:
        assert wire("SET", "flask_cache_a", "1") == b"+OK\r\n"
        assert wire("GET", "flask_cache_a") == b"$1\r\n1\r\n"
    with redis.Redis(unix_socket_path=with_tls.unix) as node:
        assert node.get("flask_cache_a") == b"1"
    os.kill(with_tls.process.pid, signal.SIGSTOP)  # it does not end its TLS, and the proxy's end does not wait for it


def test_the_keys_of_all_nodes_are_surveyed(start: Start, cluster: RedisCluster) -> None:
    for number in range(30):
        key = f"shop_{number}"
        cluster.owner(cluster.slot(key)).client.set(key, b"!\x80\x04K\x01.")
    proxy = start(FLASK_CACHE_PROXY_LOG_SURVEY="true", config='[[rule]]\nkeys = "shop_*"\n')
    proxy.process.wait_for_line(r"30 of 30 (sampled )?keys are Flask's")
