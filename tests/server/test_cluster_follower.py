"""The map of slots, fetched from a scripted cluster: who gets it, when, and what the log tells."""

import asyncio
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.config import TcpAddress
from proxy.net.tasks import Tasks
from proxy.observe.families import (
    CLUSTER_DIALS,
    CLUSTER_LANES,
    CLUSTER_NODES,
    CLUSTER_REFRESHES,
    CLUSTER_SLOTS,
    UPSTREAMS,
)
from proxy.observe.metrics import Metrics
from proxy.server import cluster_follower
from proxy.server.cluster_follower import ClusterFollower
from proxy.session import NOBODY, SLOTS, SlotMap
from proxy.upstream.link import UpstreamError
from proxy.upstream.slot_ranges import Layout

A, B = TcpAddress("a", 1), TcpAddress("b", 1)


def layout(*masters: TcpAddress, known: int = SLOTS) -> Layout:
    owners = tuple(slot % len(masters) if slot < known else NOBODY for slot in range(SLOTS))
    return Layout(masters, owners, ())


class FakeUpstream:
    """Answers each discovery with the next of its answers, once it may."""

    def __init__(self) -> None:
        self.answers: list[Layout | str] = []
        self.asked = 0
        self.at_once = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.news = asyncio.Event()
        """A discovery has begun or ended."""
        self.avoided: list[TcpAddress] = []
        self.dialled: list[TcpAddress] = []
        self.unreachable = False
        self.cluster: Any = SimpleNamespace(layout=None, avoid=self.avoided.append)

    async def discover(self) -> bool:
        self.asked += 1
        self.at_once += 1
        assert self.at_once == 1
        answer = self.answers.pop(0)
        self.news.set()
        await self.may_answer.wait()
        self.at_once -= 1
        self.news.set()
        if isinstance(answer, str):
            raise UpstreamError(answer)
        is_new = answer != self.cluster.layout
        self.cluster.layout = answer
        return is_new

    async def connect(self, factory: Any, node: TcpAddress) -> Any:
        self.dialled.append(node)
        if self.unreachable:
            raise UpstreamError("unreachable")
        return factory()


