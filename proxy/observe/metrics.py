"""The numbers of this process: a mapping (family, labels) -> number, and the hot series that flush into it.

A snapshot is a copy of the mapping. Workers send theirs to the supervisor, which adds them up. Nothing here knows a
single metric, except `Traffic`.
"""

from bisect import bisect_left
from collections.abc import MutableMapping
from typing import Final, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from proxy.observe.families import FAMILIES, RECEIVED_BYTES, SENT_BYTES, Family

SECONDS: Final = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of the buckets of all histograms. The last bucket, +Inf, comes on top."""
BUCKETS: Final = tuple(str(number) for number in range(len(SECONDS) + 1))
SUM: Final = "sum"

Series: TypeAlias = tuple[str, tuple[str, ...]]
"""A family's name and the values of its labels. Histograms have one label more: a bucket's number, or `SUM`."""
Snapshot: TypeAlias = dict[Series, int | float]
"""Numbers by series, as they cross from one process to another. Buckets are not cumulative."""


class Traffic:
    """Bytes by side: plain attributes, because each read and each write adds to one. There is one in a process."""

    __slots__ = ("received_client", "received_upstream", "sent_client", "sent_upstream", "unwatched")

    def __init__(self) -> None:
        """All zero."""
        self.unwatched = 0
        """Bytes that have been received since the memory of all buffers was summed up. The watchdog sets it to 0."""
        self.clear()

    def clear(self) -> None:
        """Set the four sums to zero."""
        self.received_client = self.received_upstream = self.sent_client = self.sent_upstream = 0


class _HotSeries:
    """Numbers of one series that are kept in an object until `flush` adds them to the mapping.

    `Metrics` refers to it weakly. It ends with the last transcoder of its rule, and flushes then.
    """

    __slots__ = ("__weakref__", "_numbers")

    def __init__(self, numbers: Snapshot) -> None:
        self._numbers = numbers

    def flush(self) -> None:
        """Add the numbers since the last flush to the mapping."""
        raise NotImplementedError

    def __del__(self) -> None:
        self.flush()


class Count(_HotSeries):
    """The series of a counter. Its users add to the attribute `count`."""

    __slots__ = ("_flushed", "_series", "count")

    def __init__(self, numbers: Snapshot, name: str, labels: tuple[str, ...]) -> None:
        """See `Metrics.count`."""
        super().__init__(numbers)
        self._series = name, labels
        self.count = self._flushed = 0

    def flush(self) -> None:
        """See _HotSeries."""
        if self.count != self._flushed:
            _increase(self._numbers, self._series, self.count - self._flushed)
            self._flushed = self.count


class Histogram(_HotSeries):
    """The series of a histogram: one for each bucket, and the sum."""

    __slots__ = ("_counts", "_series", "_sum")

    def __init__(self, numbers: Snapshot, name: str, labels: tuple[str, ...]) -> None:
        """See `Metrics.histogram`."""
        super().__init__(numbers)
        self._series = [(name, (*labels, last)) for last in (*BUCKETS, SUM)]
        self._counts = [0] * len(BUCKETS)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._sum += seconds

    def flush(self) -> None:
        """See _HotSeries."""
        if any(self._counts):
            for series, number in zip(self._series, (*self._counts, self._sum), strict=True):
                _increase(self._numbers, series, number)
            self._counts, self._sum = [0] * len(BUCKETS), 0.0


_Made = TypeVar("_Made", Count, Histogram)


class Metrics:
    """All numbers of the process."""

    __slots__ = ("_hot", "_numbers", "traffic")

    def __init__(self) -> None:
        """All zero."""
        self._numbers: Snapshot = {}
        self._hot: WeakValueDictionary[Series, Count | Histogram] = WeakValueDictionary()
        self.traffic = Traffic()

    def get(self, family: Family, *labels: str) -> int | float:
        """The number of a series, without what its hot series has not flushed. 0 if nothing was counted."""
        return self._numbers.get((family.name, labels), 0)

    def add(self, family: Family, number: int | float, *labels: str) -> int | float:
        """Add to a counter or a gauge. Returns its new number."""
        return _increase(self._numbers, (family.name, labels), number)

    def set(self, family: Family, number: int | float, *labels: str) -> None:
        """Set a gauge, or a counter that someone else counts."""
        self._numbers[family.name, labels] = number

    def histogram(self, family: Family, *labels: str) -> Histogram:
        """The hot series of a histogram with these values of its labels."""
        return self._only(Histogram, family, labels)

    def count(self, family: Family, *labels: str) -> Count:
        """The hot series of a counter with these values of its labels."""
        return self._only(Count, family, labels)

    def _only(self, make: type[_Made], family: Family, labels: tuple[str, ...]) -> _Made:
        """The one object of a series: a reload must not make a second one."""
        known = self._hot.get((family.name, labels))
        if not isinstance(known, make):
            known = self._hot[family.name, labels] = make(self._numbers, family.name, labels)
        return known

    def snapshot(self) -> Snapshot:
        """A copy of all numbers as they are now."""
        for each in tuple(self._hot.values()):
            each.flush()
        traffic = self.traffic
        self.add(RECEIVED_BYTES, traffic.received_client, "client")
        self.add(RECEIVED_BYTES, traffic.received_upstream, "upstream")
        self.add(SENT_BYTES, traffic.sent_client, "client")
        self.add(SENT_BYTES, traffic.sent_upstream, "upstream")
        traffic.clear()
        return dict(self._numbers)


def add_snapshot(total: Snapshot, other: Snapshot) -> None:
    """Add the numbers of another process to `total`, series by series."""
    for series, number in other.items():
        _increase(total, series, number)


def lasting(snapshot: Snapshot) -> Snapshot:
    """The counters and histograms. They outlive their process; its gauges do not."""
    return {series: number for series, number in snapshot.items() if FAMILIES[series[0]].kind != "gauge"}


def _increase(numbers: MutableMapping[Series, int | float], series: Series, number: int | float) -> int | float:
    total = numbers[series] = numbers.get(series, 0) + number
    return total
