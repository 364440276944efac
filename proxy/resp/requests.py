"""Client bytes -> commands. The guard around hiredis.

Contract: `feed` takes bytes as they came; `next` gives one request, raises ProtocolError, or returns None
for "need more". What it gives is always re-encoded or proven canonical: Redis and hiredis are both lax, not
always in the same way, and any difference is a way to smuggle a command past us.

Two readers share the work. *hiredis* takes whole chunks that are proven harmless first (it would allocate
whatever a header declares) and whose every command equals its own canonical encoding; it never keeps bytes
from one chunk to the next. The *strict* reader takes everything else: commands cut by a chunk's end, inline
commands, the long, the odd and the malformed. It checks each header before any byte behind it counts, and
remembers how far it has looked, so that one byte at a time is still linear.
"""

import re
from collections import deque
from typing import Any, Final, NamedTuple

import hiredis

from proxy.resp import inline
from proxy.resp.errors import ProtocolError
from proxy.resp.writers import command

_NOT_ENOUGH: Final = object()

# hiredis sees a chunk only if no header in it, wherever hiredis may find one, can declare 10,000 elements or
# more, and if no RESP3 aggregate follows a line end. Both patterns begin with a literal: memchr does the work.
_LARGE_COUNT = re.compile(rb"\*[-+0-9]{5}")
_OTHER_AGGREGATE = re.compile(rb"\n[%~>|]")

# string2ll of Redis' util.c: no plus sign, no leading zero, no minus zero.
_INTEGER = re.compile(rb"-?[1-9][0-9]{0,18}|0")

_INT_MAX: Final = 2**31 - 1
_MAX_BULK: Final = 512 * 1024 * 1024
"""Redis' default proto-max-bulk-len (bytes); longer is an invalid length in Redis' own words."""


class Request(NamedTuple):
    """One command: its arguments, the name first, and its canonical bytes."""

    args: list[bytes]
    raw: bytes


class RequestLimits(NamedTuple):
    """What one request may be: its bytes on the wire, and its number of arguments."""

    request_bytes: int = 64 * 1024 * 1024
    arguments: int = 1024 * 1024


