"""A pytest plugin for redis-py's own tests: writes each test's outcome to `--outcomes FILE`, as JSON.

It changes two things. It refuses connections to Redis' usual ports: some tests ignore their address, use these ports,
and would empty a Redis that is not theirs. And it turns off the suite's tracing of allocations, which doubles the time
and has no effect on outcomes.
"""

import json
import re
import sys
import tracemalloc
from pathlib import Path

import pytest

USUAL_PORTS = {6666, *range(6379, 6400), *range(6479, 6485), *range(16379, 16400), *range(26379, 26390)}
_PASSING = re.compile(r"0x[0-9a-f]+|\d+(\.\d+)?")
"""Addresses, ports, ids, times: what differs between two runs of anything."""

_outcomes: dict[str, str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, required=True)


def pytest_configure() -> None:
    tracemalloc.start = tracemalloc.stop = lambda *_: None
    sys.addaudithook(_keep_away)


def _keep_away(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][1] in USUAL_PORTS:
        raise ConnectionRefusedError(111, "not this Redis")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Each of set-up, call and tear-down; the first that is not as it should be counts."""
    if report.passed and report.when != "call":
        return
    if _outcomes.get(report.nodeid, "passed") == "passed":
        _outcomes[report.nodeid] = _outcome(report)


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"{report.outcome}, expected to fail: {report.wasxfail}"
    if report.passed:
        return "passed"
    if report.skipped:
        return f"skipped: {report.longrepr[2]}"
    said = getattr(getattr(report.longrepr, "reprcrash", None), "message", str(report.longrepr))
    return f"failed in {report.when}: {_PASSING.sub('#', said.partition(chr(10))[0])}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.getoption("--outcomes").write_text(json.dumps(_outcomes))
