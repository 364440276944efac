"""A cluster of three nodes, scripted: its map of slots, keys of each node, and the services of a connection."""

import asyncio
from collections.abc import Awaitable

from proxy.downstream.end_of_turn import EndOfTurn
from proxy.resp.encode import command
from proxy.session import SlotMap, key_slot
from proxy.upstream.link import OwnLink, UpstreamError
from tests.downstream.fakes import FakeRedis, FakeServer

A, B, C = NODES = ("10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000")
SLOTS = SlotMap(NODES, tuple(min(slot * 3 // 16384, 2) for slot in range(16384)))
OK = b"+OK\r\n"


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
