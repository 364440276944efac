"""Usual replies are taken together: as many as are wanted and there, up to the first that is not usual."""

import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import Options, Transcoder
from proxy.codec.transcoder import Counted
from proxy.commands import COMMANDS
from proxy.engine import ENGINE, REFERENCE
from proxy.resp import FramingError, ReplyFramer, reply_framer
from proxy.resp.encode import bulk
from proxy.session.expected_replies import PASS, Decode, Entry
from proxy.session.fastpath.reference_replies import reference_replies, take_replies
from proxy.session.runs import ReferenceRuns, Runs
from tests.resp.streams import cuts, pieces
from tests.resp.test_reply_framer import MALFORMED, VALUES, pushes, understood
from tests.session.playbook import rule


class Taker(NamedTuple):
    """One engine."""

    framer: Callable[[], Any]
    take: Callable[..., Any]
    runs: Callable[[], Any]
    codec: Transcoder

    def owed(self, entry: Entry, count: int) -> Any:
        """A FIFO."""
        runs = self.runs()
        runs.append(entry, count)
        return runs

    def on(self, data: bytes, most: int, watched: int = -1, *, decodes: bool = False, room: int = 1 << 30) -> Any:
        """The result for one read, and the framer."""
        framer = self.framer()
        framer.feed(data)
        entry = Decode(rule(transcoder=self.codec, inline=self.codec), COMMANDS[b"GET"]) if decodes else PASS
        return self.take(framer, self.owed(entry, 99), most, room, watched), framer


TAKERS = [Taker(reply_framer.ReplyFramer, reference_replies, ReferenceRuns, Transcoder(Options(), REFERENCE))]
if ENGINE.is_native:
    TAKERS.append(Taker(ReplyFramer, take_replies, Runs, Transcoder(Options())))
on_each = pytest.mark.parametrize("taker", TAKERS, ids=["reference", "native"][: len(TAKERS)])
PLAIN = b"$:+_"


@on_each
@pytest.mark.parametrize("name", VALUES)
def test_of_plain_replies_as_many_are_taken_as_are_wanted_and_there(taker: Taker, name: str) -> None:
    value = VALUES[name]
    is_plain = value[0] in PLAIN
    for most, expected in ((2, 2), (9, 3)):
        taken, framer = taker.on(value * 3 + value[:-1], most)
        assert (taken is not None) is is_plain
        if taken is not None:
            assert (taken[0], taken[1]) == (value * expected, expected)
        assert framer.buffered == len(value) * (4 - expected * is_plain) - 1


@on_each
@pytest.mark.parametrize("name", MALFORMED)
def test_they_end_where_something_is_malformed(taker: Taker, name: str) -> None:
    taken, framer = taker.on(b":1\r\n" * 3 + MALFORMED[name], 9)
    assert (taken[0], taken[1]) == (b":1\r\n" * 3, 3)
    assert taker.take(framer, taker.owed(PASS, 9), 9, 0, -1) is None
    with pytest.raises(FramingError):
        framer.forward([])


@on_each
@given(values=st.lists(understood | pushes, max_size=8), cuts=cuts, most=st.lists(st.integers(1, 4), min_size=1))
def test_many_and_single_ones_are_the_same_stream(
    taker: Taker, values: list[bytes], cuts: list[int], most: list[int]
) -> None:
    framer, out, done = taker.framer(), list[bytes](), 0
    for number, chunk in enumerate(pieces(b"".join(values), cuts)):
        framer.feed(chunk)
        while framer.buffered:
            taken = taker.take(framer, taker.owed(PASS, 9), most[number % len(most)], 0, -1)
            if taken is not None:
                out.append(taken[0])
                done += taken[1]
            elif framer.forward(out):
                done += 1
            else:
                break
    assert b"".join(out) == b"".join(values)
    assert done == len(values)


@on_each
def test_a_value_that_is_partly_forwarded_is_not_taken(taker: Taker) -> None:
    framer, out = taker.framer(), list[bytes]()
    framer.feed(b"$9\r\n+OK\r\n")
    assert not framer.forward(out)
    framer.feed(b"1234\r\n+OK\r\n")
    assert taker.take(framer, taker.owed(PASS, 9), 9, 0, -1) is None
    assert framer.forward(out)
    assert b"".join(out) == b"$9\r\n+OK\r\n1234\r\n"


@on_each
@pytest.mark.parametrize(
    "data", [b"$", b"$2", b"$2\r\n", b"$2\r\nab", b"$2\r\nab\r", b"$2\r\nabxx", b"$x\r\n", bulk(b"!bad"), b"-ERR\r\n"]
)
def test_a_value_that_is_not_whole_or_wrong_stays(taker: Taker, data: bytes) -> None:
    taken, framer = taker.on(data, 9, decodes=True)
    assert taken is None
    assert framer.buffered == len(data)


@on_each
def test_values_are_decoded_up_to_a_limit_of_all_their_bytes(taker: Taker) -> None:
    stored = taker.codec.encode(b'"tea"')
    data = b"$-1\r\n" + bulk(stored) * 2 + b"_\r\n"
    each = len(stored) + len(b'"tea"')
    for room, count in ((0, 1), (each - 1, 1), (each, 2), (2 * each, 4)):
        taken, _ = taker.on(data, 9, decodes=True, room=room)
        assert taken[0] == (b"$-1\r\n" + bulk(b'"tea"') * 2 + b"_\r\n")[: len(taken[0])]
        assert taken[1] == count
        ((_, hits, misses),) = taken[3]
        assert (hits, misses) == (min(count - 1, 2), 1 + (count == 4))


