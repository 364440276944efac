"""The users of the manifests, in a real Redis: app and proxy can do their work, and nobody else can write the cache."""

# ruff: noqa: E501 (a conversation reads best on one line)

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import redis

from tests.deploy.files import DEPLOY, kubernetes_users, resource
from tests.e2e.conftest import PrivateRedis, client_of
from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.wire import Wire, pipeline

KEY = "flask_cache_view//index"
PRICE = "flask_cache_price"  # under the key of a view, a number is refused
STORED = b"!\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03foo\x94."
PASSWORDS = {"flask": "of-the-app", "flask-cache-proxy": "of-the-proxy", "others": "of-others"}

As = Callable[[str], redis.Redis]


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """A Redis with the users of kubernetes.yaml, each with a password of its own. Tests use `server`."""
    home = tmp_path_factory.mktemp("users")
    lines = []
    for line in kubernetes_users().splitlines():
        password = PASSWORDS.get(line.split()[1], "")
        assert (">change-me" in line) == bool(password)
        lines.append(line.replace(">change-me", f">{password}"))
    (home / "users.acl").write_text("\n".join(lines))
    own = PrivateRedis(home)
    own.start("--aclfile", str(home / "users.acl"))
    yield own
    own.kill()


@pytest.fixture
def server(shared_server: PrivateRedis) -> PrivateRedis:
    """That Redis, with an empty cache."""
    with client_of(shared_server.unix, username="flask", password=PASSWORDS["flask"]) as app:
        if keys := app.keys("flask_cache_*"):
            app.delete(*keys)
    return shared_server


@pytest.fixture
def as_user(server: PrivateRedis) -> Iterator[As]:
    """Clients of Redis itself, by the name of their user."""
    clients: list[redis.Redis] = []

    def client(name: str) -> redis.Redis:
        clients.append(client_of(server.unix, username=name, password=PASSWORDS[name]))
        return clients[-1]

    yield client
    for each in clients:
        each.close()


