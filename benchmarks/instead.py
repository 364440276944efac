"""Alternatives to the proxy, on the same values: the time to fill a cache, and the CPU time of further processes.

Each way starts with values of its own language, and ends with the last reply: dicts in Python, structs in Go, objects
in JavaScript. cachelib then reads and checks the values.

A producer that waits for its pipeline leaves the proxy and Redis idle while it makes the next one. So the target is for
two pipelines at once. `set_many` then runs twice at once too: each side has one process, with two connections.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import payloads, peers, plots, programs
from benchmarks.figures import interleaved, ratio, spread
from benchmarks.peers import Missing, Server
from benchmarks.processes import free_port, started, wait_for_port

PREFIX: Final = "flask_cache_"
_TTL: Final = 300
_SIDECAR: Final = "HTTP sidecar, from Go"
_SET_MANY_TWICE: Final = "cachelib, two set_many at once"
_THROUGH: Final = "go-redis pipelined, {} engine"
_TWO: Final = "go-redis, two pipelines at once, {} engine"
_TARGETS: Final = ((_THROUGH, _SIDECAR, 5.0), (_TWO, _SET_MANY_TWICE, 1.0))
"""Our way, another one, and how many times as fast ours has to be."""


class Way(NamedTuple):
    """A way to write values into the cache."""

    name: str
    fill: Callable[[], float]
    """Does it; seconds that it took."""
    beside: Server | None = None
    """The further processes that it needs, whose cost counts."""
    is_pickle: bool = True


class WrongValueError(Exception):
    """A way stored wrong values."""


def values(count: int) -> dict[str, Any]:
    """Rows and pages in turn, of some 1 KB of JSON."""
    line = "<tr><td>Tea</td><td>2.50 EUR</td></tr>\n"
    found: dict[str, Any] = {}
    for number in range(count):
        rows = [payloads.row(number + at) for at in range(8)]
        page = f"<!doctype html>\n<h1>Page {number}</h1>\n<table>\n{line * 22}</table>\n"
        found[f"view//products/{number}"] = page if number % 2 else {"page": number, "rows": rows, "next": None}
    return found


@contextmanager
def ways(stored: dict[str, Any]) -> Iterator[tuple[list[Way], Server]]:
    """All that can be gone here, and Redis. Raises Missing where Redis is missing."""
    with ExitStack() as stack:
        home = stack.enter_context(peers.directory())
        (file := home / "values.json").write_text(json.dumps(stored))
        redis = stack.enter_context(peers.redis(home))
        found = _python(redis, stored)
        proxies = peers.entered(stack, {engine: peers.proxy(home, redis, engine) for engine in peers.ENGINES})
        sidecar = peers.entered(stack, {"sidecar": _sidecar(home, redis)}).get("sidecar")
        for make in (_go, _node):
            try:
                found += make(file, redis, proxies, sidecar)
            except Missing as missing:
                peers.skip(missing)
        yield found, redis


def _python(redis: Server, stored: dict[str, Any]) -> list[Way]:
    try:
        from cachelib import RedisCache
        from cachelib.serializers import JSONSerializer
    except ImportError:
        raise Missing("there is no cachelib: pip install '.[bench]'") from None
    pickles, texts = (RedisCache("127.0.0.1", redis.port, key_prefix=PREFIX, default_timeout=_TTL) for _ in range(2))
    texts.serializer = JSONSerializer()  # type: ignore[assignment] # as an app of Flask-Caching sets it

    halves = [dict([*stored.items()][start::2]) for start in range(2)]

    def one_by_one() -> None:
        for key, value in stored.items():
            pickles.set(key, value)

    def twice() -> None:
        with ThreadPoolExecutor(len(halves)) as threads:  # the pool of redis-py gives each a connection of its own
            deque(threads.map(pickles.set_many, halves), maxlen=0)

    return [
        Way("cachelib, one by one", lambda: _seconds(one_by_one)),
        Way("cachelib, set_many", lambda: _seconds(lambda: pickles.set_many(stored))),
        Way(_SET_MANY_TWICE, lambda: _seconds(twice)),
        Way("its JSON serializer, set_many", lambda: _seconds(lambda: texts.set_many(stored)), is_pickle=False),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _go(file: Path, redis: Server, proxies: dict[str, Server], sidecar: Server | None) -> list[Way]:
    command = programs.go("instead")

    def way(name: str, how: str, server: Server, beside: Server | None = None) -> Way:
        return Way(name, _running([*command, how, f"127.0.0.1:{server.port}", PREFIX, str(file)]), beside)

    return [
        *([way(_SIDECAR, "http", sidecar, sidecar)] if sidecar else []),
        way("og-rek, go-redis pipelined", "og-rek", redis),
        *(way(f"go-redis one by one, {name} engine", "one-by-one", proxy, proxy) for name, proxy in proxies.items()),
        *(way(_THROUGH.format(name), "pipelined", proxy, proxy) for name, proxy in proxies.items()),
        *(way(_TWO.format(name), "two-pipelines", proxy, proxy) for name, proxy in proxies.items()),
    ]


def _node(file: Path, _redis: Server, proxies: dict[str, Server], _sidecar: Server | None) -> list[Way]:
    command = programs.node("instead")
    return [
        Way(f"ioredis, {name} engine", _running([*command, f"127.0.0.1:{proxy.port}", PREFIX, str(file)]), proxy)
        for name, proxy in proxies.items()
    ]


def _running(command: Sequence[str]) -> Callable[[], float]:
    return lambda: float(programs.figures(command)["seconds"])


@contextmanager
def _sidecar(home: Path, redis: Server) -> Iterator[Server]:
    try:
        import starlette
        import uvicorn
    except ImportError:
        raise Missing("there is no starlette or uvicorn: pip install '.[bench]'") from None
    del starlette, uvicorn
    port, log = free_port(), home / "sidecar.log"
    command = [sys.executable, "-m", "benchmarks.sidecar", str(port), str(redis.port), PREFIX]
    with started(command, log, at=peers.ROOT) as process:
        wait_for_port(port, process, log)
        yield Server(process, port)


def measure(ways: Sequence[Way], redis: Server, stored: dict[str, Any], rounds: int) -> Iterator[dict[str, Any] | None]:
    """None before each run; at last the rows. Raises ProgramError, WrongValueError."""
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    costs: dict[str, list[float]] = {way.name: [] for way in ways}
    for _, way in interleaved(ways, rounds):
        yield None
        before = way.beside.process.cpu_seconds() if way.beside else 0.0
        seconds[way.name].append(way.fill())
        costs[way.name].append((way.beside.process.cpu_seconds() if way.beside else 0.0) - before)
        _check(way, redis, stored)
    for way in ways:
        yield {
            "way": way.name,
            "per_second": spread([len(stored) / one for one in seconds[way.name]]).rounded(0),
            "cpu_us": spread([cost / len(stored) * 1e6 for cost in costs[way.name]]).rounded(1),
            "seconds_rounds": [round(one, 4) for one in seconds[way.name]],
        }


def _check(way: Way, redis: Server, stored: dict[str, Any]) -> None:
    """Read with Flask's own eyes, and let the next way begin with nothing."""
    from cachelib import RedisCache

    cache = RedisCache("127.0.0.1", redis.port, key_prefix=PREFIX)
    for key in [*stored][:20] if way.is_pickle else ():
        if cache.get(key) != stored[key]:
            raise WrongValueError(f"{way.name}: {key} is {cache.get(key)!r}")
    cache.clear()


