"""AUTH passes through to a server of each kind: replies stay in step, and strangers are kept within Redis' bounds.

Redis 7.2 to 8.6 and Valkey 7.2 to 8.1 do not answer a login that fails while anything is pending for the client.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis

from tests.conftest import RedisServer
from tests.e2e.conftest import PrivateRedis, StartProxy
from tests.e2e.conversations.scripts import comparable
from tests.e2e.proxy_process import Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]

KEY = "flask_cache_a"
STORED = b"!\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03foo\x94."
VALUE = b'$5\r\n"foo"\r\n'
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
REFUSED = b"-ERR flask-cache-proxy: AUTH is refused inside MULTI, where Redis may leave it unanswered\r\n"
FAILING = ["AUTH nobody x", "HELLO 3 AUTH nobody x", "HELLO 2 SETNAME me AUTH nobody x"]


@contextmanager
def proxy_before(server: RedisServer) -> Iterator[ProxyProcess]:
    proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--upstream", f"unix://{server.unix}"])
    try:
        yield proxy.wait_until_ready()
        proxy.check_log()
    finally:
        proxy.stop()


@pytest.fixture(scope="module")
def before(each_server: RedisServer) -> Iterator[ProxyProcess]:
    """A proxy before a server that wants no password."""
    with proxy_before(each_server) as proxy:
        yield proxy


@pytest.fixture
def inside(each_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the server itself, which holds one managed key."""
    with redis.Redis(unix_socket_path=each_server.unix) as client:
        client.flushall()
        client.set(KEY, STORED)
        yield client


