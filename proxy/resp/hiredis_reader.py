"""The fast reader of requests: hiredis, with a check before and after it.

hiredis allocates any declared size, and reads some bytes differently from Redis. So `canonical` first checks that the
bytes are harmless. Afterwards it checks that every command equals its own canonical encoding. hiredis keeps no bytes
between two calls.
"""

from itertools import repeat
from typing import Any, Final

import hiredis

from proxy.engine import ENGINE
from proxy.resp import canonical
from proxy.resp.encode import command, pack
from proxy.resp.limits import RequestLimits
from proxy.resp.request import Request, new_request

harmless_bytes: Final = ENGINE.of("harmless_bytes", canonical.harmless_bytes)
canonical_ends: Final = ENGINE.of("canonical_ends", canonical.canonical_ends)
whole_bulks: Final = ENGINE.of("whole_bulks", canonical.whole_bulks)
begins_command: Final = ENGINE.of("begins_command", canonical.begins_command)

SLICE: Final = 16 * 1024
"""Bytes that hiredis gets at once. For every kilobyte that it returns, it moves all its remaining bytes."""

_USUAL: Final = 1024
"""Most arguments have fewer bytes. It limits the bytes that are copied to read a few arguments."""

NOT_ENOUGH: Final = object()
"""A reader returns it if there is no whole command."""

_EMPTY_STATUS: Final = b"+\r\n"

_readers: Final[list[Any]] = []
"""Empty hiredis readers, to be used again for any client. At most one for each thread."""


def new_reader() -> Any:
    """A reader without bytes."""
    return hiredis.Reader(notEnoughData=NOT_ENOUGH)


def read_commands(data: bytes, limits: RequestLimits, requests: list[Request]) -> int:
    """Append the complete commands at the head of `data` to `requests`. Returns the number of their bytes.

    It stops before the first slice with invalid bytes or a command over a limit.
    """
    end = harmless_bytes(data) if data.startswith(b"*") else 0
    if not end:
        return 0
    may_be_long = len(data) > limits.request_bytes or len(data) > limits.arguments
    reader = _readers.pop() if _readers else new_reader()
    pos = 0
    try:
        for start in range(0, end, SLICE):
            reader.feed(data, start, min(SLICE, end - start))
            commands: list[list[bytes]] = [*iter(reader.gets, NOT_ENOUGH)]
            stops = canonical_ends(commands, data, pos)
            if stops is None or not all(commands) or (may_be_long and not _are_within(limits, commands)):
                return pos
            if len(commands) == 1:  # the usual case without pipelining
                requests.append(new_request((commands[0], data, pos, stops[0])))
            else:
                requests += map(new_request, zip(commands, repeat(data), [pos, *stops], stops, strict=False))
            pos = stops[-1] if stops else pos
    except Exception:
        # hiredis found something other than arrays of strings. The strict reader finds the error.
        return pos
    if pos == end:  # the reader is empty
        _readers.append(reader)
    return pos


def whole_commands(data: bytes) -> list[list[bytes]]:
    """The arguments of the complete commands at the head of `data`. None of them is proven."""
    end = harmless_bytes(data) if data.startswith(b"*") else 0
    if not end:
        return []
    reader = _readers.pop() if _readers else new_reader()
    commands: list[list[bytes]] = []
    try:
        for start in range(0, end, SLICE):
            reader.feed(data, start, min(SLICE, end - start))
            commands += iter(reader.gets, NOT_ENOUGH)
    except Exception:  # the strict reader finds the error
        return []
    if _is_empty(reader):
        _readers.append(reader)
    return commands


def _is_empty(reader: Any) -> bool:
    """Whether a reader is between two commands. `has_data` does not tell: it may hold the first arguments of one."""
    if reader.has_data():
        return False
    reader.feed(_EMPTY_STATUS)
    try:
        status: object = reader.gets()
    except hiredis.ProtocolError:  # it was in a header
        return False
    return status == b""


def one_command(data: bytes) -> list[bytes] | None:
    """The arguments of the command that `data` is. None: it is not one whole canonical command.

    Also None for a long one, and for one with a line break in an argument: the bytes are split at line breaks. That
    takes a third of the time of hiredis, which first needs a check. The comparison proves the arguments.
    """
    if len(data) > SLICE or b"\n*" in data:
        return None  # most often a pipeline: parsing its first command would be in vain
    args = data.split(b"\r\n")[2::2]
    return args if pack(tuple(args)) == data else None


def _are_within(limits: RequestLimits, commands: list[list[bytes]]) -> bool:
    return max(map(len, commands), default=0) <= limits.arguments and all(
        len(command(*args)) <= limits.request_bytes for args in commands
    )


def read_arguments(buffer: bytearray, most: int, room: int) -> tuple[list[bytes], bytes, bool]:
    """Read complete canonical arguments from the head of `buffer`: at most `most`, `room` bytes and one slice.

    Returns the arguments, their bytes, and whether the end of `buffer` cuts the next argument.
    """
    with memoryview(buffer) as view:
        window = bytes(view[: min(SLICE, most * _USUAL)])
    count, end, is_cut = whole_bulks(window, most, room)
    if not count:
        return [], b"", False
    piece = window[:end]
    reader = _readers.pop() if _readers else new_reader()
    reader.feed(b"*%d\r\n%b" % (count, piece))
    args: list[bytes] = reader.gets()
    _readers.append(reader)
    return args, piece, is_cut and len(window) == len(buffer)
