"""A relay that does to a connection what networks do: it cuts, resets, delays and splits.

A *line* is one direction of one connection: a function that is given what came, and says step by step what becomes of
it.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum, auto
from typing import Self

from tests.e2e.proxy_process import Address, connected


class End(Enum):
    """How a connection ends."""

    FINISH = auto()
    """Nothing more comes in this direction; the other still flows."""
    CLOSE = auto()
    """Both sides are closed; for what is still unread, the system resets them."""
    RESET = auto()


Line = Callable[[bytes], Iterator[bytes | float | End]]
"""Bytes are passed on, a number is seconds to wait, an End is the end."""

Lines = Callable[[], tuple[Line, Line]]
"""Makes those of a connection: towards the target, and back."""


def straight(data: bytes) -> Iterator[bytes | float | End]:
    """As it came."""
    yield data


def cut_after(count: int, how: End = End.CLOSE) -> Line:
    """So many bytes pass."""
    left = count

    def line(data: bytes) -> Iterator[bytes | float | End]:
        nonlocal left
        yield data[:left]
        left -= len(data)
        if left <= 0:
            yield how

    return line


def stall_after(count: int) -> Line:
    """So many bytes pass, and then none, though nothing is closed."""
    left = count

    def line(data: bytes) -> Iterator[bytes | float | End]:
        nonlocal left
        yield data[:left]
        left = max(0, left - len(data))

    return line


def trickle(size: int, wait: float) -> Line:
    """Pieces of `size` bytes, `wait` seconds apart."""

    def line(data: bytes) -> Iterator[bytes | float | End]:
        for at in range(0, len(data), size):
            yield data[at : at + size]
            yield wait

    return line


def late(rng: random.Random, shortest: float, longest: float) -> Line:
    """All that comes, in its order, each piece some seconds later. The same `rng` makes the same delays."""

    def line(data: bytes) -> Iterator[bytes | float | End]:
        yield rng.uniform(shortest, longest)
        yield data

    return line


def trouble(rng: random.Random, ends: float) -> Line:
    """Pieces of all sizes with short waits between them, and now and then the end; `ends`: how likely at each piece."""

    def line(data: bytes) -> Iterator[bytes | float | End]:
        while data:
            size = rng.choice((1, 2, 7, 100, 1_000, 10_000, 100_000))
            yield data[:size]
            data = data[size:]
            if rng.random() < 0.2:
                yield rng.random() / 500
            if rng.random() < ends:
                yield rng.choice((End.CLOSE, End.RESET))

    return line


class Relay:
    """Listens on a port of its own, and connects to `target`, which may change."""

    def __init__(self, target: Address, lines: Lines = lambda: (straight, straight)) -> None:
        """Start."""
        self.target = target
        self.lines = lines
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._pairs: set[_Pair] = set()
        self._threads = [threading.Thread(target=self._accept, name="relay")]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and close all connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.end(End.CLOSE)
        for thread in self._threads:
            thread.join()

    def end(self, how: End) -> None:
        """Close all connections."""
        for pair in tuple(self._pairs):
            pair.end(how)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                target = connected(self.target)
            except OSError:
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(client, target)
            self._pairs.add(pair)
            there, back = self.lines()
            for source, sink, line in ((client, target, there), (target, client, back)):
                thread = threading.Thread(target=self._carry, args=(pair, source, sink, line), name="relay line")
                self._threads.append(thread)
                thread.start()

    def _carry(self, pair: "_Pair", source: socket.socket, sink: socket.socket, line: Line) -> None:
        end = End.CLOSE
        with suppress(OSError):
            for step in _steps(source, line):
                if isinstance(step, bytes):
                    sink.sendall(step)
                elif isinstance(step, float):
                    time.sleep(step)
                else:
                    end = step
                    break
        if end is End.FINISH:
            with suppress(OSError):  # the other side may have left meanwhile
                sink.shutdown(socket.SHUT_WR)
        else:
            pair.end(end)
        if pair.leave():
            self._pairs.discard(pair)


def _steps(source: socket.socket, line: Line) -> Iterator[bytes | float | End]:
    while data := source.recv(64 * 1024):
        yield from line(data)


class _Pair:
    """Both sockets of a connection, and the two lines that use them."""

    def __init__(self, *sides: socket.socket) -> None:
        self._sides = sides
        self._lines = len(sides)
        self._lock = threading.Lock()
        self._ended = False
        for side in sides:
            side.settimeout(None)

    def end(self, how: End) -> None:
        """Once. The sockets are closed when no line is in the middle of using them."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            for side in self._sides:
                with suppress(OSError):
                    if how is End.RESET:
                        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                        side.shutdown(socket.SHUT_RD)
                    else:
                        side.shutdown(socket.SHUT_RDWR)

    def leave(self) -> bool:
        """One line is done; with the last the sockets are closed."""
        with self._lock:
            self._lines -= 1
            if not self._lines:
                for side in self._sides:
                    side.close()
            return not self._lines
