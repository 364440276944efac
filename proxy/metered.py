"""A transcoder that counts what it does, and takes the time."""

from time import perf_counter

from proxy.codec import CodecError, Options, Transcoder
from proxy.metrics import Metrics, key
from proxy.session import Conversion, Converted, Half


class _Direction:
    """What is counted one way."""

    __slots__ = ("_failures", "_labels", "done")

    def __init__(self, metrics: Metrics, *labels: str) -> None:
        self._labels = labels
        self._failures = metrics.transcoding_failures
        self.done = metrics.histogram("transcoding_seconds", *labels).observe

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
        began = perf_counter()
        try:
            value = super().encode(payload)
        except CodecError as error:
            if not (self._is_brief and error.is_over_limit):
                self._encoding.failed(error)
            raise
        self._encoding.done(perf_counter() - began)
        return value

    def decode(self, value: bytes) -> bytes:
        """See Transcoder."""
        began = perf_counter()
        try:
            payload = super().decode(value)
        except CodecError as error:
            if not (self._is_brief and error.is_over_limit):
                self._decoding.failed(error)
            raise
        self._decoding.done(perf_counter() - began)
        return payload

    def count(self, half: Half, result: Converted, seconds: float) -> None:
        """What another process has done in its place."""
        direction = self._encoding if half is Half.REQUESTS else self._decoding
        if isinstance(result, CodecError):
            direction.failed(result)
        else:
            direction.done(seconds)


def count(conversion: Conversion, result: Converted, seconds: float) -> None:
    """What has become of a conversion in another process."""
    if isinstance(conversion.transcoder, MeteredTranscoder):
        conversion.transcoder.count(conversion.half, result, seconds)
