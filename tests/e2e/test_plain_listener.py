"""A listener that only reads, before a real Redis: its clients see natural JSON, and break nothing.

The sequences are those that Redis GUIs send, as their sources have them: RedisInsight 2 (its API's `database` and
`browser` modules) and Another Redis Desktop Manager 1.7 (`redisClient`, and the components `OperateItem`, `KeyList`,
`KeyHeader` and others). They are sent straight to Redis too, and compared.
"""

import pickle
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from typing import Any

import msgpack
import pytest
import redis

from proxy.commands import COMMANDS
from tests.commands.samples import SAMPLE_REQUESTS, keys_of
from tests.e2e.conftest import RedisServer, client_of
from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.wire import Wire, request

pytestmark = pytest.mark.usefixtures("redis_7")

CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
[[listener]]
bind = "127.0.0.1:0"
types = "plain"
[[listener]]
bind = "127.0.0.1:0"
payload = "msgpack"
types = "plain"
[[listener]]
bind = "127.0.0.1:0"
types = "tagged"
[upstream]
url = "unix://{unix}"
[[rule]]
keys = "flask_cache_raw_*"
on_undecodable = "raw"
[[rule]]
keys = "flask_cache_nil_*"
on_undecodable = "nil"
[[rule]]
keys = "flask_cache_plain_*"
types = "plain"
naive = "utc"
[[rule]]
keys = "flask_cache_view_*"
as = "view"
[[rule]]
keys = "flask_cache_*"
[guard]
scripts = "allow"
allow = ["CONFIG", "DEBUG", "FUNCTION", "MIGRATE", "PFDEBUG", "RESTORE", "SCRIPT"]
"""
ONLY_READS = b"is refused: this listener only reads\r\n"
KEY = b"flask_cache_k"
VALUE = {"when": datetime(2024, 1, 2, 3, 4, 5), "tags": ("a", "b")}
JSON = b'{"when":"2024-01-02T03:04:05","tags":["a","b"]}'


@pytest.fixture(scope="module")
def shared_proxy(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """A proxy with an ordinary listener, two plain ones and a tagged one."""
    file = tmp_path_factory.mktemp("config") / "config.toml"
    file.write_text(CONFIG.format(unix=redis_server.unix))
    proxy = ProxyProcess(["--config", str(file)])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def plain(proxy: ProxyProcess) -> Iterator[Wire]:
    """A client of the plain listener."""
    with Wire(proxy.addresses("plain")[0]) as wire:
        yield wire


def test_values_are_read_as_natural_json_and_written_elsewhere(proxy: ProxyProcess, direct: redis.Redis) -> None:
    direct.set(KEY, b"!" + pickle.dumps(VALUE))
    usual, tagged = (client_of(address) for address in proxy.addresses("json"))
    plain, packed = (client_of(proxy.addresses(form)[0]) for form in ("plain", "plain-msgpack"))
    with usual, tagged, plain, packed:
        assert plain.get(KEY) == JSON
        assert plain.mget(KEY, "none") == [JSON, None]
        assert msgpack.unpackb(packed.get(KEY)) == {"when": "2024-01-02T03:04:05", "tags": ["a", "b"]}
        for client in (usual, tagged):
            assert b'{"py/datetime":"2024-01-02T03:04:05"}' in client.get(KEY)
        assert usual.set(KEY, b"[1]")
        assert plain.get(KEY) == b"[1]"


def test_a_rules_types_hold_unless_the_listener_says_otherwise(proxy: ProxyProcess, direct: redis.Redis) -> None:
    direct.set("flask_cache_plain_k", b"!" + pickle.dumps(VALUE))
    utc = JSON.replace(b"04:05", b"04:05Z")
    usual, tagged = (client_of(address) for address in proxy.addresses("json"))
    with usual, tagged, client_of(proxy.addresses("plain")[0]) as plain:
        for client in (usual, plain):
            assert client.get("flask_cache_plain_k") == utc
        assert b"py/tuple" in tagged.get("flask_cache_plain_k")
        assert tagged.set("flask_cache_plain_k", b'{"py/tuple": [1]}')
        assert pickle.loads(direct.get("flask_cache_plain_k")[1:]) == (1,)


def test_a_cached_view_is_its_body(proxy: ProxyProcess, flask: FlaskApp) -> None:
    flask.get("/json")
    with client_of(proxy.addresses("plain")[0]) as plain:
        assert plain.get("flask_cache_view//json") == b'{"price":1.5}'


def test_raw_bytes_are_an_error_there(proxy: ProxyProcess, direct: redis.Redis, plain: Wire) -> None:
    damaged = b"!\x80\x04damaged"
    direct.mset({"flask_cache_raw_k": damaged, "flask_cache_nil_k": damaged})
    with Wire(proxy.json) as usual:
        assert usual("GET", "flask_cache_raw_k") == b"$%d\r\n%b\r\n" % (len(damaged), damaged)
    assert plain("GET", "flask_cache_raw_k").startswith(b"-ERR flask-cache-proxy: cannot decode the stored value")
    assert plain("GET", "flask_cache_nil_k") == b"$-1\r\n"


# -- refusals --------------------------------------------------------------------------------------------------


def writing() -> Iterator[tuple[bytes, ...]]:
    """A request for each command of the table that writes and has keys: managed ones in each place of a key."""
    named = {sample[0].upper(): sample for sample in reversed(SAMPLE_REQUESTS) if keys_of(sample)}
    for name, row in COMMANDS.items():
        if not row.writes or row.subcommands is not None:
            continue
        words = tuple(name.split(b"|"))
        sample = named.get(words[0]) if len(words) == 1 else None
        if sample is not None:
            yield tuple(b"flask_cache_" + arg if arg in keys_of(sample) else arg for arg in sample)
        elif KEY in row.keys((*words, *[KEY] * 4)):
            yield (*words, *[KEY] * 4)


WRITES = list(writing())
WHOLE = [
    *("FLUSHALL", "FLUSHALL ASYNC", "FLUSHDB", "flushdb sync", "SWAPDB 0 1"),
    *("EVAL return_1 0", "EVALSHA abc 0", "FCALL f 0", "FUNCTION FLUSH", "FUNCTION DELETE lib", "FUNCTION LOAD x"),
    *("FUNCTION RESTORE x", "SCRIPT FLUSH", "SCRIPT FLUSH ASYNC"),
]


def test_every_command_that_writes_a_managed_key_is_refused(plain: Wire, direct: redis.Redis) -> None:
    direct.set(KEY, b"5")
    plain.send(b"".join(request(*each) for each in WRITES))
    replies = {each[0]: plain.reply() for each in WRITES}
    assert {name for name, reply in replies.items() if not reply.endswith(ONLY_READS)} == set()
    assert len(replies) > 100
    assert direct.keys() == [KEY]
    assert direct.get(KEY) == b"5"


def test_so_they_are_inside_a_transaction(plain: Wire, direct: redis.Redis) -> None:
    direct.set(KEY, b"5")
    for each in ((b"SET", KEY, b"1"), (b"DEL", KEY), (b"FLUSHALL",), (b"EVAL", b"x", b"0")):
        assert plain("MULTI") == b"+OK\r\n"
        assert plain("GET", KEY) == b"+QUEUED\r\n"
        assert plain(*each).endswith(ONLY_READS)
        assert plain("EXEC").startswith(b"-EXECABORT")
    assert direct.get(KEY) == b"5"


@pytest.mark.parametrize("line", WHOLE)
def test_what_has_a_button_in_each_gui_is_refused(plain: Wire, direct: redis.Redis, line: str) -> None:
    direct.mset({KEY: b"5", "other": b"5"})
    assert plain(*line.split()).endswith(ONLY_READS)
    assert direct.dbsize() == 2


def test_a_part_of_a_value_is_the_part_of_its_json(plain: Wire, direct: redis.Redis) -> None:
    """By which RedisInsight opens a string: the same as a GETRANGE on the JSON itself."""
    direct.mset({KEY: b"!" + pickle.dumps(VALUE), "json": JSON})
    bounds = [0, 1, 5, len(JSON) - 1, len(JSON), 4999, -1, -2, -len(JSON), -len(JSON) - 1, -5000]
    for first, last in product(bounds, bounds):
        wanted = direct.getrange("json", first, last)
        assert plain("GETRANGE", KEY, str(first), str(last)) == b"$%d\r\n%b\r\n" % (len(wanted), wanted), (first, last)
    direct.set(KEY, b"!damaged")
    assert plain("GETRANGE", KEY, "0", "4999").startswith(b"-ERR flask-cache-proxy: cannot decode")


GETRANGES = """
    GETRANGE k 0 -1 | GETRANGE k 0 9223372036854775807 | GETRANGE k -9223372036854775808 0
    GETRANGE k 0 9223372036854775808 | GETRANGE k x 1 | GETRANGE k 1 +2 | GETRANGE k -0 1 | GETRANGE k 1 01
    GETRANGE k | GETRANGE k 0 | GETRANGE k 0 1 2 | getrange k 1.0 2
