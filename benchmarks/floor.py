"""The floors: bare uvloop proxies that pass bytes. They show what event loop and system calls alone cost in Python.

Both take RESP as it comes, read no value and keep no metrics. `python -m benchmarks.floor MODE PORT REDIS_PORT` serves
on the loopback interface. MODE is one of these:

- `one-to-one`: each client has a connection to Redis. Chunks of bytes go from one to the other.
- `shared`: all clients share one connection to Redis. The requests of one turn of the event loop leave in one write.
  Each request must bring exactly one reply, so HELLO 3, subscriptions and inline commands are not for it. It also
  trusts its clients to read.
"""

import asyncio
import re
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import uvloop

HOST: Final = "127.0.0.1"
_BACKLOG: Final = 1024
_BULK, _ARRAY, _MINUS = b"$*-"


class End(asyncio.Protocol):
    """One side of a conversation. The other side writes the bytes that this one reads, and waits where that is full."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        """Keep bytes until there is another side."""
        self._early: list[bytes] = []
        self._forward: Callable[[bytes], None] = self._early.append
        self._other: End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._forward(data)

    def join(self, other: "End") -> None:
        """Pass on the early bytes and all later ones."""
        self._other, self._forward = other, other.transport.write
        if self._early:
            other.transport.write(b"".join(self._early))
            self._early.clear()

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None:
            self._other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self._other is not None:
            self._other.transport.close()


class Caller(End):
    """A client of its own connection to Redis."""

    def __init__(self, redis_port: int) -> None:
        super().__init__()
        self._redis_port = redis_port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._dialing = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        try:
            _, upstream = await asyncio.get_running_loop().create_connection(End, HOST, self._redis_port)
        except OSError:
            self.transport.close()
            return
        upstream.join(self)
        self.join(upstream)
        if self.transport.is_closing():
            upstream.transport.close()


class Trunk(asyncio.Protocol):
    """The shared connection to Redis."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._owed: deque[Sharer] = deque()
        """Clients, once for each reply that Redis owes them."""
        self._requests: list[bytes] = []
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def ask(self, client: "Sharer", requests: bytes, number: int = 1) -> None:
        """Send so many whole requests of a client, at the end of this turn of the loop."""
        if not self._requests:
            self._loop.call_soon(self._flush)
        self._requests.append(requests)
        if number == 1:
            self._owed.append(client)
        else:
            self._owed.extend([client] * number)

    def _flush(self) -> None:
        self._transport.write(b"".join(self._requests))
        self._requests.clear()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at, size, find, next_owed = 0, len(data), data.find, self._owed.popleft
        while at < size:
            line, kind = find(b"\r\n", at), data[at]
            if kind == _BULK and line > 0:  # as `end_of`, without a call: this is a floor
                end = line + 2 if data[at + 1] == _MINUS else line + 4 + int(data[at + 1 : line])
            elif kind == _ARRAY or line < 0:
                end = end_of(data, at)
            else:
                end = line + 2
            if end > size:
                break
            next_owed().reply(data[at:end])
            at = end
        self._rest = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        self._loop.stop()  # nobody can be served any more


class Sharer(asyncio.Protocol):
    """A client of the shared connection."""

    reply: Callable[[bytes], None]
    """Writes to the client; drops the bytes after it has left."""
    _transport: asyncio.Transport

    def __init__(self, trunk: Trunk) -> None:
        self._trunk = trunk
        self._rest = b""
        self._is_alike: Callable[[bytes], object] = _no
        """True for a chunk that is one request of the same lengths as the last one: the usual way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.reply = self._transport.write

    def data_received(self, data: bytes) -> None:
        if self._is_alike(data):
            self._trunk.ask(self, data)
        else:
            self._count(self._rest + data)

    def _count(self, data: bytes) -> None:
        """Send the whole requests of a chunk, and keep the rest."""
        if not data.startswith(b"*"):
            self._transport.close()
            return
        at, number = 0, 0
        while at < len(data) and (end := end_of(data, at)) <= len(data):
            at, number = end, number + 1
        self._rest = data[at:]
        if number:
            self._trunk.ask(self, data[:at], number)
        self._is_alike = pattern(data).fullmatch if number == 1 and not self._rest else _no

    def connection_lost(self, error: Exception | None) -> None:
        self.reply = _no


def _no(_: bytes) -> None:
    """Neither proves nor writes."""


def end_of(data: bytes, at: int) -> int:
    """Where the request or RESP2 reply ends that begins at `at`; beyond the data where it is not whole."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return len(data) + 1
    end, kind = line + 2, data[at]
    if kind == _BULK:
        length = int(data[at + 1 : line])
        return end if length < 0 else end + length + 2
    if kind == _ARRAY:
        for _ in range(int(data[at + 1 : line])):
            if end >= len(data):
                return len(data) + 1
            end = end_of(data, end)
    return end


def pattern(request: bytes) -> re.Pattern[bytes]:
    """Matches whole requests with as many arguments, of the same lengths: one call proves a chunk."""
    line = request.index(b"\r\n")
    parts, at = [re.escape(request[:line]), rb"\r\n"], line + 2
    while at < len(request):
        line = request.index(b"\r\n", at)
        length = int(request[at + 1 : line])
        parts.append(rb"\$%d\r\n.{%d}\r\n" % (length, length))
        at = line + 2 + length + 2
    return re.compile(b"".join(parts), re.DOTALL)


async def _one_to_one(redis_port: int) -> Callable[[], asyncio.Protocol]:
    return lambda: Caller(redis_port)


async def _shared(redis_port: int) -> Callable[[], asyncio.Protocol]:
    _, trunk = await asyncio.get_running_loop().create_connection(Trunk, HOST, redis_port)
    return lambda: Sharer(trunk)


MODES: Final[dict[str, Any]] = {"one-to-one": _one_to_one, "shared": _shared}


async def serve(mode: str, port: int, redis_port: int) -> None:
    """Serve for ever. Raises OSError where the port is taken, or where Redis is not there and `shared` needs it."""
    accept = await MODES[mode](redis_port)
    server = await asyncio.get_running_loop().create_server(accept, HOST, port, backlog=_BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
