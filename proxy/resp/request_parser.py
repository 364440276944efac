"""The parser of a client's requests. It uses two readers.

Contract: `feed` takes the bytes of a read. `next` returns one request, raises ProtocolError, or returns None. None
means "more bytes are needed", or "call again" while `has_more` is true. Every request is encoded again or proven
canonical. Redis and hiredis both accept more than the standard form, and a difference between them would let a client
smuggle a command past the rules.

  - `hiredis_reader` reads the complete canonical commands at the head of a read. Nearly all commands are such.
  - `strict_reader` reads the rest: cut, inline, long, unusual and malformed commands.
"""

from typing import Final

from proxy.resp.errors import ProtocolError
from proxy.resp.hiredis_reader import begins_command, read_commands
from proxy.resp.limits import RequestLimits
from proxy.resp.request import Request
from proxy.resp.strict_reader import SHORT, StrictReader

_MOST_EMPTY: Final = 200
"""One call of `next` skips at most so many empty lines and commands, so that it takes little time."""

POSTPONED: Final = 16 * 1024
"""The beginning of a command, of at most so many bytes, is postponed: it is read together with the next read.

If the command has ten arguments or more, `SHORT` is the limit, because looking at many would take long.
"""

_OBJECT: Final = 64
"""The approximate overhead of Python for an argument or a request, in bytes."""


