"""The strict reader of requests. It reads everything that hiredis must not read, one header at a time.

Theory. Redis and hiredis both accept non-standard bytes, but not the same ones. If the proxy and Redis read the same
bytes as different commands, a client can smuggle a command past the rules. So this reader accepts only bytes that
Redis accepts, and it writes the canonical bytes of each command itself. Only those go upstream.

The reader is a state machine that reads from one buffer. Its state is two numbers:

```
  `awaited`   `_bulk`   at the head of the buffer        `step` reads
  0           -1        a command, or an inline line     an array header, a line, an empty line
  > 0         -1        a bulk header                    the header, or several whole arguments
  > 0         >= 0      `_bulk` bytes and a CRLF         the argument
```

`step` reads one of these and returns True. If it is incomplete, `step` consumes nothing and returns False.

Bounds:
  - A header is checked before the bytes after it are read. A declared size allocates nothing: `_args` and the buffer
    grow only with received bytes.
  - `limits` bounds arguments and bytes. The first command has a lower limit, because a stranger may have sent it.
  - A header line or inline line has at most `MAX_INLINE_BYTES`, as in Redis.

The cost is linear in the bytes, even if they come one at a time:
  - The first `_seen` bytes of the buffer contain no line end, and are not searched again.
  - Until `missing` more bytes have come, the parser only appends to the buffer.
  - Complete arguments in the buffer go to hiredis together, after a check, one slice at a time. So the cost of a large
    command hardly depends on where reads cut it.
  - A short and valid beginning of an argument is postponed until the next read, and then read with it. It is
    postponed only once, so that no byte is read many times.

Inline commands are for people with telnet. Redis accepts them at any time. The proxy accepts them until the first
RESP command that is not one of `_OPENERS`. Clients send those first, and redis-benchmark sends inline commands after
them. Later, only empty lines may come between commands. So misplaced bytes of a payload never become a command.
"""

import re
from io import BytesIO
from typing import Final

from proxy.resp import canonical, inline
from proxy.resp.encode import command
from proxy.resp.errors import ProtocolError
from proxy.resp.hiredis_reader import SLICE, read_arguments
from proxy.resp.limits import MAX_BULK, RequestLimits
from proxy.resp.request import Request

SHORT: Final = 512
"""A cut argument of at most so many bytes is postponed: it is read together with the next read. See `POSTPONED`."""

_FEW: Final = 64
"""Up to so many bytes are read header by header, because the check and hiredis would take longer."""

_OBJECT: Final = 64
"""The approximate overhead of Python for an argument, in bytes."""

_OPENERS: Final = frozenset({b"AUTH", b"HELLO", b"SELECT", b"CLIENT", b"PING"})
"""RESP commands that a client may send before inline commands."""

# string2ll of Redis' util.c: no plus sign, no leading zero, no minus zero.
_INTEGER = re.compile(rb"-?[1-9][0-9]{0,18}|0")

_LLONG_MIN: Final = -(2**63)
_INT_MAX: Final = 2**31 - 1


