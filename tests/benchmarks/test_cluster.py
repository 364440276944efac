"""The figures of a cluster: rows with ratios, and the same by contender for the targets."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from benchmarks import cluster, peers
from benchmarks.cluster import CLUSTER, ENVOY, ONE_SLOT, PLAIN, SHARED, Case
from benchmarks.measuring import Sample
from benchmarks.proxied import Client
from proxy.resp.encode import command

needs_redis_cli = pytest.mark.skipif(not shutil.which("redis-cli"), reason="needs redis-cli")
SET = Case("SET", 1)


def samples(*costs: float, redis: float = 5) -> list[Sample]:
    return [Sample(cost, 1000, 1, 2, 40, redis) for cost in costs]


MEASURED = {
    PLAIN: samples(20, 20, 20, redis=10),
    CLUSTER: samples(30, 40, 50, redis=12),
    ONE_SLOT: samples(22, 22, 22),
    SHARED: samples(10, 20, 30, redis=4),
}


def test_a_row_has_the_ratios_of_what_was_measured() -> None:
    row = cluster.row(SET, "native", MEASURED)
    assert {name: found[0] for name, found in row.items() if "ratio" in name} == {
        "ratio": 2,
        "ratio_of_one_slot": 1.1,
        "ratio_of_shared": 1,
        "ratio_of_shared_to_cluster": 0.5,
        "redis_ratio": 1.2,
        "redis_ratio_of_shared": 0.4,
    }
    with_envoy = cluster.row(SET, "native", {**MEASURED, ENVOY: samples(16, 16, 16)})
    assert with_envoy["ratio_to_envoy"] == [2.5, 2.188, 2.812]
    assert with_envoy["ratio_of_shared_to_envoy"] == [1.25, 0.938, 1.562]


def test_the_targets_see_each_contender_by_its_engine_with_its_rounds() -> None:
    judged = cluster.judged([cluster.row(SET, "python", {**MEASURED, ENVOY: samples(16, 17, 18)})])
    assert [(row["case"], row["contender"], row["cpu_us_rounds"]) for row in judged] == [
        (cluster.named("SET", 1), "python, plain", [20, 20, 20]),
        (cluster.named("SET", 1), "python, cluster", [30, 40, 50]),
        (cluster.named("SET", 1), "python, one slot", [22, 22, 22]),
        (cluster.named("SET", 1), "python, shared", [10, 20, 30]),
        (cluster.named("SET", 1), "Envoy", [16, 17, 18]),
    ]


def test_a_line_has_each_cost_and_the_ratios_that_are_judged() -> None:
    told = cluster.sentence(cluster.row(SET, "native", {**MEASURED, ENVOY: samples(16, 16, 16)}))
    assert told == (
        "SET P=1     plain   20.00  cluster   40.00  one slot   22.00  shared   20.00  Envoy   16.00"
        "  ratio  2.00 (1.75 - 2.25)  shared / cluster  0.50 (0.42 - 0.55)  shared / Envoy  1.25 (0.94 - 1.56)"
    )


def test_a_node_takes_a_port_whose_bus_is_free_too(monkeypatch: pytest.MonkeyPatch) -> None:
    free = cluster._free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter((taken.getsockname()[1] - 10_000, 65_000, free))
        monkeypatch.setattr(cluster, "free_port", lambda: next(ports))
        assert cluster._free_port() == free


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[peers.Server]]:
    """A cluster as the benchmark starts it."""
    with cluster.redis_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@needs_redis_cli
def test_envoy_serves_the_keys_of_all_nodes(nodes: list[peers.Server], tmp_path: Path) -> None:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(peers.envoy(tmp_path, nodes[0], in_cluster=True))
        except peers.Missing as missing:
            pytest.skip(str(missing))
        written(server, nodes, "envoy", clients=1)


@needs_redis_cli
@pytest.mark.parametrize("engine", peers.ENGINES)
def test_the_clients_of_a_proxy_that_shares_have_few_connections_to_each_node(
    engine: str, nodes: list[peers.Server], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        url = f"redis-cluster://127.0.0.1:{nodes[0].port}"
        try:
            server = stack.enter_context(peers.proxy(tmp_path, nodes[0], engine, url=url, trunks=peers.TRUNKS))
        except peers.Missing as missing:
            pytest.skip(str(missing))
        for node in written(server, nodes, f"flask_cache_{engine}", clients=20):
            assert 1 <= node <= peers.TRUNKS + 1  # the proxy may ask this node about the cluster just then


def written(server: peers.Server, nodes: list[peers.Server], prefix: str, clients: int) -> list[int]:
    """Let each client write to each node. Returns how many connections more each node has meanwhile."""
    with ExitStack() as stack:
        direct = [stack.enter_context(redis.Redis(port=node.port)) for node in nodes]
        # By their ids, because what was there before may leave meanwhile.
        before = [{client["id"] for client in node.client_list()} for node in direct]
        for _ in range(clients):
            client = stack.enter_context(Client(server.port))
            for tag in cluster._TAGS:
                key = f"{prefix}_{tag}".encode()
                assert client.reply_size(command(b"SET", key, b"1") + command(b"GET", key)) == len(
                    b"+OK\r\n$1\r\n1\r\n"
                )
        assert [node.dbsize() > 0 for node in direct] == [True] * len(nodes)
        return [
            len({client["id"] for client in node.client_list()} - old) for node, old in zip(direct, before, strict=True)
        ]
