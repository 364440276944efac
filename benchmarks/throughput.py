"""Small commands, as many as go: what a proxy spends on each, beside proxies that pass values through untouched.

What counts is the processor time of the proxy for each command, its converter included: the client and Redis share the
machine, so that rates say as much about them.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import payloads, peers, plots
from benchmarks.figures import interleaved
from benchmarks.measuring import Load, Sample, summary
from benchmarks.redis_benchmark import Work

MBUFS: Final = (512, 2048, peers.MBUF, 65536)
"""Sizes of twemproxy's buffers that are tried, its default among them."""

_IN_FLIGHT: Final = 256_000_000
_MOST_KEYS_BYTES: Final = 20_000_000
_TRIALS: Final = 3
_TRIAL: Final = 0.2
_MANAGED: Final = "flask_cache_bench:"
_UNMANAGED: Final = "other_bench:"


class Case(NamedTuple):
    """What is sent."""

    command: str
    size: str
    """A name in `payloads.SIZES`."""
    form: str = "json"
    clients: int = 50
    pipeline: int = 1

    @property
    def name(self) -> str:
        """How it is called."""
        return f"{self.size} {self.form} {self.command} P={self.pipeline} c={self.clients}"

    @property
    def bytes_in_flight(self) -> int:
        """What all clients send or read at once."""
        return self.clients * self.pipeline * payloads.SIZES[self.size]

    def work(self, prefix: str) -> Work:
        """For keys that begin so."""
        payload = payloads.payload(payloads.SIZES[self.size], self.form)
        keys = max(50, min(1000, _MOST_KEYS_BYTES // len(payload)))
        return Work(self.command, prefix, payload, self.clients, self.pipeline, keys)


DEFAULT: Final = [
    *(Case(command, "125 B", pipeline=pipeline) for pipeline in (1, 16, 64) for command in ("SET", "GET")),
    Case("MIX", "125 B", pipeline=16),
    *(Case(command, "10 KB", pipeline=pipeline) for pipeline in (1, 16) for command in ("SET", "GET")),
    *(Case(command, "100 KB") for command in ("SET", "GET")),
]
FULL: Final = [
    case
    for form in ("json", "msgpack")
    for size in ("125 B", "1 KB", "10 KB", "100 KB")
    for clients in (1, 50, 500)
    for pipeline in (1, 16, 64)
    for command in ("SET", "GET", "MIX")
    if (case := Case(command, size, form, clients, pipeline)).bytes_in_flight <= _IN_FLIGHT
]


class Contender(NamedTuple):
    """Who is measured."""

    name: str
    servers: Sequence[peers.Server]
    """More than one: the best of them is taken, case by case."""
    prefix: str = _MANAGED
    kinds: Sequence[str] = ("",)
    """What tells the servers apart."""


def contenders(stack: ExitStack) -> list[Contender]:
    """All that can be had here, running until the stack closes. Raises Missing where Redis is missing."""
    home = stack.enter_context(peers.directory())
    redis = stack.enter_context(peers.redis(home))
    found = [Contender("Redis", [redis])]
    proxies = {engine: peers.proxy(home, redis, engine) for engine in peers.ENGINES}
    for engine, ours in peers.entered(stack, proxies).items():
        found.append(Contender(f"{engine}, managed", [ours]))
        found.append(Contender(f"{engine}, unmanaged", [ours], _UNMANAGED))
    sizes = {f"-m {mbuf}": peers.twemproxy(home, redis, mbuf) for mbuf in MBUFS}
    if nutcrackers := peers.entered(stack, sizes):
        found.append(Contender("twemproxy", [*nutcrackers.values()], kinds=[*nutcrackers]))
        found.append(Contender("twemproxy, default", [nutcrackers[f"-m {peers.MBUF}"]]))
    envoy = peers.entered(stack, {"Envoy": peers.envoy(home, redis)})
    return found + [Contender(name, [server]) for name, server in envoy.items()]


def measure(
    case: Case, contenders: Sequence[Contender], rounds: int, seconds: float
) -> Iterator[tuple[Contender, dict[str, Any] | None]]:
    """All contenders in turn: who comes next, and, at the end, the row of each."""
    loads = {}
    for contender in contenders:
        yield contender, None
        loads[contender.name] = _best(case, contender)  # which writes keys of its own: stored forms differ
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for _, contender in interleaved(contenders, rounds):
        yield contender, None
        samples[contender.name].append(loads[contender.name][0].sample(seconds))
    for contender in contenders:
        each = samples[contender.name]
        yield (
            contender,
            {
                "case": case.name,
                **case._asdict(),
                "contender": contender.name,
                **({"options": kind} if (kind := loads[contender.name][1]) else {}),
                **summary(each),
                "cpu_us_rounds": [round(sample.cpu_us, 3) for sample in each],
            },
        )


def _best(case: Case, contender: Contender) -> tuple[Load, str]:
    """The load at the server that spends least, and what kind that is."""
    work = case.work(f"{contender.prefix}{contender.name}:")
    loads = [Load(server, work, case.form) for server in contender.servers]
    if len(loads) == 1:
        return loads[0], contender.kinds[0]
    trials = [(load.sample(_TRIAL).cpu_us, at) for _, (at, load) in interleaved([*enumerate(loads)], _TRIALS)]
    _, best = min(trials)
    return Load(contender.servers[best], work, case.form), contender.kinds[best]


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    cpu, low, high = row["cpu_us"]
    return (
        f"  {row['contender']:18} {cpu:8.2f} us CPU ({low:.2f} - {high:.2f}) {row['per_second'][0]:10,.0f}/s"
        f"  p50 {row['p50_ms'][0]:.2f}  p99 {row['p99_ms'][0]:.2f} ms  {row['peak_mib']:.0f} MiB"
        f"  {row.get('options', '')}"
    )


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The processor time of the proxies for each command, a panel for each case of the default."""
    names = {case.name: f"{case.command} of {case.size}, {case.pipeline} at once" for case in DEFAULT}
    panels: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["case"] in names and row["contender"] != "Redis":
            panels.setdefault(names[row["case"]], {})[row["contender"]] = row["cpu_us"]
    ours = [f"{engine}, {keys}" for engine in peers.ENGINES for keys in ("managed", "unmanaged")]
    title = "What a proxy spends on a command: twemproxy and Envoy pass values through, managed keys are transcoded"
    plots.bars(path, title, "CPU microseconds per command (50 connections)", panels, ours=ours)