class StrictReader:
    """The current command of one client, and the buffer of unread bytes."""

    __slots__ = (
        "_args",
        "_bulk",
        "_held",
        "_out",
        "_raw",
        "_seen",
        "_size",
        "awaited",
        "begun",
        "buffer",
        "is_postponed",
        "limits",
        "takes_inline",
    )

    def __init__(self, limits: RequestLimits, out: list[Request]) -> None:
        """Complete requests are appended to `out`."""
        self.limits = limits
        self._out = out
        self.buffer = bytearray()
        self._seen = 0  # the first bytes of the buffer that contain no line end
        self._args: list[bytes] = []
        self._held = 0  # the bytes in `_args`
        self._raw = BytesIO()  # the canonical bytes of the current command; getvalue() does not copy them
        self.awaited = 0
        """Missing arguments of the current command. 0: between commands."""
        self._bulk = -1  # the length of the current argument; -1: its header is missing
        self._size = 0  # the declared bytes of the current command
        self.is_postponed = False
        """The buffer has the beginning of a command or argument that waits for the next read."""
        self.takes_inline = True
        self.begun = False
        """A request has been read."""

    @property
    def is_between_commands(self) -> bool:
        """True if no command has begun and the buffer is empty."""
        return not self.awaited and not self.buffer

    @property
    def missing(self) -> int:
        """The number of missing bytes of the current argument. 0: its header is missing."""
        return self._bulk + len(b"\r\n") - len(self.buffer) if self._bulk >= 0 else 0

    @property
    def most_bytes(self) -> int:
        """The limit for the bytes of the current command."""
        return self.limits.most_bytes(first=not self.begun)

    @property
    def buffered(self) -> int:
        """Bytes of the incomplete request, without the parsed headers."""
        return len(self.buffer) + self._held

    @property
    def memory(self) -> int:
        """The approximate memory in bytes."""
        return self.buffered + self._raw.tell() + _OBJECT * len(self._args)

    @property
    def under_way(self) -> tuple[int, int]:
        """The declared size of the current command: its arguments, and the bytes of its longest argument so far."""
        return len(self._args) + self.awaited, max((self._bulk, *map(len, self._args)))

    def clear(self) -> None:
        """Drop the buffer and the current command."""
        self.buffer.clear()
        self._begin_command()

    def saw(self, requests: list[Request]) -> None:
        """Note RESP requests that this reader or hiredis has read."""
        self.begun = True
        self.takes_inline = self.takes_inline and all(request.args[0].upper() in _OPENERS for request in requests)

    def take_postponed(self) -> bytes:
        """Remove the postponed beginning of a command from the buffer and return it. It may be empty."""
        if not self.is_postponed or self.awaited:
            return b""
        beginning = bytes(self.buffer)
        self.buffer.clear()
        return beginning

    def adopt(self, awaited: int, size: int, *, in_body: bool) -> None:
        """Begin with the last `awaited` arguments of a command. `size`: its declared bytes so far.

        `in_body`: the body of the argument before them has passed, without its CRLF. An empty argument stands for it.
        """
        self.awaited, self._size, self._bulk = awaited + in_body, size, 0 if in_body else -1

    def complete(self, data: bytes) -> bytes:
        """Complete the current command with bytes of `data`. Returns the bytes after the command."""
        pos = 0
        while self.awaited or self.buffer:
            if not self.is_postponed and self.step():
                if not self.awaited:
                    break
            elif pos < len(data):
                self.is_postponed = False
                wanted = self.missing or SLICE
                self.buffer += data[pos : pos + wanted]
                pos += wanted
            else:
                return b""
        rest = bytes(self.buffer) + data[pos:]
        self.buffer.clear()
        self._seen = 0
        return rest

    def step(self) -> bool:
        """Read one header, argument or line from the buffer. False if it is incomplete. Raises ProtocolError."""
        if self._bulk >= 0:
            return self._argument()
        if self.awaited:
            return (len(self.buffer) > _FEW and self._whole_arguments()) or self._bulk_header()
        if not self.buffer:
            return False
        if self.buffer[0] == ord("*"):
            return self._array_header()
        if self.takes_inline:
            return self._inline_line()
        return self._empty_line()

    def _begin_command(self) -> None:
        self._args, self._raw, self._held = [], BytesIO(), 0

    # -- arguments -------------------------------------------------------------------------------------

    def _whole_arguments(self) -> bool:
        """Let hiredis read the complete canonical arguments at the head of the buffer. False if there are none.

        It stops before an argument over a limit. The reader then refuses its header.
        """
        room = max(0, self.most_bytes - self._size)  # a reload may have lowered the limits since the command began
        args, piece, is_cut = read_arguments(self.buffer, self.awaited, room)
        if not args:
            return False
        self._args += args
        self._size += len(piece)
        self._consume(len(piece))
        self._have_taken(len(args), len(piece), piece)
        self.is_postponed = is_cut and len(self.buffer) <= SHORT
        return True

    def _argument(self) -> bool:
        end = self._bulk
        if len(self.buffer) < end + 2:
            return False
        if self.buffer[end : end + 2] != b"\r\n":
            raise ProtocolError("ERR Protocol error: expected CRLF after a bulk")
        with memoryview(self.buffer) as view:  # slicing the buffer directly would copy once more
            arg = bytes(view[:end])
        self._args.append(arg)
        self._consume(end + 2)
        self._bulk = -1
        self._have_taken(1, end, b"$%d\r\n" % end, arg, b"\r\n")
        return True

    def _have_taken(self, count: int, size: int, *pieces: bytes) -> None:
        """Account for `count` arguments that have been read. `pieces`: their canonical bytes."""
        self._raw.writelines(pieces)
        self._held += size
        self.awaited -= count
        if not self.awaited:
            raw = self._raw.getvalue()
            request = Request(self._args, raw, 0, len(raw))
            self._begin_command()
            self._out.append(request)
            self.saw([request])

    # -- headers ---------------------------------------------------------------------------------------

    def _array_header(self) -> bool:
        line = self._header_line(canonical.ARRAY_HEADER, "too big mbulk count string")
        if line is None:
            return False
        count = _integer(line)
        if count is None or count > _INT_MAX:
            raise ProtocolError("ERR Protocol error: invalid multibulk length")
        self.awaited = max(count, 0)  # before the check, because `under_way` must have the declared number
        self.limits.check_arguments(count)
        if count > 0:
            self._size = len(line) + 3
            self._raw.write(b"*%b\r\n" % line)
        return True

    def _bulk_header(self) -> bool:
        line = self._header_line(canonical.BULK_HEADER, "too big bulk count string")
        if line is None:
            return False
        length = _integer(line)
        if length is None or not 0 <= length <= MAX_BULK:
            raise ProtocolError("ERR Protocol error: invalid bulk length")
        self._size += len(line) + 5 + length
        self._bulk = length
        self._limit_bytes(self._size)
        return True

    def _header_line(self, usual: re.Pattern[bytes], too_long: str) -> bytes | None:
        """Consume the header line at the head. Returns its number as text. None: the line is incomplete.

        `usual`: the pattern that most of these lines match.
        """
        if (header := usual.match(self.buffer)) is not None:
            line = header[1]
            self._consume(header.end())
            return line
        end = self.buffer.find(b"\r", self._seen)
        if end < 0 or end + 1 == len(self.buffer):
            self._seen = len(self.buffer) if end < 0 else end
            _limit_line(self._seen, too_long)
            return None
        _limit_line(end, too_long)
        expected = ord("$" if self.awaited else "*")
        if self.buffer[0] != expected:
            raise _unexpected(chr(expected), self.buffer[0])
        if self.buffer[end + 1] != ord("\n"):
            raise ProtocolError("ERR Protocol error: expected LF after CR")
        line = bytes(self.buffer[1:end])
        self._consume(end + 2)
        return line

    # -- lines between commands ------------------------------------------------------------------------

    def _inline_line(self) -> bool:
        end = self.buffer.find(b"\n", self._seen)
        size = len(self.buffer) if end < 0 else end
        _limit_line(size, "too big inline request")
        self._limit_bytes(min(size, self.most_bytes + 1))  # so that the error does not depend on where reads end
        if end < 0:
            self._seen = size
            return False
        words = inline.split(bytes(self.buffer[:end]).removesuffix(b"\r"))
        self._consume(end + 1)
        if words:
            self.limits.check_arguments(len(words))
            raw = command(*words)
            self._limit_bytes(len(raw))
            self.begun = True
            self._out.append(Request(words, raw, 0, len(raw)))
        return True

    def _empty_line(self) -> bool:
        """Read an empty line. Nothing else may come between RESP commands."""
        for line_end in (b"\r\n", b"\n"):
            if self.buffer.startswith(line_end):
                self._consume(len(line_end))
                return True
        if self.buffer == b"\r":
            return False
        raise _unexpected("*", self.buffer[0])

    def _limit_bytes(self, size: int) -> None:
        self.limits.check_bytes(size, first=not self.begun)

    def _consume(self, count: int) -> None:
        del self.buffer[:count]
        self._seen = 0


def _limit_line(size: int, too_long: str) -> None:
    if size > inline.MAX_INLINE_BYTES:
        raise ProtocolError(f"ERR Protocol error: {too_long}")


def _integer(text: bytes) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number >= _LLONG_MIN else None


def _unexpected(expected: str, got: int) -> ProtocolError:
    """Redis' error for an unexpected byte. (After a NUL, Redis would wait for ever.)"""
    shown = bytes([got]).decode("utf-8", "surrogateescape") if got else "?"
    return ProtocolError(f"ERR Protocol error: expected '{expected}', got '{shown}'")
