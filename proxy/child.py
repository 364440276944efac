"""A worker as its supervisor sees it: a process and a control channel."""

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
from proxy.control import AskMetrics, Commit, Done, Failed, Numbers, Prepare, Ready, Start, Stop, ToSupervisor, ToWorker
from proxy.frames import framed, next_document
from proxy.metrics import Snapshot

_DECODER: Final = msgspec.msgpack.Decoder(ToSupervisor)
_METRICS_TIMEOUT: Final = 1.0
"""Seconds that a worker may take to say its numbers, before those that it said last are taken."""
_PULSE: Final = 1.0
"""Seconds between an answer, or the lack of one, and the next question."""
_RELOAD_TIMEOUT: Final = 10.0
"""Seconds that a worker may take to look at new settings, and to take them."""


class Child:
    """One worker, from its start to its end."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """See `start`."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._requests = count(1)
        self._waiting: dict[int, asyncio.Future[ToSupervisor]] = {}
        self._why_ended = ""
        self.is_ready = False
        self.metrics: Snapshot = {}
        """What it last said."""

    @classmethod
    async def start(cls, start: Start) -> Self:
        """Start a process, in a session of its own: what a terminal sends is ours to hear. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "proxy.worker", str(theirs.fileno())),
                    pass_fds=(theirs.fileno(), start.seats, *chain.from_iterable(start.listening)),
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        child = cls(process, *await asyncio.open_unix_connection(sock=ours))
        child.say(start)
        return child

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def ended(self, ready: Callable[[], None]) -> str:
        """Listen to it until it ends; how that was, in words. `ready` is called once it accepts clients."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                self._hear(_DECODER.decode(await next_document(self._reader)), ready)
        self.is_ready = False
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("it has ended"))
        code = await self._process.wait()
        self._writer.close()
        return self._why_ended or _how(code)

    def _hear(self, message: ToSupervisor, ready: Callable[[], None]) -> None:
        match message:
            case Ready():
                self.is_ready = True
                ready()
            case Failed(reason):
                self._why_ended = f"cannot start: {reason}"
            case Numbers(request, metrics):
                self.metrics = metrics
                self._answer(request, message)
            case Done(request):
                self._answer(request, message)

    def _answer(self, request: int, message: ToSupervisor) -> None:
        future = self._waiting.get(request)
        if future is not None and not future.done():
            future.set_result(message)

    async def refresh_metrics(self) -> bool:
        """Ask for its numbers. Where it does not answer (False), `metrics` stays as it was."""
        with suppress(OSError):
            async with asyncio.timeout(_METRICS_TIMEOUT):
                await self._ask(AskMetrics)
                return True
        return False

    async def feel_pulse(self, patience: float) -> None:
        """Ask for its numbers again and again, so that hardly any are lost with it; kill it if it hangs.

        `patience`: seconds without an answer (0: any number of them). Questions are counted, not time: where the whole
        proxy was suspended, nobody has hung.
        """
        silent = 0
        while not patience or silent * (_PULSE + _METRICS_TIMEOUT) < patience:
            await asyncio.sleep(_PULSE)
            silent = 0 if await self.refresh_metrics() or not self.is_ready else silent + 1
        self._why_ended = f"has not answered for {patience:g} s and was killed"
        self.kill()

    async def prepare(self, settings: Settings) -> str:
        """Have it look at settings; why it cannot take them, empty if it can."""
        try:
            async with asyncio.timeout(_RELOAD_TIMEOUT):
                answer = await self._ask(Prepare, settings)
        except TimeoutError:
            return f"worker process {self.pid} does not answer"
        except OSError:
            return ""  # it has ended: the next one starts with the settings that hold then
        return answer.reason if isinstance(answer, Done) else ""

    async def commit(self) -> None:
        """Have it take the settings that it has prepared."""
        with suppress(OSError):
            async with asyncio.timeout(_RELOAD_TIMEOUT):
                await self._ask(Commit)

    async def _ask(self, message: Callable[..., ToWorker], *content: Settings) -> ToSupervisor:
        """The answer. Raises OSError if it ends."""
        request = next(self._requests)
        future: asyncio.Future[ToSupervisor] = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        try:
            self.say(message(request, *content))
            return await future
        finally:
            del self._waiting[request]

    def say(self, message: ToWorker) -> None:
        """Send it a message; it may have ended."""
        if not self._writer.is_closing():
            self._writer.write(framed(message))

    def stop(self, *, now: bool = False) -> None:
        """Have it drain and end, or (`now`) end without waiting for anybody. One that is still starting just ends."""
        self.say(Stop(now))
        if not self.is_ready:
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """End it at once, whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()


def _how(code: int) -> str:
    """How a process ended, for "worker 1 ..."."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}" if code else "has ended as it was told to"
