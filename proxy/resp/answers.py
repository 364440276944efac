"""Parses the answers to the proxy's own queries. Each answer is read completely, under bounds far above real answers.

A malicious server could declare a size that it does not send. So memory is allocated only for received bytes. Only
RESP2 types are accepted. (Replies to clients are never held here: `reply_framer` streams them.)
"""

from dataclasses import dataclass
from typing import Final

from proxy.resp.errors import FramingError

MAX_BYTES: Final = 64 * 1024
MAX_ELEMENTS: Final = 2 * 1024
"""In all arrays of an answer together. They take about 5 ms. COMMAND INFO CLUSTER has the most: 562."""
MAX_SLOTS_BYTES: Final = 8 * 1024 * 1024
"""For CLUSTER SLOTS. In the worst case each of the 16384 slots is a range of its own, with several nodes."""
MAX_SLOTS_ELEMENTS: Final = 512 * 1024
MAX_DEPTH: Final = 16
"""The limit for nested arrays. COMMAND INFO OBJECT has 8 levels."""
_LONGEST_NUMBER: Final = 19


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error of the server."""

    text: str


Answer = str | int | ErrorAnswer | list["Answer"] | None
"""Statuses and bulk strings are str. Both kinds of null are None."""


class AnswerReader:
    """An incremental parser of answers."""

    __slots__ = ("_at", "_buffer", "_elements", "_errors", "_max_bytes", "_max_elements", "_open")

    def __init__(self, errors: str = "replace", max_bytes: int = MAX_BYTES, max_elements: int = MAX_ELEMENTS) -> None:
        """`errors`: how to decode bytes that are not UTF-8. "surrogateescape" keeps them, as lone surrogates."""
        self._errors = errors
        self._max_bytes = max_bytes
        self._max_elements = max_elements
        self._buffer = bytearray()
        self._at = 0  # the number of parsed bytes in it
        self._elements = 0
        self._open: list[tuple[list[Answer], int]] = []  # unfinished arrays with their lengths, innermost last

    def feed(self, data: bytes) -> list[Answer]:
        """The answers that end in `data`. Raises FramingError for invalid bytes or an answer over a bound."""
        self._buffer += data
        answers: list[Answer] = []
        while (found := self._next()) is not None:
            self._limit_bytes(self._at)
            answers += found
            self._elements = 0
            del self._buffer[: self._at]
            self._at = 0
        self._limit_bytes(len(self._buffer))
        return answers

    def _next(self) -> list[Answer] | None:
        """The next answer, in a list because it may be None. None: it is incomplete."""
        while (value := self._value()) is not None:
            while value:
                if not self._open:
                    return value
                array, size = self._open[-1]
                array += value
                value = []
                if len(array) == size:
                    self._open.pop()
                    value = [array]
        return None

    def _value(self) -> list[Answer] | None:
        """A list of one value, an empty list after the header of an array, or None if bytes are missing."""
        end = self._buffer.find(b"\r\n", self._at, self._at + self._max_bytes)
        if end < 0:
            return None
        kind, text = self._buffer[self._at : self._at + 1], bytes(self._buffer[self._at + 1 : end])
        if kind == b"$":
            return self._bulk(_number(text), end + 2)
        self._at = end + 2
        if kind == b"*":
            return self._array(_number(text))
        if kind == b"+":
            return [text.decode("utf-8", self._errors)]
        if kind == b"-":
            return [ErrorAnswer(text.decode("utf-8", "replace"))]
        if kind == b":":
            return [_number(text)]
        raise FramingError("an answer of an unknown type")

    def _bulk(self, size: int, start: int) -> list[Answer] | None:
        if size < 0:
            self._at = start
            return [None]
        stop = start + size
        self._limit_bytes(stop)
        if len(self._buffer) < stop + 2:
            return None
        if self._buffer[stop : stop + 2] != b"\r\n":
            raise FramingError("a bulk without its CRLF")
        self._at = stop + 2
        return [self._buffer[start:stop].decode("utf-8", self._errors)]

    def _limit_bytes(self, size: int) -> None:
        if size > self._max_bytes:
            raise FramingError(f"an answer of more than {self._max_bytes} bytes")

    def _array(self, size: int) -> list[Answer]:
        if size < 0:
            return [None]
        self._elements += size
        if self._elements > self._max_elements or len(self._open) >= MAX_DEPTH:
            raise FramingError(
                f"an answer of more than {self._max_elements} elements, or nested deeper than {MAX_DEPTH}"
            )
        if size:
            self._open.append(([], size))
            return []
        return [[]]


def _number(text: bytes) -> int:
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > _LONGEST_NUMBER:
        raise FramingError("an answer with an invalid number")
    return int(text)
