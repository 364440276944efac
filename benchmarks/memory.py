"""Resident memory of a proxy, its children included: idle, for each connection that idles, and at the worst under load.

Each round starts every contender again. A connection is measured twice: before its first command, and after a SET and
a GET.
"""

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import payloads, peers, plots
from benchmarks.figures import interleaved, spread
from benchmarks.measuring import Load
from benchmarks.peers import Missing, Server
from benchmarks.processes import Process
from benchmarks.proxied import Client
from benchmarks.redis_benchmark import Work
from proxy.resp.encode import command

_MIB: Final = 1024 * 1024
_SETTLED: Final = 0.3
_PREFIX: Final = "flask_cache_memory:"
_OURS: Final = {
    f"{engine} engine{kind}": (engine, trunks)
    for kind, trunks in (("", 0), (", shared", peers.TRUNKS))
    for engine in peers.ENGINES
}
CONTENDERS: Final = (*_OURS, "twemproxy", "Envoy")
_LOADS: Final = {"125 B": 16, "100 KB": 1}
"""Pipelined commands, by the size of values."""

MEASURES: Final = {
    "idle_mib": "idle, MiB",
    "silent_kib": "a connection that has said nothing, KiB",
    "used_kib": "a connection after SET and GET, KiB",
    **{f"load_{size}_mib": f"at most under load with {size}, MiB" for size in _LOADS},
}


def measure(connections: int, rounds: int, seconds: float) -> Iterator[dict[str, Any] | None]:
    """None before each run; at last the rows. Raises Missing where Redis is missing."""
    with ExitStack() as stack:
        stack.enter_context(_many_open_files())
        home = stack.enter_context(peers.directory())
        redis = stack.enter_context(peers.redis(home))
        runs: dict[str, list[dict[str, float]]] = {}
        for _, name in interleaved(CONTENDERS, rounds):
            yield None
            try:
                with _started(name, home, redis) as server:
                    runs.setdefault(name, []).append(_run(server, connections, seconds))
            except Missing as missing:
                if name not in runs:
                    peers.skip(missing)
                    runs[name] = []
        for name, each in runs.items():
            if each:
                figures = {what: spread([run[what] for run in each]).rounded(2) for what in MEASURES}
                yield {"contender": name, **figures}


def _started(name: str, home: Path, redis: Server) -> AbstractContextManager[Server]:
    if name in _OURS:
        engine, trunks = _OURS[name]
        return peers.proxy(home, redis, engine, trunks=trunks)
    return peers.twemproxy(home, redis) if name == "twemproxy" else peers.envoy(home, redis)


def _run(server: Server, connections: int, seconds: float) -> dict[str, float]:
    process = server.process
    idle = settled(process)
    value = payloads.payload(125, "json")
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(connections)]
        silent = settled(process)
        for number, client in enumerate(clients):
            key = f"{_PREFIX}{number:012}".encode()
            client.reply_size(command(b"SET", key, value) + command(b"GET", key))
        used = settled(process)
    found = {
        "idle_mib": idle / _MIB,
        "silent_kib": (silent - idle) / 1024 / connections,
        "used_kib": (used - idle) / 1024 / connections,
    }
    for size, pipeline in _LOADS.items():
        work = Work("GET", _PREFIX, payloads.payload(payloads.SIZES[size], "json"), 50, pipeline, 50)
        found[f"load_{size}_mib"] = Load(server, work, "json").sample(seconds).peak_mib
    return found


def settled(process: Process) -> int:
    """Its memory once it does not grow any more."""
    before = -1
    while (now := process.resident_bytes()) > before:
        before = now
        time.sleep(_SETTLED)
    return now


@contextmanager
def _many_open_files() -> Iterator[None]:
    """As many as we may have; what is started inherits that."""
    some, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (some, most))


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    return f"  {row['contender']:21}" + "".join(f"{row[what][0]:10.2f}" for what in MEASURES)


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A panel for each measure."""
    panels = {title: {row["contender"]: row[what] for row in rows} for what, title in MEASURES.items()}
    plots.bars(path, "Resident memory of a proxy", "", panels, ours=[*_OURS])
