"""What a benchmark starts is measured whole, and ends with it, however it ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.processes import Process, StartError, free_port, started, wait_for_line, wait_for_port
from benchmarks.quota import PERIOD, _duty, limited
from tests.e2e.proxy_process import is_running, wait_until

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_benchmark_that_is_interrupted_leaves_nothing_behind(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks", "hot", "--seconds", "30", "--only", "managed SET P=1"]
    with subprocess.Popen(command, cwd=peers.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: len(Process(process.pid).pids()) >= 4, "Redis, the proxy and redis-benchmark")
        pids = Process(process.pid).pids()
        process.send_signal(number)
        process.wait(30)
    assert process.returncode != 0
    assert not [pid for pid in pids if is_running(pid)]


def test_a_limited_process_is_let_go(tmp_path: Path) -> None:
    with started(python("while True: pass"), tmp_path / "log") as process:
        with limited(process, 0.5) as how:
            assert "50%" in how
        with _duty(process, 0.5):
            time.sleep(PERIOD)
        assert Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T"
