"""Frames between processes: whole, in order, and an end that is seen."""

import asyncio
import io

import msgspec
import pytest

from proxy.net.ipc import framed, next_document, read_document

MESSAGES: list[object] = [{"a": 1}, [], "x" * 100_000, None]


async def test_an_event_loop_reads_them_one_by_one_however_they_arrive() -> None:
    reader = asyncio.StreamReader()
    for byte in framed(MESSAGES[0]):
        reader.feed_data(bytes([byte]))
    reader.feed_data(b"".join(map(framed, MESSAGES[1:])))
    reader.feed_eof()
    assert [msgspec.msgpack.decode(await next_document(reader)) for _ in MESSAGES] == MESSAGES
    with pytest.raises(asyncio.IncompleteReadError):
        await next_document(reader)


def test_a_process_without_a_loop_reads_them_until_the_stream_ends() -> None:
    stream = io.BytesIO(b"".join(map(framed, MESSAGES)) + b"\0\0")
    documents = [read_document(stream) for _ in MESSAGES]
    assert [msgspec.msgpack.decode(document) for document in documents if document is not None] == MESSAGES
    assert read_document(stream) is None
