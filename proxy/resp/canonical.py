"""Checks of a client's bytes, before and after hiredis parses them.

hiredis allocates memory for any declared size. It also accepts more than Redis: any two bytes as a CRLF, or `+3` as a
length. If Redis read the same bytes differently, a client could smuggle a command past the proxy's rules. Both read
canonical encodings alike. So commands count only if their bytes equal their own canonical encoding. The native engine
has its own version of each function.
"""

import re
from contextlib import suppress
from itertools import accumulate, islice
from typing import Any, Final

import hiredis

# Neither pattern may require a CRLF before a header: hiredis accepts any two bytes after a bulk string.
_OTHER_AGGREGATE = re.compile(rb"[%~>|]-?[0-9]{1,19}\r\n")
_LARGE_COUNT = re.compile(rb"\*([0-9]{3,9})")
ARRAY_HEADER: Final = re.compile(rb"\*([1-9][0-9]{0,8})\r\n")
BULK_HEADER: Final = re.compile(rb"\$(0|[1-9][0-9]{0,8})\r\n")
"""Headers in canonical form, with numbers of at most nine digits."""
_CUT_ARRAY_HEADER = re.compile(rb"\*([1-9][0-9]{0,8}\r?)?")
_CUT_BULK_HEADER = re.compile(rb"(\$((0|[1-9][0-9]{0,8})\r?)?)?")

_LARGE: Final = 16 * 1024
_FEW: Final = 8
"""Arguments of a large read that are looked at before hiredis has it."""
_NOT_ENOUGH: Final = object()
_SMALLEST_ARGUMENT: Final = len(b"$0\r\n\r\n")

_OTHER_TYPES: Final = (b"%", b"~", b">", b"|")
# Maps each type byte to `~` and each digit to `0`. Searches for these find most chunks harmless in a fifth of the time
# of the pattern, which has no first byte to look for.
_SHAPE: Final = bytes.maketrans(b"%~>|-0123456789", b"~~~~00000000000")
_SHAPED_AGGREGATE = re.compile(rb"~00*\r\n")

_pack: Final[Any] = hiredis.pack_command  # its type stub wrongly has a tuple of one element


def harmless_bytes(data: bytes) -> int:
    """The number of bytes of `data` that hiredis may parse: all or 0. The native engine may return whole commands."""
    return 0 if (len(data) > _LARGE and _is_cut(data)) or not _is_harmless(data) else len(data)


def _is_cut(data: bytes) -> bool:
    """True if the first command is not complete, as its first arguments show. hiredis would parse it in vain."""
    header = ARRAY_HEADER.match(data)
    if header is None:
        return False
    end, left = header.end(), min(int(header[1]), _FEW)
    while left and end <= len(data) and (bulk := BULK_HEADER.match(data, end)):
        end = bulk.end() + int(bulk[1]) + 2
        left -= 1
    return end > len(data)


def _is_harmless(data: bytes) -> bool:
    """True if hiredis cannot allocate much more than `data` itself, wherever in `data` it finds headers.

    It allocates the declared size of each array at once, and accepts 1,024 nested arrays.
    """
    # Searching for single bytes is very fast, and most chunks contain no byte of these types.
    if max(map(data.find, _OTHER_TYPES)) >= 0:
        shape = data.translate(_SHAPE)
        if b"~0" in shape and _SHAPED_AGGREGATE.search(shape) and _OTHER_AGGREGATE.search(data):
            return False
    if not _LARGE_COUNT.search(data):
        return True
    return sum(map(int, _LARGE_COUNT.findall(data))) * _SMALLEST_ARGUMENT <= len(data)


def canonical_ends(commands: list[list[bytes]], data: bytes, start: int) -> list[int] | None:
    """The end of each command in `data`, if `data` has their canonical encodings from `start` on. Otherwise None.

    Raises TypeError if an element is not a valid argument.
    """
    encoded = list(map(_pack, map(tuple, commands)))
    if not data.startswith(b"".join(encoded), start):
        return None
    return list(accumulate(map(len, encoded), initial=start))[1:]


def count_commands(data: bytes) -> int:
    """The number of canonical commands in `data`, if it has nothing else; else -1."""
    count = end = 0
    while header := ARRAY_HEADER.match(data, end):
        end = header.end()
        for _ in range(int(header[1])):
            bulk = BULK_HEADER.match(data, end)
            if bulk is None:
                return -1
            end = bulk.end() + int(bulk[1]) + 2
            if data[end - 2 : end] != b"\r\n":
                return -1
        count += 1
    return count if end == len(data) else -1


def whole_bulks(data: bytes, most: int, room: int) -> tuple[int, int, bool]:
    """Count the complete canonical bulk strings at the head of `data`: at most `most`, within `room` bytes.

    Returns their number, the end of the last one, and whether a valid beginning of another one follows.
    """
    count, end = _bulks_at_once(data, most, room) or _bulks_one_by_one(data, most, min(room, len(data)))
    return count, end, count < most and _begins_bulk(data, end, room)


def _bulks_at_once(data: bytes, most: int, room: int) -> tuple[int, int] | None:
    """The fast way: None unless all of `data` is valid, except for a cut end."""
    if not _is_harmless(data):
        return None
    with suppress(Exception):  # hiredis reads something other than strings
        reader = hiredis.Reader(notEnoughData=_NOT_ENOUGH)
        reader.feed(data)
        bulks = [*islice(iter(reader.gets, _NOT_ENOUGH), most)]
        _, _, encoded = _pack(tuple(bulks)).partition(b"\r\n")
        if len(encoded) <= room and data.startswith(encoded):
            return len(bulks), len(encoded)
    return None


def _bulks_one_by_one(data: bytes, most: int, room: int) -> tuple[int, int]:
    """The slow way, which stops at the first invalid bulk string."""
    count = end = 0
    while count < most and (header := BULK_HEADER.match(data, end)):
        stop = header.end() + int(header[1]) + 2
        if stop > room or data[stop - 2 : stop] != b"\r\n":
            break
        count, end = count + 1, stop
    return count, end


def _begins_bulk(data: bytes, start: int, room: int) -> bool:
    header = BULK_HEADER.match(data, start)
    if header is None:
        return len(data) <= room and _CUT_BULK_HEADER.fullmatch(data, start) is not None
    return len(data) < header.end() + int(header[1]) + 2 <= room


def begins_command(data: bytes, arguments: int, room: int) -> bool:
    """True if `data` is the valid beginning of a canonical command that is incomplete and within the limits so far.

    `arguments`: the limit for its arguments. `room`: the limit for its declared bytes.
    """
    header = ARRAY_HEADER.match(data)
    if header is None:
        return _CUT_ARRAY_HEADER.fullmatch(data) is not None
    count, rest = int(header[1]), data[header.end() :]
    taken, end = _bulks_one_by_one(rest, count, len(rest))
    return taken < count <= arguments and _begins_bulk(rest, end, max(0, room - header.end()))
