"""The table of the targets has each with its limits, and its outcome in the results that are there."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import segments, target_table, targets
from benchmarks.target_table import Figure, markdown


def throughput(*rows: tuple[str, str, list[float]]) -> dict[str, Any]:
    made = [{"case": case, "contender": name, "cpu_us_rounds": rounds} for case, name, rounds in rows]
    return {"settings": {"rounds": 3, "against": "abc123"}, "commit": "def456", "when": "today", "rows": made}


SET, GET = (f"125 B json {name} P=1 c=50" for name in ("SET", "GET"))
MEASURED = throughput(
    (SET, "native, managed", [24, 21, 24]),
    (SET, "floor 1:1", [16, 15, 16]),
    (GET, "native, managed", [20, 20, 20]),
    (GET, "floor 1:1", [16, 16, 16]),
)


def costs(*rounds: float) -> dict[str, Any]:
    """Of a contender in the row of a cluster."""
    return {"cpu_us": [rounds[0]] * 3, "cpu_us_rounds": [*rounds]}


def test_a_line_has_its_figures_in_order_with_the_verdict_of_each() -> None:
    shown = [*markdown(target_table.lines({"throughput": MEASURED}))]
    (line,) = (line for line in shown if line.startswith("| P=1, SET / GET | floor 1:1 |"))
    cells = "1.55 / 1.5 | 1.35 / 1.3 | 1.50 (1.45 - 1.50) / 1.25 (1.25 - 1.25) | met / aim met"
    assert line == f"| P=1, SET / GET | floor 1:1 | {cells} |"
    assert shown[0].count("|") == shown[1].count("|") == line.count("|")


@pytest.mark.parametrize(
    ("ratio", "at_least", "verdict"),
    [
        (None, False, "not measured"),
        (0.9, False, "aim met"),
        (1.5, False, "met"),
        (3.0, False, "MISSED by 50%"),
        (0.5, True, "MISSED by 300%"),
        (2.0, True, "aim met"),
    ],
)
def test_a_figure_is_judged(ratio: float | None, at_least: bool, verdict: str) -> None:
    figure = Figure(2.0, 1.0, at_least, None if ratio is None else [ratio] * 3)
    assert figure.verdict == verdict


def test_the_worst_requests_stand_for_an_engine() -> None:
    rows = [
        {"requests": name, "engine": "native", "ratio": [ratio, ratio, ratio]}
        for name, ratio in (("64 GET", 1.1), ("SET of 1 MB", 1.4), ("MSET", 1.2))
    ]
    found = {"segments": {"rows": rows}}
    (line,) = (line for line in target_table.lines(found) if line.what.startswith("reads of"))
    assert line.figures == [Figure(segments.LIMIT, None, False, [1.4, 1.4, 1.4], "SET of 1 MB")]
    assert any("1.40 (1.40 - 1.40), SET of 1 MB | MISSED by 8%" in each for each in markdown([line]))


def test_two_pipelines_at_once_are_compared_with_as_many_of_set_many() -> None:
    ways = {"cachelib, two set_many at once": [3.0, 3.0], "go-redis, two pipelines at once, native engine": [2.0, 2.0]}
    rows = [{"way": name, "seconds_rounds": seconds} for name, seconds in ways.items()]
    lines = [line for line in target_table.lines({"instead": {"rows": rows}}) if line.what in ways]
    assert [line.figures for line in lines] == [[Figure(1.0, None, True, [1.5, 1.5, 1.5])]]


def test_shared_connections_have_a_table_of_their_own() -> None:
    rates = throughput(
        (SET, "native, shared", [20, 21, 22]), (SET, "Envoy", [21, 21, 21]), (SET, "Redis", [10, 10, 10])
    )
    for row, rate, redis in zip(rates["rows"], (60, 40, 80), (3, 4, 10), strict=True):
        row |= {"per_second_rounds": [rate] * 3, "redis_cpu_us_rounds": [redis] * 3}
    shown = [*markdown(target_table.shared_lines({"throughput": rates}))]
    start = "| rate of 50 clients that do not pipeline, SET / GET | straight Redis |"
    assert f"{start} >= 0.7 / >= 0.7 | 0.85 / 0.85 | 0.75 (0.75 - 0.75) / - | met / not measured |" in shown
    start = "| Redis' own CPU per command, P=1, SET / GET | straight Redis |"
    assert f"{start} 0.4 / 0.4 | 0.3 / 0.3 | 0.30 (0.30 - 0.30) / - | aim met / not measured |" in shown
    start = "| P=1, SET / GET | Envoy |"
    assert f"{start} 1 / 1.05 | 0.85 / 0.9 | 1.00 (0.98 - 1.02) / - | met / not measured |" in shown
    assert len(shown) == 2 + 8


def test_the_cluster_has_a_line_among_those_of_shared_connections() -> None:
    rows = [
        {"case": "SET P=1", "engine": "native", "shared": costs(18, 20, 22), "Envoy": costs(20, 20, 20)},
        {"case": "GET P=1", "engine": "native", "shared": costs(21, 22, 23), "Envoy": costs(20, 20, 20)},
        {"case": "GET P=16", "engine": "native", "shared": costs(90, 90, 90), "Envoy": costs(20, 20, 20)},
    ]
    *_, line = markdown(target_table.shared_lines({"cluster": {"rows": rows}}))
    cells = "1.1 / 1.1 | 0.9 / 0.9 | 1.00 (0.95 - 1.05) / 1.10 (1.08 - 1.12) | met"
    assert line == f"| on a cluster, P=1, SET / GET | Envoy on the same cluster | {cells} |"


def test_results_of_a_cluster_from_before_shared_connections_leave_the_line_open() -> None:
    rows = [{"case": "SET P=1", "engine": "native", "cluster": costs(18), "Envoy": costs(20)}]
    *_, line = markdown(target_table.shared_lines({"cluster": {"rows": rows}}))
    assert line.endswith("| 1.1 / 1.1 | 0.9 / 0.9 | - / - | not measured |")


def test_every_target_of_the_table_is_judged_in_its_benchmark_too() -> None:
    for _, _, line in (*targets.TABLE, *targets.SHARED_TABLE):
        assert {*line} <= {*targets.THROUGHPUT, *targets.LATENCY, *targets.CLUSTER}


def test_the_results_are_named_with_their_commits(tmp_path: Path) -> None:
    (tmp_path / "throughput.json").write_text(json.dumps(MEASURED))
    first, *others = target_table.origins(target_table.read(tmp_path))
    assert first == "throughput: commit def456, today, 3 rounds, beside commit abc123"
    assert [other.split(":")[0] for other in others] == ["latency", "segments", "instead", "cluster"]
