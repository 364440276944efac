"""A Redis connection in raw bytes: what is sent and what comes back, nothing interpreted, nothing lost."""

import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from tests.e2e.proxy_process import Address, connected

_ELEMENTS = {b"*": 1, b"~": 1, b">": 1, b"%": 2, b"|": 2}
_BULKS = (b"$", b"=", b"!")


def request(*args: bytes | str) -> bytes:
    """A command on the wire."""
    words = [arg.encode() if isinstance(arg, str) else arg for arg in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def pipeline(*lines: str) -> bytes:
    """Several commands, each written as a line of words."""
    return b"".join(request(*line.split()) for line in lines)


class Wire:
    """One connection."""

    def __init__(self, address: Address) -> None:
        """Connect."""
        self.socket = connected(address)
        self.received = bytearray()
        """All that has come and not been taken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Vanish."""
        self.socket.close()

    def send(self, data: bytes, cut: Callable[[bytes], Iterable[bytes]] = lambda data: [data]) -> None:
        """Send bytes, in the pieces that `cut` makes of them."""
        for piece in cut(data):
            self.socket.sendall(piece)

    def send_no_more(self) -> None:
        """Close our direction only."""
        self.socket.shutdown(socket.SHUT_WR)

    def _receive(self) -> bool:
        data = self.socket.recv(256 * 1024)
        self.received += data
        return bool(data)

    def reply(self) -> bytes:
        """The next whole value, raw."""
        while (end := end_of_value(self.received, 0)) < 0:
            assert self._receive(), f"closed after {bytes(self.received[:200])!r}"
        value = bytes(self.received[:end])
        del self.received[:end]
        return value

    def replies(self, count: int) -> bytes:
        """The next `count` values, raw."""
        return b"".join(self.reply() for _ in range(count))

    def __call__(self, *args: bytes | str) -> bytes:
        """A command, and its reply."""
        self.send(request(*args))
        return self.reply()

    def until(self, pattern: bytes) -> bytes:
        """All that comes up to and including the first match of a pattern."""
        wanted = re.compile(pattern, re.DOTALL)
        while not (found := wanted.search(self.received)):
            assert self._receive(), f"closed after {bytes(self.received[-200:])!r}"
        taken = bytes(self.received[: found.end()])
        del self.received[: found.end()]
        return taken

    def until_closed(self) -> bytes:
        """All that comes until the other side closes (a reset counts as that)."""
        try:
            while self._receive():
                pass
        except ConnectionResetError:
            pass
        taken = bytes(self.received)
        self.received.clear()
        return taken


def end_of_value(data: bytearray, start: int) -> int:
    """Where the value that begins at `start` ends; -1: not all there."""
    left = 1
    at = start
    while left:
        end = data.find(b"\r\n", at)
        if end < 0:
            return -1
        kind, header = bytes(data[at : at + 1]), bytes(data[at + 1 : end])
        at = end + 2
        left -= 1
        if kind in _BULKS:
            if header != b"-1":
                at += int(header) + 2
                if at > len(data):
                    return -1
        elif kind in _ELEMENTS:
            left += max(int(header), 0) * _ELEMENTS[kind] + (kind == b"|")
    return at


def is_served(address: Address) -> bool:
    """Whether a new client gets an answer."""
    with suppress(AssertionError, OSError), Wire(address) as client:
        return client("PING") == b"+PONG\r\n"
    return False
