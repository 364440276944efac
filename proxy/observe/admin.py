"""The admin port: health checks, drain, metrics for Prometheus, and a page for people. One request a connection."""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from proxy.config import Settings, describe_in_public
from proxy.net.listeners import Place
from proxy.net.tasks import Tasks
from proxy.observe import access, page
from proxy.observe.exposition import exposition, processes
from proxy.observe.http_exchange import MAX_HEAD, Answer, Exchange, Request, first_line, line_of
from proxy.observe.metrics import Snapshot
from proxy.observe.overview import Facts, overview
from proxy.observe.rates import INTERVAL, History
from proxy.observe.refusals import Refused

_TIMEOUT: Final = 5.0
"""Seconds from accepting the connection to the last byte of the answer."""
_LINGER: Final = 1.0
"""Seconds in which a client must close. Closing with its bytes unread would reset the connection."""
_MAX_CONNECTIONS: Final = 128
"""At once. One more ends the oldest, so that clients that hang keep no probe out."""
_NO_HTTP: Final = (
    b"-ERR flask-cache-proxy: this is the admin port, which speaks HTTP (admin.bind); "
    b"Redis clients connect to a listener ([[listener]] bind)\r\n"
)


class Subject(Protocol):
    """The process that the admin port reports on: a server, or the supervisor of several."""

    @property
    def settings(self) -> Settings:
        """The settings in effect."""

    def is_started(self) -> bool:
        """True after the start: clients have been accepted."""

    def why_not_ready(self) -> str:
        """The reason why this process should get no clients, apart from Redis' state. Empty if it is ready."""

    async def numbers(self) -> Snapshot:
        """All metrics, of all workers together."""

    def last_refusals(self) -> tuple[Refused, ...]:
        """The last refusals, the newest first. With several workers, they are at most a second old."""

    def drain(self) -> None:
        """Stop accepting clients, let those that are connected finish, then end."""


class Reach(Protocol):
    """Whether Redis can be reached."""

    server: str
    """The name and version of Redis, as it told the last check. Empty if they are not known."""

    async def fault(self) -> str:
        """The reason why Redis cannot serve clients; empty if it can."""


_OK: Final = Answer(200, b"ok\n")
_NOT_FOUND: Final = Answer(404, b"paths: / /livez /readyz /startup /metrics /config, POST /drain\n")
_PROBES: Final = ("/livez", "/readyz", "/startup")
"""Paths that answer to every host name: a probe tells a web page no more than a failed connection does."""


def _ok_unless(reason: str) -> Answer:
    return Answer(503, f"{reason}\n".encode()) if reason else _OK


def _not_allowed(wanted: str) -> Answer:
    allowed = "GET, HEAD" if wanted == "GET" else wanted
    return Answer(405, f"by {allowed} only\n".encode(), allow=allowed)


