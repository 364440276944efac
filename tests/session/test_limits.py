"""The limits of a conversation, at and over the bound, and conversations that an outside reason ends."""

import pytest

from proxy.codec import Options, PayloadError, Transcoder
from proxy.engine import REFERENCE
from proxy.policy import SessionLimits
from proxy.resp import RequestLimits
from proxy.resp.encode import command
from tests.session.playbook import POISON, Playbook, StubCodec, policy, rule

PING, MULTI, EXEC, DISCARD = command(b"PING"), command(b"MULTI"), command(b"EXEC"), command(b"DISCARD")
GET = command(b"GET", b"m:a")
TOO_MUCH = b"-ERR flask-cache-proxy: MULTI is full ([limits] pending_commands and buffered_bytes)\r\n"
WHY = b"-ERR flask-cache-proxy: the reason\r\n"


def limited(**limits: int) -> Playbook:
    return Playbook(policy(limits=SessionLimits()._replace(**limits)))  # type: ignore[arg-type]


class TestPendingCommands:
    @pytest.mark.parametrize(
        ("asked", "sent", "reply"),
        [
            (PING, PING, b"+PONG\r\n"),
            (command(b"GET", b"other"), command(b"GET", b"other"), b"$-1\r\n"),
            (command(b"SET", b"m:a", b"v"), command(b"SET", b"m:a", b"!v"), b"+OK\r\n"),
        ],
        ids=["one by one", "unmanaged", "encoded"],
    )
    def test_as_many_are_sent_as_may_be_and_each_reply_makes_room(
        self, asked: bytes, sent: bytes, reply: bytes
    ) -> None:
        played = limited(pending_commands=3).sends(asked * 2)
        assert played.session.wants_client
        played.sends(asked * 3).to_upstream(sent * 3)
        assert not played.session.wants_client
        played.replies(reply).to_upstream(sent)
        played.replies(reply * 2).to_upstream(sent)
        assert played.session.wants_client
        played.replies(reply * 2).to_client(reply * 5)

    def test_what_is_remembered_of_them_is_bounded_in_bytes(self) -> None:
        played = limited(buffered_bytes=1000).sends(command(b"MGET", *[b"m:a"] * 10) * 100)
        sent = played.session.pending
        assert 1 < sent < 20
        assert not played.session.wants_client
        assert played.session.memory > 1000
        for _ in range(100):
            assert played.session.pending == sent or played.session.wants_client
            played.replies(b"*10\r\n" + b"$-1\r\n" * 10)
        assert played.session.pending == 0
        assert played.session.memory == 0

    def test_room_that_only_a_later_turn_makes_is_used_at_once(self) -> None:
        every = command(b"MGET", *[b"m:a"] * 20)
        played = limited(pending_commands=1, turn_steps=15).sends(every + GET).takes_turns().to_upstream(every)
        played.replies(b"*20\r\n" + b"$-1\r\n" * 20).to_upstream(b"")
        played.takes_turns().to_upstream(GET).to_client(b"*20\r\n" + b"$-1\r\n" * 20)

    @pytest.mark.parametrize("asked", [PING, GET])
    def test_what_needs_no_memory_is_not_counted(self, asked: bytes) -> None:
        played = limited(buffered_bytes=1000).sends(asked * 1000).to_upstream(asked * 1000)
        assert played.session.wants_client


class TestMulti:
    def test_beyond_what_it_may_hold_commands_are_refused_and_it_can_still_be_left(self) -> None:
        played = limited(pending_commands=3).sends(MULTI).replies(b"+OK\r\n")
        for _ in range(3):
            played.sends(GET).replies(b"+QUEUED\r\n")
        played.upstream = played.client = b""
        played.sends(GET).to_upstream(POISON).replies(b"-ERR wrong number\r\n").to_client(TOO_MUCH)
        played.sends(EXEC).to_upstream(EXEC).replies(b"-EXECABORT\r\n").to_client(b"-EXECABORT\r\n")
        played.sends(GET).to_upstream(GET).replies(b"$2\r\n!v\r\n").to_client(b"$1\r\nv\r\n")

    def test_its_bytes_are_bounded_too(self) -> None:
        played = limited(buffered_bytes=400).sends(MULTI).replies(b"+OK\r\n")
        mget = command(b"MGET", *[b"m:a"] * 20)
        for _ in range(2):
            played.sends(mget).replies(b"+QUEUED\r\n")
        played.client = b""
        played.sends(mget).replies(b"-ERR wrong number\r\n").to_client(TOO_MUCH)
        played.sends(DISCARD).replies(b"+OK\r\n")
        assert played.session.memory == 0


