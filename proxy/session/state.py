"""The state that both halves of a session share: two FIFOs, and the facts that replies have proven.

Theory. Redis answers the requests of a connection in order, and a reply does not name its request. So there are two
FIFOs. The step that writes the last byte of a request upstream appends an entry to both:

  - A *lane* is one upstream connection. Its FIFO has the replies that Redis owes on it. Each entry says what to do with
    its reply.
  - The client's FIFO has the replies that the client is owed, in the order of its requests. Each entry names the lane
    of its reply, or it is *ready*: a reply of our own, for which no bytes went upstream.

The reply half takes the head of the client's FIFO. It sends a ready entry at once. For any other entry, it moves the
reply at the head of the named lane, as the head entry of that lane says. Other lanes only buffer their bytes, so
replies need no sorting. A plain Redis is one lane. On a cluster there is one for each node that has been used, and
`cluster` has the theory of that. Equal entries in a row are one record.

A *refusal* is a ready entry, so it never overtakes a reply. Inside MULTI, EXEC must also abort, as it does after Redis'
own errors. So a *poison* goes upstream, a command that must fail, and the reply half replaces its error. The same is
done while the reply to a MULTI is outstanding, and after a command that the table does not have (`may_be_in_multi`). In
all other cases no MULTI can be open. A refusal right behind CLIENT CACHING is a poison too: it must use that up.

Replies change the state, not requests: MULTI, HELLO and SELECT may fail. While `in_multi` holds, `+QUEUED` moves an
entry from its lane to `queued`. Each element of EXEC's array takes one of these entries. A request that is sent before
the reply to MULTI has come does not see `in_multi` yet. Its entry is still right, because `+QUEUED` shows that the
request was queued.

Some requests cannot be sent while the state is uncertain. They mean something else inside MULTI, or they change the
meaning of later ones: RESET, SUBSCRIBE, CLIENT REPLY, a login. Such a request sets a *barrier*: it waits until the
client is owed no reply. Then the state is certain, and the request is sent alone. After most of these requests, later
ones wait for the reply.

Pushes, messages in RESP2 and the lines of MONITOR take no entry. A subscription has one entry for many confirmations.
Because of the barrier, no other reply is outstanding when a subscription begins, so the kinds cannot be confused. A
ready entry waits until a push or line that has begun is whole.

CLIENT REPLY OFF and SKIP never reach Redis. Redis would then send no replies, and the FIFOs would lose count. The state
is kept here instead (`muted`, `skip_next`), and the client's entries are `Suppressed`: the reply comes and is dropped.
A refusal that the client does not want needs no entry. It still uses up a SKIP, as an error does in Redis.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from proxy.policy import SessionLimits
from proxy.resp import Request
from proxy.session.expected_replies import Blocking, Entry, Step
from proxy.session.hot_state import HotState
from proxy.session.lane import Lane, Owed, Ready, Suppressed
from proxy.session.refusals import Report
from proxy.session.runs import Runs

_LONGEST_WATCHED: Final = 512
"""Bytes of a key that is kept until its reply comes. No limit of memory counts it."""
_LOOK_AT: Final = 1000
"""The search for a blocking entry ends after so many runs. Behind them, it is not the cause of a delay."""


class Barrier(NamedTuple):
    """Requests wait until no reply is outstanding."""

    request: Request | None = None
    """The first of them, if the parser has already returned it."""

    @property
    def memory(self) -> int:
        """Estimate of the bytes that the request holds."""
        return 0 if self.request is None else 2 * len(self.request.chunk)


class Lookup(NamedTuple):
    """Requests wait for the server's answer to COMMAND INFO."""

    request: Request
    name: bytes
    """The name of the command; `PARENT|SUB` for a subcommand."""

    @property
    def memory(self) -> int:
        """Estimate of the bytes that the request holds."""
        return 2 * len(self.request.chunk)


class Encode(NamedTuple):
    """Requests wait until the values of the current one are encoded, by the converter or over several turns."""

    work: "Work"

    @property
    def memory(self) -> int:
        """Estimate of the bytes that the request holds. The encoder counts its values."""
        return self.work.memory


