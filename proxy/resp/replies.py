"""Upstream bytes -> replies, raw bytes kept. Our own framer, because hiredis' reader cannot tell `+OK` from
`$2 OK` and merges nulls, sets, maps and doubles.

Contract: the caller looks at the value at the head (`kind`, `length`, `first_bulk`), then moves it: `forward`
streams it on as it stands, however long; `bulk`, `line` and `enter` take a piece of it. Each of them returns
"need more" (False or None) without consuming, remembers what it waits for, and costs nothing until that is
there: a reply fed one byte at a time is read in linear time. FramingError: the bytes are not RESP.

RESP3 as in https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
"""

from typing import Final

from proxy.resp.errors import FramingError

MAX_HEADER_BYTES: Final = 64
MAX_LINE_BYTES: Final = 64 * 1024
"""A line that must be held whole: a header, or a status or error that we look into (bytes)."""

_LINES: Final = frozenset(b"+-:_#,(")
_BULKS: Final = frozenset(b"$=!")
_ELEMENTS_PER_COUNT: Final = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
_UNCOUNTED: Final = frozenset(b">|")
"""Pushes and attributes may stand between the elements of an aggregate and are none of them."""

_WANT_LINE: Final = -1


class ReplyFramer:
    """An incremental framer of one upstream's stream."""

    __slots__ = ("_bulk_left", "_data", "_held", "_held_size", "_in_line", "_pos", "_values_left", "_wanted")

    def __init__(self) -> None:
        """Nothing received, nothing under way."""
        self._data = b""
        self._pos = 0
        self._held: list[bytes] = []  # pieces of something incomplete, joined once, when it is complete
        self._held_size = 0
        self._wanted = 0  # bytes that the held pieces must reach; _WANT_LINE: a line end; 0: nothing awaited
        self._values_left = 0  # of the value being forwarded, nested ones included
        self._bulk_left = 0  # bytes of the bulk being forwarded, its CRLF included
        self._in_line = False  # inside a line being forwarded

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if self._wanted:
            if not self._held:
                self._hold(self._data[self._pos :])
            self._hold(data)
            if self._held_size < self._wanted or (self._wanted == _WANT_LINE and b"\n" not in data):
                self._data, self._pos = b"", 0
                if self._wanted == _WANT_LINE and self._held_size > MAX_LINE_BYTES:
                    raise FramingError("a line without end")
                return
            data = b"".join(self._held)
            self._held.clear()
            self._held_size = self._wanted = 0
        elif self._pos < len(self._data):
            data = self._data[self._pos :] + data
        self._data, self._pos = data, 0

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_size += len(piece)

    @property
    def buffered(self) -> int:
        """Bytes received and not yet moved."""
        return self._held_size + len(self._data) - self._pos

    @property
    def forwarding(self) -> bool:
        """A value is partly forwarded: `forward` goes on with it."""
        return self._values_left > 0

    def kind(self) -> int:
        """The type byte of the value at the head; 0: nothing there."""
        return self._data[self._pos] if self._pos < len(self._data) else 0

    def starts_with(self, prefix: bytes) -> bool | None:
        """Whether the value at the head starts with `prefix`; None: need more to know."""
        if self._data.startswith(prefix, self._pos):
            return True
        there = self._data[self._pos : self._pos + len(prefix)]
        if len(there) < len(prefix) and prefix.startswith(there):
            self._wanted = len(there) + 1
            return None
        return False

    def length(self) -> int | None:
        """The number in the header at the head (-1: null), not consumed; None: need more."""
        end = self._header_end()
        return None if end < 0 else self._number(self._pos + 1, end)

    def first_bulk(self, limit: int) -> bytes | None:
        """The first element of the aggregate at the head if it is a bulk of at most `limit` bytes, else b"".

        Nothing is consumed. None: need more.
        """
        end = self._header_end()
        if end < 0:
            return None
        if self._number(self._pos + 1, end) <= 0:
            return b""
        start = end + 2
        if start == len(self._data):
            self._wanted = start + 1 - self._pos
            return None
        if self._data[start] != ord("$"):
            return b""
        second = self._data.find(b"\r\n", start, start + MAX_HEADER_BYTES)
        if second < 0:
            self._wanted = len(self._data) + 1 - self._pos
            return None
        size = self._number(start + 1, second)
        if not 0 <= size <= limit:
            return b""
        if len(self._data) < second + 2 + size:
            self._wanted = second + 2 + size - self._pos
            return None
        return self._data[second + 2 : second + 2 + size]

    def line(self) -> bytes | None:
        """The whole line at the head, CRLF included, consumed; None: need more."""
        end = self._data.find(b"\r\n", self._pos)
        if end < 0:
            if len(self._data) - self._pos > MAX_LINE_BYTES:
                raise FramingError("a line without end")
            self._wanted = _WANT_LINE
            return None
        line = self._data[self._pos : end + 2]
        self._pos = end + 2
        return line

    def enter(self) -> bytes | None:
        """The header of the aggregate at the head, consumed: its elements follow. None: need more."""
        end = self._header_end()
        if end < 0:
            return None
        header = self._data[self._pos : end + 2]
        self._pos = end + 2
        return header

    def bulk(self) -> bytes | None:
        """The payload of the bulk at the head (not null: see `length`), consumed; None: need more."""
        end = self._header_end()
        if end < 0:
            return None
        size = self._number(self._pos + 1, end)
        stop = end + 2 + size
        if len(self._data) < stop + 2:
            self._wanted = stop + 2 - self._pos
            return None
        if self._data[stop : stop + 2] != b"\r\n":
            raise FramingError("a bulk without its CRLF")
        payload = self._data[end + 2 : stop]
        self._pos = stop + 2
        return payload

    def forward(self, out: list[bytes]) -> bool:
        """Move what is there of the value at the head to `out`, untouched; True: it is whole.

        It may be called with another `out` each time. A push or attribute at the head is a value of its own.
        """
        data, pos, start, size = self._data, self._pos, self._pos, len(self._data)
        left = self._values_left
        outermost = not left
        if outermost:
            left = 1
        while left and pos < size:
            if self._bulk_left:
                step = min(self._bulk_left, size - pos)
                pos += step
                self._bulk_left -= step
                left -= not self._bulk_left
                continue
            kind = data[pos]
            if self._in_line or kind in _LINES:
                end = data.find(b"\n", pos)
                self._in_line = end < 0
                pos = size if end < 0 else end + 1
                left -= not self._in_line
                continue
            end = data.find(b"\r\n", pos, pos + MAX_HEADER_BYTES)
            if end < 0:
                if size - pos >= MAX_HEADER_BYTES:
                    raise FramingError("a header without end")
                break
            count = self._number(pos + 1, end)
            if kind in _BULKS:
                self._bulk_left = count + 2 if count >= 0 else 0
                left -= count < 0
            elif kind in _ELEMENTS_PER_COUNT:
                counted = outermost or kind not in _UNCOUNTED
                left += max(count, 0) * _ELEMENTS_PER_COUNT[kind] - counted
            else:
                raise FramingError(f"unknown reply type {kind:#04x}")
            outermost = False
            pos = end + 2
        if pos > start:
            out.append(data[start:pos])
            self._pos = pos
            # Not begun is not "one to go": until a first byte has moved, the value is still untouched.
            self._values_left = left
        if left and pos < size:
            self._wanted = _WANT_LINE
        return not left

    def _header_end(self) -> int:
        """Where the CRLF of the header at the head begins; -1: need more."""
        end = self._data.find(b"\r\n", self._pos, self._pos + MAX_HEADER_BYTES)
        if end < 0:
            if len(self._data) - self._pos >= MAX_HEADER_BYTES:
                raise FramingError("a header without end")
            self._wanted = _WANT_LINE
        return end

    def _number(self, start: int, end: int) -> int:
        text = self._data[start:end]
        if text.isdigit():
            return int(text)
        if text == b"-1":
            return -1
        raise FramingError("a header without a number")
