"""Limits of a rule's own, raised and lowered: they hold on both ways, in both formats, on the event loop and in the
converter, and errors name them as settings of the rule.
"""

import json
import pickle
import re
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import redis

from tests.e2e.conftest import RedisServer, client_of
from tests.e2e.proxy_process import ProxyProcess

CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
[[listener]]
bind = "127.0.0.1:0"
payload = "msgpack"
[[listener]]
bind = "127.0.0.1:0"
types = "plain"
[upstream]
url = "unix://{redis}"
[limits]
payload_bytes = 100_000
decoded_bytes = 200_000
nodes = 2_000
buffered_bytes = 150_000
[[rule]]
keys = "flask_cache_large_*"
payload_bytes = 3_000_000
decoded_bytes = 4_000_000
nodes = 400_000
[[rule]]
keys = "flask_cache_small_*"
payload_bytes = 1_000
decoded_bytes = 2_000
nodes = 50
[[rule]]
keys = "flask_cache_nodes_*"
nodes = 50
[[rule]]
keys = "flask_cache_*"
"""
LIMITS = {
    # rule: payload_bytes, decoded_bytes, nodes
    "large_": (3_000_000, 4_000_000, 400_000),
    "small_": (1_000, 2_000, 50),
    "": (100_000, 200_000, 2_000),
}
FORMATS: dict[str, Any] = {"json": json, "msgpack": msgpack}
RULES = pytest.mark.parametrize("rule", LIMITS, ids=["raised", "lowered", "of all"])


@pytest.fixture(scope="module")
def proxy(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """A proxy with these rules."""
    config = tmp_path_factory.mktemp("limits") / "config.toml"
    config.write_text(CONFIG.format(redis=redis_server.unix))
    proxy = ProxyProcess(["--config", str(config)])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture(params=list(FORMATS))
def payload(request: pytest.FixtureRequest) -> str:
    """The format of the client's payloads."""
    format_: str = request.param
    return format_


@pytest.fixture
def client(proxy: ProxyProcess, payload: str) -> Iterator[redis.Redis]:
    """A client of the listener for that format."""
    with client_of(getattr(proxy, payload)) as client:
        yield client


def packed(payload: str, tree: Any) -> bytes:
    """The payload of a tree."""
    raw = FORMATS[payload].dumps(tree)
    return raw if isinstance(raw, bytes) else raw.encode()


def said(rule: str, limit: str) -> str:
    """The end of an error that names a limit."""
    return re.escape(f"({'[[rule]]' if rule else '[limits]'} {limit})")


@RULES
def test_nodes_of_a_written_and_of_a_read_value(
    client: redis.Redis, direct: redis.Redis, rule: str, payload: str
) -> None:
    key, (_, _, nodes) = f"flask_cache_{rule}n", LIMITS[rule]
    client.set(key, packed(payload, [1] * (nodes - 1)))
    assert FORMATS[payload].loads(client.get(key)) == [1] * (nodes - 1)
    with pytest.raises(redis.ResponseError, match=said(rule, "nodes")):
        client.set(key, packed(payload, [1] * nodes))
    assert len(pickle.loads(direct.get(key)[1:])) == nodes - 1
    direct.set(key, b"!" + pickle.dumps([1] * nodes))
    with pytest.raises(redis.ResponseError, match=said(rule, "nodes")):
        client.get(key)
    direct.set(key, b"!" + pickle.dumps([(1,)] * nodes))  # a way through the presenter, not the format alone
    with pytest.raises(redis.ResponseError, match=said(rule, "nodes")):
        client.get(key)


@RULES
def test_bytes_of_a_written_payload(client: redis.Redis, rule: str, payload: str) -> None:
    key, (most, _, _) = f"flask_cache_{rule}p", LIMITS[rule]
    around = len(packed(payload, "x" * most)) - most
    client.set(key, packed(payload, "x" * (most - around)))
    assert client.strlen(key) > most - 10
    with pytest.raises(redis.ResponseError, match=said(rule, "payload_bytes")):
        client.set(key, packed(payload, "x" * (most - around + 1)))


@RULES
def test_bytes_of_a_stored_value_and_of_its_payload(
    client: redis.Redis, direct: redis.Redis, rule: str, payload: str
) -> None:
    """The largest values are larger than `buffered_bytes`."""
    key, (_, most, _) = f"flask_cache_{rule}d", LIMITS[rule]
    fits = b"!" + pickle.dumps("x" * (most - 30))
    direct.set(key, fits)
    assert FORMATS[payload].loads(client.get(key)) == "x" * (most - 30)
    direct.set(key, fits + b" " * 40)
    with pytest.raises(redis.ResponseError, match=said(rule, "decoded_bytes")):
        client.get(key)
    direct.set(key, b"!" + pickle.dumps([(b"\xff" * (most // 4 * 3),)] * 2, 4))
    with pytest.raises(redis.ResponseError, match=said(rule, "decoded_bytes")):
        client.get(key)


@RULES
def test_every_command_that_reads_has_the_limits_of_its_rule(
    client: redis.Redis, direct: redis.Redis, rule: str
) -> None:
    key, (_, _, nodes) = f"flask_cache_{rule}m", LIMITS[rule]
    fits, over = (b"!" + pickle.dumps([1] * count) for count in (nodes - 1, nodes))
    direct.mset({key: fits, f"{key}2": over})
    first, second = client.mget(key, f"{key}2")
    assert len(first) >= nodes
    assert second is None
    with client.pipeline(transaction=True) as pipe:
        pipe.get(key)
        pipe.get(f"{key}2")
        first, error = pipe.execute(raise_on_error=False)
    assert len(first) >= nodes
    assert f"{'[[rule]]' if rule else '[limits]'} nodes" in str(error)


def test_a_limit_that_the_rule_does_not_set_is_named_as_one_of_all(client: redis.Redis, payload: str) -> None:
    with pytest.raises(redis.ResponseError, match=said("", "payload_bytes")):
        client.set("flask_cache_nodes_p", packed(payload, "x" * 100_000))
    with pytest.raises(redis.ResponseError, match=said("nodes_", "nodes")):
        client.set("flask_cache_nodes_n", packed(payload, [1] * 50))


@RULES
def test_a_plain_listener_has_them_too(proxy: ProxyProcess, direct: redis.Redis, rule: str) -> None:
    key, (_, most, nodes) = f"flask_cache_{rule}l", LIMITS[rule]
    with client_of(proxy.addresses("plain")[0]) as client:
        direct.set(key, b"!" + pickle.dumps([1] * (nodes - 1)))
        assert json.loads(client.get(key)) == [1] * (nodes - 1)
        for value, limit in (([1] * nodes, "nodes"), ("x" * most, "decoded_bytes")):
            direct.set(key, b"!" + pickle.dumps(value))
            with pytest.raises(redis.ResponseError, match=said(rule, limit)):
                client.get(key)
