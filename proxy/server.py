"""The shell: clients, reload, drain. Everything here is wiring; what is decided, a session decides."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple, cast

import msgspec

from proxy import __version__, metered
from proxy.acceptor import Acceptor
from proxy.assembly import gates_for, policy_for, upstream_for
from proxy.config import Limits, Listener, Settings, TcpAddress
from proxy.connection import Connection
from proxy.converter import Converter
from proxy.descriptors import clients_at_most
from proxy.metrics import Metrics, Snapshot
from proxy.policy import Policy
from proxy.resp import writers
from proxy.seats import Seats
from proxy.sentinel import Master, MasterError
from proxy.session import CommandInfo, Conversion, Converted, Opening, Tally
from proxy.tasks import Tasks
from proxy.tls import ServerTls
from proxy.turns import Turns
from proxy.upstream import UpstreamSide
from proxy.watch import Watch

_log = logging.getLogger("proxy.server")
_HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds that a client may take for its TLS handshake."""
_FOLLOW: Final = 1.0
"""Seconds between two questions to the sentinels."""
_ABORT_TIMEOUT: Final = 1.0
"""Seconds that aborted connections have to be gone; they take one turn of the loop."""
_TOO_MANY: Final = writers.error("ERR max number of clients reached")


class _Door(NamedTuple):
    """A listener: what its clients speak, and how."""

    number: int
    payload: str
    sockets: Sequence[socket.socket]
    tls: ServerTls | None

    @property
    def handshake(self) -> dict[str, Any]:
        """What the event loop is to do first."""
        return {"ssl": self.tls.context, "ssl_handshake_timeout": _HANDSHAKE_TIMEOUT} if self.tls else {}