class RequestParser:
    """An incremental parser of one client's stream."""

    __slots__ = (
        "_args",
        "_awaited",
        "_buffer",
        "_bulk",
        "_error",
        "_inline",
        "_limits",
        "_reader",
        "_ready",
        "_seen",
        "_size",
    )

    def __init__(self, limits: RequestLimits) -> None:
        """`limits`: a request beyond them is a ProtocolError as soon as a header says so."""
        self._limits = limits
        self._ready: deque[Request] = deque()
        self._error: ProtocolError | None = None
        self._reader: Any = None
        self._buffer = bytearray()
        self._seen = 0  # how much of the buffer holds no line end, for certain
        self._args: list[bytes] = []
        self._awaited = 0  # arguments still to come of the command at hand; 0: between commands
        self._bulk = -1  # length of the argument at hand; -1: its header is to come
        self._size = 0  # declared bytes of the command at hand
        self._inline = False

    @property
    def buffered(self) -> int:
        """Bytes of a request that has not ended yet, as received."""
        return len(self._buffer) + sum(map(len, self._args))

    def next(self) -> Request | None:
        """The next whole request, or None. Raises ProtocolError once all before the error are out."""
        if self._ready:
            return self._ready.popleft()
        if self._error is not None:
            raise self._error
        return None

    def feed(self, data: bytes) -> None:
        """Take bytes. After an error nothing more is looked at."""
        if self._error is not None or not data:
            return
        try:
            self._feed(data)
        except ProtocolError as error:
            self._error = error
            self._buffer.clear()
            self._args = []

    def _feed(self, data: bytes) -> None:
        if self._between_commands:
            self._inline = not data.startswith(b"*")
        else:
            self._buffer += data
            while not self._between_commands:
                if not self._step():
                    return
                if not self._awaited:
                    break
            data = bytes(self._buffer)
            self._buffer.clear()
            self._seen = 0
        if data.startswith(b"*"):
            self._inline = False
            data = data[self._accelerate(data) :]
        if data:
            self._buffer += data
            while self._step():
                pass

    @property
    def _between_commands(self) -> bool:
        return not self._awaited and not self._buffer

    # -- hiredis: whole, harmless, canonical commands --------------------------------------------------

    def _accelerate(self, data: bytes) -> int:
        """Let hiredis read the whole commands at the head of `data`; returns the bytes that they took."""
        if _LARGE_COUNT.search(data) or _OTHER_AGGREGATE.search(data):
            return 0
        reader = self._reader or hiredis.Reader(notEnoughData=_NOT_ENOUGH)
        self._reader = None
        limits, ready, pos = self._limits, self._ready, 0
        try:
            reader.feed(data)
            while (args := reader.gets()) is not _NOT_ENOUGH:
                raw = hiredis.pack_command(tuple(args))
                if not data.startswith(raw, pos):
                    return pos
                if len(raw) > limits.request_bytes or len(args) > limits.arguments:
                    return pos
                pos += len(raw)
                if args:  # `*0` is nothing, as in Redis
                    ready.append(Request(args, raw))
        except Exception:
            # Not a command to hiredis, or not one made of strings: what it is, the strict reader says.
            return pos
        if pos == len(data):
            self._reader = reader  # holds no bytes: good for the next chunk
        return pos

    # -- the strict reader -----------------------------------------------------------------------------

    def _step(self) -> bool:
        """Read one header, argument or line from the buffer; False: it is not all there yet."""
        if self._bulk >= 0:
            return self._argument()
        if self._awaited:
            return self._bulk_header()
        if not self._buffer:
            return False
        if self._buffer[0] == ord("*"):
            self._inline = False
            return self._array_header()
        if self._inline:
            return self._inline_line()
        return self._empty_line()

    def _array_header(self) -> bool:
        line = self._header_line("too big mbulk count string")
        if line is None:
            return False
        count = _integer(line)
        if count is None or count > _INT_MAX:
            raise ProtocolError("ERR Protocol error: invalid multibulk length")
        if count > self._limits.arguments:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a request of {count} arguments is over the limit of"
                f" {self._limits.arguments} ([limits] arguments)"
            )
        self._awaited = max(count, 0)
        self._size = len(line) + 3
        return True

    def _bulk_header(self) -> bool:
        line = self._header_line("too big bulk count string")
        if line is None:
            return False
        length = _integer(line)
        if length is None or not 0 <= length <= _MAX_BULK:
            raise ProtocolError("ERR Protocol error: invalid bulk length")
        self._size += len(line) + 5 + length
        if self._size > self._limits.request_bytes:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a request of {self._size} bytes or more is over the limit of"
                f" {self._limits.request_bytes} ([limits] request_bytes)"
            )
        self._bulk = length
        return True

    def _header_line(self, too_long: str) -> bytes | None:
        """What stands between the type byte and the CRLF of the line at the head, consumed; None: wait."""
        end = self._buffer.find(b"\r", self._seen)
        if end < 0 or end + 1 == len(self._buffer):
            self._seen = len(self._buffer) if end < 0 else end
            if self._seen > inline.MAX_INLINE_BYTES:
                raise ProtocolError(f"ERR Protocol error: {too_long}")
            return None
        expected = ord("$" if self._awaited else "*")
        if self._buffer[0] != expected:
            got = chr(self._buffer[0]) if 32 <= self._buffer[0] < 127 else "?"
            raise ProtocolError(f"ERR Protocol error: expected '{chr(expected)}', got '{got}'")
        if self._buffer[end + 1] != ord("\n"):
            raise ProtocolError("ERR Protocol error: expected LF after CR")
        line = bytes(self._buffer[1:end])
        self._consume(end + 2)
        return line

    def _argument(self) -> bool:
        end = self._bulk
        if len(self._buffer) < end + 2:
            return False
        if self._buffer[end : end + 2] != b"\r\n":
            raise ProtocolError("ERR Protocol error: expected CRLF after a bulk")
        self._args.append(bytes(self._buffer[:end]))
        self._consume(end + 2)
        self._bulk = -1
        self._awaited -= 1
        if not self._awaited:
            self._emit(self._args)
            self._args = []
        return True

    def _inline_line(self) -> bool:
        end = self._buffer.find(b"\n", self._seen)
        if (len(self._buffer) if end < 0 else end) > inline.MAX_INLINE_BYTES:
            raise ProtocolError("ERR Protocol error: too big inline request")
        if end < 0:
            self._seen = len(self._buffer)
            return False
        words = inline.split(bytes(self._buffer[:end]).removesuffix(b"\r"))
        self._consume(end + 1)
        if words:
            self._emit(words)
        return True

    def _empty_line(self) -> bool:
        """Between two commands of one read only empty lines may stand."""
        for line_end in (b"\r\n", b"\n"):
            if self._buffer.startswith(line_end):
                self._consume(len(line_end))
                return True
        if self._buffer == b"\r":
            return False
        got = chr(self._buffer[0]) if 32 <= self._buffer[0] < 127 else "?"
        raise ProtocolError(f"ERR Protocol error: expected '*', got '{got}'")

    def _emit(self, args: list[bytes]) -> None:
        self._ready.append(Request(args, command(*args)))

    def _consume(self, count: int) -> None:
        del self._buffer[:count]
        self._seen = 0


def _integer(text: bytes) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None
