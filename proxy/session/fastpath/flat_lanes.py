"""The flat functions of the fast path on a cluster: as `flat`, for the lanes of a conversation.

These are the references. The native engine has its own classes. Both work only while there is no trouble. So the order
of a lane and of the client's FIFO are those of the long way.
"""

from typing import TYPE_CHECKING

from proxy.engine import ENGINE
from proxy.resp.hiredis_reader import whole_commands
from proxy.session.cluster import Cluster
from proxy.session.cluster.entries import Streamed
from proxy.session.cluster.lanes import PAUSE, READY, Lanes, NodeLane
from proxy.session.counters import Tally
from proxy.session.fastpath.flat import TIMED, count_values
from proxy.session.fastpath.plan import Plan
from proxy.session.fastpath.reference import ReferenceTable
from proxy.session.fastpath.reference_replies import JoinedReplies, take_joined
from proxy.session.state import Conversation, Mark

Part = tuple[int, bytes, int, list[tuple[Plan, int]]]
"""Requests for one node: its index in the map, their bytes, their number, and the runs of their plans."""


class FlatLaneRequests:
    """Takes reads of which every request is usual, and splits each by nodes. Each lane gets its bytes in one piece."""

    __slots__ = ("_cluster", "_conversation", "_limits", "_table", "_tally", "_untimed", "taken")

    def __init__(self, conversation: Conversation, tally: Tally, cluster: Cluster) -> None:
        """`use` must follow."""
        self._conversation = conversation
        self._tally = tally
        self._cluster = cluster
        self._untimed = 0
        self.taken = 0
        """The number of bytes of the requests at the head of the last read that were taken, if not all were."""

    def use(self, table: ReferenceTable, longest: int, most: int, pending: int, held: int, room: int) -> None:
        """Use these plans and limits from now on. See FlatRequests. `held`: bytes that the entries may hold."""
        self._table = table
        self._limits = longest, most, pending, held, room

    def take(self, data: bytes) -> list[tuple[int, bytes]] | None:
        """Take a read. Returns the number and the bytes of each lane, if all requests are usual. None: see `taken`.

        The bytes of requests that were taken before other ones are written on the lanes already.
        """
        conversation, cluster = self._conversation, self._cluster
        longest, most, pending, held, room = self._limits
        self.taken = 0
        if conversation.marks or not conversation.flows or not conversation.is_dry or len(data) > longest:
            return None
        if conversation.subscribed or conversation.pending_bytes >= held or not cluster.is_calm:
            return None
        commands, lanes = whole_commands(data), cluster.lanes
        if not 0 < len(commands) <= most or conversation.owed.size + len(commands) >= pending:
            return None
        self._untimed -= 1
        began = 0.0 if self._untimed > 0 else self._tally.clock()
        taken = self._table.take_by_node(commands, data, room, lanes.slots.owners)
        if taken is None:
            return None
        parts, order, size, watched = taken
        writes = []
        for node, out, _, _ in parts:
            lane = lanes.of_node[node]
            if lane is None or lane.phase is not READY or (lane.framer.buffered and not lane.owed.size):
                return None
            writes.append((lane, out))
        args = commands[watched] if watched >= 0 else []
        if record_parts(conversation, self._tally, lanes, parts, order, args, watched, began):
            self._untimed = TIMED
        if size == len(data):
            return [(lane.number, out) for lane, out in writes]
        for lane, out in writes:
            lanes.write(lane, out)
        self.taken = size
        return None


