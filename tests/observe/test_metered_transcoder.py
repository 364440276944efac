"""Transcoders that count."""

import pytest

from proxy.codec import CodecLimits, Options, PayloadError, Transcoder, UndecodableError
from proxy.observe import metered_transcoder
from proxy.observe.families import TRANSCODED, TRANSCODING_SECONDS, Family
from proxy.observe.metered_transcoder import MeteredTranscoder
from proxy.observe.metrics import SUM, Metrics
from proxy.session import Conversion, Half

SMALL = Options(limits=CodecLimits(nodes=3))
STORED = b"!\x80\x04K\x01."


def numbers(metrics: Metrics, family: Family) -> dict[tuple[str, ...], float]:
    return {labels: number for (name, labels), number in metrics.snapshot().items() if name == family.name}


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    """The number of values, by direction and rule."""
    return {(labels[0], labels[2]): count for labels, count in numbers(metrics, TRANSCODED).items()}


def timed(metrics: Metrics) -> float:
    """The number of values that were timed."""
    return sum(count for labels, count in numbers(metrics, TRANSCODING_SECONDS).items() if labels[-1] != SUM)


def test_one_in_16_is_timed() -> None:
    metrics = Metrics()
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    for _ in range(33):
        transcoder.encode(b"1")
    assert counted(metrics) == {("encode", "r"): 33}
    assert timed(metrics) == 3


def test_each_direction_counts_what_it_has_done() -> None:
    metrics = Metrics()
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    assert transcoder.encode(b"[1]") == transcoder.encode(b"[1]")
    assert transcoder.decode(STORED) == b"1"
    assert counted(metrics) == {("encode", "r"): 2, ("decode", "r"): 1}


def test_values_of_the_fast_path_are_counted_by_it_alone() -> None:
    metrics = Metrics()
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    assert transcoder.codec.encode(b"[1]") == Transcoder(Options()).encode(b"[1]")
    assert counted(metrics) == {}
    transcoder.encoding.values.count += 2
    transcoder.decoding.values.count += 1
    transcoder.encoding.observe(0.5)
    assert counted(metrics) == {("encode", "r"): 2, ("decode", "r"): 1}
    assert timed(metrics) == 1


def test_a_value_that_fails_is_not_counted() -> None:
    metrics = Metrics()
    transcoder = MeteredTranscoder(SMALL, metrics, "r")
    for payload in (b"{", b"[1,2,3,4]"):
        with pytest.raises(PayloadError):
            transcoder.encode(payload)
    with pytest.raises(UndecodableError):
        transcoder.decode(b"!x")
    assert counted(metrics) == {}
    assert timed(metrics) == 0


def test_what_another_process_has_done_counts_too() -> None:
    metrics = Metrics()
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    metered_transcoder.count(Conversion(Half.REQUESTS, transcoder, b"1"), b"x", 0.5)
    metered_transcoder.count(Conversion(Half.REQUESTS, transcoder, b"{"), PayloadError("bad"), 0.5)
    metered_transcoder.count(Conversion(Half.REPLIES, transcoder, STORED), b"1", 0.5)
    assert counted(metrics) == {("encode", "r"): 1, ("decode", "r"): 1}
    assert timed(metrics) == 2
