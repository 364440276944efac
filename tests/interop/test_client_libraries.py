"""The libraries in `clients`: their keys against the recipes, wrong uses, plain listeners, old servers, clusters."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import redis

from proxy import codec
from tests import servers
from tests.conftest import RedisServer, running_server
from tests.e2e.proxy_process import ProxyProcess
from tests.interop.client_libraries import PROGRAMS, ClientError, ClientLibrary, Miss, at_work
from tests.interop.conftest import address_of
from tests.interop.test_cluster_clients import node_of_a_cluster
from tests.interop.test_keys import CASES, Case

__all__ = ["node_of_a_cluster"]

PAYLOADS = ("json", "msgpack", "plain", "plain-msgpack")
NEWEST = {"library": "flask-caching-2.5"}
MEMO = ["memo", "shop.total", [1]]
VERSION = "flask_cache_shop.total_memver"
VIEW = ["view", "/"]


@contextmanager
def proxy_before(server: RedisServer) -> Iterator[ProxyProcess]:
    """A proxy with a listener of each kind in front of a server."""
    listeners = [part for payload in PAYLOADS for part in ("--listen", f"{payload}=127.0.0.1:0")]
    proxy = ProxyProcess([*listeners, "--upstream", f"unix://{server.unix}"])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture(scope="module")
def shared_proxy(redis_server: RedisServer) -> Iterator[ProxyProcess]:
    """One proxy with a listener of each kind."""
    with proxy_before(redis_server) as proxy:
        yield proxy


@pytest.fixture(scope="module", params=PROGRAMS)
def language(request: pytest.FixtureRequest) -> str:
    """A language."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def command(language: str, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The command of its program."""
    return PROGRAMS[language][0](tmp_path_factory.mktemp(language))


@contextmanager
def connected(command: Sequence[str], language: str, proxy: ProxyProcess, payload: str) -> Iterator[ClientLibrary]:
    """The program with each payload format on one variant, and with plain types on another."""
    first, last = PROGRAMS[language][1]
    variant = last if "msgpack" in payload else first
    with at_work(command, address_of(proxy.addresses(payload)[0]), payload, variant) as client:
        yield client.having(**NEWEST)


@pytest.fixture(params=["json", "msgpack"])
def client(
    request: pytest.FixtureRequest, command: Sequence[str], language: str, proxy: ProxyProcess
) -> Iterator[ClientLibrary]:
    """A client of the listener with types."""
    with connected(command, language, proxy, request.param) as client:
        yield client


@pytest.fixture
def json_client(command: Sequence[str], language: str, proxy: ProxyProcess) -> Iterator[ClientLibrary]:
    """A client of the JSON listener."""
    with connected(command, language, proxy, "json") as client:
        yield client


# -- keys --------------------------------------------------------------------------------------------------


def test_its_keys_are_those_of_the_recipes(json_client: ClientLibrary, direct: redis.Redis) -> None:
    for case in CASES:
        settings = {"library": case.library or NEWEST["library"], "prefix": str(case.given[0])}
        assert key_of(json_client.having(**settings), direct, case) == case.key, case


def key_of(client: ClientLibrary, direct: redis.Redis, case: Case) -> Any:
    """The key that the library computes, or the keys of a version that it makes."""
    _, *given = case.given
    if case.do == "versions":
        function, instance = given
        direct.flushall()
        client.ask("set", ["memo", function, *([["self", instance]] if instance else [])], value=1, ttl=60)
        made = {key.decode() for key in direct.keys("*_memver")}
        return case.key if made == set(case.key) else made
    if case.do == "result":
        function, version, *arguments = given
        passed = [["default", each["default"]] if isinstance(each, dict) else [each] for each in arguments]
        client.ask("invalidate", ["memo", function])
        direct.set(version_of(client, direct, function), f'"{version}"')
        return client.ask("key", ["memo", function, *passed])
    if case.do == "query" and len(given) == 4:
        client = client.having(key_prefix=given[2], hash=given[3])
    return client.ask("key", [case.do, *given[:2]] if case.do == "query" else [case.do, *given])


