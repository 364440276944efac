"""What one turn of the event loop still bears of one conversation: large ones must not hold up the others."""

from proxy.policy import SessionLimits


class Allowance:
    """Plain numbers, counted down by those who do the work; one object, because each event begins a turn."""

    __slots__ = ("decode_bytes", "encode_bytes", "limits", "replies", "requests", "values")

    def __init__(self, limits: SessionLimits) -> None:
        """Nothing, before the first turn. `limits`: those in force."""
        self.limits = limits
        self.requests = self.replies = 0
        """To be dealt with."""
        self.values = 0
        """To be encoded."""
        self.encode_bytes = self.decode_bytes = 0
        """To be converted here, and not by the converter."""

    def renew(self) -> None:
        """A turn has come."""
        limits = self.limits
        self.requests = self.replies = self.values = limits.turn_steps
        self.encode_bytes = limits.inline_encode_bytes
        self.decode_bytes = limits.inline_decode_bytes
