"""The same bytes straight to Redis and through the proxy: what comes back must be the same, to the byte.

A script is a list of steps: bytes are sent; `Until` reads until a pattern; `Aside` has another client act on Redis
itself; `Blocked` waits until Redis holds a client of ours. It ends with QUIT, and all that came is compared but for
ids, times and addresses. No key in here is managed: those differ by design.
"""

# ruff: noqa: E501 (a conversation reads best on one line)

import random
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.conftest import RedisServer, StartProxy
from tests.e2e.proxy_process import Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]
Cut = Callable[[bytes], Iterable[bytes]]


@dataclass(frozen=True)
class Until:
    """Read until this matches."""

    pattern: bytes


@dataclass(frozen=True)
class Aside:
    """A line of words that another client sends to Redis itself."""

    line: str


@dataclass(frozen=True)
class Blocked:
    """Wait until a client of Redis is blocked."""


Step = bytes | Until | Aside | Blocked
Both = Callable[..., bytes]

_ID = re.compile(rb"(\$2\r\nid\r\n):\d+")
_MONITORED = re.compile(rb"\+\d+\.\d+ \[(\d+) [^\]]+\]")


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def random_chunks(data: bytes) -> list[bytes]:
    chance = random.Random(len(data))
    chunks, at = [], 0
    while at < len(data):
        size = chance.choice((1, 2, 3, 7, 20, 100))
        chunks.append(data[at : at + size])
        at += size
    return chunks


@pytest.fixture(params=[whole, byte_by_byte, random_chunks], ids=lambda cut: cut.__name__)
def cut(request: pytest.FixtureRequest) -> Cut:
    """How what is sent through the proxy is cut into pieces."""
    return request.param


@pytest.fixture
def both(proxy: ProxyProcess, direct: redis.Redis, redis_server: RedisServer, cut: Cut) -> Both:
    """Runs a script both ways, compares, and returns what came."""

    def run(address: Address, script: Sequence[Step], end: bytes, cut: Cut, setup: str) -> bytes:
        direct.flushall()
        for line in filter(None, setup.split("\n")):
            direct.execute_command(*line.split())
        came = b""
        with Wire(address) as wire:
            for step in script:
                if isinstance(step, bytes):
                    wire.send(step, cut)
                elif isinstance(step, Until):
                    came += wire.until(step.pattern)
                elif isinstance(step, Aside):
                    direct.execute_command(*step.line.split())
                else:
                    wait_until(lambda: direct.info("clients")["blocked_clients"], "a blocked client")
            with suppress(BrokenPipeError, ConnectionResetError):  # the script itself may have brought the end
                wire.send(end, cut)
            return came + wire.until_closed()

    def compare(*script: Step, end: bytes = request("QUIT"), setup: str = "", order: bool = True) -> bytes:
        expected = _comparable(run(redis_server.unix, script, end, whole, setup))
        got = _comparable(run(proxy.json, script, end, cut, setup))
        if not order:
            expected, got = (b"\r\n".join(sorted(one.split(b"\r\n"))) for one in (expected, got))
        assert got == expected
        return got

    return compare


def _comparable(data: bytes) -> bytes:
    return _MONITORED.sub(rb"+TIME [\1 FROM]", _ID.sub(rb"\1:ID", data))


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def hello(request: pytest.FixtureRequest) -> bytes:
    """How a client of either protocol begins."""
    return b"" if request.param == 2 else pipeline("HELLO 3")


