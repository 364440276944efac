"""Jobs of a session: conversions and lookups, which are tasks, and steps that wait for a turn of the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from proxy.downstream.services import Services
from proxy.observe.families import CONVERSIONS
from proxy.session import Conversion, Effects, Session


class JobOwner(Protocol):
    """The connection whose jobs these are."""

    number: int

    def apply(self, effects: Effects) -> None:
        """Carry out the effects of a finished job."""

    def abort(self) -> None:
        """A job has raised an exception. Close, because its reply would never come."""


class Jobs:
    """See the module. After `cancel`, jobs have no effect."""

    __slots__ = ("_owner", "_services", "_session", "_tasks", "_turn_due")

    def __init__(self, services: Services, session: Session, owner: JobOwner) -> None:
        self._services = services
        self._session = session
        self._owner: JobOwner | None = owner
        self._tasks: list[asyncio.Task[None]] = []
        self._turn_due = False  # the session waits for a turn

    @property
    def are_running(self) -> bool:
        """True while a conversion or a lookup runs."""
        return bool(self._tasks)

    def begin(self, effects: Effects) -> None:
        """Start the jobs that the effects request."""
        for conversion in effects.conversions:
            self._services.metrics.add(CONVERSIONS, 1, conversion.half.name.lower())
            self._start(self._convert(conversion), "convert")
        for name in effects.lookups:
            self._start(self._look_up(name), "look up")
        if effects.wants_turn and not self._turn_due:
            self._turn_due = True
            self.wait_turn(self._take_turn)

    def wait_turn(self, step: Callable[[], None]) -> None:
        """Run a step in the FIFO of large work (`server.work_queue`)."""
        self._services.wait_turn(partial(self._run, step))

    def cancel(self) -> None:
        """Cancel all jobs."""
        self._owner = None
        for task in self._tasks:
            task.cancel()

    def abort_if_failed(self, task: asyncio.Task[None]) -> None:
        """The callback of each task's end: abort the connection if the task has raised an exception."""
        if not task.cancelled() and task.exception() is not None and self._owner is not None:
            self._owner.abort()

    def _start(self, work: Awaitable[None], what: str) -> None:
        number = 0 if self._owner is None else self._owner.number
        task = self._services.start(work, f"{what} {number}")
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)
        task.add_done_callback(self.abort_if_failed)

    def _run(self, step: Callable[[], None]) -> None:
        owner = self._owner
        if owner is None:
            return
        try:
            step()
        except BaseException:
            owner.abort()
            raise

    def _take_turn(self) -> None:
        self._turn_due = False
        self._apply(self._session.take_turn)

    async def _convert(self, conversion: Conversion) -> None:
        result = await self._services.convert(conversion)
        self._apply(partial(self._session.converted, conversion.half, result))

    async def _look_up(self, name: bytes) -> None:
        info = await self._services.command_info(name)
        self._apply(partial(self._session.looked_up, info))

    def _apply(self, event: Callable[[], Effects]) -> None:
        if self._owner is not None:
            self._owner.apply(event())
