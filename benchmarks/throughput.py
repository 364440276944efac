"""Small commands at full speed: the cost of each, compared with proxies that pass values through unchanged.

The result is the CPU time of the proxy and its converter for each command. Rates depend on the client and on Redis
too, because all share one machine. Two bare uvloop proxies are the floors: see `benchmarks.floor`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import payloads, peers, plots
from benchmarks.figures import interleaved
from benchmarks.measuring import ALIKE, IN_TURN, Load, Sample, summary
from benchmarks.processes import Process
from benchmarks.redis_benchmark import Work

MBUFS: Final = (512, 2048, peers.MBUF, 65536)
"""Sizes of twemproxy's buffers that are tried, its default among them."""

_IN_FLIGHT: Final = 256_000_000
_MOST_KEYS_BYTES: Final = 20_000_000
_TRIALS: Final = 3
_TRIAL: Final = 0.2
_JUDGED: Final = {"cpu_us": "cpu_us", "per_second": "per_second", "redis_cpu_us": "redis_us"}
"""The figures that targets compare round by round: the name in a row, and in a sample."""
_MANAGED: Final = "flask_cache_bench:"
_UNMANAGED: Final = "other_bench:"


class Case(NamedTuple):
    """A load to send."""

    command: str
    size: str
    """A name in `payloads.SIZES`."""
    form: str = "json"
    clients: int = 50
    pipeline: int = 1

    @property
    def name(self) -> str:
        """Its name."""
        return f"{self.size} {self.form} {self.command} P={self.pipeline} c={self.clients}"

    @property
    def bytes_in_flight(self) -> int:
        """The bytes that all clients send or read at once."""
        return self.clients * self.pipeline * payloads.SIZES[self.size]

    def work(self, prefix: str) -> Work:
        """For keys that begin so."""
        payload = payloads.payload(payloads.SIZES[self.size], self.form)
        keys = max(50, min(1000, _MOST_KEYS_BYTES // len(payload)))
        return Work(self.command, prefix, payload, self.clients, self.pipeline, keys)


DEFAULT: Final = [
    *(Case(command, "125 B", pipeline=pipeline) for pipeline in (1, 16, 64) for command in ("SET", "GET")),
    Case("MIX", "125 B", pipeline=16),
    Case(IN_TURN, "125 B", pipeline=16),
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


def _is_in_turn(case: Case) -> bool:
    return case.command == IN_TURN


def _is_small(case: Case) -> bool:
    return case.size == "125 B"


def _is_not_pipelined(case: Case) -> bool:
    return case.pipeline == 1


FLOORS: Final[dict[str, tuple[str, Callable[[Case], bool]]]] = {
    "one-to-one": ("floor 1:1", lambda _: True),
    "shared": ("floor, shared", _is_not_pipelined),
}
"""By mode: the name of the floor, and the cases that it is measured in."""


class Contender(NamedTuple):
    """A measured server."""

    name: str
    servers: Sequence[peers.Server]
    """More than one: the best of them is taken, case by case."""
    prefix: str = _MANAGED
    kinds: Sequence[str] = ("",)
    """The label of the server."""
    takes: Callable[[Case], bool] = lambda _: True
    """The cases that it is measured in."""
    command: str = ""
    """Send this one in place of the case's."""


def contenders(stack: ExitStack, against: Path | None = None) -> list[Contender]:
    """All that can be had here, Redis first, running until the stack closes. Raises Missing where Redis is missing.

    `against`: another checkout, which is measured with small values.
    """
    home = stack.enter_context(peers.directory())
    redis = stack.enter_context(peers.redis(home))
    found = [Contender("Redis", [redis])]
    proxies = {engine: peers.proxy(home, redis, engine) for engine in peers.ENGINES}
    for engine, ours in peers.entered(stack, proxies).items():
        found.append(Contender(f"{engine}, managed", [ours]))
        found.append(Contender(f"{engine}, alike", [ours], takes=_is_in_turn, command=ALIKE))
        found.append(Contender(f"{engine}, unmanaged", [ours], _UNMANAGED))
    for engine, ours in peers.entered(stack, peers.sharing(home, redis)).items():
        found.append(Contender(f"{engine}, shared", [ours], takes=_is_small))
    if against is not None:
        before = peers.entered(stack, peers.before(home, redis, against))
        found += [Contender(f"{engine}, before", [server], takes=_is_small) for engine, server in before.items()]
    return found + _others(stack, home, redis)


def _others(stack: ExitStack, home: Path, redis: peers.Server) -> list[Contender]:
    """Proxies that pass values through."""
    floors = peers.entered(stack, {mode: peers.floor(home, redis, mode) for mode in FLOORS})
    found = [Contender(FLOORS[mode][0], [server], takes=FLOORS[mode][1]) for mode, server in floors.items()]
    sizes = {f"-m {mbuf}": peers.twemproxy(home, redis, mbuf) for mbuf in MBUFS}
    if nutcrackers := peers.entered(stack, sizes):
        found.append(Contender("twemproxy", [*nutcrackers.values()], kinds=[*nutcrackers]))
        found.append(Contender("twemproxy, default", [nutcrackers[f"-m {peers.MBUF}"]]))
    envoy = peers.entered(stack, {"Envoy": peers.envoy(home, redis)})
    return found + [Contender(name, [server]) for name, server in envoy.items()]


def measure(
    case: Case, contenders: Sequence[Contender], rounds: int, seconds: float
) -> Iterator[tuple[Contender, dict[str, Any] | None]]:
    """All contenders of the case in turn: who comes next, and, at the end, the row of each.

    The first one is Redis itself. Its CPU time is measured also while it stands behind the others.
    """
    redis = contenders[0].servers[0].process
    contenders = taking(case, contenders)
    loads = {}
    for contender in contenders:
        yield contender, None
        loads[contender.name] = _best(case, contender, redis)  # which writes keys of its own: stored forms differ
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
                **{
                    f"{name}_rounds": [round(getattr(sample, of), 3) for sample in each] for name, of in _JUDGED.items()
                },
            },
        )


def taking(case: Case, contenders: Sequence[Contender]) -> list[Contender]:
    """Those that are measured in a case."""
    return [contender for contender in contenders if contender.takes(case)]


def _best(case: Case, contender: Contender, redis: Process) -> tuple[Load, str]:
    """The load at the server that spends least, and what kind that is."""
    command = contender.command or case.command
    work = case._replace(command=command).work(f"{contender.prefix}{contender.name}:")
    loads = [Load(server, work, case.form, redis) for server in contender.servers]
    if len(loads) == 1:
        return loads[0], contender.kinds[0]
    trials = [(load.sample(_TRIAL).cpu_us, at) for _, (at, load) in interleaved([*enumerate(loads)], _TRIALS)]
    _, best = min(trials)
    return Load(contender.servers[best], work, case.form, redis), contender.kinds[best]


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    cpu, low, high = row["cpu_us"]
    redis = f"  Redis {row['redis_cpu_us'][0]:.1f} us" if row["contender"] != "Redis" else ""
    return (
        f"  {row['contender']:18} {cpu:8.2f} us CPU ({low:.2f} - {high:.2f}) {row['per_second'][0]:10,.0f}/s"
        f"  p50 {row['p50_ms'][0]:.2f}  p99 {row['p99_ms'][0]:.2f} ms  {row['peak_mib']:.0f} MiB"
        f"{redis}  {row.get('options', '')}"
    )


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The processor time of the proxies for each command, a panel for each case of the default."""
    names = {case.name: f"{case.command} of {case.size}, {case.pipeline} at once" for case in DEFAULT}
    panels: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["case"] in names and row["contender"] != "Redis":
            panels.setdefault(names[row["case"]], {})[row["contender"]] = row["cpu_us"]
    kinds = ("managed", "alike", "unmanaged", "shared")
    ours = [f"{engine}, {kind}" for engine in peers.ENGINES for kind in kinds]
    title = "What a proxy spends on a command: twemproxy and Envoy pass values through, managed keys are transcoded"
    plots.bars(path, title, "CPU microseconds per command (50 connections)", panels, ours=ours)
