"""The proxy as its users run it: a process, with its log watched line by line.

Only INFO lines may appear in the log unless a test has declared others: an unexpected warning, error or traceback
fails the test that it happened in.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

DEADLINE = 120.0
"""Seconds that anything may take before a test gives up on it; far more than it needs on a machine under heavy load."""

Address = tuple[str, int] | str
"""Where to connect: host and port, or the path of a unix socket."""

_INFO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO ")
_LISTENING = re.compile(r"listening on (\S+) for ([\w-]+) clients")


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Return as soon as `condition()` is true; fail the test if it never is."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def connected(address: Address) -> socket.socket:
    """A plain socket; every operation has the deadline."""
    if isinstance(address, str):
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(DEADLINE)
        try:
            made.connect(address)
        except OSError:
            made.close()
            raise
        return made
    made = socket.create_connection(address, DEADLINE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class ProxyProcess:
    """`python -m proxy serve ...`."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-W", "error", "-m", "proxy", "serve"),
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start it. `env` is added to the environment. `pass_fds`: the descriptors that it inherits.

        The survey of the keys is off: it has tests of its own.
        """
        self.lines: list[str] = []
        self._checked = 0
        self._expected: list[re.Pattern[str]] = []
        self._news = threading.Condition()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_CACHE_PROXY_")}
        if connections := os.environ.get("FCP_TEST_CONNECTIONS"):
            inherited["FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS"] = connections
        self.process = subprocess.Popen(
            [*command, *arguments],
            env={**inherited, "FLASK_CACHE_PROXY_LOG_SURVEY": "false", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=pass_fds,
        )
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read, name="log of the proxy")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    # -- the log ---------------------------------------------------------------------------------------

    def wait_for_line(self, pattern: str, start: int = 0) -> re.Match[str]:
        """Wait for a line of the log, from line number `start` on, in which `pattern` is found."""
        wanted = re.compile(pattern)
        end = time.monotonic() + DEADLINE
        with self._news:
            while True:
                for line in self.lines[start:]:
                    if found := wanted.search(line):
                        return found
                start = len(self.lines)
                alive = self._reader.is_alive()
                assert alive or len(self.lines) > start, f"the proxy ended without {pattern!r}: {self.lines}"
                assert self._news.wait(end - time.monotonic()), f"no line {pattern!r} in {self.lines}"

    def expect(self, pattern: str) -> None:
        """Let lines that are no INFO lines pass if `pattern` is found in them, until the next check."""
        self._expected.append(re.compile(pattern))

    def check_log(self) -> None:
        """Fail for any line since the last check that nobody expects."""
        with self._news:
            fresh = self.lines[self._checked :]
            self._checked = len(self.lines)
        expected, self._expected = self._expected, []
        odd = [line for line in fresh if not _INFO.match(line) and not any(one.search(line) for one in expected)]
        assert not odd, "unexpected lines in the proxy's log:\n" + "\n".join(odd)

    # -- where it is -----------------------------------------------------------------------------------

    def wait_until_ready(self) -> Self:
        """Wait until it says so."""
        self.wait_for_line("is ready")
        return self

    def addresses(self, payload: str) -> list[Address]:
        """Where it listens for clients with this payload format, in the order of the log."""
        found = [match.groups() for line in self.lines if (match := _LISTENING.search(line))]
        return [_address(text) for text, listens_for in found if listens_for == payload]

    @property
    def json(self) -> Address:
        """The (first) JSON listener."""
        return self.addresses("json")[0]

    @property
    def msgpack(self) -> Address:
        """The (first) msgpack listener."""
        return self.addresses("msgpack")[0]

    # -- what it costs ---------------------------------------------------------------------------------

    def resident_bytes(self) -> int:
        """Its resident memory."""
        return resident_bytes(self.pid)

    def peak_bytes(self) -> int:
        """The most that its resident memory has ever been."""
        return _status(self.pid, "VmHWM")

    def cpu_seconds(self) -> float:
        """Processor time that it has used, its children not included."""
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def children(self) -> list[int]:
        """The processes that it has started and that still run."""
        return children(self.pid)

    def running(self, module: str) -> list[int]:
        """The processes that it has started, and those that these have, that run `python -m module`."""
        return [pid for pid in _descendants(self.pid) if _runs(pid, module)]

    # -- its end ---------------------------------------------------------------------------------------

    def terminate(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end; its exit code. The log is complete afterwards."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def stop(self) -> None:
        """End it as an orchestrator does, unless it has ended: cleanly, and with nothing odd in its log."""
        try:
            if self.process.returncode is None:
                self.terminate()
                assert self.wait() == 0, self.lines
        finally:
            if self.process.returncode is None:
                self.process.kill()
                self.wait()
        self.check_log()


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return _status(pid, "VmRSS")


def children(pid: int) -> list[int]:
    """The children of a process, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(after_name[1]) == pid and after_name[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *_descendants(child))]


def _runs(pid: int, module: str) -> bool:
    try:
        return module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise LookupError(field)


def _address(text: str) -> Address:
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
