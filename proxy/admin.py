"""The admin port: health for orchestrators, numbers for Prometheus. Off the data path; no more HTTP than that takes."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

_MAX_REQUEST: Final = 8192
_TIMEOUT: Final = 5.0


class Answer(NamedTuple):
    """What one path answers."""

    status: str
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


OK: Final = Answer("200 OK", b"ok\n")
_NOT_FOUND: Final = Answer("404 Not Found", b"paths: /livez /readyz /startup /metrics, POST /drain\n")

Routes = dict[tuple[str, str], Callable[[], Answer]]
"""By method and path."""


def unavailable(reason: str) -> Answer:
    """Not ready, and why."""
    return Answer("503 Service Unavailable", reason.encode() + b"\n")


class Admin:
    """Serves `routes`, one request a connection."""

    def __init__(self, routes: Routes) -> None:
        """`routes`: what each method and path answers."""
        self._routes = routes

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection (the callback of asyncio.start_server)."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a prober that went away, or never spoke HTTP
        except asyncio.CancelledError:
            pass  # the end of the proxy; asyncio before 3.12 would log it as an error
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        method, path = [*words, "", ""][:2]
        head_only = method == "HEAD"
        route = self._routes.get(("GET" if head_only else method, path.partition("?")[0]))
        answer = route() if route else _NOT_FOUND
        header = (
            f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
        )
        return header.encode() + (b"" if head_only else answer.body)


async def serve(routes: Routes, host: str, port: int) -> asyncio.Server:
    """Listen on TCP. Raises OSError."""
    return await asyncio.start_server(Admin(routes).handle, host, port, limit=_MAX_REQUEST)


async def serve_unix(routes: Routes, path: str) -> asyncio.Server:
    """Listen on a unix socket. Raises OSError."""
    return await asyncio.start_unix_server(Admin(routes).handle, path, limit=_MAX_REQUEST)
