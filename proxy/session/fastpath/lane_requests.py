"""The fast path for requests to a cluster: as `requests`, where each usual request goes to the lane of its key."""

from collections.abc import Callable
from typing import Any

from proxy.commands import find
from proxy.policy import Policy
from proxy.resp import Request, RequestParser
from proxy.session.cluster import Cluster
from proxy.session.counters import Tally
from proxy.session.fastpath.flat_lanes import FlatLaneRequests, record_parts
from proxy.session.fastpath.requests import RequestPath, longest_of
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget


class LaneRequests(RequestPath):
    """See the module."""

    __slots__ = ("_cluster", "_of_lanes")

    def __init__(
        self,
        policy: Policy,
        parser: RequestParser,
        conversation: Conversation,
        budget: TurnBudget,
        tally: Tally,
        cluster: Cluster,
    ) -> None:
        """`parser`: gets the bytes that are not taken."""
        self._of_lanes = FlatLaneRequests(conversation, tally, cluster)
        super().__init__(policy, parser, conversation, budget, tally, cluster.mailbox)
        self._cluster = cluster

    def set_policy(self, policy: Policy) -> bool:
        """See RequestPath."""
        is_allowed = super().set_policy(policy)
        limits = policy.limits
        room, held = limits.inline_encode_bytes, limits.buffered_bytes
        self._of_lanes.use(self._table, longest_of(limits), limits.turn_steps, limits.pending_commands, held, room)
        return is_allowed

    @property
    def take(self) -> Callable[[bytes], Any]:
        """See RequestPath. Returns the number and the bytes of each lane."""
        return self._of_lanes.take

    def take_other(self, data: bytes) -> None:
        """See RequestPath."""
        self._parser.feed(data[self._of_lanes.taken :])

    def pass_on(self, _data: bytes) -> int:
        """See RequestPath. No request passes before it is whole."""
        return 0

    def take_ready(self, request: Request) -> bool:
        """See RequestPath. If it does not take the request, the session knows its way afterwards."""
        cluster = self._cluster
        if cluster.is_calm and not self._conversation.subscribed and super().take_ready(request):
            return True
        row = find(request.args)
        if row is None or not cluster.router.aim(row, request):
            return False
        self._tally.commands[row] += 1
        return True

    def _write(self, commands: list[list[bytes]], raw: bytes, room: int) -> tuple[int, int] | None:
        lanes = self._cluster.lanes
        taken = self._table.take_by_node(commands, raw, room, lanes.slots.owners)
        if taken is None:
            return None
        parts, order, size, watched = taken
        for node, out, _, _ in parts:
            lanes.write(lanes.opened(node), out)
        args = commands[watched] if watched >= 0 else []
        record_parts(self._conversation, self._tally, lanes, parts, order, args, watched, 0.0)
        return sum(part[2] for part in parts), size
