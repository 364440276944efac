"""Replies of our own, as bytes."""

from collections.abc import Callable, Sequence
from typing import Final

import hiredis

from proxy import engine

_pack: Final[Callable[[tuple[bytes, ...]], bytes]] = hiredis.pack_command  # type: ignore[assignment]  # its stub errs
NULL_RESP2: Final = b"$-1\r\n"
NULL_RESP3: Final = b"_\r\n"

_LARGE: Final = 64 * 1024
"""Bytes of a request from which on memory matters more than time."""
_LARGE_ARGUMENTS: Final = 256
"""Bytes of an argument, on average, below which it is their number that takes the time."""
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


def error(text: str) -> bytes:
    """An error reply; `text` begins with the code (`ERR ...`). Line breaks in it become spaces.

    Bytes that are not UTF-8 may stand in it as surrogates (PEP 383).
    """
    return b"-" + text.encode("utf-8", "surrogateescape").translate(_LINE_BREAKS) + b"\r\n"


def bulk(payload: bytes) -> bytes:
    """A bulk string reply."""
    return b"$%d\r\n%b\r\n" % (len(payload), payload)


def bulks(payloads: list[bytes]) -> bytes:
    """Those of many, one behind the other."""
    if engine.NATIVE is None:
        return b"".join(map(bulk, payloads))
    joined: bytes = engine.NATIVE.bulks(payloads)
    return joined


def command(*args: bytes) -> bytes:
    """A request in canonical RESP: an array of bulk strings."""
    size = sum(map(len, args))
    if size > _LARGE and size > _LARGE_ARGUMENTS * len(args):
        return _large_command(args)
    return small_command(args)


def small_command(args: Sequence[bytes]) -> bytes:
    """The same, for what is known to be small."""
    return _pack(tuple(args))


def small_commands(requests: list[list[bytes]]) -> bytes:
    """Many of these, one behind the other."""
    if engine.NATIVE is None:
        return b"".join(map(small_command, requests))
    joined: bytes = engine.NATIVE.commands(requests)
    return joined


def _large_command(args: Sequence[bytes]) -> bytes:
    """The same; slower for small ones, but hiredis takes three times the memory of what it makes."""
    pieces = [b"*%d\r\n" % len(args)]
    for arg in args:
        pieces += (b"$%d\r\n" % len(arg), arg, b"\r\n")
    return b"".join(pieces)
