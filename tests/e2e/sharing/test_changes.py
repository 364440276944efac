"""What changes at Redis or in the settings while clients share connections: nobody hangs, or gets another's reply."""

import signal
from pathlib import Path

import pytest

from tests import servers
from tests.e2e.conftest import PrivateRedis
from tests.e2e.proxy_process import wait_until
from tests.e2e.sharing.conftest import Share, Sharing
from tests.e2e.sharing.load import Load
from tests.e2e.wire import Wire, pipeline, request

OK = b"+OK\r\n"
PONG = b"+PONG\r\n"
LOGGED = "a shared connection|Redis closed with|cannot reach Redis|closed the connection|max number of clients"


def tells(redis: PrivateRedis, *lines: str, password: str = "") -> None:
    """Send commands to Redis itself."""
    with Wire(redis.unix) as wire:
        if password:
            assert wire("AUTH", password) == OK
        for line in lines:
            assert not (reply := wire(*line.split())).startswith(b"-"), reply


def kill_trunks(redis: PrivateRedis, password: str = "") -> None:
    """Redis closes all connections but the one that asks."""
    tells(redis, "CLIENT KILL TYPE normal SKIPME yes", password=password)


# -- Redis ----------------------------------------------------------------------------------------------------


def test_trunks_that_are_killed_again_and_again_under_load_mix_up_nobody(
    share: Share, private_redis: PrivateRedis
) -> None:
    private_redis.start()
    own = share()
    own.proxy.expect(LOGGED)
    with Load(lambda: own.proxy.json) as load:
        for _ in range(10):
            load.goes_on()
            kill_trunks(private_redis)
        load.goes_on()


def test_a_redis_that_dies_and_comes_back_under_load_mixes_up_nobody(share: Share, private_redis: PrivateRedis) -> None:
    private_redis.start()
    own = share()
    own.proxy.expect(LOGGED)
    with Load(lambda: own.proxy.json) as load:
        for _ in range(3):
            load.goes_on()
            private_redis.kill()
            private_redis.start()
        load.goes_on()


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (("REPLICAOF 127.0.0.1 1",), ("REPLICAOF NO ONE",)),
        (("CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1"), ("REPLICAOF NO ONE",)),
        (("CONFIG SET min-replicas-to-write 1",), ("CONFIG SET min-replicas-to-write 0",)),
        (("CONFIG SET maxmemory 1",), ("CONFIG SET maxmemory 0",)),
        (("CONFIG SET maxclients 1",), ("CONFIG SET maxclients 1000",)),
    ],
    ids=["READONLY", "MASTERDOWN", "NOREPLICAS", "OOM", "maxclients"],
)
def test_a_redis_that_is_not_ready_under_load_mixes_up_nobody(
    share: Share, private_redis: PrivateRedis, begin: tuple[str, ...], end: tuple[str, ...]
) -> None:
    private_redis.start()
    own = share()
    own.proxy.expect(LOGGED)
    with Wire(private_redis.unix) as admin, Load(lambda: own.proxy.json) as load:
        load.goes_on()
        for line in begin:
            assert admin(*line.split()) == OK
        assert admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").startswith(b":")
        refused = sum(load.closed)
        wait_until(lambda: sum(load.closed) > refused + 20, "clients to be refused")
        for line in end:
            assert admin(*line.split()) == OK
        load.goes_on()


def test_a_redis_that_is_upgraded_under_a_client_gets_nothing_of_its_library(
    share: Share, private_redis: PrivateRedis, tmp_path: Path
) -> None:
    later = PrivateRedis(tmp_path, servers.executable("redis-8"))
    private_redis.start()
    own = share(connections=1)
    own.proxy.expect(LOGGED)
    client = own.client()
    private_redis.kill()
    later.start()
    try:
        assert client("PING") == PONG
        client("CLIENT", "SETINFO", "LIB-NAME", "its-library")
        with Wire(later.unix) as wire:
            listed = wire("CLIENT", "LIST")
        assert b"lib-name=flask-cache-proxy" in listed
        assert b"its-library" not in listed
        assert own.client()("CLIENT", "SETINFO", "LIB-NAME", "its-library") == OK
        own.proxy.stop()
    finally:
        later.kill()


