"""A real Redis that refuses, for every reason that it has: its words reach the client to the byte, and life goes on."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import PrivateRedis, StartProxy
from tests.e2e.proxy_process import Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire, is_served, pipeline

Connect = Callable[[Address], Wire]
Condition = Callable[[redis.Redis], AbstractContextManager[None]]
KEY = "flask_cache_k"
ASKED = (
    f"SET {KEY} [1]",
    f"GET {KEY}",
    f"MSET {KEY} [1] {KEY}2 [2]",
    f"MGET {KEY} other",
    f"SET {KEY} [1] GET",
    "SET other x",
    "MULTI",
    f"SET {KEY} [1]",
    f"GET {KEY}",
    "EXEC",
    "MULTI",
    "DISCARD",
    "SUBSCRIBE c",
    "UNSUBSCRIBE c",
    "PING",
)


def set_to(**config: object) -> Condition:
    """CONFIG SET, and back."""

    @contextmanager
    def condition(own: redis.Redis) -> Iterator[None]:
        names = {name.replace("_", "-"): value for name, value in config.items()}
        before = {name: own.config_get(name)[name] for name in names}
        for name, value in names.items():
            own.config_set(name, value)
        yield
        for name, value in before.items():
            own.config_set(name, value)

    return condition


@contextmanager
def replica(own: redis.Redis) -> Iterator[None]:
    """Of a master that is not there."""
    own.replicaof("127.0.0.1", 1)
    yield
    own.replicaof("NO", "ONE")


@contextmanager
def stale_replica(own: redis.Redis) -> Iterator[None]:
    """Of a master that is not there, and without its data it says nothing."""
    with set_to(replica_serve_stale_data="no")(own), replica(own):
        yield


@contextmanager
def without_dumps(own: redis.Redis) -> Iterator[None]:
    """Its dumps cannot be put in their place, where something else stands."""
    dump = Path(own.config_get("dir")["dir"]) / "dump.rdb"
    with set_to(save="3600 1")(own):
        dump.mkdir()
        own.bgsave()
        wait_until(lambda: own.info("persistence")["rdb_last_bgsave_status"] == "err", "the dump to fail")
        yield
        dump.rmdir()
        wait_until(lambda: _dumped(own), "the dump to succeed")


def _dumped(own: redis.Redis) -> bool:
    with suppress(redis.ResponseError):  # Redis waits for a while after one that failed
        own.save()
    return bool(own.info("persistence")["rdb_last_bgsave_status"] == "ok")


@contextmanager
def in_a_script(own: redis.Redis) -> Iterator[None]:
    """A script runs without end."""
    path = own.config_get("unixsocket")["unixsocket"]

    def run() -> None:
        with redis.Redis(unix_socket_path=path, socket_timeout=60) as other, suppress(redis.ResponseError):
            other.eval("while true do end", 0)

    def is_busy() -> bool:
        try:
            own.ping()
        except redis.ResponseError:
            return True
        return False

    with set_to(busy_reply_threshold=10)(own):
        script = threading.Thread(target=run)
        script.start()
        wait_until(is_busy, "the script to run")
        yield
        own.script_kill()
        script.join()


CONDITIONS: dict[str, Condition] = {
    "OOM": set_to(maxmemory=1),
    "NOREPLICAS": set_to(min_replicas_to_write=1),
    "READONLY": replica,
    "MASTERDOWN": stale_replica,
    "MISCONF": without_dumps,
    "BUSY": in_a_script,
}


@pytest.fixture(scope="module")
def own_redis(redis_executable: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRedis]:
    """A Redis that may be spoilt."""
    own = PrivateRedis(tmp_path_factory.mktemp("own"), redis_executable)
    own.start()
    yield own
    own.kill()


@pytest.fixture(scope="module")
def refused(own_redis: PrivateRedis) -> Iterator[ProxyProcess]:
    """A proxy in front of it."""
    proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--upstream", f"unix://{own_redis.unix}"])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.mark.parametrize("name", CONDITIONS)
def test_its_word_passes_and_the_conversation_goes_on(
    redis_7: None, own_redis: PrivateRedis, refused: ProxyProcess, connect: Connect, name: str
) -> None:
    through, straight = connect(refused.json), connect(own_redis.unix)
    assert through("PING") == straight("PING") == b"+PONG\r\n"
    said = []
    with redis.Redis(unix_socket_path=own_redis.unix) as own:
        own.flushall()
        with CONDITIONS[name](own):
            for asked in ASKED:
                said.append(straight(*asked.split()))
                assert (asked, through(*asked.split())) == (asked, said[-1])
    assert any(reply.startswith(b"-%s " % name.encode()) for reply in said)
    assert through("SET", KEY, "[1]") == b"+OK\r\n"
    assert through("GET", KEY) == b"$3\r\n[1]\r\n"


def _errors(own: redis.Redis) -> int:
    """Errors that Redis has counted."""
    counted = sum(int(row["count"]) for row in own.info("errorstats").values())
    failed = own.info("commandstats").get("cmdstat_get", {}).get("rejected_calls", 0)
    return counted + int(failed)


def test_what_the_proxy_refuses_itself_is_no_error_of_redis_but_inside_multi(
    own_redis: PrivateRedis, refused: ProxyProcess, connect: Connect
) -> None:
    client = connect(refused.json)
    with redis.Redis(unix_socket_path=own_redis.unix) as own:
        assert client("SET", "other", "x") == b"+OK\r\n"
        before = _errors(own)
        client.send(pipeline(f"SET {KEY} bad", "GET other", f"APPEND {KEY} x", "MULTI", "EXEC", "PING"))
        said = [client.reply() for _ in range(6)]
        assert [reply[:9] for reply in said[::2]] == [b"-ERR flas"] * 2 + [b"*0\r\n"]
        assert (said[1], said[3], said[5]) == (b"$1\r\nx\r\n", b"+OK\r\n", b"+PONG\r\n")
        assert client("APPEND", KEY, "x").startswith(b"-ERR flask-cache-proxy: ")
        assert _errors(own) == before
        client.send(pipeline("MULTI", f"SET {KEY} bad", f"SET {KEY} [1]", "EXEC"))
        assert [client.reply()[:10] for _ in range(4)][3] == b"-EXECABORT"
        assert _errors(own) > before


def test_a_user_who_may_not(own_redis: PrivateRedis, refused: ProxyProcess, connect: Connect) -> None:
    through, straight = connect(refused.json), connect(own_redis.unix)
    with redis.Redis(unix_socket_path=own_redis.unix) as own:
        own.acl_setuser("reader", enabled=True, nopass=True, keys=["other*"], commands=["+get"])
    for client in (through, straight):
        assert client("AUTH", "reader", "any") == b"+OK\r\n"
    for asked in ("GET other", f"GET {KEY}", f"SET {KEY} [1]", "SET other x", "PING", f"MGET {KEY}"):
        assert (asked, through(*asked.split())) == (asked, straight(*asked.split()))
    assert through("GET", KEY).startswith(b"-NOPERM ")


def test_while_it_loads_its_data(
    redis_7: None, start_proxy: StartProxy, private_redis: PrivateRedis, connect: Connect
) -> None:
    private_redis.start("--appendonly", "no")
    with redis.Redis(unix_socket_path=private_redis.unix) as own:
        own.mset({f"k{number}": "v" for number in range(5_000)})
        own.save()
    private_redis.kill()
    slowly = ("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    private_redis.start(*slowly, wait=False)
    proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
    client = connect(proxy.json)
    client.send(pipeline(f"SET {KEY} [1]", f"GET {KEY}", "PING"))
    replies = [client.reply() for _ in range(3)]
    assert len(set(replies)) == 1
    assert re.fullmatch(rb"-LOADING (Redis|Valkey) is loading the dataset in memory\r\n", replies[0])
    with redis.Redis(unix_socket_path=private_redis.unix) as own:
        own.config_set("key-load-delay", 0)  # it would take ten seconds
    wait_until(lambda: client("SET", KEY, "[1]") == b"+OK\r\n", "the data to be loaded")
    assert client("GET", KEY) == b"$3\r\n[1]\r\n"


def test_no_place_left_for_clients(start_proxy: StartProxy, private_redis: PrivateRedis, connect: Connect) -> None:
    private_redis.start("--maxclients", "2")
    proxy = start_proxy("--upstream", f"unix://{private_redis.unix}")
    held: list[Wire] = []

    def hold() -> bool:
        with suppress(AssertionError, OSError):  # the proxy's own first look at Redis may take a place for a moment
            client = connect(proxy.json)
            if client("PING") == b"+PONG\r\n":
                held.append(client)
        return len(held) == 2

    wait_until(hold, "both places")
    first, second = held
    full = b"-ERR max number of clients reached\r\n"
    for early in (b"", pipeline("PING"), pipeline(f"SET {KEY} [1]") * 1_000):
        third = connect(proxy.json)
        with suppress(OSError):
            third.send(early)
        # Redis closes with what was sent unread: the reset may overtake its words, as on the way to a direct client.
        assert third.until_closed() in ((full, b"") if early else (full,))
    second.close()

    wait_until(lambda: is_served(proxy.json), "a place to be free")
    assert first("PING") == b"+PONG\r\n"
    proxy.expect(r"WARNING +\[\d+\] Redis closed with \d+ replies outstanding")
    proxy.expect(r"WARNING +\[\d+\] closing: Redis refused the connection$")
