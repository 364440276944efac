"""What sessions count: plain additions, read by whoever tells them."""

from collections import defaultdict

from proxy.commands import Command


class Tally:
    """Counts of all the sessions of a process."""

    __slots__ = ("commands", "ended", "refusals")

    def __init__(self) -> None:
        """Nothing has happened."""
        self.commands: defaultdict[Command | None, int] = defaultdict(int)
        """Requests by what they are; None: what the table does not hold."""
        self.refusals = 0
        """Requests refused, those with a payload that cannot be encoded among them."""
        self.ended: defaultdict[str, int] = defaultdict(int)
        """Conversations that a client's own bytes ended, by the limit that they are over; `protocol`: no RESP."""
