"""A worker: a process that serves clients on sockets that its supervisor has bound, and does what it is told.

`python -m proxy.worker FD`, where FD is its end of the control channel. A terminal's Ctrl-C and hang-up are the
supervisor's to hear; TERM means drain, however often it comes, since systemd sends it to every process of a service.
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

from proxy import logs, reload
from proxy.config import Settings
from proxy.control import AskMetrics, Commit, Done, Failed, Numbers, Prepare, Ready, Start, Stop, ToSupervisor, ToWorker
from proxy.frames import framed, next_document
from proxy.loop import run_loop
from proxy.passwords import PasswordError
from proxy.seats import SharedSeats
from proxy.server import Server
from proxy.tls import TlsError

_log = logging.getLogger("proxy.worker")
_DECODER: Final = msgspec.msgpack.Decoder(ToWorker)


class Worker:
    """A server at the other end of a control channel."""

    def __init__(
        self,
        start: Start,
        listening: Sequence[Sequence[socket.socket]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """`listening`: the sockets of each listener. Raises TlsError, PasswordError."""
        seats = SharedSeats.of(start.seats).of_worker(start.number)
        os.close(start.seats)
        self._server = Server(start.settings, listening, seats)
        self._number = start.number
        self._reader = reader
        self._writer = writer
        self._prepared: tuple[Settings, Callable[[], None]] | None = None

    async def run(self) -> None:
        """Serve until told to stop, or until the supervisor is gone."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._server.drain)
        self._server.start(self._obey(), "obey")
        await self._server.run(lambda: self._say(Ready()))
        self._say(self._numbers(0))

    async def _obey(self) -> None:
        try:
            while True:
                self._carry_out(_DECODER.decode(await next_document(self._reader)))
        except (asyncio.IncompleteReadError, OSError):
            _log.error("the supervisor is gone: stopping")
        finally:
            self._server.drain()

    def _carry_out(self, message: ToWorker) -> None:
        match message:
            case AskMetrics(request):
                self._say(self._numbers(request))
            case Prepare(request, settings):
                self._say(Done(request, self._prepare(settings)))
            case Commit(request):
                self._commit()
                self._say(Done(request))
            case Stop(now):
                (self._server.end_now if now else self._server.drain)()

    def _prepare(self, settings: Settings) -> str:
        """Why the settings cannot be taken."""
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

    def _numbers(self, request: int) -> Numbers:
        return Numbers(request, self._server.numbers())

    def _say(self, message: ToSupervisor) -> None:
        self._writer.write(framed(message))


def _inherited(descriptor: int) -> socket.socket:
    inherited = socket.socket(fileno=descriptor)
    inherited.set_inheritable(False)  # the converter is not to have it
    return inherited


def _configure_log(settings: Settings, number: int) -> None:
    logs.configure(settings.log.level, settings.log.format, number + 1)


async def _work(channel: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    try:
        start = _DECODER.decode(await next_document(reader))
    except (asyncio.IncompleteReadError, OSError):
        return  # the supervisor has gone already
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
