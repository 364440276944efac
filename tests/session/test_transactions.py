"""Random conversations with MULTI: replies equal those of a model of Redis that refuses the same commands itself."""

import random

import pytest

from proxy.policy import SessionLimits
from proxy.resp import RequestLimits, RequestParser
from proxy.resp.encode import command
from tests import effort
from tests.session.playbook import Playbook, policy

BAD = command(b"SET", b"m:a", b"bad")
REFUSED = b"-ERR flask-cache-proxy: a bad payload; nothing was stored\r\n"
ASKED = (
    command(b"MULTI"),
    command(b"EXEC"),
    command(b"DISCARD"),
    command(b"PING"),
    command(b"SET", b"other", b"v"),
    BAD,
    BAD,
    command(b"GET"),
)
SILENCE = (command(b"CLIENT", b"REPLY", b"SKIP"), command(b"CLIENT", b"REPLY", b"OFF"), command(b"RESET"))


class Redis:
    """The part of Redis that these tests need. `stored` counts the SETs that it has executed."""

    def __init__(self) -> None:
        self._queued: list[bytes] | None = None
        self._is_dirty = False
        self._silence = b"ON"
        self.stored = 0

    def answers(self, raw: bytes) -> bytes:
        """Its reply; b"": it sends no reply."""
        silence, self._silence = self._silence, b"ON" if self._silence == b"SKIP" else self._silence
        reply = REFUSED if raw == BAD else self._reply(raw)
        self._is_dirty |= raw == BAD
        return b"" if silence == b"SKIP" or self._silence == b"OFF" else reply

    def _reply(self, raw: bytes) -> bytes:
        parser = RequestParser(RequestLimits())
        parser.feed(raw)
        request = parser.next()
        assert request is not None
        match [*request.args]:
            case [b"MULTI"] if self._queued is None:
                self._queued, self._is_dirty = [], False
                return b"+OK\r\n"
            case [b"MULTI"]:
                return b"-ERR MULTI calls can not be nested\r\n"
            case [b"EXEC" | b"DISCARD" as name] if self._queued is None:
                return b"-ERR %b without MULTI\r\n" % name
            case [b"DISCARD"]:
                self._queued = None
                return b"+OK\r\n"
            case [b"EXEC"]:
                queued, self._queued = self._queued, None
                if self._is_dirty or queued is None:
                    return b"-EXECABORT Transaction discarded because of previous errors.\r\n"
                return b"*%d\r\n" % len(queued) + b"".join(map(self._reply, queued))
            case [b"GET"]:
                self._is_dirty = True
                return b"-ERR wrong number of arguments for 'get' command\r\n"
            case [b"RESET"]:
                self._queued, self._silence = None, b"ON"
                return b"+RESET\r\n"
            case [b"CLIENT", b"REPLY", mode] if self._queued is None:
                return self._set_silence(mode)
        if self._queued is not None:
            self._queued.append(raw)
            return b"+QUEUED\r\n"
        self.stored += request.args[0] == b"SET"
        return b"+PONG\r\n" if request.args[0] == b"PING" else b"+OK\r\n"

    def _set_silence(self, mode: bytes) -> bytes:
        self._silence = b"OFF" if self._silence == b"OFF" and mode == b"SKIP" else mode
        return b"+OK\r\n" if mode == b"ON" else b""


def commands(data: bytes) -> list[bytes]:
    parser = RequestParser(RequestLimits())
    parser.feed(data)
    found = []
    while (request := parser.next()) is not None:
        found.append(request.raw)
    return found


@pytest.mark.parametrize("seed", range(effort.cases(150)))
def test_a_refusal_means_what_an_error_of_redis_means(seed: int) -> None:
    chance = random.Random(seed)
    played = Playbook(policy(limits=SessionLimits(turn_steps=chance.choice((15, 1000)))))
    behind, straight = Redis(), Redis()
    expected, waiting = b"", b""
    for _ in range(chance.randrange(1, 50)):
        asked = chance.choices(ASKED, k=chance.choice((1, 1, 4)))
        if straight._queued is None and chance.random() < 0.1:
            asked = [chance.choice(SILENCE)]
        expected += b"".join(map(straight.answers, asked))
        played.sends(bytes(bytearray().join(asked))).takes_turns()  # a new object, as each read is
        while chance.random() < 0.6 and played.upstream:
            waiting, played.upstream = waiting + b"".join(map(behind.answers, commands(played.upstream))), b""
            cut = chance.randrange(len(waiting) + 1)
            played.replies(waiting[:cut]).takes_turns()
            waiting = waiting[cut:]
        assert expected.startswith(played.client)
    while played.upstream or waiting:
        waiting, played.upstream = waiting + b"".join(map(behind.answers, commands(played.upstream))), b""
        played.replies(waiting).takes_turns()
        waiting = b""
    played.to_client(expected)
    assert behind.stored == straight.stored
    assert played.session.is_idle
