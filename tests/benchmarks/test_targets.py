"""The targets are of what is measured, and are judged right."""

import pytest

from benchmarks import cluster, latency, peers, targets
from benchmarks.targets import Target
from benchmarks.throughput import DEFAULT, FLOORS, FULL

OURS = {
    f"{engine}, {keys}" for engine in peers.ENGINES for keys in ("managed", "alike", "unmanaged", "shared", "before")
}
OTHERS = {"Redis", "twemproxy", "twemproxy, default", "Envoy", *(name for name, _ in FLOORS.values())}
PARTS = {part.name for part in latency.PARTS}
KINDS = ("", ", shared", ", before")
ALL = (*targets.THROUGHPUT, *targets.LATENCY, *targets.CLUSTER)
CONTENDERS = {f"{engine} engine{kind}" for engine in peers.ENGINES for kind in KINDS} | {"Envoy"}


def row(contender: str, *rounds: float) -> dict[str, object]:
    return {"case": "case", "contender": contender, "cpu_us_rounds": list(rounds)}


@pytest.mark.parametrize("target", targets.THROUGHPUT, ids=lambda target: f"{target.case}: {target.ours}")
def test_every_target_is_of_cases_and_contenders_that_the_default_measures(target: Target) -> None:
    assert target.case in {case.name for case in DEFAULT}
    assert target.ours in OURS
    assert target.theirs in OURS | OTHERS


@pytest.mark.parametrize("target", targets.LATENCY, ids=lambda target: target.case)
def test_so_is_every_target_of_the_latency(target: Target) -> None:
    assert target.case in PARTS
    assert {target.ours, target.theirs} <= CONTENDERS


@pytest.mark.parametrize("target", targets.CLUSTER, ids=lambda target: target.case)
def test_so_is_every_target_of_the_cluster(target: Target) -> None:
    assert target.case in {cluster.named(*case) for case in cluster.CASES}
    names = {cluster.contender(engine, name) for engine in peers.ENGINES for name in cluster.CONTENDERS}
    assert {target.ours, target.theirs} <= names


def test_the_cluster_has_targets_for_commands_that_are_not_pipelined() -> None:
    found = {(target.case, target.ours, target.theirs, target.limit, target.aim) for target in targets.CLUSTER}
    assert found == {
        (f"on a cluster, {command} P=1", "native, shared", "Envoy", 1.1, 0.9) for command in ("SET", "GET")
    }


def test_no_ratio_has_two_limits() -> None:
    judged = [(target.case, target.ours, target.theirs, target.measure) for target in ALL]
    assert len(set(judged)) == len(judged)


def test_an_aim_is_harder_than_the_limit() -> None:
    for target in ALL:
        assert target.aim is None or target.holds(target.aim)


def test_the_cases_have_different_names() -> None:
    for cases in (DEFAULT, FULL):
        assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize(
    ("limit", "at_least", "met"), [(2.0, False, True), (1.9, False, False), (2.0, True, True), (2.1, True, False)]
)
def test_a_target_is_met_or_not(limit: float, at_least: bool, met: bool) -> None:
    target = Target("case", "ours", "theirs", limit, at_least)
    (found,) = targets.shown([target], [row("ours", 4, 6, 5), row("theirs", 2, 3, 2.5)])
    assert (found["ratio"], found["met"]) == ([2, 2, 2], met)
    assert ("MISSED" in targets.sentence(found)) is not met


def test_a_target_tells_its_measure() -> None:
    shown = targets.shown([*targets.THROUGHPUT], [])
    ours = [targets.sentence(found).split() for found in shown if found["theirs"] == "Redis"]
    assert [[word for word in words if word in ("per_second", "redis_cpu_us")] for words in ours] == [
        ["per_second"],
        ["per_second"],
        ["redis_cpu_us"],
        ["redis_cpu_us"],
    ]


def test_results_from_before_shared_connections_leave_their_targets_open() -> None:
    of_old = [
        {
            "case": target.case,
            "contender": name,
            "cpu_us": [2, 1, 3],
            "per_second": [5, 4, 6],
            "redis_cpu_us": [1, 1, 1],
        }
        for target in targets.THROUGHPUT
        for name in (target.ours, target.theirs)
        if "shared" not in name
    ]
    for found in targets.shown(targets.THROUGHPUT, of_old):
        assert (found["ratio"] is None) is ("shared" in found["ours"] + found["theirs"])


def test_a_target_whose_contender_is_missing_is_not_measured() -> None:
    (found,) = targets.shown([Target("case", "ours", "theirs", 1.0)], [row("theirs", 1)])
    assert found["met"] is None
    assert "not measured" in targets.sentence(found)


def test_another_figure_than_cpu_time_is_taken_from_its_own_field() -> None:
    target = Target("part", "ours", "theirs", 1.6, at_least=True, aim=1.9, measure="per_second")
    rows = [
        {"part": "part", "contender": "ours", "per_second": [30], "per_second_rounds": [30, 20, 40]},
        {"part": "part", "contender": "theirs", "per_second": [15], "per_second_rounds": [15, 16, 10]},
    ]
    (found,) = targets.shown([target], rows)
    assert found["ratio"][0] == 2
    assert found["met"]
    assert ">= 1.60 (aim 1.90)" in targets.sentence(found)


def test_results_without_rounds_are_judged_by_their_medians() -> None:
    target = Target("part", "ours", "theirs", 1.1, measure="added_p50_ms")
    rows = [
        {"part": "part", "contender": "ours", "added_p50_ms": [0.3, 0.2, 0.4]},
        {"part": "part", "contender": "theirs", "added_p50_ms": [0.1, 0.0, 0.2]},
    ]
    (found,) = targets.shown([target], rows)
    assert found["ratio"] == [3, 3, 3]


def test_nothing_is_divided_by_what_another_adds_where_that_is_noise() -> None:
    target = Target("case", "ours", "theirs", 1.0)
    assert targets.measured(target, [row("ours", 1, 2, 3), row("theirs", -1, 0, 1)]) is None
    assert targets.measured(target, [row("ours", 1, 2, 3), row("theirs", 0, 1, 2)]) == (2, 1.625, 1.875)
