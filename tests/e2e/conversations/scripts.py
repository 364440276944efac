"""Scripts of conversations, the ways to cut them, and the comparable parts of their replies.

A script is a list of steps. Bytes are sent. `Until` reads until a pattern. `Aside` lets another client act directly on
Redis. `Blocked` waits until Redis blocks a client of the test. `Answered` waits for replies that Redis could lose.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import redis

from tests.e2e.proxy_process import Address, wait_until
from tests.e2e.wire import Wire, pipeline

Cut = Callable[[bytes], Iterable[bytes]]


@dataclass(frozen=True)
class Until:
    """Read until this matches."""

    pattern: bytes


@dataclass(frozen=True)
class Aside:
    """A line of words that another client sends to Redis itself."""

    line: str


@dataclass(frozen=True)
class Blocked:
    """Wait until a client of Redis is blocked."""


@dataclass(frozen=True)
class Answered:
    """Read so many replies: Redis itself, from 7.2 on, does not answer a login that fails behind others.

    Through the proxy it is answered (redis/redis#15640), and nothing needs to be waited for.
    """

    count: int


Step = bytes | Until | Aside | Blocked | Answered


def lines(text: str) -> bytes:
    """Commands, written as words between bars."""
    return pipeline(*text.split("|"))


_LOGIN = re.compile("AUTH|HELLO .*AUTH")


def logins(text: str, hello: bytes = b"") -> list[Step]:
    """As `hello` and `lines`, of commands with one reply each: what comes before a login is answered first."""
    steps: list[Step] = []
    before, count = hello, 1 if hello else 0
    for line in text.split("|"):
        if _LOGIN.match(line):
            steps += [before, Answered(count)]
            before, count = b"", 0
        before += pipeline(line)
        count += 1
    return [*steps, before]


def pipelined(script: Sequence[Step]) -> list[Step]:
    """A script for the proxy: what only Redis itself needs is not waited for."""
    steps: list[Step] = []
    for step in script:
        if isinstance(step, bytes) and steps and isinstance(steps[-1], bytes):
            steps[-1] += step
        elif not isinstance(step, Answered):
            steps.append(step)
    return steps


def whole(data: bytes) -> list[bytes]:
    """In one piece."""
    return [data]


_EDGE = 300
_INLINE_END = 64 * 1024
"""Where Redis and the proxy give up on a line."""


def byte_by_byte(data: bytes) -> list[bytes]:
    """In as many pieces as can be. A long script has its middle in larger ones, away from where a line is too long."""
    chunks, at = [], 0
    while at < len(data):
        at_edge = at < _EDGE or at >= len(data) - _EDGE or abs(at - _INLINE_END) < _EDGE
        size = 1 if at_edge else min(61, len(data) - _EDGE - at)
        chunks.append(data[at : at + size])
        at += size
    return chunks


def random_chunks(data: bytes) -> list[bytes]:
    """In pieces of all sizes, always the same ones for the same length."""
    chance = random.Random(len(data))
    chunks, at = [], 0
    while at < len(data):
        size = chance.choice((1, 2, 3, 7, 20, 100))
        chunks.append(data[at : at + size])
        at += size
    return chunks


_IDENTITY = re.compile(rb"(\$2\r\nid\r\n):\d+")
_MONITORED = re.compile(rb"\+\d+\.\d+ \[(\d+) [^\]]+\]")
_OWN_FIELDS = b"""
    id addr laddr fd age idle qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events io-thread tot-net-in
    tot-net-out tot-cmds
""".split()
_OWN_FIELD = re.compile(rb"\b(" + b"|".join(_OWN_FIELDS) + rb")=\S*")
_CLIENT_LINE = re.compile(rb"[$=]\d+\r\n(txt:)?(id=\d+ addr=[^\r]*)")


def comparable(data: bytes) -> bytes:
    """`data` without what no two connections share: HELLO's id, MONITOR's prefixes, fields of CLIENT LIST.

    And with Redis 7.0's refusal of a HELLO without a password in the words of later ones, as ours are.
    """
    data = data.replace(b"otherwise the HELLO AUTH <user>", b"otherwise the HELLO <proto> AUTH <user>")
    data = _CLIENT_LINE.sub(lambda found: _OWN_FIELD.sub(rb"\1=", found[2]), data)
    return _MONITORED.sub(rb"+TIME [\1 FROM]", _IDENTITY.sub(rb"\1:ID", data))


def converse(
    address: Address, script: Sequence[Step], end: bytes, cut: Cut = whole, aside: redis.Redis | None = None
) -> bytes:
    """Play a script and then `end`; all that comes until the other side closes. `aside` is the other client."""
    came = b""
    with Wire(address) as wire:
        for step in script:
            if isinstance(step, bytes):
                wire.send(step, cut)
            elif isinstance(step, Until):
                came += wire.until(step.pattern)
            elif isinstance(step, Answered):
                came += wire.replies(step.count)
            else:
                assert aside is not None
                _act(aside, step)
        with suppress(BrokenPipeError, ConnectionResetError):  # the script itself may have brought the end
            wire.send(end, cut)
        return came + wire.until_closed()


def _act(aside: redis.Redis, step: Aside | Blocked) -> None:
    if isinstance(step, Aside):
        aside.execute_command(*step.line.split())
    else:
        wait_until(lambda: aside.info("clients")["blocked_clients"], "a blocked client")
