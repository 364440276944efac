"""Turns the counters of sessions into metrics."""

from proxy.commands import Command
from proxy.observe.families import (
    CLOSED,
    CLUSTER_REDIRECTS,
    COMMANDS,
    HITS,
    MANAGED,
    MISSES,
    REFUSALS,
    TRANSCODED,
    TRANSCODING_FAILURES,
    UNTOUCHED,
)
from proxy.observe.metrics import Metrics, Snapshot
from proxy.session import Tally


def numbers(metrics: Metrics, tally: Tally) -> Snapshot:
    """A snapshot of `metrics`, with the counters of `tally`."""
    for command, count in tally.commands.items():
        metrics.set(COMMANDS, count, _label(command))
    for (command, reason), count in tally.refusals.items():
        metrics.set(REFUSALS, count, _label(command), reason.value)
    for labels, count in tally.failures.items():
        metrics.set(TRANSCODING_FAILURES, count, *labels)
    for limit, count in tally.ended.items():
        metrics.set(CLOSED, count, limit)
    for rule, count in tally.misses.items():
        metrics.set(MISSES, count, rule)
    for kind, count in tally.redirects.items():
        metrics.set(CLUSTER_REDIRECTS, count, kind)
    metrics.set(MANAGED, tally.managed)
    metrics.set(UNTOUCHED, tally.untouched)
    return _with_hits(metrics.snapshot())


def _label(command: Command | None) -> str:
    return "other" if command is None else command.name.decode()


def _with_hits(snapshot: Snapshot) -> Snapshot:
    """Each decoded value is a hit. So the hot path need not count both."""
    for (family, labels), count in tuple(snapshot.items()):
        if family == TRANSCODED.name and labels[0] == "decode":
            series = HITS.name, (labels[-1],)
            snapshot[series] = snapshot.get(series, 0) + count
    return snapshot
