"""One HTTP request of the admin port and its response. h11 parses and writes; the limits and the first line are ours.

The first line is checked before h11 sees it. So a client that speaks another protocol is answered at once, even if it
never sends an empty line.
"""

import asyncio
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final, NamedTuple

import h11

MAX_HEAD: Final = 8192
"""Limit for the head of a request, in bytes. The body is not read."""
_MAX_FIELDS: Final = 100
_CHUNK: Final = 4096
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_TOKENS: Final = re.compile(_TOKEN)
_REQUEST_LINE: Final = re.compile(rb"(%b+) [\x21-\x7e]+ HTTP/1\.[01]" % _TOKEN)
_AUTHORITY: Final = re.compile("https?://([^/?#]*)", re.IGNORECASE)
_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


class Request(NamedTuple):
    """The head of a request."""

    method: str
    authorities: tuple[str, ...]
    """The hosts that the request names, with their ports: the field Host, and a complete URL in the first line."""
    path: str
    query: str
    fields: tuple[tuple[bytes, bytes], ...]
    """The header fields. Their names are in lower case."""

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields with this name, in lower case itself."""
        return [value for field, value in self.fields if field == name]


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    allow: str = ""
    """The methods of the path, for 405."""
    policy: str = _POLICY
    """The Content-Security-Policy."""

    def fields(self) -> Iterator[tuple[str, str]]:
        """The header fields. A browser neither keeps, frames, sniffs nor shares any response of the admin port."""
        yield "Content-Type", self.content_type
        yield "Content-Length", str(len(self.body))
        yield "Connection", "close"
        if self.allow:
            yield "Allow", self.allow
        yield "Cache-Control", "no-store"
        yield "Content-Security-Policy", self.policy
        yield "Cross-Origin-Resource-Policy", "same-origin"
        yield "Referrer-Policy", "no-referrer"
        yield "X-Content-Type-Options", "nosniff"
        yield "X-Frame-Options", "DENY"


_TOO_LARGE: Final = Answer(431, b"at most %d bytes and %d header fields\n" % (MAX_HEAD, _MAX_FIELDS))
_NOT_VALID: Final = b"the header is not valid HTTP: each line is `Name: value`, and HTTP/1.1 needs exactly one Host\n"


async def line_of(reader: asyncio.StreamReader) -> bytes:
    """A line without its end. Raises IncompleteReadError, LimitOverrunError."""
    return (await reader.readuntil(b"\n")).removesuffix(b"\n").removesuffix(b"\r")


async def first_line(reader: asyncio.StreamReader) -> bytes:
    """The first line. If its first byte cannot begin a request line, only that byte: a line feed may never come.

    Raises IncompleteReadError.
    """
    first = await reader.readexactly(1)
    if not _TOKENS.match(first):
        return first
    try:
        return first + await line_of(reader)
    except asyncio.LimitOverrunError:
        return first


class Exchange:
    """The request that begins with a line, and the response to it."""

    def __init__(self, line: bytes) -> None:
        """`line`: the first line, without its end."""
        found = _REQUEST_LINE.fullmatch(line)
        self.is_http = found is not None
        """False: the line is no request line, and nothing else may be called."""
        self._is_head = found is not None and found[1] == b"HEAD"
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._size = 0
        self._feed(line + b"\r\n")

    def _feed(self, data: bytes) -> None:
        self._size += len(data)
        self._connection.receive_data(data)

    async def request(self, reader: asyncio.StreamReader) -> Request | Answer:
        """The request, or the response to an invalid one. Raises IncompleteReadError if it breaks off."""
        try:
            while (event := self._connection.next_event()) is h11.NEED_DATA:
                data = await reader.read(_CHUNK)
                if not data:
                    raise asyncio.IncompleteReadError(data, None)
                self._feed(data)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            return _TOO_LARGE if status == _TOO_LARGE.status else Answer(status, _NOT_VALID)
        assert isinstance(event, h11.Request)  # noqa: S101 (narrows the type: it is a request's first event)
        behind, _ = self._connection.trailing_data
        if self._size - len(behind) > MAX_HEAD or len(event.headers) > _MAX_FIELDS:
            return _TOO_LARGE
        return _request(event)

    def response(self, answer: Answer) -> bytes:
        """The bytes of the response. HEAD gets no body."""
        reason = HTTPStatus(answer.status).phrase.encode()
        head = h11.Response(status_code=answer.status, reason=reason, headers=list(answer.fields()))
        sent = self._connection.send(head) or b""
        if self._is_head:
            return sent
        return b"".join((sent, self._connection.send(h11.Data(data=answer.body)) or b""))


def _request(event: h11.Request) -> Request:
    fields = tuple((bytes(name), bytes(value)) for name, value in event.headers)
    hosts = [value.decode("latin-1") for name, value in fields if name == b"host"]
    target = event.target.decode("ascii")
    if complete := _AUTHORITY.match(target):
        hosts.append(complete[1])
        target = target[complete.end() :]
        target = target if target.startswith("/") else f"/{target}"
    path, _, query = target.partition("?")
    return Request(event.method.decode("ascii"), tuple(hosts), path, query, fields)
