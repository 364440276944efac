"""The part of a conversation's state that the fast path reads with each event. The native engine has its own class."""

from typing import TYPE_CHECKING

from proxy.commands import Command
from proxy.engine import ENGINE


class HotState:
    """See the module."""

    __slots__ = ("asked", "flows", "is_dry", "marks", "pending_bytes", "waits", "watched_at")

    def __init__(self) -> None:
        """Of a new conversation."""
        self.marks = 0
        """Bits of `Mark`. 0 is the usual case: no MULTI, no MONITOR, authenticated, every reply wanted."""
        self.flows = True
        """The request half can use more of the client's bytes."""
        self.is_dry = False
        """The parser has no byte and no request, and expects the beginning of a command. `RequestHalf` sets it."""
        self.waits = False
        """No reply moves: a value is being decoded, or the budget of this turn is used up."""
        self.watched_at = -1
        """The number of client entries before the GET whose reply is watched, since the start."""
        self.asked: Command | None = None
        """The last command that was sent with no reply outstanding."""
        self.pending_bytes = 0
        """Bytes that the entries of both FIFOs hold."""


if not TYPE_CHECKING:
    HotState = ENGINE.of("HotState", HotState)
