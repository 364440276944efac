"""Counters of the process, plain numbers that cost an addition; Prometheus collects them when it scrapes.

One prefix, base units, and never a key, a value or an address in a label.
"""

import os
import resource
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from proxy import engine

_PREFIX: Final = "flask_cache_proxy_"
_BETWEEN: Final = "\x1f"
"""Between the values of several labels, in the key of a count."""
_SUM: Final = "sum"

SECONDS: Final = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of the buckets of all histograms."""

Snapshot: TypeAlias = dict[str, int | float | dict[str, int | float]]
"""The numbers by name, as they cross from one process to another."""


class Family(NamedTuple):
    """How numbers are told: `counter`, `gauge` or `histogram`; a name without the prefix; and their labels."""

    kind: str
    name: str
    text: str
    labels: tuple[str, ...] = ()


FAMILIES: Final = {
    "workers": Family("gauge", "workers", "Processes that serve clients."),
    "worker_restarts": Family("counter", "worker_restarts", "Workers replaced."),
    "clients": Family("gauge", "clients", "Clients connected."),
    "clients_total": Family("counter", "accepted_clients", "Clients accepted."),
    "rejected": Family("counter", "rejected_clients", "Clients turned away.", ("reason",)),
    "closed": Family(
        "counter",
        "closed_clients",
        "Clients closed in mid-conversation, by the setting that they met; protocol: they speak no RESP.",
        ("reason",),
    ),
    "upstreams": Family("gauge", "upstream_connections", "Connections to Redis."),
    "upstreams_total": Family("counter", "upstream_connects", "Connections to Redis that were made."),
    "upstream_failures": Family("counter", "upstream_connect_failures", "Connections to Redis that failed."),
    "received_bytes": Family("counter", "received_bytes", "Bytes received from a side.", ("side",)),
    "sent_bytes": Family("counter", "sent_bytes", "Bytes handed to a side.", ("side",)),
    "commands": Family("counter", "commands", "Commands of clients, by those that the proxy knows.", ("command",)),
    "refusals": Family("counter", "refused_commands", "Commands that the proxy refused, bad payloads among them."),
    "transcoded": Family(
        "counter", "transcoded_values", "Values encoded and decoded.", ("direction", "payload", "rule")
    ),
    "transcoding_failures": Family(
        "counter", "transcoding_failures", "Values that were not.", ("direction", "payload", "rule", "reason")
    ),
    "transcoding_seconds": Family(
        "histogram",
        "transcoding_seconds",
        "Time to encode or decode a value: one in 16 (of those done together, their mean), and all that went to the "
        "converter, with their wait for it.",
        ("direction", "payload", "rule"),
    ),
    "conversions": Family("counter", "offloaded_conversions", "Conversions done in the converter process.", ("half",)),
    "round_trip_seconds": Family(
        "histogram",
        "upstream_round_trip_seconds",
        "Time from a request until Redis begins to answer; pipelined ones count as one, blocking ones not at all.",
    ),
    "pending": Family("gauge", "pending_replies", "Replies outstanding, a second ago at most."),
    "buffered_bytes": Family("gauge", "buffered_bytes", "Bytes held for all clients, a second ago at most."),
    "paused": Family("gauge", "paused_connections", "Connections not being read, a second ago at most.", ("side",)),
    "loop_lag_seconds": Family("histogram", "loop_lag_seconds", "How late the event loop does what is due."),
}
"""By the attribute of `Metrics`."""


def key(*labels: str) -> str:
    """What a count with these labels is kept by."""
    return _BETWEEN.join(labels)


class Traffic:
    """Bytes by side: plain attributes, because each read and each write adds to one."""

    __slots__ = ("received_client", "received_upstream", "sent_client", "sent_upstream")

    def __init__(self) -> None:
        """None yet."""
        self.received_client = self.received_upstream = self.sent_client = self.sent_upstream = 0


class Count:
    """A count under one set of labels, until it is told: a plain attribute, to be added to."""

    __slots__ = ("_family", "_key", "_told", "count")

    def __init__(self, family: Counter[str], labels: tuple[str, ...]) -> None:
        """See `Metrics.tally`."""
        self._family = family
        self._key = key(*labels)
        self.count = self._told = 0

    def tell(self) -> None:
        """Add what is new to the counts of the family."""
        if self.count != self._told:
            self._family[self._key] += self.count - self._told
            self._told = self.count


class Histogram:
    """Observations under one set of labels, until they are told."""

    __slots__ = ("_counts", "_family", "_labels", "_sum")

    def __init__(self, family: Counter[str], labels: tuple[str, ...]) -> None:
        """See `Metrics.histogram`."""
        self._family = family
        self._labels = labels
        self._counts = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._sum += seconds

    def tell(self) -> None:
        """Add them to the counts of the family, which other histograms may share."""
        if any(self._counts):
            for number, count in enumerate(self._counts):
                self._family[key(*self._labels, str(number))] += count
            self._family[key(*self._labels, _SUM)] += self._sum  # type: ignore[assignment]  # typed for ints only
            self._counts, self._sum = [0] * len(self._counts), 0.0


def _counter() -> "Counter[str]":
    return Counter()


@dataclass(slots=True, eq=False)
class Metrics:
    """What has happened since the start, and what is now. Counts with labels are kept by `key`."""

    version: str
    workers: int = 1
    worker_restarts: int = 0
    clients: int = 0
    clients_total: int = 0
    rejected: Counter[str] = field(default_factory=_counter)
    closed: Counter[str] = field(default_factory=_counter)
    upstreams: int = 0
    upstreams_total: int = 0
    upstream_failures: int = 0
    received_bytes: Counter[str] = field(default_factory=_counter)
    sent_bytes: Counter[str] = field(default_factory=_counter)
    commands: Counter[str] = field(default_factory=_counter)
    refusals: int = 0
    transcoded: Counter[str] = field(default_factory=_counter)
    transcoding_failures: Counter[str] = field(default_factory=_counter)
    transcoding_seconds: Counter[str] = field(default_factory=_counter)
    conversions: Counter[str] = field(default_factory=_counter)
    round_trip_seconds: Counter[str] = field(default_factory=_counter)
    pending: int = 0
    buffered_bytes: int = 0
    paused: Counter[str] = field(default_factory=_counter)
    loop_lag_seconds: Counter[str] = field(default_factory=_counter)
    traffic: Traffic = field(default_factory=Traffic)
    _untold: list[Count | Histogram] = field(default_factory=list)

    def histogram(self, name: str, *labels: str) -> Histogram:
        """For observations of the family that is the attribute `name`, under the values of its labels."""
        made = Histogram(getattr(self, name), labels)
        self._untold.append(made)
        return made

    def tally(self, name: str, *labels: str) -> Count:
        """For a count of the family that is the attribute `name`, under the values of its labels."""
        made = Count(getattr(self, name), labels)
        self._untold.append(made)
        return made

    def snapshot(self) -> Snapshot:
        """The numbers as they are now."""
        for each in self._untold:
            each.tell()
        traffic = self.traffic
        self.received_bytes.update(client=traffic.received_client, upstream=traffic.received_upstream)
        self.sent_bytes.update(client=traffic.sent_client, upstream=traffic.sent_upstream)
        self.traffic = Traffic()
        return {
            one.name: dict(value) if isinstance(value := getattr(self, one.name), Counter) else value
            for one in fields(self)
            if one.name in FAMILIES
        }

    def add(self, other: Snapshot, *, gone: bool = False) -> None:
        """Add the numbers of another process; of one that is `gone`, only those that never go down."""
        for name, value in other.items():
            if gone and FAMILIES[name].kind == "gauge":
                continue
            if isinstance(value, dict):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    def collect(self) -> Iterator[Metric]:
        """The metric families, for prometheus_client."""
        yield InfoMetricFamily(
            _PREFIX + "build",
            "Version and engine of the proxy.",
            {"version": self.version, "engine": engine.CHOICE.name},
        )
        for attribute, family in FAMILIES.items():
            value = getattr(self, attribute)
            counts: Mapping[str, float] = value if isinstance(value, Counter) else {"": value}
            yield _TOLD[family.kind](family, counts)

    def exposition(self, processes: Iterable[int] = ()) -> bytes:
        """The text that Prometheus scrapes; `processes`: what is said about them is said of their sum."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        registry.register(_Processes(processes))
        return generate_latest(registry)


