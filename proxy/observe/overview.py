"""The content of the admin port's page as plain rows, from the settings, the metrics and the last refusals."""

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from proxy import __version__, engine
from proxy.config import Listener, Settings
from proxy.config.settings import mask_url
from proxy.observe.families import (
    ACCEPTED,
    CLIENTS,
    COMMANDS,
    HITS,
    MISSES,
    RECEIVED_BYTES,
    REFUSALS,
    RELOAD_SUCCESSFUL,
    SENT_BYTES,
    TRANSCODED,
    TRANSCODING_FAILURES,
    Family,
)
from proxy.observe.metrics import Snapshot
from proxy.observe.rates import Window
from proxy.observe.refusals import Refused

_TRAFFIC: Final[tuple[tuple[str, Family, tuple[str, ...]], ...]] = (
    ("clients accepted", ACCEPTED, ()),
    ("commands", COMMANDS, ()),
    ("refused commands", REFUSALS, ()),
    ("values encoded", TRANSCODED, ("encode",)),
    ("values decoded", TRANSCODED, ("decode",)),
    ("conversions that failed", TRANSCODING_FAILURES, ()),
    ("bytes from clients", RECEIVED_BYTES, ("client",)),
    ("bytes to clients", SENT_BYTES, ("client",)),
)
"""The lines of the table, with the family and the first labels that each sums up."""
_BY_RULE: Final = (TRANSCODED.name, TRANSCODING_FAILURES.name)
"""The families of conversions: their labels begin with direction, payload and rule."""


class ListenerRow(NamedTuple):
    """A listener and its clients."""

    number: int
    address: str
    form: str
    """The form of its payloads, as in `--listen`."""
    has_tls: bool
    clients: int


class TrafficRow(NamedTuple):
    """A kind of event."""

    name: str
    rate: float
    """A second, in the last minute."""
    total: float


class RuleRow(NamedTuple):
    """A rule and its use."""

    name: str
    keys: str
    treats_as: str
    reads_a_second: float
    hit_rate_now: float | None
    """In the last minute. None: nothing was read."""
    reads: float
    hit_rate: float | None
    writes: float
    failures: float


class RefusalRow(NamedTuple):
    """A refusal."""

    when: str
    client: str
    name: str
    command: str
    rule: str
    reason: str


class Overview(NamedTuple):
    """All that the page shows."""

    fault: str
    """Why the proxy is not ready. Empty if it is."""
    redis: str
    versions: str
    process: str
    minute: float
    """Seconds that "the last minute" has really had."""
    listeners: tuple[ListenerRow, ...]
    traffic: tuple[TrafficRow, ...]
    rules: tuple[RuleRow, ...]
    refusals: tuple[RefusalRow, ...]


class Facts(NamedTuple):
    """The source of an overview."""

    settings: Settings
    fault: str
    server: str
    """The name and version of Redis. Empty: not known."""
    numbers: Snapshot
    minute: Window
    start: Window
    refusals: tuple[Refused, ...]


def overview(facts: Facts) -> Overview:
    """The rows for these facts."""
    settings = facts.settings
    return Overview(
        fault=facts.fault,
        redis=f"Redis: {facts.server or 'version not known'}, at {mask_url(settings.upstream.url)}",
        versions=f"flask-cache-proxy {__version__}, {engine.CHOICE.name} engine, Python {platform.python_version()}",
        process=_process(facts),
        minute=facts.minute.seconds,
        listeners=tuple(_listeners(settings.listener, facts.numbers)),
        traffic=tuple(_traffic(facts)),
        rules=tuple(_rules(facts)),
        refusals=tuple(_refusals(facts.refusals)),
    )


def _process(facts: Facts) -> str:
    workers = facts.settings.server.workers
    text = f"up for {_duration(facts.start.seconds)}, {workers} worker{'s' if workers > 1 else ''}"
    is_reloaded = facts.numbers.get((RELOAD_SUCCESSFUL.name, ()), 1)
    return text if is_reloaded else f"{text}; the last reload was refused, and the log says why"


def _listeners(listeners: Iterable[Listener], numbers: Snapshot) -> Iterator[ListenerRow]:
    for number, each in enumerate(listeners, start=1):
        clients = int(numbers.get((CLIENTS.name, (str(number),)), 0))
        yield ListenerRow(number, each.bind, each.form, each.tls_cert is not None, clients)


def _traffic(facts: Facts) -> Iterator[TrafficRow]:
    for name, family, labels in _TRAFFIC:
        yield TrafficRow(name, facts.minute.rate(family, *labels), facts.start.total(family, *labels))


def _rules(facts: Facts) -> Iterator[RuleRow]:
    conversions = _conversions(facts.start.counts)
    for rule in facts.settings.rule:
        if rule.as_ == "untouched":  # nothing of such keys is counted by rule
            continue
        now, ever = _reads(facts.minute, rule.name), _reads(facts.start, rule.name)
        yield RuleRow(
            name=rule.name,
            keys=rule.keys,
            treats_as=rule.as_,
            reads_a_second=sum(now) / facts.minute.seconds if facts.minute.seconds > 0 else 0.0,
            hit_rate_now=_share(*now),
            reads=sum(ever),
            hit_rate=_share(*ever),
            writes=conversions[TRANSCODED.name, "encode", rule.name],
            failures=sum(conversions[TRANSCODING_FAILURES.name, way, rule.name] for way in ("encode", "decode")),
        )


def _reads(window: Window, rule: str) -> tuple[float, float]:
    """Hits and misses."""
    return window.counts.get((HITS.name, (rule,)), 0), window.counts.get((MISSES.name, (rule,)), 0)


def _conversions(counts: Snapshot) -> defaultdict[tuple[str, str, str], float]:
    """Conversions by family, direction and rule. All rules are added up in one pass, because there may be many."""
    summed: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for (family, labels), number in counts.items():
        if family in _BY_RULE:
            direction, _, rule, *_ = labels
            summed[family, direction, rule] += number
    return summed


def _refusals(rows: Iterable[Refused]) -> Iterator[RefusalRow]:
    for row in rows:
        when = datetime.fromtimestamp(row.when, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        yield RefusalRow(when, row.client, row.name, row.command, row.rule, row.explanation)


def _share(hits: float, misses: float) -> float | None:
    return hits / (hits + misses) if hits + misses else None


def _duration(seconds: float) -> str:
    """The two largest units, as in "3 h 12 min"."""
    whole = int(seconds)
    for unit, size, below, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {below}"
    return f"{whole} s"
