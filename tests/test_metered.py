"""Transcoders that count."""

import pytest

from proxy import engine, metered
from proxy.codec import CodecLimits, Options, PayloadError, UndecodableError
from proxy.metered import MeteredTranscoder
from proxy.metrics import Metrics, key
from proxy.session import Conversion, Half

SMALL = Options(limits=CodecLimits(nodes=3))
STORED = b"!\x80\x04K\x01."


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    """How many values, by direction and rule."""
    metrics.snapshot()
    return {(labels.split("\x1f")[0], labels.split("\x1f")[2]): count for labels, count in metrics.transcoded.items()}


def timed(metrics: Metrics) -> float:
    """How many of them were timed."""
    metrics.snapshot()
    return sum(count for labels, count in metrics.transcoding_seconds.items() if not labels.endswith("sum"))


def test_one_in_16_is_timed() -> None:
    metrics = Metrics("0")
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    for _ in range(33):
        transcoder.encode(b"1")
    assert counted(metrics) == {("encode", "r"): 33}
    assert timed(metrics) == 3


def test_each_direction_counts_what_it_has_done() -> None:
    metrics = Metrics("0")
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    assert transcoder.encode(b"[1]") == transcoder.encode(b"[1]")
    assert transcoder.decode(STORED) == b"1"
    assert counted(metrics) == {("encode", "r"): 2, ("decode", "r"): 1}
    assert not metrics.transcoding_failures


def test_one_in_16_of_many_at_once_is_timed_as_their_mean() -> None:
    metrics = Metrics("0")
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    encoded = sum(len(transcoder.encode_some([b"1"] * count, 100)) for count in (0, 1, 20, 11))
    decoded = len(transcoder.decode_some([STORED] * 15, 1000))
    assert (encoded, decoded) == ((0, 0) if engine.NATIVE is None else (32, 15))
    assert counted(metrics) == ({} if engine.NATIVE is None else {("encode", "r"): 32, ("decode", "r"): 15})
    assert timed(metrics) == encoded // 16


def test_failures_count_by_reason() -> None:
    metrics = Metrics("0")
    transcoder = MeteredTranscoder(SMALL, metrics, "r")
    for payload in (b"{", b"[1,2,3,4]"):
        with pytest.raises(PayloadError):
            transcoder.encode(payload)
    with pytest.raises(UndecodableError):
        transcoder.decode(b"!x")
    assert metrics.transcoding_failures == {
        key("encode", "json", "r", "invalid"): 1,
        key("encode", "json", "r", "limit"): 1,
        key("decode", "json", "r", "invalid"): 1,
    }
    assert counted(metrics) == {}


def test_a_brief_one_that_is_over_its_limit_leaves_it_to_another() -> None:
    metrics = Metrics("0")
    brief = MeteredTranscoder(SMALL, metrics, "r", is_brief=True)
    with pytest.raises(PayloadError):
        brief.encode(b"[1,2,3,4]")
    with pytest.raises(PayloadError):
        brief.encode(b"{")
    assert metrics.transcoding_failures == {key("encode", "json", "r", "invalid"): 1}


def test_what_another_process_has_done_counts_too() -> None:
    metrics = Metrics("0")
    transcoder = MeteredTranscoder(Options(), metrics, "r")
    metered.count(Conversion(Half.REQUESTS, transcoder, b"1"), b"x", 0.5)
    metered.count(Conversion(Half.REQUESTS, transcoder, b"{"), PayloadError("bad"), 0.5)
    metered.count(Conversion(Half.REPLIES, transcoder, STORED), b"1", 0.5)
    assert counted(metrics) == {("encode", "r"): 1, ("decode", "r"): 1}
    assert timed(metrics) == 2
    assert metrics.transcoding_failures == {key("encode", "json", "r", "invalid"): 1}
