"""Encoding: requests in canonical RESP, and the proxy's own replies."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import hiredis

pack: Final[Callable[[tuple[bytes, ...]], bytes]] = hiredis.pack_command  # type: ignore[assignment]  # its type stub is wrong
"""Like `small_command`, without a Python call: for the hot path."""
NULL_RESP2: Final = b"$-1\r\n"
NULL_RESP3: Final = b"_\r\n"

_LARGE: Final = 64 * 1024
"""A request of more bytes is encoded with less memory, but more slowly."""
_LARGE_ARGUMENTS: Final = 256
"""Arguments of fewer bytes on average take too long the slow way."""
_PIECE: Final = 64 * 1024
"""The approximate size of a piece of a request, in bytes."""
_OVERHEAD: Final = 64
"""The cost of each argument in a piece, in bytes that take the same time."""
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


def error(text: str) -> bytes:
    """An error reply. `text` begins with the error code (`ERR ...`). Its line breaks become spaces.

    Bytes that are not UTF-8 may be in it as surrogates (PEP 383).
    """
    return b"-" + text.encode("utf-8", "surrogateescape").translate(_LINE_BREAKS) + b"\r\n"


def bulk(payload: bytes) -> bytes:
    """A bulk string reply."""
    return b"$%d\r\n%b\r\n" % (len(payload), payload)


def command(*args: bytes) -> bytes:
    """A request in canonical RESP: an array of bulk strings."""
    size = sum(map(len, args))
    if size > _LARGE and size > _LARGE_ARGUMENTS * len(args):
        return _large_command(args)
    return small_command(args)


def small_command(args: Sequence[bytes]) -> bytes:
    """Like `command`, for a request that is known to be small."""
    return pack(tuple(args))


def header(count: int) -> bytes:
    """The header of an array."""
    return b"*%d\r\n" % count


def arguments(*args: bytes) -> bytes:
    """Bulk strings without the header of their array: a part of a request."""
    return b"".join(map(bulk, args))


def pieces(count: int, args: Iterable[bytes]) -> Iterator[bytes]:
    """A request of `count` arguments in canonical RESP, in pieces that each take little time."""
    piece, size = [b"*%d\r\n" % count], 0
    for number, arg in enumerate(args, 1):
        piece += (b"$%d\r\n" % len(arg), arg, b"\r\n")
        size += len(arg) + _OVERHEAD
        if size >= _PIECE and number < count:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)


def _large_command(args: Sequence[bytes]) -> bytes:
    """Like `small_command`, but slower and with less memory: hiredis needs three times the size of its result."""
    pieces = [b"*%d\r\n" % len(args)]
    for arg in args:
        pieces += (b"$%d\r\n" % len(arg), arg, b"\r\n")
    return b"".join(pieces)
