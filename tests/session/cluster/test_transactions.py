"""MULTI .. EXEC: on one lane, which the first key chooses."""

import pytest

from proxy.policy import SessionLimits
from proxy.resp.encode import bulk, command, error
from proxy.session import error_texts, key_slot
from tests.session.cluster.conftest import Play
from tests.session.cluster.script import A, B, C, Script, key_of, slots
from tests.session.playbook import POISON, policy, rule

MULTI, EXEC, DISCARD = command(b"MULTI"), command(b"EXEC"), command(b"DISCARD")
OK, QUEUED = b"+OK\r\n", b"+QUEUED\r\n"
A1, B1, B2, C1 = key_of(A), key_of(B), key_of(B, 1), key_of(C)
M_B = key_of(B, managed=True)
PING = command(b"PING")
CROSSSLOT = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
ABORTED = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
SLOT_MOVES = error(error_texts.SLOT_MOVES)


def get(key: bytes) -> bytes:
    return command(b"GET", key)


class TestOneLane:
    def test_the_first_key_chooses_it(self, play: Play) -> None:
        played = play().sends(MULTI).to_client(OK)
        assert not played.sent
        played.sends(command(b"SET", M_B, b"1"), get(M_B), EXEC)
        played.to(B, MULTI, command(b"SET", M_B, b"!1"), get(M_B), EXEC)
        played.replies(B, OK + QUEUED * 2).to_client(QUEUED * 2)
        played.replies(B, b"*2\r\n" + OK + bulk(b"!1")).to_client(b"*2\r\n" + OK + bulk(b"1")).is_quiet()

    def test_commands_without_a_key_are_held_until_then(self, play: Play) -> None:
        played = play().sends(MULTI, PING, PING).to_client(OK, QUEUED * 2)
        played.sends(get(B1), EXEC).to(B, MULTI, PING, PING, get(B1), EXEC)
        played.replies(B, OK + QUEUED * 3).to_client(QUEUED)
        reply = b"*3\r\n+PONG\r\n+PONG\r\n$-1\r\n"
        played.replies(B, reply).to_client(reply).is_quiet()

    def test_if_there_is_no_key_home_has_it(self, play: Play) -> None:
        played = play().sends(MULTI, PING, EXEC).to(A, MULTI, PING, EXEC).replies(A, OK + QUEUED + b"*1\r\n+PONG\r\n")
        played.to_client(OK, QUEUED, b"*1\r\n+PONG\r\n").is_quiet()

    @pytest.mark.parametrize(("end", "shown"), [(EXEC, b"*0\r\n"), (DISCARD, OK)])
    def test_an_empty_one_is_ours(self, play: Play, end: bytes, shown: bytes) -> None:
        played = play().sends(MULTI, end).to_client(OK, shown).is_quiet()
        played.sends(get(B1)).to(B, get(B1))

    def test_without_multi_redis_answers(self, play: Play) -> None:
        for end in (EXEC, DISCARD):
            played = play().sends(end).to(A, end).replies(A, b"-ERR without MULTI\r\n")
            played.to_client(b"-ERR without MULTI\r\n").is_quiet()

    def test_a_key_of_another_lane_aborts_it(self, play: Play) -> None:
        played = play().sends(MULTI, get(B1), get(A1), EXEC).to(B, MULTI, get(B1), POISON, EXEC)
        played.replies(B, OK + QUEUED + b"-ERR poison\r\n" + ABORTED).to_client(OK, QUEUED, CROSSSLOT, ABORTED)
        played.is_quiet()

    @pytest.mark.parametrize(("queued", "node"), [(command(b"SET", B1, b"raw"), B), (PING, A)], ids=["key", "no key"])
    def test_a_reload_with_other_rules_aborts_it(self, play: Play, queued: bytes, node: str) -> None:
        played = play().sends(MULTI, queued)
        assert played.session.set_policy(policy(rule(b"k*")), None) is None
        played.sends(EXEC).to(node, MULTI, queued, POISON, EXEC)
        played.replies(node, OK + QUEUED + b"-ERR poison\r\n" + ABORTED).to_client(OK, QUEUED, ABORTED).is_quiet()

    def test_another_slot_of_the_lane_is_up_to_redis(self, play: Play) -> None:
        played = play().sends(MULTI, get(B1), get(B2), EXEC).to(B, MULTI, get(B1), get(B2), EXEC)
        played.replies(B, OK + QUEUED * 2 + CROSSSLOT).to_client(OK, QUEUED * 2, CROSSSLOT).is_quiet()

    def test_so_are_several_slots_of_one_command(self, play: Play) -> None:
        raw = command(b"MGET", B1, A1)
        played = play().sends(MULTI, raw, EXEC).to(B, MULTI, raw, EXEC)
        played.replies(B, OK + CROSSSLOT + ABORTED).to_client(OK, CROSSSLOT, ABORTED).is_quiet()

    def test_a_value_that_cannot_be_encoded_aborts_it(self, play: Play) -> None:
        played = play().sends(MULTI, command(b"SET", M_B, b"bad"), command(b"SET", M_B, b"ok"), EXEC)
        played.to(B, MULTI, POISON, command(b"SET", M_B, b"!ok"), EXEC)
        played.replies(B, OK + b"-ERR poison\r\n" + QUEUED + ABORTED)
        assert played.client.startswith(OK + b"-ERR flask-cache-proxy: ")
        assert played.client.endswith(QUEUED + ABORTED)

    def test_a_refusal_before_the_first_key_aborts_it(self, play: Play) -> None:
        played = play().sends(MULTI, command(b"WAIT", b"1", b"0"))
        assert played.client.startswith(OK + b"-ERR flask-cache-proxy: WAIT is refused")
        played.client = b""
        played.sends(get(B1), EXEC).to(B, MULTI, POISON, get(B1), EXEC)
        played.replies(B, OK + b"-ERR poison\r\n" + QUEUED + ABORTED).to_client(QUEUED, ABORTED).is_quiet()

    def test_it_begins_when_nothing_is_outstanding(self, play: Play) -> None:
        played = play().sends(get(A1), MULTI, get(B1)).to(A, get(A1)).to_client()
        assert not played.sent
        played.replies(A, b"$-1\r\n").to_client(b"$-1\r\n", OK).to(B, MULTI, get(B1))

    def test_what_follows_exec_is_free(self, play: Play) -> None:
        played = play().sends(MULTI, get(B1), EXEC, get(C1), command(b"MGET", A1, C1))
        played.to(C, get(C1), command(b"MGET", C1)).replies(C, b"$-1\r\n*1\r\n$-1\r\n")
        played.replies(B, OK + QUEUED + b"*1\r\n$-1\r\n").replies(A, b"*1\r\n$-1\r\n")
        played.to_client(OK, QUEUED, b"*1\r\n$-1\r\n", b"$-1\r\n", b"*2\r\n$-1\r\n$-1\r\n")

    def test_discard(self, play: Play) -> None:
        played = play().sends(MULTI, get(B1), DISCARD).replies(B, OK + QUEUED + OK).to_client(OK, QUEUED, OK)
        played.sent.clear()
        played.sends(get(A1)).to(A, get(A1))

    def test_nested(self, play: Play) -> None:
        nested = b"-ERR MULTI calls can not be nested\r\n"
        played = play().sends(MULTI, MULTI, get(B1), MULTI, EXEC).to(B, MULTI, get(B1), EXEC)
        played.replies(B, OK + QUEUED + b"*1\r\n$-1\r\n").to_client(OK, nested, QUEUED, nested, b"*1\r\n$-1\r\n")

    def test_with_an_argument(self, play: Play) -> None:
        play().command(b"MULTI", b"x").to_client(b"-ERR wrong number of arguments for 'multi' command\r\n").is_quiet()

    def test_silenced(self, play: Play) -> None:
        played = play().command(b"CLIENT", b"REPLY", b"OFF").replies(A, OK).sends(MULTI, PING, get(B1), EXEC)
        played.replies(B, OK + QUEUED * 2 + b"*2\r\n+PONG\r\n$-1\r\n").to_client()
        assert played.session.is_idle

    @pytest.mark.parametrize("raw", [command(b"RESET"), command(b"QUIT")])
    def test_some_commands_are_never_queued(self, play: Play, raw: bytes) -> None:
        played = play().sends(MULTI, raw).to(A, raw)
        played.replies(A, b"+RESET\r\n" if b"RESET" in raw else OK)
        assert played.client.endswith(b"+RESET\r\n" if b"RESET" in raw else OK * 2)
        assert (played.closed is None) == (b"RESET" in raw)

    def test_a_full_one(self) -> None:
        played = Script(policy(limits=SessionLimits(pending_commands=2))).sends(MULTI).to_client(OK)
        played.sends(get(B1)).replies(B, OK + QUEUED).sends(get(B1)).replies(B, QUEUED).to_client(QUEUED * 2)
        played.sends(get(B1)).replies(B, b"-ERR poison\r\n").to_client(error(error_texts.MULTI_IS_FULL))

    @pytest.mark.parametrize("request_", [PING, command(b"ECHO", b"x" * 1000), command(b"DBSIZE")])
    def test_commands_that_wait_for_its_node_are_limited(self, play: Play, request_: bytes) -> None:
        limits = SessionLimits(buffered_bytes=5000)
        played = Script(policy(limits=limits)).sends(MULTI).to_client(OK)
        held = []
        for _ in range(200):
            played.sends(request_)
            held.append(played.session.memory)
        assert held[-1] == held[-2] < 5000 + len(request_) + 200
        assert not played.sent
        played.client = b""
        played.sends(EXEC)
        sent = played.sent.pop(0)
        queued = sent.count(request_)
        played.replies(A, OK + QUEUED * queued + b"-ERR poison\r\n" + ABORTED).to_client(ABORTED).is_quiet()
        assert sent == MULTI + request_ * queued + POISON + EXEC

    def test_a_question_about_the_cluster_is_answered_by_exec(self, play: Play) -> None:
        asked = command(b"CLUSTER", b"KEYSLOT", b"")
        played = play().sends(MULTI, get(B1), command(b"CLUSTER", b"KEYSLOT", b"x"), EXEC)
        played.to(B, MULTI, get(B1), asked, EXEC).replies(B, OK + QUEUED * 2 + b"*2\r\n$-1\r\n:0\r\n")
        played.to_client(OK, QUEUED * 2, b"*2\r\n$-1\r\n:%d\r\n" % key_slot(b"x")).is_quiet()


