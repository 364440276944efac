"""Random payloads, and how to break them."""

import json
import random
from collections.abc import Callable
from typing import Any

import msgpack

_KEYS = [
    *("id", "name", "a", "", "é", "Ā", "price", "py/x", "日本", "x" * 40, "q" * 260),
    *("py/tuple", "py/int", "py/set", "py/bytes", "py/float", "py/datetime", "py/dict", "py/uuid"),
    *(f"k{number}" for number in range(14)),
]
_TEXTS = [
    *("", "ab", "id", "name", "\n\t", '"q"', "\\", "py/", "日本語", "\U0001f600", "\x7f\0", "é!"),
    *("x" * 255, "x" * 256, "x" * 257, "nan", "12", "aGk=", "2024-05-06T07:08:09", "1.50"),
]
_BITS = (8, 16, 31, 32, 33, 63)


def _float(rng: random.Random) -> float:
    return rng.choice((0.0, -0.0, 1.5, 1e16, 5e-324, 1e308, rng.random() * 10.0 ** rng.randint(-20, 20)))


def _int(rng: random.Random) -> int:
    return rng.choice((1, -1)) * rng.choice((rng.randint(0, 300), rng.getrandbits(rng.choice(_BITS))))


def tree(rng: random.Random, binary: bool, depth: int = 0) -> Any:
    """A random tree; `binary`: of what msgpack has."""
    kind = rng.random()
    if depth < 4 and kind < 0.25:
        return [tree(rng, binary, depth + 1) for _ in range(rng.choice((0, 1, 2, 3, 8)))]
    if depth < 4 and kind < 0.5:
        return {rng.choice(_KEYS): tree(rng, binary, depth + 1) for _ in range(rng.choice((0, 1, 1, 2, 5, 14, 25)))}
    rare: Callable[[], Any] = (
        (lambda: rng.choice((b"", b"ab", b"\xff" * 300, 2**64 - 1)))
        if binary
        else (lambda: rng.choice((1, -1)) * (10 ** rng.choice((18, 19, 20, 300, 4298)) + 7))
    )
    return rng.choice(
        (
            lambda: rng.choice(_TEXTS),
            lambda: rng.choice((None, True, False)),
            lambda: _int(rng),
            lambda: _float(rng),
            lambda: f"v{rng.randint(0, 20)}",
            rare,
        )
    )()


def packed(rng: random.Random, payload: str) -> bytes:
    """A random payload."""
    value = tree(rng, payload == "msgpack")
    if payload == "msgpack":
        raw: bytes = msgpack.packb(value)
        return raw
    spaces = rng.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:\r")))
    return json.dumps(value, ensure_ascii=rng.random() < 0.3, separators=spaces).encode()


_SCRAPS = [
    *(b"\\ud83d\\ude00", b"\\ud800", b"\\u00e9", b"\\/", b"1e5", b"-0", b"1.0E+2", b'"a":1,', b"null", b" ", b'"'),
    *(b"\xef\xbb\xbf", b"0" * 20, b"9" * 30, b"[" * 8, b"]", b"{", b"}", b",", b":", b"1e999", b"\xca\x7f\xc0\0\0"),
    *(b"\x81\xa1a\x01", b"\x82\xa1a\x01\xa1a\x02", b"\x81\x01\x02", b"\xc4\x01a", b"\xd6\xff\0\0\0\1", b"\xdd\xff\xff"),
]


def broken(rng: random.Random, payload: bytes) -> bytes:
    """The payload with a few bytes changed, taken out, repeated or put in; or as it is."""
    raw = bytearray(payload)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        at = rng.randrange(len(raw) + 1)
        what = rng.random()
        if what < 0.4 and at < len(raw):
            raw[at] = rng.choice(b'{}[],:"\\0123456789.eE+- \n\tu/\x00\x1f\x7f\xff\x80\xc3\x90\x81\xa1\xc4\xd9\xc7')
        elif what < 0.6:
            del raw[at : at + rng.randint(1, 4)]
        elif what < 0.8:
            raw[at:at] = raw[at : at + rng.randint(1, 10)]
        else:
            raw[at:at] = rng.choice(_SCRAPS)
    return bytes(raw)
