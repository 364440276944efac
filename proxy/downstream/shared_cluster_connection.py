"""A client's connection on a cluster whose lanes are shared with other clients, until the client needs its own.

It begins without a lane. Each lane that the session dials is a place on the trunks to its node, or, once the client is
pinned, an own link.
"""

from collections.abc import Callable
from functools import partial

from proxy.downstream.cluster_connection import ClusterConnection
from proxy.downstream.node_lane import NodeLane
from proxy.downstream.services import ClusterServices, NodeSharingServices, Services
from proxy.downstream.shared_connection import OnSharedLinks, Pinning
from proxy.downstream.shared_lane import SharedLane
from proxy.policy import Policy
from proxy.session import Effects, Gate, Relink, Shared
from proxy.upstream.link import Greeting, Link, SharedPlace, UpstreamError


class SharedClusterConnection(OnSharedLinks, ClusterConnection):
    """See the module."""

    __slots__ = ("_pinning", "_protocol", "_sharing")

    def __init__(
        self,
        services: Services,
        listener: int,
        policy: Policy,
        gate: Gate | None,
        number: int,
        nodes: ClusterServices,
        announced: str,
        sharing: NodeSharingServices,
    ) -> None:
        """See ClusterConnection. `sharing`: of this process."""
        super().__init__(services, listener, policy, gate, number, nodes, announced)
        self._sharing = sharing
        self._pinning = Pinning(sharing, number)
        self._protocol = 2  # of the lanes

    async def _connected(self) -> tuple[Link, Callable[[], Effects]]:
        announced = self._announcement()  # before the client may have left
        home, (hello, knows_setinfo) = await self._greeting(2)
        slots = await self._cluster.slots()  # at once, because a map is known
        home = home if home in slots.nodes else slots.nodes[0]
        self._nodes.begin_shared(partial(SharedLane, self._nodes, self))
        shared = Shared(hello, knows_setinfo, 0, self.number)
        return self._nodes, partial(self._session.start, slots=slots, home=home, announce=announced, shared=shared)

    async def _greeting(self, protocol: int) -> tuple[str, Greeting]:
        """The first node that can be reached, and its greeting. Raises UpstreamError.

        The home nodes of all clients are spread over the masters.
        """
        nodes = (await self._cluster.slots()).nodes
        first = self.number % len(nodes)
        failures: list[UpstreamError] = []
        for node in (*nodes[first:], *nodes[:first]):
            try:
                return node, await self._sharing.greeting(node, protocol)
            except UpstreamError as error:
                failures.append(error)
        raise failures[0]

    async def place_for(self, lane: SharedLane) -> SharedPlace:
        """See LaneClient."""
        return await self._sharing.link(lane, self._session.owed_on(lane.id), lane.node, self._protocol)

    # -- the change of the links -----------------------------------------------------------------------

    async def _changed(self, relink: Relink) -> Callable[[], Effects]:
        if relink.pin:
            opening = self._services.opening()
            self._nodes.lane = partial(NodeLane, self._nodes)
            self._pinning.begin(relink.pin)
            return partial(self._session.relinked, opening)
        _, (hello, _) = await self._greeting(relink.protocol)
        if relink.protocol == 2 or not hello.startswith(b"-"):  # RESP2 needs no HELLO
            self._protocol = relink.protocol
        return partial(self._session.relinked, greeting=hello)

    def links_ended(self) -> None:
        """See LinksOwner."""
        self._pinning.end()
        super().links_ended()

    @property
    def _awaits_redis(self) -> bool:
        """See Connection. Behind the replies of other clients, it is not Redis that delays a reply."""
        return super()._awaits_redis and not self._nodes.waits_for_others
