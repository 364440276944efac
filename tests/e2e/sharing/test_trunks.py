"""The shared connections themselves: how many there are, and who is hurt when one ends or a client does not read."""

import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import PrivateRedis
from tests.e2e.proxy_process import wait_until
from tests.e2e.sharing.conftest import TRUNKS, Share, Sharing
from tests.e2e.wire import Wire, is_served, pipeline, request

OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
LARGE = 4 * 1024 * 1024
LOST = "a shared connection to Redis at .* ended|Redis closed with \\d+ replies outstanding"


def are_served(clients: list[Wire]) -> None:
    """Each gets its own reply."""
    for number, client in enumerate(clients):
        client.send(request("ECHO", f"<{number}>"))
    for number, client in enumerate(clients):
        assert client.reply() == b"$%d\r\n<%d>\r\n" % (len(str(number)) + 2, number)
        assert client.received == b""


class Stopped:
    """A Redis that does not answer for now."""

    def __init__(self, redis: PrivateRedis) -> None:
        self._redis = redis

    def __enter__(self) -> None:
        assert self._redis.process is not None
        self._redis.process.send_signal(signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        assert self._redis.process is not None
        self._redis.process.send_signal(signal.SIGCONT)


def test_redis_sees_the_trunks_and_those_who_need_their_own(sharing: Sharing) -> None:
    clients = sharing.clients(60)
    for client in clients:
        client.send(request("PING") * 50)
    for client in clients:
        assert client.replies(50) == PONG * 50
    assert sharing.connections() <= TRUNKS
    for client in clients[:30]:
        client("HELLO", "3")
    are_served(clients)
    assert sharing.connections() <= 2 * TRUNKS
    for client in clients[25:35]:
        assert client("WATCH", "a") == OK
    assert sharing.connections() == sharing.number("upstream_trunks") + 10
    assert sharing.number("upstream_connections") == sharing.connections()


# -- the end of a trunk -------------------------------------------------------------------------------------


def test_idle_clients_do_not_notice_that_trunks_end(sharing: Sharing) -> None:
    clients = sharing.clients(20)
    for client in clients[:5]:
        client("HELLO", "3")
    for _ in range(3):
        sharing.kill_trunks()
        are_served(clients)


def test_a_trunk_that_ends_closes_those_who_wait_for_it_and_nobody_else(
    share: Share, private_redis: PrivateRedis
) -> None:
    private_redis.start()
    own = share(connections=1)
    waiting, idle = own.clients(10), own.clients(10)
    assert idle[0]("SETRANGE", "s", str(LARGE - 1), "x") == b":%d\r\n" % LARGE
    own.proxy.expect(LOST)
    with Wire(private_redis.unix) as killer:
        with Stopped(private_redis):
            killer.send(request("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
            for number, client in enumerate(waiting):
                client.send(request("GET", "s") * 4 + request("ECHO", str(number)))
            wait_until(lambda: own.number("pending_replies") == 50, "the requests to arrive")
        assert killer.reply().startswith(b":")
    came = [client.until_closed() for client in waiting]
    reply = b"$%d\r\n%b\r\n" % (LARGE, b"\0" * (LARGE - 1) + b"x")
    for number, data in enumerate(came):
        assert (reply * 4 + b"$1\r\n%d\r\n" % number).startswith(data)
    are_served(idle)
    are_served(own.clients(3))
    assert own.number("trunks_lost_total") == 1


def test_redis_restarts_between_two_commands(share: Share, private_redis: PrivateRedis) -> None:
    private_redis.start()
    own = share()
    clients = own.clients(20)
    pinned = own.client()
    assert pinned("WATCH", "a") == OK
    private_redis.kill()
    assert pinned.until_closed() == b""
    private_redis.start()
    are_served(clients)


def test_redis_is_down_when_clients_connect(share: Share, private_redis: PrivateRedis) -> None:
    private_redis.start()
    own = share()
    idle = own.clients(3)
    private_redis.kill()
    wait_until(lambda: own.number("upstream_connections") == 0, "the trunks to end")
    own.proxy.expect("cannot reach Redis|Redis closed with")
    for _ in range(3):
        with Wire(own.proxy.json) as client:
            client.send(request("PING"))
            assert b"cannot reach Redis" in client.until_closed()
    idle[0].send(request("PING"))
    assert b"PONG" not in idle[0].until_closed()
    private_redis.start()
    wait_until(lambda: is_served(own.proxy.json), "a new trunk")
    are_served(idle[1:])


def test_a_redis_that_wants_a_password_is_named(share: Share, private_redis: PrivateRedis) -> None:
    private_redis.start("--requirepass", "secret")
    own = share()
    own.proxy.expect("requires a password")
    with Wire(own.proxy.json) as client:
        client.send(request("AUTH", "secret"))
        said = client.until_closed()
    assert b"requires a password" in said
    assert b'upstream.connections = "per-client"' in said


def test_the_proxys_own_password_opens_trunks_and_own_links(
    share: Share, private_redis: PrivateRedis, tmp_path: Path
) -> None:
    private_redis.start("--requirepass", "secret")
    own = share(
        "--listen",
        f"json=unix:{tmp_path / 'json.sock'}",
        upstream=f"unix://{private_redis.unix}?db=3",
        FLASK_CACHE_PROXY_UPSTREAM_PASSWORD="secret",
    )
    clients = own.clients(5)
    assert clients[0]("SET", "a", "1") == OK
    clients[1].send(pipeline("SELECT 3", "MULTI", "GET a", "EXEC"))
    assert clients[1].replies(4) == OK * 2 + b"+QUEUED\r\n*1\r\n$1\r\n1\r\n"
    clients[2].send(pipeline("HELLO 3", "SELECT 0", "GET a"))
    clients[2].reply()
    assert clients[2].replies(2) == OK + b"_\r\n"
    assert own.number("pinned_clients") == 2


# -- clients that leave or do not read ----------------------------------------------------------------------


def test_nobody_gets_the_replies_of_a_client_that_has_left(sharing: Sharing) -> None:
    clients = sharing.clients(6)
    assert clients[0]("SET", "s", "x" * 300_000) == OK
    for _ in range(20):
        leaver = Wire(sharing.proxy.json)
        leaver.send(request("GET", "s") * 20)
        leaver.close()
        are_served(clients)


def test_a_client_that_never_reads_is_closed_and_a_bystander_served(sharing: Sharing) -> None:
    bystander, hog = sharing.clients(2)
    assert bystander("SET", "s", "x" * 200_000) == OK
    closed = sharing.number("closed_clients_total")
    sharing.proxy.expect(r"\[\d+\] closed, because .*(\[limits\] buffered_bytes|\[upstream\] connections)")

    hog.send(request("GET", "s") * 1000)
    while sharing.number("closed_clients_total") == closed:
        are_served([bystander])
    are_served([bystander])
    sharing.proxy.wait_for_line(r"closed, because .*(\[limits\] buffered_bytes|\[upstream\] connections)")


def test_a_client_that_reads_a_large_reply_slowly_is_closed_and_a_bystander_served(sharing: Sharing) -> None:
    bystander, slow = sharing.clients(2)
    size = 64 * 1024 * 1024
    assert bystander("SETRANGE", "s", str(size - 1), "x") == b":%d\r\n" % size
    sharing.proxy.expect(r"closed, because you read a large reply too slowly: .*\(\[upstream\] connections\)")
    before = len(sharing.proxy.lines)
    slow.send(request("GET", "s"))
    slow.until(b"^")
    while not any("too slowly" in line for line in sharing.proxy.lines[before:]):
        are_served([bystander])
    assert len(slow.until_closed()) < size
    are_served([bystander])
    assert sharing.proxy.peak_bytes() < 400 * 1024 * 1024


def test_a_large_reply_comes_whole_to_whoever_reads_it(sharing: Sharing) -> None:
    clients = sharing.clients(4)
    size = 20 * 1024 * 1024  # more than `buffered_bytes`: it holds its trunk, for far less than a second
    assert clients[0]("SETRANGE", "s", str(size - 1), "x") == b":%d\r\n" % size
    for client in clients:
        assert len(client("GET", "s")) == size + len(b"$\r\n\r\n") + len(str(size))
    are_served(clients)


def test_a_client_that_reads_is_not_closed_because_its_values_are_converted(sharing: Sharing) -> None:
    bystander, reader = sharing.clients(2)
    value = "[" + ",".join(["12345.5"] * 90_000) + "]"  # the proxy needs longer for it than Redis
    assert reader("SET", "flask_cache_s", value) == OK
    reader.send(request("GET", "flask_cache_s") * 80)
    bystander.send(request("ECHO", "<0>"))
    for _ in range(80):
        assert len(reader.reply()) == len(value) + len(b"$720001\r\n\r\n")
    assert bystander.reply() == b"$3\r\n<0>\r\n"
    are_served([bystander, reader])


# -- the life of the proxy ----------------------------------------------------------------------------------


def test_a_drain_gives_the_replies_that_are_outstanding(share: Share, private_redis: PrivateRedis) -> None:
    private_redis.start()
    own = share()
    waiting, idle = own.clients(5), own.clients(5)
    with Stopped(private_redis):
        for number, client in enumerate(waiting):
            client.send(request("ECHO", str(number)) * 3)
        wait_until(lambda: own.number("pending_replies") == 15, "the requests to arrive")
        own.proxy.terminate()
        own.proxy.wait_for_line("stopping")
    for number, client in enumerate(waiting):
        assert client.until_closed() == b"$1\r\n%d\r\n" % number * 3
    assert {client.until_closed() for client in idle} == {b""}
    assert own.proxy.wait() == 0


def test_a_reload_closes_nobody(share: Share, private_redis: PrivateRedis, tmp_path: Path) -> None:
    private_redis.start()
    config = tmp_path / "config.toml"
    config.write_text('[[rule]]\nkeys = "a:*"\n')
    own = share("--config", str(config))
    clients = own.clients(10)
    assert clients[0]("MULTI") == OK
    assert clients[1]("SET", "b:1", "no json") == OK
    config.write_text('[[rule]]\nkeys = "b:*"\n[limits]\nbuffered_bytes = 1000000\n')
    own.proxy.process.send_signal(signal.SIGHUP)
    own.proxy.wait_for_line("reloaded: 1 rules")
    for client in clients[1:]:
        assert client("SET", "b:1", "no json").startswith(b"-ERR flask-cache-proxy")
    assert clients[0]("EXEC").startswith(b"-EXECABORT")  # the keys of rules are others now
    assert clients[0]("PING") == PONG
    assert own.number("pinned_clients") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_each_worker_has_its_trunks(share: Share, private_redis: PrivateRedis, workers: int) -> None:
    private_redis.start()
    own = share(FLASK_CACHE_PROXY_SERVER_WORKERS=str(workers))
    clients = own.clients(40)
    for _ in range(5):
        are_served(clients)
    assert own.connections() <= workers * TRUNKS
    for client in clients[:4]:
        assert client("MULTI") == OK
    wait_until(lambda: own.number("pinned_clients") == 4, "the pinned clients")
    own.leave()
    wait_until(lambda: own.connections() <= workers * TRUNKS, "the pinned ones to end")


def test_clients_that_wait_for_the_proxy_to_listen_are_all_served(share: Share, private_redis: PrivateRedis) -> None:
    """They come at once, before there is a trunk."""
    private_redis.start()
    for _ in range(3):
        own = share()
        clients = [Wire(own.proxy.json) for _ in range(50)]
        are_served(clients)
        for client in clients:
            client.close()
        own.proxy.terminate()
        assert own.proxy.wait() == 0
