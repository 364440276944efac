"""A conversation's part of a cluster: the lanes, the trouble, and the ways of requests and replies, tied together."""

from collections.abc import Callable
from typing import Final

from proxy.resp import ReplyFramer
from proxy.session.cluster.entries import Echo, Streamed
from proxy.session.cluster.kept import NO_SLOT
from proxy.session.cluster.lanes import PAUSE, Lanes, NodeLane, Phase
from proxy.session.cluster.mailbox import Mailbox
from proxy.session.cluster.redirects import Redirects
from proxy.session.cluster.router import Router
from proxy.session.cluster.trouble import Following, Trouble
from proxy.session.counters import Tally
from proxy.session.delivery import Delivery
from proxy.session.effects import Effects
from proxy.session.expected_replies import Blocking, Setup, StateChange, Step
from proxy.session.slots import SlotMap
from proxy.session.state import Conversation

_ENDS_MULTI: Final = frozenset({Step.EXEC, Step.DISCARD})
_CUT: Final = "a node was lost in the middle of its reply"


class Cluster:
    """See the module. Its caller settles both halves after each event."""

    __slots__ = (
        "_announce",
        "_conversation",
        "_delivery",
        "_has_gate",
        "_redirects",
        "_tally",
        "lanes",
        "mailbox",
        "paused",
        "router",
        "trouble",
    )

    def __init__(
        self,
        conversation: Conversation,
        tally: Tally,
        lanes: Lanes,
        announce: str,
        has_gate: Callable[[], bool],
    ) -> None:
        """`announce`: see `Session.start`. `has_gate`: see Router."""
        self._conversation = conversation
        self._tally = tally
        self._announce = announce
        self._has_gate = has_gate
        self.lanes = lanes
        self.trouble = Trouble(conversation)
        self._delivery = Delivery(conversation)
        self.paused: list[NodeLane] = []
        """Lanes that may have to be paused or resumed."""

    def use(self, mailbox: Mailbox) -> None:
        """Write requests by this mailbox from now on. It must be called first. Nothing is outstanding."""
        conversation, lanes = self._conversation, self.lanes
        self.mailbox = mailbox
        self.router = Router(conversation, lanes, mailbox, self._announce, self._has_gate)
        self._redirects = Redirects(conversation, self._delivery, lanes, mailbox.transaction, self.trouble, self._tally)
        conversation.on_error = self._redirects.take

    @property
    def delivery(self) -> Delivery:
        """The reply half must use it too."""
        return self._delivery

    @property
    def is_calm(self) -> bool:
        """Requests can be written as they come, and replies can move without `settle`."""
        trouble = self.trouble
        return trouble.state is None and trouble.map is None and not self.lanes.owes_errors

    # -- events of lanes -------------------------------------------------------------------------------

    def fed(self, number: int) -> None:
        """The framer of a lane has got bytes. Bytes that nobody has asked for show that the lane is of no use."""
        lane = self.lanes.by_number.get(number)
        if lane is None:
            return
        if lane.owed.size or lane is self.lanes.home:
            if not lane.is_paused and lane.framer.buffered > PAUSE:
                self.paused.append(lane)
        else:
            self.lanes.close(lane)

    def ready(self, number: int) -> None:
        """A lane is connected."""
        lane = self.lanes.by_number.get(number)
        if lane is not None:
            lane.phase = Phase.READY

    def lost(self, number: int, error: bytes = b"") -> None:
        """A lane is lost. `error`: for each request that is outstanding on it; empty: they may have been done."""
        lane = self.lanes.by_number.get(number)
        if lane is None:
            return
        conversation = self._conversation
        is_home = lane is self.lanes.home
        self.trouble.slots_are_old = True
        self.lanes.lose(lane, error)
        if is_home and (any(conversation.subscribed.values()) or conversation.monitoring):
            conversation.fail("the connection to the node of the client's subscriptions was lost")
        else:
            self.trouble.begin()

    def doubt_slots(self) -> None:
        """A node may hang, so the map may be old."""
        self.trouble.slots_are_old = True

    def is_turn_of(self, number: int) -> bool:
        """See Session."""
        return self.lanes.by_number.get(number) is self._conversation.lane

    # -- the map ---------------------------------------------------------------------------------------

    def new_slots(self, slots: SlotMap | None, *, asked: bool) -> None:
        """See `Session.new_slots`. None: the fetch has failed."""
        if slots is not None:
            self.trouble.map = slots
        if asked:
            self._redirects.decide(slots)

    @property
    def waits_behind_blocking(self) -> bool:
        """See Session."""
        conversation = self._conversation
        is_last = isinstance(self.trouble.state, Following) and conversation.owed.size == 1
        return is_last and type(conversation.head) is Blocking

    def waited(self) -> None:
        """See Session. Only the blocking command is outstanding, so nothing can overtake another one."""
        if self.waits_behind_blocking:
            self._begin_again()

    def _begin_again(self) -> None:
        self.trouble.end()
        self.lanes.end_detours()
        self._use_map()
        self.mailbox.release()

    def _use_map(self) -> None:
        """Use the new map, if there is one. A transaction, and the watch before it, keep their lane and their map."""
        trouble, transaction = self.trouble, self.mailbox.transaction
        if trouble.map is None or transaction.is_open or transaction.lane is not None:
            return
        self.lanes.use(trouble.map)
        trouble.map = None
        home, conversation = self.lanes.home, self._conversation
        is_bound = any(conversation.subscribed.values()) or conversation.monitoring or home.owed.size
        if home.address not in self.lanes.slots.nodes and not is_bound:
            self.lanes.move_home()
            if self.lanes.home is not home:
                self.lanes.close(home)

    # -- settling --------------------------------------------------------------------------------------

    def hold_requests(self) -> None:
        """See Trouble."""
        self.trouble.hold_requests()

    def settle(self) -> bool:
        """Go on where replies cannot: a lane is lost, or nothing is outstanding. False: there is nothing to do.

        To be called when all replies that have come have moved.
        """
        conversation, delivery = self._conversation, self._delivery
        if delivery.framer.forwarding:  # a reply, or a push of home before the reply of another lane
            if isinstance(delivery.lane, NodeLane) and delivery.lane.phase is Phase.LOST:
                conversation.fail(_CUT)
            return False
        if conversation.owed.size:
            return self._answer_lost()
        self.lanes.owes_errors = False
        if self.trouble.state is None:
            self._use_map()
            return False
        conversation.lanes[:] = [*self.lanes.by_number.values()]
        self._begin_again()
        return True

    def _answer_lost(self) -> bool:
        """Let an error stand for the next reply, if its lane is lost and has no whole reply."""
        conversation, delivery = self._conversation, self._delivery
        lane = conversation.lane
        if not isinstance(lane, NodeLane) or lane.phase is not Phase.LOST:
            return False
        entry = lane.owed.first
        is_begun = lane is delivery.lane and (delivery.levels or delivery.pieces)
        if is_begun or (delivery.joined is not None and isinstance(entry, Streamed)):
            conversation.fail(_CUT)
            return False
        if lane.number == NO_SLOT:
            self.trouble.slots_are_old = True
        lane.framer = ReplyFramer()  # it may hold the beginning of a reply
        if lane is delivery.lane:
            delivery.framer = lane.framer
        if isinstance(entry, Setup | Echo):
            conversation.pending_bytes -= entry.size
            conversation.serve(lane)
            return True
        if isinstance(entry, StateChange) and entry.step in _ENDS_MULTI:
            conversation.leave_multi()
        lane.framer.feed(lane.why_lost)
        return True

    def fill(self, effects: Effects) -> None:
        """Add what the lanes have for the caller."""
        lanes, trouble = self.lanes, self.trouble
        if lanes.written:
            effects.lanes = lanes.take_written()
        if lanes.dials or lanes.hang_ups:
            effects.dials, lanes.dials = lanes.dials, []
            effects.hang_ups, lanes.hang_ups = lanes.hang_ups, []
        if trouble.slots_are_old:
            effects.slots_are_old, trouble.slots_are_old = True, False
        if self.paused:
            self._fill_pauses(effects, self._conversation)

    def _fill_pauses(self, effects: Effects, conversation: Conversation) -> None:
        """A lane that holds much is paused, unless it is its turn."""
        pauses, resumes = [], []
        for lane in tuple(self.paused):
            is_full = lane.framer.buffered > PAUSE and lane is not conversation.lane and lane.phase is Phase.READY
            if is_full and not lane.is_paused:
                pauses.append(lane.number)
            elif not is_full:
                self.paused.remove(lane)
                if lane.is_paused and lane.phase is Phase.READY:
                    resumes.append(lane.number)
            lane.is_paused = is_full
        effects.pauses, effects.resumes = pauses, resumes