class TestWatch:
    WATCH = command(b"WATCH", B1)

    def test_it_chooses_the_lane(self, play: Play) -> None:
        played = play().sends(self.WATCH, get(C1)).to(B, self.WATCH).replies(B, OK).to_client(OK).to(C, get(C1))
        played.replies(C, b"$-1\r\n").to_client(b"$-1\r\n").sends(MULTI, PING, EXEC).to(B, MULTI, PING, EXEC)
        played.replies(B, OK + QUEUED + b"*-1\r\n").to_client(OK, QUEUED, b"*-1\r\n").is_quiet()

    def test_another_key_must_be_of_its_lane(self, play: Play) -> None:
        played = play().sends(self.WATCH).replies(B, OK).to_client(OK).command(b"WATCH", A1).to_client(CROSSSLOT)
        played.sent.clear()
        played.command(b"WATCH", B2).to(B, command(b"WATCH", B2)).replies(B, OK).to_client(OK)
        played.sends(MULTI, get(A1)).to_client(OK).to(B, MULTI, POISON)

    def test_one_that_fails_leaves_the_choice(self, play: Play) -> None:
        played = play().command(b"WATCH", B1, A1).replies(B, CROSSSLOT).to_client(CROSSSLOT)
        played.sends(MULTI, get(A1)).to(A, MULTI, get(A1))

    def test_unwatch_frees_it(self, play: Play) -> None:
        played = play().sends(self.WATCH).replies(B, OK).to_client(OK)
        played.sent.clear()
        played.command(b"UNWATCH").to(B, command(b"UNWATCH")).replies(B, OK).to_client(OK).is_quiet()
        played.sends(MULTI, get(A1)).to(A, MULTI, get(A1))
        play().command(b"UNWATCH").to(A, command(b"UNWATCH")).replies(A, OK).to_client(OK).is_quiet()

    def test_it_is_redirected(self, play: Play) -> None:
        played = play().sends(self.WATCH).replies(B, b"-MOVED %d %b\r\n" % (key_slot(B1), C.encode()))
        played.to(C, self.WATCH).replies(C, OK).to_client(OK).learns(slots(moved={key_slot(B1): C}))
        played.sent.clear()
        played.sends(MULTI, get(B1)).to_client(OK)

    def test_a_second_one_is_not_redirected(self, play: Play) -> None:
        """The keys before it would no longer be watched."""
        again = command(b"WATCH", b"{%b}2" % B1)
        played = play().sends(self.WATCH).replies(B, OK).to_client(OK).to(B, self.WATCH).sends(again).to(B, again)
        played.replies(B, b"-MOVED %d %b\r\n" % (key_slot(B1), C.encode())).to_client(SLOT_MOVES)
        assert played.dialled == [B]
        played.sends(MULTI, get(B1)).to(B, MULTI, get(B1)).replies(B, OK + QUEUED).to_client(OK, QUEUED)

    def test_a_map_waits_for_the_end(self, play: Play) -> None:
        moved = slots(moved={key_slot(C1): B})
        played = play().sends(self.WATCH).replies(B, OK).learns(moved).sends(get(C1)).to(C, get(C1))
        played.replies(C, b"$-1\r\n").sends(MULTI, EXEC).replies(B, OK + b"*0\r\n").to_client(
            OK, b"$-1\r\n", OK, b"*0\r\n"
        )
        played.sent.clear()
        played.sends(get(C1)).to(B, get(C1))


