"""The limit of open files, where clients share connections: each client may need one of its own at any time."""

from collections.abc import Callable

from tests.e2e.conftest import StartProxy, without
from tests.e2e.proxy_process import Address
from tests.e2e.test_faults import LIMITED
from tests.e2e.wire import Wire, request

CONNECTIONS = 5
CLIENTS = 8
FILES = 64 + 2 * CONNECTIONS + 2 * CLIENTS
"""What the proxy itself needs, the shared connections of both protocols, and two for each client."""


def test_there_is_a_descriptor_for_all_clients_that_need_a_connection_of_their_own(
    start_proxy: StartProxy, connect: Callable[[Address], Wire]
) -> None:
    *python, program, serve = without()
    env = {"FLASK_CACHE_PROXY_UPSTREAM_CONNECTIONS": str(CONNECTIONS)}
    proxy = start_proxy(command=(*python, LIMITED.format(FILES) + program, serve), env=env)
    proxy.wait_for_line(f"limits.clients is 10000, but the limit of open files is enough for {CLIENTS} clients: ")
    clients = [connect(proxy.json) for _ in range(CLIENTS)]
    for version in ("3", "2", "3"):  # so there are connections of both protocols
        for client in clients:
            client.send(request("HELLO", version) + request("PING") * 100)
        assert all(client.replies(101).endswith(b"+PONG\r\n") for client in clients)
    assert all(client("MULTI") == b"+OK\r\n" for client in clients)
    assert connect(proxy.json).until_closed() == b"-ERR max number of clients reached\r\n"
    assert proxy.descriptors() < FILES
