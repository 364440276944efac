"""What both halves of a session know: the FIFO, and the state that replies have proven."""

from collections import deque
from itertools import islice
from typing import Final

from proxy.session.entries import Blocking, Entry, Muted

_LOOK_AT: Final = 1000
"""Entries at the head in which a blocking one is looked for: behind more, it is not what holds things up."""


class Conversation:
    """The state of one client's conversation with Redis. Replies change it, requests look at it."""

    __slots__ = (
        "close_reason",
        "entries",
        "in_multi",
        "monitoring",
        "muted",
        "protocol",
        "queued",
        "selected",
        "setup_done",
        "setup_due",
        "skip_next",
        "subscribed",
        "total_subscribed",
    )

    def __init__(self) -> None:
        """As Redis starts one: RESP2, nothing open."""
        self.entries: deque[Entry] = deque()
        self.protocol = 2
        self.in_multi = False
        self.queued: list[Entry] = []
        """What EXEC's array will hold."""
        self.subscribed: dict[bytes, int] = {}
        """Subscriptions by kind: `subscribe` (channels), `psubscribe`, `ssubscribe`."""
        self.total_subscribed: dict[bool, int] = {}
        """Redis' own counts, which confirmations carry: of shard channels, and of all others."""
        self.monitoring = False
        self.muted = False
        """CLIENT REPLY OFF."""
        self.skip_next = False
        """CLIENT REPLY SKIP."""
        self.setup_done = True
        """The proxy's own first commands have been accepted."""
        self.setup_due = False
        """A RESET has undone them."""
        self.selected = False
        """The client has chosen a database itself."""
        self.close_reason: str | None = None
        """Set once the conversation has come to its end."""

    def leave_multi(self) -> None:
        """After EXEC, DISCARD and RESET."""
        self.in_multi = False
        self.queued = []

    def reset(self) -> None:
        """After RESET."""
        self.leave_multi()
        self.setup_due = True
        self.selected = False
        self.protocol = 2
        self.subscribed.clear()
        self.total_subscribed.clear()
        self.monitoring = self.muted = self.skip_next = False

    @property
    def is_blocked(self) -> bool:
        """A command that may wait for other clients is outstanding."""
        return any(
            type(entry.entry if type(entry) is Muted else entry) is Blocking for entry in islice(self.entries, _LOOK_AT)
        )

    @property
    def only_messages(self) -> bool:
        """A RESP2 client that is subscribed: arrays come without having been asked for."""
        return self.protocol == 2 and any(self.subscribed.values())

    def count_confirmation(self, kind: bytes, total: int) -> None:
        """Keep count by the totals that Redis states."""
        group = kind.replace(b"un", b"", 1)
        shard = group == b"ssubscribe"
        change = total - self.total_subscribed.get(shard, 0)
        self.total_subscribed[shard] = total
        self.subscribed[group] = max(0, self.subscribed.get(group, 0) + change)
