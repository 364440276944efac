"""The relay does what the tests with it rely on."""

import random
import socket
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.e2e.conftest import RedisServer
from tests.e2e.proxy_process import Address
from tests.e2e.relay import End, Relay, cut_after, late, straight, trouble
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]
PINGS = 200


def test_straight_changes_nothing(redis_server: RedisServer, connect: Connect) -> None:
    with Relay(redis_server.unix) as relay:
        client = connect(relay.address)
        client.send(pipeline("PING") * PINGS)
        assert client.replies(PINGS) == b"+PONG\r\n" * PINGS


@pytest.mark.parametrize("how", End)
def test_a_cut_lets_just_so_many_bytes_pass(redis_server: RedisServer, connect: Connect, how: End) -> None:
    with Relay(redis_server.unix, lambda: (straight, cut_after(10, how))) as relay:
        client = connect(relay.address)
        client.send(pipeline("PING", "PING"))
        assert client.until(b".{10}") == b"+PONG\r\n+PO"
        if how is End.RESET:
            with pytest.raises(ConnectionResetError):
                client.socket.recv(1)
        else:
            assert client.socket.recv(1) == b""


def test_trouble_without_an_end_loses_nothing(redis_server: RedisServer, connect: Connect) -> None:
    rng = random.Random(1)
    with Relay(redis_server.unix, lambda: (trouble(rng, 0), trouble(rng, 0))) as relay:
        client = connect(relay.address)
        client.send(pipeline("PING") * PINGS)
        assert client.replies(PINGS) == b"+PONG\r\n" * PINGS


@pytest.mark.parametrize("seed", range(3))
def test_late_keeps_the_order_of_both_directions(redis_server: RedisServer, connect: Connect, seed: int) -> None:
    """The tests of a cluster that moves rely on this: a wrong order there is the proxy's."""
    rng = random.Random(seed)
    with Relay(redis_server.unix, lambda: (late(rng, 0.0, 0.003), late(rng, 0.0, 0.003))) as relay:
        clients = [connect(relay.address) for _ in range(3)]
        for number in range(PINGS):
            for client in clients:
                client.send(request("ECHO", f"{number}"))
        echoes = b"".join(b"$%d\r\n%d\r\n" % (len(str(number)), number) for number in range(PINGS))
        assert [client.replies(PINGS) for client in clients] == [echoes] * len(clients)


def test_trouble_ends_sooner_or_later(redis_server: RedisServer, connect: Connect) -> None:
    rng = random.Random(1)
    with Relay(redis_server.unix, lambda: (straight, trouble(rng, 0.5))) as relay:
        client = connect(relay.address)
        said = b"x" * 5_000_000
        with suppress(OSError):
            client.send(request("ECHO", said))
        came = client.until_closed()
        assert (b"$%d\r\n%s\r\n" % (len(said), said)).startswith(came)
        assert len(came) < len(said)


def test_a_target_may_change(redis_server: RedisServer, connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with Relay(unused.getsockname()) as relay:
            assert connect(relay.address).until_closed() == b""
            relay.target = redis_server.unix
            assert connect(relay.address)("PING") == b"+PONG\r\n"
