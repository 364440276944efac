"""One run of a load against a server: the client's results, and the server's CPU time."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from benchmarks import pipelining, redis_benchmark
from benchmarks.figures import Spread, spread
from benchmarks.peers import Server
from benchmarks.processes import Process
from benchmarks.proxied import Client
from benchmarks.redis_benchmark import Outcome, OutcomeError, Work
from proxy.resp.encode import command

_MIB: Final = 1024 * 1024
_WARM_UP: Final = 0.15
_LEAST: Final = 100
"""Small commands of each client in a run, at least."""
_LEAST_BYTES: Final = 20_000
"""The same for large values, in bytes."""
IN_TURN: Final = "SET+GET"
ALIKE: Final = "SET|GET"
_TURNS: Final = {
    "MIX": ("SET", "GET", "GET", "GET", "SET", "GET", "GET", "MGET", "GET", "GET"),
    IN_TURN: ("SET", "GET"),
    ALIKE: ("SET", "GET"),
}
"""The commands of a work that has several kinds, in order."""


class Sample(NamedTuple):
    """A run."""

    cpu_us: float
    """Processor time of the server for each command, microseconds, user and system."""
    per_second: float
    p50_ms: float
    p99_ms: float
    peak_mib: float
    redis_us: float | None = None
    """The same as `cpu_us` for the Redis behind the server; None where it was not measured."""


def measure(process: Process, requests: int, load: Callable[[int], Outcome], redis: Process | None = None) -> Sample:
    """Let a load send so many commands. `redis`: the process behind the server, whose cost is measured too."""
    process.forget_peak()
    watched = [process] if redis is None else [process, redis]
    before = [each.cpu_seconds() for each in watched]
    outcome = load(requests)
    took = [each.cpu_seconds() - start for each, start in zip(watched, before, strict=True)]
    cpu, *behind = (seconds / requests * 1e6 for seconds in took)
    peak = process.peak_bytes() / _MIB
    return Sample(cpu, outcome.per_second, outcome.p50_ms, outcome.p99_ms, peak, *behind)


class Load:
    """A work at a server. Its keys have been written, and are looked at before each run: nobody else may use them."""

    def __init__(self, server: Server, work: Work, form: str, redis: Process | None = None, times: int = 1) -> None:
        """Write the keys. `redis`: measure this process too. `times`: the least number of commands, as a multiple."""
        self.process = server.process
        self._redis = redis
        self._port = server.port_for(form)
        self._work = work
        self._form = form
        self._requests = 0
        self._times = times
        self._fill()

    def _fill(self) -> None:
        with Client(self._port) as client:
            for at in range(self._work.keys):
                client.exchange(command(b"SET", self._work.key(at).encode(), self._work.payload), len(b"+OK\r\n"))

    def _check(self) -> None:
        """Whether what was written is read."""
        value = self._work.payload
        with Client(self._port) as client:
            size = client.reply_size(command(b"GET", self._work.key(0).encode()))
        if size != len(b"$%d\r\n%b\r\n" % (len(value), value)):
            raise OutcomeError(f"a GET gave {size} bytes where a value of {len(value)} was written")

    def __call__(self, requests: int) -> Outcome:
        """Send so many commands."""
        work = self._work
        if self._form == "json" and work.command in ("SET", "GET"):
            return redis_benchmark.run(self._port, work, requests)
        return pipelining.run(self._port, _commands(work), requests, clients=work.clients, pipeline=work.pipeline)

    def sample(self, seconds: float) -> Sample:
        """A run of about so long; the first one learns how many commands that takes. Raises OutcomeError.

        It takes longer where the least number of commands does.
        """
        self._check()
        if not self._requests:
            self._requests = self._whole(max(self._least(), self._rate(min(_WARM_UP, seconds)) * seconds))
        return measure(self.process, self._requests, self, self._redis)

    def _rate(self, seconds: float) -> float:
        """Commands a second, by a run of so long at least: redis-benchmark's own clock has milliseconds."""
        requests = self._whole(1)
        while True:
            start = time.perf_counter()
            self(requests)
            if (took := time.perf_counter() - start) >= seconds:
                return requests / took
            requests *= 4

    def _least(self) -> float:
        """Commands of a run at least, so that connecting is a small part of its cost. Fewer for large values."""
        return self._times * self._work.clients * min(_LEAST, _LEAST_BYTES / max(1, len(self._work.payload)))

    def _whole(self, requests: float) -> int:
        """A multiple of what all clients send at once: then what is sent is what was asked for."""
        batch = self._work.clients * self._work.pipeline
        return batch * max(1, round(requests / batch))


def _commands(work: Work) -> list[bytes]:
    """Commands to different keys, as a client sends them in turn.

    A `MIX` has seven GETs, two SETs and an MGET of four keys in ten. `SET+GET` has one after the other. `SET|GET` has
    the same number of both, but each pipeline has only one of them.
    """
    keys = [work.key(at).encode() for at in range(work.keys)]
    made: dict[str, Callable[[int], bytes]] = {
        "GET": lambda at: command(b"GET", keys[at]),
        "SET": lambda at: command(b"SET", keys[at], work.payload),
        "MGET": lambda at: command(b"MGET", *(keys[(at + other) % len(keys)] for other in range(4))),
    }
    turns = _TURNS.get(work.command, (work.command,))
    each, count = (work.pipeline, work.clients * work.pipeline) if work.command == ALIKE else (1, work.keys)
    return [made[turns[at // each % len(turns)]](at % work.keys) for at in range(count)]


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Medians, lower and upper quartiles: `[median, low, high]`; the peak is the highest."""

    def of(field: str) -> Spread:
        return spread([getattr(sample, field) for sample in samples])

    return {
        "cpu_us": of("cpu_us").rounded(3),
        "per_second": of("per_second").rounded(0),
        "p50_ms": of("p50_ms").rounded(3),
        "p99_ms": of("p99_ms").rounded(3),
        "peak_mib": round(max(sample.peak_mib for sample in samples), 1),
        **({"redis_cpu_us": of("redis_us").rounded(3)} if samples[0].redis_us is not None else {}),
    }
