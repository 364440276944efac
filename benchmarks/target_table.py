"""The tables of the targets, filled in from the result files: of the hot path, and of shared connections.

Each file is of one run, whose contenders took turns. Runs are not compared with each other.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import cluster, instead, segments, targets

SOURCES: Final = ("throughput", "latency", "segments", "instead", "cluster")
_HEADER: Final = ("", "against", "must", "aim", "measured (quartiles)", "")


class Figure(NamedTuple):
    """One ratio of a line, with its limits."""

    must: float
    aim: float | None
    at_least: bool
    ratio: Sequence[float] | None
    """Median, lower and upper quartile; None: not measured."""
    remark: str = ""

    @property
    def verdict(self) -> str:
        """Whether the limits hold."""
        if self.ratio is None:
            return "not measured"
        if self.aim is not None and targets.reaches(self.ratio[0], self.aim, self.at_least):
            return "aim met"
        if targets.reaches(self.ratio[0], self.must, self.at_least):
            return "met"
        beyond = self.must / self.ratio[0] if self.at_least else self.ratio[0] / self.must
        return f"MISSED by {beyond - 1:.0%}"


class Line(NamedTuple):
    """A line of the table."""

    what: str
    against: str
    figures: Sequence[Figure]


def read(results: Path) -> dict[str, dict[str, Any]]:
    """The result files that are there, by benchmark."""
    paths = {name: results / f"{name}.json" for name in SOURCES}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def lines(found: dict[str, dict[str, Any]]) -> list[Line]:
    """All lines of the hot path, also those that were not measured."""
    return [
        *_lines(targets.TABLE, found),
        *_segments(_rows(found, "segments")),
        *_instead(_rows(found, "instead")),
    ]


def shared_lines(found: dict[str, dict[str, Any]]) -> list[Line]:
    """The same of shared connections."""
    return [*_lines(targets.SHARED_TABLE, found)]


def _rows(found: dict[str, dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [row for name in names for row in found.get(name, {}).get("rows", [])]


def _lines(table: targets.Table, found: dict[str, dict[str, Any]]) -> Iterator[Line]:
    rows = _rows(found, "throughput", "latency") + cluster.judged(_rows(found, "cluster"))
    for what, against, line in table:
        yield Line(what, against, [_figure(target, rows) for target in line])


def _figure(target: targets.Target, rows: Sequence[dict[str, Any]]) -> Figure:
    return Figure(target.limit, target.aim, target.at_least, targets.measured(target, rows))


def _segments(rows: Sequence[dict[str, Any]]) -> Iterator[Line]:
    """The worst requests of each engine."""
    for engine in dict.fromkeys(row["engine"] for row in rows) or ("native",):
        worst = max((row for row in rows if row["engine"] == engine), key=lambda row: row["ratio"][0], default=None)
        ratio, remark = (worst["ratio"], worst["requests"]) if worst else (None, "")
        yield Line(
            f"reads of 1,448 bytes, {engine} engine",
            "whole reads",
            [Figure(segments.LIMIT, None, at_least=False, ratio=ratio, remark=remark)],
        )


def _instead(rows: Sequence[dict[str, Any]]) -> Iterator[Line]:
    """Filling Flask's cache: how many times as fast as the other way."""
    for found in instead.compared(rows):
        limit = found["times_as_fast_at_least"]
        yield Line(found["ours"], found["theirs"], [Figure(limit, None, at_least=True, ratio=found["ratio"])])


def markdown(table: Sequence[Line]) -> Iterator[str]:
    """The lines of the table as a document has them."""
    yield "| " + " | ".join(_HEADER) + " |"
    yield "|" + "---|" * len(_HEADER)
    for line in table:
        cells = (
            line.what,
            line.against,
            _joined(f"{'>= ' if each.at_least else ''}{each.must:g}" for each in line.figures),
            _joined("" if each.aim is None else f"{each.aim:g}" for each in line.figures),
            _joined(map(_told, line.figures)),
            _joined(dict.fromkeys(each.verdict for each in line.figures)),
        )
        yield "| " + " | ".join(cells) + " |"


def _joined(cells: Any) -> str:
    return " / ".join(cell for cell in cells if cell)


def _told(figure: Figure) -> str:
    if figure.ratio is None:
        return "-"
    median, low, high = figure.ratio
    return f"{median:.2f} ({low:.2f} - {high:.2f})" + (f", {figure.remark}" if figure.remark else "")


def origins(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Where the figures of each file come from."""
    for name in SOURCES:
        if name not in found:
            yield f"{name}: there is no results file, run `python -m benchmarks {name}`"
            continue
        settings = found[name]["settings"]
        against = f", beside commit {settings['against']}" if settings.get("against") else ""
        yield f"{name}: commit {found[name]['commit']}, {found[name]['when']}, {settings['rounds']} rounds{against}"
