"""A transcoder that counts what it does, and now and then takes the time."""

from collections.abc import Callable
from time import perf_counter
from typing import Final

from proxy.codec import CodecError, Options, Transcoder
from proxy.metrics import Metrics, key
from proxy.session import Conversion, Converted, Half

_SAMPLE: Final = 16
"""Of so many values one is timed: to look at the clock takes as long as to convert a small one."""


class _Direction:
    """What is counted one way."""

    __slots__ = ("_failures", "_labels", "observe", "values")

    def __init__(self, metrics: Metrics, *labels: str) -> None:
        self._labels = labels
        self._failures = metrics.transcoding_failures
        self.values = metrics.tally("transcoded", *labels)
        self.observe = metrics.histogram("transcoding_seconds", *labels).observe

    def done(self, seconds: float) -> None:
        self.values.count += 1
        self.observe(seconds)

    def ran(self, values: int, seconds: float) -> None:
        """So many were done together; one in 16 is observed as their mean."""
        timed = (self.values.count + values) // _SAMPLE - self.values.count // _SAMPLE
        self.values.count += values
        for _ in range(timed):
            self.observe(seconds / values)

    def failed(self, error: CodecError) -> None:
        self._failures[key(*self._labels, "limit" if error.is_over_limit else "invalid")] += 1


class MeteredTranscoder(Transcoder):
    """Counts under the name of a rule. Where it is brief, a limit is no failure: another one tries again."""

    __slots__ = ("_decoding", "_encoding", "_is_brief")

    def __init__(self, options: Options, metrics: Metrics, rule: str, *, is_brief: bool = False) -> None:
        """Raises ValueError for options that do not exist."""
        super().__init__(options)
        self._is_brief = is_brief
        self._encoding = _Direction(metrics, "encode", options.payload, rule)
        self._decoding = _Direction(metrics, "decode", options.payload, rule)

    def encode(self, payload: bytes) -> bytes:
        """See Transcoder."""
        direction = self._encoding
        try:
            if direction.values.count % _SAMPLE:
                stored = Transcoder.encode(self, payload)
            else:
                stored = _timed(direction, Transcoder.encode, self, payload)
        except CodecError as error:
            self._failed(direction, error)
            raise
        direction.values.count += 1
        return stored

    def decode(self, value: bytes) -> bytes:
        """See Transcoder."""
        direction = self._decoding
        try:
            if direction.values.count % _SAMPLE:
                payload = Transcoder.decode(self, value)
            else:
                payload = _timed(direction, Transcoder.decode, self, value)
        except CodecError as error:
            self._failed(direction, error)
            raise
        direction.values.count += 1
        return payload

    def encode_some(self, payloads: list[bytes], limit: int) -> list[bytes]:
        """See Transcoder."""
        began = perf_counter()
        stored = Transcoder.encode_some(self, payloads, limit)
        self._encoding.ran(len(stored), perf_counter() - began)
        return stored

    def decode_some(self, values: list[bytes], limit: int) -> list[bytes]:
        """See Transcoder."""
        began = perf_counter()
        payloads = Transcoder.decode_some(self, values, limit)
        self._decoding.ran(len(payloads), perf_counter() - began)
        return payloads

    def _failed(self, direction: _Direction, error: CodecError) -> None:
        if not (self._is_brief and error.is_over_limit):
            direction.failed(error)

    def count(self, half: Half, result: Converted, seconds: float) -> None:
        """What another process has done in its place."""
        direction = self._encoding if half is Half.REQUESTS else self._decoding
        if isinstance(result, CodecError):
            direction.failed(result)
        else:
            direction.done(seconds)


def _timed(
    direction: _Direction, convert: Callable[[Transcoder, bytes], bytes], transcoder: Transcoder, value: bytes
) -> bytes:
    began = perf_counter()
    result = convert(transcoder, value)
    direction.observe(perf_counter() - began)
    return result


def count(conversion: Conversion, result: Converted, seconds: float) -> None:
    """What has become of a conversion in another process."""
    if isinstance(conversion.transcoder, MeteredTranscoder):
        conversion.transcoder.count(conversion.half, result, seconds)
