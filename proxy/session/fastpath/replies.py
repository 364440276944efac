"""The fast path for replies: moves all usual replies of a read at once.

It runs while replies do not change the state of the conversation. The engine decodes values. `ReplyHalf` gives the same
result, one reply at a time.
"""

from proxy.policy import SessionLimits
from proxy.session.counters import Tally
from proxy.session.delivery import Delivery
from proxy.session.fastpath.flat import FlatReplies, TakenReplies, count_values, take_some_replies
from proxy.session.lane import Lane
from proxy.session.state import Conversation, Mark
from proxy.session.turn_budget import TurnBudget


class ReplyPath:
    """See the module."""

    __slots__ = ("_budget", "_conversation", "_delivery", "_flat", "_tally", "take")

    def __init__(self, delivery: Delivery, conversation: Conversation, budget: TurnBudget, tally: Tally) -> None:
        """No reply received. `tally` hears of Flask's values that no rule manages."""
        self._tally = tally
        self._delivery = delivery
        self._conversation = conversation
        self._budget = budget
        self._flat = FlatReplies(conversation, tally, delivery.levels, delivery.out, delivery.goes_on)
        self.take = self._flat.take
        """Take a read on a plain Redis. Returns the bytes for the client, if all replies are usual.

        None: the framer has the rest.
        """
        self.set_limits(budget.limits)

    def set_limits(self, limits: SessionLimits) -> None:
        """Use these limits from now on."""
        self._flat.use(limits.turn_steps, limits.inline_decode_bytes)

    def take_some(self) -> bool:
        """Move the usual replies at the head, within the budget. False: the next reply is not usual, or not whole."""
        conversation, budget, delivery = self._conversation, self._budget, self._delivery
        owed, lane = conversation.owed, delivery.lane
        if conversation.marks & Mark.REPLIES_MATTER or delivery.levels or not owed.size or owed.first is not lane:
            return False
        size = owed.size
        taken = self._take(lane, budget.replies, max(0, budget.decode_bytes))
        if taken is None:
            return False
        out, converted, is_cut = taken
        if is_cut:
            delivery.goes_on()
        if converted:
            count_values(self._tally, converted, 0.0)
            budget.decode_bytes -= 2 * len(out)  # the stored bytes too
        delivery.out.append(out)
        budget.replies -= size - owed.size - 1  # the caller counts one
        return True

    def _take(self, lane: Lane, most: int, room: int) -> TakenReplies | None:
        """See `take_some_replies`. `lane`: the one at the head."""
        conversation = self._conversation
        return take_some_replies(conversation, lane, min(most, conversation.owed.first_count), room, self._tally)
