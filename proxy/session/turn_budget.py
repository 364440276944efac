"""The work that one turn of the event loop may do for one session, so that a large request does not delay others."""

from proxy.policy import SessionLimits


class TurnBudget:
    """Numbers that each part counts down as it works. Each event renews them."""

    __slots__ = ("decode_bytes", "encode_bytes", "limits", "replies", "requests", "values", "wants_turn")

    def __init__(self, limits: SessionLimits) -> None:
        """All 0 before the first event. `limits`: the current ones."""
        self.limits = limits
        self.requests = self.replies = 0
        """Requests and replies that may still be handled."""
        self.values = 0
        """Values that may still be encoded."""
        self.encode_bytes = self.decode_bytes = 0
        """Bytes that the event loop may still convert itself, without the converter."""
        self.wants_turn = False
        """A part of the session has used up its budget and must continue in the next turn. That part sets it."""

    def renew(self) -> None:
        """Renew the numbers for an event."""
        limits = self.limits
        self.requests = self.replies = self.values = limits.turn_steps
        self.encode_bytes = limits.inline_encode_bytes
        self.decode_bytes = limits.inline_decode_bytes

    def take_turn(self) -> None:
        """Renew the numbers for the next turn. A part that still has work sets `wants_turn` again."""
        self.wants_turn = False
        self.renew()