class Server:
    """A process that serves clients."""

    def __init__(self, settings: Settings, listening: Sequence[Sequence[socket.socket]], seats: Seats) -> None:
        """`listening`: the sockets of each listener, in the order of the settings. Raises TlsError, PasswordError."""
        self._settings = settings
        self._upstream = upstream_for(settings)
        self.metrics = Metrics(__version__)
        self.tally = Tally()
        self.round_trips = self.metrics.histogram("round_trip_seconds")
        self.slow_seconds = settings.log.slow_seconds
        self._policies = self._policies_of(settings)
        self._converter = Converter()
        self._doors = [
            _Door(number, listener.payload, sockets, _server_tls(listener))
            for number, (listener, sockets) in enumerate(zip(settings.listener, listening, strict=True))
        ]
        self._gates = gates_for(settings)
        self._seats = seats
        self._acceptors: list[Acceptor] = []
        self._connections: set[Connection] = set()
        self._arriving: set[Connection] = set()
        """Accepted; their TLS handshake may be under way."""
        self._tasks = Tasks()
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._all_gone = asyncio.Event()
        self._most_clients = settings.limits.clients
        self._turns = Turns()
        self._watch = Watch(self._connections, _share(settings), self.metrics)
        self.buffered_bytes = settings.limits.buffered_bytes

    # -- life ------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until told to stop, then drain. `started` is called once clients are accepted."""
        self._count_descriptors()
        try:
            self.start(self._watch.run(), "watch the connections")
            for door in self._doors:
                accepted = partial(self._accepted, door)
                for each in door.sockets:
                    self._acceptors.append(Acceptor(each, accepted, self._seats.is_ahead))
            if isinstance(self._upstream.place, Master):
                self.start(self._follow(self._upstream.place), "follow the master")
            started()
            await self._stop.wait()
            await self._drain()
        finally:
            await self._end()

    def drain(self) -> None:
        """Let the clients finish, then end."""
        self._stop.set()

    def end_now(self) -> None:
        """End without waiting for anybody."""
        self._stop.set()
        self._now.set()

    def is_draining(self) -> bool:
        """Whether it has been told to stop."""
        return self._stop.is_set()

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """Make ready to take rules, guard, limits and the content of certificate files anew; the result does it.

        What is under way keeps its rule. Raises TlsError, PasswordError; nothing changes before the result is called.
        """
        fresh: list[Callable[[], None]] = [
            partial(tls.use, tls.fresh())
            for tls in (self._upstream.tls, *(door.tls for door in self._doors))
            if tls is not None
        ]
        policies, gates = self._policies_of(settings), gates_for(settings)

        def take() -> None:
            for use in fresh:
                use()
            self._settings, self._policies, self._gates = settings, policies, gates
            self._watch.limits = _share(settings)
            self._count_descriptors()
            self.buffered_bytes = settings.limits.buffered_bytes
            self.slow_seconds = settings.log.slow_seconds
            self._upstream.timeout = settings.limits.connect_timeout
            for connection in self._connections:
                connection.set_policy(policies[connection.payload], gates[connection.listener])

        return take

    def _policies_of(self, settings: Settings) -> dict[str, Policy]:
        return {payload: policy_for(settings, payload, self.metrics) for payload in ("json", "msgpack")}

    def numbers(self) -> Snapshot:
        """What has been counted, as it is now."""
        commands = self.metrics.commands
        for command, count in self.tally.commands.items():
            commands["other" if command is None else command.name.decode()] = count
        self.metrics.refusals = self.tally.refusals
        for reason, count in self.tally.ended.items():
            self.metrics.closed[reason] = count
        return self.metrics.snapshot()

    def _count_descriptors(self) -> None:
        wanted = self._settings.limits.clients
        self._most_clients = clients_at_most(wanted)
        if self._most_clients < wanted:
            _log.info(
                "limits.clients is %d, but the limit of open files is enough for %d clients: raise the latter "
                "(ulimit -Hn, LimitNOFILE=), or lower the former",
                wanted,
                self._most_clients,
            )

    async def _follow(self, master: Master) -> None:
        """Close the clients of a master that is none any more: it may be alive, and take writes that will be lost."""
        known: TcpAddress | None = None
        while True:
            with suppress(MasterError):  # an election
                address = await master.locate()
                if known is not None and address != known:
                    _log.warning("%s is now at %s: closing %d clients", master, address, len(self._connections))
                    self._upstream.close()
                    for connection in tuple(self._connections):
                        connection.close()
                known = address
            await asyncio.sleep(_FOLLOW)

    async def _drain(self) -> None:
        """Stop accepting; let each client finish at a command boundary, until the deadline or `end_now`."""
        timeout = self._settings.server.drain_timeout
        _log.info("stopping: %d clients have %g s to finish", len(self._connections), timeout)
        self._close_doors()
        for connection in tuple(self._connections):
            connection.drain()
        if self._connections:
            waits = [asyncio.ensure_future(event.wait()) for event in (self._all_gone, self._now)]
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    def _close_doors(self) -> None:
        acceptors, self._acceptors = self._acceptors, []
        for acceptor in acceptors:
            acceptor.close()

    async def _end(self) -> None:
        self._close_doors()
        await self._tasks.cancel()
        for connection in tuple(self._connections):
            connection.abort()
        if self._connections:  # uvloop fails to close with transports open
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), _ABORT_TIMEOUT)
        await self._converter.close()
        self._upstream.close()
        if isinstance(self._upstream.place, Master):
            await self._upstream.place.close()
        _log.info("stopped")

    # -- clients ---------------------------------------------------------------------------------------

    def _accepted(self, door: _Door, client: socket.socket) -> None:
        here = len(self._connections) + len(self._arriving)
        if here < self._most_clients and self._seats.take(self._settings.limits.clients):
            self.metrics.clients_total += 1
            number = self.metrics.clients_total
            policy, gate = self._policies[door.payload], self._gates[door.number]
            connection = Connection(self, door.number, door.payload, policy, gate, number)
            self._arriving.add(connection)
            self.start(self._welcome(door, client, connection), f"accept {number}")
        else:
            self.metrics.rejected["max_clients"] += 1
            if door.tls is None:
                self.start(self._connect(door, client, _TurnedAway()), "turn away")
            else:
                client.close()  # a handshake takes as long as the client likes, and there may be any number of them

    async def _welcome(self, door: _Door, client: socket.socket, connection: Connection) -> None:
        try:
            await self._connect(door, client, connection)
        finally:
            if connection in self._arriving:
                if door.tls is not None:
                    self.metrics.rejected["tls_handshake"] += 1
                self._arriving.discard(connection)
                self._seats.leave()
                connection.abort()

    async def _connect(self, door: _Door, client: socket.socket, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: protocol, client, **door.handshake)
        except OSError as error:
            _log.debug("a client is gone before it was there: %s", error)

    # -- what a connection asks for --------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A client is there, its TLS handshake done."""
        self._arriving.discard(connection)  # from here on it is `closed` that gives its seat back
        self._connections.add(connection)
        self._all_gone.clear()
        self.metrics.clients += 1
        if self._stop.is_set():
            connection.drain()

    def opening(self) -> tuple[Opening, ...]:
        """What begins each conversation. Raises UpstreamError."""
        return self._upstream.opening()

    def wait_turn(self, work: Callable[[], None]) -> None:
        """Do it in turn with the large pieces of others."""
        self._turns.wait(work)

    def received(self, size: int) -> None:
        """Bytes have come in, from clients or from Redis."""
        self._watch.received(size)

    async def dial(self, factory: Callable[[], UpstreamSide]) -> UpstreamSide:
        """Connect to Redis. Raises UpstreamError."""
        return await self._upstream.connect(factory)

    async def convert(self, conversion: Conversion) -> Converted:
        """Convert in the converter process."""
        began = perf_counter()
        result = await self._converter.convert(conversion)
        metered.count(conversion, result, perf_counter() - began)
        return result

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """What Redis says of a command."""
        return await self._upstream.command_info(name)

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Run a task."""
        return self._tasks.start(work, name)

    def closed(self, connection: Connection) -> None:
        """A client is gone, and so is its upstream."""
        if connection in self._connections:
            self._connections.discard(connection)
            self.metrics.clients -= 1
            self._seats.leave()
            if not self._connections:
                self._all_gone.set()


def _share(settings: Settings) -> Limits:
    """The limits of one process: what all clients together may hold is divided among the workers."""
    limits = settings.limits
    share = limits.total_buffered_bytes // settings.server.workers
    return msgspec.structs.replace(limits, total_buffered_bytes=share)


class _TurnedAway(asyncio.Protocol):
    """A client too many: told so in Redis' words, as Redis does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.WriteTransport", transport).write(_TOO_MANY)
        transport.close()


def _server_tls(listener: Listener) -> ServerTls | None:
    """Raises TlsError."""
    if listener.tls_cert is None or listener.tls_key is None:
        return None
    return ServerTls(listener.tls_cert, listener.tls_key, listener.tls_client_ca)
