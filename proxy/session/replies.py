"""The reply half: upstream bytes -> client bytes, in the order of the client's FIFO, each as its lane's entry says.

Contract: `advance` moves the replies that have come, and returns. At any doubt it raises FramingError, and then both
sides must close. Replies that are not transformed are streamed unchanged, whatever their size. While `waits` is true,
no reply moves.

Replies drive MULTI: `+QUEUED` moves the entry of a command to the queue. EXEC's array then has one element for each
entry of the queue, and each element is handled as a reply. MGET's array has one element for each key. A push takes no
entry, unless it confirms a subscription.
"""

from collections.abc import Callable
from typing import Any, Final

from proxy.policy import OnUndecodable
from proxy.resp import FramingError, encode
from proxy.session import error_texts, topology
from proxy.session.auth import WRONGPASS
from proxy.session.cluster import Cluster
from proxy.session.cluster.entries import ClusterEntry, Echo, First, Instead, Page, Part, Slice, Streamed, Watched
from proxy.session.counters import Tally
from proxy.session.decoder import Decoder
from proxy.session.delivery import (
    ARRAY,
    ATTRIBUTE,
    BULK,
    BULK_ERROR,
    ERROR,
    ERRORS,
    LONGEST_ERROR,
    MAP,
    NULL,
    PUSH,
    STATUS,
    Delivery,
    nothing,
)
from proxy.session.effects import Converted
from proxy.session.expected_replies import (
    Again,
    Blocking,
    ClusterOnly,
    Decode,
    DecodePart,
    Each,
    Entry,
    Hello,
    Login,
    MustFail,
    Poison,
    ReplyMode,
    Role,
    SetName,
    SetReplyMode,
    Setup,
    StateChange,
    Step,
    Subscription,
)
from proxy.session.fastpath.lane_replies import LaneReplies
from proxy.session.fastpath.replies import ReplyPath
from proxy.session.pubsub import PubSub
from proxy.session.state import STEPS, Conversation, Mark
from proxy.session.turn_budget import TurnBudget

_QUEUED: Final = b"+QUEUED\r\n"
_AFTER_MONITOR: Final = (b"+OK\r\n", b"+RESET\r\n")
"""The replies to QUIT and RESET. After MONITOR, every other status reply is a line of the log."""
_POISON_FAILS: Final = b"-ERR wrong number of arguments for 'get' command\r\n"
"""The error of the poison, in all versions that may leave a login unanswered."""


