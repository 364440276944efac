"""Both framers on the same stream, cut alike and asked alike: the same answers, byte for byte, or the same error."""

import random
from collections.abc import Callable
from operator import attrgetter, methodcaller
from typing import Any

from proxy import _native
from proxy.resp import FramingError, reply_framer
from tests.native import CASES, SEED
from tests.resp.streams import one_by_one, pieces
from tests.resp.test_reply_framer import MALFORMED, VALUES

_ASKED: list[Callable[[Any], object]] = [
    methodcaller("kind"),
    methodcaller("length"),
    methodcaller("first_bulk", 5),
    methodcaller("first_bulk", 100),
    methodcaller("short_line", 8),
    methodcaller("short_line", 9),
    methodcaller("short_line", 512),
    methodcaller("line"),
    methodcaller("enter"),
    methodcaller("bulk"),
    methodcaller("let_go"),
    attrgetter("buffered"),
    attrgetter("forwarding"),
]
_SCRAPS = (b"", b"\r", b"\n", b"\r\n", b"$", b"*", b">", b"|", b"9" * 20, b"-1", b"\0", b"\xff", b"+" + b"x" * 70_000)
_FLASK = (b"$5\r\n!\x80\x04N.\r\n", b"$3\r\n!N.\r\n", b"$9\r\n!I01\n.xx.\r\n", b"$2\r\n!\x80\r\n", b"$1\r\n!\r\n")
"""Values of Flask, and values that nearly are."""


def _forwarded(framer: Any) -> object:
    out: list[bytes] = []
    return framer.forward(out), out


def _answer(framer: Any, ask: Callable[[Any], object]) -> object:
    try:
        return ask(framer)
    except FramingError as error:
        return str(error)


def _same(chunks: list[bytes], rng: random.Random) -> None:
    framers = reply_framer.ReplyFramer(), _native.ReplyFramer()
    for chunk in chunks:
        for framer in framers:
            framer.feed(chunk)
        # What is asked out of place may take a value apart; then it is the stream that is malformed.
        for ask in rng.choices([*_ASKED, *[_forwarded] * 8], k=rng.randint(0, 3)):
            wanted, got = (_answer(framer, ask) for framer in framers)
            assert got == wanted, (chunks, ask)
            if type(wanted) is str:
                return
    while framers[0].buffered:
        wanted, got = (_answer(framer, _forwarded) for framer in framers)
        assert got == wanted, chunks
        if type(wanted) is str or not wanted[0]:  # type: ignore[index]
            return


def test_streams_at_random() -> None:
    values = [*VALUES.values(), *VALUES.values(), *_FLASK, *MALFORMED.values()]
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        stream = b"".join(rng.choices(values, k=rng.randint(1, 5)))
        for _ in range(rng.choice((0, 0, 1, 2))):
            at = rng.randrange(len(stream) + 1)
            stream = stream[:at] + rng.choice(_SCRAPS) + stream[at + rng.randint(0, 2) :]
        cuts = [rng.randrange(len(stream) + 1) for _ in range(rng.choice((0, 1, 3, 10)))]
        by_byte = len(stream) < 300 and rng.random() < 0.2
        _same(list(one_by_one(stream) if by_byte else pieces(stream, cuts)), rng)


def test_numbers_of_any_length() -> None:
    for digits in ("9" * 17, "9" * 18, "9" * 19, "9" * 40, "0" * 61, "18446744073709551616"):
        for kind in "$*%":
            framers = reply_framer.ReplyFramer(), _native.ReplyFramer()
            for framer in framers:
                framer.feed(f"{kind}{digits}\r\n:1\r\n".encode())
            for ask in (methodcaller("length"), methodcaller("first_bulk", 9), methodcaller("bulk"), _forwarded):
                wanted, got = (_answer(framer, ask) for framer in framers)
                assert got == wanted
