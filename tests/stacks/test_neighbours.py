"""`stored` in a rule: values go both ways between the proxy and the libraries that store them so."""

import json
import pickle
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.e2e.proxy_process import ProxyProcess
from tests.stacks.conftest import Site
from tests.stacks.environments import NEIGHBOURS, Stack
from tests.stacks.judge import Judge, LibraryError
from tests.stacks.values import FEW, Value

CONFIG = """
[[listener]]
bind = "unix:{place}/json.sock"
[[listener]]
bind = "unix:{place}/plain.sock"
types = "plain"
[upstream]
url = "unix://{redis}"
[[rule]]
keys = ":1:*"
stored = "django"
accept_tags = ["data", "markup"]
[[rule]]
keys = "session:*"
stored = "pickle"
accept_tags = ["data", "markup"]
[[rule]]
keys = "flask_cache_*"
stored = "json"
"""
PREFIXES = {"django": ":1:", "django_redis": ":1:", "flask_session": "session:", "flask_caching_json": "flask_cache_"}
PICKLES = ("django", "django_redis")

pytestmark = pytest.mark.parametrize("stack", [NEIGHBOURS], ids=["neighbours"])


@pytest.fixture(scope="module")
def sockets(sites: Callable[[str | None], Site]) -> Iterator[tuple[str, str]]:
    """Of a proxy with a rule for each storage: a JSON listener, and a plain one."""
    with tempfile.TemporaryDirectory(prefix="fcp-") as home:  # names of unix sockets must be short
        config = Path(home) / "config.toml"
        config.write_text(CONFIG.format(place=home, redis=sites(NEIGHBOURS.server).socket))
        process = ProxyProcess(["--config", str(config)])
        try:
            process.wait_until_ready()
            yield f"{home}/json.sock", f"{home}/plain.sock"
        finally:
            process.stop()


@pytest.fixture(scope="module")
def at_work() -> Iterator[dict[str, Judge]]:
    """The libraries that are at work, by name."""
    started: dict[str, Judge] = {}
    with ExitStack() as stack:
        yield started
        for each in started.values():
            stack.callback(each.close)


@pytest.fixture
def judge(stack: Stack, library: str, python: Path, at_work: dict[str, Judge], site: Site) -> Judge:
    """The library that the test is for; its Redis is empty."""
    if library not in at_work:
        at_work[library] = Judge(stack, python, site.socket, library, "neighbours_driver.py")
    return at_work[library]


@pytest.fixture
def producer(sockets: tuple[str, str]) -> Iterator[redis.Redis]:
    """A client that writes and reads JSON."""
    with redis.Redis(unix_socket_path=sockets[0]) as client:
        yield client


@pytest.fixture
def looking(sockets: tuple[str, str]) -> Iterator[redis.Redis]:
    """A client of the plain listener."""
    with redis.Redis(unix_socket_path=sockets[1]) as client:
        yield client


def in_session(value: Value) -> Value:
    """The value in a session that a producer writes."""
    return Value(
        value.name, f"{{'_permanent': True, 'cart': {value.python}}}", f'{{"_permanent": true, "cart": {value.json}}}'
    )


BOTH_WAYS = [
    pytest.param(library, in_session(value) if library == "flask_session" else value, id=f"{library}-{value.name}")
    for library in (*PICKLES, "flask_session")
    for value in FEW
] + [
    pytest.param("flask_caching_json", value, id=f"flask_caching_json-{value.name}")
    for value in FEW
    if "py/" not in value.json
]


@pytest.mark.parametrize(("library", "value"), BOTH_WAYS)
def test_values_go_both_ways(judge: Judge, library: str, producer: redis.Redis, value: Value) -> None:
    key, wanted = f"{PREFIXES[library]}k", judge.describe(value.python)
    producer.set(key, value.json)
    assert judge.get("k") == wanted
    producer.delete(key)
    judge.set("k", value.python)
    payload = producer.get(key)
    assert repr(json.loads(payload)) == repr(json.loads(value.json))
    producer.set(key, payload)
    assert judge.get("k") == wanted


