"""The fast path gives the same result as the full path, for random requests and replies."""

import pickle
import random
import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise, repeat

import pytest

from proxy.codec import CodecLimits, Options, Transcoder
from proxy.policy import As, Rule, SessionLimits
from proxy.policy.view_keys import keys_of_views
from proxy.resp.encode import bulk, command
from proxy.session.expected_replies import Each, Entry, MustFail, Poison, SetReplyMode, StateChange, Step
from tests import effort
from tests.session.fastpath.long_way import go_the_long_way
from tests.session.playbook import Playbook, policy, rule

SMALL = Options(limits=CodecLimits(payload_bytes=30, decoded_bytes=30))
"""Limits so small that the event loop leaves some values to the converter."""


USUAL = Options()


def _real(pattern: bytes, options: Options = USUAL, **changes: object) -> Rule:
    inline = options._replace(limits=SMALL.limits)
    return rule(pattern, transcoder=Transcoder(options), inline=Transcoder(inline), **changes)


KEYS = (
    b"m:a",
    b"m:b",
    b"r:a",
    b"t:a",
    b"w:a",
    b"o:a",
    b"p:a",
    b"j:a",
    b"g:xa",
    b"g:a",
    b"u:a",
    b"v:view/a",
    b"other",
    b"",
)
RULES = (
    _real(b"m:*"),
    _real(b"r:*", treats_as=As.READ_ONLY),
    _real(b"o:*", Options(types="plain"), only_reads=True),
    _real(b"p:*", has_digits=False),
    _real(b"t:*", Options(payload="msgpack", pickle_protocol=2), default_ttl=7),
    _real(b"j:*", Options(stored="json")),
    _real(b"g:[xy]*"),
    _real(b"u:*", treats_as=As.UNTOUCHED),
    _real(b"v:*", views=keys_of_views(b"v:*")),
)
PLAIN = (
    b"GET K|GET K|GET K|get K|SET K V|SET K V|SET K V EX 5|set K V px 5|SET K V NX|SET K V GET|SET K V EX 5 GET|"
    b"SET K V ?|SET K V EX|SET K V EX 5 XX|SETEX K 5 V|SETEX K 5|SETNX K V|GETSET K V|GETDEL K|GETEX K|GETEX K EX 5|"
    b"GETEX K PERSIST|GETEX K ?|INCR K|DEL K|TTL K|EXPIRE K 5|APPEND K V|TYPE K|GET|SET K|GET K V|STRLEN K|MGET K K|"
    b"MSET K V K V|PING"
).split(b"|")
STATE_CHANGES = (
    b"MULTI|EXEC|DISCARD|CLIENT REPLY OFF|CLIENT REPLY SKIP|CLIENT REPLY ON|HELLO 3|HELLO 2|SUBSCRIBE c|UNSUBSCRIBE|"
    b"RESET|MONITOR|NOSUCH K|BLPOP K 0|EVAL x 0"
).split(b"|")
VALUES = (
    b"5",
    b'"tea"',
    b'{"a":[1,2.5,null]}',
    b"{bad",
    b"true",
    b'"%040d"' % 0,
    b'{"py/decimal":"1"}',
    b"\x81\xa1a\x01",
)
PICKLED = ("tea", {"a": [1, None]}, "y" * 40, True, {1})
STORED = (*(b"!" + pickle.dumps(value, 4) for value in PICKLED), b"5", b"!bad", b"")
OK, FAILED = b"+OK\r\n", b"-ERR no\r\n"
LIKE_REPLIES = b"+OK\r\n:1\r\n$1\r\nx\r\n"
"""A value that looks like replies, also in parts."""
ANY = (b"$-1\r\n", OK, b":1\r\n", FAILED, b"_\r\n", *map(bulk, STORED), bulk(LIKE_REPLIES))
EMPTY = b"*0\r\n"


def _requests(chance: random.Random) -> bytes:
    """Requests that differ only in key and value, as in pipelines. Sometimes an empty one, which is none."""
    if chance.random() < 0.02:
        return EMPTY
    words = chance.choice(STATE_CHANGES if chance.random() < 0.1 else PLAIN).split(b" ")
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
    """A reply that Redis may give, or sometimes any other reply."""
    match entry:
        case Poison() | MustFail():
            return FAILED
        case Each(entries):
            return b"*%d\r\n" % len(entries) + b"".join(chance.choice(ANY) for _ in entries)
        case StateChange(Step.EXEC):
            return chance.choice((b"*-1\r\n", FAILED))
        case StateChange() | SetReplyMode() if chance.random() < 0.9:
            return OK
    return chance.choice(ANY)


def _reads(chance: random.Random, data: bytes) -> list[bytes]:
    """Parts of replies. Often they end where a line does, so that a part of a value looks whole."""
    lines = [found.end() for found in re.finditer(b"\r\n", data)]
    anywhere = [chance.randrange(len(data) + 1)]
    ends = sorted(chance.sample(lines, min(4, len(lines))) if chance.random() < 0.5 else anywhere)
    return [data[start:stop] for start, stop in pairwise([0, *ends, len(data)])]


def _owed(played: Playbook) -> Iterator[Entry]:
    """The replies that Redis owes."""
    return chain.from_iterable(repeat(*record) for record in played.session._conversation.home.owed.records(1000))


def _conversation(seed: int) -> Iterator[object]:
    """The output of a session for random requests and replies."""
    chance = random.Random(seed)
    limits = SessionLimits(inline_encode_bytes=40, inline_decode_bytes=40, turn_steps=chance.choice((3, 1000)))
    played = Playbook(policy(*RULES, limits=limits))
    for _ in range(60):
        if chance.random() < 0.5:
            played.sends(b"".join(_requests(chance) for _ in range(chance.randrange(1, 6))))
        else:
            due = islice(_owed(played), chance.randrange(1, 9))
            replies = b"".join(_reply(chance, each) for each in due)
            for read in _reads(chance, replies):
                played.replies(read)
        while played.lookups or played.conversions or played.wants_turn:
            if played.lookups:
                played.lookups.clear()
                played.finds("readonly")
            played.converts().takes_turns()
        yield played.upstream, played.client, played.closed, played.session.pending, played.session.wants_client
        played.upstream = played.client = b""
        if played.closed:
            return


@pytest.mark.parametrize("seed", range(effort.cases(300)))
def test_shortcuts_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    short = list(_conversation(seed))
    go_the_long_way(monkeypatch)
    assert list(_conversation(seed)) == short


def test_conversations_go_on_for_long_enough_to_tell() -> None:
    assert sum(len(list(_conversation(seed))) for seed in range(100)) > 2000
