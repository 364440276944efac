"""Lanes: opened on demand, with our openings and the client's settings; paused; lost."""

import pytest

from proxy.policy import SessionLimits
from proxy.resp.encode import bulk, command, error
from proxy.session import Gate, error_texts, key_slot
from tests.session.cluster.conftest import Play
from tests.session.cluster.script import NODES, A, B, C, Script, key_of, slots
from tests.session.playbook import policy

A1, B1, C1 = key_of(A), key_of(B), key_of(C)
OK = b"+OK\r\n"
NIL = b"$-1\r\n"
LOGIN = command(b"AUTH", b"sesame")
HELLO = command(b"HELLO", b"3")
SETNAME = command(b"CLIENT", b"SETNAME", b"me")
LOST_B = error(error_texts.lane_lost(B))
REFUSED_B = b"-ERR flask-cache-proxy: cannot connect; this command was not done\r\n"


def get(key: bytes) -> bytes:
    return command(b"GET", key)


class TestOpening:
    def test_each_lane_gets_our_openings_first(self, play: Play) -> None:
        played = play(setup=(LOGIN,)).to(A, LOGIN).replies(A, OK).sends(get(B1)).to(B, LOGIN, get(B1))
        played.replies(B, OK + bulk(b"x")).to_client(bulk(b"x")).is_quiet()

    def test_one_that_is_refused_ends_it(self, play: Play) -> None:
        played = play(setup=(LOGIN,)).replies(A, OK).sends(get(B1)).replies(B, b"-WRONGPASS x\r\n")
        played.to_client(b"-ERR flask-cache-proxy: refused by a node: WRONGPASS x\r\n")
        assert played.closed is not None

    def test_bytes_wait_until_it_is_ready(self, play: Play) -> None:
        played = play(dials_at_once=False).sends(get(B1), get(B1))
        assert not played.sent
        played.is_ready(B).to(B, get(B1), get(B1))

    def test_a_node_has_one_lane(self, play: Play) -> None:
        played = play().sends(get(B1), get(C1), get(B1), get(A1))
        assert played.dialled == [B, C]
        assert played.session.lanes == 3

    def test_what_only_a_key_decides_goes_home(self, play: Play) -> None:
        for request in ((b"PING",), (b"INFO",), (b"PUBLISH", b"c", b"x"), (b"GET",), (b"EVAL_RO", b"x", b"0")):
            play().command(*request).to(A, command(*request))

    def test_keys_at_other_places_count(self, play: Play) -> None:
        for request in (
            (b"OBJECT", b"ENCODING", B1),
            (b"EVAL_RO", b"x", b"1", B1),
            (b"XREAD", b"STREAMS", B1, b"0"),
            (b"SPUBLISH", B1, b"x"),
            (b"BITOP", b"AND", B1, A1),
            (b"SUNION", B1, A1),
        ):
            play().command(*request).to(B, command(*request))

    @pytest.mark.parametrize("later", [(b"COMMAND",), (b"CLIENT",), (b"PING",), (b"SELECT", b"0")])
    def test_the_way_of_a_refused_request_is_forgotten(self, play: Play, later: tuple[bytes, ...]) -> None:
        played = play().command(b"MSET", key_of(B, managed=True), b"bad", C1, b"x")
        assert played.client.endswith(b"; nothing was stored\r\n")
        played.command(*later).to(A, command(*later))


SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"


def not_now(name: bytes) -> bytes:
    """Redis' error for a command of a subscriber."""
    return (
        b"-ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET"
        b" are allowed in this context\r\n" % name
    )