@pytest.fixture(scope="module")
def shared_proxy(shared_server: PrivateRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """The sidecar with its own configuration, except for addresses. Tests use `proxy`."""
    home = tmp_path_factory.mktemp("proxy")
    text: str = resource("ConfigMap", "flask-cache-proxy")["data"]["config.toml"]
    text = text.replace("/run/flask-cache-proxy", str(home)).replace("/etc/flask-cache-proxy/secrets", str(home))
    (home / "config.toml").write_text(text.replace('format = "json"', 'format = "text"'))
    (home / "redis-password").write_text(PASSWORDS["flask-cache-proxy"])
    arguments = ["--config", str(home / "config.toml"), "--upstream", f"unix://{shared_server.unix}"]
    proxy = ProxyProcess(arguments)
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def proxy(shared_proxy: ProxyProcess, server: PrivateRedis) -> ProxyProcess:
    """That proxy, with an empty cache."""
    return shared_proxy


@pytest.fixture
def app(server: PrivateRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`deploy/app.py`, as `flask`."""
    monkeypatch.setenv("REDIS_URL", f"unix://flask:{PASSWORDS['flask']}@{server.unix}")
    spec = importlib.util.spec_from_file_location("app", DEPLOY / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.app.app_context():
        yield module
    for client in {id(one): one for one in vars(module.cache.cache).values() if isinstance(one, redis.Redis)}.values():
        client.close()


CONVERSATIONS = {
    "values": (f'SET {KEY} "foo" EX 60|GET {KEY}|TTL {KEY}|EXISTS {KEY}|TYPE {KEY}', b'+OK\r\n$5\r\n"foo"\r\n:60\r\n:1\r\n+string\r\n'),
    "all forms of SET": (
        f"SETEX {PRICE} 60 1|PSETEX {PRICE} 60000 1|SETNX {PRICE} 2|GETSET {PRICE} 3|GETEX {PRICE} PERSIST|GETDEL {PRICE}",
        b"+OK\r\n+OK\r\n:0\r\n$1\r\n1\r\n$1\r\n3\r\n$1\r\n3\r\n",
    ),
    "several": (
        "MSET flask_cache_a 1 flask_cache_b 2|MGET flask_cache_a flask_cache_b flask_cache_c|UNLINK flask_cache_a|DEL flask_cache_b",
        b"+OK\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n:1\r\n:1\r\n",
    ),
    "counters": (f"INCR {PRICE}|INCRBY {PRICE} 4|DECR {PRICE}|EXPIRE {PRICE} 60|PERSIST {PRICE}", b":1\r\n:5\r\n:4\r\n:1\r\n:1\r\n"),
    "a transaction": (
        f"WATCH {PRICE}|MULTI|SET {PRICE} true|GET {PRICE}|EXEC|MULTI|DISCARD|UNWATCH",
        b"+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$4\r\ntrue\r\n+OK\r\n+OK\r\n+OK\r\n",
    ),
    "what clients begin with": ("CLIENT SETNAME me|CLIENT GETNAME|SELECT 0|ECHO a|PING", None),
    "RESP3, tracking": (f"HELLO 3|CLIENT TRACKING ON|GET {KEY}|CLIENT TRACKING OFF|RESET|PING", None),
    "publish and subscribe": ("PUBLISH news 1|SUBSCRIBE news|UNSUBSCRIBE news|PING", None),
    "looking around": ("SCAN 0 MATCH flask_cache_*|DBSIZE|INFO server|COMMAND COUNT", None),
    "a reply that is not wanted": (f"CLIENT REPLY SKIP|GET {KEY}|PING", b"+PONG\r\n"),
}  # fmt: skip


class TestTheProxy:
    @pytest.mark.parametrize("name", CONVERSATIONS)
    def test_its_user_may_do_what_clients_do(self, proxy: ProxyProcess, name: str) -> None:
        lines, replies = CONVERSATIONS[name]
        with Wire(proxy.json) as client:
            client.send(pipeline(*lines.split("|"), "QUIT"))
            received = client.until_closed()
        assert b"NOPERM" not in received
        assert b"-ERR" not in received
        assert replies is None or received == replies + b"+OK\r\n"

    def test_it_may_ask_about_commands_that_it_does_not_know(self, proxy: ProxyProcess) -> None:
        with Wire(proxy.json) as client:
            assert client("NOSUCHCOMMAND", "a").startswith(b"-ERR unknown command 'NOSUCHCOMMAND'")

    @pytest.mark.parametrize(
        "words",
        ["SET session:1 x", "GET session:1", "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG SET dir /tmp", "ACL WHOAMI",
         "SHUTDOWN", "MONITOR", "SAVE", "EVAL_RO return 0", "CLIENT LIST", "CLIENT KILL TYPE normal"],
    )  # fmt: skip
    def test_its_user_may_do_nothing_else(self, as_user: As, words: str) -> None:
        with pytest.raises(redis.exceptions.NoPermissionError):
            as_user("flask-cache-proxy").execute_command(*words.split())

    def test_its_user_may_do_what_the_survey_does(
        self, shared_server: PrivateRedis, as_user: As, tmp_path: Path
    ) -> None:
        as_user("flask").set(KEY, STORED)
        as_user("others").mset({f"session:{number}": "x" for number in range(20)})
        (tmp_path / "password").write_text(PASSWORDS["flask-cache-proxy"])
        arguments = ["--listen", f"unix:{tmp_path / 's.sock'}", "--upstream", f"unix://{shared_server.unix}"]
        env = {
            "FLASK_CACHE_PROXY_LOG_SURVEY": "true",
            "FLASK_CACHE_PROXY_UPSTREAM_USERNAME": "flask-cache-proxy",
            "FLASK_CACHE_PROXY_UPSTREAM_PASSWORD_FILE": str(tmp_path / "password"),
        }
        surveying = ProxyProcess(arguments, env=env)
        try:
            surveying.wait_for_line(r": 1 of \d+ sampled keys are Flask's$")
            surveying.wait_for_line(r"\d+ of \d+ sampled keys are hidden from the survey")
        finally:
            surveying.stop()
            as_user("others").delete(*(f"session:{number}" for number in range(20)))

    def test_what_it_writes_the_app_serves(self, proxy: ProxyProcess, app: ModuleType) -> None:
        with client_of(proxy.json) as producer:
            producer.set(KEY, '"Hello from a producer"', ex=60)
        with app.app.test_client() as browser:
            assert browser.get("/index").text == "Hello from a producer"


class TestTheApp:
    def test_it_caches_and_clears(self, proxy: ProxyProcess, app: ModuleType) -> None:
        with app.app.test_client() as browser, client_of(proxy.json) as producer:
            assert browser.get("/index").text == "Hello from Flask"
            assert producer.get(KEY) == b'"Hello from Flask"'
            app.cache.clear()
            assert producer.get(KEY) is None

    def test_its_whole_interface(self, app: ModuleType) -> None:
        cache = app.cache
        assert cache.set("a", {"b": 1})
        assert cache.add("c", 2)
        assert cache.set_many({"d": 3, "e": 4})
        assert cache.get_many("a", "c", "d") == [{"b": 1}, 2, 3]
        assert cache.get_dict("e") == {"e": 4}
        assert cache.cache.inc("c") == 3
        assert cache.has("a")
        assert cache.delete("a")
        assert cache.delete_many("c", "d")


class TestAStranger:
    ATTEMPTS = (
        ("SET", KEY, STORED),
        ("APPEND", KEY, STORED),
        ("SETRANGE", KEY, "0", STORED),
        ("GETSET", KEY, STORED),
        ("MSET", "session:1", "x", KEY, STORED),
        ("RENAME", "session:mine", KEY),
        ("COPY", "session:mine", KEY),
        ("RESTORE", KEY, "0", b"\0"),
        ("BITOP", "NOT", KEY, "session:mine"),
        ("SORT", "session:list", "STORE", KEY),
        ("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", KEY, STORED),
        ("EVAL", f"return redis.call('SET', '{KEY}', ARGV[1])", "0", STORED),
        ("DEL", KEY),
        ("GET", KEY),
        ("ACL", "SETUSER", "others", "~*"),
        ("CONFIG", "SET", "dir", "/"),
        ("REPLICAOF", "127.0.0.1", "1"),
        ("MIGRATE", "127.0.0.1", "1", KEY, "0", "1"),
        ("FLUSHALL",),
    )

    @pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda words: f"{words[0]} {words[-1]!r:.20}")
    def test_another_user_cannot_write_the_cache(self, as_user: As, attempt: tuple[str | bytes, ...]) -> None:
        others = as_user("others")
        others.set("session:mine", STORED)
        others.delete("session:list")
        others.rpush("session:list", "1")
        with pytest.raises(redis.exceptions.ResponseError, match=r"no permissions|can't access"):
            others.execute_command(*attempt)
        assert as_user("flask").get(KEY) is None

    @pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda words: f"{words[0]} {words[-1]!r:.20}")
    def test_whoever_has_no_password_can_do_nothing(
        self, server: PrivateRedis, attempt: tuple[str | bytes, ...]
    ) -> None:
        with Wire(server.unix) as client:
            assert client(*attempt) == b"-NOAUTH Authentication required.\r\n"
            assert client("AUTH", "default", "").startswith(b"-WRONGPASS")
