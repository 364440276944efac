"""Times a call in a process that does nothing else, for both engines in turn."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from benchmarks.figures import interleaved, spread
from benchmarks.peers import ENGINE_VARIABLE, ROOT
from benchmarks.processes import leashed

_SHORTEST: Final = 1e-3

Runs = dict[str, list[list[dict[str, Any]]]]
"""By engine: the rows of each of its rounds."""


def nanoseconds(call: Callable[[], object], seconds: float) -> float:
    """Processor time of a call: the median of five runs that take so long together."""
    number, took = 1, 0.0
    while (took := _seconds(call, number)) < min(_SHORTEST, seconds / 5):
        number *= 4
    number = max(1, round(number * seconds / 5 / took))
    return round(sorted(_seconds(call, number) for _ in range(5))[2] / number * 1e9)


def _seconds(call: Callable[[], object], number: int) -> float:
    start = time.process_time()
    for _ in range(number):
        call()
    return time.process_time() - start


def of_engines(module: str, engines: Sequence[str], rounds: int, arguments: Sequence[str]) -> Iterator[Runs | None]:
    """Run a module that prints rows, each engine once a round in a process of its own.

    Yields None before each run, and at last the rows of all runs.
    """
    runs: Runs = {engine: [] for engine in engines}
    for _, engine in interleaved(engines, rounds):
        yield None
        done = subprocess.run(
            leashed([sys.executable, "-m", module, *arguments]),
            cwd=ROOT,
            env={**os.environ, ENGINE_VARIABLE: engine},
            stdout=subprocess.PIPE,
            check=True,
        )
        runs[engine].append(json.loads(done.stdout))
    yield runs


def medians(runs: Runs) -> list[dict[str, Any]]:
    """Rows with `ns`, which become medians and quartiles; and the engine's name for what is its own."""
    found = []
    for engine, rounds in runs.items():
        for each in zip(*rounds, strict=True):
            row = {**each[0], "ns": spread([one["ns"] for one in each]).rounded(0)}
            if row["who"] == "engine":
                found.append({**row, "who": f"{engine} engine"})
            elif engine == [*runs][-1]:  # what has nothing to do with the engine, once
                found.append(row)
    return found
