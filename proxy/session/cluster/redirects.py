"""Follows redirects: MOVED and ASK, and TRYAGAIN for requests that can be split. `trouble` has the theory.

Contract: the error is at the head of its lane, and its lane is at the head of the client's FIFO. `take` returns True if
the request has been sent again, or waits for a map. Then the client gets nothing yet.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, cast

from proxy.commands import Spread, find
from proxy.resp import encode
from proxy.session import error_texts
from proxy.session.cluster.entries import Part, Slice, Watched
from proxy.session.cluster.gather import Gather, arguments, count_of
from proxy.session.cluster.kept import NOT_KEPT, Sent
from proxy.session.cluster.lanes import Lanes, Mail, NodeLane
from proxy.session.cluster.mailbox import slices
from proxy.session.cluster.runs_of_keys import how_of, parts_of
from proxy.session.cluster.transaction import Transaction
from proxy.session.cluster.trouble import Following, Trouble, Undecided
from proxy.session.counters import Tally
from proxy.session.delivery import Delivery
from proxy.session.expected_replies import PASS, Entry
from proxy.session.lane import Header, Suppressed
from proxy.session.slots import SlotMap
from proxy.session.state import Conversation

_MOST_HOPS: Final = 16
_MOST_SPLIT: Final = 1000
"""Arguments of a request that is split key by key. It is done in one turn."""
_ASKING: Final = encode.command(b"ASKING")
_SLOT_MOVES: Final = encode.error(error_texts.SLOT_MOVES)
_TOO_MANY_HOPS: Final = encode.error(error_texts.TOO_MANY_HOPS)
_NOT_FOLLOWED: Final = encode.error(error_texts.NOT_FOLLOWED)


class _Redirect(NamedTuple):
    """A MOVED or ASK."""

    slot: int
    address: str
    is_lasting: bool


def _parse(line: bytes, lane: NodeLane) -> _Redirect | None:
    """`-MOVED slot host:port`. The host of the lane stands for an empty or unknown one. None: it has another form."""
    words = line[1:-2].split(b" ")
    if len(words) != 3 or not words[1].isdigit():
        return None
    host, colon, port = words[2].rpartition(b":")
    if not colon or not port.isdigit() or len(words[1]) > 5:
        return None
    shown = lane.address.rpartition(":")[0] if host in (b"", b"?") else host.decode("ascii", "replace")
    return _Redirect(int(words[1]), f"{shown}:{port.decode()}", words[0] == b"MOVED")


class Redirects:
    """See the module."""

    __slots__ = ("_conversation", "_delivery", "_lanes", "_tally", "_transaction", "_trouble")

    def __init__(
        self,
        conversation: Conversation,
        delivery: Delivery,
        lanes: Lanes,
        transaction: Transaction,
        trouble: Trouble,
        tally: Tally,
    ) -> None:
        """No redirect yet."""
        self._conversation = conversation
        self._delivery = delivery
        self._lanes = lanes
        self._transaction = transaction
        self._trouble = trouble
        self._tally = tally

    def take(self, line: bytes) -> bool:
        """Look at an error at the head. See `Conversation.on_error`."""
        handle = _HANDLERS.get(line[: line.find(b" ") + 1])
        return handle is not None and handle(self, line)

    @property
    def _lane(self) -> NodeLane:
        return cast(NodeLane, self._delivery.lane)

    # -- MOVED and ASK ---------------------------------------------------------------------------------

    def _redirected(self, line: bytes) -> bool:
        self._tally.redirects["moved" if line.startswith(b"-MOVED") else "ask"] += 1
        lane, trouble = self._lane, self._trouble
        if self._conversation.in_multi:
            trouble.slots_are_old = True
            return self._abort()
        redirect, sent = _parse(line, lane), lane.kept.first_sent
        if redirect is None or redirect.slot != sent.slot or not sent.raw:
            return self._replace(_NOT_FOLLOWED)
        if not sent.is_trusted and redirect.address == lane.address:
            return self._replace(_NOT_FOLLOWED)  # no node redirects to itself, and a script would run once more
        if isinstance(lane.owed.first, Watched) and not lane.owed.first.is_first:
            return self._replace(_SLOT_MOVES)  # another lane would not watch the keys before
        trouble.slots_are_old = trouble.slots_are_old or redirect.is_lasting
        if sent.hops >= _MOST_HOPS:
            return self._replace(_TOO_MANY_HOPS)
        entry, delivered = self._withdraw()
        again = sent._replace(hops=sent.hops + 1, was_asked=not redirect.is_lasting)
        if sent.is_trusted and self._lanes.slots.has(redirect.address):
            self._send(redirect.address, Mail(sent.raw, entry, again, delivered), redirect.is_lasting, lane)
            trouble.begin()
        else:
            room = self._lanes.room(lane.address, Mail(sent.raw, entry, again, delivered))
            self._conversation.lanes.append(room)
            trouble.state = Undecided(room, lane, redirect.address, redirect.is_lasting)
            trouble.slots_are_old = True
            trouble.hold_requests()
        return True

    def _abort(self) -> bool:
        """A redirect inside MULTI. Nothing was executed."""
        return self._replace(_SLOT_MOVES)

    def _replace(self, error: bytes) -> bool:
        """Let this error be the reply. Its entry handles it like any other: it may be a part of a larger reply."""
        lane = self._lane
        entry, delivered = self._withdraw()
        self._lanes.room(lane.address, Mail(b"", entry, NOT_KEPT, delivered)).framer.feed(error)
        return True

    def _withdraw(self) -> tuple[Entry, bool]:
        """Take the request at the head out of both FIFOs, and its error out of the lane."""
        lane, conversation = self._lane, self._conversation
        entry, delivered = lane.owed.first, not isinstance(conversation.owed.first, Suppressed)
        conversation.pending_bytes -= entry.size
        if self._delivery.framer.line() is None:
            raise AssertionError("a whole line was looked at")
        conversation.serve(lane)
        return entry, delivered

    def _send(self, address: str, mail: Mail, is_lasting: bool, before: NodeLane) -> None:
        """Send a request again. ASKING is used up by the next command, so both are one write."""
        lane = self._lanes.detour(address)
        if self._transaction.lane is before and find(arguments(mail.raw)) is _WATCH:
            self._transaction.lane = lane
        self._lanes.put_first(lane, (mail,) if is_lasting else (Mail(_ASKING, PASS), mail))

    # -- a request that waits for a map ----------------------------------------------------------------

    def decide(self, slots: SlotMap | None) -> bool:
        """A map was fetched after the redirect; None: that has failed. False: no request waits for it.

        A script's redirect is followed only if the map agrees. Otherwise Redis itself has sent the redirect, so the
        command was not executed. It goes to the redirect's node if the map has it, else to the owner of the slot.
        """
        waiting = self._trouble.state
        if not isinstance(waiting, Undecided):
            return False
        self._trouble.state = Following()
        room, conversation = waiting.room, self._conversation
        sent, entry = room.kept.first_sent, room.owed.first
        delivered = not isinstance(conversation.owed.first, Suppressed)
        owner = None if slots is None else slots.owner(sent.slot)
        address = owner
        if sent.is_trusted and slots is not None and slots.has(waiting.address):
            address = waiting.address
        agrees = sent.is_trusted or (waiting.is_lasting and owner == waiting.address)
        if address is None or not agrees:
            room.framer.feed(_NOT_FOLLOWED)
            return True
        conversation.pending_bytes -= entry.size
        conversation.serve(room)
        is_lasting = waiting.is_lasting or address != waiting.address
        self._send(address, Mail(sent.raw, entry, sent, delivered), is_lasting, waiting.lane)
        return True

    # -- other errors ----------------------------------------------------------------------------------

    def _map_is_old(self, _line: bytes) -> bool:
        self._trouble.slots_are_old = True
        return False

    def _try_again(self, _line: bytes) -> bool:
        """The slot moves, and its node has some of the keys only. A request that can be split is, key by key.

        But a later request may name one of these keys, and its node may have done it already. Then the client gets the
        error, because a part that is sent now would come too late.
        """
        lane = self._lane
        sent = lane.kept.first_sent
        if self._conversation.in_multi or not sent.raw or count_of(sent.raw) > _MOST_SPLIT:
            return False
        args = arguments(sent.raw)
        command = find(args)
        if command is None or command.spread is not Spread.RUNS:
            return False
        parts = parts_of(args)
        if len(parts) < 2 or sent.hops >= _MOST_HOPS:
            return False
        if not sent.was_asked and self._lanes.owes_others(sent.slot):
            return False
        self._tally.redirects["tryagain"] += 1
        entry, delivered = self._withdraw()
        how = how_of(command)
        entries: Sequence[Entry]
        if how is None:
            entries = slices(entry, parts, not isinstance(entry, Slice) or entry.is_last)
        elif isinstance(entry, Part):
            entry.gather.left += len(parts) - 1
            entries = [entry] * len(parts)
        else:
            entries = [Part(Gather(how, len(parts)))] * len(parts)
        mails = [
            Mail(part.request(args), its, Sent(part.request(args), sent.slot, hops=sent.hops + 1), delivered)
            for part, its in zip(parts, entries, strict=True)
        ]
        self._lanes.put_first(self._lanes.detour(lane.address), mails)
        if how is None and not isinstance(entry, Slice) and delivered:
            header = Header(b"*%d\r\n" % len(parts))
            self._conversation.owed.push(header)
            self._conversation.pending_bytes += header.size
        self._trouble.begin()
        return True


_WATCH: Final = find([b"WATCH"])
_HANDLERS: Final[dict[bytes, Callable[[Redirects, bytes], bool]]] = {
    b"-MOVED ": Redirects._redirected,
    b"-ASK ": Redirects._redirected,
    b"-TRYAGAIN ": Redirects._try_again,
    b"-CLUSTERDOWN ": Redirects._map_is_old,
    b"-READONLY ": Redirects._map_is_old,
}
