"""A cluster of three nodes, scripted: its map of slots, keys of each node, the services of a connection, and places."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from proxy.downstream.end_of_turn import EndOfTurn
from proxy.downstream.shared_cluster_connection import SharedClusterConnection
from proxy.resp.encode import command
from proxy.session import SlotMap, key_slot
from proxy.session.runs import Runs
from proxy.upstream.link import Greeting, OwnLink, SharedOwner, UpstreamError
from tests.downstream.fakes import GREETINGS, FakeClient, FakePlace, FakeRedis, FakeServer, settled
from tests.session.playbook import policy

A, B, C = NODES = ("10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000")
SLOTS = SlotMap(NODES, tuple(min(slot * 3 // 16384, 2) for slot in range(16384)))
OK = b"+OK\r\n"
NULL = b"$-1\r\n"
MULTI = command(b"MULTI")
NO_RESP3 = b"-NOPROTO unsupported protocol version\r\n"


def key_of(node: str) -> bytes:
    return next(key for key in (b"k%d" % number for number in range(100)) if SLOTS.owner(key_slot(key)) == node)


def get(node: str) -> bytes:
    return command(b"GET", key_of(node))


class FakeCluster:
    """The services on a cluster."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self.end_of_turn = EndOfTurn()
        self.map: SlotMap | None = SLOTS
        self.nodes: dict[str, FakeRedis] = {}
        """By node: the transport of the last link to it."""
        self.dials: list[str] = []
        self.unreachable: set[str] = set()
        self.held: dict[str, asyncio.Future[None]] = {}
        """By node: dials of it wait for this."""
        self.asking: list[object] = []
        self.open = 0

    async def slots(self) -> SlotMap:
        if self.map is None:
            raise UpstreamError("no node tells its slots")
        return self.map

    async def dial(self, link: OwnLink, node: str) -> None:
        self.dials.append(node)
        if node in self.held:
            await self.held[node]
        if node in self.unreachable:
            raise UpstreamError(f"cannot reach Redis at {node}: refused")
        self.nodes[node] = FakeRedis(link)
        link.connection_made(self.nodes[node])  # type: ignore[arg-type]

    def slots_are_old(self, connection: object) -> None:
        self.asking.append(connection)

    def lane_opened(self, node: str) -> None:
        self.open += 1

    def lane_closed(self, node: str) -> None:
        self.open -= 1

    def start(self, work: Awaitable[None], name: str) -> "asyncio.Task[None]":
        return self._server.start(work, name)


class Place(FakePlace):
    """A place on a trunk to a node. It stays until the replies that are outstanding have come: `lose`."""

    finished = False

    def finish(self) -> bool:
        self.finished = True
        return True

    def lose(self) -> None:
        """The trunk ends."""
        self.close()

    def evict(self, text: str) -> None:
        self.close()
        self._owner.evict(text)


class FakeNodeSharing:
    """The services where clients share connections to the nodes."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Place]] = []
        self.greeted: list[tuple[str, int]] = []
        self.held: dict[str, asyncio.Future[None]] = {}
        """By node: its places and greetings wait for this."""
        self.unreachable: set[str] = set()
        self.refuses: set[str] = set()
        """Nodes without RESP3."""
        self.pins: list[str] = []
        self.pinned_in_all = 0

    async def _reached(self, node: str) -> None:
        if node in self.held:
            await self.held[node]
        if node in self.unreachable:
            raise UpstreamError(f"cannot reach Redis at {node}: refused")

    async def greeting(self, node: str, protocol: int) -> Greeting:
        self.greeted.append((node, protocol))
        await self._reached(node)
        return Greeting(NO_RESP3 if protocol == 3 and node in self.refuses else GREETINGS[protocol], False)

    async def link(self, owner: SharedOwner, owed: Runs[Any], node: str, protocol: int) -> FakePlace:
        assert owed.size > 0  # a lane is dialed for a request
        await self._reached(node)
        place = Place(owner, protocol)
        self.all.append((node, place))
        return place

    def pinned(self, number: int, reason: str) -> None:
        assert number == 1
        self.pins.append(reason)
        self.pinned_in_all += 1

    def unpinned(self, reason: str) -> None:
        self.pins.remove(reason)


class SharedNet:
    """A connection between a fake client and fake places. Its home is the second node."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.cluster = FakeCluster(self.server)
        self.sharing = FakeNodeSharing()
        self.client = FakeClient()
        self.connection = SharedClusterConnection(
            self.server, 0, policy(), None, 1, self.cluster, "proxy:1", self.sharing
        )

    async def opened(self) -> "SharedNet":
        self.connection.connection_made(self.client)  # type: ignore[arg-type]
        await settled()
        return self

    async def pinned(self, node: str = A) -> "SharedNet":
        """It has an own link to a node, in a transaction that is open."""
        await self.opened()
        await self.send(MULTI + get(node))
        self.own(node).says(OK + b"+QUEUED\r\n")
        assert self.client.sent == OK + b"+QUEUED\r\n"
        self.client.sent = b""
        return self

    def places(self, node: str) -> list[Place]:
        return [place for its, place in self.sharing.all if its == node]

    def __getitem__(self, node: str) -> Place:
        """The last place on the trunks to a node."""
        return self.places(node)[-1]

    def own(self, node: str) -> FakeRedis:
        """The transport of the last own link to a node."""
        return self.cluster.nodes[node]

    def hold(self, node: str) -> "asyncio.Future[None]":
        """Let all that is asked of a node wait."""
        self.sharing.held[node] = asyncio.get_running_loop().create_future()
        self.cluster.held[node] = self.sharing.held[node]
        return self.sharing.held[node]

    async def release(self, node: str) -> None:
        self.sharing.held.pop(node).set_result(None)
        self.cluster.held.pop(node)
        await settled()

    async def send(self, data: bytes) -> None:
        self.connection.data_received(data)
        await settled()

    async def hang_up(self) -> None:
        self.connection.connection_lost(None)
        await settled()

    @property
    def is_forgotten(self) -> bool:
        """The server knows it no longer, and has been told once. All of it is closed."""
        assert len(self.server.closed_) <= 1
        if not self.server.closed_:
            return False
        assert self.sharing.pins == []
        assert self.cluster.open == 0
        assert all(place.is_closing for _, place in self.sharing.all)
        return True

    async def end(self) -> None:
        """The client leaves, and the nodes have answered."""
        await self.hang_up()
        for _, place in self.sharing.all:
            place.lose()
        for redis in self.cluster.nodes.values():
            if not redis.lost:
                redis.lose()
        await settled()
        assert self.is_forgotten