class TestMemory:
    def test_a_value_under_conversion_counts(self) -> None:
        played = limited(inline_encode_bytes=1, inline_decode_bytes=1)
        played.command(b"SET", b"m:a", b"v" * 1000)
        assert played.session.memory > 1000
        played.converts().replies(b"+OK\r\n").sends(GET).replies(b"$1001\r\n!" + b"v" * 1000 + b"\r\n")
        assert played.session.memory > 1000
        played.converts()
        assert played.session.memory == 0

    def test_a_command_that_waits_for_replies_counts(self) -> None:
        played = Playbook().sends(PING + command(b"SUBSCRIBE", b"c" * 1000))
        assert played.session.memory > 1000

    def test_nothing_is_held_once_it_has_ended(self) -> None:
        played = Playbook().sends(PING + b"*2\r\n$3\r\nGET\r\n$1000\r\n" + b"x" * 900)
        played.fails("the reason")
        assert played.session.memory == 0


class TestEndingFromOutside:
    def test_it_is_the_reply_to_the_command_at_the_head_and_the_last(self) -> None:
        played = Playbook().sends(PING * 3).replies(b"+PONG\r\n").fails("the reason").to_client(b"+PONG\r\n" + WHY)
        assert played.closed == "the reason"
        played.sends(PING).replies(b"+PONG\r\n").fails("again").to_client(b"")

    def test_a_client_that_has_asked_nothing_is_told(self) -> None:
        assert Playbook().fails("the reason").to_client(WHY).closed

    @pytest.mark.parametrize(
        ("asked", "so_far"),
        [
            (command(b"GET", b"other"), b"$10\r\nxx"),
            (command(b"KEYS", b"*"), b"*2\r\n$1\r\na\r\n"),
            (command(b"MGET", b"m:a", b"m:b"), b"*2\r\n$-1\r\n"),
        ],
    )
    def test_a_client_within_a_reply_is_not(self, asked: bytes, so_far: bytes) -> None:
        played = Playbook().sends(asked).replies(so_far).to_client(so_far).fails("the reason").to_client(b"")
        assert played.closed

    def test_a_client_that_wants_no_replies_is_not(self) -> None:
        played = Playbook().sends(command(b"CLIENT", b"REPLY", b"OFF")).replies(b"+OK\r\n").sends(PING)
        assert played.fails("the reason").to_client(b"").closed

    def test_a_value_that_has_come_in_part_is_not_within_a_reply(self) -> None:
        Playbook().sends(GET).replies(b"$10\r\n!v").fails("the reason").to_client(WHY)


