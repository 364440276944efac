"""The worst that one value can cost: CPU seconds and peak memory of `Transcoder.decode` and `.encode`.

The cyclic collector is off, as it is in the converter process, where the proxy sends large values.
"""

import gc
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

from benchmarks import worst_values
from benchmarks.worst_values import Worst
from proxy.codec import CodecError, CodecLimits, Options, Transcoder

_MIB: Final = 1024 * 1024


def values(only: str | None = None) -> list[Worst]:
    """What is measured, both directions, at the default limits. `only`: where the name contains it."""
    limits = CodecLimits()
    each = (*worst_values.decoded(limits), *worst_values.encoded(limits))
    return [worst for worst in each if only is None or only in worst.name]


def measure(worst: Worst, rounds: int) -> dict[str, Any]:
    """The least CPU seconds of some rounds, and the peak memory (in a round of its own, because tracing is slow)."""
    transcoder = Transcoder(Options(payload=worst.payload, types=worst.types))
    convert = transcoder.encode if worst.encode else transcoder.decode
    data = worst.make()
    gc.disable()
    try:
        seconds = [_seconds(convert, data) for _ in range(rounds)]
        tracemalloc.start()
        refused = refusal(convert, data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    finally:
        gc.enable()
        gc.collect()
    return {
        "direction": "encode" if worst.encode else "decode",
        "value": worst.name,
        "payload": worst.payload,
        "types": worst.types,
        "bytes": len(data),
        "cpu_seconds": round(min(seconds), 3),
        "peak_mib": round(peak / _MIB, 1),
        "refused": refused,
    }


def _seconds(convert: Callable[[bytes], bytes], data: bytes) -> float:
    start = time.process_time()
    refusal(convert, data)
    return time.process_time() - start


def refusal(convert: Callable[[bytes], bytes], data: bytes) -> str | None:
    """Why the value was refused; None: it was not."""
    try:
        convert(data)
    except CodecError as error:
        return str(error)
    return None
