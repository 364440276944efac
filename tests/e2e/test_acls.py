"""docs/security.md: the Redis users that it shows, on a real Redis. Each can do its work, and the last no harm."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result
from flask import Flask
from flask_caching import Cache

from proxy.cli import main
from tests.e2e.conftest import PrivateRedis, StartProxy, client_of
from tests.e2e.wire import Wire

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "security.md").read_text()
(USERS,) = re.findall(r"^```redis\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
PICKLE = b"!\x80\x04N."

pytestmark = pytest.mark.usefixtures("redis_7")


@pytest.fixture
def guarded(private_redis: PrivateRedis) -> PrivateRedis:
    """A Redis with the users of the document."""
    private_redis.start("--enable-debug-command", "yes", "--enable-module-command", "yes")
    with redis.Redis(unix_socket_path=private_redis.unix) as client:
        client.execute_command("ACL", "SETUSER", "admin", "on", ">ADMIN-SECRET", "~*", "+@all")
        for line in USERS.splitlines():
            assert client.execute_command(*line.split()) in (True, b"OK")
    return private_redis


def user(guarded: PrivateRedis, name: str) -> redis.Redis:
    """A client that is logged in."""
    secret = {"flask-cache-proxy": "PROXY-SECRET", "looking-inside": "LOOKING-SECRET"}
    return redis.Redis(
        unix_socket_path=guarded.unix, username=name, password=secret.get(name, f"{name.upper()}-SECRET")
    )


def administrator(guarded: PrivateRedis) -> redis.Redis:
    """A user with all permissions, who is not in the document."""
    return redis.Redis(unix_socket_path=guarded.unix, username="admin", password="ADMIN-SECRET")


@pytest.fixture
def cache(guarded: PrivateRedis) -> Iterator[Cache]:
    """An app's, as its user."""
    app = Flask("shop")
    with user(guarded, "flask") as client:
        cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_HOST": client})
        with app.app_context():
            yield cache


@pytest.fixture
def producer(guarded: PrivateRedis, start_proxy: StartProxy, tmp_path: Path) -> Iterator[redis.Redis]:
    """A client of a proxy that logs in as its user, and that needs no password itself."""
    (secret := tmp_path / "secret").write_text("PROXY-SECRET\n")
    proxy = start_proxy(
        "--listen",
        f"unix:{tmp_path / 'json.sock'}",
        "--upstream",
        f"unix://{guarded.unix}",
        env={
            "FLASK_CACHE_PROXY_UPSTREAM_USERNAME": "flask-cache-proxy",
            "FLASK_CACHE_PROXY_UPSTREAM_PASSWORD_FILE": str(secret),
        },
    )
    with client_of(proxy.json) as client:
        yield client


def test_the_app_does_all_that_it_does(cache: Cache) -> None:
    runs = []

    @cache.memoize(timeout=60)
    def square(number: int) -> int:
        runs.append(number)
        return number * number

    assert [square(3), square(3), runs] == [9, 9, [3]]
    cache.delete_memoized(square)
    assert square(3) == 9
    assert len(runs) == 2
    assert cache.set("a", {"b": 1}, timeout=60)
    assert cache.add("c", 1)
    assert cache.set_many({"d": 1, "e": 2})
    assert cache.get_many("a", "d") == [{"b": 1}, 1]
    assert cache.get_dict("a", "c") == {"a": {"b": 1}, "c": 1}
    backend = cache.cache
    assert backend.inc("d") == 2
    assert backend.dec("d") == 1
    assert cache.has("a")
    assert cache.delete("a")
    assert cache.delete_many("d", "e")
    assert cache.unlink("c")
    assert cache.clear() is not None
    assert cache.get("c") is None


def test_producers_read_and_write_through_the_proxy(producer: redis.Redis, cache: Cache) -> None:
    cache.set("from_flask", (1, 2))
    assert producer.get("flask_cache_from_flask") == b'{"py/tuple":[1,2]}'
    assert producer.set("flask_cache_a", "[1]", ex=60, nx=True)
    assert producer.mset({"flask_cache_b": "1", "flask_cache_c": '"c"'})
    assert producer.mget("flask_cache_a", "flask_cache_b") == [b"[1]", b"1"]
    assert producer.incr("flask_cache_b") == 2
    with producer.pipeline() as pipe:
        pipe.watch("flask_cache_a")
        pipe.multi()
        pipe.getset("flask_cache_a", "[2]").expire("flask_cache_a", 60).ttl("flask_cache_a")
        assert pipe.execute() == [b"[1]", True, 60]
    assert sorted(producer.scan_iter("flask_cache_*")) == [
        b"flask_cache_a", b"flask_cache_b", b"flask_cache_c", b"flask_cache_from_flask",
    ]  # fmt: skip
    assert producer.delete("flask_cache_a", "flask_cache_c") == 2
    assert cache.get("b") == 2
    for command in (("SET", "other", "x"), ("FLUSHALL",), ("KEYS", "*"), ("INFO",)):
        with pytest.raises(redis.ResponseError, match=r"permissions|flask-cache-proxy"):
            producer.execute_command(*command)


