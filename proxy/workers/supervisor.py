"""The supervisor: the parent process of several workers. It serves no clients itself.

It replaces a worker that ends: at once if the worker ran for 10 s, otherwise after a delay that doubles each time. It
kills a worker that hangs. It answers on the admin port for all workers.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from proxy.config import ConfigError, Settings
from proxy.net.listeners import Listeners
from proxy.net.tasks import Tasks
from proxy.observe import admin
from proxy.observe.families import WORKER_RESTARTS, WORKERS
from proxy.observe.metrics import Metrics, Snapshot, add_snapshot, lasting
from proxy.observe.refusals import Refused, merged
from proxy.server.client_slots import SharedClientSlots, shared_memory
from proxy.server.readiness import Readiness
from proxy.server.survey import Survey
from proxy.workers import reload, reload_metrics
from proxy.workers.messages import Start
from proxy.workers.worker_handle import WorkerHandle

_log = logging.getLogger("proxy.supervisor")
_STEADY: Final = 10.0
"""A worker that ran for so many seconds is replaced without delay."""
_SHORTEST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 10.0
_GRACE: Final = 2.0
"""Seconds that a worker gets after `drain_timeout`, and after a Stop(now)."""
_REAP: Final = 1.0
"""Seconds between two checks for ended orphans."""


class WorkerError(Exception):
    """The workers cannot be started. `str()` gives the reason."""


def next_delay(delay: float, served: float) -> float:
    """Seconds to wait before a worker is replaced. `delay`: the wait before this worker. `served`: its run time."""
    if served >= _STEADY:
        return 0.0
    return min(max(2 * delay, _SHORTEST_DELAY), _LONGEST_DELAY)


def _without_reason(how: str) -> str:
    """The end of a worker for the admin port: the reason of a failed start may hold the path of a key."""
    what, separator, _ = how.partition(":")
    return f"{what} (the log says why)" if separator else how


def _reap(ours: Collection[int]) -> None:
    """Reap ended processes, except `ours`: the event loop reaps those itself."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in ours:
                return  # the event loop will reap it; the next check sees the processes behind it
            os.waitpid(ended.si_pid, 0)


