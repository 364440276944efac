"""Requests over several slots: by runs of one slot, and one reply."""

import pytest

from proxy.commands import COMMANDS, Spread
from proxy.resp.encode import bulk, command, error
from proxy.session import error_texts, key_slot
from tests.session.cluster.conftest import Play
from tests.session.cluster.script import A, B, C, Script, key_of, slots

A1, A2, B1, C1 = key_of(A), key_of(A, 1), key_of(B), key_of(C)
M_A, M_B = key_of(A, managed=True), key_of(B, managed=True)
TAGGED = (b"{x}1", b"{x}2", b"{x}3")
SLOT = key_slot(b"x")
NODE = slots().owner(SLOT) or ""
"""The node of these keys."""
OTHER = next(node for node in (A, B, C) if node != NODE)
MANY = [b"k%d" % number for number in range(5000)]
OK = b"+OK\r\n"
NIL = b"$-1\r\n"
LOST_A = error(error_texts.lane_lost(A))
TRYAGAIN = b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"


def test_the_commands_that_are_split() -> None:
    names = {row.name for row in COMMANDS.values() if row.spread is Spread.RUNS}
    assert names == {b"MGET", b"MSET", b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"}


class TestSums:
    @pytest.mark.parametrize("name", [b"DEL", b"UNLINK", b"EXISTS", b"TOUCH", b"del"])
    def test_the_sum(self, play: Play, name: bytes) -> None:
        played = play().sends(command(name, A1, B1, C1), command(b"PING"))
        played.to(A, command(name, A1), command(b"PING")).to(B, command(name, B1)).to(C, command(name, C1))
        played.replies(C, b":1\r\n").replies(B, b":0\r\n").to_client().replies(A, b":1\r\n+PONG\r\n")
        played.to_client(b":2\r\n+PONG\r\n").is_quiet()

    def test_keys_of_one_slot_are_one_request(self, play: Play) -> None:
        raw = command(b"DEL", *TAGGED)
        node = slots().owner(key_slot(b"x"))
        assert node is not None
        played = play().sends(raw).to(node, raw).replies(node, b":3\r\n").to_client(b":3\r\n").is_quiet()
        assert played.session.lanes == (1 if node == A else 2)

    def test_runs_keep_their_order(self, play: Play) -> None:
        played = play().command(b"EXISTS", A1, A1, B1, A1)
        played.to(A, command(b"EXISTS", A1, A1), command(b"EXISTS", A1)).to(B, command(b"EXISTS", B1))
        played.replies(A, b":2\r\n:1\r\n").replies(B, b":1\r\n").to_client(b":4\r\n").is_quiet()

    def test_the_first_error_wins(self, play: Play) -> None:
        played = play().command(b"DEL", A1, B1, C1).replies(C, b"-ERR c\r\n").replies(B, b"-ERR b\r\n")
        played.replies(A, b":1\r\n").to_client(b"-ERR b\r\n")
        played.sent.clear()
        played.is_quiet()

    def test_another_kind_of_reply_ends_it(self, play: Play) -> None:
        played = play().command(b"DEL", A1, B1).replies(A, b"+OK\r\n")
        assert played.closed is not None

    def test_silenced(self, play: Play) -> None:
        played = play().command(b"CLIENT", b"REPLY", b"OFF").replies(A, OK)
        played.command(b"DEL", A1, B1).command(b"MGET", A1, B1).replies(A, b":1\r\n*1\r\n$-1\r\n")
        played.replies(B, b":1\r\n*1\r\n$-1\r\n").to_client()
        assert played.session.is_idle


class TestMset:
    def test_values_are_encoded(self, play: Play) -> None:
        played = play().command(b"MSET", M_A, b"1", B1, b"2", M_B, b"3")
        played.to(A, command(b"MSET", M_A, b"!1"))
        played.to(B, command(b"MSET", B1, b"2"), command(b"MSET", M_B, b"!3"))
        played.replies(B, OK * 2).to_client().replies(A, OK).to_client(OK).is_quiet()

    def test_nothing_is_stored_if_a_value_cannot_be_encoded(self, play: Play) -> None:
        played = play().command(b"MSET", M_A, b"1", M_B, b"bad")
        assert not played.sent
        assert played.client.startswith(b"-ERR flask-cache-proxy: ")
        assert played.session.is_idle

    def test_one_without_its_last_value_is_not_split(self, play: Play) -> None:
        raw = command(b"MSET", A1, b"1", B1)
        play().sends(raw).to(A, raw).replies(A, b"-ERR wrong number\r\n").to_client(b"-ERR wrong number\r\n").is_quiet()

    def test_an_error_of_one_part_is_the_reply(self, play: Play) -> None:
        played = play().command(b"MSET", A1, b"1", B1, b"2").replies(A, b"-OOM x\r\n").replies(B, OK)
        played.to_client(b"-OOM x\r\n")

    def test_of_several_slots_msetnx_goes_to_the_first_and_redis_refuses_it(self, play: Play) -> None:
        raw = command(b"MSETNX", A1, b"1", B1, b"2")
        play().sends(raw).to(A, raw)


class TestMget:
    def test_the_header_is_ours(self, play: Play) -> None:
        played = play().command(b"MGET", M_A, B1, M_B, A1)
        played.to(A, command(b"MGET", M_A), command(b"MGET", A1)).to(B, command(b"MGET", B1), command(b"MGET", M_B))
        played.replies(B, b"*1\r\n" + bulk(b"b") + b"*1\r\n" + bulk(b"!mb")).to_client(b"*4\r\n")
        played.replies(A, b"*1\r\n" + bulk(b"!ma")).to_client(bulk(b"ma"), bulk(b"b"), bulk(b"mb"))
        played.replies(A, b"*1\r\n" + NIL).to_client(NIL).is_quiet()

    def test_an_error_stands_for_each_element(self, play: Play) -> None:
        played = play().command(b"MGET", A1, A1, B1).replies(B, b"*1\r\n" + bulk(b"b")).replies(A, b"-LOADING x\r\n")
        played.to_client(b"*3\r\n", b"-LOADING x\r\n" * 2, bulk(b"b"))

    def test_a_lost_node_is_an_error_for_its_elements(self, play: Play) -> None:
        played = play().command(b"MGET", A1, B1, A2).replies(A, b"*1\r\n" + bulk(b"a")).loses(A)
        played.replies(B, b"*1\r\n" + bulk(b"b")).to_client(b"*3\r\n", bulk(b"a"), bulk(b"b"), LOST_A)
        played.command(b"GET", B1).replies(B, NIL).to_client(NIL)

    @pytest.mark.parametrize("said", [b"*2\r\n$-1\r\n$-1\r\n", b"*0\r\n", b"*-1\r\n", b"+OK\r\n"])
    def test_another_length_ends_it(self, play: Play, said: bytes) -> None:
        played = play().command(b"MGET", A1, B1).replies(A, said)
        assert played.closed is not None

    def test_a_part_is_redirected(self, play: Play) -> None:
        slot = key_slot(M_A)
        played = play().command(b"MGET", M_A, B1).to(A, command(b"MGET", M_A)).to(1, command(b"MGET", B1))
        played.replies(A, b"-MOVED %d %b\r\n" % (slot, B.encode())).to(2, command(b"MGET", M_A))
        played.replies(1, b"*1\r\n" + bulk(b"b")).replies(2, b"*1\r\n" + bulk(b"!a"))
        played.to_client(b"*2\r\n", bulk(b"a"), bulk(b"b")).is_quiet()

    def test_a_push_does_not_come_inside(self, play: Play) -> None:
        played = play().command(b"HELLO", b"3").replies(A, b"%0\r\n").command(b"SUBSCRIBE", b"c")
        confirmed = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        played.replies(A, confirmed).to_client(b"%0\r\n", confirmed)
        push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
        played.command(b"MGET", B1, A1, B1).replies(B, b"%0\r\n*1\r\n_\r\n").replies(A, push + b"*1\r\n_\r\n" + push)
        played.to_client(b"*3\r\n_\r\n_\r\n").replies(B, b"*1\r\n" + bulk(b"b")).to_client(bulk(b"b"), push, push)

    def test_after_it_comes_what_was_asked_later(self, play: Play) -> None:
        played = play().sends(command(b"MGET", A1, B1), command(b"GET", A1))
        played.replies(A, b"*1\r\n$-1\r\n" + bulk(b"later")).to_client(b"*2\r\n" + NIL).replies(B, b"*1\r\n$-1\r\n")
        played.to_client(NIL, bulk(b"later"))


class TestTryAgain:
    """The slot moves, and its node has some of the keys."""

    def test_the_request_is_split_key_by_key(self, play: Play) -> None:
        played = play().command(b"MGET", *TAGGED).replies(NODE, TRYAGAIN)
        played.sent.clear()
        played.replies(NODE, b"*1\r\n" + bulk(b"1") + b"-ASK %d %b\r\n" % (SLOT, OTHER.encode()))
        played.to(OTHER, command(b"ASKING"), command(b"MGET", TAGGED[1]))
        played.replies(NODE, b"*1\r\n" + bulk(b"3")).replies(OTHER, OK + b"*1\r\n" + bulk(b"2"))
        played.to_client(b"*3\r\n", bulk(b"1"), bulk(b"2"), bulk(b"3")).is_quiet()
        assert played.tally.redirects == {"tryagain": 1, "ask": 1}

    @pytest.mark.parametrize(
        ("name", "extra", "reply", "shown"), [(b"DEL", (), b":1\r\n", b":3\r\n"), (b"MSET", (b"v",), OK, OK)]
    )
    def test_so_are_sums(self, play: Play, name: bytes, extra: tuple[bytes, ...], reply: bytes, shown: bytes) -> None:
        played = play().command(name, *(arg for key in TAGGED for arg in (key, *extra)))
        played.replies(NODE, TRYAGAIN).replies(NODE, reply * 3).to_client(shown)
        assert played.session.is_idle

    def test_a_part_is_split_too(self, play: Play) -> None:
        other = key_of(OTHER)
        played = play().command(b"DEL", other, *TAGGED).replies(OTHER, b":1\r\n")
        played.replies(NODE, TRYAGAIN).replies(NODE, b":1\r\n" * 3).to_client(b":4\r\n")

    def test_a_slice_is_split_too(self, play: Play) -> None:
        other = key_of(OTHER)
        played = play().command(b"MGET", *TAGGED[:2], other).replies(OTHER, b"*1\r\n" + bulk(b"o"))
        played.replies(NODE, TRYAGAIN).replies(NODE, (b"*1\r\n" + NIL) * 2)
        played.to_client(b"*3\r\n", NIL, NIL, bulk(b"o"))

    def test_not_if_it_has_too_many_keys(self) -> None:
        keys = [b"{x}%d" % number for number in range(1001)]
        for count, sent in ((999, 999), (1000, 0)):
            played = Script().command(b"DEL", *keys[:count]).takes_turns()
            played.sent.clear()
            played.replies(NODE, TRYAGAIN)
            assert played.sent.get(played.lane(NODE), b"").count(b"DEL") == sent
            assert played.client == (b"" if sent else TRYAGAIN)

    def test_not_if_a_later_request_of_the_slot_may_have_been_done(self, play: Play) -> None:
        played = play().command(b"DEL", *TAGGED).command(b"APPEND", TAGGED[0], b"x").replies(NODE, TRYAGAIN)
        played.to_client(TRYAGAIN).replies(NODE, b":1\r\n").to_client(b":1\r\n")

    @pytest.mark.parametrize("request_", [(b"DEL", b"{x}1"), (b"SUNION", *TAGGED), (b"MSETNX", b"{x}1", b"v")])
    def test_for_others_the_client_gets_it(self, play: Play, request_: tuple[bytes, ...]) -> None:
        play().command(*request_).replies(NODE, TRYAGAIN).to_client(TRYAGAIN)


class TestManyKeys:
    def test_they_take_several_turns(self) -> None:
        played = Script().command(b"DEL", *MANY)
        assert played.wants_turn
        played.takes_turns()
        assert sum(data.count(b"DEL") for data in played.sent.values()) > 4900
        for node in (A, B, C):
            played.replies(node, b":1\r\n" * played.sent.pop(played.lane(node)).count(b"DEL")).takes_turns()
        [total] = played.client.splitlines()
        assert 4900 < int(total[1:]) <= 5000
        played.client = b""
        played.is_quiet()

    def test_the_next_request_waits_for_them(self) -> None:
        played = Script().sends(command(b"MGET", *MANY) + command(b"PING")).takes_turns()
        for node in (C, B, A):
            parts = played.sent.pop(played.lane(node))
            sizes = [int(line[1:]) - 1 for line in parts.splitlines() if line.startswith(b"*")]
            ends = [size for size in sizes if size]
            played.replies(node, b"".join(b"*%d\r\n" % size + NIL * size for size in ends)).takes_turns()
        assert played.client == b"*5000\r\n" + NIL * 5000
        played.replies(A, b"+PONG\r\n")
        assert played.client.endswith(NIL + b"+PONG\r\n")

    def test_keys_of_one_slot_take_several_turns_too(self) -> None:
        raw = command(b"EXISTS", *(b"{x}%d" % number for number in range(5000)))
        played = Script().sends(raw)
        turns = 0
        while played.wants_turn:
            assert not played.sent
            played.take(played.session.take_turn())
            turns += 1
        assert turns >= 10
        played.to(NODE, raw)

    def test_too_many_parts_are_refused(self) -> None:
        keys = [b"%d" % number for number in range(66_000)]
        played = Script().command(b"MGET", *keys).takes_turns()
        assert not played.sent
        played.to_client(error(error_texts.TOO_MANY_PARTS)).is_quiet()

    def test_parts_of_a_sum_are_as_few_as_slots(self) -> None:
        keys = [b"%d" % number for number in range(66_000)]
        played = Script().command(b"EXISTS", *keys).takes_turns()
        sent = b"".join(played.sent.values())
        assert 3 <= sent.count(b"EXISTS") <= 16_384
        assert all(b"\r\n%b\r\n" % key in sent for key in keys)
