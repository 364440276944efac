"""The settings of rules and guard on a real Redis: default_ttl, untouched, read-only, allow_scripts."""

import hashlib
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.lock import Lock

from tests.e2e.attempts import EVIL
from tests.e2e.conftest import RedisServer, StartProxy, client_of
from tests.e2e.inspection import everything
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]
Serve = Callable[[str], ProxyProcess]
OURS = b"-ERR flask-cache-proxy: "
REFUSED = "flask-cache-proxy: "


RULES = """
[[rule]]
keys = "short_*"
default_ttl = 1000
[[rule]]
keys = "frozen_*"
as = "read-only"
[[rule]]
keys = "flask_cache_lock_*"
as = "untouched"
[[rule]]
keys = "flask_cache_*"
"""
LOCK_SCRIPTS = (Lock.LUA_RELEASE_SCRIPT, Lock.LUA_EXTEND_SCRIPT, Lock.LUA_REACQUIRE_SCRIPT)


def sha1(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()


def allowing(*scripts: str) -> str:
    """A guard's configuration; the first SHA1 is in upper case, as somebody may paste it."""
    first, *others = map(sha1, scripts)
    return f"[guard]\nallow_scripts = {[first.upper(), *others]}\n"


@pytest.fixture(scope="module")
def shared_proxy(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """A proxy with a rule of each kind."""
    file = tmp_path_factory.mktemp("rules") / "config.toml"
    file.write_text(RULES + allowing(*LOCK_SCRIPTS))
    proxy = ProxyProcess(
        ["--config", str(file), "--listen", "json=127.0.0.1:0", "--upstream", f"unix://{redis_server.unix}"]
    )
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def client(proxy: ProxyProcess, connect: Connect) -> Wire:
    """A raw connection to it."""
    return connect(proxy.json)


@pytest.fixture
def serve(start_proxy: StartProxy, direct: redis.Redis, tmp_path: Path) -> Serve:
    """Starts a proxy with another configuration."""

    def start(config: str) -> ProxyProcess:
        file = tmp_path / "config.toml"
        file.write_text(config)
        return start_proxy("--config", str(file))

    return start


class TestDefaultTtl:
    """Seconds for a SET that names no expiry, and for nothing else."""

    KEY = "short_k"

    @pytest.mark.parametrize("transaction", [False, True], ids=["alone", "in a transaction"])
    @pytest.mark.parametrize(
        ("line", "left"),
        [
            ("SET short_k 1", 1000),
            ("set short_k [1]", 1000),
            ("SET short_k 1 XX", 1000),
            ("SET short_k 1 GET", 1000),
            ("SET short_k 1 xx get", 1000),
            ("SET short_k 1 EX 2000", 2000),
            ("SET short_k 1 ex 2000 XX", 2000),
            ("SET short_k 1 GET PX 3000000", 3000),
            ("SET short_k 1 KEEPTTL", 500),
            ("SET short_k 1 XX keepttl", 500),
            ("SETEX short_k 2000 1", 2000),
            ("PSETEX short_k 3000000 1", 3000),
            ("GETSET short_k 1", -1),
            ("MSET short_k 1", -1),
            ("INCR short_k", 500),
            ("SETNX short_k 1", 500),
            ("MSETNX short_k 1", 500),
            ("SET short_k 1 NX", 500),
            ("SET short_k {nope", 500),
            ("GETEX short_k", 500),
        ],
    )
    def test_of_a_key_that_had_500(
        self, client: Wire, direct: redis.Redis, line: str, left: int, transaction: bool
    ) -> None:
        direct.set(self.KEY, "7", ex=500)
        script = ["MULTI", line, "EXEC"] if transaction else [line]
        client.send(pipeline(*script))
        client.replies(len(script))
        assert left - 30 <= direct.ttl(self.KEY) <= left

    @pytest.mark.parametrize(
        ("line", "left"),
        [
            ("SET short_k 1 NX", 1000),
            ("SET short_k 1 KEEPTTL", -1),
            ("SETNX short_k 1", -1),
            ("MSETNX short_k 1 short_l 2", -1),
            ("INCR short_k", -1),
            ("SET short_k 1 PXAT 99999999999999 NX", None),
        ],
    )
    def test_of_a_key_that_was_not_there(self, client: Wire, direct: redis.Redis, line: str, left: int | None) -> None:
        client.send(pipeline(line))
        client.reply()
        ttl = direct.ttl(self.KEY)
        assert ttl > 10**9 if left is None else left - 30 <= ttl <= left

    def test_other_keys_live_on(self, client: Wire, direct: redis.Redis) -> None:
        client("SET", "other", "x")
        assert direct.ttl("other") == -1


class TestUntouched:
    KEY = b"flask_cache_lock_k"

    def test_values_are_what_the_client_wrote(self, client: Wire, direct: redis.Redis) -> None:
        assert client("SET", self.KEY, EVIL) == b"+OK\r\n"
        assert direct.get(self.KEY) == EVIL
        assert client("GETSET", self.KEY, b"\x00{") == b"$%d\r\n%b\r\n" % (len(EVIL), EVIL)
        assert client("APPEND", self.KEY, b"\xff") == b":3\r\n"
        assert client("MGET", self.KEY, "flask_cache_k") == b"*2\r\n$3\r\n\x00{\xff\r\n$-1\r\n"

    def test_any_type_will_do(self, client: Wire, direct: redis.Redis) -> None:
        for line in (f"RPUSH {self.KEY.decode()} x", f"DEL {self.KEY.decode()}", f"HSET {self.KEY.decode()} f v"):
            client.send(pipeline(line))
            assert client.reply() == b":1\r\n"
        assert direct.hgetall(self.KEY) == {b"f": b"v"}

    def test_in_one_transaction_with_a_managed_key(self, client: Wire, direct: redis.Redis) -> None:
        client.send(pipeline("MULTI", "SET flask_cache_lock_k [1]", "SET flask_cache_k [1]", "INCR flask_cache_lock_n"))
        client.send(pipeline("MGET flask_cache_lock_k flask_cache_k", "GET flask_cache_lock_k", "EXEC"))
        client.replies(6)
        assert client.reply() == b"*5\r\n+OK\r\n+OK\r\n:1\r\n*2\r\n$3\r\n[1]\r\n$3\r\n[1]\r\n$3\r\n[1]\r\n"
        assert direct.get(self.KEY) == b"[1]"
        assert pickle.loads(direct.get("flask_cache_k")[1:]) == [1]

    @pytest.mark.parametrize("command", ["RENAME", "RENAMENX", "COPY"])
    def test_nothing_moves_between_them_and_managed_keys(self, client: Wire, direct: redis.Redis, command: str) -> None:
        direct.mset({self.KEY: EVIL, "flask_cache_k": "1"})
        assert client(command, self.KEY, "flask_cache_new").startswith(OURS)
        assert client(command, "flask_cache_k", "flask_cache_lock_new").startswith(OURS)
        assert direct.exists("flask_cache_new", "flask_cache_lock_new") == 0


class TestReadOnly:
    KEY = "frozen_k"

    @pytest.fixture(autouse=True)
    def stored(self, direct: redis.Redis) -> None:
        direct.set(self.KEY, b"!" + pickle.dumps([1]), ex=1000)
        direct.set("flask_cache_k", "1")

    @pytest.mark.parametrize(
        ("line", "reply"),
        [
            ("GET frozen_k", b"$3\r\n[1]\r\n"),
            ("MGET frozen_k flask_cache_k none", b"*3\r\n$3\r\n[1]\r\n$1\r\n1\r\n$-1\r\n"),
            ("EXISTS frozen_k", b":1\r\n"),
            ("TTL frozen_none", b":-2\r\n"),
            ("TYPE frozen_k", b"+string\r\n"),
            ("TOUCH frozen_k", b":1\r\n"),
            ("OBJECT ENCODING frozen_k", b"$6\r\nembstr\r\n"),
            ("WATCH frozen_k", b"+OK\r\n"),
            ("KEYS frozen*", b"*1\r\n$8\r\nfrozen_k\r\n"),
        ],
    )
    def test_reads_are_decoded(self, client: Wire, line: str, reply: bytes) -> None:
        client.send(pipeline(line))
        assert client.reply() == reply

    @pytest.mark.parametrize(
        "line",
        [
            "SET frozen_k 1", "SET frozen_k 1 GET", "SETEX frozen_k 1 1", "PSETEX frozen_k 1 1",
            "SETNX frozen_new 1", "GETSET frozen_k 1", "MSET flask_cache_k 2 frozen_k 1",
            "MSETNX flask_cache_n 2 frozen_n 1", "GETDEL frozen_k", "GETEX frozen_k EX 1", "GETEX frozen_k PERSIST",
            "INCR frozen_new", "DECRBY frozen_new 1", "DEL frozen_k", "DEL flask_cache_k frozen_k", "UNLINK frozen_k",
            "EXPIRE frozen_k 1", "PEXPIREAT frozen_k 1", "PERSIST frozen_k", "MOVE frozen_k 1",
            "RENAME frozen_k frozen_l", "RENAME flask_cache_k frozen_k", "RENAME frozen_k flask_cache_k",
            "COPY frozen_k frozen_l", "COPY frozen_k flask_cache_l", "COPY flask_cache_k frozen_k REPLACE",
        ],
    )  # fmt: skip
    def test_writes_are_refused(self, client: Wire, direct: redis.Redis, line: str) -> None:
        before = everything(direct)
        client.send(pipeline(line, "MULTI", line, "EXEC", "PING"))
        assert client.reply().startswith(OURS)
        assert client.reply() == b"+OK\r\n"
        assert client.reply().startswith(OURS)
        assert client.reply().startswith(b"-EXECABORT")
        assert client.reply() == b"+PONG\r\n"
        assert sorted(everything(direct)) == sorted(before)
        assert 900 < direct.ttl(self.KEY) <= 1000


class TestAllowedScripts:
    """By their SHA1, with the scripts of redis-py's Lock."""

    def test_the_example_names_those_of_redis_py(self) -> None:
        example = (Path(__file__).parents[2] / "config.example.toml").read_text()
        assert [sha1(script) for script in LOCK_SCRIPTS if sha1(script) not in example] == []

    @pytest.fixture(params=["lock", "flask_cache_lock_job"])
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_a_lock_is_taken_extended_and_released(self, producer: redis.Redis, direct: redis.Redis, name: str) -> None:
        direct.script_flush()  # so that the client has to load them
        with producer.lock(name, timeout=50) as lock:
            assert not producer.lock(name, blocking=False).acquire()
            lock.extend(500)
            assert 500 < direct.ttl(name) <= 550
            lock.reacquire()
            assert direct.ttl(name) <= 50
        assert direct.exists(name) == 0

    def test_a_lock_of_another_is_not_released(self, producer: redis.Redis, direct: redis.Redis, name: str) -> None:
        lock = producer.lock(name, timeout=50)
        assert lock.acquire()
        direct.set(name, "taken over")
        with pytest.raises(redis.exceptions.LockNotOwnedError):
            lock.release()

    def test_eval_of_the_same_text_passes_too(self, producer: redis.Redis, direct: redis.Redis, name: str) -> None:
        direct.set(name, "token")
        assert producer.eval(Lock.LUA_RELEASE_SCRIPT, 1, name, "other") == 0
        assert producer.eval(Lock.LUA_RELEASE_SCRIPT, 1, name, "token") == 1

    def test_in_a_transaction(self, producer: redis.Redis, direct: redis.Redis, name: str) -> None:
        direct.set(name, "token")
        direct.script_load(Lock.LUA_RELEASE_SCRIPT)
        with producer.pipeline() as pipe:
            pipe.evalsha(sha1(Lock.LUA_RELEASE_SCRIPT), 1, name, "token").set("flask_cache_k", "[1]").get(
                "flask_cache_k"
            )
            assert pipe.execute() == [1, True, b"[1]"]

    @pytest.mark.parametrize(
        "args",
        [
            ("EVAL", "return redis.call('set', 'flask_cache_k', 'x')", "0"),
            ("EVAL", Lock.LUA_RELEASE_SCRIPT + " ", "1", "lock", "x"),
            ("EVAL", Lock.LUA_RELEASE_SCRIPT + "\0", "1", "lock", "x"),
            ("EVALSHA", sha1("return redis.call('set', 'flask_cache_k', 'x')"), "0"),
            ("EVALSHA", sha1(Lock.LUA_RELEASE_SCRIPT) + "\0", "1", "lock", "x"),
            ("EVALSHA", sha1(Lock.LUA_RELEASE_SCRIPT)[:39], "1", "lock", "x"),
            ("EVALSHA", "", "1", "lock", "x"),
            ("FCALL", sha1(Lock.LUA_RELEASE_SCRIPT), "1", "lock", "x"),
            ("EVAL",),
            ("EVALSHA",),
        ],
        ids=repr,
    )
    def test_no_other_script_passes(self, client: Wire, direct: redis.Redis, args: tuple[str, ...]) -> None:
        direct.script_load("return redis.call('set', 'flask_cache_k', 'x')")
        is_sha1 = len(args) > 1 and re.fullmatch("[0-9a-f]{40}", args[1])
        said = b"-NOSCRIPT " if args[0] == "EVALSHA" and not is_sha1 else OURS  # so that a client tries EVAL
        for spelled in (args, (args[0].lower(), *args[1:])):
            client.send(request(*spelled) + pipeline("MULTI") + request(*spelled) + pipeline("EXEC"))
            assert client.reply().startswith(said)
            assert client.replies(3).count(said) == 1
        assert direct.dbsize() == 0

    def test_not_on_a_managed_key(self, producer: redis.Redis, direct: redis.Redis) -> None:
        direct.set("flask_cache_k", "1")
        with pytest.raises(redis.ResponseError, match=REFUSED):
            producer.eval(Lock.LUA_RELEASE_SCRIPT, 1, "flask_cache_k", "1")
        assert direct.get("flask_cache_k") == b"1"

    def test_a_lock_whose_scripts_are_not_all_listed(self, serve: Serve, direct: redis.Redis, name: str) -> None:
        with client_of(serve(RULES + allowing(Lock.LUA_RELEASE_SCRIPT)).json) as client:
            lock = client.lock(name, timeout=50)
            assert lock.acquire()
            with pytest.raises(redis.ResponseError, match="allow_scripts"):
                lock.extend(500)
            lock.release()
        assert direct.dbsize() == 0

    def test_none_is_listed(self, serve: Serve, direct: redis.Redis) -> None:
        with client_of(serve(RULES).json) as client:
            lock = client.lock("lock", timeout=50)
            assert lock.acquire()
            with pytest.raises(redis.ResponseError, match="allow_scripts"):
                lock.release()

    def test_all_are_allowed(self, serve: Serve, direct: redis.Redis) -> None:
        with client_of(serve('[guard]\nscripts = "allow"\n').json) as client:
            assert client.eval("return redis.call('set', KEYS[1], ARGV[1])", 1, "other", "x") == b"OK"
            with client.lock("lock", timeout=50):
                pass
            with pytest.raises(redis.ResponseError, match=REFUSED):
                client.eval("return redis.call('set', KEYS[1], ARGV[1])", 1, "flask_cache_k", "x")
        assert direct.keys() == [b"other"]
