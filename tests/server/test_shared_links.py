"""The shared links of a process: what its log and its metrics say of trunks and of pinned clients."""

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.downstream.watchdog import Deadline, Deadlines
from proxy.observe.families import (
    CLOSED,
    CLUSTER_DIALS,
    CLUSTER_LANES,
    PINNED_CLIENTS,
    TRUNKS,
    TRUNKS_LOST,
    UPSTREAM_CONNECTS,
    UPSTREAM_FAILURES,
    UPSTREAMS,
    Family,
)
from proxy.observe.metrics import Metrics
from proxy.server.shared_links import NodeSharedLinks, SharedLinks
from proxy.upstream.link import UpstreamError
from proxy.upstream.trunks import Counts
from tests.upstream.fakes import HELLO, NO_SETINFO, NodeNet, Owner, settled


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


# -- on a cluster ------------------------------------------------------------------------------------------

A, B = "a:1", "b:2"


class FakeFollower:
    """Knows the nodes."""

    def __init__(self) -> None:
        self.nodes: tuple[str, ...] = (A, B)
        self.doubted: list[str] = []

    def doubt(self, node: str) -> None:
        self.doubted.append(node)


class Cluster:
    """Links to the nodes of a fake cluster, their trunks and the metrics."""

    def __init__(self) -> None:
        self.net = NodeNet(size=2)
        self.follower = FakeFollower()
        self.metrics = Metrics()
        self.links = NodeSharedLinks(self.net.trunks, cast("Any", self.follower), self.metrics)

    async def owner(self, node: str, protocol: int = 2) -> Owner:
        owner = Owner()
        owner.link = cast("Any", await self.links.link(owner, owner.owed, node, protocol))
        return owner

    async def left(self, node: str, *still: str) -> None:
        """A node has left, with all of its clients."""
        self.follower.nodes = still
        self.links.check(Deadlines(None, None))
        assert node not in dict(self.net.trunks.by_node())
        await settled()

    def counted(self, family: Family, *labels: str) -> float:
        self.links.count()
        return self.metrics.get(family, *labels)

    def lanes(self) -> list[float]:
        return [self.counted(CLUSTER_LANES, node) for node in (A, B)]

    def dials(self, node: str) -> list[float]:
        """Those that connected, and those that failed."""
        return [self.counted(CLUSTER_DIALS, node, result) for result in ("connected", "failed")]


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()


async def test_trunks_to_nodes_are_summed_and_count_by_node(cluster: Cluster) -> None:
    cluster.metrics.add(UPSTREAMS, 5)  # other connections
    cluster.metrics.add(CLUSTER_LANES, 1, A)
    for node, protocol in ((A, 2), (B, 2), (B, 3)):
        await cluster.owner(node, protocol)
    for _ in range(2):  # counted once
        assert [cluster.counted(TRUNKS, protocol) for protocol in ("2", "3")] == [2, 1]
        assert cluster.counted(UPSTREAMS) == 8
        assert cluster.counted(UPSTREAM_CONNECTS) == 3
        assert cluster.lanes() == [2, 2]
        assert (cluster.dials(A), cluster.dials(B)) == ([1, 0], [2, 0])


async def test_a_trunk_that_ends_is_no_lane_any_more(cluster: Cluster) -> None:
    await cluster.owner(A)
    await cluster.owner(B)
    assert cluster.lanes() == [1, 1]
    cluster.net[A][0].lose()
    assert cluster.lanes() == [0, 1]
    assert cluster.counted(UPSTREAMS) == 1
    assert cluster.counted(TRUNKS_LOST) == 0


async def test_a_node_that_cannot_be_reached_is_doubted(cluster: Cluster) -> None:
    cluster.net.nodes.of[A].fault = "cannot reach Redis at a:1"
    with pytest.raises(UpstreamError, match="cannot reach Redis at a:1"):
        await cluster.owner(A)
    with pytest.raises(UpstreamError, match="cannot reach Redis at a:1"):
        await cluster.links.greeting(A, 2)
    await cluster.owner(B)
    assert cluster.follower.doubted == [A, A]
    assert (cluster.dials(A), cluster.dials(B)) == ([0, 2], [1, 0])
    assert (cluster.counted(UPSTREAM_CONNECTS), cluster.counted(UPSTREAM_FAILURES)) == (1, 2)


async def test_a_greeting_is_that_of_its_node(cluster: Cluster) -> None:
    cluster.net.nodes.of[B].answers[3] = NO_SETINFO * 2
    assert (await cluster.links.greeting(A, 3)).hello == HELLO[3]
    assert (await cluster.links.greeting(B, 3)).hello == NO_SETINFO
    assert cluster.follower.doubted == []


async def test_the_trunks_of_a_node_that_has_left_are_closed_when_nobody_uses_them(cluster: Cluster) -> None:
    a = await cluster.owner(A)
    assert cluster.lanes() == [1, 0]
    cluster.follower.nodes = (B,)
    cluster.links.check(Deadlines(None, None))
    assert not cluster.net[A][0].aborted
    a.link.leave()
    await cluster.left(A, B)
    assert cluster.net[A][0].lost
    assert cluster.lanes() == [0, 0]
    assert (cluster.counted(UPSTREAMS), cluster.counted(UPSTREAM_CONNECTS)) == (0, 1)


async def test_without_a_map_no_node_has_left(cluster: Cluster) -> None:
    (await cluster.owner(A)).link.leave()
    cluster.follower.nodes = ()
    cluster.links.check(Deadlines(None, None))
    assert not cluster.net[A][0].aborted


async def test_dials_of_a_node_that_leaves_between_two_counts_are_counted(cluster: Cluster) -> None:
    (await cluster.owner(A)).link.leave()
    await cluster.left(A, B)
    assert cluster.dials(A) == [1, 0]
    assert cluster.counted(UPSTREAM_CONNECTS) == 1


@pytest.mark.parametrize("is_counted", [True, False])
async def test_dials_of_a_node_that_comes_back_go_on(cluster: Cluster, is_counted: bool) -> None:
    for protocol in (2, 3):
        (await cluster.owner(A, protocol)).link.leave()
    assert cluster.dials(A) == [2, 0]
    await cluster.left(A, B)
    if is_counted:
        assert cluster.lanes() == [0, 0]
    await cluster.owner(A)
    assert cluster.dials(A) == [3, 0]
    assert cluster.lanes() == [1, 0]
    assert cluster.counted(UPSTREAM_CONNECTS) == 3


async def test_a_node_that_is_silent_loses_its_trunk(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    owner = await cluster.owner(A)
    owner.ask()
    await settled()
    for _ in range(3):
        cluster.links.check(Deadlines(Deadline(1, "reply_timeout", "Redis has not answered"), None))
    await settled()
    assert owner.lost == 1
    assert cluster.counted(TRUNKS_LOST) == 1
    assert len(caplog.messages) == 1


async def test_a_pin_on_a_cluster_is_counted(cluster: Cluster) -> None:
    cluster.links.pinned(1, "blocking")
    assert cluster.metrics.get(PINNED_CLIENTS, "blocking") == 1
    cluster.links.unpinned("blocking")
    assert cluster.metrics.get(PINNED_CLIENTS, "blocking") == 0
