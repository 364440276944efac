"""A worker process. It serves clients on sockets that the supervisor has bound, and obeys the supervisor's messages.

The supervisor starts it as `python -m proxy.workers.worker FD`. FD is the worker's end of the control channel.
It ignores INT and HUP: the supervisor handles those. TERM means drain, even if repeated, because systemd sends TERM
to every process of a service.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Final

import msgspec

from proxy.config import Settings
from proxy.config.passwords import PasswordError
from proxy.net.event_loop import run_loop
from proxy.net.ipc import framed, next_document
from proxy.net.tls import TlsError
from proxy.observe import logs
from proxy.server.client_slots import SharedClientSlots
from proxy.server.server import Server
from proxy.workers import reload
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

_log = logging.getLogger("proxy.worker")
_DECODER: Final = msgspec.msgpack.Decoder(ToWorker)


class Worker:
    """A server and its end of the control channel."""

    def __init__(
        self,
        start: Start,
        listening: Sequence[Sequence[socket.socket]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """`listening`: the sockets of each listener. Raises TlsError, PasswordError."""
        slots = SharedClientSlots.of(start.slots).of_worker(start.number)
        os.close(start.slots)
        self._server = Server(start.settings, listening, slots)
        self._server.tally.on_mode = lambda in_cluster_mode: self._send(ModeChanged(in_cluster_mode))
        self._number = start.number
        self._reader = reader
        self._writer = writer
        self._prepared: tuple[Settings, Callable[[], None]] | None = None

    async def run(self) -> None:
        """Serve until the supervisor sends Stop or ends."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._server.drain)
        self._server.start(self._handle_messages(), "handle messages")
        await self._server.run(lambda: self._send(Ready()))
        # The loop's end restores the default action of TERM. A late one must not look like a crash.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        self._send(self._metrics_answer(0))

    async def _handle_messages(self) -> None:
        try:
            while True:
                self._handle(_DECODER.decode(await next_document(self._reader)))
        except (asyncio.IncompleteReadError, OSError):
            _log.error("the supervisor has ended: stopping")
        finally:
            self._server.drain()

    def _handle(self, message: ToWorker) -> None:
        match message:
            case GetMetrics(request):
                self._send(self._metrics_answer(request))
            case Prepare(request, settings):
                self._send(Done(request, self._prepare(settings)))
            case Commit(request):
                self._commit()
                self._send(Done(request))
            case Stop(now):
                (self._server.end_now if now else self._server.drain)()

    def _prepare(self, settings: Settings) -> str:
        """Returns the error; empty if the settings are ready to be used."""
        self._prepared = None
        try:
            self._prepared = settings, self._server.prepare(settings)
        except (TlsError, PasswordError) as error:
            return reload.invalid(error)
        return ""

    def _commit(self) -> None:
        if self._prepared is not None:
            settings, take = self._prepared
            self._prepared = None
            take()
            _configure_log(settings, self._number)

    def _metrics_answer(self, request: int) -> MetricsAnswer:
        return MetricsAnswer(request, self._server.numbers(), self._server.refusals.last.snapshot())

    def _send(self, message: ToSupervisor) -> None:
        self._writer.write(framed(message))


def _inherited(descriptor: int) -> socket.socket:
    inherited = socket.socket(fileno=descriptor)
    inherited.set_inheritable(False)  # so the converter process does not inherit it
    return inherited


def _configure_log(settings: Settings, number: int) -> None:
    logs.configure(settings.log.level, settings.log.format, number + 1)


async def _work(channel: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    try:
        start = _DECODER.decode(await next_document(reader))
    except (asyncio.IncompleteReadError, OSError):
        return  # the supervisor has ended already
    assert isinstance(start, Start)  # noqa: S101 (narrows the type: it is the first message)
    _configure_log(start.settings, start.number)
    with ExitStack() as stack:
        listening = [[stack.enter_context(_inherited(each)) for each in several] for several in start.listening]
        try:
            await Worker(start, listening, reader, writer).run()
        except (TlsError, PasswordError) as error:
            writer.write(framed(Failed(str(error))))
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    run_loop(_work(_inherited(int(sys.argv[1]))))