class TestWhatIsDue:
    def test_a_reply_is_due_from_the_command_until_it_has_come(self) -> None:
        played = Playbook()
        assert not played.session.awaits_reply
        assert played.sends(PING).session.awaits_reply
        assert not played.replies(b"+PONG\r\n").session.awaits_reply

    def test_none_while_a_command_at_the_head_may_block(self) -> None:
        played = Playbook().sends(command(b"BLPOP", b"l", b"0") + PING)
        assert not played.session.awaits_reply
        assert played.replies(b"*-1\r\n").session.awaits_reply

    def test_what_blocks_behind_others_does_not_excuse_them(self) -> None:
        assert Playbook().sends(PING + command(b"BLPOP", b"l", b"0")).session.awaits_reply

    def test_none_to_a_subscriber(self) -> None:
        played = Playbook().sends(command(b"SUBSCRIBE", b"c"))
        assert played.session.awaits_reply
        assert not played.replies(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n").session.awaits_reply

    def test_none_from_redis_while_a_value_is_under_conversion(self) -> None:
        played = limited(inline_decode_bytes=1).sends(GET).replies(b"$2\r\n!v\r\n")
        assert not played.session.awaits_reply
        assert not played.converts().session.awaits_reply

    def test_a_first_command_has_come_when_it_is_whole(self) -> None:
        played = Playbook().sends(PING[:-1])
        assert not played.session.has_begun
        assert played.sends(PING[-1:]).session.has_begun

    def test_an_inline_one_is_one(self) -> None:
        assert Playbook(policy(limits=SessionLimits(request=RequestLimits()))).sends(b"PING\r\n").session.has_begun


class SmallLimits(StubCodec):
    """All values exceed its small limits, except those that are wrong under any limits."""

    def encode(self, payload: bytes) -> bytes:
        super().encode(payload)
        raise PayloadError("more than 1 nodes ([limits] nodes)", "nodes")


class TestSmallLimitsOnTheLoop:
    def test_a_payload_beyond_them_goes_to_the_converter(self) -> None:
        played = Playbook(policy(rule(inline=SmallLimits(Options())))).command(b"SET", b"m:a", b"v").to_upstream(b"")
        assert len(played.conversions) == 1
        played.converts().to_upstream(command(b"SET", b"m:a", b"!v"))

    def test_so_does_a_command_with_one_such_payload_among_others(self) -> None:
        played = Playbook(policy(rule(b"s:*"), rule(inline=SmallLimits(Options()))))
        played.command(b"MSET", b"s:a", b"1", b"m:a", b"2").to_upstream(b"")
        played.converts().to_upstream(command(b"MSET", b"s:a", b"!1", b"m:a", b"!2"))

    def test_what_is_wrong_under_any_limits_is_said_at_once(self) -> None:
        played = Playbook(policy(rule(inline=SmallLimits(Options())))).command(b"SET", b"m:a", b"bad").to_upstream(b"")
        assert not played.conversions


@pytest.mark.parametrize("empty", [b"*0\r\n", b"*-1\r\n", b"\r\n", b"\n", b" \n"])
@pytest.mark.parametrize("between", [b"", command(b"PING")])
def test_a_turn_passes_over_only_so_much_that_is_empty(empty: bytes, between: bytes) -> None:
    if not empty.startswith(b"*") and between:
        between = b"PING\r\n"
    played = limited().sends((empty * 150 + between) * 20)
    turns = 0
    while played.wants_turn:
        assert not played.session.wants_client
        played.wants_turn = False
        played._take(played.session.take_turn())
        turns += 1
    assert turns >= 10
    assert played.session.wants_client
    assert played.session.memory <= 8 * 20
    played.to_upstream(PING * 20 if between else b"")


class TestLookingAhead:
    """Requests and entries are handled in runs. Where runs end at once, the search for them stays linear."""

    @pytest.mark.parametrize(
        "codec", [StubCodec(Options()), Transcoder(Options(), REFERENCE)], ids=["many", "one by one"]
    )
    @pytest.mark.parametrize("values", [(b"1",), (b"bad",), (b"1", b"bad"), (b"1", b"2", b"3", b"bad")])
    def test_requests_are_looked_at_a_few_times_each(self, codec: Transcoder, values: tuple[bytes, ...]) -> None:
        looks = 0

        def matches(key: bytes) -> bool:
            nonlocal looks
            looks += 1
            return key.startswith(b"m:")

        played = Playbook(policy(rule(matches=matches, transcoder=codec, inline=codec)))
        played.sends(b"".join(command(b"SET", b"m:a", value) for value in values) * (800 // len(values)))
        played.takes_turns()
        assert played.session.pending + played.client.count(b"-ERR ") == 800
        assert looks < 4 * 800

    @pytest.mark.parametrize("asked", [GET, PING, command(b"SET", b"m:a", b"1")])
    def test_alike_entries_take_one_record(self, asked: bytes) -> None:
        played = limited(turn_steps=10).sends(asked).takes_turns()
        one = played.session.memory
        played.sends(asked * 800).takes_turns()
        assert played.session.pending == 801
        assert played.session.memory == one
