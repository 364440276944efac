"""The parent of several workers: it serves no client, but sees to it that its workers do, and speaks for all of them.

A worker that ends is replaced: at once if it had served for long, else after a while that doubles each time. One that
hangs is ended.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from proxy import __version__, admin, reload
from proxy.child import Child
from proxy.config import ConfigError, Settings
from proxy.control import Start
from proxy.listeners import Listeners
from proxy.metrics import Metrics, processes
from proxy.reach import Reach
from proxy.seats import SharedSeats, shared_memory
from proxy.tasks import Tasks

_log = logging.getLogger("proxy.supervisor")
_STEADY: Final = 10.0
"""Seconds after which a worker counts as one that works."""
_SHORTEST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 10.0
_GRACE: Final = 2.0
"""Seconds that a worker has beyond `drain_timeout`, or once it is to end now."""
_REAP: Final = 1.0
"""Seconds between two looks for orphans."""


class WorkerError(Exception):
    """The workers cannot be started. `str()` says why."""


def next_delay(delay: float, served: float) -> float:
    """Seconds to wait before a worker is replaced; `delay`: before it itself, `served`: how long it ran."""
    if served >= _STEADY:
        return 0.0
    return min(max(2 * delay, _SHORTEST_DELAY), _LONGEST_DELAY)


def _reap(ours: Collection[int]) -> None:
    """Take note of the end of processes that we have not started."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in ours:
                return  # the event loop is about to; what may stand behind it has time
            os.waitpid(ended.si_pid, 0)


