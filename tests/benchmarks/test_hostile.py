"""The cost of one value is measured in a process of its own, and reported for each engine."""

import subprocess
import sys

import pytest

from benchmarks import hostile, peers, timing
from benchmarks.timing import Runs

MIB = 1024 * 1024


def row(value: str, seconds: float, mib: float) -> dict[str, object]:
    return {"value": value, "cpu_seconds": seconds, "peak_mib": mib}


@pytest.fixture(scope="module", params=peers.ENGINES)
def runs(request: pytest.FixtureRequest) -> Runs:
    """One round of an engine, of values that are large in few pieces."""
    if request.param not in peers.Checkout().engines():
        pytest.skip(f"the {request.param} engine does not run here")
    *_, found = timing.of_engines("benchmarks.hostile", [request.param], 1, ["one text: ASCII"])
    assert found is not None
    return found


def test_memory_is_counted_whoever_allocates_it(runs: Runs) -> None:
    (rows,) = next(iter(runs.values()))
    measured = {(one["direction"], one["payload"]): one for one in rows if one["value"] == "one text: ASCII"}
    assert set(measured) == {("decode", "json"), ("decode", "msgpack"), ("encode", "json")}
    for one in measured.values():
        assert one["refused"] is None
        assert one["peak_mib"] * MIB > 0.9 * one["bytes"]
        assert one["cpu_seconds"] > 0


def test_a_row_is_the_least_time_and_the_most_memory_of_its_rounds() -> None:
    rounds = [[row("a", 0.3, 2.0), row("b", 1.0, 1.0)], [row("a", 0.2, 3.0), row("b", 1.5, 0.5)]]
    assert hostile.summary({"native": rounds, "python": rounds[:1]}) == [
        {"engine": "native", **row("a", 0.2, 3.0)},
        {"engine": "native", **row("b", 1.0, 1.0)},
        {"engine": "python", **row("a", 0.3, 2.0)},
        {"engine": "python", **row("b", 1.0, 1.0)},
    ]


def test_a_conversion_that_fails_is_no_result() -> None:
    program = "from benchmarks import hostile; hostile._forked(lambda: 1 / 0); print('went on')"
    done = subprocess.run([sys.executable, "-c", program], cwd=peers.ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ZeroDivisionError" in done.stderr
    assert "ChildProcessError" in done.stderr
