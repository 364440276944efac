"""The processes of a benchmark are measured with their children, and end with it in every case."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks import peers
from benchmarks.processes import Process, StartError, free_port, started, wait_for_line, wait_for_port
from benchmarks.quota import PERIOD, _duty, limited
from tests.e2e.proxy_process import DEADLINE, is_running, wait_until

BUSY = "import time\nwhile time.process_time() < 0.2: pass\n"
PARENT = f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {BUSY + 'input()'!r}], stdin=-1)\n"


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def test_children_count(tmp_path: Path) -> None:
    with started(python(PARENT + "child.wait()"), tmp_path / "log") as process:
        wait_until(lambda: len(process.pids()) == 2, "the child")
        wait_until(lambda: process.cpu_seconds() > 0.2, "the child's processor time")
        alone = Process(process.pids()[1])
        assert process.resident_bytes() > alone.resident_bytes()
        assert process.peak_bytes() > alone.peak_bytes()
    wait_until(lambda: not is_running(process.pid), "the end")


def test_several_servers_count_as_one(tmp_path: Path) -> None:
    with started(python(BUSY + "input()"), tmp_path / "log") as one, started(python(PARENT), tmp_path / "log2") as two:
        both = Process(one.pid, two.pid)
        assert {one.pid, two.pid} <= {*both.pids()}
    wait_until(lambda: not is_running(two.pid), "the end")


def test_the_peak_begins_anew(tmp_path: Path) -> None:
    code = "block = bytearray(50_000_000)\ndel block\nprint('done')\nimport time\ntime.sleep(60)"
    with started(python(code), tmp_path / "log") as process:
        wait_for_line("done", process, tmp_path / "log")
        assert process.peak_bytes() > 50_000_000
        process.forget_peak()
        assert process.peak_bytes() < 50_000_000


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(StartError, match="no such option"),
        started(python("raise SystemExit('no such option')"), log) as process,
    ):
        wait_for_port(free_port(), process, log)


def test_what_does_not_heed_a_signal_ends_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.processes._STOP_TIMEOUT", 0.01)
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(60)"
    with started(python(code), tmp_path / "log") as process:
        wait_for_line("deaf", process, tmp_path / "log")
    assert not is_running(process.pid)


def heirs(home: Path) -> set[str]:
    """The names of all processes with a TMPDIR, or (redis-server hides its environment) at work there."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is somebody else's
            if (
                f"TMPDIR={home}\0".encode() in (process / "environ").read_bytes()
                or home in (process / "cwd").readlink().parents
            ):
                found.add((process / "comm").read_text().strip())
    return found


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        signal.SIGTERM,
        pytest.param(signal.SIGKILL, marks=pytest.mark.skipif(not shutil.which("setpriv"), reason="needs util-linux")),
    ],
    ids=lambda number: number.name,
)
@pytest.mark.skipif(not shutil.which("redis-benchmark"), reason="needs redis-benchmark")
def test_a_benchmark_that_is_interrupted_leaves_nothing_behind(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks", "hot", "--seconds", "60", "--only", "managed SET P=1"]
    with TemporaryDirectory(prefix="fcp-", ignore_cleanup_errors=True) as directory:  # short: it is for unix sockets
        home, quiet = Path(directory), subprocess.DEVNULL
        env = {**os.environ, "TMPDIR": directory}
        with subprocess.Popen(command, cwd=peers.ROOT, env=env, stdout=quiet, stderr=quiet) as process:
            try:
                wait_until(
                    lambda: process.poll() is not None or {"redis-server", "redis-benchmark"} <= heirs(home),
                    "redis-benchmark to work",
                )
                assert process.poll() is None
                process.send_signal(number)
                process.wait(DEADLINE)
            finally:
                process.kill()
        assert process.returncode in (1, -number)
        wait_until(lambda: not heirs(home), "all that it has started to end")


def test_a_limited_process_is_let_go(tmp_path: Path) -> None:
    with started(python("while True: pass"), tmp_path / "log") as process:
        with limited(process, 0.5) as how:
            assert "50%" in how
        with _duty(process, 0.5):
            time.sleep(PERIOD)
        assert Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T"
