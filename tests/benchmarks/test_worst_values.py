"""The worst values are values: a flood that is refused at once would measure nothing."""

import json

import pytest

from benchmarks import hostile, worst_frames, worst_values
from benchmarks.worst_values import Worst
from proxy.codec import CodecLimits, Options, Transcoder

SMALL = CodecLimits(payload_bytes=500_000, decoded_bytes=1_000_000, nodes=4_000)
NO_PLAIN_NAME = "one dict of tuple keys"
FILLS_BYTES = "big ints"
FLOODS = [
    worst
    for worst in (*worst_values.decoded(SMALL), *worst_values.encoded(SMALL))
    if worst.is_flood and (worst.name, worst.types) != (NO_PLAIN_NAME, "plain")
]


@pytest.mark.parametrize("worst", FLOODS, ids=lambda worst: f"{worst.name}-{worst.payload}-{worst.types}")
def test_a_flood_fits_the_nodes_and_fills_them(worst: Worst) -> None:
    options = Options(payload=worst.payload, types=worst.types, limits=SMALL)
    codec = Transcoder(options)
    converted = (codec.encode if worst.encode else codec.decode)(worst.make())
    assert converted
    if worst.name == FILLS_BYTES:
        return
    quarter = Transcoder(options._replace(limits=SMALL._replace(nodes=SMALL.nodes // 4)))
    refused = hostile.refusal(quarter.encode if worst.encode else quarter.decode, worst.make())
    assert refused is not None
    assert "nodes" in refused


@pytest.mark.parametrize("name", worst_values._COLLIDING)
def test_values_that_collide_are_accepted(name: str) -> None:
    (worst,) = (each for each in worst_values.encoded(CodecLimits()) if each.name == name)
    assert hostile.refusal(Transcoder(Options()).encode, worst.make()) is None


@pytest.mark.parametrize("types", ["tagged", "plain"])
@pytest.mark.parametrize("payload", ["json", "msgpack"])
@pytest.mark.parametrize("name", worst_frames.values(SMALL, "tagged"))
def test_arrays_and_frames_are_read_and_nearly_fill_the_limits(name: str, payload: str, types: str) -> None:
    stored = worst_frames.values(SMALL, types)[name]()
    options = Options(payload=payload, types=types, limits=SMALL)
    stays_binary = name == "an array that stays binary"
    if stays_binary and (payload, types) != ("msgpack", "tagged"):
        assert "nodes" in str(hostile.refusal(Transcoder(options).decode, stored))
        return
    assert Transcoder(options).decode(stored)
    smaller = options._replace(limits=SMALL._replace(nodes=SMALL.nodes // 8, decoded_bytes=SMALL.decoded_bytes // 2))
    is_words = payload == "msgpack" and types == "tagged" and "array" in name
    assert (hostile.refusal(Transcoder(smaller).decode, stored) is None) == (is_words and not stays_binary)


def test_the_usual_frame_has_its_rows() -> None:
    rows = json.loads(Transcoder(Options(types="plain")).decode(worst_frames.usual(50)))
    assert len(rows) == 50
    assert list(rows[7]) == ["c0", "c1", "c2", "c3"]
    assert (rows[7]["c3"], rows[0]["c2"]) == ("v7", "2024-01-02T03:04:05.123456789")