class FakeConnection:
    """Notes the maps that it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[int, bool] | None] = []

    def new_slots(self, slots: SlotMap, *, asked: bool) -> None:
        self.got.append((slots.version, asked))

    def no_slots(self) -> None:
        self.got.append(None)


class Scene:
    """A follower with its upstream and connections."""

    def __init__(self) -> None:
        self.upstream = FakeUpstream()
        self.metrics = Metrics()
        self.connections: list[Any] = []
        self.tasks = Tasks()
        upstream: Any = self.upstream
        self.follower = ClusterFollower(upstream, self.metrics, lambda: self.connections, self.tasks.start, tells=True)

    def begin(self, *answers: Layout | str) -> None:
        self.upstream.answers += answers
        self.tasks.start(self.follower.run(), "follow")

    async def fetched(self, count: int) -> None:
        """Wait until so many discoveries have ended."""
        while self.upstream.asked < count or self.upstream.at_once:
            await self.begun()
        await asyncio.sleep(0)

    async def begun(self) -> None:
        """Wait until a discovery begins or ends."""
        await self.upstream.news.wait()
        self.upstream.news.clear()

    def connection(self) -> Any:
        made: Any = FakeConnection()
        self.connections.append(made)
        return made


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A scene in which fetches need no pause between them."""
    monkeypatch.setattr(cluster_follower, "_SHORTEST", 0)
    made = Scene()
    yield made
    await made.tasks.cancel()


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All lines from info on."""
    caplog.set_level(logging.INFO)
    yield caplog
    assert not caplog.messages


def told(log: pytest.LogCaptureFixture) -> list[str]:
    lines = log.messages[:]
    log.clear()
    return lines


async def test_the_first_map_is_waited_for(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    waiting = [asyncio.ensure_future(scene.follower.slots()) for _ in range(3)]
    await asyncio.sleep(0)
    scene.begin(layout(A, B))
    maps = await asyncio.gather(*waiting)
    assert {each.version for each in maps} == {1}
    assert maps[0].nodes == ("a:1", "b:1")
    assert (await scene.follower.slots()).version == 1
    assert told(log) == ["the cluster has 2 masters, 16384 of 16384 slots"]
    assert scene.metrics.get(CLUSTER_NODES, "master") == 2
    assert scene.metrics.get(CLUSTER_SLOTS) == SLOTS


async def test_a_failed_fetch_is_told_to_those_who_wait_and_repeated(
    scene: Scene, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_follower, "_AGAIN", 0)
    waiting = asyncio.ensure_future(scene.follower.slots())
    await asyncio.sleep(0)
    scene.begin("no node answers", "no node answers", layout(A))
    with pytest.raises(UpstreamError, match="no node answers"):
        await waiting
    await scene.fetched(3)
    assert told(log) == ["no node answers", "the cluster has 1 master, 16384 of 16384 slots"]
    assert scene.metrics.get(CLUSTER_REFRESHES, "failed") == 2


async def test_all_connections_get_a_new_map(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    one, other = scene.connection(), scene.connection()
    scene.begin(layout(A), layout(A, B))
    await scene.fetched(1)
    scene.follower.slots_are_old(one)
    await scene.fetched(2)
    assert one.got == [(1, False), (2, True)]
    assert other.got == [(1, False), (2, False)]
    assert told(log)[1] == "the cluster has changed to 2 masters, 16384 of 16384 slots, with b:1"


async def test_a_map_without_news_is_for_those_who_asked(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    scene.begin(layout(A), layout(A))
    await scene.fetched(1)
    one, other = scene.connection(), scene.connection()
    scene.follower.slots_are_old(one)
    await scene.fetched(2)
    assert (one.got, other.got) == ([(2, True)], [])
    assert scene.metrics.get(CLUSTER_REFRESHES, "same") == 1
    assert len(told(log)) == 1


async def test_a_fetch_that_had_begun_answers_nobody_who_asked_later(
    scene: Scene, log: pytest.LogCaptureFixture
) -> None:
    one = scene.connection()
    scene.upstream.may_answer.clear()
    scene.begin(layout(A), layout(A))
    await scene.begun()
    scene.follower.slots_are_old(one)
    scene.upstream.may_answer.set()
    await scene.fetched(2)
    assert one.got == [(1, False), (2, True)]
    assert len(told(log)) == 1


@pytest.mark.parametrize("first", [layout(A), "gone"])
async def test_who_asks_again_during_a_fetch_is_answered_by_the_next_one(scene: Scene, first: Layout | str) -> None:
    scene.begin(layout(A), first, layout(A))
    await scene.fetched(1)
    one = scene.connection()
    scene.upstream.may_answer.clear()
    scene.follower.slots_are_old(one)
    await scene.begun()
    scene.follower.slots_are_old(one)
    scene.upstream.may_answer.set()
    await scene.fetched(3)
    assert [each for each in one.got if each is None or each[1]] == one.got[-1:]
    assert one.got[-1][1]


async def test_those_who_asked_are_told_of_a_failure(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    scene.begin(layout(A), "gone", layout(A))
    await scene.fetched(1)
    one = scene.connection()
    scene.follower.slots_are_old(one)
    await scene.fetched(2)
    assert one.got == [None]
    scene.follower.slots_are_old(one)
    await scene.fetched(3)
    assert one.got == [None, (2, True)]
    assert told(log)[1:] == ["gone", "the cluster tells its slots again: 1 master, 16384 of 16384 slots"]


async def test_slots_that_only_move_are_no_line(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    moved = layout(A, B)._replace(owners=tuple((slot + 1) % 2 for slot in range(SLOTS)))
    scene.begin(layout(A, B), moved, layout(A, B, known=9), layout(B))
    for count in (1, 2, 3, 4):
        await scene.fetched(count)
        if count == 2:
            assert len(told(log)) == 1
        if count < 4:
            scene.follower.slots_are_old(scene.connection())
    assert told(log) == [
        "the cluster has changed to 2 masters, 9 of 16384 slots",
        "the cluster has changed to 1 master, 16384 of 16384 slots, without a:1",
    ]


async def test_a_node_that_cannot_be_dialed_is_avoided(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    scene.begin(layout(A), layout(A))
    await scene.fetched(1)
    link: Any = object()
    await scene.follower.dial(link, "a:1")
    scene.upstream.unreachable = True
    with pytest.raises(UpstreamError, match="unreachable"):
        await scene.follower.dial(link, "a:1")
    assert scene.upstream.avoided == [A]
    await scene.fetched(2)
    assert [scene.metrics.get(CLUSTER_DIALS, "a:1", result) for result in ("connected", "failed")] == [1, 1]
    told(log)


async def test_a_node_in_doubt_is_avoided_and_a_new_map_fetched(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    scene.begin(layout(A), layout(A, B))
    await scene.fetched(1)
    scene.follower.doubt("b:1")
    await scene.fetched(2)
    assert scene.upstream.avoided == [B]
    assert len(told(log)) == 2


async def test_the_nodes_are_the_masters_of_the_last_map(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    assert scene.follower.nodes == ()
    scene.begin(layout(A, B), "gone", layout(B))
    await scene.fetched(1)
    assert scene.follower.nodes == ("a:1", "b:1")
    scene.follower.doubt("a:1")
    await scene.fetched(2)
    assert scene.follower.nodes == ("a:1", "b:1")
    scene.follower.doubt("a:1")
    await scene.fetched(3)
    assert scene.follower.nodes == ("b:1",)
    assert len(told(log)) == 3


async def test_too_many_masters_are_a_failure(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    waiting = asyncio.ensure_future(scene.follower.slots())
    await asyncio.sleep(0)
    scene.begin(layout(*(TcpAddress("a", port) for port in range(1, 1100))))
    with pytest.raises(UpstreamError, match="at most 1023 masters"):
        await waiting
    told(log)


async def test_lanes_are_counted_by_node(scene: Scene) -> None:
    scene.follower.lane_opened("a:1")
    scene.follower.lane_opened("b:1")
    scene.follower.lane_closed("a:1")
    assert [scene.metrics.get(CLUSTER_LANES, node) for node in ("a:1", "b:1")] == [0, 1]
    assert scene.metrics.get(UPSTREAMS) == 1