@pytest.mark.usefixtures("inside")
class TestInStep:
    @pytest.mark.parametrize("login", [*FAILING, "AUTH default x y", "AUTH x", "AUTH"])
    def test_whatever_is_sent_with_it(self, before: ProxyProcess, connect: Connect, login: str) -> None:
        client = connect(before.json)
        client.send(pipeline("PING", login, f"GET {KEY}", f"GET {KEY}", "QUIT"))
        came = client.until_closed()
        assert came.startswith(b"+PONG\r\n-")
        assert came.endswith(VALUE * 2 + b"+OK\r\n")
        assert (WRONG in came) is (login in FAILING)

    def test_one_that_succeeds(self, before: ProxyProcess, connect: Connect) -> None:
        client = connect(before.json)
        client.send(pipeline("PING", "AUTH default x", f"GET {KEY}", "HELLO 3 AUTH default x", f"GET {KEY}", "QUIT"))
        assert client.replies(3) == b"+PONG\r\n+OK\r\n" + VALUE
        assert client.reply().startswith(b"%")
        assert client.until_closed() == VALUE + b"+OK\r\n"

    @pytest.mark.parametrize("login", FAILING)
    def test_inside_multi(self, before: ProxyProcess, connect: Connect, login: str) -> None:
        client = connect(before.json)
        client.send(pipeline("MULTI", f"GET {KEY}", login, f"GET {KEY}", "EXEC", f"GET {KEY}", login, "QUIT"))
        assert client.until_closed() == (
            b"+OK\r\n+QUEUED\r\n" + REFUSED + b"+QUEUED\r\n"
            b"-EXECABORT Transaction discarded because of previous errors.\r\n" + VALUE + WRONG + b"+OK\r\n"
        )

    @pytest.mark.parametrize("login", FAILING)
    def test_of_a_subscriber_in_resp2_who_may_not(
        self, before: ProxyProcess, each_server: RedisServer, connect: Connect, login: str
    ) -> None:
        came = []
        for address in (each_server.unix, before.json):
            client = connect(address)
            client.send(pipeline("SUBSCRIBE c", login, "UNSUBSCRIBE", "QUIT"))
            came.append(client.until_closed())
        assert came[1] == came[0]
        assert b"-ERR Can't execute" in came[0]

    @pytest.mark.parametrize("login", [*FAILING, "AUTH default x", "HELLO 3 AUTH default x", "AUTH a b c"])
    @pytest.mark.parametrize("pushed_by", ["PUBLISH c m", "SET k v"])
    def test_with_a_push_of_another_client_right_before_it(
        self, before: ProxyProcess, each_server: RedisServer, connect: Connect, login: str, pushed_by: str
    ) -> None:
        """The server is asleep while both are sent, and then takes them in that order."""
        client, other, sleeper = connect(before.json), connect(each_server.unix), connect(each_server.unix)
        client("HELLO", "3")
        own_id = client("CLIENT", "ID")[1:-2]
        other.send(pipeline("HELLO 3") + request("CLIENT", "TRACKING", "on", "REDIRECT", own_id) + pipeline("GET k"))
        other.replies(3)
        if pushed_by.startswith("PUBLISH"):
            client.send(pipeline("SUBSCRIBE c"))
            client.reply()
        sleeper.send(pipeline("DEBUG SLEEP 0.05"))
        other.send(pipeline(pushed_by))
        client.send(pipeline(login, f"GET {KEY}", f"GET {KEY}", "QUIT"))
        came = client.until_closed()
        assert came.count(b">") == 1
        assert came.endswith(VALUE * 2 + b"+OK\r\n")
        lines = came.removesuffix(VALUE * 2 + b"+OK\r\n").split(b"\r\n")
        assert sum(line[:1] in (b"-", b"+") or line[:2] == b"%7" for line in lines) == 1, came
        assert (WRONG in came) is (login in FAILING)

    @pytest.mark.parametrize("login", ["AUTH default x", "HELLO 3 AUTH default x", *FAILING])
    def test_of_one_who_tracks_keys(self, before: ProxyProcess, connect: Connect, login: str) -> None:
        client = connect(before.json)
        client.send(
            pipeline("HELLO 3", "CLIENT TRACKING on", f"GET {KEY}", f"SET {KEY} 1", login, f"GET {KEY}", "QUIT")
        )
        came = client.until_closed()
        assert came.count(b"invalidate") == 1
        assert came.endswith(b"$1\r\n1\r\n+OK\r\n")
        assert (WRONG in came) is (login in FAILING)

    @pytest.mark.parametrize("login", FAILING)
    def test_after_a_reset_and_a_select_of_our_own(
        self, start_proxy: StartProxy, each_server: RedisServer, connect: Connect, login: str
    ) -> None:
        proxy = start_proxy("--upstream", f"unix://{each_server.unix}?db=1")
        client = connect(proxy.json)
        client.send(pipeline("SET k 1", "HELLO 3", "RESET", login, "GET k", "RESET", "GET k", "QUIT"))
        client.replies(2)
        assert client.until_closed() == b"+RESET\r\n" + WRONG + b"$1\r\n1\r\n+RESET\r\n$1\r\n1\r\n+OK\r\n"


CONVERSATIONS = [
    "AUTH nobody x|PING|AUTH default x|PING|AUTH x|ACL WHOAMI|AUTH|AUTH a b c",
    "HELLO 3 AUTH nobody x|HELLO 3|HELLO 2 AUTH default x SETNAME me|CLIENT GETNAME|HELLO 3 AUTH default",
    "HELLO 3|AUTH nobody x|HELLO 9 AUTH default x|HELLO 2 AUTH nobody x|HELLO 3 FOO AUTH a b|HELLO 3 SETNAME auth",
    "HELLO 3 AUTH default x|AUTH nobody x|RESET|AUTH nobody x|HELLO 3|RESET|HELLO 3 AUTH nobody x|AUTH default x",
    "HELLO 3|CLIENT TRACKING on|AUTH nobody x|GET a|SUBSCRIBE c|AUTH nobody x|AUTH default x|UNSUBSCRIBE|AUTH nobody x",
]


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_one_command_at_a_time_it_is_as_on_the_server_itself(
    before: ProxyProcess, each_server: RedisServer, connect: Connect, conversation: str
) -> None:
    """Nothing is pending then, so that every version answers."""
    came = []
    for address in (each_server.unix, before.json):
        client = connect(address)
        replies = []
        for line in conversation.split("|"):
            client.send(pipeline(line, "ECHO done"))
            replies.append(comparable(client.until(rb"\$4\r\ndone\r\n")))
        came.append(replies)
    assert came[1] == came[0]


