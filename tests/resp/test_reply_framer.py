"""The framer: boundaries, raw bytes, every way of cutting a stream, and everything that is not RESP."""

import tracemalloc
from collections.abc import Callable, Iterable
from operator import methodcaller

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import engine
from proxy.resp import FramingError, ReplyFramer, reply_framer
from proxy.resp.reply_framer import MAX_HEADER_BYTES, MAX_LINE_BYTES
from tests import effort
from tests.resp.streams import cuts, mutated, one_by_one, pieces

FRAMERS = [reply_framer.ReplyFramer, *({ReplyFramer} - {reply_framer.ReplyFramer})]
"""The reference, and the native one where it runs."""

VALUES = {
    "status": b"+OK\r\n",
    "empty status": b"+\r\n",
    "status with a CR": b"+a\rb\r\n",
    "error": b"-ERR no\r\n",
    "integer": b":-12\r\n",
    "bulk": b"$5\r\nhe\r\no\r\n",
    "empty bulk": b"$0\r\n\r\n",
    "null bulk": b"$-1\r\n",
    "array": b"*2\r\n$1\r\na\r\n:1\r\n",
    "empty array": b"*0\r\n",
    "null array": b"*-1\r\n",
    "nested arrays": b"*2\r\n*2\r\n:1\r\n*0\r\n*1\r\n$-1\r\n",
    "null": b"_\r\n",
    "boolean": b"#t\r\n",
    "double": b",-1.5e3\r\n",
    "infinity": b",inf\r\n",
    "big number": b"(-3492890328409238509324850943850943825024385\r\n",
    "blob error": b"!10\r\nSYNTAX a\r\n\r\n",
    "verbatim": b"=7\r\ntxt:a\r\n\r\n",
    "map": b"%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*1\r\n_\r\n",
    "empty map": b"%0\r\n",
    "set": b"~3\r\n:1\r\n:2\r\n#f\r\n",
    "push": b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n",
    "attribute": b"|1\r\n+ttl\r\n:3600\r\n",
    "attribute between elements": b"*3\r\n:1\r\n|1\r\n+ttl\r\n*2\r\n:1\r\n:2\r\n:2\r\n:3\r\n",
    "attribute within an attribute": b"*1\r\n|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n+d\r\n:1\r\n",
    "attribute in front of a map's value": b"%1\r\n+k\r\n|1\r\n+a\r\n+b\r\n+v\r\n",
    "push between elements": b"*2\r\n>2\r\n+pubsub\r\n+x\r\n:1\r\n>0\r\n:2\r\n",
    "deep": b"*1\r\n" * 3000 + b":1\r\n",
}

MALFORMED = {
    "an unknown type": b"?\r\n",
    "an unknown type within": b"*2\r\n:1\r\nx\r\n",
    "an LF alone": b"\n" * MAX_HEADER_BYTES,
    "a status without its CR": b"+OK\n",
    "a status with an LF within": b"+a\nb\r\n",
    "a header without its CR": b"$1\na\r\n" + b"a" * MAX_HEADER_BYTES,
    "a header without end": b"$" + b"1" * MAX_HEADER_BYTES,
    "a header without a number": b"$\r\n\r\n",
    "a length with a sign": b"$+1\r\na\r\n",
    "a length with a space": b"$ 1\r\na\r\n",
    "a length below null": b"$-2\r\n",
    "a length of other digits": "$\u0661\r\na\r\n".encode(),
    "a streamed bulk": b"$?\r\n;1\r\na\r\n;0\r\n",
    "a streamed array": b"*?\r\n:1\r\n.\r\n",
    "a bulk that goes on": b"$1\r\nab\r\n",
    "a bulk that ends too early": b"$3\r\na\r\n:1\r\n",
    "a bulk without its LF": b"$1\r\na\rb\r\n",
    "a bulk without its CR": b"$1\r\nab\n",
    "a nested bulk that goes on": b"*1\r\n$1\r\nab\r\n",
}


def forwarded(framer: ReplyFramer, chunks: Iterable[bytes]) -> list[bytes]:
    """The values that `chunks` hold, each in one piece; what is left of the last one stays in the framer."""
    values: list[bytes] = []
    out: list[bytes] = []
    for chunk in chunks:
        framer.feed(chunk)
        while framer.forwarding or framer.kind():
            if not framer.forward(out):
                break
            values.append(b"".join(out))
            out.clear()
    return values


