"""The reference of the functions that the native engine has for the replies of a read. `reference` has the requests.

They decide nothing. They stop at the first reply that they do not know, and leave the rest untouched.
"""

from typing import Final, NamedTuple

from proxy.codec import CodecError
from proxy.engine import ENGINE
from proxy.resp import ReplyFramer
from proxy.resp.encode import bulk
from proxy.resp.reply_framer import is_flask, plain_end, whole_bulk
from proxy.session.expected_replies import PASS, Decode, Entry
from proxy.session.lane import Lane, Owed
from proxy.session.runs import Runs

_NULLS: Final = (b"$-1\r\n", b"_\r\n")


class Replies(NamedTuple):
    """Replies that were taken. The native engine gives the same as a plain tuple."""

    out: bytes
    """The bytes for the client."""
    taken: int
    """The number of replies."""
    shows_flask: bool
    """The watched reply is a value of Flask's caches."""
    converted: list[tuple[Decode, int, int]] | None
    """For each Decode: the entry, and the number of values and of nulls."""
    is_cut: bool
    """The last reply is not whole yet, but what is there is taken too. The number does not count it."""


class JoinedReplies(NamedTuple):
    """As `Replies`, of several lanes."""

    out: bytes
    taken: int
    shows_flask: bool
    converted: list[tuple[Decode, int, int]] | None
    lanes: list[tuple[Lane, int]]
    """The number of replies of each lane that were taken."""


def payload_of(entry: Decode, data: bytes, start: int, stop: int, room: int) -> bytes | None:
    """The payload of a stored value in a read. `room`: most bytes of both. None: the long way must handle it."""
    if stop - start > room or entry.codec is None:
        return None
    try:
        payload: bytes = entry.codec.decode(data[start:stop])
    except CodecError:
        return None
    return payload if len(payload) + stop - start <= room else None


def reference_replies(framer: ReplyFramer, owed: Runs[Entry], most: int, room: int, watched: int) -> Replies | None:
    """Take the usual replies at the head of a framer. None: the first one is not usual, or not whole.

    `owed`: the FIFO of the lane. `most`: replies. `room`: bytes that may be decoded, payloads included. `watched`: the
    number of the reply to look at; -1: none.
    """
    if framer.forwarding and not framer.passing:
        return None
    taking = _Taking(framer, room)
    taken = 0
    if framer.passing:
        if end := framer.passed_end():
            framer.end_passing()
            taking.pos, taken = end, 1
        else:
            data, start = framer.head()
            return Replies(data[start:], 0, False, None, True) if framer.pass_cut(start) else None
    shows_flask = is_cut = False
    converted: list[tuple[Decode, int, int]] = []
    before = taken
    for entry, length in owed.records(most):
        count, before = min(length - before, most - taken), 0
        done, is_flask_value = taking.take(entry, count, watched - taken, converted)
        shows_flask = shows_flask or is_flask_value
        is_cut = done < count and entry is PASS and framer.pass_cut(taking.pos)
        taken += done
        if done < count or taken == most:
            break
    if not taken and not is_cut:
        return None
    if is_cut:
        taking.end()
    out = taking.result()
    if not is_cut:
        framer.consume_to(taking.pos)
    return Replies(out, taken, shows_flask, converted or None, is_cut)


def reference_joined(kind: type[Lane], owed: Runs[Owed], most: int, room: int, watched: int) -> JoinedReplies | None:
    """As `reference_replies`, for the replies of several lanes, in the order of the client's FIFO.

    `owed`: the client's FIFO. It stops at an entry that is not a lane of this `kind`.
    """
    lanes: dict[Lane, _LaneTaking] = {}
    out: list[bytes] = []
    shows_flask = False
    converted: list[tuple[Decode, int, int]] = []
    taken = 0
    for lane, length in owed.records(most):
        if type(lane) is not kind or lane.framer.forwarding:
            break
        taking = lanes[lane] = lanes.get(lane) or _LaneTaking(lane, most, room)
        count = min(length, most - taken)
        done, is_flask_value, room = taking.take_run(out, count, watched - taken, room, converted)
        shows_flask = shows_flask or is_flask_value
        taken += done
        if done < count or taken == most:
            break
    if not taken:
        return None
    took = [(lane, taking.taken) for lane, taking in lanes.items() if taking.taken]
    for lane, _ in took:
        lane.framer.consume_to(lanes[lane].pos)
    return JoinedReplies(b"".join(out), taken, shows_flask, converted or None, took)


