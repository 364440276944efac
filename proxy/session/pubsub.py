"""Replies that no single request has asked for: pushes, messages, and confirmations of subscriptions."""

from typing import Final

from proxy.resp import FramingError
from proxy.session.delivery import ARRAY, ERRORS, Delivery, nothing
from proxy.session.expected_replies import Subscription
from proxy.session.state import Conversation

_MESSAGES: Final = frozenset({b"message", b"pmessage", b"smessage"})
_CONFIRMATIONS: Final = frozenset(
    {b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe"}
)
_LONGEST_KIND: Final = 32
_LONGEST_COUNT: Final = 19


class PubSub:
    """See the module. A method returns False if it needs more bytes. Each raises FramingError at any doubt."""

    __slots__ = ("_conversation", "_delivery", "confirmed")

    def __init__(self, delivery: Delivery, conversation: Conversation) -> None:
        """No subscription."""
        self._delivery = delivery
        self._conversation = conversation
        self.confirmed = 0
        """Confirmations that have come for the subscription at the head."""

    def push(self) -> bool:
        """Handle a push (RESP3)."""
        delivery = self._delivery
        kind = delivery.framer.first_bulk(_LONGEST_KIND)
        if kind is None:
            return False
        if kind in _CONFIRMATIONS:
            return delivery.collect(self._confirm)
        return delivery.forward(delivery.pushes, nothing)

    def message(self) -> bool:
        """Handle an array for a RESP2 subscriber: a message, a confirmation, or the reply to PING."""
        delivery = self._delivery
        kind = delivery.framer.first_bulk(_LONGEST_KIND)
        if kind is None:
            return False
        if kind in _MESSAGES:
            return delivery.forward(delivery.out, nothing)
        if kind in _CONFIRMATIONS:
            return delivery.collect(self._confirm)
        if delivery.head() is None:
            raise FramingError("a reply without a request")
        return delivery.forward(delivery.target(), delivery.complete)

    def subscription(self, kind: int) -> bool:
        """Handle the first confirmation in RESP2, or an error."""
        if kind in ERRORS:
            return self._delivery.pass_on(kind)
        if kind != ARRAY:
            raise FramingError("an unexpected kind of reply to a subscription")
        return self._delivery.collect(self._confirm)

    def _confirm(self) -> None:
        """Handle a whole confirmation: `kind`, channel, and Redis' count of subscriptions."""
        delivery = self._delivery
        frame = delivery.whole()
        delivery.pushes.append(frame)
        total = frame[:-2].rpartition(b":")[2]
        kind = b"".join(frame.split(b"\r\n", 3)[2:3])
        if not total.isdigit() or len(total) > _LONGEST_COUNT or kind not in _CONFIRMATIONS:
            raise FramingError("a confirmation without a count")
        self._conversation.count_confirmation(kind, int(total))
        head = self._conversation.head  # None as well if it comes unasked, and the next reply is ours
        if isinstance(head, Subscription) and head.kind == kind and not delivery.levels:
            self.confirmed += 1
            if self.confirmed == head.confirmations:
                self.confirmed = 0
                delivery.complete()
