"""The lanes of a conversation with a cluster: opened on demand, written to, lost.

Contract: each request is kept until its reply has come, because a redirect needs it again. Its bytes count in
`Conversation.pending_bytes`. A new lane gets our openings first, and then the commands that the client has sent for all
lanes.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto
from itertools import islice
from typing import Final, NamedTuple

from proxy.resp import encode
from proxy.session import error_texts
from proxy.session.cluster.kept import NO_SLOT, NOT_KEPT, Kept, Sent
from proxy.session.effects import Dial, LaneBytes
from proxy.session.expected_replies import Entry
from proxy.session.lane import Lane, Suppressed
from proxy.session.slots import NOBODY, SlotMap
from proxy.session.state import Conversation

PAUSE: Final = 64 * 1024
"""Bytes that a lane may hold while it is not its turn."""


_NOT_SERVED: Final = encode.error("CLUSTERDOWN Hash slot not served")


class Mail(NamedTuple):
    """A request to write on a lane."""

    raw: bytes
    entry: Entry
    sent: Sent = NOT_KEPT
    delivered: bool = False
    """The client gets the reply."""


class Phase(Enum):
    """The life of a lane."""

    NEW = auto()
    """Nobody has used it yet."""
    DIALING = auto()
    READY = auto()
    LOST = auto()


READY: Final = Phase.READY


class NodeLane(Lane):
    """The lane of one node. Not in any list: a waiting room for a request whose way is not known yet."""

    __slots__ = ("address", "is_paused", "kept", "number", "phase", "why_lost")

    def __init__(self, conversation: Conversation, number: int, address: str, phase: Phase = Phase.NEW) -> None:
        """`number`: in effects. `address`: `host:port`."""
        super().__init__()
        self.kept = Kept(conversation)
        self.owed = self.kept
        self.number = number
        self.address = address
        self.phase = phase
        self.is_paused = False
        self.why_lost = b""
        """The error that the client gets for each outstanding request, once the lane is lost."""

    def expect(self, entry: Entry, sent: Sent) -> None:
        """Append an entry and its request."""
        self.kept.append(entry)
        self.kept.keep(sent)


class Lanes:
    """See the module."""

    __slots__ = (
        "_by_address",
        "_conversation",
        "_detours",
        "_last",
        "by_number",
        "dials",
        "hang_ups",
        "home",
        "of_node",
        "openings",
        "owes_errors",
        "slots",
        "written",
    )

    def __init__(self, conversation: Conversation, slots: SlotMap, home: str, *, is_connected: bool = True) -> None:
        """`home`: the node of the home lane. `is_connected`: lane 0 is connected to it; else no lane is."""
        self._conversation = conversation
        self._last = 0
        first = NodeLane(conversation, 0, home, Phase.READY) if is_connected else self._make(home)
        self.home = conversation.home = first
        """The lane for requests that any node can answer."""
        conversation.lanes[:] = [first] if is_connected else []
        self.by_number: dict[int, NodeLane] = {0: first} if is_connected else {}
        """All lanes that are not lost and not new."""
        self._by_address: dict[str, NodeLane] = {home: first}
        self._detours: list[NodeLane] = []
        self.openings: Callable[[], list[Mail]] = list
        """The first commands of a new lane."""
        self.owes_errors = False
        """A request was written on a lane that was lost already. It stays true until nothing is outstanding."""
        self.written: list[NodeLane] = []
        """Lanes with bytes to be sent."""
        self.dials: list[Dial] = []
        self.hang_ups: list[int] = []
        self.slots = slots
        self.of_node: list[NodeLane | None] = []
        """The lane of each node of the map, if it is connected or being connected."""
        self.use(slots)

    # -- the map ---------------------------------------------------------------------------------------

    def use(self, slots: SlotMap) -> None:
        """Use a new map. Nothing may be outstanding, so lanes of nodes that have left are closed, but not home's."""
        self.slots = slots
        lanes = [self._by_address.get(address) for address in slots.nodes]
        self.of_node = [None if lane is None or lane.phase is Phase.NEW else lane for lane in lanes]
        for lane in [lane for lane in self._by_address.values() if not slots.has(lane.address)]:
            if lane is not self.home and not lane.owed.size:
                self.close(lane)

    def of_slot(self, slot: int) -> NodeLane:
        """The lane of the node that has a slot. If no node has it, a lane that is lost."""
        index = self.slots.owners[slot]
        if index == NOBODY:
            return self._nowhere()
        return self.of_node[index] or self.to(self.slots.nodes[index])

    def _nowhere(self) -> NodeLane:
        lane = NodeLane(self._conversation, NO_SLOT, "", Phase.LOST)
        lane.why_lost = _NOT_SERVED
        return lane

    def of_masters(self) -> list[NodeLane]:
        """A lane for each master, in the order of the map. There is one at least: it may be lost."""
        return [self.to(address) for address in self.slots.nodes] or [self._nowhere()]

    def to(self, address: str) -> NodeLane:
        """The lane to a node. It may be new."""
        lane = self._by_address.get(address)
        if lane is None:
            lane = self._by_address[address] = self._make(address)
        return lane

    def detour(self, address: str) -> NodeLane:
        """A lane to a node with no reply outstanding, for a request that is sent again.

        Its reply is the next that the client gets. So it cannot come behind the replies that the usual lane owes.
        """
        for lane in (self.to(address), *self._detours):
            is_clean = lane is self.home or not lane.framer.buffered  # home may hold pushes
            if lane.address == address and not lane.owed.size and is_clean:
                return lane
        lane = self._make(address)
        self._detours.append(lane)
        return lane

    def room(self, address: str, mail: Mail) -> NodeLane:
        """A lane without a connection. The reply to the request in it is the next that the client gets."""
        lane = NodeLane(self._conversation, NO_SLOT, address, Phase.DIALING)
        self._expect_first(lane, (mail,))
        return lane

    def owes_others(self, slot: int) -> bool:
        """Whether more than one request of a slot is outstanding."""
        its = (found for lane in self._conversation.lanes if isinstance(lane, NodeLane) for found in lane.kept.of(slot))
        return len([*islice(its, 2)]) > 1

    def end_detours(self) -> None:
        """Close the detours. Nothing is outstanding on them."""
        for lane in tuple(self._detours):
            self.close(lane)

    def _make(self, address: str) -> NodeLane:
        self._last += 1
        return NodeLane(self._conversation, self._last, address)

    # -- writing ---------------------------------------------------------------------------------------

    def put(self, lane: NodeLane, mail: Mail) -> None:
        """Write a request on a lane, behind all others."""
        if lane.phase is Phase.NEW:
            self.open(lane)
        elif not lane.owed.size and lane.framer.buffered and lane is not self.home:
            self._conversation.fail("a reply without a request")
        conversation = self._conversation
        if lane.phase is Phase.LOST:
            conversation.has_answers = self.owes_errors = True  # see `Cluster.settle`
        else:
            self.write(lane, mail.raw)
        conversation.owe(lane, mail.entry, 1, mail.delivered)
        lane.kept.keep(mail.sent)
        conversation.pending_bytes += mail.entry.size + len(mail.sent.raw)

    def open(self, lane: NodeLane) -> None:
        """Dial a new lane, and write its first commands. Any other lane is open."""
        if lane.phase is Phase.NEW:
            self._dial(lane)
            for opening in self.openings():
                self.put(lane, opening)

    def write(self, lane: NodeLane, raw: bytes) -> None:
        """Write bytes on a lane that is not lost. The caller appends their entries."""
        if not lane.out:
            self.written.append(lane)
        lane.out.append(raw)

    def take_written(self) -> list[LaneBytes]:
        """The bytes that can be sent now. Those of lane 0 leave by another way."""
        taken, self.written, waiting = [], [], self.written
        for lane in waiting:
            if lane.phase is Phase.READY and lane.number:
                taken.append(LaneBytes(lane.number, b"".join(lane.out)))
                lane.out.clear()
            elif lane.phase is Phase.DIALING:
                self.written.append(lane)
        return taken

    def opened(self, index: int) -> NodeLane:
        """The lane of a node of the map, open for usual requests."""
        lane = self.of_node[index]
        if lane is None:
            lane = self.to(self.slots.nodes[index])
            self.open(lane)
        elif lane.framer.buffered and not lane.owed.size and lane is not self.home:
            self._conversation.fail("a reply without a request")
        return lane

    def put_first(self, lane: NodeLane, mails: Iterable[Mail]) -> None:
        """Write requests on a lane whose replies are the next that the client gets."""
        mails = list(mails)
        if lane.phase is Phase.NEW:
            self._dial(lane)
            mails = [*self.openings(), *mails]
        for mail in mails:
            self.write(lane, mail.raw)
        self._expect_first(lane, mails)

    def _expect_first(self, lane: NodeLane, mails: Sequence[Mail]) -> None:
        conversation = self._conversation
        for mail in mails:
            lane.expect(mail.entry, mail.sent)
            conversation.pending_bytes += mail.entry.size + len(mail.sent.raw)
        for mail in reversed(mails):
            conversation.owed.push(lane if mail.delivered else Suppressed(lane))

    def _dial(self, lane: NodeLane) -> None:
        lane.phase = Phase.DIALING
        self.by_number[lane.number] = lane
        self._conversation.lanes.append(lane)
        self.dials.append(Dial(lane.number, lane.address))
        if self._by_address.get(lane.address) is lane and lane.address in self.slots.nodes:
            self.of_node[self.slots.nodes.index(lane.address)] = lane

    # -- the end of a lane -----------------------------------------------------------------------------

    def close(self, lane: NodeLane) -> None:
        """Close a lane on which nothing is outstanding."""
        if lane.phase is not Phase.NEW:
            self.hang_ups.append(lane.number)
        self.lose(lane, b"")

    def close_all(self) -> None:
        """Close all lanes. Nothing is outstanding. The next requests open new ones."""
        for lane in tuple(self.by_number.values()):
            self.close(lane)

    def lose(self, lane: NodeLane, why: bytes) -> None:
        """A lane is lost. The next request to its node opens another.

        `why`: the error for requests on it. A transaction may still write some. Empty: a general one.
        """
        lane.phase, lane.why_lost = Phase.LOST, why or encode.error(error_texts.lane_lost(lane.address))
        self.by_number.pop(lane.number, None)
        if self._by_address.get(lane.address) is lane:
            del self._by_address[lane.address]
        if lane in self._detours:
            self._detours.remove(lane)
        self.of_node = [None if other is lane else other for other in self.of_node]
        if lane is self.home:
            self.move_home()
        if not lane.owed.size and lane in self._conversation.lanes:
            self._conversation.lanes.remove(lane)

    def move_home(self) -> None:
        """Take another node as home, the next one of the map."""
        home, nodes = self.home, self.slots.nodes
        if nodes:
            at = nodes.index(home.address) if home.address in nodes else home.number % len(nodes)
            self.home = self._conversation.home = self.to(nodes[(at + 1) % len(nodes)])
