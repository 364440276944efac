"""The services that a client's connection gets from its server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from proxy.downstream.end_of_turn import EndOfTurn
from proxy.observe.metrics import Histogram, Metrics
from proxy.observe.refusal_log import RefusalLog
from proxy.session import CommandInfo, Conversion, Converted, Opening, SlotMap, Tally
from proxy.session.runs import Runs
from proxy.upstream.link import Greeting, OwnLink, SharedOwner, SharedPlace


class ClusterServices(Protocol):
    """The services on a cluster."""

    end_of_turn: EndOfTurn

    async def slots(self) -> SlotMap:
        """The map of slots. Waits for the first one. Raises UpstreamError if no node tells it."""

    async def dial(self, link: OwnLink, node: str) -> None:
        """Connect a link to a node, `host:port` as the map has it. Raises UpstreamError."""

    def slots_are_old(self, connection: Any) -> None:
        """Fetch a new map, and give it to this connection: `new_slots` or `no_slots`."""

    def lane_opened(self, node: str) -> None:
        """Count a lane to this node."""

    def lane_closed(self, node: str) -> None:
        """The lane has ended."""

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Start a task with a name for the log."""


class PinServices(Protocol):
    """The services for clients that leave the connections which clients share."""

    def pinned(self, number: int, reason: str) -> None:
        """The client has a connection of its own from now on. `reason`: see `session.sharing`."""

    def unpinned(self, reason: str) -> None:
        """That connection has ended."""


class SharedServices(PinServices, Protocol):
    """The services where clients share connections to a plain Redis."""

    database: int
    """The database of `upstream.url`."""

    async def link(self, owner: SharedOwner, owed: Runs[Any], protocol: int = 2) -> SharedPlace:
        """A place on a trunk of this version of RESP. `owed`: the replies of its client. Raises UpstreamError."""


class NodeSharingServices(PinServices, Protocol):
    """The services where clients share connections to the nodes of a cluster."""

    async def greeting(self, node: str, protocol: int) -> Greeting:
        """The greeting of a node, or its refusal of this version of RESP. Raises UpstreamError."""

    async def link(self, owner: SharedOwner, owed: Runs[Any], node: str, protocol: int) -> SharedPlace:
        """A place on a trunk to a node. `owed`: the replies that the node owes on it. Raises UpstreamError."""


class Services(Protocol):
    """See the module."""

    metrics: Metrics
    tally: Tally
    refusals: RefusalLog
    round_trips: Histogram
    buffered_bytes: int
    allowance: int
    """Received bytes after which `sum_up` is called."""
    slow_seconds: float
    """Replies that take so many seconds are logged as slow. 0: no reply is."""

    def opening(self) -> tuple[Opening, ...]:
        """The requests that the proxy itself sends first on each link. Raises UpstreamError."""

    def wait_turn(self, work: Callable[[], None]) -> None:
        """Append work to the FIFO of large jobs."""

    def sum_up(self) -> None:
        """Sum up the memory of all buffers. Called when `allowance` bytes have been received since the last time."""

    async def dial(self, link: OwnLink) -> bool:
        """Connect a client's link. Returns True if Redis requires a password from the client. Raises UpstreamError."""

    async def convert(self, conversion: Conversion) -> Converted:
        """Convert a value in the converter process."""

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """Redis' COMMAND INFO about a command. None if Redis cannot be asked or does not know the command."""

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Start a task with a name for the log."""

    def opened(self, connection: Any) -> None:
        """The client is connected, its TLS handshake included."""

    def closed(self, connection: Any) -> None:
        """Both sides of the connection have ended."""
