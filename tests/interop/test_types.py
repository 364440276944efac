"""docs/types.md: its table both ways, one program of each language on one Redis, and every conversation."""

import json
import pickle
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import flask as flask_module
import msgpack
import pytest
import redis
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from tests.e2e.conftest import RedisServer, client_of
from tests.e2e.proxy_process import ProxyProcess
from tests.interop.conftest import address_of
from tests.interop.documents import Document, answer, go_module, holds, node_module
from tests.interop.programs import run

DOCUMENT = Document("types.md")
ROWS = DOCUMENT.rows("name", "Python", "JSON", "msgpack")
PLAIN = dict(DOCUMENT.rows("of the table", "is read as"))
OBJECTS = DOCUMENT.rows("object", "tagged", "plain")
NAMES = {
    "Counter": Counter, "defaultdict": defaultdict, "deque": deque, "ZoneInfo": ZoneInfo,
    "OrderedDict": OrderedDict, "datetime": datetime, "date": date, "time": time, "timedelta": timedelta,
    "timezone": timezone, "Decimal": Decimal, "UUID": UUID, "Markup": Markup, "Response": flask_module.Response,
    "Fraction": Fraction, "IPv4Address": IPv4Address, "PurePosixPath": PurePosixPath, "NotFound": NotFound,
}  # fmt: skip


