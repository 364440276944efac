"""Large jobs share one FIFO. Each iteration of the event loop runs jobs from it for at most 1 ms, and one job more.

Small work never waits in it. So a small command is delayed by about 1 ms and one job, whatever the number of clients
with large values. The large jobs take as long as before, one after the other.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_QUANTUM: Final = 0.001
"""Seconds after which an iteration starts no further job."""


class WorkQueue:
    """The jobs of one event loop."""

    def __init__(self) -> None:
        """Empty."""
        self._jobs: deque[Callable[[], None]] = deque()
        self._due = False

    def wait(self, work: Callable[[], None]) -> None:
        """Append a job. It runs in the next iteration of the loop or later."""
        self._jobs.append(work)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = time.monotonic() + _QUANTUM
        try:
            while self._jobs:
                self._jobs.popleft()()
                if time.monotonic() >= end:
                    break
        finally:
            self._due = bool(self._jobs)
            if self._due:
                asyncio.get_running_loop().call_soon(self._run)
