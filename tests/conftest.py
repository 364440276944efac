"""Fixtures for all tests: a real Redis for the session, and raw bytes to and from it."""

import logging
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import effort, servers
from tests.redis_cluster import RedisCluster, running_cluster

effort.load_profile()

_HERE = Path(__file__).parent
_START_DEADLINE = 120.0
_STARTS = 5
_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A redis-server with an empty memory and no disk."""

    unix: str
    """Path of its unix socket."""
    port: int
    """On 127.0.0.1."""
    process: subprocess.Popen[bytes]
    executable: str


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `each_server` runs on each, and so does every other fixture that it uses."""
    if "each_server" in metafunc.fixturenames:
        metafunc.parametrize("redis_executable", servers.today(), indirect=True)


_LONGEST = ("stacks", "interop", "e2e", "benchmarks")
"""The folders whose files take longest. Their files start first, so that both processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder: the longest first, then the others as they were collected."""
    ranks = {folder: rank for rank, folder in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(_HERE).parts[0], len(ranks)))


def pytest_itemcollected(item: pytest.Item) -> None:
    """`-m "not each_server"` leaves out those tests, for a run on one of the servers."""
    if "each_server" in getattr(item, "fixturenames", ()):
        item.add_marker("each_server")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that runs in this process sets up the log. The next test shall not notice."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def redis_executable(request: pytest.FixtureRequest) -> str:
    """The server to start (`tests.servers`): the session's, or the one that `each_server` is at."""
    return servers.executable(getattr(request, "param", None))


@pytest.fixture(scope="session")
def redis_server(redis_executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis, for the whole session; tests that need it empty flush it."""
    with running_server(redis_executable, tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="session")
def each_server(redis_server: RedisServer) -> RedisServer:
    """`redis_server`, each of those that people run today in turn.

    A module, class or test asks for it by `pytest.mark.usefixtures("each_server")`.
    """
    return redis_server


@pytest.fixture(scope="session")
def redis_cluster(redis_executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A real cluster of three masters and three replicas, for the whole session. Who breaks it heals it."""
    with running_cluster(redis_executable, tmp_path_factory.mktemp) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_raw(redis_server: RedisServer) -> RawRedis:
    """Raw bytes to and from the session's Redis."""
    return RawRedis(redis_server.unix)


@contextmanager
def running_server(executable: str, homes: pytest.TempPathFactory, *options: str) -> Iterator[RedisServer]:
    """A server of that executable (`tests.servers`), empty, until the end of the block."""
    for _ in range(_STARTS):
        server = _start(executable, homes.mktemp("redis"), *options)
        if server is not None:
            break
    else:
        pytest.fail(f"{executable} does not start")
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _start(executable: str, home: Path, *more: str) -> RedisServer | None:
    """A server that answers; None: its port was taken in the meantime, or it does not start at all."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    unix = str(home / "redis.sock")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--unixsocket", unix, "--dir", str(home)]
    options += ["--save", "", "--appendonly", "no"]
    if servers.version(executable)[1] >= 7:  # before, DEBUG needed no leave
        options += ["--enable-debug-command", "yes"]
    process = subprocess.Popen([executable, *options, *more], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + _START_DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(unix):
            return RedisServer(unix, port, process, executable)
        time.sleep(0.005)
    process.kill()
    process.wait()
    return None


def _answers(unix: str) -> bool:
    try:
        return RawRedis(unix).exchange(b"PING\r\n") == b"+PONG\r\n"
    except OSError:
        return False
