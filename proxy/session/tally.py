"""What sessions count: plain additions, read by whoever tells them."""

import re
from collections import defaultdict
from typing import Final

from proxy.commands import Command

_LIMIT: Final = re.compile(r"\(\[limits\] (\w+)\)$")
"""How the text of an error names the setting that it is due to."""


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

    def end(self, reason: str) -> None:
        """A conversation ends for what its client has sent."""
        limit = _LIMIT.search(reason)
        self.ended[limit[1] if limit else "protocol"] += 1