@pytest.fixture(scope="module")
def documented(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """A proxy with the rules of the document, before an empty Redis."""
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        client.flushall()
    config = tmp_path_factory.mktemp("types") / "config.toml"
    config.write_text(DOCUMENT.config(redis_server))
    proxy = ProxyProcess(["--config", str(config)])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def client(documented: ProxyProcess) -> Iterator[redis.Redis]:
    with client_of(documented.json) as client:
        yield client


@pytest.fixture
def msgpack_client(documented: ProxyProcess) -> Iterator[redis.Redis]:
    with client_of(documented.msgpack) as client:
        yield client


@pytest.fixture
def stored(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        yield client


def shown(value: Any) -> object:
    """A form of a value in which two values are equal only if all their types are equal."""
    if isinstance(value, flask_module.Response):
        return value.status_code, list(value.headers), value.data
    return repr(value)


def evaluated(expression: str) -> Any:
    return eval(expression, dict(NAMES))


def loaded(client: redis.Redis, key: str) -> Any:
    value = client.get(key)
    assert value is not None, key
    return pickle.loads(value[1:]) if value[:1] == b"!" else int(value)


def store(client: redis.Redis, key: str, value: Any) -> None:
    client.set(key, str(value) if type(value) is int else b"!" + pickle.dumps(value))


@pytest.mark.parametrize(("name", "expression", "as_json", "as_msgpack"), ROWS, ids=[row[0] for row in ROWS])
def test_the_table(
    client: redis.Redis,
    msgpack_client: redis.Redis,
    stored: redis.Redis,
    name: str,
    expression: str,
    as_json: str,
    as_msgpack: str,
) -> None:
    value, key = evaluated(expression), f"flask_cache_table:{name}"
    store(stored, key, value)
    read = client.get(key)
    assert json.loads(read) == json.loads(as_json)
    assert type(json.loads(read)) is type(json.loads(as_json))
    packed = msgpack_client.get(key)
    unpacked = msgpack.unpackb(packed, strict_map_key=False)
    wanted = json.loads(as_json) if as_msgpack == "the same" else evaluated(as_msgpack)
    assert repr(unpacked) == repr(wanted)
    for writer, payload in ((client, as_json), (client, read), (msgpack_client, packed)):
        writer.set(f"{key}:back", payload)
        assert shown(loaded(stored, f"{key}:back")) == shown(value)


@pytest.mark.parametrize(("name", "plain"), PLAIN.items(), ids=PLAIN)
def test_the_table_of_plain_types(client: redis.Redis, stored: redis.Redis, name: str, plain: str) -> None:
    (expression,) = (row[1] for row in ROWS if row[0] == name)
    store(stored, f"flask_cache_plain:{name}", evaluated(expression))
    assert client.get(f"flask_cache_plain:{name}") == plain.encode()


@pytest.mark.parametrize(("expression", "tagged", "plain"), OBJECTS, ids=[row[0] for row in OBJECTS])
def test_the_table_of_objects(
    client: redis.Redis, stored: redis.Redis, expression: str, tagged: str, plain: str
) -> None:
    for rule, read in (("python", tagged), ("plain", plain)):
        store(stored, f"flask_cache_{rule}:object", evaluated(expression))
        got = client.get(f"flask_cache_{rule}:object")
        assert got.replace(b"pathlib._local.", b"pathlib.") == read.encode()  # so in Python 3.13 alone


def test_what_the_table_of_plain_types_leaves_out_is_as_it_was(client: redis.Redis, stored: redis.Redis) -> None:
    others = [row for row in ROWS if row[0] not in PLAIN]
    assert len(others) == len(ROWS) - len(PLAIN) > 5
    for name, expression, as_json, _ in others:
        store(stored, f"flask_cache_plain:{name}", evaluated(expression))
        assert json.loads(client.get(f"flask_cache_plain:{name}")) == json.loads(as_json)


def test_the_programs_agree(
    documented: ProxyProcess, redis_server: RedisServer, stored: redis.Redis, node: str, tmp_path: Path
) -> None:
    """Go and Node write and read one of each; the app gets equal values, and what it caches is read as theirs."""
    address = address_of(documented.json)
    for language in ("go", "node"):
        (tmp_path / language).mkdir()
    go = go_module(tmp_path / "go", {"main.go": DOCUMENT.code("go")})
    printed = {
        "go": run(go, "run", ".", at=tmp_path / "go", PROXY=address),
        "node": run(node, *node_module(tmp_path / "node", DOCUMENT.code("js")), at=tmp_path / "node", PROXY=address),
    }
    program = run(sys.executable, "-c", DOCUMENT.code("python"), REDIS=f"unix://{redis_server.unix}")
    names = {row[0]: row for row in ROWS}
    for language, lines in printed.items():
        read = dict(line.split("\t") for line in lines.splitlines())
        assert read.keys() == names.keys()
        for name, payload in read.items():
            assert json.loads(payload) == json.loads(names[name][2]), (language, name)
    seen = [line.split("\t") for line in program.splitlines()]
    assert {(name, language) for name, language, _ in seen} == {(n, each) for n in names for each in ("go", "node")}
    for name, language, theirs in seen:
        value = evaluated(names[name][1])
        assert theirs == repr(value), language
        for writer in ("go", "node", "python"):
            assert shown(loaded(stored, f"flask_cache_{writer}:{name}")) == shown(value), writer


def test_the_conversations(documented: ProxyProcess, redis_server: RedisServer, client: redis.Redis) -> None:
    run(sys.executable, "-c", DOCUMENT.code("python"), REDIS=f"unix://{redis_server.unix}")
    conversations = DOCUMENT.conversations()
    assert len(conversations) >= 20
    for said in conversations:
        assert holds(said, answered := answer(client, said.command)), (said, answered)


def test_an_undecodable_element_of_an_mget_is_nil(client: redis.Redis, redis_server: RedisServer) -> None:
    run(sys.executable, "-c", DOCUMENT.code("python"), REDIS=f"unix://{redis_server.unix}")
    client.set("flask_cache_good", "1")
    assert client.mget("flask_cache_error:half", "flask_cache_good") == [None, b"1"]


def test_a_timestamp_of_msgpack_is_an_aware_datetime(msgpack_client: redis.Redis, stored: redis.Redis) -> None:
    when = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    msgpack_client.set("flask_cache_when", msgpack.packb(when, datetime=True))
    assert loaded(stored, "flask_cache_when") == when
    assert msgpack.unpackb(msgpack_client.get("flask_cache_when")) == {"py/datetime": when.isoformat()}
    msgpack_client.set("flask_cache_keys", msgpack.packb({1: "one"}))
    assert loaded(stored, "flask_cache_keys") == {1: "one"}


@pytest.mark.parametrize("spelled", ["2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.678000999+00:00"])
def test_moments_may_be_spelled_otherwise(client: redis.Redis, stored: redis.Redis, spelled: str) -> None:
    client.set("flask_cache_when", json.dumps({"py/datetime": spelled}))
    assert loaded(stored, "flask_cache_when") == datetime(2024, 1, 2, 3, 4, 5, 678000, UTC)


def test_a_float_may_be_tagged(client: redis.Redis, stored: redis.Redis) -> None:
    client.set("flask_cache_two", '{"py/float": 2}')
    assert repr(loaded(stored, "flask_cache_two")) == "2.0"
