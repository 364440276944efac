"""Frames between the proxy's own processes: a length (4 bytes, big-endian), then a msgpack document. No pickle."""

import asyncio
import struct
from typing import BinaryIO, Final

import msgspec

_LENGTH: Final = struct.Struct(">I")


def framed(message: object) -> bytes:
    """The frame of a message. `message` has a type that msgspec can encode."""
    document = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(document)) + document


async def next_document(reader: asyncio.StreamReader) -> bytes:
    """Read one frame; returns its document. Raises asyncio.IncompleteReadError at the end of the stream, OSError."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)


def read_document(stream: BinaryIO) -> bytes | None:
    """Like `next_document`, but blocking. Returns None at the end of the stream."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    return stream.read(_LENGTH.unpack(header)[0])
