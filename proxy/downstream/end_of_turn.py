"""Writes at the end of a turn of the event loop: once all events that it has found are handled.

A write wakes the process at the other end. Written at once, each small piece would wake it, and it would often take the
processor from the proxy. The nodes of a cluster sleep more often than one Redis. So the pieces of a turn wait for its
end: one connection's are joined, and a node wakes once.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class EndOfTurn:
    """The writes of one event loop. They wait for no further event, so each turn bounds their number."""

    def __init__(self) -> None:
        """None."""
        self._due: deque[Callable[[], None]] = deque()

    def add(self, write: Callable[[], None]) -> None:
        """Call this at the end of the turn."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._run)
        self._due.append(write)

    def _run(self) -> None:
        due = self._due
        try:
            while due:
                due.popleft()()
        finally:
            if due:  # one has failed
                asyncio.get_running_loop().call_soon(self._run)