class Admin:
    """Answers HTTP requests about a subject, one request for each connection."""

    def __init__(self, subject: Subject, reach: Reach) -> None:
        """`reach`: the state of Redis."""
        self._subject = subject
        self._reach = reach
        self._history = History()
        self._connections: dict[asyncio.WriteTransport, None] = {}
        self._routes: dict[str, tuple[str, Callable[[Request], Awaitable[Answer]]]] = {
            "/": ("GET", self._page),
            "/livez": ("GET", self._livez),
            "/startup": ("GET", self._startup),
            "/readyz": ("GET", self._readyz),
            "/metrics": ("GET", self._metrics),
            "/config": ("GET", self._config),
            "/drain": ("POST", self._drain),
        }

    async def _livez(self, _request: Request) -> Answer:
        return _OK

    async def _startup(self, _request: Request) -> Answer:
        return _ok_unless("" if self._subject.is_started() else self._subject.why_not_ready())

    async def _readyz(self, _request: Request) -> Answer:
        return _ok_unless(self._subject.why_not_ready() or await self._reach.fault())

    async def _metrics(self, _request: Request) -> Answer:
        text = exposition(await self._subject.numbers(), processes())
        return Answer(200, text, "text/plain; version=0.0.4")

    async def _config(self, _request: Request) -> Answer:
        return Answer(200, describe_in_public(self._subject.settings).encode())

    async def _page(self, request: Request) -> Answer:
        why_not, fault = self._subject.why_not_ready(), await self._reach.fault()
        numbers = await self._subject.numbers()
        facts = Facts(
            settings=self._subject.settings,
            fault=why_not or fault,
            server=self._reach.server,
            numbers=numbers,
            minute=self._history.last_minute(numbers),
            start=self._history.since_start(numbers),
            refusals=self._subject.last_refusals(),
        )
        nonce = secrets.token_urlsafe(16)
        body = page.render(overview(facts), nonce, refreshes=request.query == page.REFRESH)
        return Answer(200, body, "text/html; charset=utf-8", policy=page.policy(nonce))

    async def _drain(self, _request: Request) -> Answer:
        self._subject.drain()
        return Answer(202, b"draining\n")

    async def keep_history(self) -> None:
        """Take the snapshots for the rates, for ever."""
        while True:
            self._history.record(await self._subject.numbers())
            await asyncio.sleep(INTERVAL)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: the callback of asyncio.start_server."""
        writer.transport.set_write_buffer_limits(0)  # so `drain` waits until the kernel has all bytes
        self._make_room()
        self._connections[writer.transport] = None
        try:
            async with asyncio.timeout(_TIMEOUT):
                line = await first_line(reader)
                exchange = Exchange(line)
                writer.write(await self._response(exchange, reader) if exchange.is_http else _NO_HTTP)
                await writer.drain()
            async with asyncio.timeout(_LINGER):
                if line.startswith(b"*"):
                    await _repeat(reader, writer)
                writer.write_eof()
                while await reader.read(MAX_HEAD):
                    pass
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has left or is too slow
        except asyncio.CancelledError:
            pass  # the proxy ends; asyncio before 3.12 would log this as an error
        finally:
            self._connections.pop(writer.transport, None)
            writer.transport.abort()

    def _make_room(self) -> None:
        while len(self._connections) >= _MAX_CONNECTIONS:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.abort()

    async def _response(self, exchange: Exchange, reader: asyncio.StreamReader) -> bytes:
        """Read the header fields and return the whole response. The request line has been read."""
        request = await exchange.request(reader)
        return exchange.response(await self._answer(request) if isinstance(request, Request) else request)

    async def _answer(self, request: Request) -> Answer:
        fault = access.page_fault(request)
        if fault is None and request.path not in _PROBES:
            fault = access.host_fault(request, self._subject.settings.admin.hosts)
        if fault is not None:
            return fault
        wanted, route = self._routes.get(request.path, ("", None))
        if route is None:
            return _NOT_FOUND
        method = "GET" if request.method == "HEAD" else request.method
        return await route(request) if wanted == method else _not_allowed(wanted)


async def _repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send the error for each further command of a Redis client.

    Libraries send commands of their own first, and hide their errors from the user.
    """
    while True:
        if (await line_of(reader)).startswith(b"*"):
            writer.write(_NO_HTTP)
            await writer.drain()


class AdminPort:
    """The open sockets of the admin port, and the task behind its rates."""

    def __init__(self, servers: list[asyncio.Server], tasks: Tasks) -> None:
        """See `serve`."""
        self._servers = servers
        self._tasks = tasks

    async def close(self) -> None:
        """Stop accepting requests. Those under way are answered."""
        for server in self._servers:
            server.close()
        await self._tasks.cancel()


async def serve(subject: Subject, reach: Reach, place: Place | None) -> AdminPort:
    """Start the admin port on its sockets. Without a `place`, there is no admin port."""
    admin, tasks = Admin(subject, reach), Tasks()
    if place is not None:
        tasks.start(admin.keep_history(), "keep the history of the metrics")
    return AdminPort(
        [
            await (asyncio.start_unix_server if each.family == socket.AF_UNIX else asyncio.start_server)(
                admin.handle, sock=each, limit=MAX_HEAD
            )
            for each in (place.sockets if place else ())
        ],
        tasks,
    )
