"""The figures in the documents are those of the committed results."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import slow_readers

ROOT = Path(__file__).parents[2]
SPEED = (ROOT / "docs" / "speed.md").read_text()
CLUSTER = (ROOT / "docs" / "cluster.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
CONTENDERS = {
    "Python engine": "python, managed",
    "native engine": "native, managed",
    "native engine, one shared connection": "native, shared",
    "native engine, keys that no rule matches": "native, unmanaged",
    "twemproxy, its best buffers": "twemproxy",
    "twemproxy, its default": "twemproxy, default",
    "Envoy, one worker": "Envoy",
}


def results(name: str) -> Any:
    """One file of them."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def medians() -> dict[tuple[str, str], float]:
    """CPU microseconds per command, by case and contender."""
    return {(row["case"], row["contender"]): row["cpu_us"][0] for row in results("throughput")["rows"]}


def row(first: str, page: str = SPEED) -> list[str]:
    """The further cells of a row of one of the page's tables."""
    (line,) = re.findall(rf"^\| {re.escape(first)} \| (.*) \|$", page, re.M)
    return [cell.strip() for cell in line.split(" | ")]


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_commands_cpu_time_is_the_measured_one(name: str) -> None:
    measured = medians()
    expected = [
        " / ".join(
            f"{measured[f'125 B json {command} P={pipeline} c=50', CONTENDERS[name]]:.1f}" for command in ("SET", "GET")
        )
        for pipeline in (1, 16, 64)
    ]
    assert row(name) == expected


@pytest.mark.parametrize(
    ("name", "contender"),
    [
        ("Python engine, one worker", "python engine"),
        ("native engine, one worker", "native engine"),
        ("native engine, one worker, shared connections", "native engine, shared"),
        ("twemproxy", "twemproxy"),
        ("Envoy", "Envoy"),
    ],
)
def test_so_are_delay_saturation_and_memory(name: str, contender: str) -> None:
    parts = {each["part"]: each for each in results("latency")["rows"] if each["contender"] == contender}
    (memory,) = (each for each in results("memory")["rows"] if each["contender"] == contender)
    added = parts["go-redis 1,000/s"]
    assert row(name) == [
        " / ".join(f"{added[f'added_{share}_ms'][0]:.2f}" for share in ("p50", "p99", "p999")) + " ms",
        f"{parts['saturation']['per_second'][0]:,.0f}/s",
        f"{memory['silent_kib'][0]:.1f} KiB",
    ]


def test_so_is_the_line_of_the_readme() -> None:
    told = re.search(r"adds (\S+ ms) to a command, and serves (\S+) commands", (ROOT / "README.md").read_text())
    assert told
    delays, saturation, _ = row("native engine, one worker")
    assert (told[1], f"{told[2]}/s") == (f"{delays.split(' / ')[0]} ms", saturation)


@pytest.mark.parametrize("engine", ["native", "python"])
def test_so_is_the_worst_that_a_value_can_cost(engine: str) -> None:
    security = (ROOT / "docs" / "security.md").read_text()
    told = re.search(rf"{engine} engine\s+([\d.]+) s and (\d+) MiB", security, re.I)
    rows = [row for row in results("hostile")["rows"] if row["engine"] == engine]
    seconds, mib = (max(row[measure] for row in rows) for measure in ("cpu_seconds", "peak_mib"))
    assert told
    assert told.groups() == (f"{seconds:.2f}", f"{mib:.0f}")


@pytest.mark.parametrize(
    ("name", "contender"),
    [
        ("the proxy on a plain Redis", "plain"),
        ("the proxy on a cluster", "cluster"),
        ("the same, keys of one slot", "one slot"),
        ("Envoy on the same cluster", "Envoy"),
        ("the proxy on a cluster, one shared connection to each node", "shared"),
    ],
)
def test_so_is_the_cost_on_a_cluster(name: str, contender: str) -> None:
    measured = {each["case"]: each[contender]["cpu_us"][0] for each in results("cluster")["rows"] if contender in each}
    if not measured:
        assert name not in CLUSTER
        return
    assert row(name, CLUSTER) == [
        " / ".join(f"{measured[f'{command} P={pipeline}']:.1f}" for command in ("SET", "GET"))
        for pipeline in (1, 16, 64)
    ]


@pytest.mark.parametrize("load", [load.name for load in slow_readers.LOADS])
def test_so_is_the_delay_beside_a_slow_reader(load: str) -> None:
    measured = {each["connections"]: each for each in results("fairness-shared")["rows"] if each["load"] == load}
    assert row(load, OPERATIONS) == [
        *(f"{measured[way]['p50_ms']:.1f} / {measured[way]['p99_ms']:.0f} ms" for way in ("shared", "per-client")),
        f"{measured['shared']['closed_per_second']:.1f}",
    ]


def test_every_result_says_where_it_comes_from() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        found = results(path.stem)
        assert found["benchmark"] == path.stem
        assert {"when", "commit", "machine", "versions", "settings", "rows"} <= found.keys()
        assert found["rows"]