"""


@pytest.mark.parametrize("held", [None, b"[1,2]", [b"x"]], ids=["missing", "string", "list"])
@pytest.mark.parametrize("protocol", ["2", "3"])
def test_a_part_is_asked_for_as_of_redis(
    plain: Wire, direct: redis.Redis, redis_server: RedisServer, held: bytes | list[bytes] | None, protocol: str
) -> None:
    """Missing keys, other types, bad indexes and wrong numbers of arguments, alone and inside MULTI."""
    if isinstance(held, list):
        for key in (KEY, "json"):
            direct.rpush(key, *held)
    elif held is not None:
        direct.mset({KEY: b"!" + pickle.dumps([1, 2]), "json": held})

    def answers(wire: Wire, key: bytes, line: str) -> list[bytes]:
        name, _, *bounds = line.split()
        part = (name, key, *bounds)
        return [wire(*each) for each in (part, ("MULTI",), part, ("PING",), ("EXEC",))]

    with Wire(redis_server.unix) as straight:
        for wire in (plain, straight):
            wire("HELLO", protocol)
        for line in re.split(r"[|\n]", GETRANGES.strip()):
            assert answers(plain, KEY, line) == answers(straight, b"json", line), line


def test_read_only_scripts_and_other_keys_pass(plain: Wire, direct: redis.Redis) -> None:
    assert plain("EVAL_RO", "return 1", "0") == b":1\r\n"
    assert plain("EVALSHA_RO", direct.script_load("return 2"), "0") == b":2\r\n"
    assert plain("SCRIPT", "LOAD", "return 1") == b"$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n"
    assert plain("SET", "other", "x") == b"+OK\r\n"
    assert plain("APPEND", "other", "y") == b":2\r\n"
    assert plain("SUBSCRIBE", "news").startswith(b"*3\r\n")
    assert direct.get("other") == b"xy"


def test_the_other_listeners_write_as_before(proxy: ProxyProcess, direct: redis.Redis) -> None:
    with Wire(proxy.json) as usual:
        assert usual("SET", KEY, "5") == b"+OK\r\n"
        assert usual("EVAL", "return redis.call('incr', KEYS[1])", "1", "other") == b":1\r\n"
        assert usual("FLUSHALL") == b"+OK\r\n"
    assert direct.dbsize() == 0


# -- GUIs ------------------------------------------------------------------------------------------------------

REDIS_INSIGHT = """
    CLIENT SETNAME redisinsight-browser
    INFO
    COMMAND INFO ft.search json.get
    MODULE LIST
    CONFIG GET databases
    CLIENT LIST
    ACL WHOAMI
    DBSIZE
    SELECT 0
    SCAN 0 MATCH * COUNT 10000
    SCAN 0 MATCH * COUNT 10000 TYPE string
    memory_usage K samples 0
    type K
    ttl K
    strlen K
    exists K
    get K
    type L
    ttl L
    memory_usage L samples 0
    llen L
    lrange L 0 -1
    SLOWLOG LEN
    PUBSUB CHANNELS
