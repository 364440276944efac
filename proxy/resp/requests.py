"""Client bytes -> commands. The guard around hiredis.

Contract: `feed` takes bytes as they came; `next` gives one request, raises ProtocolError, or returns None
for "need more", or for "ask again" while `has_more`. What it gives is always re-encoded or proven canonical:
Redis and hiredis are both lax, not always in the same way, and any difference is a way to smuggle a command past
us.

Two readers share the work. *hiredis* takes whole chunks that are proven harmless first (it would allocate
whatever a header declares) and whose every command equals its own canonical encoding; it never keeps bytes
from one chunk to the next. The *strict* reader takes everything else: commands cut by a chunk's end, inline
commands, the long, the odd and the malformed. It checks each header before any byte behind it counts, and
remembers how far it has looked, so that one byte at a time is still linear.
"""

import re
from functools import partial
from itertools import repeat
from typing import Any, Final, NamedTuple

import hiredis

from proxy import engine
from proxy.resp import inline, proofs
from proxy.resp.errors import ProtocolError
from proxy.resp.writers import command

PROOFS: Final[Any] = proofs if engine.NATIVE is None else engine.NATIVE
_NOT_ENOUGH: Final = object()

_SLICE: Final = 16 * 1024
"""Bytes that hiredis gets at once: it moves all that it holds for every kilobyte that it gives out."""

_MOST_EMPTY: Final = 200
"""Empty lines and commands that are passed over at once: there may be nothing else in all that has come."""

_HEADER: Final = 32
"""Bytes that the header of an argument seldom has more of."""

_OBJECT: Final = 64
"""Bytes of Python's own for an argument or a request, about."""

# string2ll of Redis' util.c: no plus sign, no leading zero, no minus zero.
_INTEGER = re.compile(rb"-?[1-9][0-9]{0,18}|0")

_LLONG_MIN: Final = -(2**63)
_INT_MAX: Final = 2**31 - 1
_MAX_BULK: Final = 512 * 1024 * 1024
"""Redis' default proto-max-bulk-len (bytes); longer is an invalid length in Redis' own words."""


_readers: Final[list[Any]] = []
"""hiredis readers that hold no byte: good for the next chunk, of whichever client. At most one for each thread."""


class Request(NamedTuple):
    """One command: its arguments, the name first, and where its canonical bytes stand."""

    args: list[bytes]
    chunk: bytes
    """What they stand in, with those of other requests before and behind."""
    start: int
    stop: int

    @property
    def raw(self) -> bytes:
        """The canonical bytes."""
        return self.chunk[self.start : self.stop]


_request: Final = partial(tuple.__new__, Request)
"""As Request._make, without a call of Python's: a quarter of the time."""


class RequestLimits(NamedTuple):
    """What one request may be: its bytes on the wire, its number of arguments, and the bytes of the first of all."""

    request_bytes: int = 64 * 1024 * 1024
    arguments: int = 1024 * 1024
    first_bytes: int = _MAX_BULK