def shown(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The targets that were measured: through the proxy, beside the sidecar and cachelib, how many times as fast."""
    return [found for found in compared(rows) if found["ratio"]]


def compared(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All targets; the ratio `[median, low, high]` and `met` are None where one side was not measured."""
    seconds = {row["way"]: row["seconds_rounds"] for row in rows}
    found = []
    for engine in peers.ENGINES:
        for way, other, limit in _TARGETS:
            ours, theirs = seconds.get(way.format(engine)), seconds.get(other)
            value = ratio(theirs, ours) if ours and theirs else None
            found.append(
                {
                    "ours": way.format(engine),
                    "theirs": other,
                    "times_as_fast_at_least": limit,
                    "ratio": value and value.rounded(2),
                    "met": value and value.median >= limit,
                }
            )
    return found


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    median, low, high = row["per_second"]
    cost = f"{row['cpu_us'][0]:8.1f} us CPU of it a value" if row["cpu_us"][0] else ""
    return f"  {row['way']:47} {median:9,.0f} values/s ({low:,.0f} - {high:,.0f}) {cost}"


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The rates."""
    panel = {row["way"]: row["per_second"] for row in rows}
    ours = [name for name in panel if name.endswith(" engine")]
    plots.bars(path, "Filling Flask's cache", "values of 1 KB a second", {"": panel}, ours=ours, columns=1)