class Supervisor:
    """Starts workers, replaces them, and tells all what one is to do."""

    def __init__(self, settings: Settings, listeners: Listeners, reread: Callable[[], Settings]) -> None:
        """`reread` reads the settings anew, for HUP; it may raise ConfigError."""
        self._settings = settings
        self._listeners = listeners
        self._listening = tuple(tuple(each.fileno() for each in place.sockets) for place in listeners.clients)
        self._reread = reread
        self._count = settings.server.workers
        self._memory = shared_memory(self._count)
        self._seats = SharedSeats.of(self._memory)
        self._children: dict[int, Child] = {}
        self._gone = Metrics(__version__)
        """The numbers of workers that have ended."""
        self._last_end = ""
        self._have_been_ready: set[int] = set()
        self._start_over = asyncio.Event()
        """All have been ready, or it has failed, or it has been told to stop."""
        self._failure: WorkerError | None = None
        self._settling = asyncio.Lock()
        """Held while the settings change, and while a worker is started with them."""
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._tasks = Tasks()

    # -- life ------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Have clients served until told to stop. `started` is called once all workers do. Raises WorkerError."""
        ports = await admin.serve(self, Reach(lambda: self._settings).fault, self._listeners.admin)
        keepers = [self._tasks.start(self._keep(number), f"keep worker {number}") for number in range(self._count)]
        if os.getpid() == 1:
            self._tasks.start(self._reap_orphans(), "reap orphans")
        try:
            await self._start_over.wait()
            if not self._stop.is_set():
                started()
            await self._stop.wait()
            if self._failure is None:
                await self._drain(keepers)
        finally:
            self._stop.set()
            for child in self._children.values():
                child.kill()
            await asyncio.gather(*keepers)
            await self._tasks.cancel()
            for port in ports:
                port.close()
            os.close(self._memory)
        if self._failure is not None:
            raise self._failure
        _log.info("stopped")

    def stop(self) -> None:
        """Drain, then end. The second time: end now."""
        if self._stop.is_set():
            self._now.set()
        self.drain()

    def drain(self) -> None:
        """Drain, then end."""
        self._stop.set()
        self._start_over.set()

    async def _drain(self, keepers: "Sequence[asyncio.Task[None]]") -> None:
        """Stop listening; let the workers drain, until their deadline or a second signal."""
        timeout = self._settings.server.drain_timeout
        _log.info("stopping: %d clients have %g s to finish", self._seats.total, timeout)
        self._listeners.close_clients()
        self._tell_to_stop()
        ends = asyncio.ensure_future(asyncio.wait(keepers))
        now = asyncio.ensure_future(self._now.wait())
        await asyncio.wait((ends, now), timeout=timeout + _GRACE, return_when=asyncio.FIRST_COMPLETED)
        now.cancel()
        if not ends.done():
            self._tell_to_stop(now=True)
            await asyncio.wait((ends,), timeout=_GRACE)
        ends.cancel()

    def _tell_to_stop(self, *, now: bool = False) -> None:
        for child in self._children.values():
            child.stop(now=now)

    async def _reap_orphans(self) -> None:
        """A container's first process inherits what a killed worker leaves behind: its converter, which has ended."""
        while True:
            await asyncio.sleep(_REAP)
            async with self._settling:  # all processes that are ours to wait for are known
                _reap({child.pid for child in self._children.values()})

    # -- workers ---------------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Run one worker after the other."""
        delay = 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            how = f"worker {number + 1} {await self._run(number)}"
            if self._stop.is_set():
                return
            if number not in self._have_been_ready:
                self._failure = WorkerError(how)
                self.drain()
                return
            delay = next_delay(delay, time.monotonic() - began)
            _log.warning("%s; another is started in %g s", how, delay)
            self._last_end = how
            self._gone.worker_restarts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)

    async def _run(self, number: int) -> str:
        """One worker, from its start to its end; how that was, in words."""
        async with self._settling:
            if self._stop.is_set():
                return ""
            try:
                child = await Child.start(Start(number, self._settings, self._listening, self._memory))
            except OSError as error:
                return f"cannot be started: {os.strerror(error.errno or 0)}"
            self._children[number] = child
        if self._stop.is_set():  # the others were told when this one was not there yet
            child.stop()
        patience = self._settings.server.worker_timeout
        pulse = self._tasks.start(child.feel_pulse(patience), f"feel the pulse of worker {number}")
        try:
            return await child.ended(lambda: self._ready(number))
        finally:
            pulse.cancel()
            del self._children[number]
            self._seats.vacate(number)
            self._gone.add(child.metrics, gone=True)

    def _ready(self, number: int) -> None:
        self._have_been_ready.add(number)
        if self.is_started():
            self._start_over.set()

    # -- reload ----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration anew, for all workers or none."""
        self._tasks.start(self._reload(), "reload")

    async def _reload(self) -> None:
        async with self._settling:
            try:
                read = self._reread()
            except ConfigError as error:
                reload.refuse(reload.invalid(error))
                return
            settings = reload.merged(self._settings, read)
            children = tuple(self._children.values())
            reasons = await asyncio.gather(*(child.prepare(settings) for child in children))
            if any(reasons):
                reload.refuse(next(filter(None, reasons)))
                return
            await asyncio.gather(*(child.commit() for child in children))
            reload.report(self._settings, read)
            self._settings = settings

    # -- what the admin port is asked ------------------------------------------------------------------

    def is_started(self) -> bool:
        """Whether all workers have been ready."""
        return len(self._have_been_ready) == self._count

    def why_not_ready(self) -> str:
        """Why no client should be sent here."""
        if self._stop.is_set():
            return "draining"
        if not self.is_started():
            return f"starting: {len(self._have_been_ready)} of {self._count} workers have been ready"
        return "" if self._ready_children() else f"no worker is ready: {self._last_end}"

    def _ready_children(self) -> int:
        return sum(child.is_ready for child in self._children.values())

    async def exposition(self) -> bytes:
        """The metrics of all workers together, those that have ended included."""
        await asyncio.gather(*(child.refresh_metrics() for child in self._children.values()))
        total = Metrics(__version__)
        total.add(self._gone.snapshot())
        for child in self._children.values():
            total.add(child.metrics)
        total.workers = self._ready_children()
        return total.exposition(processes())
