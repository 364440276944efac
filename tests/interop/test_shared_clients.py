"""Clients that many programs use, on shared connections: Redis has no more connections than promised.

Each program opens several connections, uses them at once, prints what it wrote, and stays. Some of its clients may keep
what they read until Redis says that it has changed. These need a connection of their own, and nobody else does.
"""

import json
import pickle
import shutil
from collections.abc import Callable, Sequence

import pytest
import redis

from tests.e2e.sharing.conftest import TRUNKS, Sharing, shared_sharing, sharing
from tests.environments import UnavailableError, python_of
from tests.interop.conftest import address_of
from tests.interop.programs import HERE, missing, run, staying
from tests.interop.test_redis_py import ENVIRONMENTS

__all__ = ["shared_sharing", "sharing"]

Command = Callable[[pytest.FixtureRequest, str, Sequence[str]], Sequence[str]]
"""How to run a program: with the address of the proxy, and the rest of its arguments."""


def _rueidis(request: pytest.FixtureRequest, address: str, how: Sequence[str]) -> Sequence[str]:
    return (str(request.getfixturevalue("go_programs") / "rueidis"), address, *how)


def _java(request: pytest.FixtureRequest, address: str, how: Sequence[str]) -> Sequence[str]:
    return (*request.getfixturevalue("java"), f"interop.{how[0]}", address, *how[1:])


def _node(request: pytest.FixtureRequest, address: str, how: Sequence[str]) -> Sequence[str]:
    return (request.getfixturevalue("node"), str(HERE / "node" / "staying.mjs"), address, *how)


def _python(_: pytest.FixtureRequest, address: str, how: Sequence[str]) -> Sequence[str]:
    name, protocol, *rest = how
    try:
        python = python_of(next(each for each in ENVIRONMENTS if each.name == name))
    except UnavailableError as error:
        missing(str(error))
        raise
    return (str(python), "-W", "error", str(HERE / "python" / "staying.py"), address, protocol, name, *rest)


def _php(_: pytest.FixtureRequest, address: str, how: Sequence[str]) -> Sequence[str]:
    php = shutil.which("php")
    if php is None or "redis" not in run(php, "-m").split():
        missing("PHP and phpredis are not installed")
    return (str(php), str(HERE / "php" / "staying.php"), address, *how[1:])


CLIENTS: dict[str, Sequence[tuple[Command, Sequence[str]]]] = {
    "2": [
        (_rueidis, ("2", "stay")),
        (_java, ("WithJedis", "2", "stay")),
        (_java, ("WithLettuce", "2", "stay")),
        (_node, ("ioredis", "2")),
        (_node, ("redis-6", "2")),
        (_node, ("@valkey/valkey-glide", "2")),
        (_python, ("redis-py-5", "2")),
        (_python, ("redis-py-8", "2")),
        (_php, ("phpredis",)),
        (_php, ("phpredis", "pooled")),
    ],
    "3": [
        (_rueidis, ("3", "stay")),
        (_rueidis, ("3", "stay-caching")),
        (_java, ("WithJedis", "3", "stay")),
        (_java, ("WithJedis", "3", "stay-caching")),
        (_java, ("WithLettuce", "3", "stay")),
        (_java, ("WithLettuce", "3", "stay-caching")),
        (_node, ("ioredis-6", "3")),
        (_node, ("redis", "3", "caching")),
        (_node, ("redis-6", "3", "caching")),
        (_node, ("@valkey/valkey-glide", "3")),
        (_python, ("redis-py-5", "3", "caching")),
        (_python, ("redis-py-8", "3", "caching")),
    ],
}
"""By version of RESP. A client begins in RESP2, so in RESP3 there may be shared connections of both."""
CASES = [
    pytest.param(protocol, command, how, id="-".join([command.__name__.strip("_"), *how]))
    for protocol, clients in CLIENTS.items()
    for command, how in clients
]


@pytest.mark.parametrize(("protocol", "command", "how"), CASES)
def test_only_clients_that_track_have_connections_of_their_own(
    sharing: Sharing, request: pytest.FixtureRequest, protocol: str, command: Command, how: Sequence[str]
) -> None:
    sharing.kill_trunks()  # those of the other tests
    with staying(*command(request, address_of(sharing.proxy.json), how)) as printed:
        tracking = printed["seen"]["tracking"]
        assert (tracking > 0) is ("caching" in how[-1])
        assert sharing.number("pinned_clients") == sharing.number('pinned_clients{reason="tracking"}') == tracking
        trunks = sharing.number("upstream_trunks")
        assert trunks <= {"2": TRUNKS, "3": 2 * TRUNKS}[protocol]
        assert sharing.connections() == trunks + tracking
        assert sharing.number("clients") > trunks + tracking
        stored_as_written(sharing, printed["wrote"])


def stored_as_written(sharing: Sharing, wrote: dict[str, str]) -> None:
    """Redis has what Flask would have stored."""
    assert len(wrote) >= 100
    with redis.Redis(unix_socket_path=sharing.redis.unix) as direct:
        for (key, payload), stored in zip(wrote.items(), direct.mget(list(wrote)), strict=True):
            value = json.loads(payload)
            assert stored is not None, key
            assert (int(stored) if type(value) is int else pickle.loads(stored.removeprefix(b"!"))) == value
