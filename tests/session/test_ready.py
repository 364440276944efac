"""Replies of our own keep their place among those of Redis, and a poison is sent where a MULTI may be open."""

import random

import pytest

from proxy.policy import Guard, SessionLimits
from proxy.resp.encode import bulk, command
from proxy.session import Gate
from tests import effort
from tests.session.playbook import POISON, Playbook, policy
from tests.session.test_session import chunked

MULTI, EXEC, DISCARD, RESET = command(b"MULTI"), command(b"EXEC"), command(b"DISCARD"), command(b"RESET")
PING, GET, BLPOP = command(b"PING"), command(b"GET", b"m:a"), command(b"BLPOP", b"l", b"0")
BAD = command(b"SET", b"m:a", b"bad")
REFUSED = b"-ERR flask-cache-proxy: a bad payload; nothing was stored\r\n"
POISON_FAILS = b"-ERR wrong number of arguments for 'get' command\r\n"
PUSH = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"


def limited(**limits: int) -> Playbook:
    return Playbook(policy(limits=SessionLimits()._replace(**limits)))  # type: ignore[arg-type]


class TestTheirTurn:
    def test_with_nothing_outstanding_one_is_given_at_once_and_redis_hears_nothing(self) -> None:
        played = Playbook().sends(BAD * 3).to_upstream(b"").to_client(REFUSED * 3)
        assert played.session.is_idle
        assert not played.session.awaits_reply
        assert played.session.memory == 0
        assert sum(played.tally.refusals.values()) == 3

    def test_one_never_overtakes_a_reply(self) -> None:
        played = Playbook().sends(GET + BAD + PING + BAD + BAD + GET).to_upstream(GET + PING + GET).to_client(b"")
        assert played.session.pending == 6
        played.replies(b"$2\r\n!").to_client(b"").replies(b"v\r\n+PO").to_client(b"$1\r\nv\r\n" + REFUSED + b"+PO")
        played.replies(b"NG\r\n").to_client(b"NG\r\n" + REFUSED * 2).replies(b"$-1\r\n").to_client(b"$-1\r\n")
        assert played.session.is_idle

    def test_one_waits_for_a_value_under_conversion(self) -> None:
        played = limited(inline_decode_bytes=1).sends(GET + BAD).replies(b"$2\r\n!v\r\n").to_client(b"")
        assert not played.session.is_idle
        played.converts().to_client(b"$1\r\nv\r\n" + REFUSED)

    def test_a_request_that_waits_for_replies_waits_for_one_of_ours_too(self) -> None:
        subscribe = command(b"SUBSCRIBE", b"c")
        played = Playbook().sends(PING + BAD + subscribe).to_upstream(PING)
        played.replies(b"+PONG\r\n").to_client(b"+PONG\r\n" + REFUSED).to_upstream(subscribe)
        Playbook().sends(BAD + subscribe).to_client(REFUSED).to_upstream(subscribe)

    def test_one_does_not_break_into_a_push_that_has_begun(self) -> None:
        played = Playbook().command(b"HELLO", b"3").replies(b"%0\r\n").to_client(b"%0\r\n")
        played.replies(PUSH[:-3]).sends(BAD).replies(PUSH[-3:] + PUSH).to_client(PUSH + REFUSED + PUSH)

    def test_one_stands_between_messages_in_resp2(self) -> None:
        subscribed = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        news = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
        played = Playbook().command(b"SUBSCRIBE", b"c").replies(subscribed + news[:-4]).sends(BAD)
        played.replies(news[-4:] + news).to_client(subscribed + news + REFUSED + news)

    @pytest.mark.parametrize("mark", [b"*", b">"], ids=["RESP2", "RESP3"])
    def test_one_does_not_break_into_a_confirmation_that_comes_unasked(self, mark: bytes) -> None:
        """A cluster ends the subscriptions to channels of a slot that leaves."""
        told, ended = (mark + b"3\r\n" + bulk(kind) + bulk(b"c") for kind in (b"ssubscribe", b"sunsubscribe"))
        told, ended = told + b":1\r\n", ended + b":0\r\n"
        played = Playbook().command(b"HELLO", b"2" if mark == b"*" else b"3").replies(b"*0\r\n")
        played.command(b"SSUBSCRIBE", b"c").replies(told + ended[:-3]).sends(BAD).replies(ended[-3:])
        played.to_client(b"*0\r\n" + told + ended + REFUSED)
        played.sends(PING).replies(b"+PONG\r\n").to_client(b"+PONG\r\n")

    def test_a_protocol_error_comes_behind_it_and_is_the_last(self) -> None:
        played = Playbook().sends(BAD + b"*x\r\n" + BAD)
        played.to_client(REFUSED + b"-ERR Protocol error: invalid multibulk length\r\n")
        assert played.closed