class TestSubscribers:
    """In RESP2, Redis takes few commands of them. It would look at the slots of keys first."""

    @pytest.mark.parametrize(
        ("request_", "name"),
        [
            ((b"get", B1), b"get"),
            ((b"GET", A1), b"get"),
            ((b"SET", key_of(B, managed=True), b"no JSON"), b"set"),
            ((b"MSET", A1, b"x", B1, b"y"), b"mset"),
            ((b"RENAME", A1, B1), b"rename"),
            ((b"object", b"encoding", B1), b"object|encoding"),
            ((b"BLPOP", B1, b"0"), b"blpop"),
            ((b"WATCH", B1), b"watch"),
            ((b"EVAL_RO", b"x", b"1", B1), b"eval_ro"),
            ((b"CLUSTER", b"SLOTS"), b"cluster|slots"),
            ((b"WAIT", b"0", b"0"), b"wait"),
            ((b"SELECT", b"1"), b"select"),
        ],
    )
    def test_they_get_redis_error(self, play: Play, request_: tuple[bytes, ...], name: bytes) -> None:
        played = play().command(b"SUBSCRIBE", b"c").replies(A, SUBSCRIBED).to_client(SUBSCRIBED)
        played.sent.clear()
        played.command(*request_).to_client(not_now(name)).is_quiet()

    def test_of_unknown_commands_too(self, play: Play) -> None:
        played = play().command(b"SUBSCRIBE", b"c").replies(A, SUBSCRIBED).to_client(SUBSCRIBED)
        played.sent.clear()
        played.command(b"JSON.GETX", B1).finds("readonly").to_client(not_now(b"json.getx")).is_quiet()

    @pytest.mark.parametrize(
        "request_",
        [(b"GET",), (b"DBSIZE",), (b"HELLO", b"3"), (b"MULTI",), (b"CLIENT",), (b"CLIENT", b"SETNAME", b"x")],
    )
    def test_where_no_slot_matters_redis_itself_answers(self, play: Play, request_: tuple[bytes, ...]) -> None:
        played = play().command(b"SUBSCRIBE", b"c").replies(A, SUBSCRIBED)
        played.sent.clear()
        played.command(*request_).to(A, command(*request_))

    def test_unsubscribed_they_read_any_key(self, play: Play) -> None:
        left = SUBSCRIBED.replace(b"$9\r\n", b"$11\r\nun").replace(b":1", b":0")
        played = play().command(b"SUBSCRIBE", b"c").replies(A, SUBSCRIBED)
        played.sent.clear()
        played.command(b"UNSUBSCRIBE", b"c").sends(get(B1)).to(A, command(b"UNSUBSCRIBE", b"c"))
        played.replies(A, left).to(B, get(B1)).replies(B, NIL).to_client(SUBSCRIBED, left, NIL).is_quiet()

    def test_reset_closes_the_other_lanes(self, play: Play) -> None:
        played = play().sends(get(B1)).replies(B, NIL).command(b"SUBSCRIBE", b"c").replies(A, SUBSCRIBED)
        played.command(b"RESET").replies(A, b"+RESET\r\n").to_client(NIL, SUBSCRIBED, b"+RESET\r\n")
        assert played.hung_up == [played.lane(B)]