# -- passwords ------------------------------------------------------------------------------------------------


def logging_in(share: Share, tmp_path: Path, password: str) -> Sharing:
    """A proxy with a password file for Redis."""
    file = tmp_path / "password"
    file.write_text(password)
    listen = f"json=unix:{tmp_path / 'json.sock'}"
    return share("--listen", listen, FLASK_CACHE_PROXY_UPSTREAM_PASSWORD_FILE=str(file))


def test_a_password_that_changes_under_the_trunks_counts_for_the_next_ones(
    share: Share, private_redis: PrivateRedis, tmp_path: Path
) -> None:
    private_redis.start("--requirepass", "old")
    own = logging_in(share, tmp_path, "old\n")
    own.proxy.expect(LOGGED + "|Redis refused the proxy's own login")
    idle = own.clients(4)
    tells(private_redis, "CONFIG SET requirepass new", password="old")
    assert idle[0]("PING") == PONG  # it is logged in
    kill_trunks(private_redis, "new")
    wait_until(lambda: own.number("upstream_connections") == 0, "the proxy to notice")
    with Wire(own.proxy.json) as client:
        assert b"Redis refused the proxy's own login" in client.until_closed()
    idle[1].send(request("PING"))
    assert PONG not in idle[1].until_closed()
    (tmp_path / "password").write_text("new\n")
    assert idle[2]("PING") == PONG
    assert idle[3]("MULTI") == OK
    assert own.client()("PING") == PONG


def test_a_redis_that_restarts_with_a_password_is_named_until_it_has_none(
    share: Share, private_redis: PrivateRedis
) -> None:
    private_redis.start()
    own = share()
    own.proxy.expect(LOGGED + "|requires a password")
    idle = own.clients(4)
    private_redis.kill()
    private_redis.start("--requirepass", "secret")
    idle[0].send(request("PING"))
    assert PONG not in idle[0].until_closed()
    with Wire(own.proxy.json) as client:
        assert b"requires a password" in client.until_closed()
    private_redis.kill()
    private_redis.start()
    assert idle[1]("PING") == PONG
    assert idle[2]("MULTI") == OK
    assert own.client()("PING") == PONG


def test_a_user_that_loses_its_rights_under_the_trunks(
    share: Share, private_redis: PrivateRedis, tmp_path: Path
) -> None:
    private_redis.start()
    tells(private_redis, "ACL SETUSER app on >secret ~* &* +@all")
    listen = f"json=unix:{tmp_path / 'json.sock'}"
    login = {"FLASK_CACHE_PROXY_UPSTREAM_USERNAME": "app", "FLASK_CACHE_PROXY_UPSTREAM_PASSWORD": "secret"}
    own = share("--listen", listen, **login)
    own.proxy.expect(LOGGED + "|Redis refused the proxy's own login|NOPERM")
    idle = own.clients(4)
    tells(private_redis, "ACL SETUSER app -get -client")
    assert idle[0]("GET", "a").startswith(b"-NOPERM")
    assert idle[0]("ECHO", "a") == b"$1\r\na\r\n"
    own.kill_trunks()
    idle[1].send(pipeline("ECHO a", "GET a", "CLIENT SETINFO LIB-NAME x", "PING"))
    assert idle[1].reply() == b"$1\r\na\r\n"
    assert idle[1].reply().startswith(b"-NOPERM")
    assert idle[1].reply().startswith((OK, b"-NOPERM", b"-ERR unknown subcommand"))
    assert idle[1].reply() == PONG
    assert idle[2]("HELLO", "3").startswith(b"%")
    assert idle[2]("GET", "a").startswith(b"-NOPERM")
    tells(private_redis, "ACL DELUSER app")  # Redis closes its connections
    idle[3].send(request("PING"))
    assert PONG not in idle[3].until_closed()
    tells(private_redis, "ACL SETUSER app on >secret ~* &* +@all")
    assert own.client()("GET", "a") == b"$-1\r\n"


