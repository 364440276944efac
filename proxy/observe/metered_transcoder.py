"""A transcoder that counts its values, and times one value in 16."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from proxy.codec import CodecError, Options, Transcoder
from proxy.codec.transcoder import Meter
from proxy.observe.families import TRANSCODED, TRANSCODING_SECONDS
from proxy.observe.metrics import Metrics
from proxy.session import Conversion, Converted, Half

_SAMPLE: Final = 16
"""One of so many values is timed, because reading the clock takes as long as converting a small value."""


class MeteredTranscoder(Transcoder):
    """Counts under the name of a rule. (Sessions count failures: one that meets a small limit may succeed later.)"""

    __slots__ = ("_plain",)

    def __init__(self, options: Options, metrics: Metrics, rule: str) -> None:
        """Raises ValueError for invalid options."""
        super().__init__(options)
        self._plain = Transcoder(options)
        self.encoding = _meter(metrics, "encode", options.payload, rule)
        self.decoding = _meter(metrics, "decode", options.payload, rule)

    def encode(self, payload: bytes) -> bytes:
        """See Transcoder."""
        direction = self.encoding
        if direction.values.count % _SAMPLE:
            stored = Transcoder.encode(self, payload)
        else:
            stored = _timed(direction, Transcoder.encode, self, payload)
        direction.values.count += 1
        return stored

    def decode(self, value: bytes) -> bytes:
        """See Transcoder."""
        direction = self.decoding
        if direction.values.count % _SAMPLE:
            payload = Transcoder.decode(self, value)
        else:
            payload = _timed(direction, Transcoder.decode, self, value)
        direction.values.count += 1
        return payload

    @property
    def codec(self) -> Any:
        """See Transcoder. It counts nothing: its user counts in `encoding` and `decoding`."""
        return self._plain if self._native is None else self._native

    def count(self, half: Half, result: Converted, seconds: float) -> None:
        """Count a conversion of the converter process. `seconds`: from the request to the result."""
        direction = self.encoding if half is Half.REQUESTS else self.decoding
        if not isinstance(result, CodecError):
            direction.values.count += 1
            direction.observe(seconds)


def _meter(metrics: Metrics, *labels: str) -> Meter:
    return Meter(metrics.count(TRANSCODED, *labels), metrics.histogram(TRANSCODING_SECONDS, *labels).observe)


def _timed(
    direction: Meter, convert: Callable[[Transcoder, bytes], bytes], transcoder: Transcoder, value: bytes
) -> bytes:
    began = perf_counter()
    result = convert(transcoder, value)
    direction.observe(perf_counter() - began)
    return result


def count(conversion: Conversion, result: Converted, seconds: float) -> None:
    """Count a conversion of the converter process, if its transcoder is metered. `seconds`: with the wait."""
    if isinstance(conversion.transcoder, MeteredTranscoder):
        conversion.transcoder.count(conversion.half, result, seconds)
