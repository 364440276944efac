"""Random conversations on a shared link and on a connection of its own: the client and Redis' memory see the same.

The shell is a small model: it has a trunk for each protocol, and pins the client when the session asks for it. Redis is
real.
"""

import random
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from proxy.resp import ReplyFramer
from proxy.resp.encode import command
from proxy.session import Effects, Gate, Opening, Shared
from tests import effort
from tests.conftest import RawRedis
from tests.session.fastpath.long_way import go_the_long_way
from tests.session.playbook import Playbook

NUMBER = 1_000_000_000
"""The id of the client on a shared link. No connection of the server has it."""
IDS = re.compile(rb"(\$2\r\nid\r\n):\d+")
SETUP = (Opening(command(b"SELECT", b"0"), "Redis refused the database of upstream.url"),)
WORDS = {
    "usual": """
        GET k|GET m:a|SET k V|SET m:a V|SET m:b V|INCR n|MGET k m:a m:b|DEL k n|MSET k V m:a V|EXISTS k m:a|PING|
        ECHO V|RPUSH list V|LPUSH m:a V|LRANGE list 0 -1|TYPE k|APPEND k V|GET|SET m:a bad|SET m:a V ?|GETRANGE k 0 1
    """,
    "answered": """
        HELLO|HELLO 2|HELLO 3|HELLO 3 SETNAME N|HELLO 2 SETNAME N|CLIENT SETNAME N|CLIENT GETNAME|CLIENT GETNAME|
        SELECT 0|RESET|CLIENT SETINFO LIB-NAME N|CLIENT SETINFO lib-ver N
    """,
    "logins": "AUTH p|AUTH wrong|HELLO 3 AUTH default p|HELLO 2 AUTH default wrong SETNAME N|HELLO AUTH|AUTH",
    "odd": """
        HELLO 4|HELLO x|HELLO 3 NOSUCH|HELLO 2 SETNAME|CLIENT SETNAME a~b|CLIENT SETNAME|CLIENT GETNAME x|SELECT x|
        RESET x|CLIENT|COMMAND COUNT x|CLIENT NOSUCH|NOSUCH k|NO!SUCH|SYNC|EVAL x 0|SHUTDOWN|CONFIG SET a b|
        CLIENT SETINFO NOSUCH N
    """,
    "pinning": """
        MULTI|EXEC|DISCARD|WATCH k|UNWATCH|BLPOP list 0.01|XREAD COUNT 1 STREAMS s 0|SUBSCRIBE c|UNSUBSCRIBE c|
        PSUBSCRIBE c|PUNSUBSCRIBE|SELECT 1|CLIENT REPLY SKIP|CLIENT REPLY OFF|CLIENT REPLY ON|CLIENT NO-EVICT ON|
        KEYS n*|SORT list ALPHA|FLUSHDB|WAIT 0 0|SADD set *|SADD set MANY|DEL MANY|MSET MANY|
        SET k *|SET m:a *|EVAL_RO x 0|CLIENT TRACKINGINFO
    """,
}
REQUESTS = {kind: [each.split() for each in text.replace("\n", "").split("|")] for kind, text in WORDS.items()}
WEIGHTS = {"usual": 30, "answered": 30, "logins": 6, "odd": 3, "pinning": 2}


def script(chance: random.Random) -> list[list[bytes]]:
    """Requests of one client. Some conversations pin early, and some never."""
    weights = WEIGHTS | chance.choice(({"pinning": 0, "odd": 0}, {"pinning": 10, "odd": 3}, {"pinning": 1, "odd": 3}))
    made = [[b"AUTH", b"p"]] * (chance.random() < 0.7)
    for _ in range(chance.randrange(5, 80)):
        (kind,) = chance.choices(list(weights), list(weights.values()))
        *words, last = chance.choice(REQUESTS[kind])
        words += ["@"] * 1100 if last == "MANY" else [last]
        made.append([_argument(chance, word) for word in words])
    return made + [[b"QUIT"]] * (chance.random() < 0.3)


def _argument(chance: random.Random, word: str) -> bytes:
    if word == "V":
        return chance.choice((b"5", b"tea", b"x" * 5000, b"x" * 70_000))
    if word == "N":
        return chance.choice([b"me", b"you", b""] * 20 + [b"x" * 300])
    if word == "@":
        return b"%d" % chance.randrange(5)
    if word == "*":
        return b"x" * 1_100_000
    return word.replace("~", " ").encode()