# -- forwarding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
class TestForwarding:
    @pytest.mark.parametrize("cut", [lambda data: [data], one_by_one], ids=["whole", "byte by byte"])
    def test_every_value_goes_on_untouched(self, value: bytes, cut: Callable[[bytes], Iterable[bytes]]) -> None:
        framer = ReplyFramer()
        assert forwarded(framer, cut(value)) == [value]
        assert (framer.buffered, framer.forwarding, framer.kind()) == (0, False, 0)

    @given(cuts=cuts)
    @settings(max_examples=10)
    def test_random_chunks_change_nothing(self, value: bytes, cuts: list[int]) -> None:
        assert forwarded(ReplyFramer(), pieces(value * 2, cuts)) == [value, value]

    def test_what_follows_is_left_alone(self, value: bytes) -> None:
        framer, out = ReplyFramer(), list[bytes]()
        framer.feed(value + b"+next\r\n")
        assert framer.forward(out)
        assert b"".join(out) == value
        assert framer.buffered == len(b"+next\r\n")
        assert framer.line() == b"+next\r\n"

    def test_a_value_cut_anywhere_is_moved_as_far_as_it_is_there(self, value: bytes) -> None:
        for at in range(1, min(len(value), 60)):
            framer, out = ReplyFramer(), list[bytes]()
            framer.feed(value[:at])
            assert not framer.forward(out)
            assert framer.buffered < MAX_HEADER_BYTES  # no more than a header is kept back
            assert framer.forwarding == bool(out)
            framer.feed(value[at:])
            assert framer.forward(out)
            assert b"".join(out) == value


@pytest.mark.parametrize("cut", [lambda data: [data], one_by_one], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_resp_is_refused(data: bytes, cut: Callable[[bytes], Iterable[bytes]]) -> None:
    with pytest.raises(FramingError):
        forwarded(ReplyFramer(), cut(data))


scalars = st.one_of(
    st.builds(lambda text: b"+%b\r\n" % text, st.binary(max_size=8).filter(lambda text: not set(text) & set(b"\r\n"))),
    st.builds(lambda text: b"-ERR %b\r\n" % text.encode(), st.text("ab ", max_size=5)),
    st.builds(lambda number: b":%d\r\n" % number, st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda number: b"(%d\r\n" % number, st.integers()),
    st.builds(lambda number: b",%b\r\n" % repr(number).encode(), st.floats(allow_nan=False) | st.just(0.1)),
    st.sampled_from([b"_\r\n", b"#t\r\n", b"#f\r\n", b"$-1\r\n", b"*-1\r\n"]),
    st.builds(lambda data: b"$%d\r\n%b\r\n" % (len(data), data), st.binary(max_size=20)),
)


def _aggregate(kind: bytes, elements: st.SearchStrategy[bytes], each: int = 1) -> st.SearchStrategy[bytes]:
    def build(items: list[bytes]) -> bytes:
        count = len(items) // each
        return b"%b%d\r\n%b" % (kind, count, b"".join(items[: count * each]))

    return st.builds(build, st.lists(elements, max_size=5))


def _containers(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    pairs = st.lists(st.builds(bytes.__add__, scalars, values), max_size=3)
    return st.one_of(
        _aggregate(b"*", values),
        _aggregate(b"~", scalars),
        st.builds(lambda items: b"%%%d\r\n%b" % (len(items), b"".join(items)), pairs),
    )


understood = st.recursive(scalars, _containers, max_leaves=12)
"""Values that hiredis reads as well: its sets and keys must be hashable, attributes it does not know."""

pushes = st.builds(
    lambda items: b">%d\r\n%b" % (len(items), b"".join(items)), st.lists(understood, min_size=1, max_size=3)
)


@given(values=st.lists(understood | pushes, max_size=5), cuts=cuts)
def test_values_end_where_hiredis_ends_them(values: list[bytes], cuts: list[int]) -> None:
    stream, more = b"".join(values), object()
    reader, ends = hiredis.Reader(notEnoughData=more), list[int]()
    for at, byte in enumerate(one_by_one(stream), 1):
        reader.feed(byte)
        if reader.gets() is not more:
            ends.append(at)
    for chunks in ([stream], one_by_one(stream), pieces(stream, cuts)):
        got = forwarded(ReplyFramer(), chunks)
        assert got == values
        assert [sum(map(len, got[: at + 1])) for at in range(len(got))] == ends


# -- looking, and taking pieces ------------------------------------------------------------------------------


def test_bulk_gives_the_payload_alone() -> None:
    framer = ReplyFramer()
    framer.feed(b"$5\r\nhe\r\no\r\n$0\r\n\r\n")
    assert (framer.kind(), framer.length()) == (ord("$"), 5)
    assert framer.bulk() == b"he\r\no"
    assert framer.bulk() == b""
    assert framer.bulk() is None


def test_line_gives_the_line_with_its_end() -> None:
    framer = ReplyFramer()
    framer.feed(b"+OK\r\n-ERR x\r\n:1")
    assert [framer.line(), framer.line(), framer.line()] == [b"+OK\r\n", b"-ERR x\r\n", None]


def test_enter_gives_the_header_and_leaves_the_elements() -> None:
    framer = ReplyFramer()
    framer.feed(b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n")
    assert [framer.enter(), framer.enter(), framer.line(), framer.bulk()] == [b"*2\r\n", b"*1\r\n", b":1\r\n", b"a"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"$5\r\n", 5),
        (b"$-1\r\n", -1),
        (b"*-1\r\n", -1),
        (b"*0\r\n", 0),
        (b"%12\r\n", 12),
        (b"$5\r", None),
        (b"$", None),
        (b"", None),
    ],
)
def test_length_reads_the_header_and_consumes_nothing(data: bytes, expected: int | None) -> None:
    framer = ReplyFramer()
    framer.feed(data)
    assert framer.length() == expected
    assert framer.buffered == len(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b">3\r\n$7\r\nmessage\r\n", b"message"),
        (b">3\r\n$7\r\nmessage", b"message"),
        (b">3\r\n$0\r\n", b""),
        (b">3\r\n$8\r\nmessages\r\n", b""),
        (b">3\r\n$-1\r\n", b""),
        (b">3\r\n+message\r\n", b""),
        (b">0\r\n", b""),
        (b"*-1\r\n", b""),
        (b">3\r\n$7\r\nmessag", None),
        (b">3\r\n$7\r", None),
        (b">3\r\n", None),
        (b">3\r", None),
        (b"", None),
    ],
)
def test_first_bulk_looks_into_an_aggregate(data: bytes, expected: bytes | None) -> None:
    for chunks in ([data], one_by_one(data)):
        framer = ReplyFramer()
        for chunk in chunks:
            framer.first_bulk(7)
            framer.feed(chunk)
        assert framer.first_bulk(7) == expected
        assert framer.buffered == len(data)