class TestForEveryLane:
    def test_home_answers_and_the_others_are_told(self, play: Play) -> None:
        played = play().sends(get(B1)).replies(B, NIL).to_client(NIL)
        played.sent.clear()
        played.sends(HELLO, get(B1)).to(A, HELLO).to(B, HELLO, get(B1))
        played.replies(B, b"%0\r\n_\r\n").to_client().replies(A, b"%0\r\n").to_client(b"%0\r\n_\r\n").is_quiet(HELLO)

    def test_a_later_lane_is_told_too(self, play: Play) -> None:
        lib = command(b"CLIENT", b"SETINFO", b"lib-name", b"x")
        played = play().sends(HELLO, SETNAME, lib).replies(A, b"%0\r\n" + OK * 2).to_client(b"%0\r\n" + OK * 2)
        played.sends(get(B1)).to(B, HELLO, SETNAME, lib, get(B1)).replies(B, b"%0\r\n" + OK * 2 + b"_\r\n")
        played.to_client(b"_\r\n")

    def test_so_is_one_that_opens_before_home_has_answered(self, play: Play) -> None:
        played = play().sends(HELLO, get(B1)).to(B, HELLO, get(B1)).replies(B, b"%0\r\n_\r\n").to_client()
        played.replies(A, b"%0\r\n").to_client(b"%0\r\n_\r\n")

    def test_hello_waits_for_requests_that_may_be_sent_again(self, play: Play) -> None:
        """Else their new lane would answer in the other protocol."""
        moved = b"-MOVED %d %b\r\n" % (key_slot(A1), B.encode())
        played = play().sends(get(A1), HELLO, get(A1)).to(A, get(A1)).replies(A, moved).to(B, get(A1))
        played.replies(B, NIL).to_client(NIL).to(A, HELLO, get(A1)).to(B, HELLO)
        played.replies(B, b"%0\r\n").replies(A, b"%0\r\n_\r\n").to_client(b"%0\r\n_\r\n").is_quiet(HELLO)

    def test_long_ones_count_as_memory(self) -> None:
        long = command(b"CLIENT", b"SETNAME", b"x" * 5000)
        played = Script().sends(long).replies(A, OK).to(A, long).to_client(OK)
        played.is_quiet(long)

    def test_a_hello_that_only_asks_does_not_replace_the_one_that_later_lanes_get(self, play: Play) -> None:
        played = play().sends(HELLO).replies(A, b"%0\r\n").to_client(b"%0\r\n").to(A, HELLO)
        played.command(b"HELLO").replies(A, b"%0\r\n").to_client(b"%0\r\n")
        played.sends(get(B1)).to(B, HELLO, get(B1)).replies(B, b"%0\r\n_\r\n").to_client(b"_\r\n")

    def test_what_home_refuses_is_forgotten(self, play: Play) -> None:
        played = play().command(b"HELLO", b"9").replies(A, b"-NOPROTO x\r\n").to_client(b"-NOPROTO x\r\n")
        played.sends(get(B1)).to(B, get(B1))

    def test_a_refusal_of_both_is_one(self, play: Play) -> None:
        played = play().sends(get(B1)).replies(B, NIL).command(b"HELLO", b"9").replies(A, b"-NOPROTO x\r\n")
        played.replies(B, b"-NOPROTO x\r\n").to_client(NIL, b"-NOPROTO x\r\n")
        assert played.session.is_idle

    def test_the_last_of_its_kind_counts(self, play: Play) -> None:
        other = command(b"CLIENT", b"SETNAME", b"you")
        play().sends(SETNAME, other).replies(A, OK * 2).sends(get(B1)).to(B, other, get(B1))

    def test_a_node_that_refuses_alone_ends_it(self, play: Play) -> None:
        played = play().sends(HELLO).replies(A, b"%0\r\n").sends(get(B1)).replies(B, b"-NOPROTO x\r\n")
        assert played.closed is not None

    def test_the_password_of_the_client_stays_here(self, play: Play) -> None:
        played = play(gate=Gate([b"sesame"])).command(b"HELLO", b"3", b"AUTH", b"default", b"sesame").to(A, HELLO)
        played.replies(A, b"%0\r\n").sends(get(B1)).to(B, HELLO, get(B1))

    def test_client_reply_is_kept_here(self, play: Play) -> None:
        played = play().command(b"CLIENT", b"REPLY", b"OFF").replies(A, OK)
        played.sent.clear()
        played.sends(get(B1)).to(B, get(B1)).replies(B, NIL).to_client().command(b"CLIENT", b"REPLY", b"ON")
        played.replies(A, OK).to_client(OK)

    def test_reset_closes_the_others(self, play: Play) -> None:
        reset = command(b"RESET")
        played = play(setup=(LOGIN,)).replies(A, OK).sends(SETNAME, get(B1)).replies(A, OK).replies(B, OK * 2 + NIL)
        played.sent.clear()
        played.sends(reset, get(B1)).to(A, reset).replies(A, b"+RESET\r\n").to(A, LOGIN)
        assert played.hung_up == [1]
        played.replies(A, OK).to(2, LOGIN, get(B1)).replies(2, OK + NIL)
        played.to_client(OK, NIL, b"+RESET\r\n", NIL).is_quiet()


