"""The supervisor's handle of one worker: its process and its control channel."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, count
from typing import Final, Self

import msgspec

from proxy.config import Settings
from proxy.net.ipc import framed, next_document
from proxy.observe.metrics import Snapshot
from proxy.observe.refusals import Refused
from proxy.workers.messages import (
    Commit,
    Done,
    Failed,
    GetMetrics,
    MetricsAnswer,
    ModeChanged,
    Prepare,
    Ready,
    Start,
    Stop,
    ToSupervisor,
    ToWorker,
)

_DECODER: Final = msgspec.msgpack.Decoder(ToSupervisor)
_METRICS_TIMEOUT: Final = 1.0
"""Seconds to wait for a worker's snapshot. After that, its last one counts."""
_HEALTH_INTERVAL: Final = 1.0
"""Seconds between two health checks of a worker."""
_RELOAD_TIMEOUT: Final = 10.0
"""Seconds for each phase of a reload in a worker."""


class WorkerHandle:
    """One worker process, from its start to its end."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """See `start`."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._requests = count(1)
        self._waiting: dict[int, asyncio.Future[ToSupervisor]] = {}
        self._end_reason = ""
        self.is_ready = False
        self.metrics: Snapshot = {}
        """Its last snapshot."""
        self.refusals: tuple[Refused, ...] = ()
        """Its last refusals, the newest first."""

    @classmethod
    async def start(cls, start: Start) -> Self:
        """Start a worker process. Its own session keeps a terminal's signals away from it. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "proxy.workers.worker", str(theirs.fileno())),
                    pass_fds=(theirs.fileno(), start.slots, *chain.from_iterable(start.listening)),
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        child = cls(process, *await asyncio.open_unix_connection(sock=ours))
        child.send(start)
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ended(self, ready: Callable[[], None], record_mode: Callable[[bool], None]) -> str:
        """Handle its messages until it ends. Returns the end in words.

        `ready` is called when it accepts clients. `record_mode` is called with the content of each ModeChanged.
        """
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                self._received(_DECODER.decode(await next_document(self._reader)), ready, record_mode)
        self.is_ready = False
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the worker has ended"))
        code = await self._process.wait()
        self._writer.close()
        return self._end_reason or _end_text(code)

    def _received(self, message: ToSupervisor, ready: Callable[[], None], record_mode: Callable[[bool], None]) -> None:
        match message:
            case Ready():
                self.is_ready = True
                ready()
            case Failed(reason):
                self._end_reason = f"cannot start: {reason}"
            case MetricsAnswer(request, metrics, refusals):
                self.metrics, self.refusals = metrics, refusals
                self._answer(request, message)
            case Done(request):
                self._answer(request, message)
            case ModeChanged(in_cluster_mode):
                record_mode(in_cluster_mode)

    def _answer(self, request: int, message: ToSupervisor) -> None:
        future = self._waiting.get(request)
        if future is not None and not future.done():
            future.set_result(message)

    async def refresh_metrics(self) -> bool:
        """Ask for a snapshot. If no answer comes in time, `metrics` stays unchanged and the result is False."""
        with suppress(OSError):
            async with asyncio.timeout(_METRICS_TIMEOUT):
                await self._ask(GetMetrics)
                return True
        return False

    async def check_health(self, silence: float) -> None:
        """Refresh its snapshot every second, so that few numbers are lost when it dies. Kill it if it hangs.

        `silence`: seconds without an answer until it is killed; 0: never. Unanswered requests are counted instead of
        time, because a proxy that was suspended has not hung.
        """
        unanswered = 0
        while not silence or unanswered * (_HEALTH_INTERVAL + _METRICS_TIMEOUT) < silence:
            await asyncio.sleep(_HEALTH_INTERVAL)
            unanswered = 0 if await self.refresh_metrics() or not self.is_ready else unanswered + 1
        self._end_reason = f"did not answer for {silence:g} s and was killed"
        self.kill()

    async def prepare(self, settings: Settings) -> str:
        """Send Prepare. Returns the error; empty on success."""
        try:
            async with asyncio.timeout(_RELOAD_TIMEOUT):
                answer = await self._ask(Prepare, settings)
        except TimeoutError:
            return f"worker process {self.pid} does not answer"
        except OSError:
            return ""  # it has ended; its replacement starts with the current settings
        return answer.reason if isinstance(answer, Done) else ""

    async def commit(self) -> None:
        """Send Commit and wait for the answer."""
        with suppress(OSError):
            async with asyncio.timeout(_RELOAD_TIMEOUT):
                await self._ask(Commit)

    async def _ask(self, message: Callable[..., ToWorker], *content: Settings) -> ToSupervisor:
        """Send a request and wait for its answer. Raises OSError if the worker ends."""
        request = next(self._requests)
        future: asyncio.Future[ToSupervisor] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            self.send(message(request, *content))
            return await future
        finally:
            del self._waiting[request]

    def send(self, message: ToWorker) -> None:
        """Send a message. If the worker has ended, the message is dropped."""
        if not self._writer.is_closing():
            self._writer.write(framed(message))

    def stop(self, *, now: bool = False) -> None:
        """Send Stop. A worker that is still starting gets TERM instead of waiting for its start."""
        self.send(Stop(now))
        if not self.is_ready:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """Kill the process."""
        with suppress(ProcessLookupError):
            self._process.kill()


def _end_text(code: int) -> str:
    """The end of a process in words, to follow "worker 1"."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}" if code else "ended normally"