@pytest.mark.parametrize(
    ("data", "look"),
    [
        (b"$1\r\nab\r\n", ReplyFramer.bulk),
        (b"$1\r\na\nb\r\n", ReplyFramer.bulk),
        (b"$x\r\n", ReplyFramer.length),
        (b"$" + b"1" * MAX_HEADER_BYTES, ReplyFramer.length),
        (b"*" + b"1" * MAX_HEADER_BYTES, ReplyFramer.enter),
        (b"+a\nb\r\n", ReplyFramer.line),
        (b"\n", ReplyFramer.line),
        (b"-" + b"a" * MAX_LINE_BYTES + b"\r\n", ReplyFramer.line),
        (b"-" + b"a" * MAX_LINE_BYTES, ReplyFramer.line),
        (b">1\r\n$" + b"1" * MAX_HEADER_BYTES, lambda framer: framer.first_bulk(9)),
        (b">1\r\n$-3\r\n", lambda framer: framer.first_bulk(9)),
    ],
)
def test_a_look_at_what_is_not_resp_says_so_however_it_came(data: bytes, look: Callable[[ReplyFramer], object]) -> None:
    for chunks in ([data], one_by_one(data)):
        framer = ReplyFramer()

        def look_at_each(chunks: Iterable[bytes] = chunks, framer: ReplyFramer = framer) -> None:
            for chunk in chunks:
                framer.feed(chunk)
                look(framer)

        with pytest.raises(FramingError):
            look_at_each()


def test_a_line_may_be_as_long_as_the_limit() -> None:
    longest = b"-" + b"a" * (MAX_LINE_BYTES - 3) + b"\r\n"
    for chunks in ([longest], one_by_one(longest)):
        framer = ReplyFramer()
        lines = []
        for chunk in chunks:
            framer.feed(chunk)
            lines.append(framer.line())
        assert lines[-1] == longest
        assert not any(lines[:-1])


