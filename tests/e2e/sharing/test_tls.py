"""Shared connections over TLS."""

from tests.e2e.sharing.conftest import Share
from tests.e2e.sharing.test_trunks import are_served
from tests.e2e.test_tls import Certificates, env_of, ours, private_redis, tls_redis
from tests.e2e.wire import request

__all__ = ["ours", "private_redis", "tls_redis"]

OK = b"+OK\r\n"


def test_trunks_and_own_links_speak_tls(share: Share, tls_redis: int, ours: Certificates) -> None:
    own = share(upstream=f"rediss://127.0.0.1:{tls_redis}/0", **env_of(ours))
    clients = own.clients(20)
    clients[0]("HELLO", "3")
    are_served(clients)
    assert clients[1]("MULTI") == OK
    assert clients[1]("EXEC") == b"*0\r\n"
    size = 12 * 1024 * 1024  # less than `buffered_bytes`, so it may wait for its client
    assert clients[2]("SETRANGE", "s", str(size - 1), "x") == b":%d\r\n" % size
    for client in clients[2:6]:
        client.send(request("GET", "s"))
    for client in clients[2:6]:
        client.reply()
    are_served(clients[2:])
    assert own.number("pinned_clients") == 1
