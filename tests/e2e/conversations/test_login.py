"""A proxy that logs in to Redis itself: to its clients it is a Redis with the listener's password, to the byte."""

# ruff: noqa: E501 (a conversation reads best on one line)

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests import servers
from tests.e2e.conftest import PrivateRedis, StartProxy
from tests.e2e.conversations.conftest import Both, comparison
from tests.e2e.conversations.scripts import Cut, logins
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire, request

pytestmark = pytest.mark.usefixtures("each_server")

STORED = b"!\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03foo\x94."


@dataclass(frozen=True)
class House:
    """A Redis with the password that clients know, and a proxy with that password before a Redis with another."""

    straight: PrivateRedis
    behind: PrivateRedis
    proxy: ProxyProcess
    open: Address
    """A unix socket of the proxy, which asks for no password."""


@pytest.fixture(scope="module")
def house(redis_executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    straight, behind = (
        PrivateRedis(tmp_path_factory.mktemp(name), redis_executable) for name in ("straight", "behind")
    )
    straight.start("--requirepass", "sesame")
    behind.start("--requirepass", "other")
    with redis.Redis(unix_socket_path=behind.unix, password="other") as administrator:
        administrator.execute_command("ACL", "SETUSER", "proxy", "on", ">its-own", "~*", "&*", "+@all")
    (home / "password").write_text("its-own\n")
    (home / "sesame").write_text("sesame")
    config = home / "config.toml"
    config.write_text(
        f'[[listener]]\nbind = "127.0.0.1:0"\npassword_file = "{home}/sesame"\n'
        f'[[listener]]\nbind = "unix:{home}/open.sock"\nmode = "0600"\n'
        f'[upstream]\nurl = "unix://{behind.unix}"\nusername = "proxy"\npassword_file = "{home}/password"\n'
    )
    proxy = ProxyProcess(["--config", str(config)])
    try:
        yield House(straight, behind, proxy.wait_until_ready(), f"{home}/open.sock")
    finally:
        proxy.stop()
        straight.kill()
        behind.kill()


@pytest.fixture
def both(house: House, cut: Cut) -> Both:
    """A script on the Redis with the password, and through the proxy with it."""
    return comparison(house.straight.unix, house.proxy.json, cut)


CONVERSATIONS = {
    "nothing without the password": "PING|GET a|SET a 1|MULTI|EXEC|HELLO|HELLO 3|SELECT 1|SUBSCRIBE a|CLIENT REPLY OFF|MONITOR|RESET|GET a",
    "AUTH": "AUTH wrong|GET a|AUTH sesame|GET a|AUTH default sesame|AUTH nobody sesame|GET a|AUTH|AUTH a b c|AUTH wrong|GET a",
    "HELLO with AUTH": "HELLO 3 AUTH default wrong|GET none|HELLO 3 AUTH default sesame SETNAME me|GET none|CLIENT GETNAME|HELLO 2|GET none|HELLO 3 AUTH nobody x SETNAME y|CLIENT GETNAME",
    "HELLO of no known version": "HELLO 9 AUTH default sesame|GET none|HELLO x AUTH default sesame|GET none|HELLO 9|HELLO 03|HELLO 9 AUTH default wrong|"
    "HELLO 9 FOO|GET none|HELLO 3 FOO|HELLO 3 SETNAME|HELLO 3 AUTH x|HELLO 3 SETNAME a FOO x|GET none",
    "odd HELLOs": "AUTH sesame|HELLO 9|HELLO x|HELLO 3 SETNAME|HELLO 3 AUTH x|HELLO 3 FOO|HELLO 2 SETNAME a AUTH default sesame",
    "RESET logs out": "AUTH sesame|GET a|SELECT 3|RESET|GET a|AUTH sesame|GET a|HELLO 3|RESET|AUTH sesame|GET none",
    "QUIT without the password": "QUIT",
    "transactions": "AUTH sesame|MULTI|SET a 1|GET a|EXEC|MULTI|HELLO 3 AUTH default sesame|EXEC|GET none",
}
WRONG_HELLOS = "HELLO 3 AUTH default sesame SETNAME|GET none|HELLO 3 AUTH default wrong FOO|GET none|HELLO 3 FOO AUTH default sesame|GET none|AUTH sesame|GET none"
"""Redis 7.0 goes through the options one by one, and has logged in before it finds what is wrong. We do as later ones."""


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_replies_are_those_of_a_redis_with_the_password(both: Both, name: str) -> None:
    assert both(*logins(CONVERSATIONS[name]))


def test_a_hello_with_a_syntax_error_logs_nobody_in(both: Both, redis_executable: str) -> None:
    if servers.version(redis_executable) < ("redis", 8):
        pytest.skip("Redis 7.0 does otherwise")
    assert both(*logins(WRONG_HELLOS)).count(b"-ERR Syntax error in HELLO option") == 3


@pytest.mark.parametrize(
    "too_much", [request("MGET", *["a"] * 10), request("ECHO", "x" * 16385)], ids=["arguments", "bytes"]
)
def test_before_the_password_only_little_is_taken(both: Both, too_much: bytes) -> None:
    assert b"unauthenticated" in both(too_much, end=b"")


def test_after_the_password_that_much_is_taken(both: Both) -> None:
    assert both(request("AUTH", "sesame") + request("MGET", *["a"] * 100) + request("ECHO", "x" * 100_000))


def test_bytes_without_end_are_not_taken_before_the_password(house: House) -> None:
    with Wire(house.proxy.json) as wire:
        wire.send(b"*2\r\n$4\r\nECHO\r\n$10000000\r\n" + b"x" * 1_000_000)
        assert wire.until_closed() == b"-ERR Protocol error: unauthenticated bulk length\r\n"


def test_a_socket_without_a_password_needs_no_auth(house: House) -> None:
    with Wire(house.open) as wire, redis.Redis(unix_socket_path=house.behind.unix, password="other") as inside:
        assert wire("SET", "flask_cache_a", '"foo"') == b"+OK\r\n"
        assert inside.get("flask_cache_a") == STORED
        assert wire("ACL", "WHOAMI") == b"$5\r\nproxy\r\n"
        assert wire("AUTH", "x").startswith(b"-ERR AUTH <password> called without any password configured")
        assert wire("AUTH", "default", "x") == b"+OK\r\n"
        assert wire("AUTH", "nobody", "x") == b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        assert wire("RESET") == b"+RESET\r\n"
        assert wire("ACL", "WHOAMI") == b"$5\r\nproxy\r\n"
        assert b"$5\r\nproto\r\n:3\r\n" in wire("HELLO", "3", "AUTH", "default", "x")
        assert wire("ACL", "WHOAMI") == b"$5\r\nproxy\r\n"


def test_no_client_learns_the_passwords(house: House) -> None:
    with Wire(house.open) as wire:
        for line in ("CONFIG GET requirepass", "CONFIG GET *", "ACL LIST", "ACL GETUSER proxy", "config get x"):
            assert wire(*line.split()).startswith(b"-ERR flask-cache-proxy: "), line
    assert not any("its-own" in line or "sesame" in line for line in house.proxy.lines)


def test_no_client_becomes_another_user(house: House) -> None:
    with Wire(house.open) as wire:
        for options in (["AUTH\0", "proxy", "x"], ["SETNAME\0", "x", "AUTH", "proxy", "its-own"]):
            assert wire("HELLO", "2", *options).startswith(b"-WRONGPASS"), options
        assert wire("HELLO", "2", "FOO", "AUTH", "default", "other").startswith(b"-ERR Syntax error in HELLO")
        assert wire("HELLO", "2", "AUTH\0", "default", "other").startswith(b"*")  # any password will do on this socket
        assert wire("ACL", "WHOAMI") == b"$5\r\nproxy\r\n"


def test_auth_inside_multi_is_refused_and_aborts(house: House) -> None:
    with Wire(house.open) as wire:
        assert wire("MULTI") == b"+OK\r\n"
        assert wire("AUTH", "default", "x").startswith(b"-ERR flask-cache-proxy: AUTH is refused inside MULTI")
        assert wire("EXEC").startswith(b"-EXECABORT")


def test_commands_that_the_table_does_not_hold_are_asked_about_under_the_login(house: House) -> None:
    with Wire(house.open) as wire:
        assert wire("NO-SUCH-COMMAND", "x").startswith(b"-ERR unknown command 'NO-SUCH-COMMAND'")


@pytest.fixture
def own_login(private_redis: PrivateRedis, start_proxy: StartProxy, tmp_path: Path) -> Callable[[str], ProxyProcess]:
    """A proxy before a Redis with the password `first`; its file holds what is given."""
    private_redis.start("--requirepass", "first")

    def start(password: str) -> ProxyProcess:
        (tmp_path / "password").write_text(password)
        env = {"FLASK_CACHE_PROXY_UPSTREAM_PASSWORD_FILE": str(tmp_path / "password")}
        listen = f"unix:{tmp_path / 's'}"
        return start_proxy("--listen", listen, "--upstream", f"unix://{private_redis.unix}?db=4", env=env)

    return start


def test_the_password_file_is_read_at_every_dial_and_the_database_selected(
    own_login: Callable[[str], ProxyProcess], private_redis: PrivateRedis, tmp_path: Path
) -> None:
    proxy = own_login("first\n")
    inside = redis.Redis(unix_socket_path=private_redis.unix, password="first", db=4)
    with inside, Wire(proxy.json) as old:
        assert old("SET", "a", "1") == b"+OK\r\n"
        assert inside.get("a") == b"1"
        inside.config_set("requirepass", "second")
        (tmp_path / "password").write_text("second\n")
        with Wire(proxy.json) as new:
            assert new("RESET") == b"+RESET\r\n"
            assert new("GET", "a") == b"$1\r\n1\r\n"
        assert old("GET", "a") == b"$1\r\n1\r\n"


@pytest.mark.per_client  # the log has another line
def test_a_wrong_password_is_said_to_the_client(own_login: Callable[[str], ProxyProcess]) -> None:
    proxy = own_login("wrong")
    proxy.expect(r"closing: Redis refused the proxy's own login \(upstream.username, upstream.password\)$")
    with Wire(proxy.json) as wire:
        wire.send(request("PING"))
        assert wire.until_closed().startswith(
            b"-ERR flask-cache-proxy: Redis refused the proxy's own login (upstream.username, upstream.password): "
            b"WRONGPASS"
        )


def test_a_password_file_that_is_gone_is_said_to_the_client(
    own_login: Callable[[str], ProxyProcess], tmp_path: Path
) -> None:
    proxy = own_login("first")
    proxy.expect("cannot be read|cannot log in")
    (tmp_path / "password").unlink()
    with Wire(proxy.json) as wire:
        assert wire.until_closed() == (
            b"-ERR flask-cache-proxy: the proxy cannot log in to Redis: it has no password, and its log says why\r\n"
        )
