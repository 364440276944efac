"""The text that Prometheus scrapes. Every name has one prefix."""

import os
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from proxy import __version__, engine
from proxy.observe.families import FAMILIES, Family
from proxy.observe.metrics import BUCKETS, SECONDS, SUM, Snapshot

_PREFIX: Final = "flask_cache_proxy_"
_BOUNDS: Final = (*map(str, SECONDS), "+Inf")
_ByLabels: TypeAlias = Mapping[tuple[str, ...], float]
"""The numbers of one family."""


def exposition(snapshot: Snapshot, pids: Iterable[int] = ()) -> bytes:
    """The text for the numbers in `snapshot`, and for the sum of the processes `pids`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(snapshot))
    registry.register(_Processes(pids))
    return generate_latest(registry)


class _Numbers:
    """The numbers of the proxy itself."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client."""
        build = {"version": __version__, "engine": engine.CHOICE.name}
        yield InfoMetricFamily(_PREFIX + "build", "Version and engine of the proxy.", build)
        by_family: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in FAMILIES}
        for (name, labels), number in self._snapshot.items():
            by_family[name][labels] = number
        for name, numbers in by_family.items():
            yield _EXPOSED_AS[FAMILIES[name].kind](FAMILIES[name], numbers)


def _simple(kind: type[CounterMetricFamily | GaugeMetricFamily], family: Family, numbers: _ByLabels) -> Metric:
    exposed = kind(_PREFIX + family.name, family.text, labels=family.labels)
    for labels, number in (numbers or ({} if family.labels else {(): 0})).items():
        exposed.add_metric(labels, number)
    return exposed


def _histogram(family: Family, numbers: _ByLabels) -> Metric:
    exposed = HistogramMetricFamily(_PREFIX + family.name, family.text, labels=family.labels)
    for labels in {labels[:-1]: None for labels in numbers}:
        cumulative = accumulate(numbers.get((*labels, bucket), 0) for bucket in BUCKETS)
        exposed.add_metric(labels, list(zip(_BOUNDS, cumulative, strict=True)), numbers.get((*labels, SUM), 0))
    return exposed


_EXPOSED_AS: Final[dict[str, Callable[[Family, _ByLabels], Metric]]] = {
    "counter": partial(_simple, CounterMetricFamily),
    "gauge": partial(_simple, GaugeMetricFamily),
    "histogram": _histogram,
}


def processes() -> list[int]:
    """The ids of this process and of its descendants: workers, converters, an embedded Redis."""
    found = [os.getpid()]
    for pid in found:  # the loop extends the list
        with suppress(OSError):  # the process has ended, or the system has no /proc
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


class _Processes:
    """The sums of CPU time, memory and descriptors of processes, and the latest of their start times."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client."""
        collectors = [ProcessCollector(_PREFIX[:-1], partial(int, pid), registry=None) for pid in self._pids]
        summed: dict[str, Metric] = {}
        for family in (family for collector in collectors for family in collector.collect()):
            total = summed.setdefault(family.name, family)
            if total is not family:
                combine = max if family.name.endswith("start_time_seconds") else sum
                value = combine((total.samples[0].value, family.samples[0].value))
                total.samples[0] = total.samples[0]._replace(value=value)
        gone = resource.getrusage(resource.RUSAGE_CHILDREN)  # ended processes: a counter must not go down
        for name, total in summed.items():
            if name.endswith("cpu_seconds"):
                value = total.samples[0].value + gone.ru_utime + gone.ru_stime
                total.samples[0] = total.samples[0]._replace(value=value)
        yield from summed.values()
