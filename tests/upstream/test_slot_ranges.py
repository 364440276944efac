"""Answers to CLUSTER SLOTS: those of real nodes, and of nodes that are broken or hostile."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import TcpAddress
from proxy.resp import Answer, AnswerReader, ErrorAnswer, FramingError
from proxy.resp.answers import MAX_SLOTS_BYTES, MAX_SLOTS_ELEMENTS
from proxy.session import NOBODY, SLOTS
from proxy.upstream.slot_ranges import Layout, SlotsError, address_of, read_nodes, read_slots

ASKED = TcpAddress("10.0.0.9", 7000)
SLOTS_OF_REDIS_7 = (
    b"*2\r\n"
    b"*4\r\n:0\r\n:8191\r\n"
    b"*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n$40\r\n" + b"a" * 40 + b"\r\n*0\r\n"
    b"*4\r\n$8\r\n10.0.0.4\r\n:7003\r\n$40\r\n" + b"b" * 40 + b"\r\n*2\r\n$8\r\nhostname\r\n$4\r\nnode\r\n"
    b"*3\r\n:8192\r\n:16383\r\n"
    b"*4\r\n$-1\r\n:7001\r\n$40\r\n" + b"c" * 40 + b"\r\n*0\r\n"
)


def reader() -> AnswerReader:
    return AnswerReader("replace", MAX_SLOTS_BYTES, MAX_SLOTS_ELEMENTS)


def read(data: bytes) -> Layout:
    (answer,) = reader().feed(data)
    return read_slots(answer, ASKED)


def layout(*ranges: Answer) -> Layout:
    return read_slots(list(ranges), ASKED)


def test_an_answer_of_redis_byte_by_byte_or_at_once() -> None:
    rng = random.Random(1)
    at, answers, parser = 0, [], reader()
    while at < len(SLOTS_OF_REDIS_7):
        size = rng.choice((1, 2, 7, 40))
        answers += parser.feed(SLOTS_OF_REDIS_7[at : at + size])
        at += size
    found = read_slots(answers[0], ASKED)
    assert found == read(SLOTS_OF_REDIS_7)
    assert found.masters == (TcpAddress("10.0.0.1", 7000), TcpAddress("10.0.0.9", 7001))
    assert found.replicas == (TcpAddress("10.0.0.4", 7003),)
    assert found.owners == (0,) * 8192 + (1,) * 8192
    assert found.slot_map(1).known == SLOTS


@pytest.mark.parametrize("host", [None, "", "?"])
def test_a_node_without_a_host_is_where_the_one_is_that_was_asked(host: str | None) -> None:
    assert layout([0, 0, [host, 7001]]).masters == (TcpAddress("10.0.0.9", 7001),)


@pytest.mark.parametrize("host", ["Redis-1.Example", "fe80::1%eth0", "::1"])
def test_hosts_are_names_or_addresses_as_redirects_write_them(host: str) -> None:
    found = layout([0, 0, [host, 1, "id", []]])
    assert found.masters == (TcpAddress(host, 1),)
    assert found.slot_map(1).nodes == (f"{host}:1",)
    assert address_of(f"{host}:1") == TcpAddress(host, 1)


def test_slots_that_nobody_serves_have_no_owner() -> None:
    found = layout([5, 6, ["a", 1]], [8, 8, ["b", 1]], [9, 9, ["a", 1]])
    assert found.owners[4:11] == (NOBODY, 0, 0, NOBODY, 1, 0, NOBODY)
    assert (found.slot_map(1).known, found.masters) == (4, (TcpAddress("a", 1), TcpAddress("b", 1)))


def test_each_slot_may_be_a_range_of_its_own() -> None:
    found = layout(*([slot, slot, [f"host{slot % 7}", 1]] for slot in range(SLOTS)))
    assert (found.slot_map(1).known, len(found.masters)) == (SLOTS, 7)


NODE: list[Answer] = ["a", 1]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ErrorAnswer("NOAUTH Authentication required."), "NOAUTH Authentication required."),
        (ErrorAnswer("x" * 1000), "x" * 160),
        ("OK", "with no list"),
        (None, "with no list"),
        ([], "has not been created"),
        ([[0, 0]], "a range that is none"),
        ([[]], "a range that is none"),
        ([5], "a range that is none"),
        ([[-1, 0, NODE]], "a range that is none"),
        ([[1, 0, NODE]], "a range that is none"),
        ([[0, SLOTS, NODE]], "a range that is none"),
        ([[0, 10**18, NODE]], "a range that is none"),
        ([["0", "1", NODE]], "a range that is none"),
        ([[0, 5, NODE], [5, 6, NODE]], "overlap, in 5 to 6"),
        ([[0, SLOTS - 1, NODE], [0, SLOTS - 1, NODE]], "overlap"),
        ([[0, 0, ["a"]]], "without a valid host and port"),
        ([[0, 0, ["a", 0]]], "without a valid host and port"),
        ([[0, 0, ["a", 65536]]], "without a valid host and port"),
        ([[0, 0, ["a", -1]]], "without a valid host and port"),
        ([[0, 0, ["a", "1"]]], "without a valid host and port"),
        ([[0, 0, ["a b", 1]]], "without a valid host and port"),
        ([[0, 0, ["a\n", 1]]], "without a valid host and port"),
        ([[0, 0, ["a" * 256, 1]]], "without a valid host and port"),
        ([[0, 0, [5, 1]]], "without a valid host and port"),
        ([[0, 0, NODE, ["a", 0]]], "without a valid host and port"),
        ([[0, 0, *(["a", port] for port in range(1, 10_002))]], "more than 10000 nodes"),
    ],
)
def test_a_hostile_answer_is_an_error(answer: Answer, reason: str) -> None:
    with pytest.raises(SlotsError, match=reason):
        read_slots(answer, ASKED)


@pytest.mark.parametrize(
    "data",
    [
        b"*100000000\r\n",
        b"*1\r\n*524288\r\n",
        b"$8388609\r\n",
        b"*1\r\n" * 17,
        b"*1\r\n*3\r\n:0\r\n:99999999999999999999\r\n",
        b"*1\r\n*3\r\n:0\r\n:x\r\n",
    ],
)
def test_absurd_sizes_and_numbers_are_refused_before_they_come(data: bytes) -> None:
    with pytest.raises(FramingError):
        reader().feed(data)


ANSWERS: st.SearchStrategy[Answer] = st.recursive(
    st.none() | st.integers(-2, SLOTS + 1) | st.sampled_from(["", "?", "a", "b", "\n", "::1"]),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=30,
)


@given(ANSWERS)
def test_any_answer_is_a_layout_or_an_error(answer: Answer) -> None:
    try:
        found = read_slots(answer, ASKED)
    except SlotsError:
        return
    assert len(found.owners) == SLOTS
    assert set(found.owners) <= {NOBODY, *range(len(found.masters))}


def test_a_map_has_its_nodes_in_order() -> None:
    found = layout([0, 0, ["b", 1]], [1, 1, ["a", 1], ["c", 1]], [2, 2, ["b", 1]]).slot_map(5)
    assert found.nodes == ("a:1", "b:1")
    assert [found.owner(slot) for slot in range(4)] == ["b:1", "a:1", "b:1", None]
    assert (found.others, found.version) == ({"c:1"}, 5)


def test_too_many_masters_are_an_error() -> None:
    with pytest.raises(ValueError, match="1023"):
        layout(*([slot, slot, ["a", slot + 1]] for slot in range(1024))).slot_map(1)


NODES_OF_REDIS_7 = """\
07c37d 127.0.0.1:30004@31004,hostname4 slave e7d1ee 0 1426238317239 4 connected
67ed2d 10.0.0.2:30002@31002, master - 0 1426238316232 2 connected 5461-10922
292f8b ::1:30003@31003,,shard-id=1 master - 0 1426238318243 3 connected
6ec239 10.0.0.5:30005@31005 slave,fail 67ed2d 0 1426238316232 5 connected
824fe1 :0@0 master,noaddr - 0 0 0 disconnected
824fe2 10.0.0.6:1@2 handshake - 0 0 0 disconnected
e7d1ee :30001@31001 myself,master - 0 0 1 connected 0-5460 [93->-292f8b]
"""


def test_all_nodes_are_known_by_address_and_by_name() -> None:
    assert read_nodes(NODES_OF_REDIS_7, ASKED) == {
        *("127.0.0.1:30004", "hostname4:30004", "10.0.0.2:30002", "::1:30003", "10.0.0.5:30005", "10.0.0.9:30001"),
    }


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        [],
        "",
        ErrorAnswer("NOPERM"),
        "a\nb c",
        "id a:0@1 master - 0 0 0 x",
        "id a:65536@1 master - 0 0 0 x",
        "id a b:1 master - 0 0 0 x",
        "id \x00:1@1 master - 0 0 0 x",
        "id a master - 0 0 0 x",
    ],
)
def test_what_is_no_list_of_nodes_tells_none(answer: Answer) -> None:
    assert read_nodes(answer, ASKED) == frozenset()


@pytest.mark.parametrize("node", ["", "a", ":1", "a:", "a:0", "a:65536", "a b:1", "a:1x", "a:\u0661"])
def test_what_is_no_name_of_a_node_is_an_error(node: str) -> None:
    with pytest.raises(ValueError, match="a host and a port"):
        address_of(node)
