"""The fast paths of a cluster give what the long way gives, on the lane of each key and in the client's order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import Options, Transcoder
from proxy.policy import SessionLimits
from proxy.resp.encode import bulk, command
from tests.session.cluster.script import A, B, C, Script, key_of
from tests.session.playbook import StubCodec, policy, rule

M_A, M_B, M_C = (key_of(node, managed=True) for node in (A, B, C))
OK = b"+OK\r\n"


@pytest.fixture
def codec() -> Transcoder:
    """Its values take the long way."""
    return StubCodec(Options())


NIL = b"_\r\n"
SUBSCRIBED = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
PUSH = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"


def subscriber() -> Script:
    """Its home is A, and it has used B."""
    played = Script().command(b"HELLO", b"3").replies(A, b"%0\r\n").command(b"SUBSCRIBE", b"c").replies(A, SUBSCRIBED)
    played.sends(gets(M_B)).replies(B, b"%0\r\n" + NIL).to_client(b"%0\r\n", SUBSCRIBED, NIL)
    return played


def gets(*keys: bytes) -> bytes:
    return b"".join(command(b"GET", key) for key in keys)


class TestRequests:
    def test_values_go_to_the_lanes_of_their_keys(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec)))
        played.sends(b"".join(command(b"SET", key, b"%d" % at) for at, key in enumerate((M_A, M_B, M_A, M_C))))
        played.to(A, command(b"SET", M_A, b"!0"), command(b"SET", M_A, b"!2"))
        played.to(B, command(b"SET", M_B, b"!1")).to(C, command(b"SET", M_C, b"!3"))
        assert (played.tally.managed, sum(played.tally.commands.values())) == (4, 4)

    def test_one_that_cannot_be_encoded_is_refused_in_its_turn(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec)))
        played.sends(b"".join(command(b"SET", M_A, value) for value in (b"1", b"bad", b"2")))
        played.to(A, command(b"SET", M_A, b"!1"), command(b"SET", M_A, b"!2")).replies(A, OK + b"+2\r\n")
        assert played.client.startswith(OK + b"-ERR flask-cache-proxy: ")
        assert played.client.endswith(b"; nothing was stored\r\n+2\r\n")

    def test_a_default_ttl_is_given(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec, default_ttl=60))).sends(command(b"SET", M_A, b"1") * 2)
        played.to(A, command(b"SET", M_A, b"!1", b"EX", b"60") * 2)

    def test_a_large_value_goes_to_the_converter(self) -> None:
        played = Script(policy(limits=SessionLimits(inline_encode_bytes=3))).command(b"SET", M_B, b"large")
        [conversion] = played.conversions
        played.take(played.session.converted(conversion.half, b"!large"))
        played.to(B, command(b"SET", M_B, b"!large"))

    def test_a_read_is_split_without_effects(self) -> None:
        played = Script()
        for node in (A, B):  # the first read of a client, and of each lane, takes the long way
            played.sends(gets(key_of(node))).replies(node, b"$-1\r\n")
        sets = [command(b"SET", key_of(node), b"%d" % at) for at, node in enumerate((B, A, B))]
        assert played.session.take_requests(b"".join(sets)) == [
            (played.lane(B), sets[0] + sets[2]),
            (played.lane(A), sets[1]),
        ]
        assert played.session.take_lane(OK, played.lane(B)) == OK
        assert played.session.take_lane(OK, played.lane(B)) == b""  # it is not its turn
        assert played.session.take_lane(OK, played.lane(A)) == OK * 2
        assert played.session.is_idle
        assert played.session.memory == 0

    def test_the_end_frees_the_requests_that_are_kept(self) -> None:
        played = Script()
        for _ in range(2):
            played.sends(gets(key_of(A)))
        assert (played.session.due.size, played.session.memory > 0) == (2, True)
        played.session.end()
        assert (played.session.due.size, played.session.memory) == (0, 0)

    def test_what_follows_the_usual_ones_of_a_read_is_handled(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec))).sends(gets(M_A, M_B)).replies(A, OK).replies(B, OK)
        played.sent.clear()
        played.sends(gets(M_A, M_B) + command(b"PING") + gets(M_A)[:-3]).to(A, gets(M_A), command(b"PING"))
        played.to(B, gets(M_B)).sends(gets(M_A)[-3:]).to(A, gets(M_A))

    def test_bytes_that_nobody_asked_for_end_it_behind_its_lane(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec))).sends(gets(M_A)).replies(A, OK).replies(A, b"+unasked")
        played.sends(gets(M_A))
        assert played.closed is not None


class TestReplies:
    def test_values_of_several_lanes_come_in_order(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec))).sends(gets(M_A, M_B, M_A, M_B, M_C))
        played.replies(B, bulk(b"!2") + bulk(b"!4")).to_client().replies(A, bulk(b"!1") + bulk(b"!3"))
        played.to_client(bulk(b"1"), bulk(b"2"), bulk(b"3"), bulk(b"4"))
        played.replies(C, bulk(b"!5")).to_client(bulk(b"5"))

    def test_a_value_that_cannot_be_decoded_keeps_its_place(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec))).sends(gets(M_A, M_B, M_A))
        played.replies(B, bulk(b"!bad")).replies(A, bulk(b"!1") + bulk(b"!3"))
        assert played.client.startswith(bulk(b"1") + b"-ERR flask-cache-proxy: cannot decode the stored value")
        assert played.client.endswith(b"\r\n" + bulk(b"3"))

    def test_one_that_waits_for_the_converter_stops_the_others(self) -> None:
        played = Script(policy(limits=SessionLimits(inline_decode_bytes=20))).sends(gets(M_A, M_B, M_A))
        played.replies(B, bulk(b"!" + b"x" * 50)).replies(A, bulk(b"!1") + bulk(b"!3")).to_client(bulk(b"1"))
        [conversion] = played.conversions
        played.take(played.session.converted(conversion.half, b"x" * 50))
        played.to_client(bulk(b"x" * 50), bulk(b"3"))
        assert played.session.memory == 0

    def test_pushes_behind_the_last_reply_move(self) -> None:
        played = subscriber()
        played.sends(gets(M_A)).replies(A, NIL + PUSH).to_client(NIL, PUSH)
        played.sends(gets(M_B)).replies(A, PUSH).to_client().replies(B, NIL).to_client(NIL, PUSH)

    def test_a_push_that_has_begun_is_ended_first(self) -> None:
        for cut in range(1, len(PUSH)):
            played = subscriber().replies(A, PUSH[:cut]).sends(gets(M_B, M_A)).replies(B, NIL).replies(A, PUSH[cut:])
            assert played.client in (PUSH + NIL, NIL + PUSH)
            played.replies(A, NIL)
            assert played.client in (PUSH + NIL * 2, NIL + PUSH + NIL)

    def test_other_replies_come_between(self, codec: Transcoder) -> None:
        played = Script(policy(rule(inline=codec))).sends(gets(M_A, M_B) + command(b"PING") + gets(M_A, M_B))
        played.replies(B, bulk(b"!2") + b"$-1\r\n").replies(A, bulk(b"!1") + b"+PONG\r\n" + bulk(b"!3"))
        played.to_client(bulk(b"1"), bulk(b"2"), b"+PONG\r\n", bulk(b"3"), b"$-1\r\n")


def test_usual_requests_and_replies_take_the_plans_of_the_policy() -> None:
    codec = Transcoder(Options())
    played = Script(policy(rule(inline=codec, transcoder=codec)))
    tea, stored = b'{"tea":[1,null]}', codec.encode(b'{"tea":[1,null]}')
    played.sends(b"".join(command(b"SET", key, tea) + command(b"GET", key) for key in (M_A, M_B)))
    for node, key in ((A, M_A), (B, M_B)):
        played.to(node, command(b"SET", key, stored), command(b"GET", key))
    played.replies(B, OK + bulk(stored)).to_client().replies(A, OK + bulk(stored)).to_client(*[OK, bulk(tea)] * 2)
    assert played.tally.managed == 4
    assert (codec.encoding.values.count, codec.decoding.values.count) == (2, 2)


@given(st.integers(min_value=0))
def test_pieces_of_lanes_in_any_order_give_the_same(seed: int) -> None:
    chance = random.Random(seed)
    keys = [chance.choice((M_A, M_B, M_C)) for _ in range(chance.randrange(1, 40))]
    played = Script().sends(gets(*keys))
    values = [chance.choice((bulk(b"!%d" % at), b"$-1\r\n", b"-ERR x\r\n")) for at in range(len(keys))]
    waiting = {
        node: b"".join(value for key, value in zip(keys, values, strict=True) if key == its)
        for node, its in ((A, M_A), (B, M_B), (C, M_C))
        if its in keys
    }
    while any(waiting.values()):
        node = chance.choice([node for node, data in waiting.items() if data])
        size = chance.randrange(1, 60)
        played.replies(node, waiting[node][:size])
        waiting[node] = waiting[node][size:]
    assert played.client == b"".join(bulk(b"%d" % at) if b"!" in value else value for at, value in enumerate(values))
    assert played.session.memory == 0