class Shell(Playbook):
    """A client's connection: carries out effects, with a real Redis at the other end."""

    def __init__(self, redis: RawRedis, chance: random.Random, gate: Gate | None, *, is_shared: bool) -> None:
        self._redis = redis
        self._chance = chance
        self._ends = ExitStack()
        self._requests = 0
        self.was_pinned = False
        self._link = self._dial(b"2" if is_shared else None)
        super().__init__(gate=gate, shared=self._shared if is_shared else None)

    def _dial(self, protocol: bytes | None) -> socket.socket:
        """A link. `protocol`: of a trunk, which has said HELLO; None: a link of the client's own."""
        link = self._ends.enter_context(closing(self._redis.connect()))
        if protocol is not None:
            self._shared = Shared(_asks(link, b"HELLO", protocol), _knows_setinfo(link), 0, NUMBER)
        return link

    def _take(self, effects: Effects) -> None:
        if self.session.is_shared:
            owed = self.session.owed
            before, self._requests = self._requests, owed.taken + owed.size
            assert whole(effects.upstream) == self._requests - before
        if effects.upstream:
            self._link.sendall(effects.upstream)
        self.client += effects.client
        self.conversions += effects.conversions
        self.lookups += effects.lookups
        self.wants_turn = effects.wants_turn
        if effects.close:
            self.closed = effects.close.reason
        relink = effects.relink
        if relink is not None and relink.pin:
            self._link, self.was_pinned = self._dial(None), True
            self._take(self.session.relinked(SETUP))
        elif relink is not None:
            self._link = self._dial(b"%d" % relink.protocol)
            self._take(self.session.relinked(greeting=self._shared.greeting))

    def says(self, requests: list[list[bytes]]) -> bytes:
        """All that the client gets for its requests."""
        with self._ends:
            while requests and not self.closed:
                count = before_login(requests, self._chance.randrange(1, 9))
                data, requests = b"".join(command(*args) for args in requests[:count]), requests[count:]
                for piece in pieces(self._chance, data):
                    self.sends(piece)
                    if self._chance.random() < 0.3:
                        self._hears()
                while not self.session.is_idle and not self.closed:
                    self._hears()
            return self.client

    def _hears(self) -> None:
        """Redis answers, and whatever the session waits for comes."""
        while (self.lookups or self.conversions or self.wants_turn) and not self.closed:
            if self.lookups:
                self.lookups.clear()
                self.finds_nothing()
            self.converts().takes_turns()
        if self.session.pending and not self.closed:
            data = self._link.recv(1 << 16)
            assert data
            for piece in pieces(self._chance, data):
                if not self.closed:
                    self.replies(piece)


def before_login(requests: list[list[bytes]], most: int) -> int:
    """The number of requests that are sent at once. What a gate answers depends on the replies that have come."""
    return next((at for at, args in enumerate(requests[:most]) if at and b"AUTH" in args), most)


def whole(data: bytes) -> int:
    """The number of requests in `data`, which are whole: they look like replies."""
    framer = ReplyFramer()
    framer.feed(data)
    number = 0
    while framer.kind():
        assert framer.forward([])
        number += 1
    return number


def pieces(chance: random.Random, data: bytes) -> Iterator[bytes]:
    ends = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
    for start, stop in zip([0, *ends], [*ends, len(data)], strict=True):
        yield data[start:stop]


def _asks(link: socket.socket, *args: bytes) -> bytes:
    link.sendall(command(*args))
    framer, out = ReplyFramer(), []
    while not framer.forward(out) if framer.buffered else True:
        framer.feed(link.recv(1 << 16))
    return b"".join(out)


def _knows_setinfo(link: socket.socket) -> bool:
    return b"unknown subcommand" not in _asks(link, b"CLIENT", b"SETINFO", b"LIB-NAME", b"proxy").lower()


def _memory(redis: RawRedis) -> bytes:
    """All that is in both databases."""
    databases = b"".join(
        command(b"SELECT", number)
        + b"".join(command(b"DUMP", key) for key in (b"k", b"n", b"list", b"set", b"m:a", b"m:b"))
        for number in (b"0", b"1")
    )
    return redis.exchange(databases)


def _outcome(
    redis: RawRedis, seed: int, gate: Gate | None, *, is_shared: bool
) -> tuple[bytes, str | None, bytes, bool]:
    redis.exchange(command(b"FLUSHALL"))
    requests = script(random.Random(seed))
    shell = Shell(redis, random.Random(seed + is_shared), gate, is_shared=is_shared)
    said = IDS.sub(rb"\1:0", shell.says(requests))
    return said, shell.closed, _memory(redis), shell.was_pinned


GATES: dict[str, Callable[[], Gate | None]] = {
    "no gate": lambda: None,
    "an open gate": lambda: Gate(None),
    "a gate": lambda: Gate([b"p"]),
}


@pytest.mark.usefixtures("each_server")
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("seed", range(effort.cases(160)))
def test_nobody_sees_that_a_link_is_shared(seed: int, gate: str, redis_raw: RawRedis) -> None:
    own = _outcome(redis_raw, seed, GATES[gate](), is_shared=False)
    shared = _outcome(redis_raw, seed, GATES[gate](), is_shared=True)
    assert shared[:3] == own[:3]


@pytest.mark.parametrize("seed", range(effort.cases(200)))
def test_shortcuts_change_nothing(seed: int, redis_raw: RawRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    short = _outcome(redis_raw, seed, Gate(None), is_shared=True)
    go_the_long_way(monkeypatch)
    assert _outcome(redis_raw, seed, Gate(None), is_shared=True) == short


def test_some_conversations_pin_and_some_do_not(redis_raw: RawRedis) -> None:
    pinned = [_outcome(redis_raw, seed, Gate(None), is_shared=True)[3] for seed in range(40)]
    assert min(pinned.count(True), pinned.count(False)) >= 5
