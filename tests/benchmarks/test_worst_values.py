"""The worst values are values: a flood that is refused at once would measure nothing."""

import pytest

from benchmarks import hostile, worst_values
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
