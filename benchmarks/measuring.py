"""One run of a load against a server: what the client saw, and what the server spent on it."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from benchmarks import pipelining, redis_benchmark
from benchmarks.figures import Spread, spread
from benchmarks.peers import Server
from benchmarks.processes import Process
from benchmarks.proxied import Client
from benchmarks.redis_benchmark import Outcome, OutcomeError, Work
from proxy.resp.writers import command

_MIB: Final = 1024 * 1024
_WARM_UP: Final = 0.15


class Sample(NamedTuple):
    """A run."""

    cpu_us: float
    """Processor time of the server for each command, microseconds, user and system."""
    per_second: float
    p50_ms: float
    p99_ms: float
    peak_mib: float


def measure(process: Process, requests: int, load: Callable[[int], Outcome]) -> Sample:
    """Let a load send so many commands."""
    process.forget_peak()
    before = process.cpu_seconds()
    outcome = load(requests)
    cpu = process.cpu_seconds() - before
    return Sample(cpu / requests * 1e6, outcome.per_second, outcome.p50_ms, outcome.p99_ms, process.peak_bytes() / _MIB)


class Load:
    """A work at a server. Its keys have been written, and are looked at before each run: nobody else may use them."""

    def __init__(self, server: Server, work: Work, form: str) -> None:
        """Write the keys."""
        self.process = server.process
        self._port = server.port_for(form)
        self._work = work
        self._form = form
        self._requests = 0
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
        """A run of about so long; the first one learns how many commands that takes. Raises OutcomeError."""
        self._check()
        if not self._requests:
            self._requests = self._whole(self._rate(min(_WARM_UP, seconds)) * seconds)
        return measure(self.process, self._requests, self)

    def _rate(self, seconds: float) -> float:
        """Commands a second, by a run of so long at least: redis-benchmark's own clock has milliseconds."""
        requests = self._whole(1)
        while True:
            start = time.perf_counter()
            self(requests)
            if (took := time.perf_counter() - start) >= seconds:
                return requests / took
            requests *= 4

    def _whole(self, requests: float) -> int:
        """A multiple of what all clients send at once: then what is sent is what was asked for."""
        batch = self._work.clients * self._work.pipeline
        return batch * max(1, round(requests / batch))


def _commands(work: Work) -> list[bytes]:
    """A command for each key; those of a `MIX` are seven GETs, two SETs and an MGET of four keys in ten."""
    keys = [work.key(at).encode() for at in range(work.keys)]
    made: dict[str, Callable[[int], bytes]] = {
        "GET": lambda at: command(b"GET", keys[at]),
        "SET": lambda at: command(b"SET", keys[at], work.payload),
        "MGET": lambda at: command(b"MGET", *(keys[(at + other) % len(keys)] for other in range(4))),
    }
    turns = ("SET", "GET", "GET", "GET", "SET", "GET", "GET", "MGET", "GET", "GET")
    return [made[turns[at % len(turns)] if work.command == "MIX" else work.command](at) for at in range(work.keys)]


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
    }
