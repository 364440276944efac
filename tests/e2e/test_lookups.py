"""Commands that the table does not hold: the proxy of these tests has forgotten most, and Redis knows them all."""

import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import PrivateRedis, RedisServer, StartProxy
from tests.e2e.conversations.scripted_redis import ScriptedRedis
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire, pipeline, request

pytestmark = pytest.mark.usefixtures("redis_7", "each_server")

Connect = Callable[[Address], Wire]

_FORGET = """
import proxy.commands as commands
from proxy.commands import Access, Managed, Turn

def is_kept(row):
    return row.turn is not Turn.NONE or row.managed is Managed.TRANSCODE or row.access is Access.CLOSE

for spelling, row in list(commands._BY_SPELLING.items()):
    if row.subcommands is not None:
        for name in [name for name, one in row.subcommands.items() if not is_kept(one)]:
            del row.subcommands[name]
    elif not is_kept(row):
        del commands._BY_SPELLING[spelling]

from proxy.cli import main
main()
"""
FORGETFUL = (sys.executable, "-W", "error", "-c", _FORGET, "serve")


@pytest.fixture(scope="module")
def shared_proxy(redis_server: RedisServer) -> Iterator[ProxyProcess]:
    """A proxy that knows only what transcodes or turns the conversation."""
    proxy = ProxyProcess(
        ["--listen", "json=127.0.0.1:0", "--upstream", f"unix://{redis_server.unix}"],
        command=FORGETFUL,
    )
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def client(proxy: ProxyProcess, connect: Connect) -> Wire:
    """A raw connection to it."""
    return connect(proxy.json)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("STRLEN other", b":1\r\n"),
        ("strlen other", b":1\r\n"),
        ("GETRANGE other 0 -1", b"$1\r\nx\r\n"),
        ("LRANGE none 0 -1", b"*0\r\n"),
        ("EXISTS other none other", b":2\r\n"),
        ("OBJECT ENCODING other", b"$6\r\nembstr\r\n"),
        ("NOSUCH other", b"-ERR unknown command 'NOSUCH', with args beginning with: 'other' \r\n"),
        ("OBJECT NOSUCH other", b"-ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP.\r\n"),
    ],
)
def test_a_plain_read_of_keys_of_no_rule_passes(client: Wire, direct: redis.Redis, line: str, reply: bytes) -> None:
    direct.set("other", "x")
    client.send(pipeline(line, "MULTI", line, "EXEC"))
    assert client.reply() == reply
    assert client.reply() == b"+OK\r\n"
    if reply.startswith(b"-"):
        assert client.reply() == reply
    else:
        assert client.reply() == b"+QUEUED\r\n"
        assert client.reply() == b"*1\r\n" + reply


@pytest.mark.parametrize(
    "line",
    [
        "STRLEN flask_cache_k", "EXISTS other flask_cache_k", "OBJECT ENCODING flask_cache_k", "STRLEN|X other",
        "LRANGE flask_cache_k 0 1", "APPEND other x", "APPEND flask_cache_k x", "DEL other", "INCR other",
        "RPUSH other x", "BLPOP other 1", "BRPOPLPUSH other flask_cache_k 1", "SORT other STORE flask_cache_k",
        "SORT_RO other", "ZUNION 1 other", "EVAL_RO x 0", "EVAL x 0", "CONFIG SET maxmemory 0", "CONFIG GET maxmemory",
        "DEBUG SLEEP 0", "SAVE", "PUBLISH c x", "CLIENT KILL ID 99999999", "XGROUP CREATE other g $ MKSTREAM",
        "FLUSHALL", "SWAPDB 0 1", "SHUTDOWN NOSAVE", "REPLICAOF NO ONE", "PSYNC ? -1", "MODULE LIST", "ACL LIST",
        "KEYS o*", "DBSIZE", "RANDOMKEY",
    ],
)  # fmt: skip
def test_anything_else_is_refused(client: Wire, direct: redis.Redis, line: str) -> None:
    direct.set("other", "x")
    client.send(pipeline(line, "MULTI", line, "EXEC"))
    refused = client.reply()
    assert refused.startswith((b"-ERR flask-cache-proxy: ", b"-ERR unknown "))
    assert client.reply() == b"+OK\r\n"
    assert client.reply() == refused
    assert client.reply().startswith(b"-EXECABORT")
    assert direct.get("other") == b"x"
    assert direct.dbsize() == 1


def test_a_question_of_a_client_that_is_gone_does_not_answer_that_of_another(
    start_proxy: StartProxy, private_redis: PrivateRedis, connect: Connect
) -> None:
    private_redis.start("--rename-command", "SETRANGE", "ZAPP")
    proxy = start_proxy("--listen", "json=127.0.0.1:0", "--upstream", f"unix://{private_redis.unix}")
    leaves, stays, busy = (connect(proxy.json) for _ in range(3))
    assert {client("PING") for client in (leaves, stays)} == {b"+PONG\r\n"}
    busy.send(request("EVAL_RO", _BUSY, "0"))
    leaves.send(request("NOSUCHCMD"))
    leaves.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaves.close()  # by a reset, which the proxy sees though it does not read
    stays.send(request("ZAPP", "flask_cache_k", "0", "!evil"))
    refusal = b"-ERR flask-cache-proxy: ZAPP is not known here and names a key that holds a cached value"
    assert stays.reply().startswith(refusal)
    busy.reply()
    assert connect(private_redis.unix)("EXISTS", "flask_cache_k") == b":0\r\n"


