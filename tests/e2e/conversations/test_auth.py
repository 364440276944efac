"""Passwords and users: a Redis that wants them, straight and through. The proxy holds none, AUTH passes through it."""

# ruff: noqa: E501 (a conversation reads best on one line)

from collections.abc import Callable, Iterator

import pytest
import redis

from tests.e2e.conftest import PrivateRedis
from tests.e2e.conversations.conftest import Both, comparison
from tests.e2e.conversations.scripts import Cut, lines, logins
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire, request

pytestmark = [pytest.mark.usefixtures("each_server"), pytest.mark.per_client]

USERS = {
    "worker": "on >secret ~* &* +@all",
    "no-discard": "on >secret ~* +@all -discard",
    "no-reply": "on >secret ~* +@all -client|reply",
    "reader": "on >secret %R~a* +@read +multi +exec +auth &c",
    "off": "off >secret ~* +@all",
}


@pytest.fixture(scope="module")
def guarded(
    redis_executable: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PrivateRedis, ProxyProcess]]:
    """A Redis with a password and users, and a proxy before it."""
    own = PrivateRedis(tmp_path_factory.mktemp("guarded"), redis_executable)
    own.start("--requirepass", "sesame")
    with redis.Redis(unix_socket_path=own.unix, password="sesame") as administrator:
        for name, abilities in USERS.items():
            administrator.execute_command("ACL", "SETUSER", name, *abilities.split())
        administrator.mset({"a": "1", "b": "2"})
    proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--upstream", f"unix://{own.unix}"])
    try:
        yield own, proxy.wait_until_ready()
    finally:
        proxy.stop()
        own.kill()


@pytest.fixture
def both(guarded: tuple[PrivateRedis, ProxyProcess], cut: Cut) -> Both:
    """As elsewhere, but on the guarded Redis."""
    return comparison(guarded[0].unix, guarded[1].json, cut)


CONVERSATIONS = {
    "nothing without a password": "PING|GET a|SET a 1|MULTI|EXEC|HELLO|HELLO 3|SELECT 1|SUBSCRIBE a|CLIENT REPLY OFF|MONITOR|RESET|GET|COMMAND",
    "AUTH": "AUTH wrong|GET a|AUTH sesame|GET a|AUTH default sesame|AUTH nobody sesame|GET a|AUTH|AUTH a b c|ACL WHOAMI|RESET|GET a",
    "AUTH as a user": "AUTH worker wrong|AUTH off secret|AUTH worker secret|ACL WHOAMI|GET a|AUTH reader secret|ACL WHOAMI|GET a|AUTH wrong|ACL WHOAMI",
    "HELLO with AUTH": "HELLO 3 AUTH default wrong|GET none|HELLO 3 AUTH default sesame|GET none|HELLO 2 AUTH worker secret SETNAME me|CLIENT GETNAME|ACL WHOAMI|"
    "HELLO 3 AUTH nobody x SETNAME other|CLIENT GETNAME|GET none|HELLO 9 AUTH default sesame|GET none",
    "what a user may not": "AUTH reader secret|SET a 1|GET b|MGET a b|SUBSCRIBE d|CONFIG GET *|SELECT 1|HELLO|MULTI|GET a|GET b|EXEC|MULTI|GET a|EXEC|PING",
    "a DISCARD that is refused": "AUTH no-discard secret|MULTI|GET a|DISCARD|GET a|EXEC|MULTI|GET a|MGET a b|EXEC|GET a|MULTI|DISCARD|RESET|GET a",
    "a CLIENT REPLY that is refused": "AUTH no-reply secret|CLIENT REPLY OFF|GET a|CLIENT REPLY SKIP|GET a|CLIENT REPLY ON|GET a",
    "RESET logs out": "AUTH sesame|GET a|SELECT 3|RESET|GET a|AUTH sesame|GET a|HELLO 3|RESET|AUTH sesame|GET none",
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_replies_are_the_same(both: Both, name: str) -> None:
    assert both(*logins(CONVERSATIONS[name]))


@pytest.mark.parametrize(
    "too_much",
    [request("MGET", *["a"] * 10), request("ECHO", "x" * 16385)],
    ids=["arguments", "bytes"],
)
def test_a_stranger_who_sends_much_is_closed_in_redis_words(both: Both, too_much: bytes) -> None:
    came = both(lines("GET a") + too_much, end=b"")
    assert came.endswith((b"unauthenticated multibulk length\r\n", b"unauthenticated bulk length\r\n"))


def test_a_client_that_is_known_may_send_as_much(both: Both) -> None:
    both(lines("AUTH sesame") + request("MGET", *["a"] * 100) + request("ECHO", "x" * 20_000))


def test_a_command_that_redis_does_not_tell_us_of_is_refused_with_the_reason(
    guarded: tuple[PrivateRedis, ProxyProcess], connect: Callable[[Address], Wire]
) -> None:
    client = connect(guarded[1].json)
    client("AUTH", "sesame")
    for sent, name in ((["NOSUCH", "a"], b"NOSUCH"), (["client", "nosuch"], b"CLIENT|NOSUCH")):
        assert client(*sent) == (
            b"-ERR flask-cache-proxy: %s is not known here, and Redis does not say what it is (NOAUTH Authentication"
            b' required.); "%s" in [guard] allow lets it through\r\n' % (name, name)
        )
    assert client("GET", "a") == b"$1\r\n1\r\n"