class _LaneTaking:
    """The place in a lane that the call has reached."""

    def __init__(self, lane: Lane, most: int, room: int) -> None:
        self._taking = _Taking(lane.framer, room)
        self._entries = iter(lane.owed.records(most))
        self._entry: Entry = PASS
        self._left = 0
        self.taken = 0

    @property
    def pos(self) -> int:
        """The end of the replies that were taken."""
        return self._taking.pos

    def take_run(
        self, out: list[bytes], count: int, watched: int, room: int, converted: list[tuple[Decode, int, int]]
    ) -> tuple[int, bool, int]:
        """Take up to `count` replies. Returns their number, whether the watched one is Flask's, and the room left."""
        shows_flask, got, taking = False, 0, self._taking
        taking.begin(room)
        while got < count:
            if not self._left:
                self._entry, self._left = next(self._entries)
            wanted = min(self._left, count - got)
            done, is_flask_value = taking.take(self._entry, wanted, watched - got, converted)
            shows_flask = shows_flask or is_flask_value
            self._left -= done
            got += done
            if done < wanted:
                break
        self.taken += got
        out.append(taking.result())
        return got, shows_flask, taking.room


class _Taking:
    """The place in the bytes of a framer that a call has reached."""

    def __init__(self, framer: ReplyFramer, room: int) -> None:
        self._data, self.pos = framer.head()
        self.begin(room)

    def begin(self, room: int) -> None:
        """Begin a run of replies. `room`: bytes that may be decoded."""
        self.room = room
        self._out: list[bytes] = []
        self._copied = self._start = self.pos

    def take(
        self, entry: Entry, count: int, watched: int, converted: list[tuple[Decode, int, int]]
    ) -> tuple[int, bool]:
        """Take up to `count` replies of one entry. Returns their number, and whether the watched one is Flask's."""
        if entry is PASS:
            done, watched_at = self._pass_on(count, watched)
            return done, watched_at >= 0 and is_flask(self._data, watched_at)
        if type(entry) is not Decode:
            return 0, False
        hits, misses = self._decode(entry, count)
        if hits or misses:
            _add(converted, entry, hits, misses)
        return hits + misses, False

    def _pass_on(self, most: int, watched: int) -> tuple[int, int]:
        """Pass plain replies on. Returns their number, and the position of the one with the number `watched`, or -1."""
        watched_at = -1
        for done in range(most):
            end = plain_end(self._data, self.pos)
            if end < 0:
                return done, watched_at
            if done == watched:
                watched_at = self.pos
            self.pos = end
        return most, watched_at

    def _decode(self, entry: Decode, most: int) -> tuple[int, int]:
        """Decode values and pass nulls on. Returns the number of each."""
        hits = misses = 0
        while hits + misses < most:
            if self._data.startswith(_NULLS, self.pos):
                self.pos = self._data.find(b"\n", self.pos) + 1
                misses += 1
                continue
            start, stop = whole_bulk(self._data, self.pos)
            payload = payload_of(entry, self._data, start, stop, self.room) if start else None
            if payload is None:
                break
            self.room -= len(payload) + stop - start
            self._out += (self._data[self._copied : self.pos], bulk(payload))
            self.pos = self._copied = stop + 2
            hits += 1
        return hits, misses

    def end(self) -> None:
        """Take all that is there."""
        self.pos = len(self._data)

    def result(self) -> bytes:
        """The bytes for the client, of the whole run."""
        if not self._out:
            return self._data[self._start : self.pos]
        return b"".join((*self._out, self._data[self._copied : self.pos]))


def _add(converted: list[tuple[Decode, int, int]], entry: Decode, hits: int, misses: int) -> None:
    """Add the numbers of an entry to those of the call."""
    for at, (other, *numbers) in enumerate(converted):
        if other is entry:
            converted[at] = entry, numbers[0] + hits, numbers[1] + misses
            return
    converted.append((entry, hits, misses))


take_replies: Final = ENGINE.of("take_replies", reference_replies)
take_joined: Final = ENGINE.of("take_joined", reference_joined)
