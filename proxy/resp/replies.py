"""Upstream bytes -> replies, raw bytes kept. Our own framer, because hiredis' reader cannot tell `+OK` from
`$2 OK` and merges nulls, sets, maps and doubles.

Contract: the caller looks at the value at the head (`kind`, `length`, `first_bulk`), then moves it: `forward`
streams it on as it stands, however long; `bulk`, `line` and `enter` take a piece of it. Each of them returns
"need more" (False or None) without consuming, remembers what it waits for, and costs next to nothing until that
is there: a reply fed one byte at a time is read in linear time, and so is one whose bytes come while nobody
looks. `whole_bulks` looks at as many as are there, and `skip` moves past them. FramingError: the bytes are not RESP.

RESP3 as in https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
"""

from typing import Final, NoReturn

from proxy.resp.errors import FramingError

MAX_HEADER_BYTES: Final = 64
MAX_LINE_BYTES: Final = 64 * 1024
"""A status or error that we look into must be held whole: its length, CRLF included (bytes)."""

_LINES: Final = frozenset(b"+-:_#,(")
_PLAIN_LINES: Final = frozenset(b"+:_")
_BULK: Final = ord("$")
_BULKS: Final = frozenset(b"$=!")
_ELEMENTS_PER_COUNT: Final = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
_UNCOUNTED: Final = frozenset(b">|")
"""Pushes and attributes may stand between the elements of an aggregate and are none of them."""

_CR: Final = ord("\r")
_LF: Final = ord("\n")


