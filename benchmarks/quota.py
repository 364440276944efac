"""A server with a part of a processor, as an orchestrator gives it: the kernel's quota, where we may set one."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.processes import Process

PERIOD: Final = 0.1
"""Seconds; what Kubernetes sets, and the kernel's default."""

_ROOT: Final = Path("/sys/fs/cgroup")
_NAME: Final = "flask-cache-proxy-benchmark"


@contextmanager
def limited(process: Process, share: float) -> Iterator[str]:
    """Limit a server and its children to a share of a processor; yields by which means.

    If no control group can be made, they are stopped for the rest of each period, even if they were idle. That slows
    them more.
    """
    for hold in (_version_2, _version_1):
        try:
            group = hold(share)
        except OSError:
            continue
        try:
            _move(process, group)
            yield f"{group.name.rpartition('.')[2]} CPU quota of {share:.0%} of every {PERIOD * 1000:.0f} ms"
        finally:
            _move(process, group.parent)
            group.rmdir()
        return
    with _duty(process, share):
        yield f"stopped for {1 - share:.0%} of every {PERIOD * 1000:.0f} ms (no control group could be made)"


def _version_2(share: float) -> Path:
    home = _ROOT / _own("")
    if "cpu" not in (home / "cgroup.controllers").read_text().split():
        raise OSError("no cpu controller")
    (home / "cgroup.subtree_control").write_text("+cpu")
    return _made(home, "cgroup v2", {"cpu.max": f"{_micros(PERIOD * share)} {_micros(PERIOD)}"})


def _version_1(share: float) -> Path:
    limits = {"cpu.cfs_period_us": f"{_micros(PERIOD)}", "cpu.cfs_quota_us": f"{_micros(PERIOD * share)}"}
    return _made(_ROOT / "cpu" / _own("cpu"), "cgroup v1", limits)


def _made(home: Path, version: str, limits: Mapping[str, str]) -> Path:
    """A control group with these limits. Raises OSError, and leaves none then."""
    (group := home / f"{_NAME}-{os.getpid()}.{version}").mkdir()
    try:
        for file, limit in limits.items():
            (group / file).write_text(limit)
    except OSError:
        group.rmdir()
        raise
    return group


def _own(controller: str) -> str:
    """The control group of this process, relative to its hierarchy; `""` is that of version 2. Raises OSError."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    raise OSError(f"no hierarchy of {controller or 'version 2'}")


def _move(process: Process, group: Path) -> None:
    for pid in process.pids():
        (group / "cgroup.procs").write_text(str(pid))


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


@contextmanager
def _duty(process: Process, share: float) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        while not over.wait(PERIOD * share):
            _signal(process, signal.SIGSTOP)
            over.wait(PERIOD * (1 - share))
            _signal(process, signal.SIGCONT)

    thread = threading.Thread(target=work, name="duty cycle")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _signal(process: Process, number: signal.Signals) -> None:
    for pid in process.pids():
        os.kill(pid, number)