class NextTurn(NamedTuple):
    """Requests wait for the next turn of the event loop: the budget of this one is used up."""

    work: "Work | None" = None
    """The request to continue; None: continue with the next request."""

    @property
    def memory(self) -> int:
        """Estimate of the bytes that the request holds."""
        return 0 if self.work is None else self.work.memory


class Settling(NamedTuple):
    """Requests wait until no reply is outstanding, because a cluster's map has proven old. See `cluster.trouble`."""

    @property
    def memory(self) -> int:
        """Always 0."""
        return 0


class Relinking(NamedTuple):
    """Requests wait for another link. No reply is outstanding. See `sharing`."""

    request: Request
    """The first of them."""

    @property
    def memory(self) -> int:
        """Estimate of the bytes that the request holds."""
        return 2 * len(self.request.chunk)


class Ended(NamedTuple):
    """No further request is read, after QUIT or a protocol error."""

    @property
    def memory(self) -> int:
        """Always 0."""
        return 0


Wait = Barrier | Lookup | Encode | NextTurn | Settling | Relinking | Ended
"""The reason why no request is read."""
Steps = Iterator[type[Encode] | type[NextTurn]]
"""Work that takes several turns. It yields the kind of its wait."""


class Work(NamedTuple):
    """A request that is handled in steps."""

    steps: Steps
    memory: int
    """Bytes that it holds, without values that are being encoded."""

    def before(self, wait: Wait | None) -> "Work":
        """Do the work of `wait` afterwards, if it has any. The last step of this one has begun it."""
        later = wait.work if isinstance(wait, NextTurn) else None
        return self if later is None else Work(chain(self.steps, later.steps), self.memory + later.memory)


class Mark:
    """Bits of `Conversation.marks`. The hot path reads the bits; other code reads them as boolean attributes."""

    IN_MULTI: Final = 1
    """A reply has shown that a MULTI is open."""
    MONITORING: Final = 2
    IS_STRANGER: Final = 4
    """Redis needs a password, and no reply has shown yet that the client is authenticated."""
    MUTED: Final = 8
    """CLIENT REPLY OFF."""
    SKIP_NEXT: Final = 16
    """CLIENT REPLY SKIP."""

    NOT_ADMITTED: Final = 32
    """The client has not given the password of the proxy's own gate."""

    SILENT: Final = MUTED | SKIP_NEXT
    """The client does not want the next reply."""
    REPLIES_MATTER: Final = IN_MULTI | MONITORING | IS_STRANGER
    """A reply may have another meaning than usual, or change the state."""


class _Attribute:
    """A boolean attribute for one of these bits."""

    __slots__ = ("_bit",)

    def __init__(self, bit: int) -> None:
        self._bit = bit

    def __get__(self, conversation: "Conversation", _: object) -> bool:
        return bool(conversation.marks & self._bit)

    def __set__(self, conversation: "Conversation", is_set: bool) -> None:
        conversation.marks = conversation.marks | self._bit if is_set else conversation.marks & ~self._bit