class TestFlow:
    def test_one_that_is_not_at_the_head_is_paused_beyond_64_kib(self) -> None:
        played = Script().sends(get(A1), get(B1), get(A1))
        value = bulk(b"x" * 70_000)
        played.replies(B, value[:60_000])
        assert not played.paused
        played.replies(B, value[60_000:])
        assert played.paused == {1}
        played.replies(A, NIL)
        assert not played.paused
        played.replies(A, NIL).to_client(NIL, value, NIL)

    def test_home_is_paused_too(self) -> None:
        played = Script().sends(get(B1), get(A1)).replies(A, bulk(b"x" * 70_000))
        assert played.paused == {0}
        played.replies(B, NIL)
        assert not played.paused
        assert len(played.client) > 70_000

    def test_too_much_outstanding_stops_the_client(self) -> None:
        played = Script(policy(limits=SessionLimits(buffered_bytes=3000)))
        for _ in range(5):
            played.command(b"SET", B1, b"x" * 1000)
        assert played.sent[1].count(b"SET") == 3
        played.replies(B, OK * 3)
        assert played.sent[1].count(b"SET") == 5

    @pytest.mark.parametrize("data", [b"+OK\r\n", b"-ERR max number of clients reached\r\n", b"*"])
    def test_bytes_that_nobody_asked_for_close_a_lane(self, play: Play, data: bytes) -> None:
        played = play().sends(get(B1)).replies(B, NIL).replies(B, data).to_client(NIL)
        assert played.hung_up == [1]
        played.sent.clear()
        played.sends(get(B1)).to(2, get(B1)).replies(2, NIL).to_client(NIL).is_quiet()

    def test_events_of_a_closed_lane_are_nothing(self, play: Play) -> None:
        played = play().sends(get(B1)).replies(B, NIL + b"+x\r\n").to_client(NIL)
        played.replies(1, b"-ERR\r\n").is_ready(1).loses(1).fails(1).to_client()
        assert played.asks_for_map == 0