MARKED = [
    *(
        b"!" + pickle.dumps(value, protocol)
        for value in (None, True, 1.5, "text\n", [1, {"a": (2,)}], ())
        for protocol in (0, 2, 3, 4, 5)
    ),
    b"!\x80\x02",
]
UNMARKED = [
    b"",
    b"!",
    b"!\x80",
    b"!\x80\x01N.",
    b"!\x80\x06N.",
    b"!Important.",
    b"!Now",
    b"! N.",
    b"N.",
    b"\x80\x04N.",
    b"!V\nx",
]


def _watched(taker: Taker, value: bytes, watched: int) -> bool:
    taken, _ = taker.on(b"+OK\r\n" + bulk(value) + b":1\r\n", 9, watched)
    assert taken[1] == 3
    shows: bool = taken[2]
    return shows


@on_each
def test_a_value_of_flask_is_noticed_where_it_is_watched_for(taker: Taker) -> None:
    for value in MARKED:
        assert [_watched(taker, value, at) for at in (-1, 0, 1, 2, 3)] == [False, False, True, False, False], value


@on_each
def test_another_value_is_not(taker: Taker) -> None:
    for value in UNMARKED:
        assert not _watched(taker, value, 1), value
    for line in (b"+!\x80\x04N.\r\n", b"$-1\r\n", b":1\r\n"):
        taken, _ = taker.on(line, 1, 0)
        assert (taken[1], taken[2]) == (1, False)


def test_a_meter_counts_for_nobody_unless_it_is_given() -> None:
    values: Counted = Transcoder(Options()).encoding.values
    values.count += 1
    assert values.count == 1


LONG = bulk(b"v" * 30)


@on_each
@pytest.mark.parametrize("end", range(1, 2 * len(LONG)))
def test_a_bulk_that_is_cut_in_its_body_passes_with_its_read(taker: Taker, end: int) -> None:
    stream, out, done = LONG * 2 + b":1\r\n", list[bytes](), 0
    framer = taker.framer()
    for read in (stream[:end], stream[end:]):
        framer.feed(read)
        taken = taker.take(framer, taker.owed(PASS, 9), 9, 0, -1)
        if taken is not None:
            out.append(taken[0])
            done += taken[1]
        if len(read) == end and len(b"$30\r\n") <= end % len(LONG) < len(LONG) - 1:
            assert framer.buffered == 0
        while framer.buffered and framer.forward(out):
            done += 1
    assert b"".join(out) == stream
    assert done == 3


@on_each
def test_what_is_there_of_a_bulk_is_no_reply_yet(taker: Taker) -> None:
    taken, framer = taker.on(LONG[:20], 9)
    assert (taken[0], taken[1], taken[4]) == (LONG[:20], 0, True)
    framer.feed(LONG[20:25])
    taken = taker.take(framer, taker.owed(PASS, 9), 9, 0, -1)
    assert (taken[0], taken[1], taken[4]) == (LONG[20:25], 0, True)
    framer.feed(LONG[25:] + LONG[:10])
    taken = taker.take(framer, taker.owed(PASS, 9), 9, 0, -1)
    assert (taken[0], taken[1], taken[4]) == (LONG[25:] + LONG[:10], 1, True)
    assert framer.buffered == 0
    out = list[bytes]()
    framer.feed(LONG[10:])
    assert framer.forward(out)
    assert out == [LONG[10:]]


@on_each
def test_no_more_than_is_owed_passes(taker: Taker) -> None:
    framer = taker.framer()
    framer.feed(LONG + LONG[:20])
    taken = taker.take(framer, taker.owed(PASS, 1), 9, 0, -1)
    assert (taken[0], taken[1], taken[4]) == (LONG, 1, False)
    assert framer.buffered == 20


@on_each
def test_a_cut_value_that_is_to_be_decoded_stays(taker: Taker) -> None:
    stored = bulk(taker.codec.encode(b'"tea"'))
    taken, framer = taker.on(stored + stored[:9], 9, decodes=True)
    assert (taken[1], taken[4], framer.buffered) == (1, False, 9)


@on_each
@pytest.mark.parametrize("end", [b"\r", b"xx", b"\rx"])
def test_a_bulk_without_its_crlf_is_found_wherever_it_is_cut(taker: Taker, end: bytes) -> None:
    taken, framer = taker.on(LONG[:20], 9)
    framer.feed(LONG[20:-2] + end)
    taken = taker.take(framer, taker.owed(PASS, 9), 9, 0, -1)
    assert taken is None
    if end == b"\r":
        assert not framer.forward([])
        framer.feed(b"x")
    with pytest.raises(FramingError):
        framer.forward([])


@on_each
def test_a_huge_size_is_no_defect(taker: Taker) -> None:
    taken, framer = taker.on(b"$18446744073709551613\r\nabc", 9)
    assert taken is None or taken[1] == 0
    framer.feed(b"abc")
    taker.take(framer, taker.owed(PASS, 9), 9, 0, -1)
    assert not framer.forward([])