class RequestParser:
    """An incremental parser of one client's stream."""

    __slots__ = (
        "_args",
        "_arrived",
        "_awaited",
        "_buffer",
        "_bulk",
        "_empty",
        "_error",
        "_held",
        "_inline",
        "_seen",
        "_size",
        "_unread",
        "begun",
        "limits",
        "ready",
    )

    def __init__(self, limits: RequestLimits) -> None:
        """`limits`: a request beyond them is a ProtocolError as soon as a header says so."""
        self.limits = limits
        self._arrived: list[Request] = []  # whole, in order
        self.ready: list[Request] = []  # a deque would take more memory
        """The requests that `next` will give, the next one last: to look at, and to be taken from the end."""
        self._error: ProtocolError | None = None
        self._buffer = bytearray()
        self._unread = False  # the buffer may hold a whole request
        self._seen = 0  # how much of the buffer holds no line end, for certain
        self._args: list[bytes] = []
        self._held = 0  # bytes of these
        self._awaited = 0  # arguments still to come of the command at hand; 0: between commands
        self._bulk = -1  # length of the argument at hand; -1: its header is to come
        self._size = 0  # declared bytes of the command at hand
        self._inline = False
        self._empty = 0  # passed over since `next` last stopped for it
        self.begun = False
        """A first request has been read."""

    @property
    def buffered(self) -> int:
        """Bytes that are no request yet, without the headers already read."""
        return len(self._buffer) + self._held

    @property
    def memory(self) -> int:
        """Bytes that all this takes, and the requests that nobody has taken yet; about, and rather more than less."""
        waiting = (*self.ready, *self._arrived)
        requests = sum(_OBJECT * (2 + len(args)) + stop - start for args, _, start, stop in waiting)
        chunks = {id(request.chunk): len(request.chunk) for request in waiting}
        return self.buffered + _OBJECT * len(self._args) + requests + sum(chunks.values())

    @property
    def has_more(self) -> bool:
        """`next` has something to give, or to raise."""
        return bool(self.ready or self._arrived) or self._unread or self._error is not None

    def next(self) -> Request | None:
        """The next whole request, or None. Raises ProtocolError once all before the error are out.

        None may also mean that many empty lines have been passed over: then `has_more` is true.
        """
        if self.ready:
            return self.ready.pop()
        if self._unread and not self._arrived:
            self._read_on()
        if self._arrived:
            self.ready, self._arrived = self._arrived[::-1], []
            return self.ready.pop()
        if self._error is not None:
            raise self._error
        return None

    def _read_on(self) -> None:
        """Let the strict reader have one request: what takes long is done when it is asked for."""
        try:
            while not self._arrived and self._unread:
                self._unread = self._step()
                self._empty += not (self._awaited or self._arrived)
                if self._empty > _MOST_EMPTY:
                    self._empty = 0
                    return
        except ProtocolError as error:
            self._fail(error)

    def feed(self, data: bytes) -> None:
        """Take bytes. After an error nothing more is looked at."""
        if self._error is not None or not data:
            return
        try:
            self._feed(data)
        except ProtocolError as error:
            self._fail(error)

    def _fail(self, error: ProtocolError) -> None:
        self._error = error
        self._unread = False
        self._buffer.clear()
        self._args = []
        self._held = 0

    def _feed(self, data: bytes) -> None:
        if self._unread:
            self._buffer += data
            return
        if self._between_commands:
            self._inline = not data.startswith(b"*")
        else:
            data = self._complete(data)
        if data.startswith(b"*"):
            self._inline = False
            if self.begun or len(data) <= self.limits.first_bytes:
                data = data[self._accelerate(data) :]
                self.begun = self.begun or bool(self._arrived)
        if data:
            self._buffer += data
            self._unread = True

    def _complete(self, data: bytes) -> bytes:
        """End the command at hand, with no more of `data` copied than that takes; what stands behind it."""
        pos = 0
        while self._awaited or self._buffer:
            if self._step():
                if not self._awaited:
                    break
            elif pos < len(data):
                wanted = self._wanted
                self._buffer += data[pos : pos + wanted]
                pos += wanted
            else:
                return b""
        rest = bytes(self._buffer) + data[pos:]
        self._buffer.clear()
        self._seen = 0
        return rest

    @property
    def _wanted(self) -> int:
        """Bytes that may help to read on."""
        if self._bulk >= 0:
            return self._bulk + len(b"\r\n") - len(self._buffer)
        return _HEADER if self._awaited else _SLICE

    @property
    def _between_commands(self) -> bool:
        return not self._awaited and not self._buffer

    # -- hiredis: whole, harmless, canonical commands --------------------------------------------------

    def _accelerate(self, data: bytes) -> int:
        """Let hiredis read the whole commands at the head of `data`; returns the bytes that they took.

        It reads slice by slice, and nothing from the first slice on that has anything odd.
        """
        if not PROOFS.is_harmless(data):
            return 0
        reader = _readers.pop() if _readers else hiredis.Reader(notEnoughData=_NOT_ENOUGH)
        pos = 0
        try:
            for start in range(0, len(data), _SLICE):
                reader.feed(data, start, min(_SLICE, len(data) - start))
                commands: list[list[bytes]] = [*iter(reader.gets, _NOT_ENOUGH)]
                stops = PROOFS.canonical_ends(commands, data, pos)
                if stops is None or not (all(commands) and self._are_short(commands, data)):
                    return pos
                if len(commands) == 1:  # as it is where nobody pipelines
                    self._arrived.append(_request((commands[0], data, pos, stops[0])))
                else:
                    self._arrived += map(_request, zip(commands, repeat(data), [pos, *stops], stops, strict=False))
                pos = stops[-1] if stops else pos
        except Exception:
            # Not commands to hiredis, or not made of strings: what it is, the strict reader says.
            return pos
        if pos == len(data):  # it has used up what it was given
            _readers.append(reader)
        return pos

    def _are_short(self, commands: list[list[bytes]], data: bytes) -> bool:
        """Whether all are within the limits, as those are of which the whole of `data` could not hold a longer one."""
        if len(data) <= min(self.limits.request_bytes, self.limits.arguments):
            return True
        return max(map(len, commands), default=0) <= self.limits.arguments and all(
            len(command(*args)) <= self.limits.request_bytes for args in commands
        )

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
        self._limit_arguments(count)
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
        self._limit_bytes(self._size)
        self._bulk = length
        return True

    def _header_line(self, too_long: str) -> bytes | None:
        """What stands between the type byte and the CRLF of the line at the head, consumed; None: wait."""
        end = self._buffer.find(b"\r", self._seen)
        if end < 0 or end + 1 == len(self._buffer):
            self._seen = len(self._buffer) if end < 0 else end
            self._limit_line(self._seen, too_long)
            return None
        self._limit_line(end, too_long)
        expected = ord("$" if self._awaited else "*")
        if self._buffer[0] != expected:
            raise _unexpected(chr(expected), self._buffer[0])
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
        with memoryview(self._buffer) as view:  # a slice of the buffer itself would be one more copy
            self._args.append(bytes(view[:end]))
        self._held += end
        self._consume(end + 2)
        self._bulk = -1
        self._awaited -= 1
        if not self._awaited:
            self._emit(self._args)
            self._args = []
            self._held = 0
        return True

    def _inline_line(self) -> bool:
        end = self._buffer.find(b"\n", self._seen)
        self._limit_line(len(self._buffer) if end < 0 else end, "too big inline request")
        most = self.limits.request_bytes if self.begun else min(self.limits.request_bytes, self.limits.first_bytes)
        self._limit_bytes(min(len(self._buffer) if end < 0 else end, most + 1))  # however much of it is there
        if end < 0:
            self._seen = len(self._buffer)
            return False
        words = inline.split(bytes(self._buffer[:end]).removesuffix(b"\r"))
        self._consume(end + 1)
        if words:
            self._limit_arguments(len(words))
            self._limit_bytes(len(command(*words)))
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
        raise _unexpected("*", self._buffer[0])

    def _limit_line(self, size: int, too_long: str) -> None:
        if size > inline.MAX_INLINE_BYTES:
            raise ProtocolError(f"ERR Protocol error: {too_long}")

    def _limit_arguments(self, count: int) -> None:
        if count > self.limits.arguments:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a request of {count} arguments is over the limit of"
                f" {self.limits.arguments} ([limits] arguments)",
                "arguments",
            )

    def _limit_bytes(self, size: int) -> None:
        if size > self.limits.request_bytes:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a request of {size} bytes or more is over the limit of"
                f" {self.limits.request_bytes} ([limits] request_bytes)",
                "request_bytes",
            )
        if not self.begun and size > self.limits.first_bytes:
            raise ProtocolError(
                f"ERR flask-cache-proxy: a first command of {size} bytes or more is over the limit of"
                f" {self.limits.first_bytes} ([limits] first_command_bytes)",
                "first_command_bytes",
            )

    def _emit(self, args: list[bytes]) -> None:
        self.begun = True
        raw = command(*args)
        self._arrived.append(Request(args, raw, 0, len(raw)))

    def _consume(self, count: int) -> None:
        del self._buffer[:count]
        self._seen = 0


def _integer(text: bytes) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number >= _LLONG_MIN else None


def _unexpected(expected: str, got: int) -> ProtocolError:
    """In Redis' words, which repeat the byte (behind a NUL Redis waits for ever)."""
    shown = bytes([got]).decode("utf-8", "surrogateescape") if got else "?"
    return ProtocolError(f"ERR Protocol error: expected '{expected}', got '{shown}'")
