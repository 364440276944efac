"""A connection for the proxy's own queries to Redis or a sentinel: one at a time, with a limit on each answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

from proxy.resp import Answer, AnswerReader, FramingError
from proxy.resp.answers import MAX_BYTES, MAX_ELEMENTS


class Query(asyncio.Protocol):
    """See the module. It is the protocol of an asyncio connection."""

    def __init__(self, errors: str = "replace", max_bytes: int = MAX_BYTES, max_elements: int = MAX_ELEMENTS) -> None:
        """See AnswerReader."""
        self._reader = AnswerReader(errors, max_bytes, max_elements)
        self._transport: Any = None  # uvloop's transports do not inherit from asyncio.Transport
        self._answers: list[Answer] = []
        self._awaited = 0
        self._all: asyncio.Future[list[Answer]] | None = None
        self._gone: asyncio.Future[None] | None = None
        self.has_heard = False
        """The server has sent bytes in answer."""
        self.lost = False
        """The connection is closed, so no further query is possible."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport
        self._gone = asyncio.get_running_loop().create_future()

    async def ask(self, request: bytes) -> Answer:
        """Send a request, a whole RESP command, and wait for its answer. Raises OSError if no valid answer comes."""
        return (await self.ask_all((request,)))[0]

    async def ask_all(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send requests, one or more, together, and wait for all answers. Raises OSError if they do not come."""
        if self.lost:
            raise OSError("Redis closed the connection")
        self._answers, self._awaited = [], len(requests)
        self._all = asyncio.get_running_loop().create_future()
        self._transport.write(b"".join(requests))
        try:
            return await self._all
        finally:
            if self._all.cancelled():
                self.close()  # a late answer must not count for another request

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer. Invalid RESP or an answer without a request closes the connection."""
        self.has_heard = True
        try:
            self._answers += self._reader.feed(data)
        except FramingError as error:
            self._fail(f"it sent {error}")
            return
        is_awaited = self._all is not None and not self._all.done()
        if len(self._answers) > (self._awaited if is_awaited else 0):
            self._fail("it sent an answer without a request")
        elif self._all is not None and is_awaited and len(self._answers) == self._awaited:
            answers, self._answers = self._answers, []
            self._all.set_result(answers)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._fail("Redis closed the connection")
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _fail(self, reason: str) -> None:
        if self._all is not None and not self._all.done():
            self._all.set_exception(OSError(reason))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.lost = True
        if self._transport is not None:
            self._transport.close()

    async def end(self) -> None:
        """Close the connection at once, and wait until it is closed."""
        self.lost = True
        if self._gone is not None:
            self._transport.abort()
            await self._gone
