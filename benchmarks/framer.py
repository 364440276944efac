"""The cost to split Redis' bytes into replies: nanoseconds of each engine's framer, and of hiredis' reader.

hiredis parses replies into values and drops their bytes, so it cannot replace the framer. It shows the cost of C code.
`python -m benchmarks.framer` measures the engine of its environment, and prints rows as JSON.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import hiredis

from benchmarks import payloads, peers, plots
from benchmarks.timing import nanoseconds
from proxy.resp import ReplyFramer
from proxy.session.expected_replies import PASS, Entry
from proxy.session.fastpath.reference_replies import take_replies
from proxy.session.runs import Runs

_BULK: Final = payloads.payload(125, "json")
_BULKS: Final = b"$%d\r\n%b\r\n" % (len(_BULK), _BULK) * 16
_KEY: Final = b"$26\r\nflask_cache_view//items/%02d\r\n"
_KEYS: Final = b"*10000\r\n" + b"".join(_KEY % (at % 90 + 10) for at in range(10000))


def _run() -> None:
    framer = ReplyFramer()
    framer.feed(_BULKS)
    owed: Runs[Entry] = Runs()
    owed.append(PASS, 16)
    take_replies(framer, owed, 16, 0, -1)


def _forwarded() -> None:
    framer = ReplyFramer()
    framer.feed(_KEYS)
    framer.forward([])


def _hiredis(data: bytes) -> Callable[[], None]:
    def call() -> None:
        reader = hiredis.Reader()
        reader.feed(data)
        while reader.gets() is not False:
            pass

    return call


CASES: Final[dict[tuple[str, str], Callable[[], None]]] = {
    ("16 bulks, passed", "engine"): _run,
    ("16 bulks, passed", "hiredis' reader"): _hiredis(_BULKS),
    ("KEYS of 10,000, passed", "engine"): _forwarded,
    ("KEYS of 10,000, passed", "hiredis' reader"): _hiredis(_KEYS),
}


def rows(seconds: float) -> list[dict[str, Any]]:
    """Of the engine that is imported."""
    return [
        {"replies": replies, "who": who, "ns": nanoseconds(call, seconds)} for (replies, who), call in CASES.items()
    ]


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    median, low, high = row["ns"]
    return f"{row['replies']:32} {row['who']:18} {median / 1000:10.2f} us ({low / 1000:.2f} - {high / 1000:.2f})"


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """All of them."""
    panels: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        panels.setdefault(row["replies"], {})[row["who"]] = [ns / 1000 for ns in row["ns"]]
    ours = [f"{engine} engine" for engine in peers.ENGINES]
    plots.bars(path, "What cutting a stream into replies costs", "microseconds", panels, ours=ours, columns=1)


if __name__ == "__main__":
    json.dump(rows(float(sys.argv[1])), sys.stdout)
