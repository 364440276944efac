"""The benchmarks that need a running proxy run."""

import json
from collections.abc import Iterator

import msgpack
import pytest

from benchmarks import fairness, soak
from benchmarks.proxied import Client, Proxied, proxied
from proxy.codec import CodecLimits, Options, Transcoder
from proxy.resp.writers import command


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


def test_a_bystander_is_measured_while_the_others_work(proxy: Proxied) -> None:
    row = fairness.measure(proxy, fairness.LOADS[-2]._replace(clients=1), seconds=0.1)
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
