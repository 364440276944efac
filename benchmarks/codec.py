"""The cost of a value by size and direction: nanoseconds of `Transcoder.encode` and `.decode`, on each engine.

For comparison: JSON or msgpack together with pickle. (`pickle.loads` executes its input; it is here only as a scale.)
Also the app's cost to load the proxy's pickles, compared with its own pickles. And a DataFrame of 60,000 rows and four
columns, read under raised limits, beside pandas' own `to_json` of the same frame where pandas is installed.

The engine is chosen at import. `python -m benchmarks.codec` measures the engine of its environment, and prints rows as
JSON.
"""

import json
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgpack

from benchmarks import frames, payloads, peers, plots
from benchmarks.timing import nanoseconds
from proxy.codec import Options, Transcoder

ENGINE: Final = "engine"
"""Stands for the engine that is measured."""


def _cases(size: int, form: str) -> dict[tuple[str, str], Callable[[], object]]:
    """The functions to call, by direction and by name."""
    codec = Transcoder(Options(payload=form))
    value, payload = payloads.value(size), payloads.payload(size, form)
    theirs = pickle.dumps(value)
    stored, ours = b"!" + theirs, codec.encode(payload)[1:]
    if pickle.loads(ours) != value or codec.decode(stored) != payload:
        raise AssertionError("the codec is wrong")
    read: Callable[[bytes], Any] = json.loads if form == "json" else msgpack.unpackb
    write: Callable[[Any], Any] = payloads.compact if form == "json" else msgpack.packb
    return {
        ("encode", ENGINE): lambda: codec.encode(payload),
        ("encode", f"{form} + pickle"): lambda: pickle.dumps(read(payload)),
        ("decode", ENGINE): lambda: codec.decode(stored),
        ("decode", f"{form} + unsafe pickle"): lambda: write(pickle.loads(theirs)),
        ("decode", "unsafe pickle alone"): lambda: pickle.loads(theirs),
        ("load in the app", ENGINE): lambda: pickle.loads(ours),
        ("load in the app", "its own pickle"): lambda: pickle.loads(theirs),
    }


def _frame_cases(form: str) -> dict[tuple[str, str], Callable[[], object]]:
    """The same for the frame, in both forms."""
    stored = frames.stored()
    tagged, plain = (Transcoder(Options(form, types=types, limits=frames.LIMITS)) for types in ("tagged", "plain"))
    cases: dict[tuple[str, str], Callable[[], object]] = {
        ("decode, tagged", ENGINE): lambda: tagged.decode(stored),
        ("decode, plain", ENGINE): lambda: plain.decode(stored),
    }
    to_json = frames.to_json(stored) if form == "json" else None
    if to_json is not None:
        cases["decode, plain", "pandas' to_json"] = to_json
    return cases


def rows(seconds: float, only: str | None = None) -> list[dict[str, Any]]:
    """Of the engine that is imported. `only`: sizes, formats, directions or names that contain it."""
    found = []
    for form in ("json", "msgpack"):
        values = {size: _cases(length, form) for size, length in payloads.SIZES.items()}
        for size, cases in (values | {"frame": _frame_cases(form)}).items():
            for (direction, who), call in cases.items():
                row = {"size": size, "form": form, "direction": direction, "who": who}
                if only is None or any(only in word for word in row.values()):
                    found.append({**row, "ns": nanoseconds(call, seconds)})
    return found


LIMITS: Final = f"The frame: {frames.ROWS:,} x {len(frames.NAMES)}, with [limits] nodes = {frames.LIMITS.nodes:,}"
"""The limits for people, and in the results. All others are the defaults."""


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    median, low, high = row["ns"]
    name = f"{row['size']:>7} {row['form']:7} {row['direction']:15}"
    return f"{name} {row['who']:24} {median / 1000:11.2f} us ({low / 1000:.2f} - {high / 1000:.2f})"


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """JSON of some sizes, both directions."""
    panels: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["form"] == "json" and row["size"] in ("125 B", "10 KB", "1 MB"):
            each = panels.setdefault(f"{row['direction']}, {row['size']}", {})
            each[row["who"]] = [ns / 1000 for ns in row["ns"]]
    ours = [f"{engine} engine" for engine in peers.ENGINES]
    plots.bars(path, "What a JSON value costs", "microseconds", panels, ours=ours, columns=3)


if __name__ == "__main__":
    json.dump(rows(float(sys.argv[1]), *sys.argv[2:]), sys.stdout)
