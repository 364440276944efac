"""Restarts under the load of stock clients. The benchmark itself does 100,000 commands; here they are fewer."""

import json
import re
import shutil
from typing import Any

import pytest

from benchmarks import restart
from benchmarks.peers import Missing
from benchmarks.report import RESULTS
from benchmarks.restart import ALONE, CLIENTS, NAMED, SYSTEMD, TWO

PROGRAMS = {"go-redis": "go", "ioredis": "node"}
COMMANDS = 6000
"""Two restarts of each of two proxies."""


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not shutil.which(PROGRAMS[name]):
        pytest.skip(f"needs {PROGRAMS[name]}")
    return name


@pytest.mark.parametrize("way", [TWO, NAMED, SYSTEMD])
def test_no_command_fails_and_none_is_done_twice(client: str, way: str) -> None:
    try:
        row = restart.measure(way, client, COMMANDS)
    except Missing as missing:
        pytest.skip(str(missing))
    assert row["commands"] >= COMMANDS
    assert row["restarts"] >= 2
    assert (row["failed"], row["wrong"], row["errors"]) == (0, 0, {})


def test_one_alone_leaves_a_gap_that_is_told(client: str) -> None:
    row = restart.measure(ALONE, client, COMMANDS)
    assert row["silence_ms"] > 0
    assert row["wrong"] == 0
    assert row["failed"] == sum(row["errors"].values())
    if client == "ioredis":  # it keeps commands until it is connected again
        assert row["failed"] == 0


def test_the_page_has_the_measured_figures() -> None:
    page = (RESULTS.parents[1] / "docs" / "rollout.md").read_text()
    measured = json.loads((RESULTS / "restart.json").read_text())["rows"]
    told = re.findall(r"^\| (.+) \| (go-redis|ioredis) \| (.+) \|$", page, re.MULTILINE)
    assert told == [(row["way"], row["client"], " | ".join(_figures(row))) for row in measured]
    for row in measured:
        assert row["commands"] >= 100_000
        assert row["wrong"] == 0
        assert row["failed"] == 0 or (row["way"], row["client"]) == (ALONE, "go-redis")


def _figures(row: dict[str, Any]) -> list[str]:
    seconds = (f"{row[name] / 1000:.1f} s" for name in ("slowest_ms", "silence_ms"))
    return [f"{row['failed']:,} of {row['commands']:,}", str(row["restarts"]), *seconds]
