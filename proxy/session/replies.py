"""The reply half: upstream bytes -> client bytes, each reply as the entry at the head of the FIFO says.

Contract: `advance` moves what is there and returns; it raises FramingError at any doubt, after which both sides
must close. What is not transformed is streamed as it stands, whatever its size. `parked`: a conversion is
outstanding, and nothing behind it moves.

MULTI is driven by replies: `+QUEUED` remembers a command's entry, EXEC's array then serves those entries as if each
element were a reply of its own. MGET's array does the same with an entry for each key. A push counts nowhere but as
the confirmation of a subscription.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

from proxy.policy import OnUndecodable
from proxy.resp import FramingError, ReplyFramer, writers
from proxy.session.allowance import Allowance
from proxy.session.conversation import STEPS, Conversation
from proxy.session.decoding import Decoder
from proxy.session.effects import Converted
from proxy.session.entries import (
    PASS,
    Blocking,
    Decode,
    Each,
    Entry,
    Hello,
    Last,
    MustFail,
    Muted,
    Refusal,
    ReplyMode,
    SetReplyMode,
    Setup,
    Step,
    Subscription,
    Turning,
)

_PUSH, _ARRAY, _BULK, _STATUS, _ERROR, _BULK_ERROR, _ATTRIBUTE = (ord(char) for char in ">*$+-!|")
_MESSAGES: Final = frozenset({b"message", b"pmessage", b"smessage"})
_CONFIRMATIONS: Final = frozenset(
    {b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe"}
)
_LONGEST_KIND: Final = 32
_LONGEST_COUNT: Final = 19
_REDIRECTIONS: Final = (b"-MOVED ", b"-ASK ", b"-REDIRECT ")
_LONGEST_REDIRECTION: Final = 512
_REDIRECTED: Final = writers.error(
    "ERR flask-cache-proxy: Redis redirected this command; a cluster is not supported as upstream"
)


class ReplyHalf:
    """See the module."""

    __slots__ = (
        "_alike_until",
        "_allowance",
        "_confirmed",
        "_conversation",
        "_framer",
        "_levels",
        "_pieces",
        "_served",
        "_sink",
        "_substitute",
        "_then",
        "_trash",
        "decoder",
        "out",
        "wants_turn",
    )

    def __init__(self, allowance: Allowance, conversation: Conversation) -> None:
        """Nothing received."""
        self._allowance = allowance
        self._conversation = conversation
        self._framer = ReplyFramer()
        self._levels: list[deque[Entry]] = []  # entries of the arrays that are open, innermost last
        self._sink: list[bytes] = []  # where the value being forwarded goes ...
        self._then: Callable[[ReplyHalf], None] = ReplyHalf._nothing  # ... and what follows it
        self._trash: list[bytes] = []
        self._pieces: list[bytes] = []  # of a confirmation
        self._confirmed = 0  # confirmations seen for the subscription at the head
        self._substitute = b""  # what the client gets in place of the reply being dropped
        self._served = 0  # entries that have had their replies
        self._alike_until = 0  # the same number, when those at the head have it that are known to be alike
        self.decoder = Decoder(allowance, conversation)
        self.wants_turn = False
        """What waits, waits for the next turn of the event loop."""
        self.out: list[bytes] = []

    @property
    def memory(self) -> int:
        """Bytes that replies take which have not been moved yet, or are under conversion."""
        return self._framer.buffered + self.decoder.memory

    @property
    def is_between_replies(self) -> bool:
        """The client has had nothing of the reply at the head."""
        return not self._framer.forwarding and not self._levels and not self._pieces and not self._confirmed

    @property
    def waits(self) -> bool:
        """Nothing moves: a value is being decoded, or this turn of the event loop has done enough."""
        return self.wants_turn or self.decoder.waiting is not None

    def feed(self, data: bytes) -> None:
        """Take Redis' bytes. Raises FramingError."""
        self._framer.feed(data)

    def advance(self) -> None:
        """Move what is there. Raises FramingError."""
        entries = self._conversation.entries
        if not self._framer.buffered and not (entries and type(entries[0]) is Last):
            return  # as after each request
        while not self.waits and self._conversation.close_reason is None and (self._run() or self._next()):
            self._allowance.replies -= 1
            if self._allowance.replies <= 0 and self._framer.buffered:
                self.wants_turn = True
        self._trash.clear()
        self._framer.let_go()

    def _run(self) -> bool:
        """Many plain replies at once, the bulk of what passes; False: the next one is none, or not whole."""
        conversation, entries = self._conversation, self._conversation.entries
        if not entries or self._levels or conversation.in_multi or conversation.monitoring or self._framer.forwarding:
            return False
        entry = entries[0]
        if type(entry) is Decode:
            return self._run_of_values(entry)
        if entry is not PASS:
            return False
        moved = self._framer.forward_plain(self._alike(entry), self.out)
        self._drop_entries(moved)
        return moved > 0

    def _run_of_values(self, entry: Decode) -> bool:
        decoder, allowance = self.decoder, self._allowance
        most = max(0, min(allowance.decode_bytes, allowance.limits.codec.decoded_bytes))
        values = self._framer.whole_bulks(self._alike(entry), most)
        if not values:
            return False
        done = decoder.decode_run(entry, values, self.out)
        allowance.replies -= done
        self._drop_entries(done)  # one whose value waits has had no reply
        self._framer.skip(done + (decoder.waiting is not None))
        return True

    def _alike(self, entry: Entry) -> int:
        """How many at the head are one and the same, of as many as this turn bears. Each is looked at once."""
        most, until = max(self._allowance.replies, 1), self._alike_until
        if until <= self._served:
            until = self._served
            for each in islice(self._conversation.entries, most):
                if each is not entry:
                    break
                until += 1
            self._alike_until = until
        return min(until - self._served, most)

    def _drop_entries(self, count: int) -> None:
        """They have had their replies. They hold no memory: all of a kind are one."""
        entries = self._conversation.entries
        for _ in range(count):
            entries.popleft()
        self._served += count

    def _next(self) -> bool:
        """One step; False: need more."""
        framer, conversation = self._framer, self._conversation
        if framer.forwarding:
            return self._forward(self._sink, self._then)
        head = self._head()
        if type(head) is Last:
            return self._end(head)
        kind = framer.kind()
        if not kind:
            return False
        if kind == _PUSH:
            return self._push()
        if kind == _ATTRIBUTE:
            return self._forward(self._target(), ReplyHalf._nothing)
        if not self._levels:
            if kind == _ARRAY and conversation.only_messages:
                return self._message()
            if kind == _STATUS and (conversation.in_multi or conversation.monitoring):
                return self._status(head)
        if head is None:
            return self._unsolicited(kind)
        return _HANDLERS[type(head)](self, head, kind)

    def _end(self, last: Last) -> bool:
        self.out.append(last.reply)
        self._conversation.close_reason = last.reason
        return False

    def _status(self, head: Entry | None) -> bool:
        """Inside MULTI it may be `+QUEUED`, after MONITOR a line of the log."""
        if self._conversation.monitoring:
            return self._monitor_line(head)
        if head is None:
            return self._unsolicited(_STATUS)
        queued = self._framer.starts_with(b"+QUEUED\r\n")
        if queued is None:
            return False
        return self._queue(head) if queued else _HANDLERS[type(head)](self, head, _STATUS)

    # -- the FIFO --------------------------------------------------------------------------------------

    def _head(self) -> Entry | None:
        """The entry of the next reply or element, without its muting."""
        if self._levels:
            return self._levels[-1][0]
        return self._conversation.head

    def _target(self) -> list[bytes]:
        entries = self._conversation.entries
        return self._trash if entries and type(entries[0]) is Muted else self.out

    def _complete(self) -> None:
        """The entry at the head has had its reply, and with its last element so has an array's."""
        if self._substitute:
            self._target().append(self._substitute)
            self._substitute = b""
        while self._levels:
            level = self._levels[-1]
            level.popleft()
            if level:
                return
            self._levels.pop()
        self._conversation.pending_bytes -= self._conversation.entries.popleft().size
        self._served += 1

    def _nothing(self) -> None:
        """A push, an attribute: no entry's reply."""

    def _quit(self) -> None:
        self._complete()
        self._conversation.close_reason = "QUIT"

    def _forward(self, sink: list[bytes], then: "Callable[[ReplyHalf], None]") -> bool:
        """Stream the value at the head to `sink`, however many turns it takes, and then do `then`."""
        if self._framer.forward(sink):
            then(self)
            return True
        self._sink, self._then = sink, then
        return False

    def _pass(self, _entry: Entry | None, kind: int) -> bool:
        if kind == _ERROR:
            for redirection in _REDIRECTIONS:
                if self._framer.starts_with(redirection) is not False:
                    return self._redirection()
        return self._forward(self._target(), ReplyHalf._complete)

    def _redirection(self) -> bool:
        """MOVED, ASK and REDIRECT would lead the client around us. A script's long error may begin like one."""
        line = self._framer.short_line(_LONGEST_REDIRECTION)
        if line is None:
            return False
        if line.startswith(_REDIRECTIONS):
            return self._drop(_REDIRECTED)
        return self._forward(self._target(), ReplyHalf._complete)

    def _drop(self, substitute: bytes) -> bool:
        """Let the reply at the head vanish, and `substitute` stand in its place."""
        self._substitute = substitute
        return self._forward(self._trash, ReplyHalf._complete)

    def _enter(self, entries: Sequence[Entry]) -> bool:
        """Pass the header of an array whose elements `entries` await."""
        header = self._framer.enter()
        if header is None:
            return False
        self._target().append(header)
        if entries:
            self._levels.append(deque(entries))
        else:
            self._complete()
        return True

    # -- values ----------------------------------------------------------------------------------------

    def _decode(self, entry: Decode, kind: int) -> bool:
        if kind != _BULK:
            return self._pass(entry, kind)
        size = self._framer.length()
        if size is None:
            return False
        if size < 0:
            return self._pass(entry, kind)
        if size > self._allowance.limits.codec.decoded_bytes:
            if entry.rule.on_undecodable is OnUndecodable.RAW:
                return self._pass(entry, kind)
            return self._drop(self.decoder.too_large(entry, size))
        stored = self._framer.bulk()
        return stored is not None and self._deliver(self.decoder.decode(entry, stored))

    def _deliver(self, reply: bytes | None) -> bool:
        """The reply to the entry at the head; None: there is none yet."""
        if reply is None:
            return False
        self._target().append(reply)
        self._complete()
        return True

    def decoded(self, result: Converted) -> None:
        """The answer to the conversion outstanding."""
        self._deliver(self.decoder.finish(result))

    def take_turn(self) -> None:
        """A new turn: what waited for one goes on."""
        self.wants_turn = False
        self._deliver(self.decoder.take_turn())

    def _each(self, entry: Each, kind: int) -> bool:
        return self._array(entry.entries, kind)

    def _array(self, entries: Sequence[Entry], kind: int) -> bool:
        if kind != _ARRAY:
            return self._pass(None, kind)
        size = self._framer.length()
        if size is None:
            return False
        if size < 0:
            return self._pass(None, kind)
        if size != len(entries):
            raise FramingError("an array of another length than was asked for")
        return self._enter(entries)

    # -- what turns the conversation -------------------------------------------------------------------

    def _refusal(self, entry: Refusal, kind: int) -> bool:
        if kind not in (_ERROR, _BULK_ERROR):
            raise FramingError("a poison did not fail")
        return self._drop(entry.reply)

    def _must_fail(self, entry: MustFail, kind: int) -> bool:
        if kind not in (_ERROR, _BULK_ERROR):
            raise FramingError("a poison did not fail")
        as_foreseen = self._framer.starts_with(entry.error)
        if as_foreseen is None:
            return False
        return self._drop(entry.instead) if as_foreseen else self._pass(entry, kind)

    def _setup(self, entry: Setup, kind: int) -> bool:
        if kind not in (_ERROR, _STATUS):
            raise FramingError("an odd reply to a command of our own")
        line = self._framer.line()
        if line is None:
            return False
        if kind == _STATUS:
            self._conversation.setup_done = True
        elif not line.startswith(b"-NOAUTH"):
            reason = line[1:-2].decode("utf-8", "replace")
            self.out.append(writers.error(f"ERR flask-cache-proxy: {entry.refused}: {reason}"))
            self._conversation.fail(entry.refused)
        self._complete()
        return True

    def _turning(self, entry: Turning, kind: int) -> bool:
        failed = kind in (_ERROR, _BULK_ERROR)
        if entry.step is Step.EXEC:
            return self._exec(kind)
        if failed and entry.step is Step.RESET and self._conversation.muted:
            return self._forward(self._trash, ReplyHalf._complete)
        if failed:
            return self._pass(entry, kind)
        STEPS[entry.step](self._conversation)
        then = ReplyHalf._quit if entry.step is Step.QUIT else ReplyHalf._complete
        return self._forward(self._target(), then)

    def _exec(self, kind: int) -> bool:
        """An array of the queued commands' replies; a null, if a watched key changed; or an error."""
        if kind == _ARRAY and self._framer.length() is None:
            return False
        queued = self._conversation.queued
        self._conversation.leave_multi()
        return self._array(queued, kind)

    def _queue(self, head: Entry) -> bool:
        """`+QUEUED`: the reply itself comes with EXEC."""
        if not self._framer.forward(self._target()):
            raise FramingError("half of a line that was whole")
        self._conversation.queue(head)
        self._complete()
        return True

    def _hello(self, entry: Hello, kind: int) -> bool:
        if entry.version is not None and kind not in (_ERROR, _BULK_ERROR):
            self._conversation.protocol = entry.version
        return self._pass(entry, kind)

    def _set_reply_mode(self, entry: SetReplyMode, kind: int) -> bool:
        conversation = self._conversation
        if kind != _STATUS:
            silent = conversation.muted or conversation.skip_next
            conversation.skip_next = False
            return self._forward(self._trash if silent else self._target(), ReplyHalf._complete)
        if entry.mode is ReplyMode.SKIP:
            conversation.skip_next = not conversation.muted
        else:
            conversation.skip_next = False
            conversation.muted = entry.mode is ReplyMode.OFF
        silent = entry.mode is not ReplyMode.ON
        return self._forward(self._trash if silent else self._target(), ReplyHalf._complete)

    # -- what comes without having been asked for ------------------------------------------------------

    def _push(self) -> bool:
        kind = self._framer.first_bulk(_LONGEST_KIND)
        if kind is None:
            return False
        if kind in _CONFIRMATIONS:
            return self._forward(self._pieces, ReplyHalf._confirm)
        return self._forward(self.out, ReplyHalf._nothing)

    def _message(self) -> bool:
        """RESP2, subscribed: an array is a message, a confirmation, or the reply to PING."""
        kind = self._framer.first_bulk(_LONGEST_KIND)
        if kind is None:
            return False
        if kind in _MESSAGES:
            return self._forward(self.out, ReplyHalf._nothing)
        if kind in _CONFIRMATIONS:
            return self._forward(self._pieces, ReplyHalf._confirm)
        if self._head() is None:
            raise FramingError("a reply to nothing")
        return self._forward(self._target(), ReplyHalf._complete)

    def _subscription(self, entry: Subscription, kind: int) -> bool:
        """The first confirmation in RESP2, or an error."""
        if kind in (_ERROR, _BULK_ERROR):
            return self._pass(entry, kind)
        if kind != _ARRAY:
            raise FramingError("an odd reply to a subscription")
        return self._forward(self._pieces, ReplyHalf._confirm)

    def _confirm(self) -> None:
        """A confirmation is whole: `kind`, channel, and Redis' count of subscriptions."""
        frame = b"".join(self._pieces)
        self._pieces.clear()
        self.out.append(frame)
        total = frame[:-2].rpartition(b":")[2]
        kind = b"".join(frame.split(b"\r\n", 3)[2:3])
        if not total.isdigit() or len(total) > _LONGEST_COUNT or kind not in _CONFIRMATIONS:
            raise FramingError("a confirmation without a count")
        self._conversation.count_confirmation(kind, int(total))
        head = self._head()
        if isinstance(head, Subscription) and head.kind == kind and not self._levels:
            self._confirmed += 1
            if self._confirmed == head.confirmations:
                self._confirmed = 0
                self._complete()

    def _monitor_line(self, head: Entry | None) -> bool:
        """After MONITOR a status is a line of the log, but for the replies of RESET and QUIT."""
        for reply in (b"+OK\r\n", b"+RESET\r\n"):
            own = self._framer.starts_with(reply)
            if own is None:
                return False
            if own and head is not None:
                return _HANDLERS[type(head)](self, head, _STATUS)
        return self._forward(self.out, ReplyHalf._nothing)

    def _unsolicited(self, kind: int) -> bool:
        """Redis says why before it closes, even to a client that has not asked anything yet."""
        if kind != _ERROR:
            raise FramingError("a reply to nothing")
        line = self._framer.line()
        if line is None:
            return False
        self.out.append(line)
        self._conversation.fail("Redis refused the connection")
        return False


_HANDLERS: Final[dict[type[Any], Callable[[ReplyHalf, Any, int], bool]]] = {
    Entry: ReplyHalf._pass,
    Blocking: ReplyHalf._pass,
    Decode: ReplyHalf._decode,
    Each: ReplyHalf._each,
    Refusal: ReplyHalf._refusal,
    MustFail: ReplyHalf._must_fail,
    Setup: ReplyHalf._setup,
    Turning: ReplyHalf._turning,
    Hello: ReplyHalf._hello,
    SetReplyMode: ReplyHalf._set_reply_mode,
    Subscription: ReplyHalf._subscription,
}
