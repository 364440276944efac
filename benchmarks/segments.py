"""The cost of requests that reads cut, compared with the same in whole reads: time, and the longest step of a session.

A network delivers a client's bytes in segments of 1,448 bytes. The connection passes on 64 KiB at most. The benchmark
measures the CPU time of the session alone, without sockets. `python -m benchmarks.segments` measures the engine of its
environment, and prints rows as JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

from benchmarks import payloads
from benchmarks.figures import ratio, spread
from benchmarks.timing import Runs, nanoseconds
from proxy.codec import Options, Transcoder
from proxy.codec.glob import compile_glob, is_prefix, literal_prefix
from proxy.downstream.receive_buffer import SMALL
from proxy.policy import As, Guard, OnUndecodable, Policy, Rule, SessionLimits
from proxy.resp.encode import command
from proxy.session import Effects, Session

READS: Final = {"whole": 64 * 1024, "segments": 1448}
"""Names of read sizes -> the bytes of each read at most."""
_TRIES: Final = 5
LIMIT: Final = 1.3
"""The target: segments may take so many times as long as whole reads."""


def _policy() -> Policy:
    transcoder = Transcoder(Options())
    pattern = b"flask_cache_*"
    matches, prefix, simple = compile_glob(pattern), literal_prefix(pattern), is_prefix(pattern)
    rule = Rule("flask", matches, prefix, simple, As.VALUE, transcoder, transcoder, OnUndecodable.ERROR, 0)
    return Policy((rule,), Guard(), SessionLimits())


def _pairs(count: int) -> list[bytes]:
    return [*chain.from_iterable((b"key:%06d" % at, b"value:%014d" % at) for at in range(count))]


def _pipeline(*args: bytes) -> list[list[bytes]]:
    return [[*args[:1], b"%b%04d" % (args[1], at), *args[2:]] for at in range(64)]


_VALUE: Final = payloads.payload(125, "json")

CASES: Final[dict[str, list[list[bytes]]]] = {
    "MSET of 100 pairs": [[b"MSET", *_pairs(100)]],
    "RPUSH of 60,000 values": [[b"RPUSH", b"list", *(b"value:%06d" % at for at in range(60_000))]],
    "RPUSH of 1,000,000 values": [[b"RPUSH", b"list", *[b"value"] * 1_000_000]],
    "64 SET of 125 bytes": _pipeline(b"SET", b"key:", _VALUE),
    "64 SET of 125 bytes, managed": _pipeline(b"SET", b"flask_cache_", _VALUE),
    "64 GET": _pipeline(b"GET", b"key:"),
    "SET of 10 KB": [[b"SET", b"key", b"v" * 10_000]],
    "SET of 1 MB": [[b"SET", b"key", b"v" * 1_000_000]],
}


class Burst:
    """Requests as they are sent again and again, and answered."""

    def __init__(self, commands: Sequence[Sequence[bytes]], size: int) -> None:
        """`size`: bytes of a read."""
        stream = b"".join(command(*args) for args in commands)
        self._reads = [stream[at : at + size] for at in range(0, len(stream), size)]
        self._replies = b"".join(b"$-1\r\n" if args[0] == b"GET" else b"+OK\r\n" for args in commands)
        self._session = Session(_policy(), None)
        self._session.start()

    def send(self, wrap: Callable[[Callable[[], Any]], Any] = lambda step: step()) -> None:
        """Once. Each step goes through `wrap`."""
        for data in self._reads:
            effects = wrap(partial(self._give, data))
            while effects is not None and effects.wants_turn:
                effects = wrap(self._session.take_turn)
        self._session.from_upstream(self._replies)
        if self._session.pending:
            raise RuntimeError("a session that owes replies still")

    def _give(self, data: bytes) -> Effects | None:
        """As `proxy.downstream.reads` gives a read to the session."""
        session = self._session
        if len(data) > SMALL:
            data = data[session.pass_requests(data) :]
        if not data or session.take_requests(data) is not None or session.take_other_requests(data) is not None:
            return None
        return session.go_on_with_requests()

    def longest_step(self) -> int:
        """Nanoseconds of the longest step: the least of some tries."""
        return min(max(self._steps()) for _ in range(_TRIES))

    def _steps(self) -> list[int]:
        steps: list[int] = []

        def timed(step: Callable[[], Any]) -> Any:
            start = time.thread_time_ns()
            result = step()
            steps.append(time.thread_time_ns() - start)
            return result

        self.send(timed)
        return steps


def rows(seconds: float, only: str) -> list[dict[str, Any]]:
    """Of the engine that is imported, in nanoseconds."""
    return [
        {
            "requests": case,
            **{read: nanoseconds(Burst(commands, size).send, seconds) for read, size in READS.items()},
            "longest_step": max(Burst(commands, size).longest_step() for size in READS.values()),
        }
        for case, commands in CASES.items()
        if only in case
    ]


def summary(runs: Runs) -> list[dict[str, Any]]:
    """Medians and quartiles in microseconds, how often as long segments take, and whether that is the target."""
    found = []
    for engine, measured in runs.items():
        for rounds in zip(*measured, strict=True):
            times = ratio([one["segments"] for one in rounds], [one["whole"] for one in rounds])
            found.append(
                {
                    "requests": rounds[0]["requests"],
                    "engine": engine,
                    **{f"{read}_us": spread([one[read] / 1e3 for one in rounds]).rounded(1) for read in READS},
                    "ratio": times.rounded(2),
                    "limit": LIMIT,
                    "met": times.median <= LIMIT,
                    "longest_step_ms": round(min(one["longest_step"] for one in rounds) / 1e6, 2),
                }
            )
    return found


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    return (
        f"{row['requests']:30} {row['engine']:7} {row['whole_us'][0]:10.1f} us in whole reads, in segments"
        f" {row['ratio'][0]:.2f} times that, wanted {row['limit']:.1f}: {'met' if row['met'] else 'MISSED'};"
        f" longest step {row['longest_step_ms']:.2f} ms"
    )


if __name__ == "__main__":
    json.dump(rows(float(sys.argv[1]), sys.argv[2]), sys.stdout)
