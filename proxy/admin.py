"""The admin port: health for orchestrators, numbers for Prometheus. Off the data path; no more HTTP than that takes."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

from proxy.listeners import Place

_MAX_REQUEST: Final = 8192
_TIMEOUT: Final = 5.0


class Subject(Protocol):
    """What is asked about: a process that serves clients, or one that has others do so."""

    def is_started(self) -> bool:
        """Whether the start is over."""

    def why_not_ready(self) -> str:
        """Why no client should be sent here, whatever becomes of Redis; empty: they may come."""

    async def exposition(self) -> bytes:
        """The metrics as Prometheus reads them."""

    def drain(self) -> None:
        """Stop accepting, let the clients finish, end."""


class Answer(NamedTuple):
    """What one path answers."""

    status: str
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: str = ""
    """Others, each with its line's end."""


_OK: Final = Answer("200 OK", b"ok\n")
_NOT_FOUND: Final = Answer("404 Not Found", b"paths: /livez /readyz /startup /metrics, POST /drain\n")


def _ok_unless(reason: str) -> Answer:
    return Answer("503 Service Unavailable", f"{reason}\n".encode()) if reason else _OK


def _not_allowed(wanted: str) -> Answer:
    allowed = "GET, HEAD" if wanted == "GET" else wanted
    return Answer("405 Method Not Allowed", f"by {allowed} only\n".encode(), headers=f"Allow: {allowed}\r\n")


class Admin:
    """Answers for a subject, one request a connection."""

    def __init__(self, subject: Subject, upstream_fault: Callable[[], Awaitable[str]]) -> None:
        """`subject`: what is asked about; `upstream_fault`: why Redis cannot be reached, empty: it can."""
        self._subject = subject
        self._upstream_fault = upstream_fault
        self._routes: dict[str, tuple[str, Callable[[], Awaitable[Answer]]]] = {
            "/livez": ("GET", self._livez),
            "/startup": ("GET", self._startup),
            "/readyz": ("GET", self._readyz),
            "/metrics": ("GET", self._metrics),
            "/drain": ("POST", self._drain),
        }

    async def _livez(self) -> Answer:
        return _OK

    async def _startup(self) -> Answer:
        return _ok_unless("" if self._subject.is_started() else self._subject.why_not_ready())

    async def _readyz(self) -> Answer:
        return _ok_unless(self._subject.why_not_ready() or await self._upstream_fault())

    async def _metrics(self) -> Answer:
        return Answer("200 OK", await self._subject.exposition(), "text/plain; version=0.0.4")

    async def _drain(self) -> Answer:
        self._subject.drain()
        return Answer("202 Accepted", b"draining\n")

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection (the callback of asyncio.start_server)."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a prober that went away, or never spoke HTTP
        except asyncio.CancelledError:
            pass  # the end of the proxy; asyncio before 3.12 would log it as an error
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        method, path = [*words, "", ""][:2]
        head_only = method == "HEAD"
        wanted, route = self._routes.get(path.partition("?")[0], ("", None))
        if route is None:
            answer = _NOT_FOUND
        elif wanted != ("GET" if head_only else method):
            answer = _not_allowed(wanted)
        else:
            answer = await route()
        header = (
            f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\n{answer.headers}"
            f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
        )
        return header.encode() + (b"" if head_only else answer.body)


async def serve(
    subject: Subject, upstream_fault: Callable[[], Awaitable[str]], place: Place | None
) -> list[asyncio.Server]:
    """Answer where the admin port is, if there is one."""
    handle = Admin(subject, upstream_fault).handle
    return [
        await (asyncio.start_unix_server if each.family == socket.AF_UNIX else asyncio.start_server)(
            handle, sock=each, limit=_MAX_REQUEST
        )
        for each in (place.sockets if place else ())
    ]
