"""Admission: accepts clients from the listeners up to `limits.clients`, and rejects the others.

A client takes a slot when it is accepted. It is *arriving* while its TLS handshake is under way. Then `arrived` adds
it to the server's connections. `left` frees its slot.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, cast

from proxy.config import Listener
from proxy.downstream.connection import Connection
from proxy.net.acceptor import Acceptor
from proxy.net.tls import ServerTls
from proxy.observe.families import ACCEPTED, CLIENTS, REJECTED
from proxy.observe.metrics import Metrics
from proxy.resp import encode
from proxy.server.client_slots import ClientSlots

_log = logging.getLogger("proxy.server")
_HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for a client's TLS handshake."""
_TOO_MANY: Final = encode.error("ERR max number of clients reached")


class Door(NamedTuple):
    """A listener with its open sockets and its TLS context."""

    number: int
    sockets: Sequence[socket.socket]
    tls: ServerTls | None

    @property
    def handshake(self) -> dict[str, Any]:
        """The TLS arguments for the event loop; empty without TLS."""
        return {"ssl": self.tls.context, "ssl_handshake_timeout": _HANDSHAKE_TIMEOUT} if self.tls else {}


def doors_of(listeners: Sequence[Listener], listening: Sequence[Sequence[socket.socket]]) -> list[Door]:
    """A door for each listener. `listening`: the sockets of each listener, in the same order. Raises TlsError."""
    return [
        Door(number, sockets, _server_tls(listener))
        for number, (listener, sockets) in enumerate(zip(listeners, listening, strict=True))
    ]


def _label(listener: int) -> str:
    """The label of a listener in metrics, which counts from 1. `listener`: its place in the settings, from 0."""
    return str(listener + 1)


def _server_tls(listener: Listener) -> ServerTls | None:
    if listener.tls_cert is None or listener.tls_key is None:
        return None
    return ServerTls(listener.tls_cert, listener.tls_key, listener.tls_client_ca)


class Limit(NamedTuple):
    """The limits on the number of clients."""

    here: int
    """For this process. The limit of open files may lower it."""
    total: int
    """For all workers together: `limits.clients`."""


class Admission:
    """See the module."""

    def __init__(
        self,
        doors: Sequence[Door],
        slots: ClientSlots,
        metrics: Metrics,
        connect: Callable[[Door, int], Connection],
        start: Callable[[Awaitable[None], str], object],
        limit: Limit,
    ) -> None:
        """`connect` makes a Connection from the door and the client's number. `start` runs a task with a name."""
        self.doors = doors
        self.connections: set[Connection] = set()
        self.limit = limit
        self._slots = slots
        self._metrics = metrics
        self._connect = connect
        self._start = start
        self._acceptors: list[Acceptor] = []
        self._arriving: set[Connection] = set()
        for door in doors:
            metrics.set(CLIENTS, 0, _label(door.number))

    def open(self) -> None:
        """Start accepting clients on all listeners."""
        for door in self.doors:
            accepted = partial(self._accepted, door)
            self._acceptors += (Acceptor(each, accepted, self._slots.is_ahead) for each in door.sockets)

    def close(self) -> None:
        """Stop accepting clients."""
        acceptors, self._acceptors = self._acceptors, []
        for acceptor in acceptors:
            acceptor.close()

    @property
    def all(self) -> tuple[Connection, ...]:
        """All connections, with those in their TLS handshake."""
        return (*self.connections, *self._arriving)

    def arrived(self, connection: Connection) -> None:
        """A client is connected and its TLS handshake is over. From now on, `left` must free its slot."""
        self._arriving.discard(connection)
        self.connections.add(connection)
        self._metrics.add(CLIENTS, 1, _label(connection.listener))

    def left(self, connection: Connection) -> None:
        """A client and its link have ended. Free its slot."""
        if connection in self.connections:
            self.connections.discard(connection)
            self._metrics.add(CLIENTS, -1, _label(connection.listener))
            self._slots.leave()

    def _accepted(self, door: Door, client: socket.socket) -> None:
        here = len(self.connections) + len(self._arriving)
        if here < self.limit.here and self._slots.take(self.limit.total):
            number = int(self._metrics.add(ACCEPTED, 1))
            connection = self._connect(door, number)
            self._arriving.add(connection)
            self._start(self._welcome(door, client, connection), f"accept {number}")
            return
        self._metrics.add(REJECTED, 1, "max_clients")
        if door.tls is None:
            self._start(_connect(door, client, _Rejected()), "reject")
        else:
            client.close()  # handshakes with rejected clients would have no limit on their number

    async def _welcome(self, door: Door, client: socket.socket, connection: Connection) -> None:
        try:
            await _connect(door, client, connection)
        finally:
            if connection in self._arriving:
                if door.tls is not None:
                    self._metrics.add(REJECTED, 1, "tls_handshake")
                self._arriving.discard(connection)
                self._slots.leave()
                connection.abort()


async def _connect(door: Door, client: socket.socket, protocol: asyncio.Protocol) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_accepted_socket(lambda: protocol, client, **door.handshake)
    except OSError as error:
        _log.debug("a client left before it was connected: %s", error)


class _Rejected(asyncio.Protocol):
    """A client beyond the limit. It gets Redis' own error, then the end of the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.WriteTransport", transport).write(_TOO_MANY)
        transport.close()