@pytest.mark.parametrize("library", PREFIXES)
def test_a_plain_listener_shows_them_as_json(judge: Judge, library: str, looking: redis.Redis) -> None:
    judge.set("k", "{'cart': [1, 'tea'], 'paid': True}")
    shown = json.loads(looking.get(f"{PREFIXES[library]}k"))
    assert shown | {"_permanent": True} == {"cart": [1, "tea"], "paid": True, "_permanent": True}
    with pytest.raises(redis.ResponseError, match="this listener only reads"):
        looking.delete(f"{PREFIXES[library]}k")


@pytest.mark.parametrize("library", [*PICKLES, "flask_caching_json"])
def test_both_count_on_what_the_other_has_written(judge: Judge, library: str, producer: redis.Redis) -> None:
    key, count = f"{PREFIXES[library]}n", "inc" if library == "flask_caching_json" else "incr"
    producer.set(key, "40")
    assert judge.ask(count, "n") == judge.describe("41")
    assert producer.incrby(key, 2) == 43
    assert judge.get("n") == judge.describe("43")
    judge.set("n", "7")
    assert producer.decr(key) == 6
    assert producer.get(key) == b"6"


@pytest.mark.parametrize("library", ["flask_session"])
def test_a_pickled_int_is_not_counted(judge: Judge, producer: redis.Redis, direct: redis.Redis) -> None:
    producer.set("session:n", "40")
    assert pickle.loads(direct.get("session:n")) == 40
    for count in (producer.incr, producer.decr):
        with pytest.raises(redis.ResponseError, match="pickles its ints"):
            count("session:n")


@pytest.mark.parametrize("library", ["flask_caching_json"])
def test_what_json_cannot_hold_is_refused_or_undecodable(
    judge: Judge, producer: redis.Redis, direct: redis.Redis
) -> None:
    with pytest.raises(redis.ResponseError, match="the tag py/tuple cannot be stored"):
        producer.set("flask_cache_k", '{"py/tuple": [1]}')
    judge.set("k", "nan")
    assert direct.get("flask_cache_k") == b"NaN"
    with pytest.raises(redis.ResponseError, match='stored = "json"'):
        producer.get("flask_cache_k")
    direct.set("flask_cache_k", b"!" + pickle.dumps("x"))
    assert judge.get("k") == judge.describe("None")
    with pytest.raises(redis.ResponseError, match='stored = "json"'):
        producer.get("flask_cache_k")


@pytest.mark.parametrize("library", PICKLES)
@pytest.mark.parametrize(
    "stored",
    [
        b"!" + pickle.dumps("x"),
        b"raw",
        b'{"a":1}',
        zlib.compress(pickle.dumps("x")),
    ],
    ids=["flask", "text", "json", "zlib"],
)
def test_what_the_library_cannot_load_is_undecodable(
    judge: Judge, producer: redis.Redis, direct: redis.Redis, stored: bytes
) -> None:
    direct.set(":1:k", stored)
    with pytest.raises(LibraryError):
        judge.get("k")
    with pytest.raises(redis.ResponseError, match='stored = "django"'):
        producer.get(":1:k")


@pytest.mark.parametrize(
    ("library", "name"), [("django_redis_zlib", "zlib"), ("django_redis_gzip", "gzip"), ("django_redis_lzma", "lzma")]
)
def test_a_compressed_value_is_named(judge: Judge, producer: redis.Redis, name: str) -> None:
    judge.set("k", "'x' * 1000")
    with pytest.raises(redis.ResponseError, match=rf"the value is compressed \({name}\)"):
        producer.get(":1:k")
    judge.set("k", "42")  # ints and short values are not compressed
    assert producer.get(":1:k") == b"42"
