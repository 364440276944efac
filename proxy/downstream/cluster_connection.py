"""A client's connection on a cluster. It differs from a plain one only in its links: one for each node that is used.

A pipeline is split over the nodes, and its replies come in several reads. While more of them are owed, they are held
until the end of this turn of the loop: one write costs less than three.
"""

from collections.abc import Callable, Sequence
from time import perf_counter

from proxy.downstream.connection import Connection
from proxy.downstream.node_links import NodeLinks
from proxy.downstream.phase import Phase
from proxy.downstream.receive_buffer import SMALL
from proxy.downstream.services import ClusterServices, Services
from proxy.net.sockets import local_address
from proxy.policy import Policy
from proxy.session import Effects, Gate, SlotMap
from proxy.upstream.link import Link


class ClusterConnection(Connection):
    """See the module. It is the owner of its links."""

    __slots__ = ("_announced", "_cluster", "_held", "_nodes")

    def __init__(
        self,
        services: Services,
        listener: int,
        policy: Policy,
        gate: Gate | None,
        number: int,
        nodes: ClusterServices,
        announced: str,
    ) -> None:
        """See Connection. `announced`: see `Listener.announce`. Empty: the address that the client came to."""
        super().__init__(services, listener, policy, gate, number)
        self._cluster = nodes
        self._nodes = NodeLinks(self, self._session, nodes)
        self._announced = announced
        self._held: list[bytes] = []  # replies of this turn, while more are owed

    async def _connected(self) -> tuple[Link, Callable[[], Effects]]:
        return self._nodes, await self._nodes.open(self._services.opening(), self._announcement())

    def _announcement(self) -> str:
        """See `Session.start`."""
        return self._announced or local_address(self._client)

    def data_received(self, data: bytes) -> None:
        """See Reads. On the fast path, each lane gets its bytes in one piece."""
        if not self._flows or len(data) > SMALL:
            super().data_received(data)
            return
        traffic = self._traffic
        traffic.received_client += len(data)
        traffic.unwatched += len(data)
        if traffic.unwatched > self._services.allowance:
            self._services.sum_up()
        session = self._session
        is_idle = not session.due.size
        lanes = session.take_requests(data)
        if lanes is None:
            session.take_other_requests(data)
            self.apply(session.go_on_with_requests())
            return
        traffic.sent_upstream += self._nodes.send(lanes)
        if not self._asked_at and (is_idle or session.awaits_reply):  # a usual request does not block
            self._asked_at = perf_counter()

    def _send(self, lanes: Sequence[tuple[int, bytes]]) -> None:
        self._traffic.sent_upstream += self._nodes.send(lanes)
        if not self._asked_at and self._session.awaits_reply:
            self._asked_at = perf_counter()

    def lane_received(self, data: bytes, number: int) -> None:
        """See LinksOwner. It is the hot path."""
        traffic = self._traffic
        traffic.received_upstream += len(data)
        traffic.unwatched += len(data)
        if traffic.unwatched > self._services.allowance:
            self._services.sum_up()
        if self._asked_at:
            self._count_round_trip()
        if self._phase is Phase.CLOSING:
            return
        checks = self._checks
        replies = self._session.take_lane(data, number) if self._flows else None
        if replies:
            checks.heard = True
            traffic.sent_client += len(replies)
            if self._session.due.size:
                self._hold(replies)
            else:
                self._client.write(b"".join((*self._held, replies)) if self._held else replies)
                self._held.clear()
        elif not self._flows:
            checks.heard = checks.heard or self._session.is_turn_of(number)
            self.apply(self._session.from_upstream(data, number))
        elif replies is None:
            checks.heard = checks.heard or self._session.is_turn_of(number)
            self.apply(self._session.go_on_with_lane(number))

    def _hold(self, replies: bytes) -> None:
        """Write these replies at the end of this turn, or with the next ones in it."""
        if not self._held:
            self._nodes.at_end_of_turn(self._write_held)
        self._held.append(replies)

    def _write_held(self) -> None:
        held = self._held
        if held and self._client is not None:
            self._client.write(held[0] if len(held) == 1 else b"".join(held))
        held.clear()

    def _release(self) -> None:
        """See Connection."""
        self._write_held()
        super()._release()
        self._nodes.let_go()

    def counts_upstream(self, data: bytes, number: int) -> bool:
        """See LinksOwner."""
        self._traffic.received_upstream += len(data)
        self._traffic.unwatched += len(data)
        if self._traffic.unwatched > self._services.allowance:
            self._services.sum_up()
        self._checks.heard = self._checks.heard or self._session.is_turn_of(number)
        if self._asked_at:
            self._count_round_trip()
        return self._phase is not Phase.CLOSING

    def wait_turn(self, work: Callable[[], None]) -> None:
        """See LinksOwner."""
        self._jobs.wait_turn(work)

    def connection_lost(self, exc: Exception | None) -> None:
        """See Connection. A client that gives up waiting may wait for a node that hangs."""
        if self._session.awaits_reply:
            self._nodes.slots_are_old()
        super().connection_lost(exc)

    def apply(self, effects: Effects) -> None:
        """See Connection."""
        nodes = self._nodes
        self._write_held()
        if effects.lanes:
            self._send(effects.lanes)
        if effects.dials and effects.close is None and self._phase is not Phase.CLOSING:
            nodes.begin(effects.dials)
        super().apply(effects)
        if effects.slots_are_old:
            nodes.slots_are_old()
        if self._phase is Phase.CLOSING:
            return
        if effects.hang_ups or effects.pauses or effects.resumes:
            nodes.carry_out(effects)
        if not effects.flows:
            nodes.wait_behind_blocking()

    def _settle_half_closed(self) -> None:
        """See Connection. Lanes that are being dialed first get their requests, which `finish` would drop."""
        if not (self._session.is_blocked and self._nodes.is_dialing):
            super()._settle_half_closed()

    def new_slots(self, slots: SlotMap, *, asked: bool) -> None:
        """There is a new map of the cluster's slots. See `Session.new_slots`."""
        if self._is_served:
            self.apply(self._session.new_slots(slots, asked=asked))

    def no_slots(self) -> None:
        """The map that this connection has asked for cannot be fetched."""
        if self._is_served:
            self.apply(self._session.no_slots())

    @property
    def _is_served(self) -> bool:
        return self._link is not None and self._phase is not Phase.CLOSING
