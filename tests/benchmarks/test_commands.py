"""Each benchmark runs, as small as can be, and writes only what it should."""

import json
import re
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benchmarks import cluster, framer, latency, peers, report, slow_readers, throughput
from benchmarks.__main__ import main
from proxy import engine
from proxy.resp import reply_framer

needs = {name: pytest.mark.skipif(not shutil.which(name), reason=f"needs {name}") for name in ("go", "node")}
needs_redis_benchmark = pytest.mark.skipif(not shutil.which("redis-benchmark"), reason="needs redis-benchmark")


@pytest.fixture
def python_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one engine, few commands and keys, and no peers: they have tests of their own."""
    monkeypatch.setattr(throughput, "_MOST_KEYS_BYTES", 1)
    monkeypatch.setattr("benchmarks.measuring._LEAST", 1)
    monkeypatch.setattr(peers.Checkout, "engines", lambda _: ["python"])
    for name in ("twemproxy", "envoy"):
        monkeypatch.setattr(peers, name, missing)


class missing(AbstractContextManager[peers.Server]):  # noqa: N801 (stands for a function)
    """A peer that is not installed."""

    def __init__(self, *_: object, **__: object) -> None:
        """Nothing yet: a peer is looked for when it is entered."""

    def __enter__(self) -> peers.Server:
        raise peers.Missing("not in this test")

    def __exit__(self, *_: object) -> None:
        """Never entered."""


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def rows(results: Path, name: str) -> list[dict[str, Any]]:
    document = json.loads((results / f"{name}.json").read_text())
    assert {"commit", "machine", "versions", "settings", "when"} <= set(document)
    found: list[dict[str, Any]] = document["rows"]
    return found


@pytest.mark.parametrize("name", sorted(main.commands))
def test_each_says_what_it_does(name: str) -> None:
    assert main.commands[name].help
    assert "Usage" in run(name, "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("hot", "--engine", "ruby"),
        ("hot", "--against", "/nowhere/at/all"),
        ("throughput", "--rounds", "many"),
        ("no-such-benchmark",),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Error" in result.output


@needs_redis_benchmark
@pytest.mark.usefixtures("python_alone")
def test_hot_compares_two_checkouts(results: Path) -> None:
    shown = run("hot", "--rounds", "1", "--seconds", "0.01", "--only", "GET P=64", "--against", str(peers.ROOT)).stdout
    assert [line[:20].strip() for line in shown.splitlines()[1:]] == ["managed GET P=64", "unmanaged GET P=64"]
    assert not results.exists()


@pytest.mark.usefixtures("python_alone")
def test_fairness_on_shared_connections_has_results_of_its_own(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_readers, "_FIRST", 0.02)
    monkeypatch.setattr(slow_readers, "LOADS", [slow_readers.LOADS[0], slow_readers.LOADS[-1]])
    arguments = ("fairness", "--shared", "--rounds", "1", "--seconds", "0.02")
    shown = run(*arguments, "--only", "leaves").stdout
    assert re.search(r"^leaves.*\n  shared +p50 .*\n  per-client +p50 .*\n  Redis +p50", shown)
    assert not results.exists()
    run(*arguments)
    assert [(row["load"].split()[0], row["connections"]) for row in rows(results, "fairness-shared")] == [
        (load, way) for load in ("nobody", "leaves") for way in slow_readers.WAYS
    ]


@needs_redis_benchmark
@pytest.mark.skipif(not shutil.which("redis-cli"), reason="needs redis-cli")
@pytest.mark.usefixtures("python_alone")
def test_cluster_compares_with_a_plain_redis(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CASES", [cluster.Case("GET", 64)])
    monkeypatch.setattr(cluster, "IDLE", 5)
    monkeypatch.setattr("benchmarks.memory._SETTLED", 0.05)
    shown = run("cluster", "--engine", "python", "--rounds", "1", "--seconds", "0.01").stdout
    costs = "".join(rf"{name} +[\d.]+ +" for name in ("plain", "cluster", "one slot", "shared"))
    assert re.match(rf"GET P=64 +{costs}ratio +[\d.]+ \(.*shared / cluster +[\d.]+ \(", shown)
    (row,) = rows(results, "cluster")
    assert (row["case"], row["engine"]) == ("GET P=64", "python")
    assert {"plain", "cluster", "one slot", "shared", "ratio", "ratio_of_one_slot", "redis_ratio"} <= set(row)
    assert {"ratio_of_shared", "ratio_of_shared_to_cluster", "redis_ratio_of_shared"} <= set(row)
    document = json.loads((results / "cluster.json").read_text())
    assert {name: set(kib) for name, kib in document["memory"].items()} == {
        "python, cluster": {"first_kib", "further_kib"},
        "python, shared": {"first_kib", "further_kib"},
    }
    assert [(target["case"], target["met"]) for target in document["targets"]] == [
        ("on a cluster, SET P=1", None),
        ("on a cluster, GET P=1", None),
    ]


def test_walk_counts_the_functions_of_a_request_and_its_reply(results: Path) -> None:
    shown = run("walk", "--steps").stdout.splitlines()
    heads = [line for line in shown if not line.startswith(" ")]
    assert [line[:10].strip() for line in heads] == ["SET", "its reply"]
    assert sum(int(line[10:14]) for line in heads) == len(shown) - len(heads)
    assert "    downstream/reads.py  data_received" in shown
    assert not results.exists()


@needs_redis_benchmark
@pytest.mark.usefixtures("python_alone")
def test_throughput_measures_its_cases_and_judges_its_targets(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "DEFAULT", [throughput.Case("GET", "125 B", pipeline=64)])
    shown = run("throughput", "--rounds", "1", "--seconds", "0.01").stdout
    assert "python, unmanaged / python, managed" in shown
    assert [row["contender"] for row in rows(results, "throughput")] == [
        "Redis",
        "python, managed",
        "python, unmanaged",
        "python, shared",
        "floor 1:1",
    ]
    for row in rows(results, "throughput"):
        assert row["redis_cpu_us"][0] > 0
        for measure in ("cpu_us", "per_second", "redis_cpu_us"):
            assert row[f"{measure}_rounds"] == pytest.approx(row[measure][:1], rel=0.001)
    targets = json.loads((results / "throughput.json").read_text())["targets"]
    assert {target["met"] for target in targets} >= {None}


@needs_redis_benchmark
@pytest.mark.usefixtures("python_alone")
def test_with_only_nothing_is_written(results: Path) -> None:
    shown = run("throughput", "--rounds", "1", "--seconds", "0.01", "--only", "125 B json SET P=64").stdout
    assert "python, managed" in shown
    run("codec", "--rounds", "1", "--seconds", "0.001", "--only", "125 B")
    run("framer", "--rounds", "1", "--seconds", "0.001", "--no-write")
    assert not results.exists()


@needs_redis_benchmark
@pytest.mark.usefixtures("python_alone")
def test_throughput_has_each_contender_in_its_own_cases(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [throughput.Case("SET+GET", "125 B", pipeline=16), throughput.Case("GET", "1 KB")]
    monkeypatch.setattr(throughput, "DEFAULT", cases)
    run("throughput", "--rounds", "1", "--seconds", "0.01", "--against", str(peers.ROOT))
    names = [(row["size"], row["contender"]) for row in rows(results, "throughput")]
    common = ["Redis", "python, managed", "python, unmanaged", "floor 1:1"]
    assert sorted(name for size, name in names if size == "125 B") == sorted(
        [*common, "python, alike", "python, shared", "python, before"]
    )
    assert sorted(name for size, name in names if size == "1 KB") == sorted([*common, "floor, shared"])
    assert json.loads((results / "throughput.json").read_text())["settings"]["against"] == report.commit(peers.ROOT)


def test_the_table_of_the_targets_says_where_its_figures_come_from(results: Path) -> None:
    shown = run("targets").stdout
    assert "| P=1, SET / GET | floor 1:1 | 1.55 / 1.5 | 1.35 / 1.3 | - / - | not measured |" in shown
    assert "throughput: there is no results file, run `python -m benchmarks throughput`" in shown
    assert not results.exists()


@pytest.mark.usefixtures("python_alone")
def test_framer_writes_medians_of_each_engine(results: Path) -> None:
    run("framer", "--rounds", "2", "--seconds", "0.001")
    found = {row["who"]: row["ns"] for row in rows(results, "framer")}
    assert set(found) == {"python engine", "hiredis' reader"}
    assert all(0 < low <= median <= high for median, low, high in found.values())


def test_the_framer_that_is_measured_is_the_engines_own() -> None:
    assert framer.ReplyFramer is engine.ENGINE.of("ReplyFramer", reply_framer.ReplyFramer)


@pytest.mark.usefixtures("python_alone")
def test_segments_are_measured_beside_whole_reads(results: Path) -> None:
    shown = run("segments", "--rounds", "1", "--seconds", "0.001", "--only", "MSET").stdout
    assert re.search(r"MSET of 100 pairs .* wanted 1\.3: (met|MISSED);", shown)
    assert "RPUSH" not in shown
    assert not results.exists()


@pytest.mark.usefixtures("python_alone")
def test_hostile_tells_the_worst_of_each_engine(results: Path) -> None:
    shown = run("hostile", "--rounds", "1", "--only", "empty tuples").stdout
    assert "The worst of the python engine by CPU seconds:" in shown
    assert "decode empty tuples (msgpack, tagged, 125,005 bytes)" in shown
    assert not results.exists()


@needs["go"]
@pytest.mark.usefixtures("python_alone")
def test_latency_is_told_part_by_part(results: Path) -> None:
    shown = run("latency", "--rounds", "1", "--seconds", "0.05", "--only", "go-redis 1,000/s").stdout
    assert re.search(r"python engine +RESP3 +p50 .* p99 .* p999 ", shown)
    assert not results.exists()


@needs["go"]
@pytest.mark.usefixtures("python_alone")
def test_another_checkout_is_saturated_beside_ours(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part._replace(connections=3) for part in latency.PARTS if part.name in ("go-redis 1,000/s", "saturation")]
    monkeypatch.setattr(latency, "PARTS", parts)
    monkeypatch.setattr(latency, "HEADLINE", ("go-redis 1,000/s",))
    run("latency", "--rounds", "1", "--seconds", "0.5", "--against", str(peers.ROOT))
    measured = {(row["part"], row["contender"]): row["per_second_rounds"] for row in rows(results, "latency")}
    assert ("saturation", "python engine, before") in measured
    assert ("go-redis 1,000/s", "python engine, before") not in measured
    assert {part for part, name in measured if name == "python engine, shared"} == {"saturation", "go-redis 1,000/s"}
    assert all(len(rounds) == 1 for rounds in measured.values())
    targets = json.loads((results / "latency.json").read_text())["targets"]
    assert {target["theirs"] for target in targets} == {"native engine, before", "Envoy", "native engine"}


@needs["go"]
@needs["node"]
@pytest.mark.usefixtures("python_alone")
def test_every_way_to_fill_the_cache_stores_what_flask_reads(results: Path) -> None:
    pytest.importorskip("uvicorn")
    run("instead", "--rounds", "1", "--values", "40")
    ways = [row["way"] for row in rows(results, "instead")]
    assert len(ways) == 10
    assert {"go-redis, two pipelines at once, python engine", "cachelib, two set_many at once"} < {*ways}
    assert all(row["per_second"][0] > 0 for row in rows(results, "instead"))


@needs_redis_benchmark
@pytest.mark.usefixtures("python_alone")
def test_memory_is_measured(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.memory._SETTLED", 0.05)
    run("memory", "--rounds", "1", "--connections", "20", "--seconds", "0.01")
    assert [row["contender"] for row in rows(results, "memory")] == ["python engine", "python engine, shared"]
    for row in rows(results, "memory"):
        assert row["load_100 KB_mib"][0] >= row["idle_mib"][0] > 10
