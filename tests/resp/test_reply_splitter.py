"""The splitter of a shared connection: each owner's bytes, every way of cutting a stream, and every doubt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.resp import ReplySplitter, reply_splitter
from proxy.session import runs
from tests.resp.streams import cuts, one_by_one, pieces
from tests.resp.test_reply_framer import MALFORMED, VALUES

SPLITTERS = [reply_splitter.ReplySplitter, *({ReplySplitter} - {reply_splitter.ReplySplitter})]
"""The reference, and the native one where it runs."""
OUT_OF_TURN = [name for name in VALUES if "push" in name or "attribute" in name]
REPLIES = [value for name, value in VALUES.items() if name not in OUT_OF_TURN]

splitters = pytest.mark.parametrize("splitter_class", SPLITTERS)


def owed_to(*owners: str) -> runs.Runs[str]:
    owed: runs.Runs[str] = runs.Runs()
    for owner in owners:
        owed.append(OWNERS[owner])
    return owed


OWNERS = {name: name for name in "abcd"}
"""Owners are told apart by identity."""


class Given:
    """Splits pieces, and adds up what each owner got."""

    def __init__(self, splitter_class: type[ReplySplitter], *owners: str) -> None:
        self.splitter = splitter_class()
        self.owed = owed_to(*owners)
        self.bytes: dict[str, bytes] = {}
        self.whole: dict[str, int] = {}

    def feed(self, *chunks: bytes) -> "Given":
        for chunk in chunks:
            for owner, part, whole in self.splitter.split(chunk, self.owed):
                assert part
                self.bytes[owner] = self.bytes.get(owner, b"") + part
                self.whole[owner] = self.whole.get(owner, 0) + whole
        return self


@splitters
@pytest.mark.parametrize("value", REPLIES)
def test_a_reply_goes_to_its_owner_byte_by_byte(splitter_class: type[ReplySplitter], value: bytes) -> None:
    got = Given(splitter_class, "a", "b").feed(*one_by_one(value))
    assert (got.bytes, got.whole) == ({"a": value}, {"a": 1})
    assert (got.splitter.unfinished, got.splitter.fault) == (0, "")
    assert (got.owed.size, got.owed.first) == (1, "b")


@splitters
def test_replies_in_a_row_of_one_owner_are_one_part(splitter_class: type[ReplySplitter]) -> None:
    owed = owed_to("a", "a", "b", "a")
    parts = splitter_class().split(b":1\r\n:2\r\n:3\r\n:4\r\n", owed)
    assert parts == [("a", b":1\r\n:2\r\n", 2), ("b", b":3\r\n", 1), ("a", b":4\r\n", 1)]
    assert owed.size == 0


@splitters
def test_a_read_that_is_all_for_one_owner_is_not_copied(splitter_class: type[ReplySplitter]) -> None:
    read = b"$3\r\nabc\r\n"
    ((_, part, _),) = splitter_class().split(read, owed_to("a"))
    assert part is read


@splitters
def test_the_part_that_has_come_is_handed_on(splitter_class: type[ReplySplitter]) -> None:
    splitter, owed = splitter_class(), owed_to("a", "b", "b")
    assert splitter.split(b":1\r\n$10\r\nabc", owed) == [("a", b":1\r\n", 1), ("b", b"$10\r\nabc", 0)]
    assert splitter.split(b"def", owed) == [("b", b"def", 0)]
    assert owed.size == 2
    assert splitter.split(b"ghij\r\n+O", owed) == [("b", b"ghij\r\n+O", 1)]
    assert splitter.split(b"K\r\n", owed) == [("b", b"K\r\n", 1)]


@splitters
def test_a_cut_header_waits_for_its_rest(splitter_class: type[ReplySplitter]) -> None:
    splitter, owed = splitter_class(), owed_to("a", "b")
    assert splitter.split(b":1\r\n$1", owed) == [("a", b":1\r\n", 1)]
    assert splitter.split(b"0", owed) == []
    assert splitter.split(b"\r", owed) == []
    assert splitter.unfinished == 0
    assert splitter.split(b"\nabc", owed) == [("b", b"$10\r\nabc", 0)]


@splitters
def test_the_length_of_the_unfinished_reply_is_known_by_its_header(splitter_class: type[ReplySplitter]) -> None:
    splitter, owed = splitter_class(), owed_to("a", "b")
    splitter.split(b":1\r\n$1000000\r\nabc", owed)
    assert splitter.unfinished == len(b"$1000000\r\n") + 1_000_002
    splitter.split(b"x" * 999_997 + b"\r\n:", owed)
    assert splitter.unfinished == 0


@splitters
def test_the_length_of_an_unfinished_array_grows(splitter_class: type[ReplySplitter]) -> None:
    splitter, owed = splitter_class(), owed_to("a")
    splitter.split(b"*3\r\n:1\r\n", owed)
    assert splitter.unfinished == 8
    splitter.split(b":2\r\n$5", owed)
    assert splitter.unfinished == 12


@splitters
@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (b">2\r\n+a\r\n+b\r\n", "a push"),
        (b"*1\r\n>0\r\n:1\r\n", "a push"),
        (b"|1\r\n+a\r\n+b\r\n:1\r\n", "an attribute"),
        (b"%1\r\n+a\r\n|1\r\n", "an attribute"),
        (b"?1\r\n", "unknown reply type 0x3f"),
        (b"*?\r\n", "a header without a number"),
        (b"$9999999999999999\r\n", "a header without a number"),
    ],
)
def test_a_doubt_is_a_fault(splitter_class: type[ReplySplitter], stream: bytes, fault: str) -> None:
    got = Given(splitter_class, "a", "b", "b").feed(b":1\r\n:2\r\n" + stream)
    assert got.bytes == {"a": b":1\r\n", "b": b":2\r\n"}
    assert got.splitter.fault == fault


@splitters
@pytest.mark.parametrize("stream", MALFORMED.values(), ids=MALFORMED)
def test_bytes_that_are_not_resp_are_a_fault(splitter_class: type[ReplySplitter], stream: bytes) -> None:
    got = Given(splitter_class, *["a"] * 9).feed(stream)
    assert got.splitter.fault


@splitters
def test_a_reply_that_nobody_is_owed_is_a_fault(splitter_class: type[ReplySplitter]) -> None:
    got = Given(splitter_class, "a").feed(b":1\r\n:2\r\n")
    assert (got.bytes, got.splitter.fault) == ({"a": b":1\r\n"}, "a reply that nobody is owed")
    assert Given(splitter_class).feed(b"$").splitter.fault == "a reply that nobody is owed"


@splitters
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(REPLIES)), max_size=12),
    cuts,
)
def test_each_owner_gets_exactly_its_replies(
    splitter_class: type[ReplySplitter], replies: list[tuple[str, bytes]], at: list[int]
) -> None:
    got = Given(splitter_class, *(owner for owner, _ in replies))
    got.feed(*pieces(b"".join(value for _, value in replies), at))
    wanted: dict[str, bytes] = {}
    for owner, value in replies:
        wanted[owner] = wanted.get(owner, b"") + value
    assert got.bytes == wanted
    assert got.whole == {name: sum(owner == name for owner, _ in replies) for name in wanted}
    assert (got.owed.size, got.splitter.fault, got.splitter.unfinished) == (0, "", 0)