class Supervisor:
    """Starts workers, replaces them and sends them messages."""

    def __init__(self, settings: Settings, listeners: Listeners, reread: Callable[[], Settings]) -> None:
        """`reread` reads the settings for a reload and may raise ConfigError."""
        self._settings = settings
        self._listeners = listeners
        self._listening = tuple(tuple(each.fileno() for each in place.sockets) for place in listeners.clients)
        self._reread = reread
        self._count = settings.server.workers
        self._memory = shared_memory(self._count)
        self._slots = SharedClientSlots.of(self._memory)
        self._children: dict[int, WorkerHandle] = {}
        self._metrics = Metrics()
        """The supervisor's own numbers."""
        reload_metrics.loaded(self._metrics, settings)
        self._ended: Snapshot = {}
        """The counters of workers that have ended."""
        self._ended_refusals: tuple[Refused, ...] = ()
        """The last refusals of workers that have ended."""
        self._last_failure = ""
        self._were_ready: set[int] = set()
        self._startup_over = asyncio.Event()
        """All workers have been ready, one could not start, or a stop was requested."""
        self._failure: WorkerError | None = None
        self._settings_lock = asyncio.Lock()
        """Held while the settings change and while a worker starts: so each worker starts with the current ones."""
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._tasks = Tasks()
        self._readiness = Readiness(lambda: self._settings)
        addresses = [place.address for place in listeners.clients]
        self._survey = Survey(self._tasks.start, settings.listener, addresses)

    # -- life ------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Run the workers until `stop`. `started` is called when all workers accept clients. Raises WorkerError."""
        port = await admin.serve(self, self._readiness, self._listeners.admin)
        keepers = [
            self._tasks.start(self._keep_running(number), f"keep worker {number}") for number in range(self._count)
        ]
        if os.getpid() == 1:
            self._tasks.start(self._reap_orphans(), "reap orphans")
        try:
            await self._startup_over.wait()
            if not self._stop.is_set():
                self._survey.begin(self._settings)
                started()
                self._tasks.start(self._readiness.look(), "look at Redis' mode")
            await self._stop.wait()
            if self._failure is None:
                await self._drain(keepers)
        finally:
            self._stop.set()
            for child in self._children.values():
                child.kill()
            await asyncio.gather(*keepers)
            await self._tasks.cancel()
            await port.close()
            os.close(self._memory)
        if self._failure is not None:
            raise self._failure
        _log.info("stopped")

    def stop(self) -> None:
        """First call: drain, then end. Second call: end at once."""
        if self._stop.is_set():
            self._stop_now.set()
        self.drain()

    def drain(self) -> None:
        """See `admin.Subject`."""
        self._stop.set()
        self._startup_over.set()

    async def _drain(self, keepers: "Sequence[asyncio.Task[None]]") -> None:
        """Stop listening. Let the workers drain until the deadline or a second signal, then stop them at once."""
        timeout = self._settings.server.drain_timeout
        _log.info("stopping: %d clients have %g s to finish", self._slots.total, timeout)
        self._listeners.close_clients()
        self._send_stop()
        ends = asyncio.ensure_future(asyncio.wait(keepers))
        now = asyncio.ensure_future(self._stop_now.wait())
        await asyncio.wait((ends, now), timeout=timeout + _GRACE, return_when=asyncio.FIRST_COMPLETED)
        now.cancel()
        if not ends.done():
            self._send_stop(now=True)
            await asyncio.wait((ends,), timeout=_GRACE)
        ends.cancel()

    def _send_stop(self, *, now: bool = False) -> None:
        for child in self._children.values():
            child.stop(now=now)

    async def _reap_orphans(self) -> None:
        """As process 1 of a container, reap the processes that a killed worker leaves: its converter."""
        while True:
            await asyncio.sleep(_REAP)
            async with self._settings_lock:  # no worker is starting, so `_children` is complete
                _reap({child.pid for child in self._children.values()})

    # -- workers ---------------------------------------------------------------------------------------

    async def _keep_running(self, number: int) -> None:
        """Run a worker under this number, and replace it whenever it ends, until the stop."""
        delay = 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            how = f"worker {number + 1} {await self._run(number)}"
            if self._stop.is_set():
                return
            if number not in self._were_ready:
                self._failure = WorkerError(how)
                self.drain()
                return
            delay = next_delay(delay, time.monotonic() - began)
            _log.warning("%s; another is started in %g s", how, delay)
            self._last_failure = _without_reason(how)
            self._metrics.add(WORKER_RESTARTS, 1)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)

    async def _run(self, number: int) -> str:
        """Start one worker and wait for its end. Returns the end in words, as in "was killed by SIGKILL"."""
        async with self._settings_lock:
            if self._stop.is_set():
                return ""
            try:
                child = await WorkerHandle.start(Start(number, self._settings, self._listening, self._memory))
            except OSError as error:
                return f"cannot be started: {os.strerror(error.errno or 0)}"
            self._children[number] = child
        if self._stop.is_set():  # the stop came while this worker was starting
            child.stop()
        timeout = self._settings.server.worker_timeout
        checking = self._tasks.start(child.check_health(timeout), f"check worker {number}")
        try:
            return await child.ended(lambda: self._ready(number), self._readiness.record_mode)
        finally:
            checking.cancel()
            del self._children[number]
            self._slots.vacate(number)
            add_snapshot(self._ended, lasting(child.metrics))
            self._ended_refusals = merged((self._ended_refusals, child.refusals))

    def _ready(self, number: int) -> None:
        self._were_ready.add(number)
        if self.is_started():
            self._startup_over.set()

    # -- reload ----------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the configuration and apply it in all workers. If one of them refuses it, nothing changes."""
        self._tasks.start(self._reload(), "reload")

    async def _reload(self) -> None:
        async with self._settings_lock:
            try:
                read = self._reread()
            except ConfigError as error:
                self._refuse_reload(reload.invalid(error))
                return
            settings = reload.merged(self._settings, read)
            children = tuple(self._children.values())
            reasons = await asyncio.gather(*(child.prepare(settings) for child in children))
            if any(reasons):
                self._refuse_reload(next(filter(None, reasons)))
                return
            await asyncio.gather(*(child.commit() for child in children))
            reload_metrics.loaded(self._metrics, settings)
            reload.report(self._settings, read)
            self._settings = settings
            if self.is_started():
                self._survey.begin(settings)

    def _refuse_reload(self, reason: str) -> None:
        reload_metrics.refused(self._metrics)
        reload.refuse(reason)

    # -- the admin port's subject ----------------------------------------------------------------------

    def is_started(self) -> bool:
        """See `admin.Subject`. True once every worker has been ready."""
        return len(self._were_ready) == self._count

    def why_not_ready(self) -> str:
        """See `admin.Subject`."""
        if self._stop.is_set():
            return "draining"
        if not self.is_started():
            return f"starting: {len(self._were_ready)} of {self._count} workers have been ready"
        return "" if self._ready_children() else f"no worker is ready: {self._last_failure}"

    def _ready_children(self) -> int:
        return sum(child.is_ready for child in self._children.values())

    @property
    def settings(self) -> Settings:
        """See `admin.Subject`."""
        return self._settings

    async def numbers(self) -> Snapshot:
        """See `admin.Subject`. The sum of all workers, with the counters of ended ones."""
        await asyncio.gather(*(child.refresh_metrics() for child in self._children.values()))
        total = self._metrics.snapshot()
        for snapshot in (self._ended, *(child.metrics for child in self._children.values())):
            add_snapshot(total, snapshot)
        total[WORKERS.name, ()] = self._ready_children()
        return total

    def last_refusals(self) -> tuple[Refused, ...]:
        """See `admin.Subject`. Those of all workers, of ended ones too."""
        return merged((self._ended_refusals, *(child.refusals for child in self._children.values())))
