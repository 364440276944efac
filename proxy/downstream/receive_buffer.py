"""The receive buffer of one side. Small reads are handled at once. Larger ones wait here for a turn of the loop."""

from typing import Final

SLICE: Final = 64 * 1024
"""Bytes that one turn handles. While more bytes wait, reading is paused."""
SMALL: Final = 4 * 1024
"""The largest read that is handled at once, in bytes."""


class Backlog:
    """A byte queue. Taking bytes from it does not copy the rest."""

    __slots__ = ("_at", "_data", "size")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self.size = 0
        """The number of bytes in the queue. An attribute, because every read and write needs it."""

    @property
    def memory(self) -> int:
        """The bytes in memory: those in the queue, and those already taken from the same block."""
        return len(self._data)

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self._data, self._at = (self._data[self._at :] + data if self.size else data), 0
        self.size += len(data)

    def take(self, size: int) -> bytes:
        """Remove and return the first `size` bytes, or all if there are fewer."""
        start = self._at
        self._at = start + min(size, self.size)
        taken = self._data[start : self._at]
        self.size -= len(taken)
        if not self.size:
            self.clear()
        return taken

    def clear(self) -> None:
        """Drop all bytes."""
        self._data, self._at, self.size = b"", 0, 0


class ReceiveBuffer(Backlog):
    """The queue of one side, and whether that side is read."""

    __slots__ = ("due", "paused")

    def __init__(self, *, paused: bool) -> None:
        """`paused`: the side is not read at first."""
        super().__init__()
        self.paused = paused
        self.due = False
        """A turn is scheduled for the bytes in the queue."""

    def passes(self, data: bytes) -> bool:
        """True if the caller should handle `data` now. Otherwise `data` is appended to the queue."""
        if self.paused or self.size or len(data) > SMALL:
            self.add(data)
            return False
        return True

    def changes(self, takes: bool) -> bool:
        """Update `paused`. True if it has changed. `takes`: the session can handle more bytes."""
        pause = not takes or self.size > SLICE
        changed = pause is not self.paused
        self.paused = pause
        return changed

    def needs_turn(self, takes: bool) -> bool:
        """True if the caller must schedule a turn. Then `due` is set. `takes`: the session can handle more bytes."""
        if not takes or not self.size or self.due:
            return False
        self.due = True
        return True
