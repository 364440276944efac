"""Shared connections, scripted: owners, the transports of trunks, and a dialer of them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from proxy.config import TcpAddress
from proxy.resp.encode import command
from proxy.session import Opening
from proxy.session.runs import Runs
from proxy.upstream.link import READS_SLOWLY, UpstreamError
from proxy.upstream.node_trunks import NodeTrunks
from proxy.upstream.shared_link import SharedLink
from proxy.upstream.trunks import Trunks

HELLO = {2: b"*2\r\n+proto\r\n:2\r\n", 3: b"%1\r\n+proto\r\n:3\r\n"}
OK = b"+OK\r\n"
NO_SETINFO = b"-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n"
GET = command(b"GET", b"a")


class FakeTransport:
    """Redis' side of a trunk."""

    def __init__(self, trunk: Any) -> None:
        self.trunk = trunk
        self.sent: list[bytes] = []
        """One item for each write."""
        self.reads = True
        self.aborted = False
        self.lost = False

    def write(self, data: bytes) -> None:
        assert not self.aborted
        self.sent.append(data)

    def set_write_buffer_limits(self, *, high: int, low: int) -> None:
        assert high > low

    def get_extra_info(self, _name: str) -> None:
        return None

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            asyncio.get_running_loop().call_soon(self.lose)

    def says(self, data: bytes) -> None:
        """Bytes of Redis."""
        self.trunk.data_received(data)

    def lose(self, error: Exception | None = None) -> None:
        """The connection is closed."""
        if not self.lost:
            self.aborted = self.lost = True
            self.trunk.connection_lost(error)

    @property
    def requests(self) -> list[bytes]:
        """The writes since the opening."""
        return self.sent[1:]


class FakeDialer:
    """Dials fake transports. It is a Redis that answers the opening as `answers` say."""

    place = "redis:6379"
    timeout = 20.0

    def __init__(self) -> None:
        self.transports: list[FakeTransport] = []
        self.openings: tuple[Opening, ...] = ()
        self.answers = {protocol: hello + NO_SETINFO for protocol, hello in HELLO.items()}
        """By protocol."""
        self.fault = ""
        """Dials fail for this reason."""
        self.held: asyncio.Event | None = None
        """Dials wait for it."""

    def hung_up(self) -> UpstreamError:
        return UpstreamError("Redis hangs up")

    def opening(self) -> tuple[Opening, ...]:
        return self.openings

    async def connect(self, factory: Callable[[], Any]) -> Any:
        if self.held is not None:
            await self.held.wait()
        if self.fault:
            raise UpstreamError(self.fault)
        trunk = factory()
        transport = FakeTransport(trunk)
        self.transports.append(transport)
        trunk.connection_made(transport)
        asyncio.get_running_loop().call_soon(self._answer, transport)
        return trunk

    def _answer(self, transport: FakeTransport) -> None:
        if transport.sent and not transport.aborted:
            protocol = 3 if b"HELLO\r\n$1\r\n3\r\n" in transport.sent[0] else 2
            transport.says(self.answers[protocol])


class Owner:
    """The connection of a client."""

    number = 7

    def __init__(self) -> None:
        self.owed: Runs[object] = Runs()
        self.got = b""
        self.parts: list[bytes] = []
        self.full: list[bool] = []
        self.lost = 0
        self.gone = asyncio.Event()
        self.evicted: list[str] = []
        self.is_unread = True
        self.link: SharedLink
        self.on_part: Callable[[], None] = lambda: None
        """Called with each part."""

    def link_made(self) -> None:
        raise AssertionError

    def link_received(self, data: bytes) -> None:
        assert not self.lost
        self.got += data
        self.parts.append(data)
        self.on_part()

    def link_full(self, full: bool) -> None:
        self.full.append(full)

    def place_lost(self) -> None:
        self.lost += 1
        self.gone.set()

    @property
    def lateness(self) -> str:
        return READS_SLOWLY

    def evict(self, text: str) -> None:
        self.evicted.append(text)
        self.link.abort()

    def ask(self, *requests: bytes) -> None:
        """Send requests, in one write."""
        self.owed.append(None, len(requests) or 1)
        self.link.write(b"".join(requests) or GET)


class Net:
    """Owners on shared connections to a fake Redis."""

    def __init__(self, size: int = 1, buffered_bytes: int = 1) -> None:
        self.dialer = FakeDialer()
        self.trunks = Trunks(self.dialer, size, buffered_bytes)

    async def owner(self, protocol: int = 2) -> Owner:
        owner = Owner()
        owner.link = await self.trunks.link(owner, owner.owed, protocol)
        return owner

    async def owners(self, count: int) -> list[Owner]:
        return [await self.owner() for _ in range(count)]

    def __getitem__(self, number: int) -> FakeTransport:
        return self.dialer.transports[number]


class FakeNodes:
    """Dials the nodes of a cluster, each by a dialer of its own."""

    timeout = 20.0

    def __init__(self) -> None:
        self.of: defaultdict[str, FakeDialer] = defaultdict(FakeDialer)
        """By node, `host:port`."""
        self.openings: tuple[Opening, ...] = ()

    def opening(self) -> tuple[Opening, ...]:
        return self.openings

    async def connect(self, factory: Callable[[], Any], node: TcpAddress) -> Any:
        return await self.of[f"{node.host}:{node.port}"].connect(factory)


class NodeNet:
    """Owners on shared connections to the nodes of a fake cluster."""

    def __init__(self, size: int = 1, buffered_bytes: int = 1) -> None:
        self.nodes = FakeNodes()
        self.trunks = NodeTrunks(self.nodes, size, buffered_bytes)

    async def owner(self, node: str, protocol: int = 2) -> Owner:
        owner = Owner()
        owner.link = await self.trunks.link(owner, owner.owed, node, protocol)
        return owner

    def __getitem__(self, node: str) -> list[FakeTransport]:
        """The transports of a node, in the order of their dials."""
        return self.nodes.of[node].transports


async def settled() -> None:
    """Let everything happen that follows."""
    for _ in range(20):
        await asyncio.sleep(0)
