"""Replies of every kind, from Redis where it can be made to say them and else from a scripted one."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from proxy.resp.encode import bulk
from tests.e2e.conftest import RedisServer, StartProxy
from tests.e2e.conversations.conftest import comparison
from tests.e2e.conversations.scripted_redis import ScriptedRedis
from tests.e2e.conversations.scripts import Cut, lines
from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.wire import Wire, pipeline, request

DEBUG = [
    *("string", "integer", "double", "null", "array", "set", "map"),
    *("attrib", "push", "verbatim", "bignum", "true", "false", "error"),
]

KINDS = {
    "big": b"(-1234567890123456789012345678901234567890\r\n",
    "doubles": b"*7\r\n,1\r\n,-0.5\r\n,1e300\r\n,inf\r\n,-inf\r\n,nan\r\n,10.\r\n",
    "booleans": b"*2\r\n#t\r\n#f\r\n",
    "nulls": b"*3\r\n_\r\n$-1\r\n*-1\r\n",
    "verbatim": b"=15\r\ntxt:Some string\r\n",
    "markdown": b"=8\r\nmkd:*a\r\n\r\n",
    "blob error": b"!21\r\nSYNTAX invalid syntax\r\n",
    "blob error of lines": b"!9\r\nERR a\r\n-b\r\n",
    "map": b"%2\r\n+a\r\n:1\r\n%1\r\n:2\r\n*0\r\n~1\r\n_\r\n",
    "empty ones": b"*5\r\n*0\r\n%0\r\n~0\r\n$0\r\n\r\n=4\r\ntxt:\r\n",
    "attribute": b"|1\r\n+ttl\r\n:3600\r\n*2\r\n$1\r\na\r\n|1\r\n+key\r\n%1\r\n+x\r\n,0.5\r\n:1\r\n",
    "two attributes": b"|1\r\n+a\r\n:1\r\n|0\r\n+OK\r\n",
    "push in an array": b"*2\r\n+a\r\n>2\r\n+news\r\n*1\r\n_\r\n+b\r\n",
    "pushes around": b">2\r\n$4\r\nnews\r\n+a\r\n$1\r\nx\r\n>1\r\n+only\r\n",
    "deep": b"*1\r\n" * 200 + b":1\r\n",
    "long status": b"+" + b"x" * 100_000 + b"\r\n",
    "an error with a long text": b"-ERR " + b"y" * 100_000 + b"\r\n",
    "what looks like other replies": b"*4\r\n$6\r\n+OK\r\n:\r\n$3\r\n$-1\r\n$5\r\n-MOVE\r\n+-ASK 1 h:1\r\n",
}  # fmt: skip


def test_kinds_that_only_debug_produces(
    start_proxy: StartProxy, direct: redis.Redis, redis_server: RedisServer, tmp_path: Path, cut: Cut
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[guard]\nallow = ["DEBUG"]\n')
    both = comparison(redis_server.unix, start_proxy("--config", str(config)).json, cut)
    asked = "|".join(f"DEBUG PROTOCOL {kind}" for kind in DEBUG)
    silent = f"CLIENT REPLY SKIP|DEBUG PROTOCOL attrib|PING|CLIENT REPLY OFF|{asked}|CLIENT REPLY ON|PING"
    came = both(lines(f"HELLO 3|{asked}|MULTI|{asked}|EXEC|{silent}"))
    assert b"\r\n(123" in came
    assert b"\r\n|1\r\n" in came
    resp2 = "|".join(f"DEBUG PROTOCOL {kind}" for kind in DEBUG if kind not in ("attrib", "push"))
    assert both(lines(f"{resp2}|MULTI|{resp2}|EXEC"))


VALUE = bulk(b"!" + pickle.dumps("foo", 4))
REDIRECTED = (
    b"-ERR flask-cache-proxy: Redis redirected this command; a cluster needs upstream.url = redis-cluster://\r\n"
)
READS = {
    VALUE: b'$5\r\n"foo"\r\n',
    b"|1\r\n+ttl\r\n:1\r\n" + VALUE: b'|1\r\n+ttl\r\n:1\r\n$5\r\n"foo"\r\n',
    b">2\r\n+a\r\n+b\r\n" + VALUE: b'>2\r\n+a\r\n+b\r\n$5\r\n"foo"\r\n',
    b"!5\r\nERR x\r\n": b"!5\r\nERR x\r\n",
    b"=5\r\ntxt:x\r\n": b"=5\r\ntxt:x\r\n",
    b"_\r\n": b"_\r\n",
    b"-OOM command not allowed\r\n": b"-OOM command not allowed\r\n",
    b"-MOVED 1 10.0.0.1:6379\r\n": REDIRECTED,
    b"-ASK 1 10.0.0.1:6379\r\n": REDIRECTED,
    b"-REDIRECT 10.0.0.1:6379\r\n": REDIRECTED,
    b"-MOVEDX 1\r\n": b"-MOVEDX 1\r\n",
}
DOUBTFUL = [
    b"?1\r\n",
    b"$?\r\n;4\r\nabcd\r\n;0\r\n",
    b"*?\r\n:1\r\n.\r\n",
    b"%?\r\n",
    b"\0",
    b"$5x\r\n",
    b"$-2\r\n",
    b"*1\r\n@\r\n",
    b"+OK\r\n" * 9,
    b"junk without an end",
]

INSIDE = b"*%d\r\n" % len(KINDS) + b"".join(KINDS.values())
ANSWERS = {
    "HELLO 3": b"%1\r\n$5\r\nproto\r\n:3\r\n",
    **{f"ECHO {name}": reply for name, reply in KINDS.items()},
    **{f"TYPE {name}": b"+QUEUED\r\n" for name in KINDS},
    "MULTI": b"+OK\r\n",
    "EXEC": INSIDE,
    **{f"GET flask_cache_{number}": reply for number, reply in enumerate(READS)},
    **{f"GETEX flask_cache_{number}": b"+QUEUED\r\n" for number in range(len(READS))},
    **{f"EXEC {number}": b"*1\r\n" + reply for number, reply in enumerate(READS)},
    **{f"ECHO doubtful {number}": reply for number, reply in enumerate(DOUBTFUL)},
}


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedRedis, ProxyProcess]]:
    """A Redis that gives these answers, and a proxy before it."""
    with ScriptedRedis(tmp_path_factory.mktemp("scripted"), ANSWERS) as upstream:
        proxy = ProxyProcess(["--listen", "json=127.0.0.1:0", "--upstream", f"unix://{upstream.unix}"])
        try:
            yield upstream, proxy.wait_until_ready()
        finally:
            proxy.stop()


@pytest.mark.per_client
def test_kinds_that_no_command_of_redis_7_has(scripted: tuple[ScriptedRedis, ProxyProcess], cut: Cut) -> None:
    both = comparison(scripted[0].unix, scripted[1].json, cut)
    commands = [("ECHO", name) for name in KINDS] + [("MULTI",), *(("TYPE", name) for name in KINDS), ("EXEC",)]
    assert INSIDE in both(pipeline("HELLO 3") + b"".join(request(*words) for words in commands))


@pytest.mark.per_client
@pytest.mark.parametrize("number", range(len(READS)), ids=lambda number: repr([*READS][number][:16]))
def test_what_a_read_of_a_cached_value_may_bring(
    scripted: tuple[ScriptedRedis, ProxyProcess], cut: Cut, number: int
) -> None:
    with Wire(scripted[1].json) as client:
        key = f"flask_cache_{number}"
        client.send(lines(f"GET {key}|PING|MULTI|GETEX {key}|EXEC {number}|PING|QUIT"), cut)
        delivered = [*READS.values()][number]
        expected = delivered + b"+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n" + delivered + b"+OK\r\n+OK\r\n"
        assert client.until_closed() == expected


@pytest.mark.per_client
@pytest.mark.parametrize("number", range(len(DOUBTFUL)), ids=lambda number: repr(DOUBTFUL[number]))
def test_any_doubt_closes_behind_the_replies_before_it(
    scripted: tuple[ScriptedRedis, ProxyProcess], number: int
) -> None:
    scripted[1].expect("WARNING .* closing: Redis' reply cannot be framed: ")
    with Wire(scripted[1].json) as client:
        assert client("PING") == b"+OK\r\n"
        client.send(pipeline("ECHO before") + request("ECHO", f"doubtful {number}") + pipeline("GET flask_cache_0"))
        assert client.until_closed().startswith(b"+OK\r\n")
