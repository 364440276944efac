"""A small TCP balancer, as a Kubernetes Service or HAProxy in TCP mode: one address, several servers behind it.

Each client gets the next server in turn. If that server refuses the connection, the client gets another one. An end of
either side is passed on to the other side.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any, Final

_ATTEMPTS: Final = 3


class _Half(asyncio.Protocol):
    """One of two connections that are joined."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.other: _Half | None = None
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def join(self, other: "_Half") -> None:
        """Send everything there from now on, and what has come already."""
        self.other = other
        other.transport.write(bytes(self._early))

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early += data
        else:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other is not None and self.other.transport.can_write_eof():
            with suppress(OSError):
                self.other.transport.write_eof()
        return self.other is not None

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


async def serve(port: int, servers: Sequence[int]) -> None:
    """Serve on a port of the loopback interface. `servers`: the ports behind it."""
    turns, loop = cycle(servers), asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def join(client: _Half) -> None:
        for _ in range(_ATTEMPTS):
            with suppress(OSError):
                _, server = await loop.create_connection(_Half, "127.0.0.1", next(turns))
                client.join(server)
                server.join(client)
                if client.transport.is_closing():
                    server.transport.close()
                return
        client.transport.abort()

    class Client(_Half):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            task = loop.create_task(join(self))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    await (await loop.create_server(Client, "127.0.0.1", port)).serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), [int(text) for text in sys.argv[2:]]))
