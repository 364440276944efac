"""The highest cost of one value: CPU seconds and resident memory of `Transcoder.decode` and `.encode`, by engine.

Each value is converted once in a child process, forked from a process that has done nothing else. So the kernel's
figures for its memory belong to the conversion alone, in Python and in Rust. The garbage collector is off, as in the
converter process, to which the proxy sends large values.

`python -m benchmarks.hostile` measures the engine of its environment, and prints rows as JSON.
"""

import gc
import json
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import plots, worst_values
from benchmarks.processes import Process
from benchmarks.timing import Runs
from benchmarks.worst_values import Worst
from proxy.codec import CodecError, CodecLimits, Options, Transcoder

_MIB: Final = 1024 * 1024
_SHOWN: Final = 10
"""Of the worst of each kind, so many are told to people."""
_SMALL: Final = {"json": b"[1]", "msgpack": b"\x91\x01"}
"""Converted both ways before, so that nothing is done for the first time."""

MEASURES: Final = {"cpu_seconds": "CPU seconds", "peak_mib": "MiB of memory"}


def values(only: str | None = None) -> list[Worst]:
    """Measure both directions at the default limits. `only`: a part of the names to measure."""
    limits = CodecLimits()
    each = (*worst_values.decoded(limits), *worst_values.encoded(limits))
    return [worst for worst in each if only is None or only in worst.name]


def rows(only: str | None = None) -> Iterator[dict[str, Any]]:
    """Of the engine that is imported."""
    for worst in values(only):
        with os.fdopen(os.memfd_create("value"), "w+b") as file:
            # Made in another child: what that has freed would serve the conversion, and not be seen.
            size = _forked(partial(_make, worst, file.fileno()))
            measured = _forked(partial(_measure, worst, file.fileno(), size))
        yield {
            "direction": "encode" if worst.encode else "decode",
            "value": worst.name,
            "payload": worst.payload,
            "types": worst.types,
            "bytes": size,
            **measured,
        }


def _make(worst: Worst, file: int) -> int:
    data = worst.make()
    with os.fdopen(file, "wb", closefd=False) as out:
        out.write(data)
    return len(data)


def _measure(worst: Worst, file: int, size: int) -> dict[str, Any]:
    data = os.pread(file, size, 0)
    transcoder = Transcoder(Options(payload=worst.payload, types=worst.types))
    convert = transcoder.encode if worst.encode else transcoder.decode
    transcoder.decode(transcoder.encode(_SMALL[worst.payload]))
    gc.disable()
    process = Process(os.getpid())
    process.forget_peak()
    before = process.resident_bytes()
    start = time.process_time()
    refused = refusal(convert, data)
    seconds = time.process_time() - start
    grown = process.peak_bytes() - before
    return {
        "cpu_seconds": round(seconds, 4),
        "peak_mib": round(max(0, grown) / _MIB, 1),
        "app_seconds": _load_seconds(convert(data)) if worst.encode and refused is None else None,
        "refused": refused,
    }


def _load_seconds(stored: bytes) -> float:
    """The app's cost for an accepted value."""
    start = time.process_time()
    pickle.loads(stored.removeprefix(b"!"))
    return round(time.process_time() - start, 4)


def refusal(convert: Callable[[bytes], bytes], data: bytes) -> str | None:
    """Why the value was refused; None: it was not."""
    try:
        convert(data)
    except CodecError as error:
        return str(error)
    return None


def _forked(work: Callable[[], Any]) -> Any:
    """What `work` gives, done in a child. Raises ChildProcessError if that fails; it has said why."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            with os.fdopen(theirs, "w") as out:
                json.dump(work(), out)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(theirs)
    with os.fdopen(ours) as told:
        given = told.read()
    if os.waitpid(child, 0)[1]:
        raise ChildProcessError("a conversion has failed, or its process was killed")
    return json.loads(given)


def summary(runs: Runs) -> list[dict[str, Any]]:
    """Rows with the engine's name: the least seconds of its rounds (the rest is others'), and the most memory."""
    return [
        {
            "engine": engine,
            **each[0],
            "cpu_seconds": min(row["cpu_seconds"] for row in each),
            "peak_mib": max(row["peak_mib"] for row in each),
        }
        for engine, rounds in runs.items()
        for each in zip(*rounds, strict=True)
    ]


def worst(rows: Sequence[dict[str, Any]], measure: str) -> list[dict[str, Any]]:
    """The first of them."""
    return sorted(rows, key=lambda row: -row[measure])[:_SHOWN]


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    refused = ": refused" if row["refused"] else ""
    seconds = row.get("app_seconds")
    loads = f", {seconds:.3f} s to load in the app" if seconds else ""
    return (
        f"  {row['cpu_seconds']:7.3f} s {row['peak_mib']:6.1f} MiB  {row['direction']} {row['value']}"
        f" ({row['payload']}, {row['types']}, {row['bytes']:,} bytes){loads}{refused}"
    )


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The worst of each engine, by time and by memory."""
    panels: dict[str, dict[str, list[float]]] = {}
    for engine in dict.fromkeys(row["engine"] for row in rows):
        for measure, unit in MEASURES.items():
            of_engine = worst([row for row in rows if row["engine"] == engine], measure)
            panels[f"{engine} engine, {unit}"] = {_label(row): [row[measure]] for row in of_engine}
    ours = [label for panel in panels.values() for label in panel]
    plots.bars(path, "The worst that one value can cost, at the default limits", "", panels, ours=ours)


def _label(row: dict[str, Any]) -> str:
    plain = ", plain" if row["types"] == "plain" else ""
    return f"{row['direction']} {row['value']} ({row['payload']}{plain})"


if __name__ == "__main__":
    json.dump(list(rows(*sys.argv[1:])), sys.stdout)