class RequestParser:
    """An incremental parser of one client's stream."""

    __slots__ = (
        "_arrived",
        "_empty",
        "_error",
        "_is_straight",
        "_strict",
        "_unread",
        "absorbed",
        "absorbs",
        "is_dry",
        "ready",
    )
    _read_commands = staticmethod(read_commands)

    def __init__(self, limits: RequestLimits) -> None:
        """`limits`: a request over them raises ProtocolError as soon as a header shows it."""
        self._arrived: list[Request] = []  # complete requests, in order
        self.ready: list[Request] = []  # a deque would take more memory
        """The requests that `next` will return, in reverse order. The caller may read them and pop from the end."""
        self._strict = StrictReader(limits, self._arrived)
        self._is_straight = False  # the strict reader is empty, and inline commands are over
        self._unread = False  # the strict reader's buffer may have a complete request
        self.absorbs = 0
        """Missing bytes of the current argument; 0: no argument, or not known."""
        self.absorbed = False
        """The last read did not complete the current argument, so there is nothing to do."""
        self.is_dry = False
        """Every byte is parsed, and every parsed request is `ready`. The hot path then needs no call of `next`."""
        self._error: ProtocolError | None = None
        self._empty = 0  # skipped empty lines and commands since the last pause for them

    @property
    def limits(self) -> RequestLimits:
        """The limits, which may change between two calls."""
        return self._strict.limits

    @limits.setter
    def limits(self, limits: RequestLimits) -> None:
        self._strict.limits = limits

    @property
    def begun(self) -> bool:
        """True once a request has been read."""
        return self._strict.begun

    @property
    def buffered(self) -> int:
        """Bytes of the incomplete request, without the parsed headers."""
        return self._strict.buffered

    @property
    def under_way(self) -> tuple[int, int]:
        """The declared size of the current request: its arguments, and the bytes of its longest argument so far."""
        return self._strict.under_way

    @property
    def memory(self) -> int:
        """An upper estimate of the parser's memory in bytes, with the requests that are not taken yet."""
        waiting = (*self.ready, *self._arrived)
        requests = sum(_OBJECT * (2 + len(args)) + stop - start for args, _, start, stop in waiting)
        chunks = {id(request.chunk): len(request.chunk) for request in waiting}
        return self._strict.memory + requests + sum(chunks.values())

    @property
    def has_more(self) -> bool:
        """True if `next` may return a request or raise an error without more bytes."""
        return bool(self.ready or self._arrived) or self._unread or self._error is not None

    def next(self) -> Request | None:
        """The next complete request, or None. Raises ProtocolError after all requests before the error.

        After many skipped empty lines it also returns None. Then `has_more` is true.
        """
        if self.ready:
            return self.ready.pop()
        if self._unread and not self._arrived:
            self._read_on()
        if self._arrived:
            self.ready = self._arrived[::-1]
            self._arrived.clear()
            return self.ready.pop()
        if self._error is not None:
            raise self._error
        if not self._is_straight:
            self.absorbs = 0 if self._unread else self._strict.missing
        return None

    def feed(self, data: bytes) -> None:
        """Take the bytes of a read. After an error they are ignored."""
        if self.absorbs:
            self.absorbs = max(self.absorbs - len(data), 0)
            self.absorbed = self.absorbs > 0
            if self.absorbed:  # a large value comes in a thousand small reads
                self._strict.buffer += data
                return
        if self._is_straight:
            read = self._read_commands(data, self._strict.limits, self._arrived)
            self.is_dry = read == len(data) and not self.ready
            if self.is_dry:
                self.ready = self._arrived[::-1]
                self._arrived.clear()
            elif read < len(data):
                self._leave(data[read:], may_postpone=True)
        elif data and self._error is None:
            try:
                self._feed(data)
            except ProtocolError as error:
                self._fail(error)
            self.is_dry = self._is_straight and not self.ready
            if self.is_dry:
                self.ready = self._arrived[::-1]
                self._arrived.clear()

    def feed_cut(self, data: bytes) -> None:
        """As `feed`, for a command that is not whole, while the parser is dry."""
        self._leave(data, may_postpone=False)
        self.is_dry = False

    def may_postpone(self, data: bytes) -> bool:
        """True if `data` is the short, valid beginning of a command, within the limits so far."""
        limits = self._strict.limits
        is_short = len(data) <= (POSTPONED if data[2:3] == b"\r" else SHORT)
        return is_short and data.startswith(b"*") and begins_command(data, limits.arguments, self._strict.most_bytes)

    def take_beginning(self) -> bytes:
        """Remove the postponed beginning of a command, if the parser holds nothing else. It is dry then."""
        strict = self._strict
        if self._unread or self.ready or self._arrived or strict.takes_inline or not strict.begun:
            return b""
        beginning = strict.take_postponed()
        if beginning:
            strict.is_postponed = False
            self._is_straight = self.is_dry = True
        return beginning

    def adopt(self, awaited: int, size: int, *, in_body: bool) -> None:
        """Read the rest of a command whose beginning has not gone through the parser. See `StrictReader.adopt`."""
        self._strict.adopt(awaited, size, in_body=in_body)
        self._is_straight = self.is_dry = False

    def hurry(self) -> bool:
        """Parse a postponed beginning now, so that its headers count. False if there is no such beginning."""
        self._unread, self._strict.is_postponed = self._unread or self._strict.is_postponed, False
        return self._unread

    def _feed(self, data: bytes) -> None:
        strict = self._strict
        if self._unread or len(data) < strict.missing:
            strict.buffer += data
            return
        if beginning := strict.take_postponed():
            data = beginning + data
        elif not strict.is_between_commands:
            data = strict.complete(data)
            if not data:
                self._is_straight = strict.is_between_commands and strict.begun and not strict.takes_inline
                return
        read = 0
        if strict.begun or len(data) <= strict.limits.first_bytes:
            before = len(self._arrived)
            read = self._read_commands(data, strict.limits, self._arrived)
            if read:
                strict.saw(self._arrived[before:])
                data = data[read:]
        self._leave(data, may_postpone=read >= len(beginning))

    def _leave(self, data: bytes, *, may_postpone: bool) -> None:
        """Give the strict reader the bytes that hiredis left. `may_postpone`: no byte of them was postponed before."""
        strict = self._strict
        strict.is_postponed = may_postpone and self.may_postpone(data)
        self._unread = bool(data) and not strict.is_postponed
        strict.buffer += data
        self._is_straight = strict.begun and not strict.takes_inline and not data

    def _read_on(self) -> None:
        """Let the strict reader read one request. This slow work is done only when `next` needs it."""
        try:
            while not self._arrived and self._unread:
                self._unread = self._strict.step() and not self._strict.is_postponed
                self._empty += not (self._strict.awaited or self._arrived)
                if self._empty > _MOST_EMPTY:
                    self._empty = 0
                    return
        except ProtocolError as error:
            self._fail(error)

    def _fail(self, error: ProtocolError) -> None:
        self._error = error
        self._unread = False
        self._strict.clear()
