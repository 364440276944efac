"""Masters die and replicas take over while clients write and read. A fault costs replies, never the connection."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.admin import ask, metric
from tests.e2e.cluster.conftest import ClusterProxy, key_on
from tests.e2e.cluster.load import TAGS, Load
from tests.e2e.proxy_process import wait_until
from tests.e2e.wire import Wire, request
from tests.redis_cluster import RedisCluster

UNKNOWN = re.compile(
    rb"-(ERR flask-cache-proxy: .*(whether this command was done is not known|cannot reach Redis at).*"
    rb"|CLUSTERDOWN .*|READONLY .*|LOADING .*|TRYAGAIN .*)\r\n"
)
NODE_IS_GONE = r"WARNING \[\d+\] .*|WARNING no node of the cluster .*|WARNING a shared connection.*"


@pytest.fixture
def own(cluster: RedisCluster, tmp_path: Path) -> Iterator[ClusterProxy]:
    """A proxy of the test's own."""
    proxy = ClusterProxy(cluster, tmp_path)
    try:
        proxy.process.wait_until_ready()
        yield proxy
        proxy.process.expect(NODE_IS_GONE)
    finally:
        proxy.process.stop()


def is_of_a_fault(error: bytes) -> bool:
    """Whether this is an error of a node that is gone, or of a cluster without it."""
    return UNKNOWN.fullmatch(error) is not None


def test_a_master_dies_under_load(own: ClusterProxy) -> None:
    """Writes that the dead master had answered may be lost with it. So values are checked again from the end on."""
    cluster = own.cluster
    victim = cluster.owner(cluster.slot("{tag0}"))
    heir = cluster.replica_of(victim)
    with Load(own.json, 4, is_of_a_fault, loses=True) as load:
        victim.kill()
        wait_until(lambda: heir.is_master, "the replica to take over")
        load.goes_on(3)
    assert load.errors
    own.process.wait_for_line(
        rf"INFO    the cluster has changed to 3 masters, 16384 of 16384 slots, without {victim.address}"
    )
    with Load(own.json, 4, loses=True) as load:
        load.goes_on(3)
    assert metric(own.admin, "cluster_dials_total") > len(cluster.masters)
    assert ask(own.admin, "GET /readyz")[0] == 200


def test_a_replica_takes_over_under_load(own: ClusterProxy) -> None:
    """Nobody dies, so no write is lost."""
    cluster = own.cluster
    victim = cluster.owner(cluster.slot(f"{{tag{TAGS - 1}}}"))
    with Load(own.json, 4, is_of_a_fault) as load:
        cluster.failover(cluster.replica_of(victim))
        load.goes_on(3)


def test_a_lost_lane_costs_only_its_commands(own: ClusterProxy) -> None:
    cluster = own.cluster
    keys = [key_on(cluster, node) for node in cluster.masters]
    with Wire(own.json) as wire:
        for key in keys:
            assert wire("SET", key, "1") == b"+OK\r\n"
        for number, node in enumerate(cluster.masters):
            node.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            wait_until(lambda: metric(own.admin, "cluster_lanes") <= 2, "the lane to be lost")
            wire.send(b"".join(request("INCR", key) for key in keys))
            assert wire.replies(3) == b":%d\r\n" % (number + 2) * 3


def test_a_blocked_client_of_a_dead_master_is_told(own: ClusterProxy) -> None:
    cluster = own.cluster
    victim = cluster.owner(cluster.slot("list"))
    with Wire(own.json) as wire:
        wire.send(request("BLPOP", "list", "0"))
        wait_until(lambda: victim.client.info("clients")["blocked_clients"] == 1, "the blocked client")
        victim.kill()
        assert is_of_a_fault(wire.reply())
        assert wire("PING") == b"+PONG\r\n"


@pytest.mark.per_client
def test_a_client_that_leaves_takes_its_lanes_along(own: ClusterProxy) -> None:
    with Wire(own.json) as wire:
        wire.send(b"".join(request("SET", f"k{number}", "x") for number in range(60)))
        wire.replies(60)
        assert metric(own.admin, "cluster_lanes") == 3
        wire.send(request("BLPOP", "list", "0"))
        owner = own.cluster.owner(own.cluster.slot("list"))
        wait_until(lambda: owner.client.info("clients")["blocked_clients"] == 1, "the blocked client")
    wait_until(lambda: metric(own.admin, "cluster_lanes") == 0, "the lanes to end")
    wait_until(lambda: owner.client.info("clients")["blocked_clients"] == 0, "the blocked client to go")
    wait_until(lambda: metric(own.admin, "clients") == 0, "the client to be forgotten")


def test_a_client_that_sends_no_more_gets_its_replies(own: ClusterProxy) -> None:
    with Wire(own.json) as wire:
        wire.send(b"".join(request("SET", f"k{number}", "x") for number in range(60)))
        wire.send_no_more()
        assert wire.until_closed() == b"+OK\r\n" * 60


@pytest.mark.per_client
def test_a_client_that_does_not_read_stops_all_its_lanes(own: ClusterProxy) -> None:
    value = "x" * 1_000_000
    keys = [key_on(own.cluster, node) for node in own.cluster.masters]
    with Wire(own.json) as wire:
        for key in keys:
            assert wire("SET", key, value) == b"+OK\r\n"
        wire.send(b"".join(request("GET", key) for key in keys * 40))
        wait_until(lambda: metric(own.admin, "paused_connections") > 0, "the client to be waited for")
        assert metric(own.admin, "buffered_bytes") < 64 << 20
        bulk = b"$1000000\r\n%s\r\n" % value.encode()
        for _ in range(120):
            assert wire.reply() == bulk
        assert wire("PING") == b"+PONG\r\n"


def test_it_drains(own: ClusterProxy) -> None:
    with Wire(own.json) as wire:
        wire.send(b"".join(request("SET", f"k{number}", "x") for number in range(60)))
        own.process.terminate()
        assert wire.until_closed() in (b"+OK\r\n" * 60, b"")  # none of them, if it had read none
    assert own.process.wait() == 0


def test_without_any_node_clients_are_told(own: ClusterProxy) -> None:
    """And served again when the nodes are back."""
    for node in own.cluster.nodes:
        node.kill()
    with Wire(own.json) as wire:
        assert b"-ERR flask-cache-proxy: " in wire.until_closed()
    status, _, body = ask(own.admin, "GET /readyz")
    assert status == 503
    assert "tells its slots" in body
    own.cluster.heal()
    wait_until(lambda: ask(own.admin, "GET /readyz")[0] == 200, "to be ready")
    with Wire(own.json) as wire:
        assert wire("SET", "a", "1") == b"+OK\r\n"
