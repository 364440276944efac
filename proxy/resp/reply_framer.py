"""The framer of Redis' replies. It finds the end of each reply and keeps the raw bytes.

hiredis' reader cannot be used: it does not distinguish `+OK` from `$2 OK`, and it merges nulls, sets, maps and doubles.

Contract: the caller inspects the value at the head with `kind`, `length` and `first_bulk`. Then it consumes the value:
`forward` moves it unchanged and in parts, whatever its length. `bulk`, `line` and `enter` consume one piece of it. If
bytes are missing, each method consumes nothing and returns False or None. Calling it again costs little until the
bytes have come, so a reply that comes byte by byte takes linear time. FramingError: the bytes are not RESP.

For many values at once, `head` gives the bytes, `whole_bulk` and `plain_end` look at them, and `consume_to` follows.
There, `pass_cut` takes the beginning of a bulk string whose end is missing, and `passed_end` finds that end later.

RESP3 follows https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
"""

from typing import Final, NoReturn

from proxy.resp.errors import FramingError

MAX_HEADER_BYTES: Final = 64
MAX_LINE_BYTES: Final = 64 * 1024
"""The limit for a status or error that is read as a whole, in bytes with the CRLF."""

_LINES: Final = frozenset(b"+-:_#,(")
_PLAIN_LINES: Final = frozenset(b"+:_")
_BULK: Final = ord("$")
_BULKS: Final = frozenset(b"$=!")
_ELEMENTS_PER_COUNT: Final = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
_UNCOUNTED: Final = frozenset(b">|")
"""Pushes and attributes may come between the elements of an aggregate. They do not count as elements."""

_CR: Final = ord("\r")
_LF: Final = ord("\n")
_MINUS: Final = ord("-")

_MARK: Final = ord("!")
"""The mark of Flask's caches. A pickle follows it."""
_PROTO: Final = 0x80
_PROTOCOLS: Final = range(2, 6)
OLD_PICKLES: Final = frozenset(b"(])}NISVLFcKMJGUTX")
"""The opcodes that begin a pickle of protocol 0 or 1."""
_STOP: Final = ord(".")
_SHORT: Final = 4
"""Bytes of the longest value, with its mark, that protocol 0 writes without a line feed."""


def check_bulk(data: bytes, stop: int, step: int, left: int) -> None:
    """Check that a bulk string which comes in parts ends in CRLF. Raises FramingError.

    `stop`: the end of the part that has just come, of `step` bytes. `left`: the bytes that are missing, CRLF included.
    """
    if left == 0:
        # If this part has one byte, the CR was the last byte of an earlier part and was checked there.
        is_right = data[stop - 1] == _LF and (step == 1 or data[stop - 2] == _CR)
    else:
        is_right = left > 1 or data[stop - 1] == _CR
    if not is_right:
        raise FramingError("a bulk without its CRLF")