def _counter_family(family: Family, counts: Mapping[str, float]) -> Metric:
    told = CounterMetricFamily(_PREFIX + family.name, family.text, labels=family.labels)
    for labels, count in counts.items():
        told.add_metric(_split(labels), count)
    return told


def _gauge_family(family: Family, counts: Mapping[str, float]) -> Metric:
    told = GaugeMetricFamily(_PREFIX + family.name, family.text, labels=family.labels)
    for labels, count in counts.items():
        told.add_metric(_split(labels), count)
    return told


def _histogram_family(family: Family, counts: Mapping[str, float]) -> Metric:
    told = HistogramMetricFamily(_PREFIX + family.name, family.text, labels=family.labels)
    for labels in {tuple(labels.split(_BETWEEN)[:-1]): None for labels in counts}:
        buckets = accumulate(counts.get(key(*labels, str(number)), 0) for number in range(len(SECONDS) + 1))
        bounds = (*map(str, SECONDS), "+Inf")
        told.add_metric(labels, list(zip(bounds, buckets, strict=True)), counts.get(key(*labels, _SUM), 0))
    return told


_TOLD: Final = {"counter": _counter_family, "gauge": _gauge_family, "histogram": _histogram_family}


def _split(labels: str) -> Sequence[str]:
    return labels.split(_BETWEEN) if labels else ()


def processes() -> list[int]:
    """Ourselves, and all that we have started: workers, converters, an embedded Redis."""
    found = [os.getpid()]
    for pid in found:  # which grows meanwhile
        with suppress(OSError):  # it has ended, or this system does not say
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


class _Processes:
    """What the system says about processes, added up: CPU time, memory, descriptors. The youngest's start."""

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
        gone = resource.getrusage(resource.RUSAGE_CHILDREN)  # those that have ended: a counter must not go down
        for name, total in summed.items():
            if name.endswith("cpu_seconds"):
                value = total.samples[0].value + gone.ru_utime + gone.ru_stime
                total.samples[0] = total.samples[0]._replace(value=value)
        yield from summed.values()
