"""A proxy whose clients share two connections to a Redis that nobody else uses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.admin import metric
from tests.e2e.conftest import PrivateRedis
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.e2e.wire import Wire

TRUNKS = 2
"""For each protocol."""


@dataclass
class Sharing:
    """The proxy and its Redis."""

    redis: PrivateRedis
    proxy: ProxyProcess
    admin: str
    """The address of the admin port."""
    _clients: list[Wire] = field(default_factory=list)

    def client(self) -> Wire:
        """A client that is connected, and has had its first answer."""
        wire = Wire(self.proxy.json)
        self._clients.append(wire)
        assert wire("ECHO", "first") == b"$5\r\nfirst\r\n"
        return wire

    def clients(self, count: int) -> list[Wire]:
        """Several of them."""
        return [self.client() for _ in range(count)]

    def leave(self) -> None:
        """All clients close."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def connections(self) -> int:
        """The connections that Redis has, without the one that asks, and those that look commands up."""
        with Wire(self.redis.unix) as wire:
            lines = wire("CLIENT", "LIST").splitlines()
        return sum(b" cmd=" in line and b"cmd=client|list" not in line and b"cmd=command" not in line for line in lines)

    def kill_trunks(self) -> None:
        """Redis closes all connections but the one that asks."""
        with Wire(self.redis.unix) as wire:
            assert wire("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").startswith(b":")
        wait_until(lambda: self.number("upstream_connections") == 0, "the proxy to notice")

    def flush(self) -> None:
        """Empty Redis."""
        with Wire(self.redis.unix) as wire:
            assert wire("FLUSHALL") == b"+OK\r\n"

    def number(self, name: str) -> int:
        """A metric."""
        return int(metric(self.admin, name))

    def pins(self, count: int) -> None:
        """Wait until so many clients have a connection of their own."""
        wait_until(lambda: self.number("pinned_clients") == count, f"{count} pinned clients")


Share = Callable[..., Sharing]


def environment(admin: str, connections: object = TRUNKS) -> dict[str, str]:
    """Variables for a proxy whose clients share connections."""
    return {
        "FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": str(connections),
        "FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}",
    }


@pytest.fixture(scope="module")
def shared_sharing(tmp_path_factory: pytest.TempPathFactory, redis_executable: str) -> Iterator[Sharing]:
    """One for the tests of a module. Tests use `sharing`."""
    home = tmp_path_factory.mktemp("sharing")
    redis, admin = PrivateRedis(home, redis_executable), str(home / "admin.sock")
    redis.start()
    arguments = ["--listen", "json=127.0.0.1:0", "--upstream", f"unix://{redis.unix}"]
    proxy = ProxyProcess(arguments, env=environment(admin))
    try:
        yield Sharing(redis, proxy.wait_until_ready(), admin)
    finally:
        proxy.stop()
        redis.kill()


@pytest.fixture
def sharing(shared_sharing: Sharing) -> Iterator[Sharing]:
    """That of the module, with an empty Redis. Its log is checked, and so is that nothing is left of its clients."""
    shared_sharing.flush()
    yield shared_sharing
    shared_sharing.leave()
    wait_until(lambda: shared_sharing.number("clients") == 0, "all clients to leave")
    shared_sharing.pins(0)
    trunks = shared_sharing.number("upstream_trunks")
    wait_until(lambda: shared_sharing.number("upstream_connections") == trunks, "their connections to end")
    assert trunks <= 2 * TRUNKS
    shared_sharing.proxy.check_log()


@pytest.fixture
def share(private_redis: PrivateRedis, start_proxy: Callable[..., ProxyProcess], tmp_path: Path) -> Iterator[Share]:
    """Starts a proxy of the test's own, before a Redis of the test's own, which the test starts."""

    def start(*arguments: str, connections: int = TRUNKS, upstream: str = "", **env: str) -> Sharing:
        admin = str(tmp_path / "admin.sock")
        proxy = start_proxy(
            *arguments,
            "--upstream",
            upstream or f"unix://{private_redis.unix}",
            env={**environment(admin, connections), **env},
        )
        made.append(Sharing(private_redis, proxy, admin))
        return made[-1]

    made: list[Sharing] = []
    yield start
    for each in made:
        each.leave()


@dataclass
class BothWays:
    """Two proxies before the same Redis: with shared connections, and without."""

    sharing: Sharing
    alone: ProxyProcess


@pytest.fixture
def both_ways(sharing: Sharing, start_proxy: Callable[..., ProxyProcess]) -> BothWays:
    """See BothWays."""
    alone = start_proxy(
        "--upstream",
        f"unix://{sharing.redis.unix}",
        env={"FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": "per-client"},
    )
    return BothWays(sharing, alone)