# -- reload ---------------------------------------------------------------------------------------------------


def reload(own: Sharing) -> None:
    """As `systemctl reload`."""
    seen = len(own.proxy.lines)
    own.proxy.process.send_signal(signal.SIGHUP)
    own.proxy.wait_for_line("reloaded", seen)


def test_a_listeners_password_that_changes_counts_for_the_next_login(
    share: Share, private_redis: PrivateRedis, tmp_path: Path
) -> None:
    private_redis.start("--requirepass", "upstream")
    file = tmp_path / "listener"
    file.write_text("old\n")
    own = share(FLASK_CACHE_PROXY_LISTENER_PASSWORD_FILE=str(file), FLASK_CACHE_PROXY_UPSTREAM_PASSWORD="upstream")
    known, later, stranger, resetting = (Wire(own.proxy.json) for _ in range(4))
    assert known("AUTH", "old") == OK
    assert resetting("HELLO", "3", "AUTH", "default", "old").startswith(b"%")
    assert stranger("GET", "a").startswith(b"-NOAUTH")
    file.write_text("new\n")
    reload(own)
    assert known("PING") == PONG
    assert later("AUTH", "old").startswith(b"-WRONGPASS")
    assert later("GET", "a").startswith(b"-NOAUTH")
    assert later("HELLO", "3", "AUTH", "default", "new").startswith(b"%")
    assert later("GET", "a") == b"_\r\n"
    assert resetting("RESET") == b"+RESET\r\n"
    assert resetting("GET", "a").startswith(b"-NOAUTH")
    assert resetting("AUTH", "old").startswith(b"-WRONGPASS")
    assert resetting("AUTH", "new") == OK
    assert resetting("GET", "a") == b"$-1\r\n"
    assert stranger("AUTH", "new") == OK
    assert stranger("PING") == PONG
    assert own.number("pinned_clients") == 0
    for client in (known, later, stranger, resetting):
        client.close()


def test_reloads_under_load_mix_up_nobody(share: Share, private_redis: PrivateRedis, tmp_path: Path) -> None:
    private_redis.start()
    config = tmp_path / "config.toml"
    texts = ['[[rule]]\nkeys = "a:*"\n', '[limits]\nbuffered_bytes = 65536\n[[rule]]\nkeys = "b:*"\nas = "view"\n']
    config.write_text(texts[0])
    own = share("--config", str(config))
    with Load(lambda: own.proxy.json) as load:
        for number in range(6):
            load.goes_on()
            config.write_text(texts[number % 2])
            reload(own)
        load.goes_on()
        assert sum(load.closed) == 0


def test_a_smaller_buffer_closes_a_client_that_does_not_read_and_nobody_else(
    share: Share, private_redis: PrivateRedis, tmp_path: Path
) -> None:
    private_redis.start()
    config = tmp_path / "config.toml"
    config.write_text("[limits]\nbuffered_bytes = 100000000\n[[rule]]\nkeys = 'a:*'\n")
    own = share("--config", str(config), connections=1)
    own.proxy.expect(r"closed, because .*(\[limits\] buffered_bytes|\[upstream\] connections)")
    bystander, hog = own.clients(2)
    value = "x" * 500_000
    assert bystander("SET", "s", value) == OK
    hog.send(request("GET", "s") * 40)
    assert hog.replies(40).count(value.encode()) == 40
    config.write_text("[limits]\nbuffered_bytes = 65536\n[[rule]]\nkeys = 'a:*'\n")
    reload(own)
    hog.send(request("GET", "s") * 40)

    def is_closed() -> bool:
        assert bystander("PING") == PONG
        return own.number("closed_clients_total") == 1

    wait_until(is_closed, "the proxy to close it")
    assert bystander("PING") == PONG
