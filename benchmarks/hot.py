"""Processor time of the proxy for each small command, on one engine, and beside that of another checkout.

For work on the hot path: quick, and nothing else is measured. Both proxies run all the time, in front of one Redis, and
take turns.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import payloads, peers
from benchmarks.figures import interleaved, ratio
from benchmarks.measuring import Load, Sample, summary
from benchmarks.redis_benchmark import Work

_PREFIXES: Final = {"managed": "flask_cache_hot:", "unmanaged": "other_hot:"}
_CLIENTS: Final = 50


class Case(NamedTuple):
    """A request to send."""

    keys: str
    command: str
    pipeline: int

    @property
    def name(self) -> str:
        """Its name."""
        return f"{self.keys} {self.command} P={self.pipeline}"

    def work(self, size: int) -> Work:
        """For redis-benchmark."""
        payload = payloads.payload(size, "json")
        return Work(self.command, _PREFIXES[self.keys], payload, _CLIENTS, self.pipeline)


CASES: Final = [
    Case(keys, command, pipeline)
    for keys in ("managed", "unmanaged")
    for command in ("SET", "GET")
    for pipeline in (1, 16, 64)
]


def run(
    cases: list[Case], checkouts: list[peers.Checkout], engine: str, *, size: int, rounds: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """A row for each case, ratios being those to the last checkout. Raises Missing, StartError, OutcomeError."""
    with peers.directory() as home, ExitStack() as stack:
        redis = stack.enter_context(peers.redis(home))
        servers = [
            stack.enter_context(peers.proxy(_own(home, number), redis, engine, checkout))
            for number, checkout in enumerate(checkouts)
        ]
        for case in cases:
            loads = [Load(server, case.work(size), "json") for server in servers]
            samples: list[list[Sample]] = [[] for _ in loads]
            for _, at in interleaved(range(len(loads)), rounds):
                samples[at].append(loads[at].sample(seconds))
            row = {"case": case.name, "engine": engine, **summary(samples[0])}
            if len(samples) > 1:
                ours, theirs = ([sample.cpu_us for sample in each] for each in samples)
                row["against"] = summary(samples[1])
                row["ratio"] = ratio(ours, theirs).rounded(3)
            yield row


def _own(home: Path, number: int) -> Path:
    (path := home / str(number)).mkdir()
    return path
