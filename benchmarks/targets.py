"""The project's targets as ratios of medians, and whether a run meets them.

A target has a limit that must hold. It may have an aim beyond that.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from benchmarks import cluster, latency
from benchmarks.figures import Spread, ratio

_SMALL: Final = "125 B json {} P={} c=50"
_LARGE: Final = "{} json {} P={} c=50"


class Target(NamedTuple):
    """One contender's figure in a case or part, divided by another's."""

    case: str
    ours: str
    theirs: str
    limit: float
    at_least: bool = False
    aim: float | None = None
    measure: str = "cpu_us"
    """The field of the row. Its rounds are in `<measure>_rounds`."""

    def holds(self, value: float) -> bool:
        """True if a ratio meets the target."""
        return reaches(value, self.limit, self.at_least)


def reaches(value: float, limit: float, at_least: bool) -> bool:
    """True on the right side of a limit."""
    return value >= limit if at_least else value <= limit


Table = tuple[tuple[str, str, Sequence[Target]], ...]
"""Lines: the work, the other side, and the targets."""


def _small(ours: str, theirs: str, limits: dict[tuple[str, int], float]) -> Iterator[Target]:
    for (command, pipeline), limit in limits.items():
        yield Target(_SMALL.format(command, pipeline), ours, theirs, limit)


def _each(pipeline: int, limit: float) -> dict[tuple[str, int], float]:
    return {("SET", pipeline): limit, ("GET", pipeline): limit}


def _pair(
    ours: str,
    theirs: str,
    pipeline: int,
    must: tuple[float, float],
    aim: tuple[float, float],
    named: Callable[[str, int], str] = _SMALL.format,
    **how: Any,
) -> list[Target]:
    """For a small SET and GET. `named`: gives the name of a case. `how`: further fields of the targets."""
    return [
        Target(named(command, pipeline), ours, theirs, limit, aim=goal, **how)
        for command, limit, goal in zip(("SET", "GET"), must, aim, strict=True)
    ]


_NATIVE: Final = "native, managed"
_SHARED: Final = "native, shared"
_STRAIGHT: Final = "Redis"
_AT_64: Final = _SMALL.format("SET", 64)

TABLE: Final[Table] = (
    ("P=1, SET / GET", "floor 1:1", _pair(_NATIVE, "floor 1:1", 1, (1.55, 1.5), (1.35, 1.3))),
    ("P=1, SET / GET", "twemproxy, default", _pair(_NATIVE, "twemproxy, default", 1, (2.1, 1.95), (1.85, 1.7))),
    ("P=1, SET / GET", "Envoy", _pair(_NATIVE, "Envoy", 1, (1.6, 1.6), (1.35, 1.4))),
    ("P=16, SET / GET", "twemproxy, default", _pair(_NATIVE, "twemproxy, default", 16, (1.5, 0.95), (1.3, 0.8))),
    (
        "P=64, SET",
        "twemproxy, default / its best buffers",
        [
            Target(_AT_64, _NATIVE, "twemproxy, default", 0.45, aim=0.36),
            Target(_AT_64, _NATIVE, "twemproxy", 1.35, aim=1.15),
        ],
    ),
    (
        "P=16, SET and GET in turn",
        "pipelines of one of them",
        [Target(_SMALL.format("SET+GET", 16), _NATIVE, "native, alike", 1.3, aim=1.1)],
    ),
    (
        "saturation of one worker, go-redis not pipelined",
        "the other checkout",
        [
            Target(
                "saturation",
                "native engine",
                "native engine, before",
                1.6,
                at_least=True,
                aim=1.9,
                measure="per_second",
            )
        ],
    ),
    (
        "p50 added at 1,000/s",
        "Envoy",
        [Target("go-redis 1,000/s", "native engine", "Envoy", 1.1, aim=1.0, measure="added_p50_ms")],
    ),
    (
        "Python engine, P=1, SET / GET",
        "the other checkout",
        _pair("python, managed", "python, before", 1, (0.65, 0.65), (0.5, 0.5)),
    ),
    (
        "10 KB, unmanaged, P=16, SET / GET",
        "floor 1:1",
        [
            Target(_LARGE.format("10 KB", command, 16), "native, unmanaged", "floor 1:1", 1.3)
            for command in ("SET", "GET")
        ],
    ),
)
"""The targets of the hot path as a table."""

SHARED_TABLE: Final[Table] = (
    ("P=1, SET / GET", "floor, shared", _pair(_SHARED, "floor, shared", 1, (1.7, 1.7), (1.5, 1.5))),
    ("P=1, SET / GET", "twemproxy, default", _pair(_SHARED, "twemproxy, default", 1, (1.3, 1.25), (1.15, 1.1))),
    ("P=1, SET / GET", "Envoy", _pair(_SHARED, "Envoy", 1, (1.0, 1.05), (0.85, 0.9))),
    ("P=16, SET / GET", "twemproxy, default", _pair(_SHARED, "twemproxy, default", 16, (1.2, 0.7), (1.05, 0.6))),
    (
        "rate of 50 clients that do not pipeline, SET / GET",
        "straight Redis",
        _pair(_SHARED, _STRAIGHT, 1, (0.7, 0.7), (0.85, 0.85), at_least=True, measure="per_second"),
    ),
    (
        "Redis' own CPU per command, P=1, SET / GET",
        "straight Redis",
        _pair(_SHARED, _STRAIGHT, 1, (0.4, 0.4), (0.3, 0.3), measure="redis_cpu_us"),
    ),
    (
        "saturation of one worker, go-redis not pipelined",
        "a connection for each client",
        [
            Target(
                latency.SATURATION,
                "native engine, shared",
                "native engine",
                1.4,
                at_least=True,
                aim=1.7,
                measure="per_second",
            )
        ],
    ),
    (
        "on a cluster, P=1, SET / GET",
        "Envoy on the same cluster",
        _pair(
            cluster.contender("native", cluster.SHARED),
            cluster.contender("native", cluster.ENVOY),
            1,
            (1.1, 1.1),
            (0.9, 0.9),
            cluster.named,
        ),
    ),
)
"""The same for shared connections: one worker with one of them, on a cluster with one for each node."""

FURTHER: Final = (
    *_small(_NATIVE, "twemproxy", {**_each(1, 2.1), ("SET", 16): 1.2, ("GET", 16): 0.8, ("GET", 64): 0.6}),
    *_small(_NATIVE, "twemproxy, default", {("GET", 64): 0.6}),
    *_small(_NATIVE, "Envoy", {**_each(16, 1.0), **_each(64, 1.0)}),
    *_small("python, managed", "twemproxy", {("SET", 64): 1.0}),
    *_small("python, managed", "twemproxy, default", {("SET", 64): 1.0}),
    *(
        Target(_LARGE.format(size, command, pipeline), "python, managed", _NATIVE, limit, at_least=True)
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
"""Targets of `throughput` beside the table."""

_TABLED: Final = [target for _, _, line in (*TABLE, *SHARED_TABLE) for target in line]
_PARTS: Final = {part.name for part in latency.PARTS}
_ON_A_CLUSTER: Final = {cluster.named(case.command, case.pipeline) for case in cluster.CASES}
_ELSEWHERE: Final = _PARTS | _ON_A_CLUSTER
THROUGHPUT: Final = (*(target for target in _TABLED if target.case not in _ELSEWHERE), *FURTHER)
LATENCY: Final = tuple(target for target in _TABLED if target.case in _PARTS)
CLUSTER: Final = tuple(target for target in _TABLED if target.case in _ON_A_CLUSTER)


def measured(target: Target, rows: Sequence[dict[str, Any]]) -> Spread | None:
    """The ratio in the rows of a run; None where one side was not measured, or the other added nothing."""
    found = {(row.get("case", row.get("part")), row["contender"]): row for row in rows}
    sides = [found.get((target.case, name)) for name in (target.ours, target.theirs)]
    ours, theirs = (side and (side.get(f"{target.measure}_rounds") or side[target.measure][:1]) for side in sides)
    if not ours or not theirs or statistics.median(theirs) <= 0:
        return None
    return ratio(ours, theirs)


def shown(targets: Sequence[Target], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each target, its ratio `[median, low, high]` (None: not measured), and whether it is met."""
    found = []
    for target in targets:
        value = measured(target, rows)
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
    what = f"{found['case']:28} {found['ours']:>21} / {found['theirs']:21} {found['measure']:12}"
    wanted = f"{'>=' if found['at_least'] else '<='} {found['limit']:4.2f}"
    if found["aim"] is not None:
        wanted += f" (aim {found['aim']:4.2f})"
    if found["ratio"] is None:
        return f"{what} {wanted:18} not measured"
    median, low, high = found["ratio"]
    return f"{what} {wanted:18} {median:5.2f} ({low:.2f} - {high:.2f})  {'met' if found['met'] else 'MISSED'}"