"""
ANOTHER_REDIS_DESKTOP_MANAGER = """
    client SETINFO LIB-NAME ioredis
    select 0
    config get databases
    info
    info KEYSPACE
    scan 0 MATCH * COUNT 500
    exists K
    type K
    ttl K
    exists K
    get K
    memory usage K
    type L
    lrange L 0 99
    llen L
    hscan H 0 COUNT 200
    slowlog get 10
    ping
"""
MORE = """
    HELLO 3
    OBJECT ENCODING K
    OBJECT FREQ K
    EXISTS K L
    KEYS *
    TOUCH K
    CONFIG GET maxmemory-policy
    CLIENT GETNAME
    LATENCY LATEST
    INFO commandstats
"""
VOLATILE = re.compile(rb"^(INFO|CLIENT LIST|HELLO|SLOWLOG|KEYS|SCAN)", re.IGNORECASE)
"""Replies that differ from one time to the next, or have no order."""


def said(wire: Wire, line: str) -> bytes:
    names = {"K": KEY.decode(), "L": "a-list", "H": "a-hash", "memory_usage": "memory usage"}
    return wire(*" ".join(names.get(word, word) for word in line.split()).split())


def steady(line: str, reply: bytes) -> Any:
    """A reply, or the names in it where that is volatile."""
    if not VOLATILE.match(line.encode()):
        return reply
    return {re.split(rb"[:=]", word)[0] for word in reply.split() if not re.fullmatch(rb"[$*:%#,]?\d+", word)}


@pytest.mark.parametrize("form", ["json", "plain"])
@pytest.mark.parametrize(
    "sequence", [REDIS_INSIGHT, ANOTHER_REDIS_DESKTOP_MANAGER, MORE], ids=["insight", "ardm", "more"]
)
def test_what_guis_ask_is_answered_as_by_redis(
    proxy: ProxyProcess, direct: redis.Redis, redis_server: RedisServer, form: str, sequence: str
) -> None:
    direct.set(KEY, b"!" + pickle.dumps(VALUE), ex=1000)
    direct.rpush("a-list", "x", "y")
    with Wire(redis_server.unix) as straight, Wire(proxy.addresses(form)[0]) as through:
        for line in filter(None, map(str.strip, sequence.split("\n"))):
            wanted, came = said(straight, line), said(through, line)
            if line.lower() == "get k":
                assert came.endswith(b"\r\n%b\r\n" % JSON) is (form == "plain")
            else:
                assert steady(line, came) == steady(line, wanted), line


@pytest.mark.parametrize(
    "line", ["del K", "rename K x", "expire K 5", "persist K", "set K x XX", "FLUSHDB", "unlink K"]
)
def test_what_guis_do_by_mistake_does_nothing(plain: Wire, direct: redis.Redis, line: str) -> None:
    direct.set(KEY, b"5", ex=1000)
    assert said(plain, line).endswith(ONLY_READS)
    assert direct.get(KEY) == b"5"
    assert direct.ttl(KEY) > 900
