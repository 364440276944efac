"""Clients that hang up at awkward moments: Redis must not keep what they held."""

import json
import sys
from collections.abc import Callable

import pytest
import redis

from proxy.resp.encode import command
from tests.e2e.conftest import RedisServer, StartProxy
from tests.e2e.proxy_process import Address, ProxyProcess, connected, wait_until
from tests.e2e.wire import Wire, pipeline, request

BLOCKED = command(b"BLPOP", b"ghost", b"0")


def blocked(direct: redis.Redis) -> Callable[[], bool]:
    return lambda: any("b" in client["flags"] for client in direct.client_list())


def test_a_blocked_clients_place_is_free_as_soon_as_it_is_gone(proxy: ProxyProcess, direct: redis.Redis) -> None:
    client = connected(proxy.json)
    client.sendall(BLOCKED)
    wait_until(blocked(direct), "BLPOP to block")
    client.close()
    wait_until(lambda: not blocked(direct)(), "Redis to drop the blocked command")
    direct.rpush("ghost", "job")
    assert direct.llen("ghost") == 1


@pytest.mark.parametrize("behind", [command(b"RESET"), command(b"SUBSCRIBE", b"c"), command(b"NO.SUCH.COMMAND")])
def test_a_client_that_is_not_being_read_is_missed_when_it_hangs_up(
    proxy: ProxyProcess, direct: redis.Redis, behind: bytes
) -> None:
    client = connected(proxy.json)
    client.sendall(BLOCKED + behind)
    wait_until(blocked(direct), "BLPOP to block")
    client.close()
    wait_until(lambda: not blocked(direct)(), "the proxy to notice")


HALF_CLOSED = {
    "a command that may block and need not": "BLPOP l 0",
    "one inside a transaction": "MULTI|BLPOP l 0|EXEC",
    "one that blocks": "SET a 1|BLPOP none 0",
    "one that blocks before others": "BLPOP l 0|BLPOP none 0|SET never 1",
    "a stream with entries": "XADD s 1-1 f v|XREAD BLOCK 0 STREAMS s 0",
    "a subscriber": "SUBSCRIBE c|PING",
    "half a command": "SET a 1|GET",
    "an error": "SET a 1|NOSUCH|INCR",
    "replies off": "CLIENT REPLY OFF|SET a 1|CLIENT REPLY ON|GET a",
}


@pytest.mark.parametrize("name", HALF_CLOSED)
def test_who_sends_no_more_gets_what_redis_itself_would_give(
    proxy: ProxyProcess, redis_server: RedisServer, direct: redis.Redis, name: str
) -> None:
    asked = pipeline(*HALF_CLOSED[name].split("|"))
    came, left = [], []
    for address in (redis_server.unix, proxy.json):
        direct.flushall()
        direct.rpush("l", "x")
        with Wire(address) as wire:
            wire.send(asked)
            wire.send_no_more()
            came.append(wire.until_closed())
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 0, "Redis to drop what blocks")
        left.append((direct.lrange("l", 0, -1), direct.exists("never")))
    assert came[0] == came[1]
    assert left[0] == left[1]


def test_who_sends_no_more_waits_for_the_converter_as_long_as_it_takes(
    start_proxy: StartProxy, direct: redis.Redis, connect: Callable[[Address], Wire]
) -> None:
    proxy = start_proxy(command=(sys.executable, "-W", "error", "-c", IMPATIENT, "serve"))
    assert connect(proxy.json)("SET", "flask_cache_k", json.dumps(["x" * 100] * 20_000)) == b"+OK\r\n"
    whole = connect(proxy.json)("GET", "flask_cache_k")
    clients = [connect(proxy.json) for _ in range(12)]
    for client in clients:
        client.send(request("GET", "flask_cache_k"))
        client.send_no_more()
    assert {client.until_closed() == whole for client in clients} == {True}


IMPATIENT = """
import proxy.downstream.connection
proxy.downstream.connection._PROGRESS = 0.01
from proxy.cli import main
main()
"""
"""A proxy to which a hundredth of a second without progress is long."""