def record_parts(
    conversation: Conversation,
    tally: Tally,
    lanes: Lanes,
    parts: list[Part],
    order: list[tuple[int, int]],
    args: list[bytes],
    watched: int,
    began: float,
) -> bool:
    """Append the entries of requests that were taken, keep the requests, and count them. True: a conversion was timed.

    `args`: the request with the number `watched`, if that is not -1. `began`: see `flat.record`.
    """
    owed, of_node, size = conversation.owed, lanes.of_node, 0
    total, is_timed = sum(part[2] for part in parts), False
    if not owed.size:
        conversation.asked = parts[0][3][0][0].command
    if watched >= 0 and conversation.watched_at < owed.taken:
        conversation.watch(args, watched)
    for node, out, done, runs in parts:
        kept = of_node[node].kept  # type: ignore[union-attr]
        for (command, rule, entry, meter, _), count in runs:
            tally.commands[command] += count
            if rule is None:
                tally.untouched += count
            else:
                tally.managed += count
                if meter is not None:
                    meter.values.count += count
                    if began and not is_timed:
                        meter.observe((tally.clock() - began) / total)
                        is_timed = True
            kept.append(entry, count)
        kept.requests.append(out, done, len(out))
        size += len(out)
    conversation.pending_bytes += size
    for node, count in order:
        owed.append(of_node[node], count)  # type: ignore[arg-type]
    return is_timed


class FlatLaneReplies:
    """Takes reads of lanes of which every reply is usual. It runs while replies do not change the conversation."""

    __slots__ = ("_cluster", "_conversation", "_limits", "_tally", "_untimed")

    def __init__(self, conversation: Conversation, tally: Tally, cluster: Cluster) -> None:
        """`use` must follow."""
        self._conversation = conversation
        self._tally = tally
        self._cluster = cluster
        self._untimed = 0

    def use(self, most: int, room: int) -> None:
        """Use these limits from now on. `most`: replies of a read. `room`: bytes that may be decoded."""
        self._limits = most, room

    def take(self, data: bytes, number: int) -> bytes | None:
        """Take a read of a lane. Returns the bytes for the client, if there is nothing else to do.

        None: the framer has the rest. If it is not the lane's turn, its bytes wait there.
        """
        conversation, cluster = self._conversation, self._cluster
        lane = cluster.lanes.by_number.get(number)
        if lane is None:
            return None
        lane.framer.feed(data)
        if conversation.waits or not conversation.flows or conversation.marks & Mark.REPLIES_MATTER:
            return None
        if cluster.paused or not cluster.is_calm or not lane.owed.size:
            return None
        owed, delivery = conversation.owed, cluster.delivery
        head = owed.first
        if head is not lane:
            waits = type(head) is NodeLane and type(head.owed.first) is not Streamed  # which needs several lanes
            # A push of home may have begun before the head was owed.
            return b"" if waits and lane.framer.buffered <= PAUSE and not lane.framer.forwarding else None
        if delivery.levels or delivery.framer.forwarding:
            return None
        most, room = self._limits
        self._untimed -= 1
        began = 0.0 if self._untimed > 0 else self._tally.clock()
        taken = take_of_lanes(conversation, most, room, self._tally)
        if taken is None:
            return None
        if taken.converted and count_values(self._tally, taken.converted, began):
            self._untimed = TIMED
        head = owed.first if owed.size else conversation.home  # whose pushes come next
        if type(head) is NodeLane and not head.framer.buffered:
            return taken.out
        delivery.out.append(taken.out)
        return None


def take_of_lanes(conversation: Conversation, most: int, room: int, tally: Tally) -> JoinedReplies | None:
    """Take usual replies of all lanes."""
    owed = conversation.owed
    found = take_joined(NodeLane, owed, most, room, max(-1, conversation.watched_at - owed.taken))
    if found is None:
        return None
    taken = JoinedReplies(*found)
    if taken.shows_flask and conversation.watched:
        tally.on_flask_value(conversation.watched)
    owed.take_runs(taken.taken)
    for lane, count in taken.lanes:
        lane.owed.take_runs(count)
    return taken


if not TYPE_CHECKING:
    FlatLaneRequests = ENGINE.of("FlatLaneRequests", FlatLaneRequests)
    FlatLaneReplies = ENGINE.of("FlatLaneReplies", FlatLaneReplies)
