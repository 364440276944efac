"""What the project has set itself, as ratios of medians, and whether a run shows it."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from benchmarks.figures import ratio

_SMALL: Final = "125 B json {} P={} c=50"
_LARGE: Final = "{} json {} P={} c=50"


class Target(NamedTuple):
    """One contender's CPU per command, divided by another's, in one case."""

    case: str
    ours: str
    theirs: str
    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Whether a ratio meets it."""
        return value >= self.limit if self.at_least else value <= self.limit


def _small(ours: str, theirs: str, limits: dict[tuple[str, int], float]) -> Iterator[Target]:
    for (command, pipeline), limit in limits.items():
        yield Target(_SMALL.format(command, pipeline), ours, theirs, limit)


def _each(pipeline: int, limit: float) -> dict[tuple[str, int], float]:
    return {("SET", pipeline): limit, ("GET", pipeline): limit}


THROUGHPUT: Final = (
    *(
        target
        for twemproxy in ("twemproxy", "twemproxy, default")
        for target in _small(
            "native, managed", twemproxy, {("SET", 16): 1.2, ("GET", 16): 0.8, **_each(64, 0.6), **_each(1, 2.1)}
        )
    ),
    *_small("native, managed", "Envoy", {**_each(16, 1.0), **_each(64, 1.0), **_each(1, 1.9)}),
    *_small("python, managed", "twemproxy", {("SET", 64): 1.0}),
    *_small("python, managed", "twemproxy, default", {("SET", 64): 1.0}),
    *(
        Target(_LARGE.format(size, command, pipeline), "python, managed", "native, managed", limit, at_least=True)
        for size, pipeline in (("10 KB", 16), ("100 KB", 1))
        for command, limit in (("GET", 5.0), ("SET", 3.0))
    ),
    *(
        Target(_LARGE.format("10 KB", command, pipeline), f"{engine}, unmanaged", "twemproxy", 1.5)
        for engine in ("native", "python")
        for pipeline in (1, 16)
        for command in ("SET", "GET")
    ),
    *(
        target
        for engine in ("native", "python")
        for target in _small(f"{engine}, unmanaged", f"{engine}, managed", _each(64, 0.8))
    ),
)


def shown(targets: Sequence[Target], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each target, its ratio `[median, low, high]` (None: not measured), and whether it is met."""
    rounds = {(row["case"], row["contender"]): row["cpu_us_rounds"] for row in rows}
    found = []
    for target in targets:
        ours, theirs = rounds.get((target.case, target.ours)), rounds.get((target.case, target.theirs))
        value = ratio(ours, theirs) if ours and theirs else None
        found.append(
            {
                **target._asdict(),
                "ratio": value and value.rounded(3),
                "met": None if value is None else target.holds(value.median),
            }
        )
    return found


def sentence(found: dict[str, Any]) -> str:
    """A target and its outcome, for people."""
    what = f"{found['case']:28} {found['ours']:>17} / {found['theirs']:18}"
    wanted = f"{'>=' if found['at_least'] else '<='} {found['limit']:.1f}"
    if found["ratio"] is None:
        return f"{what} {wanted}   not measured"
    median, low, high = found["ratio"]
    return f"{what} {wanted}   {median:5.2f} ({low:.2f} - {high:.2f})  {'met' if found['met'] else 'MISSED'}"
