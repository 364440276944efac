"""The figures of a cluster: rows with ratios, and the same by contender for the targets."""

import socket

import pytest

from benchmarks import cluster
from benchmarks.cluster import CLUSTER, ENVOY, ONE_SLOT, PLAIN, SHARED, Case
from benchmarks.measuring import Sample

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
