"""What both halves of a session know: the FIFO, and the state that replies have proven."""

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from proxy.policy import SessionLimits
from proxy.session.entries import Blocking, Entry, Muted, Step

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
        "pending_bytes",
        "protocol",
        "queued",
        "queued_bytes",
        "redis_fails",
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
        self.pending_bytes = 0
        """What these hold."""
        self.protocol = 2
        self.in_multi = False
        self.queued: list[Entry] = []
        """What EXEC's array will hold."""
        self.queued_bytes = 0
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
        self.redis_fails = False
        """It was Redis that ended it, by what it said."""

    def fail(self, reason: str) -> None:
        """The end, for something that Redis has said."""
        self.close_reason, self.redis_fails = reason, True

    def is_full(self, limits: SessionLimits) -> bool:
        """As much is outstanding as may be: no request is taken before a reply comes."""
        return len(self.entries) >= limits.pending_commands or self.pending_bytes >= limits.buffered_bytes

    def multi_is_full(self, limits: SessionLimits) -> bool:
        """As many commands wait for EXEC as may: to wait for fewer would be to wait for ever."""
        return len(self.queued) >= limits.pending_commands or self.queued_bytes >= limits.buffered_bytes

    def queue(self, entry: Entry) -> None:
        """EXEC's array will have its reply."""
        self.queued.append(entry)
        self.queued_bytes += entry.size

    def leave_multi(self) -> None:
        """After EXEC, DISCARD and RESET."""
        self.in_multi = False
        self.queued = []
        self.queued_bytes = 0

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
    def is_straight(self) -> bool:
        """Nothing that is under way changes what a plain command means, or whether it is answered."""
        return not (self.in_multi or self.muted or self.skip_next or self.monitoring)

    @property
    def head(self) -> Entry | None:
        """What the next reply is for, without its muting."""
        if not self.entries:
            return None
        head = self.entries[0]
        return head.entry if type(head) is Muted else head

    @property
    def is_silent(self) -> bool:
        """The client wants no reply to what it has asked."""
        return type(self.entries[0]) is Muted if self.entries else self.muted or self.skip_next

    @property
    def memory(self) -> int:
        """Bytes that is remembered of what is outstanding."""
        slots = len(self.entries) + len(self.queued)
        return 8 * slots + self.pending_bytes + self.queued_bytes

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


def _open_multi(conversation: Conversation) -> None:
    conversation.leave_multi()
    conversation.in_multi = True


def _start_monitoring(conversation: Conversation) -> None:
    conversation.monitoring = True


def _select(conversation: Conversation) -> None:
    conversation.selected = True


def _stay(_conversation: Conversation) -> None:
    """QUIT: the end comes when its reply is through."""


STEPS: Final[dict[Step, Callable[[Conversation], None]]] = {
    Step.MULTI: _open_multi,
    Step.DISCARD: Conversation.leave_multi,
    Step.RESET: Conversation.reset,
    Step.QUIT: _stay,
    Step.MONITOR: _start_monitoring,
    Step.SELECT: _select,
}
"""What each step, once its reply has proven it, makes of the conversation. EXEC is the reply half's own."""
