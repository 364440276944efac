"""A Redis Cluster as the place of an upstream: the nodes to ask, and the layout that the last answer told.

Discovery is CLUSTER SLOTS and CLUSTER NODES, on a connection that is opened like a client's. The first node that
answers is believed. If it tells nothing new, another node is asked next, because one that is cut off may tell old news.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from proxy.config import ClusterTarget, TcpAddress
from proxy.resp.answers import MAX_SLOTS_BYTES, MAX_SLOTS_ELEMENTS
from proxy.resp.encode import command
from proxy.upstream.link import UpstreamError
from proxy.upstream.query import Query
from proxy.upstream.slot_ranges import Layout, SlotsError, read_nodes, read_slots

_QUESTIONS: Final = (command(b"CLUSTER", b"SLOTS"), command(b"CLUSTER", b"NODES"))
_SHORTEST: Final = 0.5
"""Seconds that each node gets at least, if there are many."""

Connect = Callable[[Callable[[], Query], TcpAddress], Awaitable[Query]]
"""Dials a node by the address that it announces, and logs in there. Raises UpstreamError, OSError."""


class Cluster:
    """See the module."""

    def __init__(self, target: ClusterTarget, translations: Mapping[TcpAddress, TcpAddress], timeout: float) -> None:
        """`translations`: announced address -> address to dial. `timeout`: seconds for all nodes of a discovery."""
        self._seeds = target.seeds
        self._translations = translations
        self._timeout = timeout
        self._asked_next: list[TcpAddress] = list(target.seeds)
        """The nodes that are known, in the order in which they are asked."""
        self._query: Query | None = None
        self._query_at: TcpAddress | None = None
        self.layout: Layout | None = None
        """The last answer."""

    def __str__(self) -> str:
        """The seeds, for messages."""
        return f"the cluster {', '.join(map(str, self._seeds))}"

    def dialled(self, announced: TcpAddress) -> TcpAddress:
        """The address to dial for a node."""
        return self._translations.get(announced, announced)

    async def locate(self) -> TcpAddress:
        """The address to dial of the node that is asked first."""
        return self.dialled(self._asked_next[0])

    def avoid(self, announced: TcpAddress) -> None:
        """A node could not be reached. The others are asked before it."""
        if announced in self._asked_next:
            self._asked_next.remove(announced)
            self._asked_next.append(announced)

    async def discover(self, connect: Connect) -> bool:
        """Ask the nodes, one after the other, until one tells the layout. True if it is a new one.

        Raises UpstreamError with the reason of each node that was asked.
        """
        reasons: list[str] = []
        each = max(self._timeout / len(self._asked_next), _SHORTEST)
        for node in tuple(self._asked_next):
            try:
                async with asyncio.timeout(each):
                    layout = await self._ask(node, connect)
            except TimeoutError:
                reasons.append(f"{node} has not answered in {each:g} s")
            except (UpstreamError, SlotsError, OSError) as error:
                reasons.append(f"{node}: {error}")
            else:
                return self._take(node, layout)
            self._hang_up()
            self.avoid(node)
        raise UpstreamError(f"no node of {self} tells its slots: {'; '.join(reasons)}")

    async def _ask(self, node: TcpAddress, connect: Connect) -> Layout:
        if self._query is None or self._query.lost or self._query_at != node:
            self._hang_up()
            factory = partial(Query, "replace", MAX_SLOTS_BYTES, MAX_SLOTS_ELEMENTS)
            self._query, self._query_at = await connect(factory, node), node
        slots, nodes = await self._query.ask_all(_QUESTIONS)
        return read_slots(slots, node)._replace(others=read_nodes(nodes, node))

    def _take(self, node: TcpAddress, layout: Layout) -> bool:
        is_new = layout != self.layout
        others = dict.fromkeys((*layout.masters, *layout.replicas, *self._seeds))
        others.pop(node, None)
        self._asked_next = [node, *others] if is_new else [*others, node]
        self.layout = layout
        return is_new

    def _hang_up(self) -> None:
        if self._query is not None:
            self._query.close()
            self._query = None

    def close(self) -> None:
        """Close the connection for the questions."""
        self._hang_up()
