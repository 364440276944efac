"""The hot path's shortcuts come to the same as the long way, whatever is said."""

import random
from collections.abc import Iterator
from itertools import islice

import pytest

from proxy.codec import Options
from proxy.policy import As, SessionLimits
from proxy.resp.writers import bulk, command
from proxy.session.conversation import Conversation
from proxy.session.entries import Each, Entry, MustFail, Refusal, SetReplyMode, Step, Turning
from proxy.session.replies import ReplyHalf
from tests.session.playbook import Playbook, StubCodec, policy, rule


class Grows(StubCodec):
    """So that a turn of the loop does not bear all of them."""

    def decode(self, value: bytes) -> bytes:
        return super().decode(value) * 3


KEYS = (b"m:a", b"m:b", b"r:a", b"t:a", b"w:a", b"other", b"")
RULES = (
    rule(b"m:*"),
    rule(b"r:*", treats_as=As.READ_ONLY),
    rule(b"t:*", default_ttl=7, transcoder=Grows(Options()), brief=Grows(Options())),
)
PLAIN = (
    b"GET K|GET K|GET K|get K|SET K V|SET K V|SET K V EX 5|set K V px 5|SET K V NX|SET K V GET|SET K V EX 5 GET|"
    b"SET K V ?|SET K V EX|SET K V EX 5 XX|SETEX K 5 V|SETEX K 5|SETNX K V|GETSET K V|GETDEL K|GETEX K|GETEX K EX 5|"
    b"GETEX K PERSIST|GETEX K ?|INCR K|DEL K|TTL K|EXPIRE K 5|APPEND K V|TYPE K|GET|SET K|GET K V|STRLEN K|MGET K K|"
    b"MSET K V K V|PING"
).split(b"|")
TURNING = (
    b"MULTI|EXEC|DISCARD|CLIENT REPLY OFF|CLIENT REPLY SKIP|CLIENT REPLY ON|HELLO 3|HELLO 2|SUBSCRIBE c|UNSUBSCRIBE|"
    b"RESET|MONITOR|NOSUCH K|BLPOP K 0|EVAL x 0"
).split(b"|")
VALUES = (b"v", b"bad", b"x" * 20)
OK, FAILED = b"+OK\r\n", b"-ERR no\r\n"
ANY = (b"$-1\r\n", OK, b":1\r\n", FAILED, b"_\r\n", *map(bulk, (b"!v", b"!bad", b"!" + b"y" * 30, b"")))


def _requests(chance: random.Random) -> bytes:
    """Some that differ in nothing but key and value, as pipelines have them."""
    words = chance.choice(TURNING if chance.random() < 0.1 else PLAIN).split(b" ")
    keys = chance.choices(KEYS, k=chance.randrange(1, 4))
    return b"".join(
        command(
            *(
                chance.choice(keys) if word == b"K" else chance.choice(VALUES) if word == b"V" else word
                for word in words
            )
        )
        for _ in range(chance.choice((1, 1, 2, 5)))
    )


def _reply(chance: random.Random, entry: Entry) -> bytes:
    """One that Redis may give, or now and then any other."""
    match entry:
        case Refusal() | MustFail():
            return FAILED
        case Each(entries):
            return b"*%d\r\n" % len(entries) + b"".join(chance.choice(ANY) for _ in entries)
        case Turning(Step.EXEC):
            return chance.choice((b"*-1\r\n", FAILED))
        case Turning() | SetReplyMode() if chance.random() < 0.9:
            return OK
    return chance.choice(ANY)


def _conversation(seed: int) -> Iterator[object]:
    """What a session does about random requests and replies."""
    chance = random.Random(seed)
    limits = SessionLimits(inline_encode_bytes=40, inline_decode_bytes=40, turn_steps=chance.choice((3, 1000)))
    played = Playbook(policy(*RULES, limits=limits))
    for _ in range(60):
        if chance.random() < 0.5:
            played.sends(b"".join(_requests(chance) for _ in range(chance.randrange(1, 6))))
        else:
            due = islice(played.session._conversation.entries, chance.randrange(1, 9))
            replies = b"".join(_reply(chance, each) for each in due)
            cut = chance.randrange(len(replies) + 1)
            played.replies(replies[:cut]).replies(replies[cut:])
        if played.lookups:
            played.lookups.clear()
            played.finds("readonly")
        while played.conversions or played.wants_turn:
            played.converts().takes_turns()
        yield played.upstream, played.client, played.closed, played.session.pending, played.session.wants_client
        played.upstream = played.client = b""
        if played.closed:
            return


@pytest.mark.parametrize("seed", range(300))
def test_shortcuts_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    short = list(_conversation(seed))
    monkeypatch.setattr(Conversation, "is_straight", False)
    monkeypatch.setattr(ReplyHalf, "_run", lambda _half: False)
    assert list(_conversation(seed)) == short


def test_conversations_go_on_for_long_enough_to_tell() -> None:
    assert sum(len(list(_conversation(seed))) for seed in range(100)) > 2000