class TestMulti:
    @pytest.mark.parametrize("refused", [BAD, command(b"APPEND", b"m:a", b"x"), command(b"no such")])
    def test_where_one_is_outstanding_a_poison_makes_exec_abort(self, refused: bytes) -> None:
        sent = command(b"SET", b"m:a", b"v")
        played = Playbook().sends(MULTI + refused + sent + EXEC)
        played.to_upstream(MULTI + POISON + command(b"SET", b"m:a", b"!v") + EXEC)
        played.replies(b"+OK\r\n" + POISON_FAILS + b"+QUEUED\r\n-EXECABORT x\r\n")
        assert played.client.startswith(b"+OK\r\n-ERR ")
        assert played.client.endswith(b"+QUEUED\r\n-EXECABORT x\r\n")

    def test_where_one_is_open_likewise(self) -> None:
        played = Playbook().sends(MULTI).replies(b"+OK\r\n").sends(BAD).to_upstream(MULTI + POISON)
        played.replies(POISON_FAILS).to_client(b"+OK\r\n" + REFUSED)

    @pytest.mark.parametrize(("end", "reply"), [(EXEC, b"*0\r\n"), (EXEC, b"-EXECABORT x\r\n"), (DISCARD, b"+OK\r\n")])
    def test_until_its_end_is_known(self, end: bytes, reply: bytes) -> None:
        played = Playbook().sends(MULTI + end + BAD).to_upstream(MULTI + end + POISON).replies(b"+OK\r\n" + reply)
        played.sends(BAD).to_upstream(b"").replies(POISON_FAILS).to_client(b"+OK\r\n" + reply + REFUSED * 2)

    def test_a_multi_that_failed_is_none(self) -> None:
        played = Playbook().sends(MULTI + PING).replies(b"-NOPERM no\r\n").sends(BAD).to_upstream(MULTI + PING)
        played.replies(b"+PONG\r\n").to_client(b"-NOPERM no\r\n+PONG\r\n" + REFUSED)

    def test_a_discard_that_failed_ends_none(self) -> None:
        played = Playbook().sends(MULTI + DISCARD).replies(b"+OK\r\n-NOPERM no\r\n").sends(BAD)
        played.to_upstream(MULTI + DISCARD + POISON)

    def test_a_command_that_nobody_knows_may_have_opened_one(self) -> None:
        renamed = command(b"MY.MULTI", b"k")
        guard = Guard(allowed_commands=frozenset({b"MY.MULTI"}))
        played = Playbook(policy(guard=guard)).sends(renamed).finds("noscript").replies(b"+OK\r\n")
        played.sends(BAD).to_upstream(renamed + POISON).replies(POISON_FAILS).sends(RESET).replies(b"+RESET\r\n")
        played.sends(BAD).to_upstream(RESET).to_client(b"+OK\r\n" + REFUSED + b"+RESET\r\n" + REFUSED)

    def test_so_may_one_that_the_server_did_not_know_and_a_plain_read_has_not(self) -> None:
        unknown, read = command(b"NOSUCH", b"k"), command(b"NEW.READ", b"k")
        Playbook().sends(unknown).finds_nothing().sends(BAD).to_upstream(unknown + POISON)
        Playbook().sends(read).finds("readonly").sends(BAD).to_upstream(read)

    def test_of_a_stranger_too_if_redis_wants_no_password_any_more(self) -> None:
        select, sent = command(b"SELECT", b"x"), command(b"SET", b"m:a", b"v")
        played = Playbook(wants_password=True).sends(MULTI + BAD + sent + EXEC)
        played.to_upstream(MULTI + select + POISON + command(b"SET", b"m:a", b"!v") + EXEC)
        played.replies(b"+OK\r\n+QUEUED\r\n" + POISON_FAILS + b"+QUEUED\r\n-EXECABORT x\r\n")
        played.to_client(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n-EXECABORT x\r\n")
        assert played.session.is_idle

    def test_of_a_stranger_whom_redis_does_not_know(self) -> None:
        noauth = b"-NOAUTH Authentication required.\r\n"
        played = Playbook(wants_password=True).sends(MULTI + BAD + BAD)
        played.replies((noauth + noauth + POISON_FAILS) + noauth + POISON_FAILS).to_client(noauth * 3)


class TestCaching:
    """It holds for the next command alone, in Redis also if that fails."""

    @pytest.mark.parametrize("replies", [b"+OK\r\n", b""], ids=["answered", "outstanding"])
    def test_a_refusal_right_behind_it_is_a_poison(self, replies: bytes) -> None:
        caching = command(b"CLIENT", b"CACHING", b"no")
        played = Playbook().sends(caching).replies(replies).sends(BAD + BAD + PING)
        played.to_upstream(caching + POISON + PING)
        played.replies((b"" if replies else b"+OK\r\n") + POISON_FAILS + b"+PONG\r\n")
        played.to_client(b"+OK\r\n" + REFUSED * 2 + b"+PONG\r\n")

    def test_with_replies_off_likewise(self) -> None:
        played = Playbook().command(b"CLIENT", b"REPLY", b"OFF").replies(b"+OK\r\n")
        caching = command(b"CLIENT", b"CACHING", b"no")
        played.sends(caching).replies(b"+OK\r\n").sends(BAD + BAD).replies(POISON_FAILS).to_client(b"")
        assert played.session.is_idle
        assert played.upstream.endswith(caching + POISON)

    def test_behind_another_command_it_is_none(self) -> None:
        caching = command(b"CLIENT", b"CACHING", b"no")
        Playbook().sends(caching + PING + BAD).to_upstream(caching + PING)


class TestSilence:
    """As in Redis, an error uses up a SKIP like any other reply, and is not sent."""

    def test_a_refusal_uses_up_a_skip(self) -> None:
        played = Playbook().command(b"CLIENT", b"REPLY", b"SKIP").replies(b"+OK\r\n").sends(BAD + BAD + PING)
        played.replies(b"+PONG\r\n").to_client(REFUSED + b"+PONG\r\n")

    def test_off_silences_it_and_nothing_of_it_is_kept(self) -> None:
        played = Playbook().command(b"CLIENT", b"REPLY", b"OFF").replies(b"+OK\r\n").sends(PING + BAD * 3)
        assert played.session.pending == 1
        played.replies(b"+PONG\r\n").command(b"CLIENT", b"REPLY", b"ON").replies(b"+OK\r\n").sends(BAD)
        played.to_client(b"+OK\r\n" + REFUSED)

    def test_a_skip_before_a_poison_is_used_up_too(self) -> None:
        played = Playbook().command(b"CLIENT", b"REPLY", b"SKIP").replies(b"+OK\r\n").sends(MULTI + BAD)
        played.replies(b"+OK\r\n" + POISON_FAILS).to_client(REFUSED)


class TestBounds:
    """A client that sends only refused requests after a blocking command, and reads no replies."""

    def test_in_number(self) -> None:
        played = limited(pending_commands=100).sends(BLPOP + BAD * 300).takes_turns()
        assert played.session.pending == 100
        assert not played.session.wants_client
        played.replies(b"*-1\r\n").takes_turns().to_client(b"*-1\r\n" + REFUSED * 300)
        assert played.session.wants_client

    def test_in_bytes(self) -> None:
        played = limited(buffered_bytes=2000).sends(BLPOP + BAD * 100).takes_turns()
        assert 10 < played.session.pending < 20
        assert played.session.memory - len(BAD) * 100 * 9 > 2000
        assert not played.session.wants_client
        played.replies(b"*-1\r\n").takes_turns().to_client(b"*-1\r\n" + REFUSED * 100)
        assert played.session.memory == 0

    def test_in_one_turn_of_the_loop(self) -> None:
        played = limited(turn_steps=30).sends(BAD * 100)
        first = len(played.client) // len(REFUSED)
        assert 0 < first < 10
        assert played.wants_turn
        played.takes_turns().to_client(REFUSED * 100)

    @pytest.mark.parametrize("mode", [b"ON", b"OFF"])
    def test_logins_that_we_check_are_many_turns_too(self, mode: bytes) -> None:
        """Each waits until nothing is outstanding, and with replies off nothing ever is."""
        limits = policy(limits=SessionLimits(turn_steps=30))
        played = Playbook(limits, gate=Gate([b"sesame"])).command(b"AUTH", b"sesame")
        played.command(b"CLIENT", b"REPLY", mode).replies(b"+OK\r\n").sends(command(b"AUTH", b"wrong") * 100)
        turns = 1
        while played.wants_turn:
            turns += 1
            played._take(played.session.take_turn())
        assert turns > 3
        assert played.client.count(b"-WRONGPASS") == (100 if mode == b"ON" else 0)
        assert played.session.is_idle

    def test_many_that_become_due_at_once_are_given_in_turns(self) -> None:
        played = limited(turn_steps=30).sends(PING + BAD * 100).takes_turns().replies(b"+PONG\r\n")
        assert len(played.client) <= len(b"+PONG\r\n") + 30 * len(REFUSED)
        assert played.wants_turn
        played.takes_turns().to_client(b"+PONG\r\n" + REFUSED * 100)
        assert played.session.is_idle


MGET = command(b"MGET", b"m:a", b"x")
ASKED = (
    (GET, GET, b"$2\r\n!v\r\n", b"$1\r\nv\r\n"),
    (GET, GET, b"$-1\r\n", b"$-1\r\n"),
    (command(b"GET", b"other"), command(b"GET", b"other"), bulk(b"x" * 50), bulk(b"x" * 50)),
    (command(b"SET", b"m:a", b"v"), command(b"SET", b"m:a", b"!v"), b"+OK\r\n", b"+OK\r\n"),
    (MGET, MGET, b"*2\r\n$2\r\n!v\r\n_\r\n", b"*2\r\n$1\r\nv\r\n_\r\n"),
    (BAD, b"", b"", REFUSED),
    (BAD, b"", b"", REFUSED),
)
"""Requests, each with its upstream bytes, Redis' reply, and the client's reply."""


def settled(played: Playbook) -> Playbook:
    while played.conversions or played.wants_turn:
        played.converts().takes_turns()
    return played


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(effort.cases(60)))
def test_any_mixture_is_answered_in_order(seed: int, protocol: int) -> None:
    chance = random.Random(seed)
    limits = SessionLimits(turn_steps=chance.choice((3, 1000)), inline_decode_bytes=chance.choice((1, 1000)))
    hello = command(b"HELLO", b"%d" % protocol)
    played = Playbook(policy(limits=limits), cut=chunked).sends(hello).replies(b"*0\r\n").to_client(b"*0\r\n")
    due = expected = b""
    sent = hello
    for _ in range(chance.randrange(1, 40)):
        request, upstream, reply, shown = chance.choice(ASKED)
        settled(played.sends(request))
        sent, due, expected = sent + upstream, due + reply, expected + shown
        cut = chance.choice((0, chance.randrange(len(due) + 1)))
        settled(played.replies(due[:cut]))
        due = due[cut:]
        assert expected.startswith(played.client)
    settled(played.replies(due)).to_upstream(sent).to_client(expected)
    assert played.session.is_idle
    assert played.session.memory == 0