class Conversation(HotState):
    """The state of one client's conversation with Redis. Replies change it; requests read it."""

    __slots__ = (
        "_caching_until",
        "_multi_until",
        "client_name",
        "close_reason",
        "has_answers",
        "home",
        "knows_all",
        "lanes",
        "on_error",
        "owed",
        "protocol",
        "queued",
        "queued_bytes",
        "redis_fails",
        "reports",
        "selected",
        "setup_done",
        "setup_due",
        "subscribed",
        "total_subscribed",
        "wait",
        "wants_password",
        "watched",
    )

    in_multi = _Attribute(Mark.IN_MULTI)
    monitoring = _Attribute(Mark.MONITORING)
    is_stranger = _Attribute(Mark.IS_STRANGER)
    muted = _Attribute(Mark.MUTED)
    skip_next = _Attribute(Mark.SKIP_NEXT)
    not_admitted = _Attribute(Mark.NOT_ADMITTED)

    def __init__(self) -> None:
        """The state of a new connection to Redis: RESP2, no MULTI."""
        super().__init__()
        self.home = Lane()
        """The lane of every request; on a cluster, of those that any node can answer. Pushes come on it."""
        self.lanes: list[Lane] = [self.home]
        """All lanes."""
        self.on_error: Callable[[bytes], bool] | None = None
        """On a cluster: looks at an error at the head, a line. True: it was a redirect, and the client gets none."""
        self.owed: Runs[Owed] = Runs()
        """The client's FIFO: the replies that it is owed, in order."""
        self.has_answers = False
        """There are ready entries that the reply half has not handled yet."""
        self.watched = b""
        """The key of a GET that no rule matches. Its reply is looked at. Empty: the key is too long to keep."""
        self._multi_until = 0
        """The number of client entries since the start, up to the last MULTI that was sent."""
        self._caching_until = -1
        """The same for CLIENT CACHING."""
        self.knows_all = True
        """Every command that was sent is in the table, so a renamed MULTI is not among them."""
        self.wait: Wait | None = None
        """The reason why the request half reads no request; None: it may read."""
        self.protocol = 2
        self.queued: list[Entry] = []
        """The entries of EXEC's array."""
        self.queued_bytes = 0
        self.subscribed: dict[bytes, int] = {}
        """Number of subscriptions by kind: `subscribe` (channels), `psubscribe`, `ssubscribe`."""
        self.total_subscribed: dict[bool, int] = {}
        """The counts in Redis' confirmations: True for shard channels, False for all others together."""
        self.setup_done = True
        """Redis has accepted the proxy's own first commands."""
        self.setup_due = False
        """A RESET has undone them, so they must be sent again."""
        self.selected = False
        """The client has selected a database itself."""
        self.wants_password = False
        """Redis needs a password, which the client must give."""
        self.client_name = b""
        """The client's name, once Redis has accepted it. A long one is cut."""
        self.reports: list[Report] = []
        """Refusals and failed conversions that the caller does not know yet."""
        self.close_reason: str | None = None
        """Set when the conversation ends."""
        self.redis_fails = False
        """True if Redis, not the client, caused the close."""

    def fail(self, reason: str) -> None:
        """End the conversation because of a reply of Redis."""
        self.close_reason, self.redis_fails = reason, True

    # -- the FIFOs -------------------------------------------------------------------------------------

    def owe(self, lane: Lane, entry: Entry, count: int = 1, delivered: bool = True) -> None:
        """Append the entry of `count` requests, which have been written on `lane`, to both FIFOs.

        `delivered`: the client wants the replies. `pending_bytes` does not change: most entries are shared.
        """
        lane.owed.append(entry, count)
        self.owed.append(lane if delivered else self._suppressed(lane), count)

    def watch(self, args: list[bytes], behind: int) -> None:
        """Watch the reply to a GET, behind so many requests whose entries are not appended yet."""
        if len(args) == 2:
            self.watched_at = self.owed.taken + self.owed.size + behind
            self.watched = args[1] if len(args[1]) <= _LONGEST_WATCHED else b""

    def _suppressed(self, lane: Lane) -> Suppressed:
        """The client's entry for a reply that is dropped. Such entries in a row are one object."""
        last = self.owed.last if self.owed.size else None
        return last if isinstance(last, Suppressed) and last.lane is lane else Suppressed(lane)

    def answer(self, ready: Ready) -> None:
        """Append a reply of ours to the client's FIFO."""
        self.owed.append(ready)
        self.pending_bytes += ready.size
        self.has_answers = True

    def serve(self, lane: Lane, count: int = 1) -> None:
        """Remove the first `count` entries, which must be of one run, from the FIFOs of `lane` and the client."""
        lane.owed.take(count)
        self.owed.take(count)

    @property
    def lane(self) -> Lane | None:
        """The lane of the next reply; None: the next reply is ours. With no reply owed, pushes may still come."""
        head = self.owed.first if self.owed.size else self.home
        if isinstance(head, Lane):
            return head
        return head.lane if isinstance(head, Suppressed) else None

    @property
    def head(self) -> Entry | None:
        """The entry of the next reply of Redis; None: no reply is owed, or the next reply is ours."""
        lane = self.lane if self.owed.size else None
        return None if lane is None else lane.owed.first

    @property
    def is_silent(self) -> bool:
        """The client does not want the next reply."""
        return type(self.owed.first) is Suppressed if self.owed.size else self.muted or self.skip_next

    @property
    def is_blocked(self) -> bool:
        """A command that may wait for other clients is outstanding."""
        return any(type(entry) is Blocking for lane in self.lanes for entry, _ in lane.owed.records(_LOOK_AT))

    @property
    def memory(self) -> int:
        """Bytes that the entries of outstanding replies hold."""
        records = self.owed.memory + sum(lane.owed.memory for lane in self.lanes)
        return records + 8 * len(self.queued) + self.pending_bytes + self.queued_bytes

    def is_full(self, limits: SessionLimits) -> bool:
        """The limits of outstanding replies are reached: no request is read before a reply comes."""
        return self.owed.size >= limits.pending_commands or self.pending_bytes >= limits.buffered_bytes

    # -- MULTI -----------------------------------------------------------------------------------------

    @property
    def may_be_in_multi(self) -> bool:
        """A MULTI is open, the reply to one is outstanding, or an unknown command may have opened one."""
        return self.in_multi or self.owed.taken < self._multi_until or not self.knows_all

    def expect_multi(self) -> None:
        """Record that the last entry is a MULTI's."""
        self._multi_until = self.owed.taken + self.owed.size

    @property
    def needs_poison(self) -> bool:
        """A refusal must also fail at Redis: EXEC must abort, or CLIENT CACHING must be used up."""
        return self.may_be_in_multi or self._caching_until == self.owed.taken + self.owed.size

    def expect_next(self) -> None:
        """Record that the last entry is a CLIENT CACHING's. It affects the next command only, even one that fails."""
        self._caching_until = self.owed.taken + self.owed.size

    def multi_is_full(self, limits: SessionLimits) -> bool:
        """The limits of queued commands are reached. Only EXEC or DISCARD frees them, so waiting does not help."""
        return len(self.queued) >= limits.pending_commands or self.queued_bytes >= limits.buffered_bytes

    def queue(self, entry: Entry) -> None:
        """Queue the entry of a command: its reply comes in EXEC's array."""
        self.queued.append(entry)
        self.queued_bytes += entry.size

    def leave_multi(self) -> None:
        """Leave MULTI, after EXEC, DISCARD and RESET."""
        self.in_multi = False
        self.queued = []
        self.queued_bytes = 0

    def reset(self) -> None:
        """Return to the state of a new connection, after RESET."""
        self.leave_multi()
        self.setup_due = True
        self.selected = False
        self.client_name = b""
        self.is_stranger = self.wants_password
        self.protocol = 2
        self.subscribed.clear()
        self.total_subscribed.clear()
        self.monitoring = self.muted = self.skip_next = False
        self.knows_all = True

    # -- subscriptions ---------------------------------------------------------------------------------

    @property
    def only_messages(self) -> bool:
        """The client uses RESP2 and is subscribed: arrays may be messages that belong to no request."""
        return self.protocol == 2 and any(self.subscribed.values())

    def count_confirmation(self, kind: bytes, total: int) -> None:
        """Update the number of subscriptions by the total in a confirmation."""
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


def _change_nothing(_conversation: Conversation) -> None:
    """QUIT: the conversation ends after its reply, not here."""


STEPS: Final[dict[Step, Callable[[Conversation], None]]] = {
    Step.MULTI: _open_multi,
    Step.DISCARD: Conversation.leave_multi,
    Step.RESET: Conversation.reset,
    Step.QUIT: _change_nothing,
    Step.MONITOR: _start_monitoring,
    Step.SELECT: _select,
}
"""The change of state for each step, after a reply that is not an error. The reply half handles EXEC itself."""
