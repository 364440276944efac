"""The watchdog checks every connection about once a second, so that connections need no timers of their own.

A check notices three things that cause no event: a client has hung up while it was not read, Redis has not answered
in time, or a client has sent no command. All checks together sum up the memory of the buffers. If the sum exceeds its
limit, the client with the largest buffers is closed, like with Redis' `maxmemory-clients`.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final, NamedTuple, Protocol

from proxy.config import Limits
from proxy.observe.families import BUFFERED_BYTES, CLOSED, LOOP_LAG_SECONDS, PAUSED, PENDING
from proxy.observe.metrics import Metrics

_log = logging.getLogger("proxy.watch")
_INTERVAL: Final = 1.0
"""Seconds between two checks of one connection, unless a deadline is shorter."""
_CHECKS_PER_DEADLINE: Final = 4
_PER_ITERATION: Final = 250
"""Connections that are checked in one iteration of the loop. They take less than a millisecond."""
_SHARE: Final = 4
"""The memory is also summed up after a quarter of the limit has been received."""


class Deadline(NamedTuple):
    """A deadline in checks, not in seconds: time in which the proxy itself was suspended does not count."""

    checks: int
    setting: str
    text: str
    """The error for the client and the log."""


class Deadlines(NamedTuple):
    """The deadlines of the settings. None: no deadline."""

    reply: Deadline | None
    first_command: Deadline | None


class Checks:
    """The checks of one connection that found no progress."""

    __slots__ = ("_before_first", "_unanswered", "heard")

    def __init__(self) -> None:
        self._before_first = 0  # checks before the first command
        self._unanswered = 0  # checks without a byte from Redis while a reply was outstanding
        self.heard = False
        """Redis has sent bytes since the last check."""

    def overdue(self, deadlines: Deadlines, has_begun: bool, awaits_reply: bool) -> Deadline | None:
        """Count one check. Returns the deadline that has passed, if any.

        `has_begun`: the client has sent a command, or cannot do so yet. `awaits_reply`: a reply is outstanding, and
        only Redis delays it.
        """
        if not has_begun:
            self._before_first += 1
            if _is_over(deadlines.first_command, self._before_first):
                return deadlines.first_command
        if self.heard or not awaits_reply:
            self._unanswered, self.heard = 0, False
            return None
        self._unanswered += 1
        return deadlines.reply if _is_over(deadlines.reply, self._unanswered) else None


def _is_over(deadline: Deadline | None, checks: int) -> bool:
    return deadline is not None and checks >= deadline.checks


class Watched(Protocol):
    """The watchdog's view of a connection."""

    number: int

    @property
    def memory(self) -> int:
        """The approximate size of its buffers in bytes."""

    @property
    def is_admitted(self) -> bool:
        """True if the client has authenticated or needs no password."""

    @property
    def pending(self) -> int:
        """The number of outstanding replies."""

    @property
    def paused(self) -> Collection[str]:
        """The names of the sides that are not read: "client", "upstream"."""

    def check(self, deadlines: Deadlines) -> None:
        """Check it once. Called in every interval."""

    def evict(self, text: str) -> None:
        """Close it at once, with the error `text` if the client can get it without delay."""


class Watch:
    """Watches all connections of a process."""

    def __init__(self, connections: Collection[Watched], limits: Limits, metrics: Metrics) -> None:
        """`connections`: a live view of the open connections. A reload sets the attribute `limits`."""
        self._connections = connections
        self._metrics = metrics
        self._lag = metrics.histogram(LOOP_LAG_SECONDS)
        self._traffic = metrics.traffic
        self.limits = limits
        self.on_check: Callable[[Deadlines], None] = lambda _: None
        """Called in each interval, after the check of the connections."""

    async def run(self) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            interval = self._interval()
            due = loop.time() + interval
            await asyncio.sleep(interval)
            self._lag.observe(max(0.0, loop.time() - due))
            await self._check_all(self._deadlines(interval))

    async def _check_all(self, deadlines: Deadlines) -> None:
        memory: dict[Watched, int] = {}
        pending, paused = 0, Counter(client=0, upstream=0)
        for at, connection in enumerate(tuple(self._connections), 1):
            connection.check(deadlines)
            memory[connection] = connection.memory
            pending += connection.pending
            paused.update(connection.paused)
            if at % _PER_ITERATION == 0:
                await asyncio.sleep(0)
        self.on_check(deadlines)
        self._metrics.set(PENDING, pending)
        for side, count in paused.items():
            self._metrics.set(PAUSED, count, side)
        self._metrics.set(BUFFERED_BYTES, sum(memory.values()))
        self._evict(memory)

    def _interval(self) -> float:
        timeouts = (self.limits.reply_timeout, self.limits.first_command_timeout)
        return min((_INTERVAL, *(timeout / _CHECKS_PER_DEADLINE for timeout in timeouts if timeout)))

    def _deadlines(self, interval: float) -> Deadlines:
        limits = self.limits
        return Deadlines(
            _deadline("reply_timeout", limits.reply_timeout, interval, "Redis has not answered for {:g} s"),
            _deadline("first_command_timeout", limits.first_command_timeout, interval, "no command came in {:g} s"),
        )

    @property
    def allowance(self) -> int:
        """Bytes that may be received before the memory is summed up again. Buffers can grow only by them."""
        return self.limits.total_buffered_bytes // _SHARE

    def sum_up(self) -> None:
        """Sum up the memory of all buffers now, because many bytes have been received."""
        self._evict({connection: connection.memory for connection in self._connections})

    def _evict(self, memory: dict[Watched, int]) -> None:
        """If the sum exceeds the limit, close clients: first those without the password, then the largest ones."""
        self._traffic.unwatched = 0
        limit = self.limits.total_buffered_bytes
        total = sum(memory.values())
        order = sorted(memory, key=lambda each: (each.is_admitted, -memory[each])) if total > limit else ()
        for connection in order:
            if total <= limit:
                break
            total -= memory[connection]
            self._metrics.add(CLOSED, 1, "total_buffered_bytes")
            _log.warning("[%d] closed, because it held the most: %d bytes", connection.number, memory[connection])
            connection.evict(
                f"closed, because the buffers of all clients are over the limit of {limit} bytes and yours were the"
                " largest ([limits] total_buffered_bytes)"
            )


def _deadline(setting: str, timeout: float, interval: float, text: str) -> Deadline | None:
    """A deadline that passes after the timeout, by less than two intervals."""
    if not timeout:
        return None
    return Deadline(1 + math.ceil(timeout / interval), setting, f"{text.format(timeout)} ([limits] {setting})")