COMMANDS = {
    "strings": "SET a 1|GET a|INCR a|APPEND a 23|GETRANGE a 0 -1|STRLEN a|MSET b x c y|MGET a b none c|GETDEL b|GET b",
    "null replies": "GET none|HGET none f|LPOP none|ZSCORE none m|SPOP none|MGET none none|LRANGE none 0 -1|LPOS none x",
    "lists": "RPUSH l a b c|LRANGE l 0 -1|LINDEX l 1|LPOP l 2|LLEN l|LPOP none 2|LMPOP 1 l LEFT|LMPOP 1 none LEFT",
    "hashes": "HSET h f 1 g 2|HGETALL h|HMGET h f none g|HINCRBYFLOAT h f 1.5|HRANDFIELD none 2 WITHVALUES|HGETALL none",
    "sets": "SADD s 1 2 3|SMEMBERS s|SISMEMBER s 2|SMISMEMBER s 1 9|SINTER s none|SMEMBERS none",
    "sorted sets": "ZADD z 1.5 a 2 b inf c|ZRANGE z 0 -1 WITHSCORES|ZSCORE z a|ZINCRBY z 1 a|ZPOPMIN z|ZMSCORE z c none",
    "streams": "XADD x 1-1 f v|XRANGE x - +|XREAD COUNT 1 STREAMS x 0|XINFO STREAM x|XREAD STREAMS x 9|XLEN x",
    "geo": "GEOADD g 13.36 38.11 P|GEOPOS g P none|GEOSEARCH g FROMMEMBER P BYRADIUS 1 km ASC WITHCOORD WITHDIST",
    "keys": "SET a 1|TYPE a|TTL a|EXISTS a a|RENAME a b|KEYS *|SCAN 0|OBJECT ENCODING b|DBSIZE|RANDOMKEY|FLUSHDB|DBSIZE",
    "server": "ECHO hi|PING|PING x|COMMAND COUNT|COMMAND INFO get|COMMAND GETKEYS SET a b|CONFIG GET maxmemory|LASTSAVE",
    "help": "CLIENT HELP|OBJECT HELP|MEMORY HELP|PUBSUB HELP|XINFO HELP",
    "documentation": "COMMAND DOCS get set|COMMAND LIST FILTERBY PATTERN *get*",
    "connection": "CLIENT SETNAME me|CLIENT GETNAME|SELECT 3|SET a 1|SELECT 0|GET a|CLIENT NO-TOUCH on|CLIENT TRACKINGINFO",
    "errors": "GET|GET a b|NOSUCH a b|SET a|SET a b EX|SET a b EX 0|SET a b NOPE|INCR|LPUSH l x|GET l|INCRBY l 1|SELECT 99|"
    "SELECT x|AUTH x|AUTH a b|EXEC|DISCARD|HELLO 4|HELLO x|HELLO 3 AUTH a b|CLIENT REPLY|CLIENT REPLY MAYBE|PUBSUB NOPE|"
    "OBJECT|OBJECT NOPE a|SUBSCRIBE|PSUBSCRIBE|WATCH|XADD s|EVALSHA_RO 00 0|EVALSHA_RO 00 x|"
    "CLIENT TRACKING on REDIRECT 99999999|CLIENT CACHING yes|PUBSUB|GETEX|MSET a|MSET a b c|COMMAND INFO nosuch",
    "transactions": "MULTI|SET a 1|GET a|INCR a|MGET a none|HSET h f v|HGETALL h|EXEC|GET a|MULTI|DISCARD|GET a|MULTI|EXEC",
    "transaction errors": "MULTI|MULTI|SET a|EXEC|MULTI|NOSUCH|EXEC|MULTI|SET a x|INCR a|GET a|EXEC|MULTI|WATCH a|EXEC|EXEC",
    "watch": "WATCH a|SET a 1|MULTI|GET a|EXEC|WATCH a|UNWATCH|SET a 2|MULTI|GET a|EXEC|WATCH a|SET a 3|MULTI|DISCARD|GET a",
    "blocking in transactions": "MULTI|BLPOP l 0|BLMOVE l k LEFT LEFT 0|BZPOPMIN z 0|XREAD BLOCK 0 STREAMS x 0|WAIT 0 0|EXEC",
    "hello in the middle": "SET a 1|HELLO 3|HGETALL h|GET none|HELLO 2|HGETALL h|GET none|HELLO|HELLO 3 SETNAME me|GET none",
    "hello in transactions": "MULTI|GET none|HELLO 3|GET none|HGETALL none|EXEC|GET none|MULTI|GET none|HELLO 2|GET none|EXEC",
    "select in transactions": "SET a 0|MULTI|SELECT 5|SET a 5|GET a|EXEC|GET a|SELECT 0|GET a",
    "monitor in transactions": "MULTI|MONITOR|EXEC|GET a",
    "reset": "SET a 1|MULTI|GET a|RESET|GET a|HELLO 3|RESET|GET none|SELECT 4|RESET|GET a|WATCH a|RESET|EXEC",
    "reset after subscribing": "SUBSCRIBE a b|PSUBSCRIBE p*|RESET|GET none|SUBSCRIBE a|UNSUBSCRIBE|GET none",
    "subscriptions": "SUBSCRIBE a|SUBSCRIBE b c a|UNSUBSCRIBE b none|PSUBSCRIBE x* y*|PUNSUBSCRIBE x*|PING|PING hi|"
    "UNSUBSCRIBE|PUNSUBSCRIBE|UNSUBSCRIBE|PUNSUBSCRIBE|PING|SSUBSCRIBE s t|SUNSUBSCRIBE|SUNSUBSCRIBE|GET none",
    "commands while subscribed": "SUBSCRIBE a|GET none|SET a 1|MULTI|DISCARD|NOSUCH|INCR|PUBLISH a x|HELLO 3|HELLO 2|UNSUBSCRIBE|GET a",
    "own messages": "SUBSCRIBE a|HELLO 3|UNSUBSCRIBE|HELLO 3|SUBSCRIBE a|PUBLISH a x|PSUBSCRIBE a*|PUBLISH a y|UNSUBSCRIBE|"
    "PUBLISH a z|PUNSUBSCRIBE|PUBLISH a end|PUBSUB CHANNELS|PUBSUB NUMPAT|PUBSUB NUMSUB a",
    "a push inside EXEC": "HELLO 3|SUBSCRIBE a|MULTI|PUBLISH a x|GET none|PUBLISH a y|MGET none none|EXEC|GET none|PUBLISH a z",
    "tracking": "HELLO 3|SET a 1|CLIENT TRACKING on|GET a|SET a 2|GET a|MULTI|SET a 3|GET a|SET a 4|EXEC|MGET a none|"
    "MSET a 5 none 6|FLUSHALL|CLIENT TRACKING off|SET a 7",
    "tracking with opt-in": "HELLO 3|SET a 1|CLIENT TRACKING on OPTIN|GET a|SET a 2|CLIENT CACHING yes|GET a|SET a 3",
    "replies off": "SET a 1|CLIENT REPLY OFF|GET a|NOSUCH|INCR|SET a 2|MULTI|GET a|EXEC|CLIENT REPLY ON|GET a",
    "replies skipped": "CLIENT REPLY SKIP|GET a|GET a|CLIENT REPLY SKIP|CLIENT REPLY SKIP|GET a|GET a|CLIENT REPLY SKIP|NOSUCH|GET a|"
    "CLIENT REPLY ON|GET a|CLIENT REPLY SKIP|CLIENT REPLY ON|GET a|CLIENT REPLY SKIP|MGET a b|MGET a b",
    "replies off, then skipped": "CLIENT REPLY OFF|CLIENT REPLY SKIP|GET a|GET a|CLIENT REPLY ON|GET a|CLIENT REPLY OFF|RESET|GET a",
    "replies off, and hello": "CLIENT REPLY OFF|HELLO 3|GET none|CLIENT REPLY ON|GET none|CLIENT REPLY SKIP|HELLO 2|GET none",
    "quit in the middle": "SET a 1|QUIT|SET a 2|GET a",
    "quit in a transaction": "MULTI|SET a 1|QUIT|EXEC",
    "quit while subscribed": "SUBSCRIBE a|QUIT|UNSUBSCRIBE",
    "names in any case": "set a 1|gEt a|mUlTi|GeT a|eXeC|client getname|Client GetName|hello 3|multi|discard|Reset",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_replies_are_the_same(both: Both, hello: bytes, name: str) -> None:
    assert both(hello + pipeline(*COMMANDS[name].split("|")))


@pytest.mark.parametrize(
    "script",
    [
        b"*0\r\n" + pipeline("PING") + b"*0\r\n*-1\r\n*-5\r\n" + pipeline("PING"),
        b"\r\n\r\n\r\n" + pipeline("PING") + b"\r\n",
        b"PING\r\n",
        b"PING\n",
        b"  ping   hello \r\n\r\nPING\r\n" + pipeline("PING x"),
        b"SET a \"b \\x41\\n\\\"c\"\r\nGET a\r\nSET 'a' 'x\\'y'\r\nGET a\r\nPING \"\"\r\n",
        b"MULTI\r\nSET a 1\r\nGET a\r\nEXEC\r\n",
        b"NOSUCH a\r\nGET\r\nGET a\r\n",
        request("SET", "a", ""),
        request("SET", b"", b"\r\n*1\r\n$4\r\nPING\r\n") + request("GET", b""),
        request("SET", bytes(range(256)), bytes(range(256))) + request("GET", bytes(range(256))),
        request("PING", "x" * 100_000),
        request("ECHO", b"\r\n") + request("ECHO", b"$3") + request("ECHO", b"*1\r\n"),
        request("NOSUCH", "x" * 300) + request("NO SUCH" * 30) + request("CLIENT", "no such" * 30),
        request("", "a") + request("\r\n", "a") + request("SE\nT") + request("CLIENT", ""),
        request("NOSUCH", "a\r\nb", "c\nd"),
    ],
    ids=lambda script: repr(script[:24]),
)
def test_requests_of_all_shapes_are_answered_the_same(both: Both, script: bytes) -> None:
    assert both(script)


@pytest.mark.parametrize(
    "junk",
    [
        b"*a\r\n",
        b"*99999999999\r\n",
        b"*2147483648\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n+PING\r\n",
        b"*1\r\n*1\r\n$4\r\nPING\r\n",
        b"*1\r\n$a\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$-2\r\n",
        b"*1\r\n$99999999999\r\n",
        b"*1\r\n$ 4\r\nPING\r\n",
        b"* 1\r\n$4\r\nPING\r\n",
        b"*+1\r\n$4\r\nPING\r\n",
        b"*01\r\n$4\r\nPING\r\n",
        b"*" + b"1" * 70_000,
        b"*1\r\n$" + b"1" * 70_000,
        b'SET a "b\r\n',
        b"SET a 'b'c\r\n",
        b"PING " + b"x" * 70_000,
    ],
    ids=lambda junk: repr(junk[:24]),
)
def test_protocol_errors_are_answered_in_the_same_words_and_close(both: Both, junk: bytes) -> None:
    if junk.startswith(b"*"):
        junk = pipeline("PING") + junk
    assert b"-ERR Protocol error: " in both(junk, end=b"")


class TestOthersActMeanwhile:
    def test_messages(self, both: Both, hello: bytes) -> None:
        came = both(
            hello + pipeline("SUBSCRIBE a b", "PSUBSCRIBE p* *"),
            Until(rb"\$1\r\n\*\r\n:4\r\n"),
            Aside("PUBLISH a hello"),
            Aside("PUBLISH b " + "x" * 100_000),
            Aside("PUBLISH px both"),
            Until(rb"(px\r\n\$4\r\nboth\r\n.*){2}"),
            pipeline("PING", "UNSUBSCRIBE a"),
            Until(rb"unsubscribe\r\n\$1\r\na\r\n:3\r\n"),
            Aside("PUBLISH a again"),
            Until(rb"again\r\n"),
            pipeline("UNSUBSCRIBE", "PUNSUBSCRIBE", "PING", "GET a"),
        )
        assert came.count(b"message") >= 6

    def test_messages_that_look_like_other_replies(self, both: Both, hello: bytes) -> None:
        both(
            hello + pipeline("SUBSCRIBE subscribe message unsubscribe"),
            Until(rb"unsubscribe\r\n:3\r\n"),
            Aside("PUBLISH unsubscribe :1"),
            Aside("PUBLISH message +OK"),
            Aside("PUBLISH subscribe unsubscribe"),
            Until(rb"\$9\r\nsubscribe\r\n\$11\r\nunsubscribe\r\n$"),
            pipeline("UNSUBSCRIBE message", "PING", "UNSUBSCRIBE", "PING"),
        )

    def test_shard_messages(self, both: Both, hello: bytes) -> None:
        both(
            hello + pipeline("SSUBSCRIBE s t", "SUBSCRIBE a"),
            Until(rb"\$1\r\na\r\n:1\r\n"),
            Aside("SPUBLISH s hello"),
            Aside("PUBLISH a there"),
            Until(rb"there\r\n"),
            pipeline("SUNSUBSCRIBE s", "SUNSUBSCRIBE", "UNSUBSCRIBE", "GET a"),
        )

    def test_keyspace_invalidations(self, both: Both) -> None:
        came = both(
            pipeline("HELLO 3", "CLIENT TRACKING on", "GET a", "MGET b c"),
            Until(rb"\*2\r\n_\r\n_\r\n"),
            Aside("SET a 1"),
            Until(rb"invalidate\r\n\*1\r\n\$1\r\na\r\n"),
            Aside("SET c 1"),
            Until(rb"invalidate\r\n\*1\r\n\$1\r\nc\r\n"),
            pipeline("GET a"),
            Until(rb"\$1\r\n1\r\n"),
            Aside("FLUSHALL"),
            Until(rb"invalidate\r\n_\r\n"),
            pipeline("GET a"),
        )
        assert came.count(b"invalidate") == 3

    def test_invalidations_by_prefix(self, both: Both) -> None:
        both(
            pipeline("HELLO 3", "CLIENT TRACKING on BCAST PREFIX a", "PING"),
            Until(rb"PONG\r\n"),
            Aside("MSET abc 1 b 1"),
            Until(rb"invalidate\r\n\*1\r\n\$3\r\nabc\r\n"),
            Aside("DEL b abc"),
            Until(rb"invalidate\r\n\*1\r\n\$3\r\nabc\r\n"),
            pipeline("GET abc"),
        )

    def test_a_watched_key_changes(self, both: Both, hello: bytes) -> None:
        came = both(
            hello + pipeline("WATCH a", "MULTI", "GET a"),
            Until(rb"\+QUEUED\r\n"),
            Aside("SET a 1"),
            pipeline("EXEC", "MULTI", "GET a", "EXEC"),
        )
        assert b"_\r\n" in came or b"*-1\r\n" in came

    def test_a_blocking_pop_is_served(self, both: Both, hello: bytes) -> None:
        came = both(
            hello + pipeline("BLPOP l 0", "GET a", "BRPOP l k 0", "BZPOPMIN z 0", "XREAD BLOCK 0 STREAMS x $", "BLMOVE l m LEFT LEFT 0"),
            Blocked(),
            Aside("SET a 1"),
            Aside("RPUSH l x"),
            Until(rb"\$1\r\n1\r\n"),
            Blocked(),
            Aside("RPUSH k y"),
            Until(rb"y\r\n"),
            Blocked(),
            Aside("ZADD z 1.5 m"),
            Until(rb"1\.5\r\n"),
            Blocked(),
            Aside("XADD x 5-1 f v"),
            Until(rb"v\r\n"),
            Blocked(),
            Aside("RPUSH l end"),
            Until(rb"end\r\n"),
        )  # fmt: skip
        assert b"\r\nl\r\n$1\r\nx\r\n" in came

    def test_a_blocking_pop_times_out(self, both: Both, hello: bytes) -> None:
        assert both(hello + pipeline("BLPOP l 0.01", "BLMPOP 0.01 1 l LEFT", "XREAD BLOCK 1 STREAMS x $", "PING"))

    def test_monitor(self, both: Both, hello: bytes) -> None:
        came = both(
            hello + pipeline("PING", "MONITOR"),
            Until(rb"\+OK\r\n"),
            Aside("SET a 1"),
            Aside("GET OK"),
            Until(rb'"GET" "OK"\r\n'),
            pipeline("RESET", "GET a"),
            Until(rb"\$1\r\n1\r\n"),
        )
        assert b'"SET" "a" "1"' in came


class TestLargeReplies:
    @pytest.fixture(params=[whole, random_chunks], ids=lambda cut: cut.__name__)
    def cut(self, request: pytest.FixtureRequest) -> Cut:
        return request.param

    def test_keys_of_20_000(self, both: Both, hello: bytes) -> None:
        names = " ".join(f"key:{number} x" for number in range(20_000))
        came = both(hello + pipeline("KEYS *", "DBSIZE"), setup=f"MSET {names}", order=False)
        assert len(came) > 200_000

    def test_a_list_of_20_000(self, both: Both, hello: bytes) -> None:
        items = " ".join(f"item:{number}" for number in range(20_000))
        script = pipeline("LRANGE l 0 -1", "GET a", "MULTI", "LRANGE l 0 -1", "GET a", "EXEC")
        assert len(both(hello + script, setup=f"RPUSH l {items}")) > 400_000

    def test_a_value_of_20_mb(self, both: Both) -> None:
        setup = "SET a start\nSETRANGE a 20000000 end"
        assert len(both(pipeline("GET a", "MGET a a", "GET none"), setup=setup)) > 60_000_000

    def test_a_pipeline_of_10_000_mixed_commands(self, both: Both, hello: bytes) -> None:
        chance = random.Random(10)
        lines = [_some_command(chance) for _ in range(10_000)]
        assert len(both(hello + pipeline(*lines, "DISCARD", "EXEC"))) > 100_000

    def test_mixed_commands_with_transactions_and_protocol_switches(self, both: Both) -> None:
        chance = random.Random(11)
        turns = (
            "MULTI",
            "EXEC",
            "EXEC",
            "DISCARD",
            "HELLO 2",
            "HELLO 3",
            "WATCH a",
            "UNWATCH",
            "SELECT 1",
            "SELECT 0",
            "RESET",
        )
        lines = [chance.choice(turns) if chance.random() < 0.3 else _some_command(chance) for _ in range(3_000)]
        both(pipeline(*lines))


def _some_command(chance: random.Random) -> str:
    key = chance.choice("abcde")
    commands = (
        f"SET {key} {chance.randrange(1000)}", f"GET {key}", f"INCR {key}", f"MGET a b {key}", f"DEL {key}",
        f"RPUSH {key} x y z", f"LRANGE {key} 0 -1", f"HSET {key} f v", f"HGETALL {key}", f"TYPE {key}",
        f"ZADD {key} 1.5 m", f"ZRANGE {key} 0 -1 WITHSCORES", f"EXISTS {key}", "PING", f"ECHO {'x' * chance.randrange(200)}",
        f"GETSET {key} x", f"GETDEL {key}", f"SET {key} v GET", "NOSUCH", f"GET {key} extra", f"APPEND {key} x", "HGETALL none",
        f"XADD {key} 1-1 f v", f"SETNX {key} 1", f"LPOP {key} 2", f"PERSIST {key}", f"OBJECT ENCODING {key}",
    )  # fmt: skip
    return chance.choice(commands)


def test_a_million_commands_before_the_first_read_do_not_deadlock(
    proxy: ProxyProcess, direct: redis.Redis, connect: Connect
) -> None:
    client = connect(proxy.json)
    many = request("RPUSH", "l", "x") * 10_000
    for _ in range(100):
        client.send(many)
    client.send(request("QUIT"))
    came = client.until_closed()
    assert came.count(b"\r\n") == 1_000_001
    assert came.endswith(b":999999\r\n:1000000\r\n+OK\r\n")


def test_reply_kinds_that_only_debug_produces(
    start_proxy: StartProxy, direct: redis.Redis, redis_server: RedisServer, tmp_path: Path, cut: Cut
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[guard]\nallow = ["DEBUG"]\n')
    proxy = start_proxy("--config", str(config))
    kinds = ["string", "integer", "double", "null", "array", "set", "map", "attrib", "push", "verbatim", "bignum"]
    kinds += ["true", "false", "error"]
    script = pipeline("HELLO 3", *(f"DEBUG PROTOCOL {kind}" for kind in kinds), "MULTI")
    script += pipeline(*(f"DEBUG PROTOCOL {kind}" for kind in kinds), "EXEC", "HELLO 2")
    script += pipeline(*(f"DEBUG PROTOCOL {kind}" for kind in kinds if kind not in ("attrib", "push")), "QUIT")
    came = []
    for address, cut_it in ((redis_server.unix, whole), (proxy.json, cut)):
        with Wire(address) as wire:
            wire.send(script, cut_it)
            came.append(_comparable(wire.until_closed()))
    assert came[0] == came[1]
    assert b"\r\n(123" in came[0]
    assert b"\r\n|1\r\n" in came[0]


class TestOnManagedKeys:
    """What stands inside these replies is ours; their shape is Redis' own."""

    KEY = "flask_cache_k"

    @pytest.fixture
    def client(self, proxy: ProxyProcess, connect: Connect) -> Wire:
        return connect(proxy.json)

    def _converse(self, client: Wire, cut: Cut, *lines: str) -> bytes:
        client.send(pipeline(*lines, "QUIT"), cut)
        return client.until_closed()

    def test_values_are_decoded_inside_exec(self, client: Wire, cut: Cut) -> None:
        came = self._converse(
            client, cut, "MULTI", "SET flask_cache_k [1]", "GET flask_cache_k", "MGET flask_cache_k none", "EXEC"
        )
        assert came.endswith(b"*3\r\n+OK\r\n$3\r\n[1]\r\n*2\r\n$3\r\n[1]\r\n$-1\r\n+OK\r\n")

    def test_a_refused_command_aborts_exec(self, client: Wire, cut: Cut, direct: redis.Redis) -> None:
        came = self._converse(client, cut, "MULTI", "SET other x", "APPEND flask_cache_k x", "EXEC", "GET other")
        assert came.startswith(b"+OK\r\n+QUEUED\r\n-ERR flask-cache-proxy: APPEND is refused")
        assert b"\r\n-EXECABORT " in came
        assert came.endswith(b"$-1\r\n+OK\r\n")

    def test_a_bad_payload_under_a_watch(self, client: Wire, cut: Cut, direct: redis.Redis) -> None:
        came = self._converse(
            client, cut, "WATCH flask_cache_k", "MULTI", "SET flask_cache_k {nope", "EXEC", "GET flask_cache_k"
        )
        assert b"-EXECABORT" in came
        assert came.endswith(b"$-1\r\n+OK\r\n")

    def test_nulls_of_both_protocols_in_one_exec(self, client: Wire, cut: Cut) -> None:
        came = self._converse(client, cut, "MULTI", "GET flask_cache_k", "HELLO 3", "GET flask_cache_k", "EXEC")
        assert b"*3\r\n$-1\r\n%7\r\n" in came
        assert came.endswith(b"\r\n_\r\n+OK\r\n")

    def test_refusals_keep_their_place_in_a_pipeline(self, client: Wire, cut: Cut) -> None:
        lines = [
            "SET other 1",
            "SET flask_cache_k {nope",
            "INCR other",
            "STRLEN flask_cache_k",
            "GET other",
            "SET flask_cache_k 5",
        ]
        came = self._converse(client, cut, *lines, "INCR flask_cache_k", "GET flask_cache_k").split(b"\r\n")
        assert [line[:8] for line in came] == [
            b"+OK", b"-ERR fla", b":2", b"-ERR fla", b"$1", b"2", b"+OK", b":6", b"$1", b"6", b"+OK", b"",
        ]  # fmt: skip

    def test_replies_off_silences_refusals_too(self, client: Wire, cut: Cut) -> None:
        came = self._converse(
            client, cut, "CLIENT REPLY OFF", "SET flask_cache_k {nope", "SET flask_cache_k [1]", "GET flask_cache_k",
            "CLIENT REPLY SKIP", "CLIENT REPLY ON", "CLIENT REPLY SKIP", "STRLEN flask_cache_k", "GET flask_cache_k",
        )  # fmt: skip
        assert came == b"+OK\r\n$3\r\n[1]\r\n+OK\r\n"

    def test_quit_closes_silently_while_replies_are_off(self, client: Wire, cut: Cut) -> None:
        assert self._converse(client, cut, "PING", "CLIENT REPLY OFF", "GET flask_cache_k") == b"+PONG\r\n"

    def test_a_subscriber_may_not_use_it_in_resp2_and_may_in_resp3(self, client: Wire, cut: Cut) -> None:
        came = self._converse(
            client, cut, "SUBSCRIBE a", "SET flask_cache_k [1]", "SET flask_cache_k {nope", "UNSUBSCRIBE", "HELLO 3",
            "SUBSCRIBE a", "SET flask_cache_k [1]", "PUBLISH a x", "GET flask_cache_k", "MULTI", "PUBLISH a y", "GET flask_cache_k", "EXEC",
        )  # fmt: skip
        assert came.count(b"-ERR Can't execute 'set'") == 1
        assert came.count(b"-ERR flask-cache-proxy: ") == 1
        assert b"$3\r\n[1]\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" in came
        assert came.endswith(b"$3\r\n[1]\r\n+OK\r\n")
        assert came.count(b">3\r\n$7\r\nmessage\r\n") == 2

    @pytest.mark.parametrize("line", ["SUBSCRIBE a", "UNSUBSCRIBE", "CLIENT REPLY OFF", "SSUBSCRIBE a", "PUNSUBSCRIBE"])
    def test_what_redis_answers_malformed_inside_multi_is_refused(self, client: Wire, cut: Cut, line: str) -> None:
        came = self._converse(client, cut, "MULTI", line, "EXEC", "PING")
        assert came.startswith(b"+OK\r\n-ERR flask-cache-proxy: ")
        assert came.endswith(b"\r\n+PONG\r\n+OK\r\n")
        assert came.count(b"-EXECABORT") == 1

    @pytest.mark.parametrize("line", ["CLIENT MAINT_NOTIFICATIONS on", "CLIENT CAPA redirect"])
    def test_what_would_lead_a_client_around_us_is_unknown(self, client: Wire, cut: Cut, line: str) -> None:
        came = self._converse(client, cut, line, "PING")
        assert came.startswith(b"-ERR unknown subcommand")
        assert came.endswith(b"+PONG\r\n+OK\r\n")

    def test_after_monitor_only_reset_and_quit_are_taken(self, client: Wire, direct: redis.Redis) -> None:
        assert client("MONITOR") == b"+OK\r\n"
        client.send(pipeline("GET flask_cache_k"))
        assert b"-ERR flask-cache-proxy: after MONITOR only RESET and QUIT are taken\r\n" in client.until(
            rb"-ERR[^\r]*\r\n"
        )
        client.send(pipeline("RESET", "SET flask_cache_k [1]"))
        client.until(rb"\+RESET\r\n\+OK\r\n")
        assert client("GET", "flask_cache_k") == b"$3\r\n[1]\r\n"


def test_invalidations_can_be_redirected_to_a_resp2_client(
    proxy: ProxyProcess, direct: redis.Redis, connect: Connect
) -> None:
    listener, reader = connect(proxy.json), connect(proxy.json)
    own_id = listener("CLIENT", "ID")[1:-2]
    assert listener("SUBSCRIBE", "__redis__:invalidate").endswith(b":1\r\n")
    assert reader("CLIENT", "TRACKING", "on", "REDIRECT", own_id) == b"+OK\r\n"
    reader("GET", "flask_cache_k")
    direct.set("flask_cache_k", "1")
    assert listener.reply() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$13\r\nflask_cache_k\r\n"
    direct.flushall()
    assert listener.reply() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n"
    assert reader("GET", "flask_cache_k") == b"$-1\r\n"


def test_a_database_in_the_upstream_url_is_where_clients_begin(
    start_proxy: StartProxy, direct: redis.Redis, redis_server: RedisServer, connect: Connect
) -> None:
    proxy = start_proxy("--upstream", f"unix://{redis_server.unix}?db=7")
    client = connect(proxy.json)
    script: list[Any] = [
        "SET a 7",
        "SELECT 0",
        "SET a 0",
        "RESET",
        "GET a",
        "HELLO 3",
        "GET a",
        "MULTI",
        "GET a",
        "EXEC",
    ]
    client.send(pipeline(*script, "QUIT"))
    came = client.until_closed()
    assert came.startswith(b"+OK\r\n+OK\r\n+OK\r\n+RESET\r\n$1\r\n7\r\n%7\r\n")
    assert came.endswith(b"$1\r\n7\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n7\r\n+OK\r\n")
