"""What a client's connection needs of the server that it belongs to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from proxy.metrics import Histogram, Metrics
from proxy.session import CommandInfo, Conversion, Converted, Opening, Tally
from proxy.upstream import UpstreamSide


class Host(Protocol):
    """See the module."""

    metrics: Metrics
    tally: Tally
    round_trips: Histogram
    buffered_bytes: int
    slow_seconds: float
    """From how long on Redis is slow to answer; 0: it never is."""

    def opening(self) -> tuple[Opening, ...]:
        """What begins each conversation. Raises UpstreamError."""

    def wait_turn(self, work: Callable[[], None]) -> None:
        """Do it in turn with the large pieces of others."""

    def received(self, size: int) -> None:
        """Bytes have come in."""

    async def dial(self, factory: Callable[[], UpstreamSide]) -> UpstreamSide:
        """Connect to Redis. Raises UpstreamError."""

    async def convert(self, conversion: Conversion) -> Converted:
        """Convert away from the loop."""

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """What Redis says of a command."""

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Run a task, and keep it until it ends."""

    def opened(self, connection: Any) -> None:
        """The client is there."""

    def closed(self, connection: Any) -> None:
        """The connection has ended, both sides of it."""
