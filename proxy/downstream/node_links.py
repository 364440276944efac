"""The links of a client's connection on a cluster: one for each node that the client's commands need.

To the connection they look like one link that is lost only when the connection ends. The session decides which lanes
are dialed, written, held and dropped. The loss of one lane costs only the replies that are outstanding on it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol

from proxy.downstream.node_lane import NodeLane
from proxy.downstream.services import ClusterServices
from proxy.session import Dial, Effects, Opening, Session
from proxy.upstream.link import OwnLink, UpstreamError

_LONGEST_WAIT: Final = 1.0
"""Seconds that requests wait behind a blocking command until the new map is used nevertheless."""


class LinksOwner(Protocol):
    """The connection that these links belong to."""

    number: int

    def apply(self, effects: Effects) -> None:
        """Carry out effects."""

    def abort(self) -> None:
        """Close, because an event could not be handled."""

    def lane_received(self, data: bytes, number: int) -> None:
        """Handle the bytes of a lane at once, and count them."""

    def counts_upstream(self, data: bytes, number: int) -> bool:
        """Count bytes of a lane. False if the connection is closing."""

    def link_full(self, full: bool) -> None:
        """See LinkOwner."""

    def links_ended(self) -> None:
        """The links were closed, and all of them have ended."""

    def wait_turn(self, work: Callable[[], None]) -> None:
        """Run this in a later turn of the loop."""


class NodeLinks:
    """See the module. It has the operations of a Link."""

    __slots__ = (
        "_closing",
        "_finishing",
        "_is_open",
        "_lanes",
        "_over",
        "_owner",
        "_services",
        "_session",
        "_waiting",
        "apply",
        "at_end_of_turn",
        "counts",
        "dial",
        "from_upstream",
        "lane",
        "take",
        "takes",
        "write",
    )

    write: Callable[[bytes], None]
    counts: Callable[[bytes, int], bool]
    take: Callable[[bytes, int], None]
    from_upstream: Callable[[bytes, int], Effects]
    apply: Callable[[Effects], None]
    at_end_of_turn: Callable[[Callable[[], None]], None]
    dial: Callable[[OwnLink, str], Awaitable[None]]
    lane: Callable[[int, str], NodeLane]

    def __init__(self, owner: LinksOwner, session: Session, services: ClusterServices) -> None:
        self._owner = owner
        self._session = session
        self._services = services
        self._lanes: dict[int, NodeLane] = {}
        self._closing = False
        self._finishing = False  # the lanes are to end, once the nodes have answered
        self._is_open = False  # lane 0 is connected, and the session starts
        self._over = False  # `links_ended` is scheduled
        self._waiting: asyncio.TimerHandle | None = None
        self.takes = True
        """The lanes are read."""
        self.counts = owner.counts_upstream  # methods here would add calls to each read
        self.take = owner.lane_received
        self.from_upstream = session.from_upstream
        self.apply = owner.apply
        self.at_end_of_turn = services.end_of_turn.add
        self.dial = services.dial
        self.lane = partial(NodeLane, self)
        """Makes a lane, with its number and its node."""
        self.write = self._write_home

    async def open(self, setup: tuple[Opening, ...], announce: str) -> Callable[[], Effects]:
        """Connect lane 0. Returns the session's start, which the caller calls at once. Raises UpstreamError.

        The home nodes of all clients are spread over the masters. `announce`: see `Session.start`.
        """
        slots = await self._services.slots()
        first = self._owner.number % len(slots.nodes)
        home = await self._open_home([*slots.nodes[first:], *slots.nodes[:first]])
        now = await self._services.slots()  # at once, because a map is known
        slots = now if home in now.nodes else slots
        return partial(self._session.start, setup, slots=slots, home=home, announce=announce)

    async def _open_home(self, nodes: list[str]) -> str:
        """Connect lane 0 to the first of these nodes that can be reached. Returns it. Raises UpstreamError."""
        failures: list[str] = []
        for node in nodes:
            lane = NodeLane(self, 0, node)
            try:
                await lane.connect()
            except UpstreamError as error:
                lane.cut()
                failures.append(str(error))
            except asyncio.CancelledError:
                lane.cut()
                raise
            else:
                if not lane.link.is_closing:
                    self._is_open, self.write = True, lane.write
                    return node
                failures.append(f"{node} has closed the connection")
        raise UpstreamError(failures[0])

    def begin_shared(self, lane: Callable[[int, str], NodeLane]) -> None:
        """Begin without a lane. `lane`: see the attribute."""
        self._is_open, self.lane = True, lane

    def _write_home(self, data: bytes) -> None:
        """See Link. Lane 0 is not connected yet, or there is none, so nothing comes here."""

    def send(self, lanes: Sequence[tuple[int, bytes]]) -> int:
        """Write the bytes of lanes, at the end of this turn. Returns their number."""
        size = 0
        for number, data in lanes:
            self._lanes[number].write(data)
            size += len(data)
        return size

    def begin(self, dials: Sequence[Dial]) -> None:
        """Connect new lanes."""
        for dial in dials:
            self._dial(self.lane(dial.lane, dial.address))

    @property
    def is_dialing(self) -> bool:
        """A lane is being connected, for requests that wait. The session hears of the end of it."""
        return any(lane.dialing is not None and not lane.is_dropped for lane in self._lanes.values())

    def carry_out(self, effects: Effects) -> None:
        """Carry out the other effects on lanes."""
        for number in effects.hang_ups:
            self._hang_up(number)
        for number in effects.pauses:
            self._hold(number, True)
        for number in effects.resumes:
            self._hold(number, False)

    def slots_are_old(self) -> None:
        """The map of slots is fetched again. The session hears of it if it is still there."""
        self._services.slots_are_old(self._owner)

    def _hold(self, number: int, held: bool) -> None:
        if number in self._lanes:
            self._lanes[number].hold(held)

    def let_go(self) -> None:
        """The session ends. A lane that it holds would not be read, and one with bytes that wait would not end."""
        for lane in tuple(self._lanes.values()):
            lane.let_go()
            self._forget(lane)

    def wait_behind_blocking(self) -> None:
        """If requests wait behind a blocking command, limit that time."""
        if self._waiting is None and self._session.waits_behind_blocking:
            self._waiting = asyncio.get_running_loop().call_later(_LONGEST_WAIT, self._waited)

    def _waited(self) -> None:
        self._waiting = None
        if not self._closing and self._session.waits_behind_blocking:
            self._owner.apply(self._session.waited())

    # -- dialing and hanging up ------------------------------------------------------------------------

    def _dial(self, lane: NodeLane) -> None:
        self._lanes[lane.id] = lane
        lane.adjust()  # the client may not read
        lane.dialing = self._services.start(self._connect(lane), f"dial {self._owner.number}")
        lane.dialing.add_done_callback(partial(self._dialed, lane))

    async def _connect(self, lane: NodeLane) -> None:
        try:
            await lane.connect()
        except UpstreamError as error:
            lane.cut()
            lane.dialing = None
            self._forget(lane)
            if not lane.is_dropped:
                self._owner.apply(self._session.lane_failed(lane.id, str(error)))
        except asyncio.CancelledError:
            lane.cut()
            raise
        else:
            lane.dialing = None
            if lane.is_over:  # the node has closed already
                self.lane_told_all(lane)
            elif not lane.is_dropped:
                self._owner.apply(self._session.lane_ready(lane.id))

    def _dialed(self, lane: NodeLane, task: "asyncio.Task[None]") -> None:
        lane.dialing = None
        self._forget(lane)
        if not task.cancelled() and task.exception() is not None:
            self._owner.abort()

    def _hang_up(self, number: int) -> None:
        if number in self._lanes:
            self._drop(self._lanes[number], NodeLane.close)

    def _drop(self, lane: NodeLane, end: Callable[[NodeLane], None]) -> None:
        """Close a lane, or cancel its dial. The session gets nothing more of it."""
        lane.drop()
        if lane.dialing is not None:
            lane.dialing.cancel()
        elif lane.is_over:  # the node has closed before, and the session had not taken all bytes
            self._forget(lane)
        else:
            lane.flush()
            end(lane)

    def _forget(self, lane: NodeLane) -> None:
        if lane.is_over and self._lanes.get(lane.id) is lane:
            del self._lanes[lane.id]
        self._end_if_over()

    # -- the lanes' events -----------------------------------------------------------------------------

    def lane_made(self, lane: NodeLane) -> None:
        """See LaneOwner."""
        self._lanes[lane.id] = lane
        self._services.lane_opened(lane.node)

    def lane_unmade(self, lane: NodeLane) -> None:
        """See LaneOwner."""
        self._services.lane_closed(lane.node)

    def lane_waits(self, lane: NodeLane) -> None:
        """See LaneOwner."""
        self._owner.wait_turn(lane.take_turn)

    def lane_full(self) -> None:
        """See LaneOwner."""
        self._owner.link_full(any(lane.full for lane in self._lanes.values()))

    def lane_ended(self, lane: NodeLane, *, has_told_all: bool) -> None:
        """See LaneOwner."""
        if has_told_all or lane.is_dropped:
            self.lane_told_all(lane)
        if not self._closing:
            self.lane_full()

    def lane_told_all(self, lane: NodeLane) -> None:
        """See LaneOwner. While the lane is being dialed, the end of the dial comes here."""
        if lane.dialing is None:
            self._forget(lane)
            if self._is_open and not lane.is_dropped:
                self._owner.apply(self._session.lane_lost(lane.id))

    @property
    def waits_for_others(self) -> bool:
        """The replies to other clients delay the next reply."""
        is_turn_of = self._session.is_turn_of
        return any(lane.waits_for_others and is_turn_of(number) for number, lane in self._lanes.items())

    # -- as a link -------------------------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        """See Link."""
        return self._closing

    @property
    def unsent(self) -> int:
        """See Link. The receive buffers of the lanes are included."""
        return sum(lane.memory for lane in self._lanes.values())

    def pause(self) -> None:
        """See Link."""
        self._take(False)

    def resume(self) -> None:
        """See Link."""
        self._take(True)

    def _take(self, takes: bool) -> None:
        self.takes = takes
        for lane in tuple(self._lanes.values()):
            lane.adjust()

    def finish(self) -> bool:
        """See Link. Lanes that are being dialed, and those that cannot do this, are closed.

        The session may go on. It still gets the last bytes of a lane that has ended, and hears of the end.
        """
        self._finishing = True
        can_finish = False
        for lane in tuple(self._lanes.values()):
            lane.flush()
            if lane.dialing is not None:
                self._drop(lane, NodeLane.close)
            elif not lane.is_dropped:
                if lane.is_over or lane.link.finish():
                    can_finish = True
                else:
                    lane.close()
        return can_finish

    def close(self) -> None:
        """See Link."""
        self._end(NodeLane.close)

    def abort(self) -> None:
        """See Link."""
        self._end(NodeLane.abort)

    def _end(self, end: Callable[[NodeLane], None]) -> None:
        self._closing = True
        if self._waiting is not None:
            self._waiting.cancel()
        for lane in tuple(self._lanes.values()):
            self._drop(lane, end)
        self._end_if_over()

    def _end_if_over(self) -> None:
        """Tell the connection, in the next turn, if all lanes have ended."""
        if (self._closing or self._finishing) and not self._lanes and not self._over:
            self._over = True
            asyncio.get_running_loop().call_soon(self._owner.links_ended)