class ReplyFramer:
    """An incremental framer for the bytes of one connection to Redis."""

    __slots__ = (
        "_after_cr",
        "_bulk_left",
        "_data",
        "_held",
        "_held_size",
        "_in_line",
        "_lineless",
        "_pos",
        "_values_left",
        "passing",
    )

    def __init__(self) -> None:
        self._data = b""
        self._pos = 0
        self._held: list[bytes] = []  # the reads after `_data`; joined to it only when they are needed
        self._held_size = 0
        self._lineless = False  # True: there is no LF from `_pos` on, nor in `_held`
        self._values_left = 0  # unfinished values in the forwarded value, with nested ones
        self._bulk_left = 0  # remaining bytes of the forwarded bulk string, with its CRLF
        self._in_line = False  # a line is partly forwarded
        self._after_cr = False  # the last forwarded byte of that line was a CR
        self.passing = False
        """The forwarded value is a bulk string that `pass_cut` began."""

    def feed(self, data: bytes) -> None:
        """Take the bytes of a read."""
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
        """Free the memory of consumed bytes. Useful before a long wait."""
        if self._pos == len(self._data):
            self._data, self._pos = b"", 0

    @property
    def buffered(self) -> int:
        """The number of bytes that are received and not consumed."""
        return self._held_size + len(self._data) - self._pos

    @property
    def forwarding(self) -> bool:
        """True if a value is partly forwarded. `forward` continues with it."""
        return self._values_left > 0

    def kind(self) -> int:
        """The type byte of the value at the head. 0: no byte has come."""
        if self._pos == len(self._data) and not self._join():
            return 0
        return self._data[self._pos] or self._unknown(0)

    def length(self) -> int | None:
        """The number in the header at the head, without consuming it. -1: null. None: more bytes are needed."""
        end = self._header_end(0)
        return None if end < 0 else self._number(self._pos + 1, end)

    def first_bulk(self, limit: int) -> bytes | None:
        """The first element of the aggregate at the head, if it is a bulk string of at most `limit` bytes, else b"".

        Consumes nothing. None: more bytes are needed.
        """
        end = self._header_end(0)
        if end < 0:
            return None
        if self._number(self._pos + 1, end) <= 0:
            return b""
        header = end + 2 - self._pos  # relative to `_pos`, because joining changes `_pos`
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
        """The line at the head with its CRLF, if its text has less than `limit` bytes, else b"".

        Consumes nothing. None: more bytes are needed.
        """
        end = self._data.find(b"\r\n", self._pos, self._pos + limit)
        if end < 0 and len(self._data) - self._pos < limit:
            self._join()
            end = self._data.find(b"\r\n", self._pos, self._pos + limit)
        if end >= 0:
            return self._data[self._pos : end + 2]
        return b"" if len(self._data) - self._pos >= limit else None

    def line(self) -> bytes | None:
        """Consume the line at the head. Returns it with its CRLF. None: more bytes are needed."""
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
        """Consume the header of the aggregate at the head, so that its first element is next. None: see `line`."""
        end = self._header_end(0)
        return None if end < 0 else self._take(end + 2)

    def bulk(self) -> bytes | None:
        """Consume the bulk string at the head, which must not be null. Returns its payload. None: see `line`."""
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

    def head(self) -> tuple[bytes, int]:
        """The bytes at the head that need no join, and the position of the first one that is not consumed."""
        return self._data, self._pos

    def consume_to(self, end: int) -> None:
        """Consume the bytes of `head` before the position `end`, which is the end of a value."""
        self._pos, self._lineless = end, False
        self.let_go()

    def passed_end(self) -> int:
        """The end of the bulk string that `pass_cut` began, in the bytes of `head`. 0: it does not end there."""
        end = self._pos + self._bulk_left
        return end if self._bulk_left > 1 and self._data[end - 2 : end] == b"\r\n" else 0

    def end_passing(self) -> None:
        """Forget the bulk string that `pass_cut` began: its end is consumed next."""
        self.passing = False
        self._values_left = self._bulk_left = 0

    def pass_cut(self, pos: int) -> bool:
        """Begin to forward the bulk string at `pos`, or go on with the one that is forwarded.

        The bytes of `head` must end in its body, and are all consumed. False: they do not, so nothing changes.
        """
        rest = len(self._data) - pos
        missing = self._bulk_left
        if not self.passing:
            start, size = bulk_header(self._data, pos)
            missing = start - pos + size + 2 if start else 0
        if self._held or not 0 < rest <= missing - 2:
            return False
        self._bulk_left, self._values_left, self.passing = missing - rest, 1, True
        self.consume_to(pos + rest)
        return True

    def forward(self, out: list[bytes]) -> bool:
        """Move the received bytes of the value at the head to `out`, unchanged. True if the value is complete.

        Each call may use another `out`. A push or attribute at the head counts as a value.
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
                elif data[end + 2 + count : end + 4 + count] == b"\r\n":  # complete: the usual case, without a call
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
            # Only after a byte has moved: before that, the value is not partly forwarded.
            self._values_left = left
            self.passing = self.passing and left > 0
        return not left

    def _skip_bulk(self, pos: int) -> int:
        """Return the position after the received bytes of the forwarded bulk string. It must end in CRLF."""
        data = self._data
        step = min(self._bulk_left, len(data) - pos)
        pos += step
        self._bulk_left -= step
        check_bulk(data, pos, step, self._bulk_left)
        return pos

    def _skip_line(self, pos: int) -> int:
        """Return the position after the received bytes of the forwarded line."""
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
        """The position of the CRLF of the header that is `offset` bytes after the head. -1: more bytes are needed."""
        while True:
            start = self._pos + offset
            end = self._data.find(b"\r\n", start, start + MAX_HEADER_BYTES)
            if end < 0 and len(self._data) - start >= MAX_HEADER_BYTES:
                raise FramingError("a header without end")
            if end >= 0 or not self._join():
                return end

    def _line_feed(self) -> int:
        """The position of the first LF. Joins `_held` only if there is one. -1: more bytes are needed."""
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
        """True if `size` bytes have come from the head on. Only then `_held` is joined."""
        return self.buffered >= size and self._join()

    def _join(self) -> bool:
        """Append `_held` to `_data`. False if `_held` is empty."""
        if not self._held:
            return False
        self._data = b"".join((self._data[self._pos :], *self._held))
        self._pos = self._held_size = 0
        self._held.clear()
        return True


def whole_bulk(data: bytes, pos: int) -> tuple[int, int]:
    """The start and end of the payload, if a complete bulk string is at `pos`; otherwise 0 and 0."""
    start, size = bulk_header(data, pos)
    stop = start + size
    return (start, stop) if start and data[stop : stop + 2] == b"\r\n" else (0, 0)


def bulk_header(data: bytes, pos: int) -> tuple[int, int]:
    """The start and the size of the payload, if the complete header of a bulk string is at `pos`; else 0 and 0."""
    end = data.find(b"\r\n", pos, pos + MAX_HEADER_BYTES)
    if end < 0 or data[pos] != _BULK or not (text := data[pos + 1 : end]).isdigit():
        return 0, 0
    return end + 2, int(text)


def plain_end(data: bytes, pos: int) -> int:
    """The end of the plain value at `pos`, if it is complete: a bulk string, null, status or number. Otherwise -1."""
    end = data.find(b"\r\n", pos, pos + MAX_HEADER_BYTES)
    if end < 0:
        return -1
    if data[pos] in _PLAIN_LINES:
        return end + 2 if data.find(b"\n", pos, end) < 0 else -1
    if data.startswith(b"$-1", pos) and end == pos + 3:
        return end + 2
    _, stop = whole_bulk(data, pos)
    return stop + 2 if stop else -1


def is_flask(data: bytes, start: int) -> bool:
    """Whether a whole value of RESP is a bulk string with the mark of Flask's caches and a pickle."""
    if data[start] != _BULK or data[start + 1] == _MINUS:
        return False
    at = data.find(b"\r\n", start) + 2
    if data[at] != _MARK:
        return False
    if data[at + 1] == _PROTO:
        return data[at + 2] in _PROTOCOLS
    stop = at + int(data[start + 1 : at - 2])
    if data[at + 1] not in OLD_PICKLES or data[stop - 1] != _STOP:
        return False
    return stop - at <= _SHORT or data.find(b"\n", at, stop) >= 0