BULK = b"-ERR Protocol error: unauthenticated bulk length\r\n"
MULTIBULK = b"-ERR Protocol error: unauthenticated multibulk length\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
TOO_MUCH = [
    (b"*100\r\n", MULTIBULK),
    (b"*11\r\n$4\r\nMGET\r\n", MULTIBULK),
    (request("MGET", *["a"] * 10), MULTIBULK),
    (b"*1\r\n$100000000\r\n", BULK),
    (b"*2\r\n$4\r\nECHO\r\n$16385\r\n", BULK),
    (request("ECHO", "x" * 16385), BULK),
]


@pytest.fixture(scope="module")
def guarded(each_server: RedisServer) -> Iterator[ProxyProcess]:
    """A proxy before a server that wants a password, which the proxy has not."""
    with redis.Redis(unix_socket_path=each_server.unix) as administrator:
        administrator.config_set("requirepass", "sesame")
        try:
            with proxy_before(each_server) as proxy:
                yield proxy
        finally:
            administrator.config_set("requirepass", "")


class TestStrangers:
    @pytest.mark.parametrize(("sent", "ending"), TOO_MUCH, ids=lambda value: repr(value[:20]))
    @pytest.mark.parametrize(
        "first",
        ["", "PING", "NOSUCH x", "GET", "AUTH x", "HELLO 3 AUTH default x", "HELLO", "RESET", "AUTH sesame|RESET"],
    )
    def test_are_closed_as_the_server_closes_them(
        self, guarded: ProxyProcess, each_server: RedisServer, connect: Connect, first: str, sent: bytes, ending: bytes
    ) -> None:
        lines = first.split("|") if first else []
        came = []
        for address in (each_server.unix, guarded.json):
            client = connect(address)
            for line in lines:  # one at a time: see the other tests
                client.send(pipeline(line))
                came.append(client.reply())
            client.send(sent)
            came.append(client.until_closed())
        if first.startswith("NOSUCH"):
            assert came[2] == NOAUTH  # the server tells strangers nothing of it, and some that there is none
            came[0] = came[2]
        assert came[len(came) // 2 :] == came[: len(came) // 2]
        assert came[-1] == ending

    @pytest.mark.parametrize(("sent", "ending"), TOO_MUCH, ids=lambda value: repr(value[:20]))
    def test_all_at_once(self, guarded: ProxyProcess, connect: Connect, sent: bytes, ending: bytes) -> None:
        client = connect(guarded.json)
        client.send(pipeline("PING", "AUTH nobody x", "GET a") + sent)
        assert client.until_closed() == NOAUTH + WRONG + NOAUTH + ending

    @pytest.mark.parametrize("login", ["AUTH sesame", "AUTH default sesame", "HELLO 2 AUTH default sesame"])
    def test_are_none_once_they_are_known(self, guarded: ProxyProcess, connect: Connect, login: str) -> None:
        client = connect(guarded.json)
        client.send(pipeline(login) + request("MGET", *["a"] * 100) + request("ECHO", "x" * 100_000))
        assert client.reply()[:1] in (b"+", b"*")
        assert client.replies(2) == b"*100\r\n" + b"$-1\r\n" * 100 + b"$100000\r\n" + b"x" * 100_000 + b"\r\n"

    @pytest.mark.parametrize(
        "line", [f"SET {KEY} bad{{", "EVAL x 0", "SHUTDOWN", "SYNC", "RPUSH flask_cache_a x", "XADD.NONE a"]
    )
    def test_are_told_nothing_of_what_the_proxy_refuses(
        self, guarded: ProxyProcess, connect: Connect, line: str
    ) -> None:
        client = connect(guarded.json)
        assert client(*line.split()) == NOAUTH
        assert client("AUTH", "sesame") == b"+OK\r\n"
        assert client(*line.split()).startswith(b"-ERR flask-cache-proxy: ")

    def test_hold_no_memory(self, guarded: ProxyProcess, connect: Connect) -> None:
        clients = [connect(guarded.json) for _ in range(4)]
        for client in clients:
            client("PING")
        before = guarded.resident_bytes()
        for client in clients:
            client.send(b"*2\r\n$4\r\nECHO\r\n$50000000\r\n" + b"x" * 1_000_000)
            assert client.until_closed() == BULK
        assert guarded.resident_bytes() - before < 8 * 1024 * 1024


def restarted(own: PrivateRedis, *options: str) -> None:
    own.kill()
    own.start(*options)


class TestWhetherAPasswordIsWanted:
    def test_is_asked_again_when_redis_has_restarted(
        self, private_redis: PrivateRedis, start_proxy: StartProxy, connect: Connect
    ) -> None:
        private_redis.start()
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
        many = request("MGET", *["a"] * 10)
        assert connect(proxy.json)("MGET", *["a"] * 10).startswith(b"*10")
        restarted(private_redis, "--requirepass", "sesame")
        with connect(proxy.json) as client:
            client.send(many)
            assert client.until_closed() == MULTIBULK
        restarted(private_redis)
        assert connect(proxy.json)("MGET", *["a"] * 10).startswith(b"*10")

    def test_is_asked_when_redis_comes_after_the_proxy(
        self, private_redis: PrivateRedis, start_proxy: StartProxy, connect: Connect
    ) -> None:
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
        proxy.expect("cannot reach Redis")
        assert connect(proxy.json).until_closed().startswith(b"-ERR flask-cache-proxy: cannot reach Redis")
        private_redis.start("--requirepass", "sesame")
        with connect(proxy.json) as client:
            client.send(b"*100\r\n")
            assert client.until_closed() == MULTIBULK

    def test_is_asked_by_each_worker_and_once_for_many_clients(
        self, private_redis: PrivateRedis, start_proxy: StartProxy, connect: Connect
    ) -> None:
        private_redis.start("--requirepass", "sesame")
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}", env={"FLASK_CACHE_PROXY_SERVER_WORKERS": "2"})
        with ExitStack() as stack:
            clients = [stack.enter_context(Wire(proxy.json)) for _ in range(20)]
            for client in clients:
                client.send(b"*1\r\n$100000000\r\n")
            assert {client.until_closed() for client in clients} == {BULK}

    def test_a_default_user_who_needs_none_is_no_stranger(
        self, private_redis: PrivateRedis, start_proxy: StartProxy, connect: Connect
    ) -> None:
        private_redis.start()
        with redis.Redis(unix_socket_path=private_redis.unix) as administrator:
            administrator.execute_command("ACL", "SETUSER", "default", "-ping")
            proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
            assert connect(proxy.json)("PING").startswith(b"-NOPERM")
            assert connect(proxy.json)("MGET", *["a"] * 100).startswith(b"*100")

    def test_a_password_that_is_wanted_no_more_is_found_out_by_the_first_answer(
        self, private_redis: PrivateRedis, start_proxy: StartProxy, connect: Connect
    ) -> None:
        private_redis.start("--requirepass", "sesame")
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
        client = connect(proxy.json)
        assert client("PING") == NOAUTH
        with redis.Redis(unix_socket_path=private_redis.unix, password="sesame") as administrator:
            administrator.config_set("requirepass", "")
        client.send(pipeline("PING") + request("MGET", *["a"] * 100))
        assert client.reply() == b"+PONG\r\n"
        assert client.reply().startswith(b"*100")

    def test_the_connection_that_asks_takes_no_place(
        self, private_redis: PrivateRedis, start_proxy: StartProxy, connect: Connect
    ) -> None:
        private_redis.start("--maxclients", "2")
        proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
        first = connect(proxy.json)
        # Redis may not have seen yet that the asking connection was closed.
        wait_until(lambda: b"connected_clients:1\r\n" in first("INFO", "clients"), "Redis to have one client")
        assert connect(proxy.json)("PING") == b"+PONG\r\n"