class TestLost:
    def test_each_outstanding_request_gets_an_error(self, play: Play) -> None:
        played = play().sends(get(B1), get(A1), get(B1), get(B1)).replies(B, bulk(b"done")).loses(B)
        played.to_client(bulk(b"done")).replies(A, NIL).to_client(NIL, LOST_B, LOST_B)
        assert (played.closed, played.asks_for_map) == (None, 1)
        played.sent.clear()
        played.is_quiet().sends(get(B1)).to(2, get(B1)).replies(2, NIL).to_client(NIL).is_quiet()

    def test_nothing_new_is_routed_before_they_are_answered(self, play: Play) -> None:
        played = play().sends(get(B1), get(A1)).loses(B).to_client(LOST_B).sends(get(B1))
        assert played.dialled == [B]
        played.learns(slots(moved={key_slot(B1): C})).replies(A, NIL).to_client(NIL).to(C, get(B1))

    def test_one_that_cannot_be_dialled(self) -> None:
        played = Script(dials_at_once=False, setup=(LOGIN,)).replies(A, OK).sends(get(B1), get(B1), get(A1))
        played.fails(B).to_client(REFUSED_B, REFUSED_B).replies(A, NIL).to_client(NIL)
        played.sent.clear()
        played.is_quiet().sends(get(B1))
        assert played.dialled == [B, B]

    def test_a_node_that_nobody_has(self, play: Play) -> None:
        whole = slots()
        lacking = type(whole)(whole.nodes, tuple(-1 if at == key_slot(B1) else n for at, n in enumerate(whole.owners)))
        played = play(first=lacking).sends(get(B1), get(A1)).replies(A, NIL)
        played.to_client(b"-CLUSTERDOWN Hash slot not served\r\n", NIL)
        assert played.asks_for_map == 1
        assert played.session.is_idle

    def test_in_the_middle_of_a_reply_the_client_is_closed(self, play: Play) -> None:
        played = play().sends(get(B1)).replies(B, b"$5\r\nab").loses(B)
        assert played.closed == "a node was lost in the middle of its reply"

    def test_not_if_the_client_has_none_of_it(self, play: Play) -> None:
        key = key_of(B, managed=True)
        play().sends(get(key)).replies(B, b"$5\r\n!a").loses(B).to_client(LOST_B)

    def test_a_request_that_is_held_keeps_its_barrier(self) -> None:
        """All is answered, but pushes use up the turn. So the request that waited is held once more."""
        confirmed = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
        reset = command(b"RESET")
        limits = SessionLimits(turn_steps=3)
        played = Script(policy(limits=limits), setup=(LOGIN,), first=slots(), home=C).replies(C, OK)
        played.sends(HELLO).replies(C, b"%0\r\n").command(b"SUBSCRIBE", b"c").replies(C, confirmed)
        played.sends(get(B1), get(A1)).replies(C, push * 9).sends(reset, get(C1)).takes_turns()
        played.sent.clear()
        played.loses(B).replies(A, OK + b"%0\r\n" + NIL)
        assert not played.sent
        played.takes_turns().to(C, reset).replies(C, b"+RESET\r\n").to(C, LOGIN).replies(C, OK).to(C, get(C1))

    def test_its_error_waits_for_a_push_that_has_begun(self) -> None:
        confirmed = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        push = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
        played = Script().sends(HELLO).replies(A, b"%0\r\n").command(b"SUBSCRIBE", b"c").replies(A, confirmed)
        played.to_client(b"%0\r\n" + confirmed).replies(A, push[:-3]).sends(get(B1)).loses(B).sends(get(C1))
        played.to_client(push[:-3]).replies(A, push[-3:]).to_client(push[-3:] + LOST_B).to(C, HELLO, get(C1))

    def test_home_in_the_middle_of_a_push_closes_the_client(self, play: Play) -> None:
        played = play().sends(HELLO).replies(A, b"%0\r\n").replies(A, b">2\r\n$2\r\nab\r\n$5\r\nx")
        assert played.closed is None
        played.loses(A)
        assert played.closed == "a node was lost in the middle of its reply"

    def test_home_moves(self, play: Play) -> None:
        played = play().command(b"PING").loses(A).to_client(error(error_texts.lane_lost(A)))
        played.sent.clear()
        played.is_quiet().command(b"PING").to(B, command(b"PING")).replies(B, b"+PONG\r\n").to_client(b"+PONG\r\n")
        played.is_quiet()

    def test_home_that_cannot_be_dialled_moves_on(self) -> None:
        played = Script(dials_at_once=False).loses(A)
        for _ in range(3):
            played.command(b"PING").fails(played.dialled[-1]).to_client(REFUSED_B)
        assert played.dialled == [B, C, A]

    def test_with_its_subscriptions_the_client_is_closed(self, play: Play) -> None:
        played = play().command(b"SUBSCRIBE", b"c").replies(A, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n").loses(A)
        assert played.closed == "the connection to the node of the client's subscriptions was lost"

    def test_a_lane_with_nothing_outstanding(self, play: Play) -> None:
        played = play().sends(get(B1)).replies(B, NIL).loses(B).to_client(NIL)
        played.sent.clear()
        played.is_quiet()
        assert played.session.lanes == 1

    def test_a_node_that_leaves_the_map_is_hung_up(self, play: Play) -> None:
        played = play().sends(get(B1), get(C1)).replies(B, NIL).replies(C, NIL).learns(slots(nodes=NODES[:2]))
        assert played.hung_up == [2]

    def test_home_leaves_a_node_that_is_not_in_the_map(self, play: Play) -> None:
        played = play().learns(slots(nodes=NODES[1:], others=(A,)))
        assert played.hung_up == [0]
        played.command(b"PING")
        assert played.dialled == [C] or played.dialled == [B]

    def test_but_stays_with_its_subscriptions(self, play: Play) -> None:
        played = play().command(b"SUBSCRIBE", b"c").replies(A, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        played.learns(slots(nodes=NODES[1:]))
        assert played.hung_up == []