ROW = b"*7\r\n$5\r\nodd.x\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*2\r\n+@read\r\n+@fast\r\n"
NOT_SAID = b"-ERR flask-cache-proxy: ODD.X is not known here, and Redis does not say what it is ("
NOT_READ = b'-ERR flask-cache-proxy: ODD.X is not known here; "ODD.X" in [guard] allow lets it through\r\n'
ODD_ANSWERS = {
    b"*1\r\n" + ROW: b"+OK\r\n",
    b"*1\r\n" + ROW.replace(b"@read", b"@slow"): NOT_READ,
    b"*1\r\n" + ROW.replace(b"@fast", b"@dangerous"): NOT_READ,
    b"*1\r\n" + ROW.replace(b":1\r\n:1\r\n:1", b":0\r\n:0\r\n:0"): NOT_READ,
    b"*1\r\n" + ROW.partition(b"*2\r\n+@read")[0].replace(b"*7", b"*6"): NOT_SAID + b"its COMMAND INFO has no ACL",
    b"*1\r\n" + ROW.replace(b"+fast", b"*1\r\n+write"): NOT_SAID + b"an unexpected answer",
    b"*1\r\n" + ROW.replace(b"+fast", b"-ERR write"): NOT_SAID + b"an unexpected answer",
    b"*1\r\n" + ROW.replace(b"+@fast", b":1"): NOT_SAID + b"an unexpected answer",
    b"*100000000\r\n" * 7: NOT_SAID + b"it sent an answer of more than",
    b"$100000000\r\n": NOT_SAID + b"it sent an answer of more than",
    b"*1\r\n:5\r\n": NOT_SAID + b"an unexpected answer",
    b"*1\r\n*0\r\n": NOT_SAID + b"an unexpected answer",
    b"*1\r\n*3\r\n+a\r\n:1\r\n:1\r\n": NOT_SAID + b"an unexpected answer",
    b"*0\r\n": NOT_SAID + b"an unexpected answer",
    b"$3\r\nabc\r\n": NOT_SAID + b"an unexpected answer",
    b"%1\r\n*0\r\n+a\r\n": NOT_SAID + b"it sent an answer of an unknown type",
    b"-ERR " + b"x" * 70_000 + b"\r\n": NOT_SAID + b"it sent an answer of more than",
    b"-NOPERM no\r\n": NOT_SAID + b"NOPERM no",
}


@pytest.mark.parametrize("number", range(len(ODD_ANSWERS)))
def test_a_server_may_answer_anything(start_proxy: StartProxy, connect: Connect, tmp_path: Path, number: int) -> None:
    answer, reply = list(ODD_ANSWERS.items())[number]
    with ScriptedRedis(tmp_path, {"COMMAND INFO ODD.X": answer, "GET": b"-ERR wrong number\r\n"}) as upstream:
        client = connect(start_proxy("--upstream", f"unix://{upstream.unix}").json)
        for _ in range(2):
            assert client("ODD.X", "k").startswith(reply)
        assert client("PING") == b"+OK\r\n"


def test_a_server_that_lies_about_a_write_is_not_believed(
    start_proxy: StartProxy, connect: Connect, tmp_path: Path
) -> None:
    """KeyDB calls KEYDB.NHSET a read."""
    row = b"*1\r\n" + ROW.replace(b"$5\r\nodd.x", b"$11\r\nkeydb.nhset")
    config = tmp_path / "config.toml"
    config.write_text('[[listener]]\nbind = "127.0.0.1:0"\n[[rule]]\nkeys = "*_cache"\n')
    answers = {"COMMAND INFO KEYDB.NHSET": row, "GET": b"-ERR wrong number\r\n"}
    with ScriptedRedis(tmp_path, answers) as upstream:
        proxy = start_proxy("--config", str(config), "--upstream", f"unix://{upstream.unix}")
        client = connect(proxy.json)
        refusal = b"-ERR flask-cache-proxy: KEYDB.NHSET"
        assert client("KEYDB.NHSET", "foo_cache.a", "x").startswith(refusal)
        assert client("keydb.nhset", "foo_cache", "x").startswith(refusal)
        assert client("KEYDB.NHGET", "json", "foo_cache.a.b").startswith(b"-ERR flask-cache-proxy: KEYDB.NHGET")
        assert client("KEYDB.NHSET", "other.a", "x") == b"+OK\r\n"


_BUSY = "local t = redis.call('TIME') repeat local n = redis.call('TIME') until (n[1] - t[1]) * 1e6 + n[2] - t[2] > 4e5"
