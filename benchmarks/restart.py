"""Restarts of the proxy under the load of stock clients: how many commands fail, and how long a client waits.

The clients are go-redis and ioredis with their stock options. Two proxies behind one name restart in turn: behind a TCP
balancer, and as two addresses of a host name. One proxy alone restarts too, and one whose socket systemd keeps.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks import peers, programs
from benchmarks.peers import Missing, Server
from benchmarks.processes import free_port, leashed, started, wait_for_port

CLIENTS: Final[dict[str, Callable[[], list[str]]]] = {
    "go-redis": lambda: [*programs.go("restart"), "{address}", "50"],
    "ioredis": lambda: [*programs.node("restart"), "{address}", "8", "6"],
}
"""Programs, `{address}` standing for the proxy's: 50 goroutines, or 48 loops on 8 clients."""
TWO: Final = "two behind a balancer"
NAMED: Final = "two addresses of a host name"
ALONE: Final = "one alone"
SYSTEMD: Final = "one alone, its socket kept by systemd"
_NAME: Final = "proxies.test"
_BETWEEN: Final = 5000
"""Commands between two restarts, at least."""
_FEWEST: Final = 2
"""Restarts, at least, however long one takes."""
_UP: Final = 3.0
"""Seconds between two restarts, at least: each client has connected again by then."""
_PATIENCE: Final = 300.0
_EXEC: Final = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)
"""A program that passes a socket as systemd does: descriptor 3, and the id of the process itself."""


class RestartError(Exception):
    """A proxy or a client ended too early, or did not go on. `str()` gives its last words."""


class Restartable:
    """A proxy that can be restarted at its address."""

    def __init__(self, upstream: Server, log: Path, address: str, kept: socket.socket | None = None) -> None:
        """`kept`: the listening socket that it gets from its parent, as from systemd."""
        self._log = log
        self._kept = kept
        listen = address if kept is None else "fd:json"
        url = f"redis://127.0.0.1:{upstream.port}/0"
        self._command = [sys.executable, "-m", "proxy", "serve", "--listen", listen, "--upstream", url]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready. Raises RestartError."""
        before = self._log.read_text().count(" is ready ") if self._log.exists() else 0
        command, env, passed = self._command, dict(os.environ), list[int]()
        if self._kept is not None:
            passed.append(self._kept.fileno())
            command = [sys.executable, "-c", _EXEC, str(passed[0]), *command]
            env |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "json"}
        with self._log.open("ab") as file:
            self._process = subprocess.Popen(
                leashed(command), cwd=peers.ROOT, env=env, stderr=file, pass_fds=passed, start_new_session=True
            )
        _wait(lambda: self._log.read_text().count(" is ready ") > before, lambda: self._words(self._process))

    def restart(self) -> float:
        """Stop it with TERM, then start it. Returns the seconds until it is ready again. Raises RestartError."""
        began = time.monotonic()
        self.stop()
        self.start()
        return time.monotonic() - began

    def stop(self) -> None:
        """Let it drain and end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_PATIENCE)

    def _words(self, process: "subprocess.Popen[bytes] | None") -> str | None:
        ended = process is not None and process.poll() is not None
        return self._log.read_text()[-1000:] if ended else None


class Load:
    """A client program at work, and its numbers."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        """Start it."""
        self._errors = errors
        with errors.open("wb") as file:
            self._process = subprocess.Popen(
                leashed(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, start_new_session=True
            )
        self.report: dict[str, Any] = {"commands": 0}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.report = json.loads(line)

    def wait_for(self, commands: int, until: float = 0.0) -> None:
        """Return once it has done so many, and not before a time. Raises RestartError."""
        _wait(lambda: self.report["commands"] >= commands and time.monotonic() >= until, self._words)

    def end(self) -> dict[str, Any]:
        """Let it finish. Returns its report. Raises RestartError."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._reader.join(_PATIENCE)
        if self._process.wait(_PATIENCE) or "failed" not in self.report:
            raise RestartError(f"the client failed: {self._errors.read_text()[-1000:]}")
        return self.report

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _words(self) -> str | None:
        return None if self._process.poll() is None else self._errors.read_text()[-1000:]


