"""Rates from counters: in the last minute, and since the start. Counting itself costs no more than before.

The admin side keeps a few snapshots of the counters. A rate is the difference of two of them.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

from proxy.observe.families import FAMILIES, Family
from proxy.observe.metrics import Snapshot

INTERVAL: Final = 10.0
"""Seconds between two snapshots."""
_KEPT: Final = 7
"""Snapshots. The oldest is a minute old."""


class Window(NamedTuple):
    """The counts of a period."""

    seconds: float
    counts: Snapshot

    def total(self, family: Family, *labels: str) -> float:
        """The sum over all series of a family whose labels begin with these."""
        wanted = len(labels)
        return sum(
            number for (name, given), number in self.counts.items() if name == family.name and given[:wanted] == labels
        )

    def rate(self, family: Family, *labels: str) -> float:
        """The same, a second."""
        return self.total(family, *labels) / self.seconds if self.seconds > 0 else 0.0


class History:
    """The snapshots of the last minute."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._began = clock()
        self._kept: deque[tuple[float, Snapshot]] = deque([(self._began, {})], maxlen=_KEPT)

    def record(self, snapshot: Snapshot) -> None:
        """Keep the counters of a snapshot. To be called every `INTERVAL`."""
        self._kept.append((self._clock(), _counters(snapshot)))

    def last_minute(self, snapshot: Snapshot) -> Window:
        """The counts from the oldest snapshot that is kept to this one."""
        then, before = self._kept[0]
        return Window(
            self._clock() - then,
            {series: max(0, number - before.get(series, 0)) for series, number in _counters(snapshot).items()},
        )

    def since_start(self, snapshot: Snapshot) -> Window:
        """All counts."""
        return Window(self._clock() - self._began, _counters(snapshot))


def _counters(snapshot: Snapshot) -> Snapshot:
    return {series: number for series, number in snapshot.items() if FAMILIES[series[0]].kind == "counter"}
