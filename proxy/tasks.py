"""Tasks that are kept: one that nobody holds may vanish in mid-flight, and its exception with it."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, cast

_log = logging.getLogger("proxy.tasks")


class Tasks:
    """Some tasks, each until it ends."""

    def __init__(self) -> None:
        """None yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Run a task, keep it until it ends, and log what it should not have raised."""
        task = asyncio.get_running_loop().create_task(cast("Coroutine[Any, Any, None]", work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("%s failed", task.get_name(), exc_info=task.exception())

    async def cancel(self) -> None:
        """End all of them."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
