"""The shared links of a process: what its log and its metrics say of trunks and of pinned clients."""

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.downstream.watchdog import Deadline, Deadlines
from proxy.observe.families import (
    CLOSED,
    PINNED_CLIENTS,
    TRUNKS,
    TRUNKS_LOST,
    UPSTREAM_CONNECTS,
    UPSTREAM_FAILURES,
    UPSTREAMS,
)
from proxy.observe.metrics import Metrics
from proxy.server.shared_links import SharedLinks
from proxy.upstream.trunks import Counts


class FakeTrunks:
    """Trunks that only count."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.now = {2: 0, 3: 0}
        self.checks: list[int] = []

    def open(self) -> dict[int, int]:
        return self.now

    def check(self, most: int) -> None:
        self.checks.append(most)


@pytest.fixture
def parts() -> SimpleNamespace:
    """Links, their trunks and the metrics."""
    trunks, metrics = FakeTrunks(), Metrics()
    return SimpleNamespace(trunks=trunks, metrics=metrics, links=SharedLinks(cast("Any", trunks), 0, metrics))


def test_a_reason_is_said_once_and_its_clients_are_counted_as_long_as_they_stay(
    parts: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number, reason in ((1, "blocking"), (2, "blocking"), (3, "transaction")):
        parts.links.pinned(number, reason)
    assert [message.partition(". ")[0] for message in caplog.messages] == [
        "[1] has a connection of its own to Redis from now on, because of its commands: blocking",
        "[3] has a connection of its own to Redis from now on, because of its commands: transaction",
    ]
    assert parts.metrics.get(PINNED_CLIENTS, "blocking") == 2
    parts.links.unpinned("blocking")
    assert parts.metrics.get(PINNED_CLIENTS, "blocking") == 1


def test_trunks_are_connections_to_redis_like_others(parts: SimpleNamespace) -> None:
    parts.metrics.add(UPSTREAMS, 5)
    parts.trunks.now = {2: 2, 3: 1}
    parts.trunks.counts.dials, parts.trunks.counts.failures = 4, 1
    for _ in range(2):  # counted once
        parts.links.count()
        assert parts.metrics.get(UPSTREAMS) == 8
        assert parts.metrics.get(UPSTREAM_CONNECTS) == 3
        assert parts.metrics.get(UPSTREAM_FAILURES) == 1
        assert [parts.metrics.get(TRUNKS, protocol) for protocol in ("2", "3")] == [2, 1]
    parts.trunks.now = {2: 1, 3: 0}
    parts.links.count()
    assert parts.metrics.get(UPSTREAMS) == 6


def test_lost_trunks_and_clients_that_do_not_read_are_counted(parts: SimpleNamespace) -> None:
    parts.trunks.counts.deaths, parts.trunks.counts.evictions = 2, 3
    parts.links.count()
    assert parts.metrics.get(TRUNKS_LOST) == 2
    assert parts.metrics.get(CLOSED, "connections") == 3


@pytest.mark.parametrize(("reply", "most"), [(None, 0), (Deadline(3, "reply_timeout", "Redis has not answered"), 6)])
def test_a_trunk_has_twice_the_time_of_the_client_at_its_head(
    parts: SimpleNamespace, reply: Deadline | None, most: int
) -> None:
    parts.links.check(Deadlines(reply, None))
    assert parts.trunks.checks == [most]
