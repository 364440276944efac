"""Background tasks, referenced until they end. asyncio may garbage-collect a running task without a reference."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, cast

_log = logging.getLogger("proxy.tasks")


class Tasks:
    """A set of running tasks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Start a task and keep a reference until it ends. An exception is logged with `name`."""
        task = asyncio.get_running_loop().create_task(cast("Coroutine[Any, Any, None]", work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("%s failed", task.get_name(), exc_info=task.exception())

    async def cancel(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
