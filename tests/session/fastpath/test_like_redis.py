"""A client cannot tell us from Redis, wherever the reads of both sides are cut. A model of Redis answers."""

import random
import re
from collections.abc import Iterator

import pytest

from proxy.policy import SessionLimits
from proxy.resp.encode import bulk, command
from tests import effort
from tests.session.playbook import Playbook, policy

BULK = re.compile(rb"\$(\d+)\r\n")
KEYS = (b"n:a", b"n:b", b"")
LIMITS = (
    SessionLimits(),
    SessionLimits(pending_commands=3),
    SessionLimits(pending_commands=20),
    SessionLimits(turn_steps=2),
)


class Model:
    """Redis with strings and transactions. It reads nothing but canonical requests."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self._rest = b""
        self._queued: list[list[bytes]] | None = None

    def takes(self, data: bytes) -> bytes:
        """Take bytes of the client. Returns the replies to the requests that are whole."""
        self._rest += data
        return b"".join(map(self._answer, self._requests()))

    def _requests(self) -> Iterator[list[bytes]]:
        while header := re.match(rb"\*(\d+)\r\n", self._rest):
            at, args = header.end(), list[bytes]()
            while len(args) < int(header[1]) and (found := BULK.match(self._rest, at)):
                at = found.end() + int(found[1]) + 2
                if at > len(self._rest):
                    return
                assert self._rest[at - 2 : at] == b"\r\n"
                args.append(self._rest[found.end() : at - 2])
            if len(args) < int(header[1]):
                return
            self._rest = self._rest[at:]
            yield args

    def _answer(self, args: list[bytes]) -> bytes:
        if args[0] == b"MULTI":
            self._queued = []
            return b"+OK\r\n"
        if args[0] == b"EXEC":
            queued, self._queued = self._queued or [], None
            return b"*%d\r\n" % len(queued) + b"".join(map(self._execute, queued))
        if self._queued is not None:
            self._queued.append(args)
            return b"+QUEUED\r\n"
        return self._execute(args)

    def _execute(self, args: list[bytes]) -> bytes:
        name, key = args[:2]
        before = self.values.get(key)
        if name == b"ECHO":
            return bulk(key)
        if name in (b"SET", b"GETSET"):
            self.values[key] = args[2]
        if name == b"SADD":
            return b":%d\r\n" % len(args)
        if name == b"SET":
            return b"+OK\r\n"
        return b"$-1\r\n" if before is None else bulk(before)


def _value(chance: random.Random) -> bytes:
    """A value that looks like requests and replies, also in parts."""
    looks_like = chance.choice((b"v", b"\r\n", b"+OK\r\n$1\r\nx\r\n", command(b"SET", b"m:a", b"bad")))
    size = chance.choice((0, 20, 60, 64, 500, 5000, 70_000)) + chance.randrange(3)
    return (looks_like * (size // len(looks_like) + 1))[:size]


def _requests(chance: random.Random) -> bytes:
    key, number = chance.choice(KEYS), b"%d" % chance.randrange(1000)
    large = command(b"SET", key, _value(chance))
    made = (
        large,
        large,
        command(b"SET", key, _value(chance), b"EX", b"60"),
        command(b"GETSET", key, _value(chance)),
        command(b"SADD", b"n:set", *(_value(chance) for _ in range(chance.randrange(1, 4)))),
        command(b"SADD", b"n:set", *[b"v" * chance.randrange(30)] * chance.choice((3, 100, 2000))),
        command(b"GET", key) * chance.choice((1, 1, 9)),
        command(b"ECHO", number),
        command(b"ECHO", number) * chance.choice((1, 200)),
        command(b"MULTI") + large + command(b"GET", key) + command(b"EXEC"),
    )
    return chance.choice(made)


def _reads(chance: random.Random, data: bytes) -> Iterator[bytes]:
    """The data in reads of one kind: as of a network, of a local client, or of any size."""
    sizes = chance.choice(((1448,), (4096, 4097), (65_536,), (262_144,), (1, 2, 30, 500, 5000, 70_000)))
    at = 0
    while at < len(data):
        size = chance.choice(sizes)
        yield data[at : at + size]
        at += size


@pytest.mark.parametrize("seed", range(effort.cases(160)))
def test_for_requests_of_no_rule_at_random(seed: int) -> None:
    chance = random.Random(seed)
    stream = b"".join(_requests(chance) for _ in range(chance.randrange(1, 12)))
    usual, redis = Model(), Model()
    expected = usual.takes(command(b"ECHO", b"x") + stream)
    played = Playbook(policy(limits=chance.choice(LIMITS))).sends(command(b"ECHO", b"x"))
    unread = _reads(chance, stream)
    replies, is_over = b"", False
    while not is_over:
        data = next(unread, b"") if played.session.wants_client else b""
        played.sends(data).takes_turns()
        replies, played.upstream = replies + redis.takes(played.upstream), b""
        is_over = not data and not replies
        if data and chance.random() < 0.5:
            continue
        for read in _reads(chance, replies):
            played.replies(read).takes_turns()
        replies = b""
    assert played.client == expected
    assert redis.values == usual.values
    assert (played.closed, played.session.pending, played.session.wants_client) == (None, 0, True)
