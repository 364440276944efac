"""The same bytes straight to Redis and through the proxy: what comes back must be the same, to the byte.

No key in these conversations is managed, unless a test says so: those differ by design.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
import redis

from tests.e2e.conftest import RedisServer, two_listeners
from tests.e2e.conversations.scripts import (
    Cut,
    Step,
    byte_by_byte,
    comparable,
    converse,
    pipelined,
    random_chunks,
    whole,
)
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import pipeline, request


class Both(Protocol):
    """Runs a script both ways, compares, and returns what came."""

    def __call__(self, *script: Step, end: bytes = ..., setup: str = ..., order: bool = ...) -> bytes:
        """`setup`: lines that fill Redis before; `order`: False where the reply has none."""


@pytest.fixture(scope="package", autouse=True)
def _redis_7(redis_7: None) -> None:
    """The scripts hold commands of Redis 7, and its words for what it does not know: older ones put them otherwise."""


@pytest.fixture(scope="package")
def shared_proxy(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """One proxy for all conversations."""
    with two_listeners(redis_server, tmp_path_factory.mktemp("admin")) as proxy:
        yield proxy


@pytest.fixture(params=[whole, byte_by_byte, random_chunks], ids=lambda cut: cut.__name__)
def cut(request: pytest.FixtureRequest) -> Cut:
    """How what is sent through the proxy is cut into pieces."""
    return request.param


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def hello(request: pytest.FixtureRequest) -> bytes:
    """How a client of either protocol begins."""
    return b"" if request.param == 2 else pipeline("HELLO 3")


@pytest.fixture
def both(proxy: ProxyProcess, direct: redis.Redis, redis_server: RedisServer, cut: Cut) -> Both:
    """A script ends with QUIT, unless a test ends it otherwise."""

    def prepare(setup: str) -> None:
        direct.flushall()
        for line in filter(None, setup.split("\n")):
            direct.execute_command(*line.split())

    return comparison(redis_server.unix, proxy.json, cut, prepare, direct)


def comparison(
    straight: Address,
    through: Address,
    cut: Cut,
    prepare: Callable[[str], None] = lambda _: None,
    aside: redis.Redis | None = None,
) -> Both:
    """Compares what a Redis says with what comes through a proxy before it; `prepare` is done before either."""

    def compare(*script: Step, end: bytes = request("QUIT"), setup: str = "", order: bool = True) -> bytes:
        came = []
        for address, steps, cut_it in ((straight, script, whole), (through, pipelined(script), cut)):
            prepare(setup)
            replies = comparable(converse(address, steps, end, cut_it, aside))
            came.append(replies if order else b"\r\n".join(sorted(replies.split(b"\r\n"))))
        assert came[1] == came[0]
        return came[1]

    return compare
