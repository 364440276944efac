"""The processes of a benchmark: measures them with /proc, and ends them with the benchmark."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_START_TIMEOUT: Final = 120.0
_STOP_TIMEOUT: Final = 5.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class StartError(Exception):
    """A server did not come up. `str()` gives its last words."""


class Process:
    """A running server, with all processes that it has started."""

    def __init__(self, pid: int, *others: int) -> None:
        """Watch a process that runs already. `others`: count these too, such as the other nodes of a cluster."""
        self.pid = pid
        self._others = others

    def pids(self) -> list[int]:
        """It and its descendants."""
        parents = _parents()
        found = [self.pid, *self._others]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def cpu_seconds(self) -> float:
        """Processor time, user and system, of the whole tree: to the nanosecond where the kernel keeps schedstat."""
        return sum(map(_cpu_seconds, self.pids()))

    def resident_bytes(self) -> int:
        """Resident memory of the whole tree."""
        return sum(_status(pid, "VmRSS") for pid in self.pids())

    def peak_bytes(self) -> int:
        """The most that was ever resident, or since `forget_peak`; the sum of each process' own."""
        return sum(_status(pid, "VmHWM") for pid in self.pids())

    def forget_peak(self) -> None:
        """Reset the peak: see clear_refs in proc(5)."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def leashed(command: Sequence[str]) -> list[str]:
    """A command that the kernel ends when we end, even by KILL or between its start and our knowing of it.

    The command as it is where util-linux is missing.
    """
    setpriv = shutil.which("setpriv")
    return [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *command]


@contextmanager
def started(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, at: Path | None = None
) -> Iterator[Process]:
    """A server with what it says in a file. It ends with the context, also where that is left by Ctrl-C."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            leashed(command),
            cwd=at,
            env={**_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then ends its servers in order
        )
    try:
        yield Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Ours, less what would configure a proxy."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_CACHE_PROXY_")}
    return {**kept, "FLASK_CACHE_PROXY_LOG_SURVEY": "false"}


def wait_for_port(port: int, process: Process, log: Path) -> None:
    """Return once something listens there. Raises StartError."""
    wait(lambda: _answers(port), process, log)


def wait_for_line(text: str, process: Process, log: Path) -> str:
    """Wait until a server's output contains `text`, and return the output. Raises StartError."""
    wait(lambda: text in log.read_text(), process, log)
    return log.read_text()


def wait(condition: Callable[[], object], process: Process, log: Path) -> None:
    """Return once `condition()` holds. Raises StartError where the process ends or the time is up."""
    deadline = time.monotonic() + _START_TIMEOUT
    while not condition():
        if time.monotonic() > deadline or not _runs(process.pid):
            raise StartError(f"did not start: {log.read_text()[-2000:].strip() or 'it said nothing'}")
        time.sleep(0.01)


def free_port() -> int:
    """A port of the loopback interface that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _runs(pid: int) -> bool:
    try:
        return _stat(pid)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found[int(entry.name)] = int(_stat(int(entry.name))[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on, the state: the name before it may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    """Of all threads of a process. The ticks of /proc/PID/stat are 10 ms, a tenth of what a short run takes."""
    try:
        threads = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except FileNotFoundError:  # a thread has just ended
        return _cpu_seconds(pid)
    if threads:
        return sum(int(thread.split()[0]) for thread in threads) / 1e9
    return sum(map(int, _stat(pid)[11:13])) / _TICKS


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise LookupError(field)
