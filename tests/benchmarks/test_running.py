"""The benchmarks that need a running proxy run."""

import json
from collections.abc import Iterator

import msgpack
import pytest
import redis

from benchmarks import fairness, soak
from benchmarks.proxied import FRAMES, Client, Proxied, proxied
from proxy.codec import CodecLimits, Options, Transcoder
from proxy.resp.encode import command


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxied]:
    with proxied() as running:
        yield running


@pytest.mark.parametrize("load", [load for load in fairness.LOADS if load.payload], ids=lambda load: load.name)
def test_every_load_is_of_values_that_are_served(load: fairness.Load) -> None:
    assert load.payload is not None
    payload = load.payload()
    codec = Transcoder(Options(payload=load.format, limits=CodecLimits()))
    assert codec.decode(codec.encode(payload))
    (json.loads if load.format == "json" else lambda data: msgpack.unpackb(data, strict_map_key=False))(payload)


@pytest.mark.parametrize("load", [load for load in fairness.LOADS if load.stored], ids=lambda load: load.name)
def test_every_load_that_an_app_has_stored_is_served_under_the_raised_limits(
    proxy: Proxied, load: fairness.Load
) -> None:
    assert load.stored is not None
    with redis.Redis(unix_socket_path=str(proxy.redis.path)) as direct:
        direct.mset(dict.fromkeys((FRAMES, b"flask_cache_k"), load.stored()))
    with redis.Redis(port=proxy.ports[load.format]) as client:
        assert len(client.get(FRAMES)) > 2_000_000
        if load.format == "plain":  # which also counts the rows
            with pytest.raises(redis.ResponseError, match="nodes"):
                client.get("flask_cache_k")


def test_a_bystander_is_measured_while_the_others_work(proxy: Proxied) -> None:
    (load,) = [load for load in fairness.LOADS if load.name == "GET of 2 KB, 32 at once"]
    row = fairness.measure(proxy, load._replace(clients=1), seconds=0.1)
    assert row["commands"] > 0
    assert row["values_per_second"] > 0
    assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"] <= row["max_ms"]


def test_a_soak_says_what_the_proxy_takes_after_each_part(proxy: Proxied) -> None:
    rows = soak.run(proxy, commands=3_000, parts=3)
    assert [row["commands"] >= wanted for row, wanted in zip(rows, (1_000, 2_000, 3_000), strict=True)] == [True] * 3
    assert all(row["mib"] > 10 for row in rows)


def test_a_reply_is_measured_whole(proxy: Proxied) -> None:
    with Client(proxy.ports["json"]) as client:
        assert client.reply_size(command(b"ECHO", b"+PONG\r\n")) == len(b"$7\r\n+PONG\r\n\r\n")
