"""The fast path for replies of a cluster: as `replies`, for the lanes in the order of the client's FIFO."""

from proxy.policy import SessionLimits
from proxy.session.cluster import Cluster
from proxy.session.counters import Tally
from proxy.session.delivery import Delivery
from proxy.session.fastpath.flat import TakenReplies
from proxy.session.fastpath.flat_lanes import FlatLaneReplies, take_of_lanes
from proxy.session.fastpath.replies import ReplyPath
from proxy.session.lane import Lane
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget


class LaneReplies(ReplyPath):
    """See the module."""

    __slots__ = ("_of_lanes", "take_lane")

    def __init__(
        self, delivery: Delivery, conversation: Conversation, budget: TurnBudget, tally: Tally, cluster: Cluster
    ) -> None:
        """No reply received."""
        self._of_lanes = FlatLaneReplies(conversation, tally, cluster)
        super().__init__(delivery, conversation, budget, tally)
        self.take_lane = self._of_lanes.take
        """Take a read of a lane: its bytes and its number. Returns the bytes for the client, if that is all.

        None: the framer has the rest.
        """

    def set_limits(self, limits: SessionLimits) -> None:
        """See ReplyPath."""
        super().set_limits(limits)
        self._of_lanes.use(limits.turn_steps, limits.inline_decode_bytes)

    def _take(self, lane: Lane, most: int, room: int) -> TakenReplies | None:
        """See ReplyPath. The replies may be of several lanes."""
        if self._delivery.levels or self._delivery.framer.forwarding:
            return None
        taken = take_of_lanes(self._conversation, most, room, self._tally)
        return None if taken is None else (taken.out, taken.converted, False)
