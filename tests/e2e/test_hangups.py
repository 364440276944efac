"""Clients that hang up at awkward moments: Redis must not keep what they held."""

from collections.abc import Callable

import pytest
import redis

from proxy.resp.writers import command
from tests.e2e.proxy_process import ProxyProcess, connected, wait_until

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
