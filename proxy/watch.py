"""What no event tells: one look at every connection, again and again, instead of timers of their own.

A look sees who has hung up while nobody listened, whom Redis keeps waiting for too long, and who has never said a word.
All looks together see how much memory the buffers take; where that is too much, the client that holds most must go,
as Redis does with `maxmemory-clients`.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Collection
from typing import Final, NamedTuple, Protocol

from proxy.config import Limits
from proxy.metrics import Metrics

_log = logging.getLogger("proxy.watch")
_INTERVAL: Final = 1.0
"""Seconds between two looks at one connection, unless a deadline is shorter."""
_LOOKS_PER_DEADLINE: Final = 4
_AT_ONCE: Final = 250
"""Connections that are looked at in one turn of the loop: they take less than a millisecond."""
_SHARE: Final = 4
"""The memory is counted again once that part of the limit has come in."""


class Deadline(NamedTuple):
    """When time is up. In looks, not seconds: a proxy that was itself suspended has no right to complain."""

    looks: int
    setting: str
    text: str
    """For the client and the log."""


class Deadlines(NamedTuple):
    """None: there is no deadline."""

    reply: Deadline | None
    first_command: Deadline | None


class Watched(Protocol):
    """A connection, as it is seen from here."""

    number: int

    @property
    def memory(self) -> int:
        """Bytes that its buffers take, about."""

    @property
    def is_admitted(self) -> bool:
        """It has given the password, or needs none."""

    @property
    def pending(self) -> int:
        """Replies outstanding."""

    @property
    def paused(self) -> Collection[str]:
        """The sides that are not being read."""

    def look(self, deadlines: Deadlines) -> None:
        """Look at it; called every interval."""

    def evict(self, text: str) -> None:
        """Close it now, and tell the client why if that is no delay."""


class Watch:
    """Watches all connections of a process."""

    def __init__(self, connections: Collection[Watched], limits: Limits, metrics: Metrics) -> None:
        """`connections`: those that there are, whenever one looks. `limits` may be exchanged later."""
        self._connections = connections
        self._metrics = metrics
        self._lag = metrics.histogram("loop_lag_seconds")
        self._uncounted = 0
        self.limits = limits

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            interval = self._interval()
            due = loop.time() + interval
            await asyncio.sleep(interval)
            self._lag.observe(max(0.0, loop.time() - due))
            await self._look(self._deadlines(interval))

    async def _look(self, deadlines: Deadlines) -> None:
        memory: dict[Watched, int] = {}
        pending, paused = 0, Counter[str]()
        for at, connection in enumerate(tuple(self._connections), 1):
            connection.look(deadlines)
            memory[connection] = connection.memory
            pending += connection.pending
            paused.update(connection.paused)
            if at % _AT_ONCE == 0:
                await asyncio.sleep(0)
        self._metrics.pending, self._metrics.paused = pending, paused
        self._metrics.buffered_bytes = sum(memory.values())
        self._evict(memory)

    def _interval(self) -> float:
        timeouts = (self.limits.reply_timeout, self.limits.first_command_timeout)
        return min((_INTERVAL, *(timeout / _LOOKS_PER_DEADLINE for timeout in timeouts if timeout)))

    def _deadlines(self, interval: float) -> Deadlines:
        limits = self.limits
        return Deadlines(
            _deadline("reply_timeout", limits.reply_timeout, interval, "Redis has not answered for {:g} s"),
            _deadline("first_command_timeout", limits.first_command_timeout, interval, "no command came in {:g} s"),
        )

    def received(self, size: int) -> None:
        """So many bytes have come in, from whomever: memory grows by nothing else."""
        self._uncounted += size
        if self._uncounted * _SHARE > self.limits.total_buffered_bytes:
            self._evict({connection: connection.memory for connection in self._connections})

    def _evict(self, memory: dict[Watched, int]) -> None:
        """Close whoever holds most, until what is left is little enough; first of all those without the password."""
        self._uncounted = 0
        limit = self.limits.total_buffered_bytes
        total = sum(memory.values())
        order = sorted(memory, key=lambda each: (each.is_admitted, -memory[each])) if total > limit else ()
        for connection in order:
            if total <= limit:
                break
            total -= memory[connection]
            self._metrics.closed["total_buffered_bytes"] += 1
            _log.warning("[%d] closed, for it held the most: %d bytes", connection.number, memory[connection])
            connection.evict(
                f"closed, because the buffers of all clients are over the limit of {limit} bytes and yours were the"
                " largest ([limits] total_buffered_bytes)"
            )


def _deadline(setting: str, timeout: float, interval: float, text: str) -> Deadline | None:
    """No earlier than the timeout, and less than two intervals later."""
    if not timeout:
        return None
    return Deadline(1 + math.ceil(timeout / interval), setting, f"{text.format(timeout)} ([limits] {setting})")
