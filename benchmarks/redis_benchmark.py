"""redis-benchmark, run and read."""

import subprocess
from typing import Final, NamedTuple

from benchmarks.peers import REDIS, program
from benchmarks.processes import leashed

_KEY_NUMBER: Final = "__rand_int__"
_PATIENCE: Final = 120.0


class OutcomeError(Exception):
    """redis-benchmark failed. `str()` is its output."""


class Outcome(NamedTuple):
    """redis-benchmark's result of a run."""

    per_second: float
    average_ms: float
    minimum_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    maximum_ms: float


class Work(NamedTuple):
    """A load: commands to keys with a prefix, by a number of connections, with a pipeline length.

    SET or GET; the mixes of them are for `pipelining`, see `measuring`.
    """

    command: str
    prefix: str
    payload: bytes = b""
    clients: int = 50
    pipeline: int = 1
    keys: int = 1000

    def key(self, number: int) -> str:
        """As redis-benchmark fills in its numbers."""
        return f"{self.prefix}{number:012}"


def run(port: int, work: Work, requests: int) -> Outcome:
    """Send about so many. The payload may have no NUL: redis-benchmark ends it there. Raises OutcomeError, Missing."""
    requests = max(requests, work.clients * work.pipeline)
    options = {"-p": port, "-n": requests, "-c": work.clients, "-P": work.pipeline, "-r": work.keys}
    command = [program("redis-benchmark", REDIS), "--csv", *(str(word) for pair in options.items() for word in pair)]
    arguments = [work.command, work.prefix + _KEY_NUMBER]
    if work.command == "SET":  # its value from standard input: it may be longer than an argument may
        command.append("-x")
    done = subprocess.run(
        leashed([*command, *arguments]), input=work.payload, capture_output=True, timeout=_PATIENCE, check=False
    )
    if done.returncode:
        raise OutcomeError(done.stderr.decode(errors="replace")[-500:] or f"exit code {done.returncode}")
    return parse(done.stdout)


def parse(csv: bytes) -> Outcome:
    """Read the one row of `--csv`. Its title holds the value that was sent, quotes, commas, line feeds and all.

    Raises OutcomeError.
    """
    fields = csv.rstrip().removesuffix(b'"').rsplit(b'","', len(Outcome._fields))
    try:
        return Outcome(*map(float, fields[1:]))
    except (TypeError, ValueError):
        raise OutcomeError(f"unexpected: {csv[-500:]!r}") from None
