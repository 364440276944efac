"""A real Redis, the proxy in front of it, and beside it a real library that knows of no proxy."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import redis

from tests import servers
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.environments import UnavailableError, python_of
from tests.stacks.environments import Stack
from tests.stacks.judge import Judge

RULES = """
[[rule]]
keys = "flask_cache_view//*/json/*"
as = "view"

[[rule]]
keys = "flask_cache_view//*/html/*"
as = "view"
content_type = "text/html; charset=utf-8"

[[rule]]
keys = "flask_cache_*p2.*"
accept_tags = ["data", "markup", "response"]
pickle_protocol = 2

[[rule]]
keys = "flask_cache_*p3.*"
accept_tags = ["data", "markup", "response"]
pickle_protocol = 3

[[rule]]
keys = "flask_cache_*p5.*"
accept_tags = ["data", "markup", "response"]
pickle_protocol = 5

[[rule]]
keys = "flask_cache_*"
accept_tags = ["data", "markup", "response"]
"""


def _unavailable(reason: str) -> None:
    """Skip; but where nobody looks at what was skipped, fail."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def pythons(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Path]]]:
    """The interpreter of each stack that a test of this run asks for, in the order in which they ask."""
    wanted: dict[str, Stack] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            stack = item.callspec.params.get("stack")
            if isinstance(stack, Stack):
                wanted.setdefault(stack.name, stack)
    with ThreadPoolExecutor(2, "stacks") as builders:
        yield {name: builders.submit(python_of, stack) for name, stack in wanted.items()}
        builders.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Site:
    """A server, the proxy in front of it, and clients of both."""

    socket: str
    """The server's unix socket."""
    direct: redis.Redis
    """A client of the server itself."""
    producer: redis.Redis
    """A client of the proxy that writes and reads JSON."""
    msgpack_producer: redis.Redis
    """A client of the proxy that writes and reads msgpack."""


@contextmanager
def site_of(executable: str) -> Iterator[Site]:
    """Start that server with a proxy in front of it."""
    with ExitStack() as stack:
        # Names of unix sockets must be short.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fcp-")))
        socket, *listeners = (str(home / f"{name}.sock") for name in ("redis", "json", "msgpack"))
        stack.enter_context(server_on(socket, executable, home))
        config = home / "config.toml"
        blocks = (f'[[listener]]\nbind = "unix:{path}"\npayload = "{Path(path).stem}"\n' for path in listeners)
        config.write_text("\n".join((*blocks, f'[upstream]\nurl = "unix://{socket}"\n{RULES}')))
        proxy = ProxyProcess(["--config", str(config)])
        stack.callback(proxy.stop)
        proxy.wait_until_ready()
        yield Site(socket, *(stack.enter_context(redis.Redis(unix_socket_path=path)) for path in (socket, *listeners)))


@contextmanager
def server_on(socket: str, executable: str, home: Path) -> Iterator[None]:
    """Run a server that listens on a unix socket alone."""
    command = [executable, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL) as server:
        try:
            with redis.Redis(unix_socket_path=socket) as client:
                wait_until(lambda: _answers(client), "the server to answer")
            yield
        finally:
            server.terminate()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture(scope="session")
def sites() -> Iterator[Callable[[str | None], Site]]:
    """The site of each server that a stack names. All of them stay until the end: to start one takes a second."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(site_of(servers.executable(name))))


@pytest.fixture
def site(stack: Stack, sites: Callable[[str | None], Site]) -> Site:
    """The site of the stack's server, which is empty."""
    site = sites(stack.server)
    site.direct.flushall()
    return site


@pytest.fixture
def direct(site: Site) -> redis.Redis:
    """See Site."""
    return site.direct


@pytest.fixture
def producer(site: Site) -> redis.Redis:
    """See Site."""
    return site.producer


@pytest.fixture
def msgpack_producer(site: Site) -> redis.Redis:
    """See Site."""
    return site.msgpack_producer


@pytest.fixture(scope="module")
def judges() -> Iterator[dict[str, Judge]]:
    """Those that are at work in this module, by the name of their stack."""
    at_work: dict[str, Judge] = {}
    with ExitStack() as stack:
        yield at_work
        for judge in at_work.values():
            stack.callback(judge.close)


@pytest.fixture
def python(stack: Stack, pythons: dict[str, Future[Path]]) -> Path:
    """The interpreter of the stack that the test is for."""
    try:
        return pythons[stack.name].result()
    except UnavailableError as error:
        _unavailable(str(error))
        raise


@pytest.fixture
def judge(stack: Stack, judges: dict[str, Judge], python: Path, site: Site) -> Judge:
    """The library of the stack that the test is for; its Redis is empty."""
    if stack.name not in judges:
        judges[stack.name] = Judge(stack, python, site.socket)
    return judges[stack.name]
