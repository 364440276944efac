"""Scripts of conversations, the ways to cut them, and what of their replies can be compared.

A script is a list of steps: bytes are sent; `Until` reads until a pattern; `Aside` has another client act on Redis
itself; `Blocked` waits until Redis holds a client of ours.
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


Step = bytes | Until | Aside | Blocked


def lines(text: str) -> bytes:
    """Commands, written as words between bars."""
    return pipeline(*text.split("|"))


def whole(data: bytes) -> list[bytes]:
    """In one piece."""
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    """In as many as can be."""
    return [data[at : at + 1] for at in range(len(data))]


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
_OWN_FIELDS = b"id addr laddr fd age idle qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem tot-mem events".split()
_OWN_FIELD = re.compile(rb"\b(" + b"|".join(_OWN_FIELDS) + rb")=\S*")
_CLIENT_LINE = re.compile(rb"[$=]\d+\r\n(txt:)?(id=\d+ addr=[^\r]*)")


def comparable(data: bytes) -> bytes:
    """`data` without what no two connections share: HELLO's id, MONITOR's prefixes, fields of CLIENT LIST."""
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
