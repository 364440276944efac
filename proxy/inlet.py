"""What comes in from one side: read only while it can be used, worked at as it comes if it is little, else in turns."""

from typing import Any, Final

SLICE: Final = 64 * 1024
"""Bytes that are worked at in one turn; while more wait, no more are read."""
_SMALL: Final = 4 * 1024
"""Bytes that are worked at as they come; more wait for their turn."""


class Backlog:
    """A queue of bytes that is taken piece by piece, without moving what stays."""

    __slots__ = ("_at", "_data", "size")

    def __init__(self) -> None:
        """Nothing waits."""
        self._data = b""
        self._at = 0
        self.size = 0
        """How many bytes wait; an attribute, because every read and write asks for it."""

    @property
    def memory(self) -> int:
        """Bytes that are held: those that wait, and what has been taken of the piece that they came in."""
        return len(self._data)

    def add(self, data: bytes) -> None:
        """Put them behind the others."""
        self._data, self._at = (self._data[self._at :] + data if self.size else data), 0
        self.size += len(data)

    def take(self, size: int) -> bytes:
        """The first ones, at most so many."""
        start = self._at
        self._at = start + min(size, self.size)
        taken = self._data[start : self._at]
        self.size -= len(taken)
        if not self.size:
            self.clear()
        return taken

    def clear(self) -> None:
        """Drop all."""
        self._data, self._at, self.size = b"", 0, 0


class Inlet(Backlog):
    """Reading from one side."""

    __slots__ = ("due", "paused")

    def __init__(self, *, paused: bool) -> None:
        """Nothing has come. `paused`: the side is not being read."""
        super().__init__()
        self.paused = paused
        self.due = False
        """A turn has been asked for."""

    def passes(self, data: bytes) -> bool:
        """Whether they may be worked at as they come; otherwise they wait from here on."""
        if self.paused or self.size or len(data) > _SMALL:
            self.add(data)
            return False
        return True

    def adjust(self, transport: Any, takes: bool) -> bool:
        """Read while what comes can be used (`takes`); True: what waits needs a turn that nobody has asked for."""
        pause = not takes or self.size > SLICE
        if pause is not self.paused:
            self.paused = pause
            if transport is not None:
                (transport.pause_reading if pause else transport.resume_reading)()
        if takes and self.size and not self.due:
            self.due = True
            return True
        return False
