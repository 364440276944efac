"""One serving process: it connects admission, clients, upstream, converter and metrics. It reloads and drains."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Final

import msgspec

from proxy.assembly import gates_for, policies_for, upstream_for
from proxy.config import Limits, Settings, TcpAddress, parse_node
from proxy.downstream.cluster_connection import ClusterConnection
from proxy.downstream.connection import Connection
from proxy.downstream.shared_cluster_connection import SharedClusterConnection
from proxy.downstream.shared_connection import SharedConnection
from proxy.downstream.watchdog import Watch
from proxy.net.fd_limit import clients_at_most
from proxy.net.tasks import Tasks
from proxy.observe import metered_transcoder, session_counts
from proxy.observe.families import ROUND_TRIP_SECONDS, WORKERS
from proxy.observe.metrics import Metrics, Snapshot
from proxy.observe.refusal_log import RefusalLog
from proxy.server.admission import Admission, Door, Limit, doors_of
from proxy.server.client_slots import ClientSlots
from proxy.server.cluster_follower import ClusterFollower
from proxy.server.converter import Converter
from proxy.server.shared_links import NodeSharedLinks, SharedLinks
from proxy.server.unmanaged import UnmanagedReads
from proxy.server.work_queue import WorkQueue
from proxy.session import CommandInfo, Conversion, Converted, Opening, Tally
from proxy.upstream.link import OwnLink
from proxy.upstream.sentinel import Master, MasterError
from proxy.upstream.slot_ranges import name
from proxy.upstream.trunks import PROTOCOLS, Trunks

_log = logging.getLogger("proxy.server")
_FOLLOW: Final = 1.0
"""Seconds between two queries to the sentinels, if no dial hears of another master before."""
_ABORT_TIMEOUT: Final = 1.0
"""Seconds to wait until aborted connections have ended. They need one iteration of the loop."""


class Server:
    """A process that serves clients."""

    def __init__(self, settings: Settings, listening: Sequence[Sequence[socket.socket]], slots: ClientSlots) -> None:
        """`listening`: the sockets of each listener, in the order of the settings. Raises TlsError, PasswordError."""
        self._settings = settings
        self._upstream = upstream_for(settings)
        self.metrics = Metrics()
        self.metrics.set(WORKERS, 1)
        self.tally = Tally()
        self.tally.clock = perf_counter
        self.refusals = RefusalLog()
        self._unmanaged = UnmanagedReads(self.metrics, settings)
        self.tally.on_flask_value = self._unmanaged.record
        self.round_trips = self.metrics.histogram(ROUND_TRIP_SECONDS)
        self.slow_seconds = settings.log.slow_seconds
        self._policies = policies_for(settings, self.metrics)
        self._converter = Converter()
        self._gates = gates_for(settings)
        self._tasks = Tasks()
        doors = doors_of(settings.listener, listening)
        self._tells = slots.is_first
        self._said_limit: Limit | None = None
        limit = self._clients_limit()
        self._admission = Admission(doors, slots, self.metrics, self._connection, self.start, limit)
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._all_gone = asyncio.Event()
        self._work = WorkQueue()
        self._follower = self._cluster_follower()
        self._watch = Watch(self._connections, _share(settings), self.metrics)
        self._links: SharedLinks | None = None
        self._node_links: NodeSharedLinks | None = None
        self._share_links()
        self.sum_up = self._watch.sum_up
        self.allowance = self._watch.allowance
        self.buffered_bytes = settings.limits.buffered_bytes

    @property
    def _connections(self) -> set[Connection]:
        return self._admission.connections

    # -- life ------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until `drain` or `end_now`. `started` is called when clients are accepted."""
        try:
            self.start(self._watch.run(), "watch the connections")
            self.start(self.refusals.run(), "end the periods of the refusal log")
            self._admission.open()
            if isinstance(self._upstream.place, Master):
                self.start(self._follow(self._upstream.place), "follow the master")
            if self._follower is not None:
                self.start(self._follower.run(), "follow the cluster")
            started()
            await self._stop.wait()
            await self._drain()
        finally:
            await self._end()

    def drain(self) -> None:
        """Stop accepting clients, let the present ones finish, then end."""
        self._stop.set()

    def end_now(self) -> None:
        """End without waiting for clients."""
        self._stop.set()
        self._now.set()

    def is_draining(self) -> bool:
        """True after `drain` or `end_now`."""
        return self._stop.is_set()

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """Prepare a reload of rules, guard, limits and certificate files. Calling the result applies it.

        Nothing changes before that. Requests under way keep their rule. Raises TlsError, PasswordError.
        """
        fresh: list[Callable[[], None]] = [
            partial(tls.use, tls.fresh())
            for tls in (self._upstream.tls, *(door.tls for door in self._admission.doors))
            if tls is not None
        ]
        policies, gates = policies_for(settings, self.metrics), gates_for(settings)

        def take() -> None:
            for use in fresh:
                use()
            self._settings, self._policies, self._gates = settings, policies, gates
            self._unmanaged.use(settings)
            self._watch.limits = _share(settings)
            self.allowance = self._watch.allowance
            self._admission.limit = self._clients_limit()
            self.buffered_bytes = settings.limits.buffered_bytes
            self.slow_seconds = settings.log.slow_seconds
            self._upstream.timeout = settings.limits.connect_timeout
            if self._upstream.trunks is not None:
                self._upstream.trunks.keep(settings.limits.buffered_bytes)
            for connection in self._admission.all:
                connection.set_policy(policies[connection.listener], gates[connection.listener])

        return take

    def numbers(self) -> Snapshot:
        """A snapshot of all metrics."""
        for links in (self._links, self._node_links):
            if links is not None:
                links.count()
        return session_counts.numbers(self.metrics, self.tally)

    def _clients_limit(self) -> Limit:
        """The limit of clients. If the limit of open files lowers it, the log says so, once for all workers."""
        wanted = self._settings.limits.clients
        here = clients_at_most(wanted, len(PROTOCOLS) * self._settings.upstream.shared)
        was_said, self._said_limit = self._said_limit, Limit(here, wanted)
        if here < wanted and self._tells and self._said_limit != was_said:
            _log.info(
                "limits.clients is %d, but the limit of open files is enough for %d clients: raise the latter "
                "(ulimit -Hn, LimitNOFILE=), or lower the former",
                wanted,
                here,
            )
        return self._said_limit

    async def _follow(self, master: Master) -> None:
        """Close all clients when Sentinel names a new master. The old one may still accept writes, which get lost."""
        known: TcpAddress | None = None
        while True:
            with suppress(MasterError):  # no master during an election
                address = await master.locate()
                if known is not None and address != known:
                    _log.warning("%s is now at %s: closing %d clients", master, address, len(self._connections))
                    self._upstream.leave()
                    for connection in tuple(self._connections):
                        connection.close()
                known = address
            master.moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FOLLOW):
                    await master.moved.wait()  # a dial may hear of it first

    async def _drain(self) -> None:
        """Stop accepting. Wait until each client has its outstanding replies, or for the deadline or `end_now`."""
        timeout = self._settings.server.drain_timeout
        _log.info("stopping: %d clients have %g s to finish", len(self._connections), timeout)
        self._admission.close()
        for connection in tuple(self._connections):
            connection.drain()
        if self._connections:
            waits = [asyncio.ensure_future(event.wait()) for event in (self._all_gone, self._now)]
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _end(self) -> None:
        self._admission.close()
        await self._tasks.cancel()
        for connection in tuple(self._connections):
            connection.abort()
        if self._connections:  # uvloop cannot close while transports are open
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), _ABORT_TIMEOUT)
        self.refusals.end_period()
        await self._converter.close()
        await self._upstream.end()
        _log.info("stopped")

    def _cluster_follower(self) -> ClusterFollower | None:
        if self._upstream.cluster is None:
            return None
        connections = lambda: (each for each in self._connections if isinstance(each, ClusterConnection))  # noqa: E731
        return ClusterFollower(self._upstream, self.metrics, connections, self.start, tells=self._tells)

    def _share_links(self) -> None:
        """Let clients share links, if the settings say so."""
        trunks = self._upstream.trunks
        if isinstance(trunks, Trunks):
            self._links = SharedLinks(trunks, self._upstream.database, self.metrics)
            self._watch.on_check = self._links.check
        elif trunks is not None and self._follower is not None:
            self._node_links = NodeSharedLinks(trunks, self._follower, self.metrics)
            self._watch.on_check = self._node_links.check

    def _connection(self, door: Door, number: int) -> Connection:
        policy, gate = self._policies[door.number], self._gates[door.number]
        parts = self, door.number, policy, gate, number
        if self._follower is None:
            return Connection(*parts) if self._links is None else SharedConnection(*parts, self._links)
        announced = self._settings.listener[door.number].announce
        node = "" if announced is None else name(parse_node(announced))
        if self._node_links is None:
            return ClusterConnection(*parts, self._follower, node)
        return SharedClusterConnection(*parts, self._follower, node, self._node_links)

    # -- the services of a connection (see downstream/services) ----------------------------------------

    def opened(self, connection: Connection) -> None:
        """See Services."""
        self._admission.arrived(connection)
        self._all_gone.clear()
        if self._stop.is_set():
            connection.drain()

    def opening(self) -> tuple[Opening, ...]:
        """See Services."""
        return self._upstream.opening()

    def wait_turn(self, work: Callable[[], None]) -> None:
        """See Services."""
        self._work.wait(work)

    async def dial(self, link: OwnLink) -> bool:
        """See Services."""
        return await self._upstream.dial(link)

    async def convert(self, conversion: Conversion) -> Converted:
        """See Services."""
        began = perf_counter()
        result = await self._converter.convert(conversion)
        metered_transcoder.count(conversion, result, perf_counter() - began)
        return result

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """See Services."""
        return await self._upstream.command_info(name)

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """See Services."""
        return self._tasks.start(work, name)

    def closed(self, connection: Connection) -> None:
        """See Services."""
        self._admission.left(connection)
        if not self._connections:
            self._all_gone.set()


def _share(settings: Settings) -> Limits:
    """The limits of one process. `total_buffered_bytes` is divided among the workers."""
    limits = settings.limits
    share = limits.total_buffered_bytes // settings.server.workers
    return msgspec.structs.replace(limits, total_buffered_bytes=share)
