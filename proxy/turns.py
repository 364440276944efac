"""Large pieces of work wait in one line, from which each turn of the event loop takes for a millisecond.

What is small never waits in it. So a client's small command is held up by a millisecond and one piece, however many
clients are busy with large values; and these get on as fast as before, one after the other.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_QUANTUM: Final = 0.001
"""Seconds of a turn after which no further piece is begun."""


class Turns:
    """The line of one event loop."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._line: deque[Callable[[], None]] = deque()
        self._due = False

    def wait(self, work: Callable[[], None]) -> None:
        """Do it when its turn has come, not before the next turn of the loop."""
        self._line.append(work)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = time.monotonic() + _QUANTUM
        try:
            while self._line:
                self._line.popleft()()
                if time.monotonic() >= end:
                    break
        finally:
            self._due = bool(self._line)
            if self._due:
                asyncio.get_running_loop().call_soon(self._run)