def version_of(client: ClientLibrary, direct: redis.Redis, function: str) -> str:
    """The key of a function's version."""
    direct.flushall()
    client.ask("set", ["memo", function], value=1, ttl=60)
    (key,) = direct.keys("*_memver")
    return str(key.decode())


# -- wrong uses --------------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """A wrong use."""

    reason: str
    """A pattern of the error."""
    entry: Sequence[Any]
    settings: Mapping[str, str] = {}
    members: Mapping[str, Any] = {}


OLDEST = {"library": "flask-cache"}
DEFAULT_REPR = "<shop.Cart object at 0x7f3a52c1d0>"
NESTED: list[Any] = []
for _ in range(150):
    NESTED = [NESTED]

REFUSES = "flask-cache-proxy: |is text such as"
"""The proxy, or the library before it."""

WRONG = {
    "a library that is none": Wrong("one of", VIEW, {"library": "none"}),
    "a callable prefix": Wrong("callable CACHE_KEY_PREFIX", VIEW, {"prefix": "<function prefix at 0x7f3a52c1d0>"}),
    "a callable key_prefix": Wrong("callable key_prefix", VIEW, {"key_prefix": "<function f at 0x7f3a52c1d0>"}),
    "a hash that is none": Wrong("no hash.*sha512", VIEW, {"hash": "crc32"}),
    "a hash of Flask-Cache": Wrong("no hash_method", VIEW, {"hash": "sha1", **OLDEST}),
    "a Python that is none": Wrong("version of Python", VIEW, {"python": "2.7"}),
    "a key_prefix with two %s": Wrong("format the key_prefix", VIEW, {"key_prefix": "%s_%s"}),
    "a key_prefix with a single %": Wrong("format the key_prefix", VIEW, {"key_prefix": "100%_%s"}),
    "a key_prefix with %s behind %": Wrong("format the key_prefix", VIEW, {"key_prefix": "a%%s%b"}),
    "a path without a slash": Wrong("begin with /", ["view", "index"]),
    "an empty path": Wrong("begin with /", ["view", ""]),
    "a path with a query": Wrong("has a query", ["view", "/index?a=1"]),
    "a path with a fragment": Wrong("has a query", ["view", "/index#top"]),
    "a path with a newline": Wrong("control character", ["view", "/index\n"]),
    "a path with a query for a query": Wrong("has a query", ["query", "/index?a=1", "b=2"]),
    "a query of Flask-Cache": Wrong("no query_string", ["query", "/", "a=1"], OLDEST),
    "a query with a fragment": Wrong("#", ["query", "/", "a=1#top"]),
    "a query with a tab": Wrong("control character", ["query", "/", "a=\t"]),
    "a query that is not UTF-8": Wrong("not UTF-8", ["query", "/", "a=%FF"]),
    "a query that ends within a character": Wrong("not UTF-8", ["query", "/", "a=%C3&b=%A9"]),
    "a fragment of an object": Wrong("address", ["fragment", "side", DEFAULT_REPR]),
    "a function without a module": Wrong("qualified name", ["memo", "total"]),
    "a function with arguments": Wrong("qualified name", ["memo", "shop.total(1)"]),
    "an object without a __repr__": Wrong("__repr__", ["memo", "shop.Cart.total", ["self", DEFAULT_REPR]]),
    "no object": Wrong("empty", ["memo", "shop.Cart.total", ["self", ""]]),
    "a class as an object": Wrong("one version", ["memo", "shop.Cart.most", ["self", "<class 'shop.Cart'>"]]),
    "an object that is not the first": Wrong("first argument", ["memo", "shop.Cart.total", [1], ["self", "Cart(5)"]]),
    "a class without a module": Wrong("module and name", ["memo", "shop.Cart.most", ["class", "Cart"]]),
    "a class that is not the first": Wrong("first argument", ["memo", "shop.Cart.most", [1], ["class", "shop.Cart"]]),
    "a keyword of Flask-Cache": Wrong(
        "no keyword-only", [*MEMO, ["keyword", "deep", True]], {"python": "3.11", **OLDEST}
    ),
    "a keyword for any Python": Wrong("option", [*MEMO, ["keyword", "deep", True]]),
    "a keyword without a name": Wrong("no name", [*MEMO, ["keyword", "", True]], {"python": "3.12"}),
    "a keyword twice": Wrong("twice", [*MEMO, *[["keyword", "deep", True]] * 2], {"python": "3.12"}),
    "an argument behind a keyword": Wrong("last", [*MEMO, ["keyword", "deep", True], [2]], {"python": "3.12"}),
    "a set of two as an argument": Wrong("order", ["memo", "shop.total", [{"py/set": [1, 2]}]]),
    "a set of two in a default": Wrong("order", ["memo", "shop.total", ["default", [{"py/frozenset": [1, 2]}]]]),
    "a Counter as an argument": Wrong("only the app", ["memo", "shop.total", [{"py/counter": {"tea": 3}}]]),
    "a zone as an argument": Wrong("zone", ["memo", "shop.total", [{"py/datetime": "2024-01-02T03:04:05+02:00"}]]),
    "a Decimal that is none": Wrong("Decimal", ["memo", "shop.total", [{"py/decimal": "1,10"}]]),
    "a UUID that is none": Wrong("UUID", ["memo", "shop.total", [{"py/uuid": "1234"}]]),
    "no time to live": Wrong("less than a millisecond", VIEW, {}, {"ttl": 0}),
    "a negative time to live": Wrong("less than a millisecond", VIEW, {}, {"ttl": -1}),
    "a value that nests too deep": Wrong("(?i)nest|deep", VIEW, {}, {"value": NESTED[0]}),
    "a tag that the rule does not accept": Wrong("flask-cache-proxy: ", VIEW, {}, {"value": {"py/markup": "<b>"}}),
    "a tag that is none": Wrong("flask-cache-proxy: ", VIEW, {}, {"value": {"py/tupel": []}}),
    "a Decimal that is none as a value": Wrong(REFUSES, VIEW, {}, {"value": {"py/decimal": "x"}}),
    "a date that is none as a value": Wrong(REFUSES, VIEW, {}, {"value": [{"py/date": "2024-02-30"}]}),
    **{
        f"writing {tag}": Wrong("(?i)read|flask-cache-proxy: ", VIEW, {}, {"value": {tag: content}})
        for tag, content in {
            "py/instance": {"class": "shop.Cart", "value": {}},
            "py/global": "shop.Cart",
            "py/cycle": 1,
            "py/numpy": {"dtype": "float64", "value": 1.5},
            "py/timestamp": "2024-01-02T00:00:00",
        }.items()
    },
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_use_is_an_error_and_stores_nothing(client: ClientLibrary, direct: redis.Redis, wrong: Wrong) -> None:
    with pytest.raises(ClientError, match=wrong.reason):
        client.having(**wrong.settings).ask("set", wrong.entry, **{"value": 1, "ttl": 60, **wrong.members})
    assert direct.dbsize() == 0


def test_invalidating_everything_must_be_meant(client: ClientLibrary, direct: redis.Redis) -> None:
    direct.set("flask_cache_view//", "1")
    with pytest.raises(ClientError, match=r"(?i)use invalidateAll"):
        client.ask("invalidate_prefix", text="")
    with pytest.raises(ClientError, match="FLUSHDB"):
        client.having(prefix="").ask("invalidate_all")
    assert direct.dbsize() == 1
    assert client.having(prefix="").ask("invalidate_prefix", text="flask_cache_view") == 1


def test_a_miss_is_no_error(client: ClientLibrary, direct: redis.Redis) -> None:
    for entry in (VIEW, MEMO):
        with pytest.raises(Miss):
            client.ask("get", entry)
        client.ask("delete", entry)
        client.ask("invalidate", entry)
    with pytest.raises(Miss):
        client.ask("key", MEMO)
    assert direct.dbsize() == 0


# -- types -------------------------------------------------------------------------------------------------

MONEY = b"!" + b"\x80\x04\x8c\x0ashop.money\x8c\x05Money\x93)\x81}\x8c\x05cents\x4b\x05sb."
"""An object of a class of the app, as pickle writes it."""


@pytest.mark.parametrize(
    ("stored", "want", "said"),
    [
        (codec.dumps({"price": 1}), "float", "dict"),
        (codec.dumps("5"), "int", "str"),
        (codec.dumps(2.5), "int", "float"),
        (codec.dumps(2**70), "int", "int"),
        (codec.dumps(True), "int", "bool"),
        (codec.dumps(1), "bool", "int"),
        (codec.dumps(None), "text", "None"),
        (codec.dumps(b"tea"), "text", "bytes"),
        (codec.dumps("tea"), "bytes", "str"),
        (codec.dumps((1, 2)), "list", "tuple"),
        (codec.dumps({1, 2}), "list", "set"),
        (codec.dumps({1: "one"}), "dict", "dict"),
        (codec.dumps("2024-01-02T03:04:05Z"), "time", "str"),
        (MONEY, "dict", r"shop\.money\.Money"),
        (MONEY, "float", r"shop\.money\.Money"),
    ],
)
def test_a_value_of_another_type_is_an_error(
    client: ClientLibrary, direct: redis.Redis, stored: bytes, want: str, said: str
) -> None:
    direct.set("flask_cache_view//", stored)
    with pytest.raises(ClientError, match=rf"\$: Python {said}.*, want "):
        client.ask("get", VIEW, want=want)


def test_a_value_of_the_wanted_type_is_read(client: ClientLibrary) -> None:
    for want, value in {
        "bool": True,
        "int": -(2**53) + 1,
        "float": 2.5,
        "text": "\u2603",
        "list": [1, [None]],
        "dict": {"a": {"b": 1}, "__proto__": 2},
        "bytes": {"py/bytes": "AP8="},
        "time": {"py/datetime": "2024-01-02T03:04:05+00:00"},
    }.items():
        client.ask("set", MEMO, value=value, ttl=60)
        read = client.ask("get", MEMO, want=want)
        assert (read, type(read)) == (value, type(value))


# -- memoized functions ------------------------------------------------------------------------------------


def test_a_version_that_is_no_text_is_an_error(client: ClientLibrary, direct: redis.Redis) -> None:
    direct.set(VERSION, "5")
    for op in ("get", "key", "delete"):
        with pytest.raises(ClientError, match=f"version of shop.total is no text.*delete the key .*{VERSION}"):
            client.ask(op, MEMO)
    with pytest.raises(ClientError, match="is no text"):
        client.ask("set", MEMO, value=1, ttl=60)
    client.ask("invalidate", MEMO)
    client.ask("set", MEMO, value=1, ttl=60)


def living(client: ClientLibrary, direct: redis.Redis) -> None:
    """A version lives at least as long as its longest result, to the millisecond."""
    client.ask("set", MEMO, value=1, ttl=0.5)
    assert 0 < direct.pttl(client.ask("key", MEMO)) <= 500
    direct.expire(VERSION, 60)
    version = direct.get(VERSION)
    client.ask("set", MEMO, value=1, ttl=30)
    assert 30 < direct.ttl(VERSION) <= 60
    client.ask("set", MEMO, value=1, ttl=3599.5)
    assert 60 < direct.ttl(VERSION) <= 3600
    client.ask("set", MEMO, value=1)
    assert direct.ttl(VERSION) == direct.ttl(client.ask("key", MEMO)) == -1
    client.ask("set", MEMO, value=1, ttl=60)
    assert direct.ttl(VERSION) == -1
    assert direct.get(VERSION) == version


def test_a_version_lives_as_long_as_its_results(client: ClientLibrary, direct: redis.Redis) -> None:
    living(client, direct)


def test_it_does_so_where_the_server_has_no_gt(
    command: Sequence[str], language: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        running_server(servers.executable("redis-6"), tmp_path_factory) as server,
        proxy_before(server) as proxy,
        connected(command, language, proxy, "json") as client,
        redis.Redis(unix_socket_path=server.unix) as direct,
    ):
        living(client, direct)


# -- other listeners and clients ---------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["plain", "plain-msgpack"])
def test_a_plain_listener_is_for_reading(
    command: Sequence[str], language: str, proxy: ProxyProcess, direct: redis.Redis, payload: str
) -> None:
    direct.set("flask_cache_view//", codec.dumps({"tags": (1, 2), "at": {"py/date": "no tag"}}))
    direct.set(VERSION, codec.dumps("GOVER1"))
    with connected(command, language, proxy, payload) as client:
        assert client.ask("get", VIEW, want="dict") == {"tags": [1, 2], "at": in_a_dict({"py/date": "no tag"})}
        direct.set(client.ask("key", MEMO), codec.dumps(2.5))
        assert client.ask("get", MEMO, want="float") == 2.5
        for entry in (VIEW, MEMO):
            with pytest.raises(ClientError, match="plain listener"):
                client.ask("set", entry, value=1, ttl=60)


def in_a_dict(value: dict[str, Any]) -> dict[str, Any]:
    """A dict that looks like a tag, as JSON with tags shows it."""
    return {"py/dict": [list(pair) for pair in value.items()]}


def test_a_listener_of_the_other_format_is_named(
    command: Sequence[str], language: str, proxy: ProxyProcess, direct: redis.Redis
) -> None:
    first, _ = PROGRAMS[language][1]
    for used, spoken in (("json", "msgpack"), ("msgpack", "json")):
        direct.set("flask_cache_view//", codec.dumps({"a": [1, "tea"]}))
        with (
            at_work(command, address_of(proxy.addresses(spoken)[0]), used, first) as client,
            pytest.raises(ClientError, match=f"is this the proxy's (?i:{used}) port"),
        ):
            client.having(**NEWEST).ask("get", VIEW)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The command of the Go program."""
    return PROGRAMS["go"][0](tmp_path_factory.mktemp("go"))


def test_a_cluster_client_gets_errors_from_the_proxy(
    go: Sequence[str], proxy: ProxyProcess, direct: redis.Redis
) -> None:
    with at_work(go, address_of(proxy.json), "json", "cluster") as client:
        for op, members in (("set", {"value": 1, "ttl": 60}), ("get", {}), ("invalidate", {})):
            with pytest.raises(ClientError, match="cluster support disabled"):
                client.having(**NEWEST).ask(op, MEMO, **members)
        with pytest.raises(ClientError, match="cluster support disabled"):
            client.having(**NEWEST).ask("invalidate_prefix", text="view")
    assert direct.dbsize() == 0


def test_a_ring_is_invalidated_as_a_whole(go: Sequence[str], proxy: ProxyProcess) -> None:
    with at_work(go, address_of(proxy.json), "json", "ring") as ring:
        deletes_all(ring.having(**NEWEST))


def test_a_cluster_is_invalidated_as_a_whole(go: Sequence[str], node_of_a_cluster: RedisServer) -> None:
    with at_work(go, f"127.0.0.1:{node_of_a_cluster.port}", "json", "cluster") as cluster:
        deletes_all(cluster.having(**NEWEST))


def deletes_all(client: ClientLibrary) -> None:
    for number in range(20):
        client.ask("set", ["view", f"/{number}"], value=f"page {number}", ttl=60)
    client.ask("set", MEMO, value=1, ttl=60)
    assert client.ask("invalidate_prefix", text="view//") == 20
    assert client.ask("get", MEMO) == 1