class ReplyHalf:
    """See the module."""

    __slots__ = (
        "_budget",
        "_conversation",
        "_delivery",
        "_has_run_out",
        "_pubsub",
        "_tally",
        "decoder",
        "out",
        "path",
    )

    def __init__(
        self, budget: TurnBudget, conversation: Conversation, tally: Tally, cluster: Cluster | None = None
    ) -> None:
        """No bytes received. `tally` records Redis' mode. `cluster`: of Redis."""
        self._budget = budget
        self._tally = tally
        self._conversation = conversation
        self._delivery = delivery = Delivery(conversation) if cluster is None else cluster.delivery
        self.out = self._delivery.out
        self._pubsub = PubSub(self._delivery, conversation)
        self.decoder = Decoder(budget, conversation, tally)
        self.path = (
            ReplyPath(delivery, conversation, budget, tally)
            if cluster is None
            else LaneReplies(delivery, conversation, budget, tally, cluster)
        )
        self._has_run_out = False  # of steps for this turn

    @property
    def memory(self) -> int:
        """Bytes of the replies that have not moved yet, and of the value that is being decoded."""
        held = sum(lane.framer.buffered for lane in self._conversation.lanes)
        return held + self._delivery.collected + self.decoder.memory

    @property
    def is_between_replies(self) -> bool:
        """The client has received no part of the reply at the head."""
        return self._delivery.is_between_replies and not self._pubsub.confirmed

    def advance(self) -> None:
        """Move the replies that have come. Raises FramingError."""
        conversation, decoder, delivery, budget = self._conversation, self.decoder, self._delivery, self._budget
        owed = conversation.owed
        conversation.has_answers = False
        while conversation.close_reason is None and not self._has_run_out and decoder.waiting is None:
            head = owed.first if owed.size else conversation.home
            ready = None
            if head is not delivery.lane and not delivery.framer.forwarding:
                ready = delivery.turn_to(head)
            if ready is None and not delivery.framer.buffered:
                break
            if budget.replies <= 0:
                self._has_run_out = budget.wants_turn = True
                break
            if not (self.path.take_some() or self._next() if ready is None else delivery.give(ready)):
                break
            budget.replies -= 1
        conversation.waits = self._has_run_out or decoder.waiting is not None
        delivery.trash.clear()
        delivery.framer.let_go()

    def _next(self) -> bool:
        """Make one step. False: more bytes are needed."""
        conversation, delivery = self._conversation, self._delivery
        framer = delivery.framer
        if framer.forwarding:
            return delivery.go_on()
        kind = framer.kind()
        if not kind:
            return False
        head = delivery.head()
        if kind == PUSH:
            return self._pubsub.push()
        if kind == ATTRIBUTE:
            return delivery.forward(delivery.target(), nothing)
        if not delivery.levels:
            if kind == ARRAY and conversation.only_messages:
                return self._pubsub.message()
            if kind == STATUS and conversation.marks & (Mark.IN_MULTI | Mark.MONITORING):
                return self._status(head)
        if head is None:
            return self._unsolicited(kind)
        if kind == ERROR and conversation.on_error is not None and not delivery.levels:
            line = framer.short_line(LONGEST_ERROR)
            if line is None:
                return False
            if conversation.on_error(line):
                return True
        if conversation.marks & Mark.IS_STRANGER and head.admits and kind not in ERRORS:
            conversation.is_stranger = False
        return _HANDLERS[type(head)](self, head, kind)

    def _status(self, head: Entry | None) -> bool:
        """Handle a status: inside MULTI it may be `+QUEUED`, after MONITOR a line of the log."""
        line = self._delivery.framer.short_line(len(_QUEUED))
        if line is None:
            return False
        marks = self._conversation.marks
        if marks & Mark.MONITORING and (head is None or line not in _AFTER_MONITOR):
            return self._delivery.forward(self.out, nothing)
        if head is None:
            return self._unsolicited(STATUS)
        if marks & Mark.IN_MULTI and line == _QUEUED:
            return self._queue(head)
        return _HANDLERS[type(head)](self, head, STATUS)

    # -- values ----------------------------------------------------------------------------------------

    def _decode(self, entry: Decode, kind: int) -> bool:
        if kind not in (BULK, NULL):
            return self._delivery.pass_on(kind)
        size = self._delivery.framer.length() if kind == BULK else -1
        if size is None:
            return False
        if size < 0:
            self._tally.misses[entry.rule.name] += 1
            return self._delivery.pass_on(kind)
        if size > entry.rule.limits.decoded_bytes:
            if entry.rule.on_undecodable is OnUndecodable.RAW:
                return self._delivery.pass_on(kind)
            return self._delivery.drop(self.decoder.too_large(entry, size))
        stored = self._delivery.framer.bulk()
        return stored is not None and self._delivery.deliver(self.decoder.decode(entry, stored))

    def _decode_part(self, entry: DecodePart, kind: int) -> bool:
        is_absent = kind == NULL or (kind == BULK and self._delivery.framer.length() == -1)
        if is_absent:
            self._tally.misses[entry.rule.name] += 1
            return self._delivery.drop(entry.absent(self._conversation.protocol))
        return self._decode(entry, kind)

    def decoded(self, result: Converted) -> None:
        """Take the result of the conversion."""
        self._delivery.deliver(self.decoder.finish(result))

    def take_turn(self) -> None:
        """Continue in a new turn."""
        self._has_run_out = False
        self._delivery.deliver(self.decoder.take_turn())

    def _each(self, entry: Each, kind: int) -> bool:
        return self._delivery.array(entry.entries, kind)

    # -- replies that change the conversation ----------------------------------------------------------

    def _quit(self) -> None:
        self._delivery.complete()
        self._conversation.close_reason = "QUIT"

    def _pass(self, _entry: Entry, kind: int) -> bool:
        return self._delivery.pass_on(kind)

    def _subscription(self, _entry: Subscription, kind: int) -> bool:
        return self._pubsub.subscription(kind)

    def _poison(self, entry: Poison, kind: int) -> bool:
        if kind not in ERRORS:
            raise FramingError("a poison did not fail")
        return self._delivery.drop(entry.reply)

    def _must_fail(self, entry: MustFail, kind: int) -> bool:
        if kind not in ERRORS:
            raise FramingError("a poison did not fail")
        line = self._delivery.framer.short_line(LONGEST_ERROR)
        if line is None:
            return False
        as_foreseen = line.startswith(entry.error)
        return self._delivery.drop(entry.instead) if as_foreseen else self._delivery.pass_on(kind)

    def _setup(self, entry: Setup, kind: int) -> bool:
        if kind not in (ERROR, STATUS):
            raise FramingError("an unexpected kind of reply to a command of our own")
        line = self._delivery.framer.line()
        if line is None:
            return False
        if kind == STATUS:
            self._conversation.setup_done = True
        elif not line.startswith(b"-NOAUTH"):
            self._end_refused(entry.refused, line)
        self._delivery.complete()
        return True

    def _end_refused(self, text: str, line: bytes) -> None:
        """End the conversation: Redis has answered a command of our own with this error."""
        reason = line[1:-2].decode("utf-8", "replace")
        self.out.append(encode.error(error_texts.ours(f"{text}: {reason}")))
        self._conversation.fail(text)

    def _again(self, entry: Again, kind: int) -> bool:
        if kind == BULK_ERROR:
            raise FramingError("an unexpected kind of reply to a command of our own")
        if kind != ERROR:
            return self._delivery.drop(b"")
        line = self._delivery.framer.line()
        if line is None:
            return False
        self._end_refused(entry.refused, line)
        self._delivery.complete()
        return True

    def _state_change(self, entry: StateChange, kind: int) -> bool:
        failed = kind in ERRORS
        if entry.step is Step.EXEC:
            return self._exec(kind)
        if failed and entry.step is Step.RESET and self._conversation.muted:
            return self._delivery.forward(self._delivery.trash, self._delivery.complete)
        if failed:
            return self._delivery.pass_on(kind)
        STEPS[entry.step](self._conversation)
        then = self._quit if entry.step is Step.QUIT else self._delivery.complete
        return self._delivery.forward(self._delivery.target(), then)

    def _exec(self, kind: int) -> bool:
        """An array with the replies of the queued commands, a null (a watched key has changed), or an error."""
        if kind == ARRAY and self._delivery.framer.length() is None:
            return False
        queued = self._conversation.queued
        self._conversation.leave_multi()
        return self._delivery.array(queued, kind)

    def _queue(self, head: Entry) -> bool:
        """`+QUEUED`: the reply itself comes with EXEC."""
        if not self._delivery.framer.forward(self._delivery.target()):
            raise FramingError("a whole line was forwarded only in part")
        self._conversation.queue(head)
        self._delivery.complete()
        return True

    def _hello(self, entry: Hello, kind: int) -> bool:
        if entry.version is not None and kind not in ERRORS:
            self._conversation.protocol = entry.version
        if entry.name is not None and kind not in ERRORS:
            self._conversation.client_name = entry.name
        if kind not in (ARRAY, MAP) or self._conversation.on_error is not None:
            return self._delivery.pass_on(kind)  # on a cluster, the mode is the right one
        return self._delivery.collect(self._show_hello)

    def _show_hello(self) -> None:
        reply = self._delivery.whole()
        shown = topology.as_standalone(reply)
        self._tally.record_mode(shown != reply)
        self._delivery.deliver(shown)

    def _set_name(self, entry: SetName, kind: int) -> bool:
        if kind == STATUS:
            self._conversation.client_name = entry.name
        return self._delivery.pass_on(kind)

    def _role(self, entry: Role, kind: int) -> bool:
        return self._delivery.collect(self._show_role) if kind == ARRAY else self._delivery.pass_on(kind)

    def _show_role(self) -> None:
        self._delivery.deliver(topology.as_master(self._delivery.whole()))

    def _cluster_only(self, entry: ClusterOnly, kind: int) -> bool:
        """Pass an error that every mode gives. Replace any other reply."""
        if kind == ERROR:
            line = self._delivery.framer.short_line(LONGEST_ERROR)
            if line is None:
                return False
            if topology.is_of_any_mode(line):
                return self._delivery.pass_on(kind)
            return self._delivery.drop(topology.DISABLED)
        if not entry.names_nodes and self._tally.is_standalone:
            return self._delivery.pass_on(kind)
        if kind in (ARRAY, BULK):
            self._tally.record_mode(True)
        return self._delivery.drop(topology.DISABLED)

    def _login(self, entry: Login, kind: int) -> bool:
        if kind == ERROR:
            line = self._delivery.framer.short_line(len(_POISON_FAILS))
            if line is None:
                return False
            if line == _POISON_FAILS:
                return self._delivery.deliver(WRONGPASS)
        return _HANDLERS[type(entry.entry)](self, entry.entry, kind)

    def _set_reply_mode(self, entry: SetReplyMode, kind: int) -> bool:
        conversation, delivery = self._conversation, self._delivery
        if kind != STATUS:
            silent = conversation.muted or conversation.skip_next
            conversation.skip_next = False
            return delivery.forward(delivery.trash, delivery.complete) if silent else delivery.pass_on(kind)
        if entry.mode is ReplyMode.SKIP:
            conversation.skip_next = not conversation.muted
        else:
            conversation.skip_next = False
            conversation.muted = entry.mode is ReplyMode.OFF
        silent = entry.mode is not ReplyMode.ON
        return delivery.forward(delivery.trash if silent else delivery.target(), delivery.complete)

    def _first(self, entry: First, kind: int) -> bool:
        entry.verdict.settle(kind not in ERRORS)
        return _HANDLERS[type(entry.entry)](self, entry.entry, kind)

    def _of_cluster(self, entry: ClusterEntry, kind: int) -> bool:
        return entry.take(self._delivery, self._conversation, kind)

    def _unsolicited(self, kind: int) -> bool:
        """Handle an error without a request: Redis sends one before it closes a connection that it refuses."""
        if kind != ERROR:
            raise FramingError("a reply without a request")
        line = self._delivery.framer.line()
        if line is None:
            return False
        self.out.append(self._delivery.redirected if topology.redirects(line) else line)
        self._conversation.fail("Redis refused the connection")
        return False


_HANDLERS: Final[dict[type[Any], Callable[[ReplyHalf, Any, int], bool]]] = {
    Entry: ReplyHalf._pass,
    Blocking: ReplyHalf._pass,
    Decode: ReplyHalf._decode,
    DecodePart: ReplyHalf._decode_part,
    Each: ReplyHalf._each,
    Poison: ReplyHalf._poison,
    MustFail: ReplyHalf._must_fail,
    Setup: ReplyHalf._setup,
    Again: ReplyHalf._again,
    StateChange: ReplyHalf._state_change,
    Hello: ReplyHalf._hello,
    Login: ReplyHalf._login,
    Role: ReplyHalf._role,
    ClusterOnly: ReplyHalf._cluster_only,
    SetName: ReplyHalf._set_name,
    SetReplyMode: ReplyHalf._set_reply_mode,
    Subscription: ReplyHalf._subscription,
    First: ReplyHalf._first,
    **dict.fromkeys((Echo, Instead, Page, Part, Slice, Streamed, Watched), ReplyHalf._of_cluster),
}