class TestMoves:
    """The slot moves meanwhile. Nothing was executed, and nothing is done again."""

    MOVED = b"-MOVED %d %b\r\n" % (key_slot(B1), C.encode())
    ASK = b"-ASK %d %b\r\n" % (key_slot(B1), C.encode())

    @pytest.mark.parametrize("said", [MOVED, ASK])
    def test_at_exec(self, play: Play, said: bytes) -> None:
        played = play().sends(MULTI, get(B1), EXEC).replies(B, OK + QUEUED + said).to_client(OK, QUEUED, SLOT_MOVES)
        assert SLOT_MOVES.startswith(b"-TRYAGAIN ")
        assert (played.asks_for_map, played.dialled) == (1, [B])
        played.sent.clear()
        played.learns(slots(moved={key_slot(B1): C})).is_quiet().sends(MULTI, get(B1)).to(C, MULTI, get(B1))

    @pytest.mark.parametrize("said", [MOVED, ASK])
    def test_at_queueing(self, play: Play, said: bytes) -> None:
        played = play().sends(MULTI, get(B1)).replies(B, OK + said).to_client(OK, SLOT_MOVES).sends(EXEC)
        played.replies(B, ABORTED).to_client(ABORTED)
        assert played.dialled == [B]
        assert played.session.is_idle

    def test_a_script_inside_may_say_it_too(self, play: Play) -> None:
        played = play().sends(MULTI, command(b"EVAL_RO", b"x", b"1", B1), EXEC)
        played.replies(B, OK + QUEUED + b"*1\r\n" + self.MOVED)
        played.to_client(OK, QUEUED, b"*1\r\n", error(error_texts.NOT_FOLLOWED))
        assert played.dialled == [B]


