"""A real Redis, the proxy in front of it, and beside it a real library that knows of no proxy."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

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


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory whose name is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="fcp-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def redis_socket(place: Path) -> Iterator[str]:
    """A real Redis."""
    if shutil.which("redis-server") is None:
        _unavailable("the stacks need redis-server")
    path = str(place / "redis.sock")
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL) as server:
        try:
            with redis.Redis(unix_socket_path=path) as client:
                wait_until(lambda: _answers(client), "Redis to answer")
            yield path
        finally:
            server.terminate()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture(scope="session")
def proxy(place: Path, redis_socket: str) -> Iterator[tuple[str, str]]:
    """The proxy; the sockets on which it speaks JSON and msgpack."""
    sockets = str(place / "json.sock"), str(place / "msgpack.sock")
    listeners = "".join(f'[[listener]]\nbind = "unix:{path}"\npayload = "{Path(path).stem}"\n\n' for path in sockets)
    config = place / "config.toml"
    config.write_text(f'{listeners}[upstream]\nurl = "unix://{redis_socket}"\n{RULES}')
    process = ProxyProcess(["--config", str(config)])
    try:
        process.wait_until_ready()
        yield sockets
    finally:
        process.stop()


@pytest.fixture(scope="session")
def direct(redis_socket: str) -> Iterator[redis.Redis]:
    """A client of Redis itself."""
    with redis.Redis(unix_socket_path=redis_socket) as client:
        yield client


@pytest.fixture(scope="session")
def producer(proxy: tuple[str, str]) -> Iterator[redis.Redis]:
    """A client that writes and reads JSON."""
    with redis.Redis(unix_socket_path=proxy[0]) as client:
        yield client


@pytest.fixture(scope="session")
def msgpack_producer(proxy: tuple[str, str]) -> Iterator[redis.Redis]:
    """A client that writes and reads msgpack."""
    with redis.Redis(unix_socket_path=proxy[1]) as client:
        yield client


@pytest.fixture(scope="module")
def judges() -> Iterator[dict[str, Judge]]:
    """Those that are at work in this module, by the name of their stack."""
    at_work: dict[str, Judge] = {}
    with ExitStack() as stack:
        yield at_work
        for judge in at_work.values():
            stack.callback(judge.close)


@pytest.fixture
def judge(
    stack: Stack, judges: dict[str, Judge], pythons: dict[str, Future[Path]], redis_socket: str, direct: redis.Redis
) -> Judge:
    """The library of the stack that the test is for; its Redis is empty."""
    if stack.name not in judges:
        try:
            python = pythons[stack.name].result()
        except UnavailableError as error:
            _unavailable(str(error))
        judges[stack.name] = Judge(stack, python, redis_socket)
    direct.flushall()
    return judges[stack.name]
