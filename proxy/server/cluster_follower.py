"""Follows a cluster: fetches the map of slots, and gives it to the connections of this process.

A map is fetched at the start, when a connection says that its map is old, when a node is lost or cannot be dialed, and
every minute. There is one fetch at a time, and at most one in 100 ms. A fetch that fails is repeated after a second.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from proxy.downstream.cluster_connection import ClusterConnection
from proxy.downstream.end_of_turn import EndOfTurn
from proxy.observe.families import (
    CLUSTER_DIALS,
    CLUSTER_LANES,
    CLUSTER_NODES,
    CLUSTER_REFRESHES,
    CLUSTER_SLOTS,
    UPSTREAM_CONNECTS,
    UPSTREAM_FAILURES,
    UPSTREAMS,
)
from proxy.observe.metrics import Metrics
from proxy.session import SLOTS, SlotMap
from proxy.upstream.dialer import Upstream
from proxy.upstream.link import OwnLink, UpstreamError
from proxy.upstream.slot_ranges import address_of

_log = logging.getLogger("proxy.cluster")
_EVERY: Final = 60.0
_AGAIN: Final = 1.0
_SHORTEST: Final = 0.1
"""Seconds between the beginnings of two fetches, at least."""


class ClusterFollower:
    """See the module. It also has the services of connections on a cluster (see downstream/services)."""

    def __init__(
        self,
        upstream: Upstream,
        metrics: Metrics,
        connections: Callable[[], Iterable[ClusterConnection]],
        start: "Callable[[Awaitable[None], str], asyncio.Task[None]]",
        *,
        tells: bool,
    ) -> None:
        """`tells`: this process logs changes and counts nodes. One of several workers does."""
        self._upstream = upstream
        self._metrics = metrics
        self._connections = connections
        self.start = start
        self._tells = tells
        self.end_of_turn = EndOfTurn()
        self._slots: SlotMap | None = None
        self._version = 0
        self._is_failing = False
        """The last fetch has failed, and the log says so."""
        self._wanted = asyncio.Event()
        self._asking: WeakSet[ClusterConnection] = WeakSet()
        """Connections that wait for a fetch that begins after their question."""
        self._waiting: list[asyncio.Future[SlotMap]] = []
        """Callers of `slots` before the first map."""

    async def run(self) -> None:
        """Fetch maps until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wanted.clear()
            began = loop.time()
            pause = await self._fetch()
            await asyncio.sleep(began + _SHORTEST - loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()

    async def _fetch(self) -> float:
        """Fetch once. Returns the seconds until the next fetch, unless someone asks for one before."""
        asking, self._asking = self._asking, WeakSet()
        waiting, self._waiting = self._waiting, []
        try:
            is_new = await self._upstream.discover()
            slots = self._made()
        except (UpstreamError, ValueError) as error:
            self._failed(str(error), asking, waiting)
            return _AGAIN
        self._metrics.add(CLUSTER_REFRESHES, 1, "changed" if is_new else "same")
        before, self._slots = self._slots, slots
        if self._tells and (is_new or self._is_failing):
            self._tell(before, slots)
        self._is_failing = False
        for future in waiting:
            if not future.done():
                future.set_result(slots)
        for connection in tuple(self._connections()) if is_new else tuple(asking):
            # One that has asked again meanwhile waits for the next fetch.
            connection.new_slots(slots, asked=connection in asking and connection not in self._asking)
        return _EVERY

    def _made(self) -> SlotMap:
        """Raises ValueError."""
        cluster = self._upstream.cluster
        assert cluster is not None  # noqa: S101 (only a cluster is followed)
        assert cluster.layout is not None  # noqa: S101 (it has just been discovered)
        self._version += 1
        return cluster.layout.slot_map(self._version)

    def _failed(
        self, reason: str, asking: Iterable[ClusterConnection], waiting: "list[asyncio.Future[SlotMap]]"
    ) -> None:
        self._metrics.add(CLUSTER_REFRESHES, 1, "failed")
        if self._tells and not self._is_failing:
            _log.warning("%s", reason)
        self._is_failing = True
        for future in waiting:
            if not future.done():
                future.set_exception(UpstreamError(reason))
        for connection in tuple(asking):
            if connection not in self._asking:
                connection.no_slots()

    def _tell(self, before: SlotMap | None, now: SlotMap) -> None:
        """Log the topology. Moves of slots between the same nodes are frequent, and logged at debug only."""
        self._metrics.set(CLUSTER_NODES, len(now.nodes), "master")
        self._metrics.set(CLUSTER_NODES, len(now.others - set(now.nodes)), "other")
        self._metrics.set(CLUSTER_SLOTS, now.known)
        count = len(now.nodes)
        sizes = f"{count} master{'s' if count > 1 else ''}, {now.known} of {SLOTS} slots"
        if before is None:
            _log.info("the cluster has %s", sizes)
            return
        gone, come = (", ".join(sorted(set(one) - set(other))) for one, other in _both(before.nodes, now.nodes))
        if gone or come or before.known != now.known:
            _log.info("the cluster has changed to %s%s%s", sizes, _part("without", gone), _part("with", come))
        elif self._is_failing:
            _log.info("the cluster tells its slots again: %s", sizes)
        else:
            _log.debug("slots of the cluster have moved")

    # -- the services of a connection (see downstream/services) ----------------------------------------

    async def slots(self) -> SlotMap:
        """See ClusterServices."""
        if self._slots is not None:
            return self._slots
        future: asyncio.Future[SlotMap] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wanted.set()
        return await future

    async def dial(self, link: OwnLink, node: str) -> None:
        """See ClusterServices."""
        address = address_of(node)
        try:
            await self._upstream.connect(lambda: link, address)
        except UpstreamError:
            self._metrics.add(UPSTREAM_FAILURES, 1)
            self._metrics.add(CLUSTER_DIALS, 1, node, "failed")
            self.doubt(node)
            raise
        self._metrics.add(UPSTREAM_CONNECTS, 1)
        self._metrics.add(CLUSTER_DIALS, 1, node, "connected")

    def doubt(self, node: str) -> None:
        """A node could not be reached: fetch a new map, from another one if possible."""
        if self._upstream.cluster is not None:
            self._upstream.cluster.avoid(address_of(node))
        self._wanted.set()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The masters of the last map. Empty: there is none yet."""
        return () if self._slots is None else self._slots.nodes

    def slots_are_old(self, connection: ClusterConnection) -> None:
        """See ClusterServices."""
        self._asking.add(connection)
        self._wanted.set()

    def lane_opened(self, node: str) -> None:
        """See ClusterServices."""
        self._metrics.add(UPSTREAMS, 1)
        self._metrics.add(CLUSTER_LANES, 1, node)

    def lane_closed(self, node: str) -> None:
        """See ClusterServices."""
        self._metrics.add(UPSTREAMS, -1)
        self._metrics.add(CLUSTER_LANES, -1, node)


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    return (one, other), (other, one)


def _part(word: str, nodes: str) -> str:
    return f", {word} {nodes}" if nodes else ""