def _wait(condition: Callable[[], object], ended: Callable[[], str | None]) -> None:
    """Return once the condition holds. `ended`: the last words of a process that has ended. Raises RestartError."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        words = ended()
        if words is not None or time.monotonic() > deadline:
            raise RestartError(f"did not go on: {words or 'no time left'}")
        time.sleep(0.005)


class Running(NamedTuple):
    """Proxies, and the way of clients to them."""

    proxies: list[Restartable]
    address: str
    wrap: Sequence[str] = ()
    """A command that runs the client."""


@contextmanager
def _two(upstream: Server, home: Path) -> Iterator[Running]:
    with ExitStack() as stack:
        ports = [free_port(), free_port()]
        proxies = [stack.enter_context(_proxy(upstream, home, f"127.0.0.1:{port}")) for port in ports]
        front, log = free_port(), home / "balancer.log"
        command = [sys.executable, "-m", "benchmarks.balancer", str(front), *map(str, ports)]
        process = stack.enter_context(started(command, log, at=peers.ROOT))
        wait_for_port(front, process, log)
        yield Running(proxies, f"127.0.0.1:{front}")


@contextmanager
def _named(upstream: Server, home: Path) -> Iterator[Running]:
    """The client sees an /etc/hosts of its own, in which a name has two addresses."""
    places = ("127.0.0.1", "127.0.0.2")
    (hosts := home / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"{place} {_NAME}\n" for place in places))
    mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
    wrap = (peers.program("unshare", "apt-get install util-linux"), "-m", "sh", "-c", mount, str(hosts))
    if subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        raise Missing("a host name of our own needs the right to mount: run it as root")
    port = free_port()
    with ExitStack() as stack:
        proxies = [stack.enter_context(_proxy(upstream, home, f"{place}:{port}")) for place in places]
        yield Running(proxies, f"{_NAME}:{port}", wrap)


@contextmanager
def _one(upstream: Server, home: Path) -> Iterator[Running]:
    address = f"127.0.0.1:{free_port()}"
    with _proxy(upstream, home, address) as proxy:
        yield Running([proxy], address)


@contextmanager
def _kept(upstream: Server, home: Path) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as kept:
        address = f"127.0.0.1:{kept.getsockname()[1]}"
        with _proxy(upstream, home, address, kept) as proxy:
            yield Running([proxy], address)


@contextmanager
def _proxy(upstream: Server, home: Path, address: str, kept: socket.socket | None = None) -> Iterator[Restartable]:
    proxy = Restartable(upstream, home / f"{address}.log", address, kept)
    try:
        yield proxy
    finally:
        proxy.stop()


WAYS: Final[Mapping[str, Callable[[Server, Path], AbstractContextManager[Running]]]] = {
    TWO: _two,
    NAMED: _named,
    ALONE: _one,
    SYSTEMD: _kept,
}


def measure(way: str, client: str, commands: int) -> dict[str, Any]:
    """Restart the proxies of a way in turn, until a client has done so many commands. Raises Missing, RestartError."""
    with ExitStack() as stack:
        home = stack.enter_context(peers.directory())
        command = CLIENTS[client]()
        upstream = stack.enter_context(peers.redis(home))
        proxies, address, wrap = stack.enter_context(WAYS[way](upstream, home))
        load = Load([*wrap, *(word.format(address=address) for word in command)], home / "client.log")
        stack.callback(load.kill)
        away: list[float] = []
        while len(away) < _FEWEST or len(away) % len(proxies) or load.report["commands"] < commands:
            load.wait_for(load.report["commands"] + _BETWEEN, time.monotonic() + _UP)
            away.append(proxies[len(away) % len(proxies)].restart())
        load.wait_for(load.report["commands"] + _BETWEEN)
        report = load.end()
    return {
        "way": way,
        "client": client,
        "restarts": len(away),
        "restart_seconds": round(median(away), 2),
        **{name: report[name] for name in ("commands", "failed", "wrong")},
        **{name: round(report[name]) for name in ("slowest_ms", "silence_ms")},
        "errors": report["errors"],
    }


def clients() -> list[str]:
    """The clients that can be run here. The others are told."""
    found = []
    for name, command in CLIENTS.items():
        try:
            command()
        except Missing as missing:
            peers.skip(missing)
        else:
            found.append(name)
    return found


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    return (
        f"  {row['client']:8} {row['way']:38} {row['failed']:6,} of {row['commands']:8,} commands failed, "
        f"{row['wrong']} answers wrong; {row['restarts']} restarts of {row['restart_seconds']:.2f} s; "
        f"slowest {row['slowest_ms'] / 1000:.2f} s, silence {row['silence_ms'] / 1000:.2f} s"
    )
