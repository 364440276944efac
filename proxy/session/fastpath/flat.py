"""The flat functions of the fast path: one call takes a whole read, from its bytes to the entries and the counts.

These are the references. The native engine has its own classes, because a client that does not pipeline pays for every
step of Python. Both give the same result as the session, which handles one request and one reply at a time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from proxy.engine import ENGINE
from proxy.resp import ReplyFramer
from proxy.resp.encode import bulk
from proxy.resp.hiredis_reader import one_command, whole_commands
from proxy.resp.reply_framer import plain_end, whole_bulk
from proxy.session.counters import Tally
from proxy.session.expected_replies import PASS, Decode
from proxy.session.fastpath.plan import Plan
from proxy.session.fastpath.reference import ReferenceTable
from proxy.session.fastpath.reference_replies import payload_of, take_replies
from proxy.session.lane import Lane
from proxy.session.state import Conversation, Mark

SMALL: Final = 4096
"""Bytes of a read that is taken at once. In a longer one, requests that pass unchanged come first."""
TIMED: Final = 16
"""One of so many reads is timed, because reading the clock takes as long as converting a small value."""
Commands = Sequence[list[bytes]] | Mapping[int, list[bytes]]

TakenReplies = tuple[bytes, list[tuple[Decode, int, int]] | None, bool]
"""The bytes for the client, `converted` and `is_cut`: see `Replies`."""


class FlatRequests:
    """Takes reads of which every request is usual. It runs while no outstanding command may change their meaning."""

    __slots__ = ("_conversation", "_limits", "_out", "_table", "_tally", "_untimed", "is_cut", "taken")

    def __init__(self, conversation: Conversation, tally: Tally) -> None:
        """For the home lane. `use` must follow."""
        self._conversation = conversation
        self._tally = tally
        self._untimed = 0
        self._out: bytes | None = None
        self.taken = 0
        """The number of bytes of the requests at the head of a read that were taken."""
        self.is_cut = False
        """The rest of a read is the beginning of a request."""

    def use(self, table: ReferenceTable, longest: int, most: int, pending: int, room: int) -> None:
        """Use these plans and limits from now on.

        `longest`: bytes of a read. `most`: requests of a read. `pending`: replies outstanding. `room`: bytes of
        payloads that may be encoded.
        """
        self._table = table
        self._limits = longest, most, pending, room

    def take(self, data: bytes, any_length: bool = False) -> bytes | None:
        """Take a read. Returns the bytes for Redis, if all requests in it are usual. None: see `give` and `taken`.

        `any_length`: as long as `use` says; by default a longer read than `SMALL` is left.
        """
        conversation = self._conversation
        longest, most, pending, room = self._limits
        self.taken, self.is_cut = 0, False
        if conversation.marks or not conversation.flows or not conversation.is_dry:
            return None
        if len(data) > longest or (len(data) > SMALL and not any_length):
            return None
        args = one_command(data)
        if args is not None:
            return self._take_one(args, data)
        commands = whole_commands(data)
        self.is_cut = not commands
        if not 0 < len(commands) <= most or conversation.owed.size + len(commands) >= pending:
            return None
        self._untimed -= 1
        began = 0.0 if self._untimed > 0 else self._tally.clock()
        taken = self._table.take(commands, data, room)
        if taken is None:
            return None
        out, runs, self.taken = taken
        if record(conversation, self._tally, commands, runs, began):
            self._untimed = TIMED
        if self.taken == len(data):
            return out
        self.is_cut = sum(count for _, count in runs) == len(commands)
        self._out = out
        return None

    def give(self) -> bytes | None:
        """Give away the bytes for Redis of a read that was not taken to its end: of the requests at its head."""
        out, self._out = self._out, None
        return out

    def _take_one(self, args: list[bytes], data: bytes) -> bytes | None:
        """As `take`, for a read that is one request: the usual one of a client that does not pipeline."""
        conversation, tally = self._conversation, self._tally
        _, _, pending, room = self._limits
        if conversation.owed.size + 1 >= pending:
            return None
        self._untimed -= 1
        began = 0.0 if self._untimed > 0 else tally.clock()
        taken = self._table.take_one(args, data, room)
        if taken is None:
            return None
        out, plan = taken
        if record(conversation, tally, (args,), ((plan, 1),), began):
            self._untimed = TIMED
        return out


def record(
    conversation: Conversation, tally: Tally, commands: Commands, runs: Sequence[tuple[Plan, int]], began: float
) -> bool:
    """Append the entries of requests that were taken, and count them. True: a conversion was timed.

    `commands`: the arguments by the number of the request; a dict has those of the GETs that may be watched. `began`:
    the time before they were taken; 0: it is not known.
    """
    owed, lane = conversation.owed, conversation.home
    lane_owed = lane.owed
    if not lane_owed.size:
        conversation.asked = runs[0][0].command
    is_timed = False
    done = 0
    for (command, rule, entry, meter, watches), count in runs:
        if rule is None:
            tally.untouched += count
            if watches and conversation.watched_at < owed.taken:
                conversation.watch(commands[done], done)
        else:
            tally.managed += count
            if meter is not None:
                meter.values.count += count
                if began:
                    meter.observe((tally.clock() - began) / count)
                    is_timed = True
        tally.commands[command] += count
        lane_owed.append(entry, count)
        done += count
    owed.append(lane, done)
    return is_timed


class FlatReplies:
    """Takes reads of which every reply is usual. It runs while replies do not change the state of the conversation."""

    __slots__ = ("_conversation", "_framer", "_goes_on", "_levels", "_limits", "_out", "_tally", "_untimed")

    def __init__(
        self,
        conversation: Conversation,
        tally: Tally,
        levels: list[Any],
        out: list[bytes],
        goes_on: Callable[[], None],
    ) -> None:
        """For the home lane. `use` must follow.

        `levels`: open arrays. `out`: gets replies that others must follow. `goes_on`: called when a reply passes that
        is not whole yet.
        """
        self._conversation = conversation
        self._framer: ReplyFramer = conversation.home.framer
        self._tally = tally
        self._levels = levels
        self._out = out
        self._goes_on = goes_on
        self._untimed = 0

    def use(self, most: int, room: int) -> None:
        """Use these limits from now on. `most`: replies of a read. `room`: bytes that may be decoded."""
        self._limits = most, room

    def take(self, data: bytes) -> bytes | None:
        """Take a read. Returns the bytes for the client, if all replies are usual. None: the framer has the rest."""
        conversation, framer = self._conversation, self._framer
        owed, lane = conversation.owed, conversation.home
        if (
            conversation.waits
            or not conversation.flows
            or conversation.marks & Mark.REPLIES_MATTER
            or not owed.size
            or owed.first is not lane
            or self._levels
        ):
            framer.feed(data)
            return None
        if owed.size == 1 and conversation.watched_at != owed.taken and not framer.buffered and not framer.forwarding:
            out = self._take_one(data, lane)
            if out is not None:
                return out
        framer.feed(data)
        most, room = self._limits
        began = self._began()
        taken = take_some_replies(conversation, lane, min(most, owed.first_count), room, self._tally)
        if taken is None:
            return None
        out, converted, is_cut = taken
        if is_cut:
            self._goes_on()
        if converted and count_values(self._tally, converted, began):
            self._untimed = TIMED
        if framer.buffered or (owed.size and owed.first is not lane):
            self._out.append(out)
            return None
        return out

    def _take_one(self, data: bytes, lane: Lane) -> bytes | None:
        """As `take`, for a read that is one reply, and all that is owed. The framer has no bytes, and gets none."""
        entry, out = lane.owed.first, data
        if entry is PASS:
            if plain_end(data, 0) != len(data):
                return None
        elif type(entry) is Decode:
            start, stop = whole_bulk(data, 0)
            if not start or stop + 2 != len(data):
                return None
            began = self._began()
            payload = payload_of(entry, data, start, stop, self._limits[1])
            if payload is None:
                return None
            out = bulk(payload)
            if count_values(self._tally, ((entry, 1, 0),), began):
                self._untimed = TIMED
        else:
            return None
        self._conversation.serve(lane)
        return out

    def _began(self) -> float:
        """The time, for one of so many reads; otherwise 0."""
        self._untimed -= 1
        return 0.0 if self._untimed > 0 else self._tally.clock()


def take_some_replies(
    conversation: Conversation, lane: Lane, most: int, room: int, tally: Tally
) -> TakenReplies | None:
    """Take usual replies of the lane at the head."""
    owed = conversation.owed
    taken = take_replies(lane.framer, lane.owed, most, room, max(-1, conversation.watched_at - owed.taken))
    if taken is None:
        return None
    out, count, shows_flask, converted, is_cut = taken
    if shows_flask and conversation.watched:
        tally.on_flask_value(conversation.watched)
    if count:
        owed.take(count)
        lane.owed.take_runs(count)
    return out, converted, is_cut


def count_values(tally: Tally, converted: Iterable[tuple[Decode, int, int]], began: float) -> bool:
    """Count the values and the nulls of each entry. True: a conversion was timed. `began`: see `record`."""
    is_timed = False
    for entry, hits, misses in converted:
        rule = entry.rule
        if misses:
            tally.misses[rule.name] += misses
        if hits:
            meter = rule.inline.decoding
            meter.values.count += hits
            if began:
                meter.observe((tally.clock() - began) / hits)
                is_timed = True
    return is_timed


if not TYPE_CHECKING:
    FlatRequests = ENGINE.of("FlatRequests", FlatRequests)
    FlatReplies = ENGINE.of("FlatReplies", FlatReplies)