def test_looking_again_while_waiting_does_no_harm() -> None:
    value = b"$200000\r\n" + b"v" * 200000 + b"\r\n"
    framer = ReplyFramer()
    for chunk in pieces(value, list(range(0, len(value), 4000))):
        assert framer.bulk() is None
        framer.feed(chunk)
        assert (framer.kind(), framer.short_line(9)) == (ord("$"), b"$200000\r\n")
        if framer.buffered > 9:
            assert framer.length() == 200000
    assert framer.bulk() == b"v" * 200000


def test_forward_takes_over_from_a_look_that_waits() -> None:
    for look in (ReplyFramer.bulk, lambda framer: framer.short_line(12), ReplyFramer.line):
        framer, out = ReplyFramer(), list[bytes]()
        for chunk in (b"$1000\r\nvv", b"v" * 500, b"v" * 498, b"\r\n"):
            if not framer.forwarding:
                look(framer)
            framer.feed(chunk)
            whole = framer.forward(out)
            assert framer.buffered == 0  # nothing is kept from it
        assert whole
        assert b"".join(out) == b"$1000\r\n" + b"v" * 1000 + b"\r\n"


LOOKS: list[Callable[[ReplyFramer], object]] = [
    ReplyFramer.kind,
    ReplyFramer.length,
    lambda framer: framer.first_bulk(5),
    lambda framer: framer.short_line(5),
    lambda framer: framer.short_line(9),
]


@given(
    values=st.lists(understood | pushes, max_size=5),
    cuts=cuts,
    choices=st.lists(st.integers(0, 2), max_size=30),
    looks=st.lists(st.sampled_from(LOOKS), max_size=30),
)
def test_pieces_and_forwarding_interleaved_give_the_stream_back(
    values: list[bytes], cuts: list[int], choices: list[int], looks: list[Callable[[ReplyFramer], object]]
) -> None:
    framer, out = ReplyFramer(), list[bytes]()

    def move() -> bool:
        choice = choices.pop() if choices else 0
        if framer.forwarding or not choice or not (kind := framer.kind()):
            return framer.forward(out)
        if choice == 1 and looks:
            try:
                looks.pop()(framer)
            except FramingError:
                assert kind not in b"$*~%>"  # a number was asked of what has none
            return move()
        if kind == ord("$"):
            size = framer.length()
            if size is not None and size >= 0:
                payload = framer.bulk()
                if payload is not None:
                    out.append(b"$%d\r\n%b\r\n" % (size, payload))
                return payload is not None
            return size is not None and framer.forward(out)
        piece = framer.enter() if kind in b"*~%>" else framer.line()
        out.append(piece or b"")
        return piece is not None

    stream = b"".join(values)
    for chunk in pieces(stream, cuts):
        framer.feed(chunk)
        while framer.buffered and move():
            pass
    while framer.buffered:
        move()
    assert b"".join(out) == stream


# -- anything at all -----------------------------------------------------------------------------------------

scraps = st.sampled_from(
    [b"", b"\r", b"\n", b"\r\n", b"$", b"*", b">", b"|", b"9", b"-", b"-1", b"\0", b"\xff"]
) | st.binary(max_size=4)
calls: st.SearchStrategy[Callable[[ReplyFramer], object]] = st.sampled_from(
    [
        *LOOKS,
        ReplyFramer.bulk,
        ReplyFramer.line,
        ReplyFramer.enter,
        lambda framer: framer.forward([]),
        lambda framer: framer.forward([]),
        lambda framer: framer.buffered,
        lambda framer: framer.forwarding,
    ]
)


@given(
    data=mutated(st.builds(b"".join, st.lists(understood | pushes, max_size=4)), scraps) | st.binary(max_size=40),
    cuts=cuts,
    script=st.lists(st.lists(calls, max_size=4), max_size=14),
)
@settings(max_examples=effort.cases(400))
def test_only_framing_errors_come_out_whatever_goes_in(
    data: bytes, cuts: list[int], script: list[list[Callable[[ReplyFramer], object]]]
) -> None:
    framer = ReplyFramer()
    try:
        for chunk in pieces(data, cuts):
            framer.feed(chunk)
            for call in script.pop() if script else ():
                call(framer)
        while framer.buffered and framer.forward([]):
            pass
    except FramingError:
        pass


