"""Frames between processes of ours: a length (4 bytes, big-endian), a msgpack document. Nothing is ever unpickled."""

import asyncio
import struct
from typing import BinaryIO, Final

import msgspec

_LENGTH: Final = struct.Struct(">I")


def framed(message: object) -> bytes:
    """A message (of msgspec's types) as it is sent."""
    document = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(document)) + document


async def next_document(reader: asyncio.StreamReader) -> bytes:
    """The document of the next frame. Raises asyncio.IncompleteReadError at the end, OSError."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return await reader.readexactly(length)


def read_document(stream: BinaryIO) -> bytes | None:
    """The document of the next frame, where nothing else is to be done meanwhile; None: the stream has ended."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    return stream.read(_LENGTH.unpack(header)[0])
