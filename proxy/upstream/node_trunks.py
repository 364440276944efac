"""The trunks to the nodes of a cluster: for each node its own, made when a client first needs the node."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from proxy.config import TcpAddress
from proxy.session import Opening
from proxy.session.runs import Runs
from proxy.upstream.link import Greeting, SharedOwner, UpstreamError
from proxy.upstream.shared_link import SharedLink
from proxy.upstream.slot_ranges import address_of
from proxy.upstream.trunks import PROTOCOLS, Counts, Side, Trunks


class Nodes(Protocol):
    """The way to the nodes: `proxy.upstream.dialer.Upstream`."""

    @property
    def timeout(self) -> float:
        """Seconds for a dial."""

    async def connect(self, factory: Callable[[], Side], node: TcpAddress) -> Side:
        """Dial a node by the address that it announces. Raises UpstreamError."""

    def opening(self) -> tuple[Opening, ...]:
        """The requests that open each connection. Raises UpstreamError."""


class _Node:
    """One node, as its trunks dial it."""

    def __init__(self, nodes: Nodes, node: str) -> None:
        self._nodes = nodes
        self._address = address_of(node)
        self.place: object = node
        self.opening = nodes.opening

    @property
    def timeout(self) -> float:
        """See Dialer."""
        return self._nodes.timeout

    async def connect(self, factory: Callable[[], Side]) -> Side:
        """See Dialer."""
        return await self._nodes.connect(factory, self._address)

    def hung_up(self) -> UpstreamError:
        """See Dialer."""
        return UpstreamError(f"Redis at {self.place} closed the connection before it answered")


class NodeTrunks:
    """See the module. It has the operations of `Trunks`, for all nodes together."""

    def __init__(self, nodes: Nodes, size: int, buffered_bytes: int) -> None:
        """`size`: trunks for each node and protocol. `buffered_bytes`: see Trunks."""
        self._nodes = nodes
        self._size = size
        self._buffered_bytes = buffered_bytes
        self._of: dict[str, Trunks] = {}
        self._counts: dict[str, Counts] = {}  # of each node, also of those that have left and may come back
        self._is_over = False

    # -- links -----------------------------------------------------------------------------------------

    async def greeting(self, node: str, protocol: int = 2) -> Greeting:
        """The greeting of a node, or its refusal of the protocol. Raises UpstreamError."""
        return await self._to(node).greeting(protocol)

    async def link(self, owner: SharedOwner, owed: Runs[Any], node: str, protocol: int) -> SharedLink:
        """A link on the trunks to a node. Raises UpstreamError, also if the node refuses the protocol."""
        link = await self._to(node).link(owner, owed, protocol)
        if link.protocol != protocol:
            link.leave()
            raise UpstreamError(f"{node} refuses RESP{protocol}, which another node speaks")
        return link

    def _to(self, node: str) -> Trunks:
        if self._is_over:
            raise UpstreamError("the proxy ends")
        if node not in self._of:
            counts = self._counts.setdefault(node, Counts())
            self._of[node] = Trunks(_Node(self._nodes, node), self._size, self._buffered_bytes, counts)
        return self._of[node]

    # -- nodes -----------------------------------------------------------------------------------------

    def forget(self, nodes: Collection[str]) -> None:
        """Close the trunks to nodes that are not among these and that no client uses."""
        for node in [node for node in self._of if node not in nodes and self._of[node].is_unused]:
            self._of.pop(node).drop("the node has left the cluster")

    def by_node(self) -> Iterator[tuple[str, Trunks]]:
        """The trunks to each node."""
        yield from self._of.items()

    def counts_by_node(self) -> Iterator[tuple[str, Counts]]:
        """Counters of each node since the start, also of those that have left."""
        yield from self._counts.items()

    # -- all of them -----------------------------------------------------------------------------------

    @property
    def counts(self) -> Counts:
        """Counters, since the start."""
        return sum(self._counts.values(), Counts())

    def keep(self, buffered_bytes: int) -> None:
        """See Trunks."""
        self._buffered_bytes = buffered_bytes
        for trunks in self._of.values():
            trunks.keep(buffered_bytes)

    def open(self) -> dict[int, int]:
        """See Trunks."""
        each = [trunks.open() for trunks in self._of.values()]
        return {protocol: sum(open_[protocol] for open_ in each) for protocol in PROTOCOLS}

    def check(self, most: int) -> None:
        """See Trunks."""
        for trunks in tuple(self._of.values()):
            trunks.check(most)

    def drop(self) -> None:
        """See Trunks."""
        for trunks in tuple(self._of.values()):
            trunks.drop()

    async def end(self) -> None:
        """See Trunks."""
        self._is_over = True
        for trunks in tuple(self._of.values()):
            await trunks.end()
