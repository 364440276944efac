"""A peer's own suite as judge: redis-py's tests, straight and through the proxy, with the same outcome one by one.

They come from redis-py's source distribution when they are run. Every part runs in both ways at once, each with a
Redis (and a proxy) of its own. The guard is open, since the tests do what no producer needs; the keys are none that a
rule matches. That a test fails is no matter, as long as it fails the same way: redis-py's tests know other releases of
Redis than the one that is here.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import running_server
from tests.e2e.proxy_process import ProxyProcess
from tests.environments import Environment, UnavailableError, python_of, source_of
from tests.interop.programs import missing
from tests.interop.suite.selection import FILES_LEFT_OUT, MARKS_LEFT_OUT, PARTS, TESTS_LEFT_OUT, VERSION, Part, files_of

TOOLS = Environment(
    name="redis-py-suite",
    requirements=[
        "async-timeout==5.0.1", "iniconfig==2.1.0", "mock==5.2.0", "numpy==2.2.6", "packaging==25.0", "pluggy==1.6.0",
        "pygments==2.19.2", "pytest==8.4.2", "pytest-asyncio==1.1.0", "pytest-timeout==2.4.0",
    ],
)  # fmt: skip
"""The packages that the tests need in addition to redis-py, which comes from the same source as they do."""

SUITE = Path(__file__).parent / "suite"
PATIENCE = 300.0
"""Seconds that a part of the suite may take; far more than it needs."""

OPENED = [
    "ACL", "BGREWRITEAOF", "BGSAVE", "CLIENT", "CLUSTER", "CONFIG", "DEBUG", "FAILOVER", "FUNCTION", "LATENCY",
    "MIGRATE", "MODULE", "REPLICAOF", "SAVE", "SCRIPT", "SHUTDOWN", "SLAVEOF", "SLOWLOG",
]  # fmt: skip
"""`[guard] allow`."""

Outcomes = dict[str, str]


class Bench:
    """The suite, and the two servers that one part of it is run against."""

    def __init__(self, part: Part, straight: str, through: str, home: Path) -> None:
        """`straight` and `through` are URLs."""
        self.part = part
        self._urls = {"straight": straight, "through": through}
        self._home = home
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, python: Path, source: Path, *tests: str) -> None:
        """Begin to run the part, or some tests of it, in both ways."""
        left_out = [f"--deselect={test}" for group in TESTS_LEFT_OUT.values() for test in group]
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
        env["PYTHONPATH"] = f"{source}{os.pathsep}{SUITE}"
        for way, url in self._urls.items():
            command = [str(python), "-m", "pytest", "-q", "-p", "outcomes", "-p", "no:cacheprovider"]
            command += ["-c", str(SUITE / "pytest.ini"), f"--rootdir={source}", f"--confcutdir={source}"]
            command += ["-m", MARKS_LEFT_OUT, *left_out]
            command += ["--redis-url", url, "--redis-mod-url", url, "--outcomes", str(self._file(way))]
            command += self.part.selection(tests)
            with self._log(way).open("wb") as log:
                self._running[way] = subprocess.Popen(command, cwd=source, env=env, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait for both."""
        for way, process in self._running.items():
            code = process.wait(PATIENCE)
            assert code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), self._log(way).read_text()[-4000:]

    def outcomes(self) -> tuple[Outcomes, Outcomes]:
        """The outcome of every test, directly and through the proxy."""
        straight, through = (json.loads(self._file(way).read_text()) for way in self._urls)
        return straight, through

    def stop(self) -> None:
        """End what still runs."""
        for process in self._running.values():
            process.kill()
            process.wait()

    def _file(self, way: str) -> Path:
        return self._home / f"{self.part.name}-{way}.json"

    def _log(self, way: str) -> Path:
        return self._home / f"{self.part.name}-{way}.log"


@contextmanager
def bench_of(part: Part, executable: str, home: Path, homes: pytest.TempPathFactory) -> Iterator[Bench]:
    """Two servers of Redis, and a proxy before the second of them."""
    with running_server(executable, homes) as one, running_server(executable, homes) as other:
        config = home / f"{part.name}.toml"
        config.write_text(
            f'[[listener]]\nbind = "127.0.0.1:0"\n[upstream]\nurl = "redis://127.0.0.1:{other.port}/0"\n'
            f'[guard]\nscripts = "allow"\nallow = {json.dumps(OPENED)}\n'
        )
        proxy = ProxyProcess(["--config", str(config)])
        try:
            _, port = proxy.wait_until_ready().json
            bench = Bench(part, f"redis://127.0.0.1:{one.port}/0", f"redis://127.0.0.1:{port}/0", home)
            try:
                yield bench
            finally:
                bench.stop()
        finally:
            proxy.stop()


@pytest.fixture(scope="module")
def tools() -> tuple[Path, Path]:
    """The interpreter that runs the suite, and the suite."""
    try:
        return python_of(TOOLS), source_of("redis", VERSION)
    except UnavailableError as error:
        missing(str(error))
        raise


@pytest.fixture(scope="module")
def benches(
    request: pytest.FixtureRequest,
    tools: tuple[Path, Path],
    redis_executable: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Bench]]:
    """Every part that is asked for, run."""
    home = tmp_path_factory.mktemp("suite")
    asked = {item.callspec.id for item in request.session.items if hasattr(item, "callspec")}
    parts = [part for part in PARTS if part.name in asked]
    with ExitStack() as stack:
        made = {
            part.name: stack.enter_context(bench_of(part, redis_executable, home, tmp_path_factory)) for part in parts
        }
        for bench in made.values():
            bench.start(*tools)
        for bench in made.values():
            bench.wait()
        yield made


def differing(straight: Outcomes, through: Outcomes) -> dict[str, tuple[str, str]]:
    """The tests that came out in two ways, and these."""
    assert straight.keys() == through.keys()
    return {test: (straight[test], through[test]) for test in straight if straight[test] != through[test]}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_the_outcome_of_every_test_is_the_same(part: Part, benches: dict[str, Bench], tools: tuple[Path, Path]) -> None:
    bench = benches[part.name]
    straight, through = bench.outcomes()
    assert sum(outcome == "passed" for outcome in through.values()) >= part.passing
    if odd := differing(straight, through):
        # Some tests race with their own clock where many run at once: what differs is asked again, alone.
        bench.start(*tools, *odd)
        bench.wait()
        odd = differing(*bench.outcomes())
    assert not odd


def test_every_file_of_the_suite_is_run_or_left_out_for_a_reason(tools: tuple[Path, Path]) -> None:
    run = [file for part in PARTS for file in part.files]
    left_out = [file for files in FILES_LEFT_OUT.values() for file in files]
    assert files_of(tools[1] / "tests") == {*run, *left_out}
    assert not set(run) & set(left_out)