def looking(guarded: PrivateRedis, *arguments: str) -> Result:
    """Run a command of the tools as its user."""
    env = {
        "FLASK_CACHE_PROXY_UPSTREAM_URL": f"unix://{guarded.unix}",
        "FLASK_CACHE_PROXY_UPSTREAM_USERNAME": "looking-inside",
        "FLASK_CACHE_PROXY_UPSTREAM_PASSWORD": "LOOKING-SECRET",
    }
    return CliRunner().invoke(main, arguments, env=env)


def test_tools_look_inside_and_fill(guarded: PrivateRedis, cache: Cache, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = looking(guarded, *arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    cache.set("tea", {"price": 1.5})
    cache.set("shop.total_memver", "GOVER1")
    assert run("get", "flask_cache_tea") == '{"price":1.5}\n'
    assert "flask_cache_tea" in run("scan")
    assert "1.5" in run("inspect", "flask_cache_tea")
    assert run("key", "memoize", "shop.total", "1").endswith("GOVER1\n")
    (exported := tmp_path / "cache.ndjson").write_text(run("export"))
    version = ("--memver-key", "flask_cache_shop.total_memver")
    for ttl in ("3600", "0"):
        run("set", "flask_cache_xGOVER1", "1", "--ttl", ttl, *version)
    run("set", "flask_cache_tea", "[]", "--ttl", "60")
    assert cache.get("tea") == []
    run("load", str(exported))
    assert cache.get("tea") == {"price": 1.5}


def test_without_set_they_only_look(guarded: PrivateRedis, cache: Cache) -> None:
    cache.set("tea", 1)
    with administrator(guarded) as admin:
        admin.execute_command("ACL", "SETUSER", "looking-inside", "-set")
    for command in (("get", "flask_cache_tea"), ("inspect", "flask_cache_tea"), ("scan",), ("export",)):
        assert looking(guarded, *command).exit_code == 0
    refused = looking(guarded, "set", "flask_cache_tea", "2", "--ttl", "60")
    assert refused.exit_code != 0
    assert "permission" in refused.output
    assert cache.get("tea") == 1


BY_KEY = [
    "GET flask_cache_a",
    "SET flask_cache_a {pickle}",
    "SETRANGE flask_cache_a 0 {pickle}",
    "MSET session:1 x flask_cache_a {pickle}",
    "RENAME session:pickle flask_cache_a",
    "COPY session:pickle flask_cache_a",
    "COPY session:pickle flask_cache_a DB 1",
    "BITOP NOT flask_cache_a session:pickle",
    "LMOVE session:list flask_cache_a LEFT LEFT",
    "EVAL return(redis.call('SET','flask_cache_a',ARGV[1])) 0 {pickle}",
    "EVAL return(redis.call('SET',KEYS[1],ARGV[1])) 1 flask_cache_a {pickle}",
]
BY_COMMAND = [
    "SORT session:list BY nosort GET # STORE flask_cache_a",
    "RESTORE flask_cache_a 0 x",
    "MIGRATE 127.0.0.1 1 flask_cache_a 0 1",
    "SWAPDB 0 1",
    "REPLICAOF 127.0.0.1 1",
    "CONFIG SET requirepass x",
    "MODULE LOAD /tmp/x.so",
    "DEBUG RELOAD",
    "ACL SETUSER sessions ~*",
    "FLUSHALL",
]


def attempt(client: redis.Redis, words: str) -> None:
    """Send a command, with something to work on."""
    assert client.set("session:pickle", PICKLE)
    assert client.rpush("session:list", PICKLE)
    client.execute_command(*(PICKLE if word == "{pickle}" else word for word in words.split(" ")))


@pytest.mark.parametrize("words", BY_KEY + BY_COMMAND)
def test_everybody_else_is_kept_away(guarded: PrivateRedis, words: str) -> None:
    with (
        user(guarded, "sessions") as client,
        pytest.raises(redis.ResponseError, match=r"no permission|No permissions|can't access"),
    ):
        attempt(client, words)


@pytest.mark.parametrize("words", BY_KEY)
def test_it_is_the_pattern_that_does_it(guarded: PrivateRedis, words: str) -> None:
    """With the cache's keys, too, the same user may do all of it."""
    with administrator(guarded) as admin:
        admin.execute_command("ACL", "SETUSER", "sessions", "~flask_cache_*")
    with user(guarded, "sessions") as client:
        attempt(client, words)


def test_nobody_is_somebody(guarded: PrivateRedis) -> None:
    """The default user, who is everybody without a password."""
    with Wire(guarded.unix) as wire:
        assert wire("GET", "flask_cache_a").startswith(b"-NOAUTH")
