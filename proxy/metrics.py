"""Counters of the process, plain numbers that cost an addition; Prometheus collects them when it scrapes.

One prefix, base units, and never a key, a value or an address in a label.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

_PREFIX = "flask_cache_proxy_"

Snapshot: TypeAlias = dict[str, int | dict[str, int]]
"""The numbers by name, as they cross from one process to another."""

_OF_NOW: Final = frozenset({"workers", "clients"})
"""What goes up and down; the rest only up."""


@dataclass(slots=True, eq=False)
class Metrics:
    """What has happened since the start."""

    version: str
    workers: int = 1
    """Processes that serve now."""
    worker_restarts: int = 0
    """Workers that have ended and been replaced."""
    clients: int = 0
    """Connected now."""
    clients_total: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Connections turned away, by reason."""
    closed: Counter[str] = field(default_factory=Counter)
    """Connections closed for going beyond a limit, by its setting."""
    upstream_failures: int = 0
    """Dials that failed."""
    conversions: Counter[str] = field(default_factory=Counter)
    """Conversions done in the converter process, by half."""
    received_bytes: Counter[str] = field(default_factory=Counter)
    """By side: client, upstream."""

    def snapshot(self) -> Snapshot:
        """The numbers as they are now."""
        return {
            one.name: dict(value) if isinstance(value := getattr(self, one.name), Counter) else value
            for one in fields(self)
            if one.name != "version"
        }

    def add(self, other: Snapshot, *, gone: bool = False) -> None:
        """Add the numbers of another process; of one that is `gone`, only those that never go down."""
        for name, value in other.items():
            if isinstance(value, dict):
                getattr(self, name).update(value)
            elif not (gone and name in _OF_NOW):
                setattr(self, name, getattr(self, name) + value)

    def collect(self) -> Iterator[Metric]:
        """The metric families, for prometheus_client."""
        yield InfoMetricFamily(_PREFIX + "build", "Version of the proxy.", {"version": self.version})
        yield GaugeMetricFamily(_PREFIX + "workers", "Processes that serve clients.", self.workers)
        yield CounterMetricFamily(_PREFIX + "worker_restarts", "Workers replaced.", self.worker_restarts)
        yield GaugeMetricFamily(_PREFIX + "clients", "Clients connected.", self.clients)
        yield CounterMetricFamily(_PREFIX + "accepted_clients", "Clients accepted.", self.clients_total)
        yield CounterMetricFamily(
            _PREFIX + "upstream_connect_failures", "Connections to Redis that failed.", self.upstream_failures
        )
        yield _by("rejected_clients", "Clients turned away.", "reason", self.rejected)
        yield _by("closed_clients", "Clients closed for a limit in mid-conversation.", "limit", self.closed)
        yield _by("offloaded_conversions", "Conversions done in the converter process.", "half", self.conversions)
        yield _by("received_bytes", "Bytes received.", "side", self.received_bytes)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)


def _by(name: str, text: str, label: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(_PREFIX + name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