class ReplyFramer:
    """An incremental framer of one upstream's stream."""

    __slots__ = (
        "_after_cr",
        "_bulk_left",
        "_data",
        "_ends",
        "_held",
        "_held_size",
        "_in_line",
        "_lineless",
        "_pos",
        "_values_left",
    )

    def __init__(self) -> None:
        """Nothing received, nothing under way."""
        self._data = b""
        self._pos = 0
        self._held: list[bytes] = []  # what came behind `_data`: joined once, when a look cannot do without it
        self._held_size = 0
        self._lineless = False  # known: no LF from `_pos` on, nor among what is held
        self._ends: list[int] = []  # of the bulks looked at
        self._values_left = 0  # of the value being forwarded, nested ones included
        self._bulk_left = 0  # bytes of the bulk being forwarded, its CRLF included
        self._in_line = False  # inside a line being forwarded ...
        self._after_cr = False  # ... of which a CR was the last byte

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if not data:
            return
        if self._pos == len(self._data) and not self._held:
            self._data, self._pos, self._lineless = data, 0, False
            return
        self._held.append(data)
        self._held_size += len(data)
        if self._lineless:
            self._lineless = b"\n" not in data

    def let_go(self) -> None:
        """Hold no byte that has been moved; better before a long wait."""
        if self._pos == len(self._data):
            self._data, self._pos = b"", 0

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
        if self._pos == len(self._data) and not self._join():
            return 0
        return self._data[self._pos] or self._unknown(0)

    def starts_with(self, prefix: bytes) -> bool | None:
        """Whether the value at the head starts with `prefix`; None: need more to know."""
        while not self._data.startswith(prefix, self._pos):
            there = self._data[self._pos : self._pos + len(prefix)]
            if len(there) == len(prefix) or not prefix.startswith(there):
                return False
            if not self._await(len(there) + 1):
                return None
        return True

    def length(self) -> int | None:
        """The number in the header at the head (-1: null), not consumed; None: need more."""
        end = self._header_end(0)
        return None if end < 0 else self._number(self._pos + 1, end)

    def first_bulk(self, limit: int) -> bytes | None:
        """The first element of the aggregate at the head if it is a bulk of at most `limit` bytes, else b"".

        Nothing is consumed. None: need more.
        """
        end = self._header_end(0)
        if end < 0:
            return None
        if self._number(self._pos + 1, end) <= 0:
            return b""
        header = end + 2 - self._pos  # from here on positions count from `_pos`: a join moves it
        if self._pos + header == len(self._data) and not self._await(header + 1):
            return None
        if self._data[self._pos + header] != ord("$"):
            return b""
        end = self._header_end(header)
        if end < 0:
            return None
        size = self._number(self._pos + header + 1, end)
        if not 0 <= size <= limit:
            return b""
        start = end + 2 - self._pos
        if len(self._data) - self._pos < start + size and not self._await(start + size):
            return None
        return self._data[self._pos + start : self._pos + start + size]

    def short_line(self, limit: int) -> bytes | None:
        """The line at the head, CRLF included, if its text has less than `limit` bytes, else b""; None: need more.

        Nothing is consumed.
        """
        end = self._data.find(b"\r\n", self._pos, self._pos + limit)
        if end < 0 and len(self._data) - self._pos < limit:
            self._join()
            end = self._data.find(b"\r\n", self._pos, self._pos + limit)
        if end >= 0:
            return self._data[self._pos : end + 2]
        return b"" if len(self._data) - self._pos >= limit else None

    def line(self) -> bytes | None:
        """The whole line at the head, CRLF included, consumed; None: need more."""
        end = -1 if self._lineless else self._line_feed()
        if end < 0:
            if self.buffered >= MAX_LINE_BYTES:
                raise FramingError("a line without end")
            self._lineless = True
            return None
        if end == self._pos or self._data[end - 1] != _CR:
            raise FramingError("a line without its CR")
        return self._take(end + 1)

    def enter(self) -> bytes | None:
        """The header of the aggregate at the head, consumed: its elements follow. None: need more."""
        end = self._header_end(0)
        return None if end < 0 else self._take(end + 2)

    def bulk(self) -> bytes | None:
        """The payload of the bulk at the head (not null: see `length`), consumed; None: need more."""
        end = self._header_end(0)
        if end < 0:
            return None
        size = self._number(self._pos + 1, end)
        if size < 0:
            raise FramingError("a null in place of a bulk")
        whole = end + 2 + size + 2 - self._pos
        if len(self._data) - self._pos < whole and not self._await(whole):
            return None
        stop = self._pos + whole
        if self._data[stop - 2 : stop] != b"\r\n":
            raise FramingError("a bulk without its CRLF")
        payload = self._data[stop - 2 - size : stop - 2]
        self._pos = stop
        return payload

    def whole_bulks(self, most: int, limit: int) -> list[bytes]:
        """The payloads of the bulks at the head, as far as they are whole: at most `most`, and of `limit` bytes in all.

        Nothing is consumed: see `skip`.
        """
        data, pos = self._data, self._pos
        payloads: list[bytes] = []
        self._ends.clear()
        while len(payloads) < most:
            end = data.find(b"\r\n", pos, pos + MAX_HEADER_BYTES)
            if end < 0 or data[pos] != _BULK or not (text := data[pos + 1 : end]).isdigit():
                break
            limit -= int(text)
            stop = end + 2 + int(text)
            if limit < 0 or data[stop : stop + 2] != b"\r\n":
                break
            payloads.append(data[end + 2 : stop])
            pos = stop + 2
            self._ends.append(pos)
        return payloads

    def skip(self, count: int) -> None:
        """Move past as many of the bulks that `whole_bulks` has given just before."""
        if count:
            self._pos = self._ends[count - 1]
            self._ends.clear()

    def forward_plain(self, most: int, out: list[bytes]) -> int:
        """Move up to `most` whole values that need no look, untouched: bulks, nulls, statuses and numbers.

        How many it was; 0: need more, or the next is something else.
        """
        data, start = self._data, self._pos
        pos, size, count = start, len(self._data), 0
        while count < most and pos < size:
            kind = data[pos]
            end = data.find(b"\r\n", pos, pos + MAX_HEADER_BYTES)
            if end < 0:
                break
            if kind == _BULK:
                text = data[pos + 1 : end]
                if text.isdigit():
                    end += 2 + int(text)
                    if data[end : end + 2] != b"\r\n":
                        break
                elif text != b"-1":
                    break
            elif kind not in _PLAIN_LINES or data.find(b"\n", pos, end) >= 0:
                break
            pos = end + 2
            count += 1
        if count:
            out.append(data[start:pos])
            self._pos = pos
            self._lineless = False
        return count

    def forward(self, out: list[bytes]) -> bool:
        """Move what is there of the value at the head to `out`, untouched; True: it is whole.

        It may be called with another `out` each time. A push or attribute at the head is a value of its own.
        """
        while not (whole := self._forward(out)):
            if not self._join():
                break
        return whole

    def _forward(self, out: list[bytes]) -> bool:
        data, pos, start, size = self._data, self._pos, self._pos, len(self._data)
        left = self._values_left
        outermost = not left
        if outermost:
            left = 1
        while left and pos < size:
            if self._bulk_left:
                pos = self._skip_bulk(pos)
                left -= not self._bulk_left
                continue
            kind = data[pos]
            if self._in_line or kind in _LINES:
                pos = self._skip_line(pos)
                left -= not self._in_line
                continue
            end = data.find(b"\r\n", pos, pos + MAX_HEADER_BYTES)
            if end < 0:
                if size - pos >= MAX_HEADER_BYTES:
                    raise FramingError("a header without end")
                break
            count = self._number(pos + 1, end)
            if kind in _BULKS:
                if count < 0:
                    left -= 1
                elif data[end + 2 + count : end + 4 + count] == b"\r\n":  # whole, as most are: no call for it
                    left -= 1
                    end += count + 2
                else:
                    self._bulk_left = count + 2
            elif kind in _ELEMENTS_PER_COUNT:
                counted = outermost or kind not in _UNCOUNTED
                left += max(count, 0) * _ELEMENTS_PER_COUNT[kind] - counted
            else:
                self._unknown(kind)
            outermost = False
            pos = end + 2
        if pos > start:
            out.append(data[start:pos])
            self._pos = pos
            self._lineless = False
            # Not begun is not "one to go": until a first byte has moved, the value is still untouched.
            self._values_left = left
        return not left

    def _skip_bulk(self, pos: int) -> int:
        """Move past what is there of the bulk being forwarded; its last two bytes must be a CRLF."""
        data = self._data
        step = min(self._bulk_left, len(data) - pos)
        pos += step
        self._bulk_left -= step
        if self._bulk_left == 0:
            # With a step of one the CR was the last byte of an earlier one, and seen there.
            whole = data[pos - 1] == _LF and (step == 1 or data[pos - 2] == _CR)
        else:
            whole = self._bulk_left > 1 or data[pos - 1] == _CR
        if not whole:
            raise FramingError("a bulk without its CRLF")
        return pos

    def _skip_line(self, pos: int) -> int:
        """Move past what is there of the line being forwarded."""
        data = self._data
        end = data.find(b"\n", pos)
        if end < 0:
            self._in_line, self._after_cr = True, data[-1] == _CR
            return len(data)
        if not (data[end - 1] == _CR if end > pos else self._after_cr):
            raise FramingError("a line without its CR")
        self._in_line = False
        return end + 1

    def _take(self, stop: int) -> bytes:
        piece = self._data[self._pos : stop]
        self._pos = stop
        return piece

    def _header_end(self, offset: int) -> int:
        """Where the CRLF of the header begins that is `offset` bytes behind the head; -1: need more."""
        while True:
            start = self._pos + offset
            end = self._data.find(b"\r\n", start, start + MAX_HEADER_BYTES)
            if end < 0 and len(self._data) - start >= MAX_HEADER_BYTES:
                raise FramingError("a header without end")
            if end >= 0 or not self._join():
                return end

    def _line_feed(self) -> int:
        """Where the first LF from the head on is, joined only if it is there; -1: need more."""
        end = self._data.find(b"\n", self._pos, self._pos + MAX_LINE_BYTES)
        if end < 0 and any(b"\n" in piece for piece in self._held):
            self._join()
            end = self._data.find(b"\n", 0, MAX_LINE_BYTES)
        return end

    def _unknown(self, kind: int) -> NoReturn:
        raise FramingError(f"unknown reply type {kind:#04x}")

    def _number(self, start: int, end: int) -> int:
        text = self._data[start:end]
        if text.isdigit():
            return int(text)
        if text == b"-1":
            return -1
        raise FramingError("a header without a number")

    def _await(self, size: int) -> bool:
        """Whether `size` bytes from the head on are there, joined only if they are."""
        return self.buffered >= size and self._join()

    def _join(self) -> bool:
        """Put what is held behind `_data`; False: nothing is held."""
        if not self._held:
            return False
        self._data = b"".join((self._data[self._pos :], *self._held))
        self._pos = self._held_size = 0
        self._held.clear()
        return True
