"""The splitter of a shared connection: it finds the end of each reply, and says whose it is. The bytes stay raw.

`split` gives each owner the bytes that it is owed, in order. Its replies in a row come in one piece. A reply that is
not complete yet is handed on in parts, whatever its length. Only a cut header waits for its rest.

In any doubt, `split` gives the replies before it, and sets `fault`. The doubts are a reply that nobody is owed, a push,
an attribute, and bytes that are not RESP.

`ReplyFramer` is for one conversation, and looks into replies. Errors have the same texts there.
"""

from typing import Any, Final, NoReturn, Protocol, TypeVar

from proxy.resp.errors import FramingError
from proxy.resp.reply_framer import MAX_HEADER_BYTES, check_bulk

_Owner = TypeVar("_Owner", covariant=True)

_LINES: Final = frozenset(b"+-:_#,(")
_BULKS: Final = frozenset(b"$=!")
_ELEMENTS_PER_COUNT: Final = {ord("*"): 1, ord("~"): 1, ord("%"): 2}
_OUT_OF_TURN: Final = {ord(">"): "a push", ord("|"): "an attribute"}
"""Redis sends them only to clients that have asked for them. On a shared connection nobody may."""
_MAX_DIGITS: Final = 15
_CR: Final = ord("\r")


class Owed(Protocol[_Owner]):
    """The owners of the replies that are to come, as `proxy.session.runs.Runs` keeps them."""

    @property
    def first(self) -> _Owner:
        """The owner of the next reply."""

    @property
    def first_count(self) -> int:
        """The number of replies in a row that are its. 0: no reply is owed."""

    def take_runs(self, count: int) -> None:
        """Remove the owners of so many replies."""


class ReplySplitter:
    """See the module. One for each connection."""

    __slots__ = ("_after_cr", "_bulk_left", "_in_line", "_passed", "_rest", "_values_left", "fault")

    def __init__(self) -> None:
        self._rest = b""  # a cut header
        self._values_left = 0  # unfinished values in the reply that has begun, with nested ones
        self._bulk_left = 0  # remaining bytes of its current bulk string, with the CRLF
        self._in_line = False  # a line is partly handed on
        self._after_cr = False  # the last byte of that line was a CR
        self._passed = 0  # bytes of the reply that has begun
        self.fault = ""
        """The reason why the connection must close. Empty: there is none."""

    @property
    def unfinished(self) -> int:
        """The length of the reply that has begun, as far as its headers tell. 0: the next reply has not begun."""
        return self._passed + self._bulk_left

    def split(self, data: bytes, owed: Owed[Any]) -> list[tuple[Any, bytes, int]]:
        """Take the bytes of a read. Returns owners, their bytes, and how many replies end in these.

        The replies that end are taken from `owed`.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        parts: list[tuple[Any, bytes, int]] = []
        start = pos = whole = 0  # the beginning of the owner's bytes, the end of its last whole reply, and their number
        end, is_over = 0, True
        while end < len(data):
            try:
                end, is_over = self._reply(data, pos, owed.first_count)
            except FramingError as error:
                self.fault, end = str(error), pos
                break
            if not is_over:
                break
            whole, pos, self._passed = whole + 1, end, 0
            if whole == owed.first_count:
                parts.append((owed.first, data[start:pos], whole))
                owed.take_runs(whole)
                start, whole = pos, 0
        if end > start:
            parts.append((owed.first, data[start:end], whole))
            owed.take_runs(whole)
        if not self.fault:
            self._passed += end - pos
            self._rest = data[end:]
        return parts

    def _reply(self, data: bytes, pos: int, owed: int) -> tuple[int, bool]:
        """Go on with the reply at `pos`. Returns where its received bytes end, and whether it does."""
        if not owed:
            raise FramingError("a reply that nobody is owed")
        start, size, left = pos, len(data), self._values_left or 1
        while left and pos < size:
            if self._bulk_left:
                pos = self._skip_bulk(data, pos)
                left -= not self._bulk_left
                continue
            kind = data[pos]
            if self._in_line or kind in _LINES:
                pos = self._skip_line(data, pos)
                left -= not self._in_line
                continue
            end = data.find(b"\r\n", pos, pos + MAX_HEADER_BYTES)
            if end < 0:
                if size - pos >= MAX_HEADER_BYTES:
                    raise FramingError("a header without end")
                break
            count = _number(data[pos + 1 : end])
            if kind in _ELEMENTS_PER_COUNT:
                left += max(count, 0) * _ELEMENTS_PER_COUNT[kind] - 1
            elif kind not in _BULKS:
                _refuse(kind)
            elif count < 0:
                left -= 1
            else:
                self._bulk_left = count + 2
            pos = end + 2
        if pos > start:
            self._values_left = left
        return pos, not left

    def _skip_bulk(self, data: bytes, pos: int) -> int:
        """The position after the received bytes of the bulk string. It must end in CRLF."""
        step = min(self._bulk_left, len(data) - pos)
        pos += step
        self._bulk_left -= step
        check_bulk(data, pos, step, self._bulk_left)
        return pos

    def _skip_line(self, data: bytes, pos: int) -> int:
        """The position after the received bytes of the line."""
        end = data.find(b"\n", pos)
        if end < 0:
            self._in_line, self._after_cr = True, data[-1] == _CR
            return len(data)
        if not (data[end - 1] == _CR if end > pos else self._after_cr):
            raise FramingError("a line without its CR")
        self._in_line = False
        return end + 1


def _number(text: bytes) -> int:
    if text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    if text == b"-1":
        return -1
    raise FramingError("a header without a number")


def _refuse(kind: int) -> NoReturn:
    raise FramingError(_OUT_OF_TURN.get(kind, f"unknown reply type {kind:#04x}"))