@given(data=mutated(st.builds(b"".join, st.lists(understood | pushes, max_size=4)), scraps), cuts=cuts)
def test_how_a_malformed_stream_is_cut_does_not_matter(data: bytes, cuts: list[int]) -> None:
    def outcome(chunks: Iterable[bytes]) -> tuple[bytes, str]:
        framer, out = ReplyFramer(), list[bytes]()
        text = ""
        try:
            for chunk in chunks:
                framer.feed(chunk)
                while framer.buffered and framer.forward(out):
                    pass
        except FramingError as error:
            text = str(error)
        return b"".join(out), text

    (one, text), (other, other_text) = outcome(one_by_one(data)), outcome(pieces(data, cuts))
    assert text == other_text
    if not text:
        assert one == other


# -- cost ----------------------------------------------------------------------------------------------------


class Counting(reply_framer.ReplyFramer):
    """Counts the bytes that are copied together."""

    __slots__ = ("joined",)

    def __init__(self) -> None:
        super().__init__()
        self.joined = 0

    def _join(self) -> bool:
        if self._held:
            self.joined += self.buffered
        return super()._join()


counting = pytest.mark.parametrize(
    "framers", [Counting, *([engine.CHOICE.native.ReplyFramer] if engine.CHOICE.native else [])]
)


@counting
@pytest.mark.parametrize(
    ("value", "moves"),
    [
        (
            b"$100000\r\n" + b"v" * 100000 + b"\r\n",
            [methodcaller("kind"), methodcaller("length"), methodcaller("bulk")],
        ),
        (b"-" + b"e" * 60000 + b"\r\n", [methodcaller("short_line", 512), methodcaller("line")]),
        (b">2\r\n$60000\r\n" + b"v" * 60000 + b"\r\n", [lambda framer: framer.first_bulk(70000)]),
        (b"*10000\r\n" + b"$1\r\na\r\n" * 10000, [lambda framer: framer.forward([])]),
        (b"+" + b"s" * 60000 + b"\r\n", [lambda framer: framer.forward([])]),
    ],
)
def test_one_byte_at_a_time_is_linear(
    framers: type[Counting], value: bytes, moves: list[Callable[[ReplyFramer], object]]
) -> None:
    framer = framers()
    for byte in one_by_one(value):
        framer.feed(byte)
        for move in moves:
            move(framer)
    assert framer.joined <= 4 * len(value) + MAX_HEADER_BYTES**2


@counting
def test_what_comes_while_nobody_looks_is_copied_once(framers: type[Counting]) -> None:
    framer = framers()
    values = 20000
    for _ in range(values):
        framer.feed(b"$1\r\na\r\n")
    assert framer.joined == 0
    assert framer.buffered == 7 * values
    # And one value taken for each that comes leaves the rest where it is.
    for _ in range(values):
        assert framer.bulk() == b"a"
        framer.feed(b"$1\r\nb\r\n")
    assert framer.joined <= 3 * 7 * values
    assert framer.buffered == 7 * values


def test_a_large_bulk_flows_through_in_flat_memory() -> None:
    chunk, chunks = b"v" * 65536, 1600
    framer, out, moved = ReplyFramer(), list[bytes](), 0
    tracemalloc.start()
    try:
        framer.feed(b"*2\r\n$%d\r\n" % (len(chunk) * chunks))
        for _ in range(chunks):
            framer.feed(chunk)
            assert not framer.forward(out)
            moved += sum(map(len, out))
            out.clear()
        framer.feed(b"\r\n:1\r\n")
        assert framer.forward(out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert moved > 100_000_000
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", None), (b"-E", None), (b"-ERR x\r", None), (b"-ERR x\r\n+OK\r\n", b"-ERR x\r\n"),
        (b"-ERR 123\r\n", b""), (b"-ERR 1234567", b""), (b"\r\n", b"\r\n"),
    ],
)  # fmt: skip
def test_a_short_line_is_looked_at_and_not_taken(data: bytes, found: bytes | None) -> None:
    for cut in range(len(data) + 1):
        framer = ReplyFramer()
        framer.feed(data[:cut])
        framer.short_line(8)
        framer.feed(data[cut:])
        assert framer.short_line(8) == found
        assert framer.buffered == len(data)
