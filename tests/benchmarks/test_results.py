"""What the documents say of speed is what the committed results hold."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAPERS = (ROOT / "README.md").read_text() + (ROOT / "docs" / "speed.md").read_text()
CONTENDERS = {
    "Python engine": "python, managed",
    "native engine": "native, managed",
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


def row(first: str) -> list[str]:
    """The further cells of a row of one of their tables."""
    (line,) = re.findall(rf"^\| {re.escape(first)} \| (.*) \|$", PAPERS, re.M)
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
        ("twemproxy", "twemproxy"),
        ("Envoy", "Envoy"),
    ],
)
def test_so_are_delay_saturation_and_memory(name: str, contender: str) -> None:
    parts = {each["part"]: each for each in results("latency")["rows"] if each["contender"] == contender}
    (memory,) = (each for each in results("memory")["rows"] if each["contender"] == contender)
    assert row(name) == [
        f"{parts['go-redis 1,000/s']['added_p50_ms'][0]:.2f} ms",
        f"{parts['saturation']['per_second'][0]:,.0f}/s",
        f"{memory['silent_kib'][0]:.1f} KiB",
    ]


@pytest.mark.parametrize("engine", ["native", "python"])
def test_so_is_the_worst_that_a_value_can_cost(engine: str) -> None:
    security = (ROOT / "docs" / "security.md").read_text()
    told = re.search(rf"{engine} engine\s+([\d.]+) s and (\d+) MiB", security, re.I)
    rows = [row for row in results("hostile")["rows"] if row["engine"] == engine]
    seconds, mib = (max(row[measure] for row in rows) for measure in ("cpu_seconds", "peak_mib"))
    assert told
    assert told.groups() == (f"{seconds:.2f}", f"{mib:.0f}")


def test_every_result_says_where_it_comes_from() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        found = results(path.stem)
        assert found["benchmark"] == path.stem
        assert {"when", "commit", "machine", "versions", "settings", "rows"} <= found.keys()
        assert found["rows"]