class TestLost:
    LOST = error(error_texts.lane_lost(B))

    def test_before_exec(self, play: Play) -> None:
        played = play().sends(MULTI, get(B1)).replies(B, OK + QUEUED).to_client(OK, QUEUED).loses(B)
        played.sends(get(B1), EXEC).to_client(self.LOST, self.LOST)
        played.sent.clear()
        played.is_quiet().sends(get(A1)).to(A, get(A1))

    def test_a_watching_lane_that_said_what_nobody_asked_for(self, play: Play) -> None:
        played = play().command(b"WATCH", B1).replies(B, OK).to_client(OK).replies(B, b"+x\r\n")
        assert played.hung_up == [1]
        played.sends(MULTI, get(B1), EXEC).to_client()
        assert played.closed == "a reply without a request"

    def test_a_watching_lane_that_was_a_detour(self) -> None:
        moved = b"-MOVED %d %b\r\n" % (key_slot(A1), B.encode())
        played = Script().sends(get(B1)).replies(B, b"$-1\r\n+x\r\n").to_client(b"$-1\r\n")
        played.command(b"WATCH", A1).replies(A, moved).replies(2, OK).to_client(OK)
        assert played.hung_up == [2]
        played.sends(MULTI, get(A1), EXEC).to_client(OK, self.LOST, self.LOST)
        assert played.session.is_idle

    def test_at_exec(self, play: Play) -> None:
        played = play().sends(MULTI, get(B1), EXEC).replies(B, OK + QUEUED).loses(B).to_client(OK, QUEUED, self.LOST)
        played.sent.clear()
        played.is_quiet().sends(MULTI, get(A1)).to_client(OK).to(A, MULTI, get(A1))

    def test_discard_ends_it(self, play: Play) -> None:
        played = play().sends(MULTI, get(B1)).replies(B, OK + QUEUED).loses(B).sends(DISCARD)
        played.to_client(OK, QUEUED, self.LOST)
        played.sent.clear()
        played.is_quiet().sends(MULTI, EXEC).to_client(OK, b"*0\r\n")

    def test_a_node_that_cannot_be_dialled(self) -> None:
        played = Script(dials_at_once=False).sends(MULTI, get(B1), EXEC).to_client(OK).fails(B)
        said = b"-ERR flask-cache-proxy: cannot connect; this command was not done\r\n"
        played.to_client(said, said).is_quiet()
