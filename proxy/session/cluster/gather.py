"""Makes one reply of several: the replies of all masters, or of the parts of one request."""

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Final

from proxy.commands import Spread
from proxy.resp import FramingError
from proxy.session import topology

_ERRORS: Final = b"-!"


class Verdict:
    """Whether a lane has accepted a command. Several entries share it."""

    __slots__ = ("_then", "is_accepted")

    def __init__(self, then: Callable[[bool], None] = lambda _: None) -> None:
        """`then` is called with the verdict."""
        self.is_accepted: bool | None = None
        """None: its reply has not come."""
        self._then = then

    def settle(self, is_accepted: bool) -> None:
        """The reply has come."""
        self.is_accepted = is_accepted
        self._then(is_accepted)


ACCEPTED: Final = Verdict()
ACCEPTED.is_accepted = True
"""That of a command which the proxy has answered."""


class How(Enum):
    """The way to put replies together. The first error wins always."""

    SUM = auto()
    FIRST = auto()
    EACH_LEAST = auto()
    EACH_SUM = auto()


HOW: Final = {
    Spread.SUM: How.SUM,
    Spread.FIRST: How.FIRST,
    Spread.EACH_LEAST: How.EACH_LEAST,
    Spread.EACH_SUM: How.EACH_SUM,
}


class Gather:
    """The parts of one reply. They come in any number of steps, in order."""

    __slots__ = ("_error", "_how", "_reply", "left")

    def __init__(self, how: How, parts: int) -> None:
        """`parts`: the number of replies that will come."""
        self._how = how
        self.left = parts
        """Replies that are still to come."""
        self._reply = b""
        self._error = b""

    @property
    def is_whole(self) -> bool:
        """All replies have come."""
        return not self.left

    def add(self, reply: bytes) -> None:
        """Take a whole reply. Raises FramingError if it is of another kind than was asked for."""
        self.left -= 1
        if reply[0] in _ERRORS:
            self._error = self._error or (topology.NOT_FOLLOWED if topology.redirects(reply) else reply)
        elif not self._reply:
            _CHECK[self._how](reply, reply)
            self._reply = reply
        else:
            self._reply = _CHECK[self._how](self._reply, reply)

    def result(self) -> bytes:
        """The reply for the client."""
        return self._error or self._reply


def _number(reply: bytes) -> int:
    digits = reply[1:-2]
    if reply[:1] != b":" or not digits.removeprefix(b"-").isdigit() or len(digits) > 20:
        raise FramingError("a number was asked for")
    return int(digits)


def _sum(one: bytes, other: bytes) -> bytes:
    return b":%d\r\n" % (_number(one) + _number(other))


def _first(one: bytes, _other: bytes) -> bytes:
    return one


def _each_least(one: bytes, other: bytes) -> bytes:
    return _array([b":%d\r\n" % min(_number(a), _number(b)) for a, b in _pairs(one, other)])


def _each_sum(one: bytes, other: bytes) -> bytes:
    """Names and numbers take turns."""
    pairs = _pairs(one, other)
    return _array([a if at % 2 == 0 else _sum(a, b) for at, (a, b) in enumerate(pairs)])


def _pairs(one: bytes, other: bytes) -> list[tuple[bytes, bytes]]:
    ours, theirs = topology.elements_of(one)[1], topology.elements_of(other)[1]
    if one[:1] != b"*" or len(ours) != len(theirs):
        raise FramingError("an array of another length than was asked for")
    return list(zip(ours, theirs, strict=True))


def _array(elements: list[bytes]) -> bytes:
    return b"*%d\r\n%b" % (len(elements), b"".join(elements))


_CHECK: Final = {How.SUM: _sum, How.FIRST: _first, How.EACH_LEAST: _each_least, How.EACH_SUM: _each_sum}


def count_of(raw: bytes) -> int:
    """The number of arguments of such a request as `arguments` takes."""
    return int(raw[1 : raw.index(b"\r\n")])


def arguments(raw: bytes) -> list[bytes]:
    """The arguments of a request in canonical RESP, such as our own encoder writes."""
    return [*each_argument(raw)]


def each_argument(raw: bytes) -> Iterator[bytes]:
    """As `arguments`, one by one."""
    at = raw.index(b"\r\n") + 2
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        stop = end + 2 + int(raw[at + 1 : end])
        yield raw[end + 2 : stop]
        at = stop + 2
