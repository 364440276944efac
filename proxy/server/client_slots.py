"""The number of clients of each worker, in shared memory. `limits.clients` limits their sum.

Each worker writes its own count and reads the others'. There is no lock, so no worker can die while it holds one.
"""

import mmap
import os
from typing import Final, Self

_WIDTH: Final = 8
"""Bytes of one count. The processor reads and writes it in one step."""
_ABSENT: Final = -1
_LEAD: Final = 2
"""A worker with so many clients more than another one gives way to it."""


class SharedClientSlots:
    """The counts of all workers."""

    def __init__(self, counts: memoryview) -> None:
        """`counts`: a signed number of 8 bytes for each worker."""
        self._counts = counts.cast("B").cast("q")

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """Map the memory of a descriptor from `shared_memory`."""
        return cls(memoryview(mmap.mmap(descriptor, 0)))

    @property
    def total(self) -> int:
        """The number of clients of all workers."""
        return sum(count for count in self._counts if count > 0)

    def vacate(self, number: int) -> None:
        """Mark a worker as not running, with no clients."""
        self._counts[number] = _ABSENT

    def of_worker(self, number: int) -> "ClientSlots":
        """The slots of a worker that starts now, without clients."""
        self._counts[number] = 0
        return ClientSlots(self._counts, number, self)


class ClientSlots:
    """The count of one worker, and its view of the others' counts."""

    def __init__(self, counts: memoryview, number: int, shared: SharedClientSlots) -> None:
        """See SharedClientSlots.of_worker."""
        self._counts = counts
        self._number = number
        self._shared = shared

    @property
    def is_first(self) -> bool:
        """True for one of all workers, which tells what concerns all of them."""
        return self._number == 0

    def take(self, limit: int) -> bool:
        """Take a slot if all workers together have fewer than `limit` clients. Returns True if it did.

        It increments first and checks then. So two workers may both refuse the last slot, but they never both take it.
        """
        self._counts[self._number] += 1
        if self._shared.total <= limit:
            return True
        self.leave()
        return False

    def leave(self) -> None:
        """Free a slot."""
        self._counts[self._number] -= 1

    def is_ahead(self) -> bool:
        """True if another running worker has at least 2 clients fewer, so that it should accept the next one.

        A difference of 1 does not count. It is normal when clients come and go, and giving way delays the client.
        """
        enough = self._counts[self._number] - _LEAD
        return any(_ABSENT < count <= enough for count in self._counts)


def alone() -> ClientSlots:
    """The slots of a process without workers."""
    return SharedClientSlots(memoryview(bytearray(_WIDTH))).of_worker(0)


def shared_memory(workers: int) -> int:
    """A file descriptor of shared memory for the counts of `workers` processes, all marked as not running."""
    descriptor = os.memfd_create("flask-cache-proxy-clients")
    os.truncate(descriptor, workers * _WIDTH)
    slots = SharedClientSlots.of(descriptor)
    for number in range(workers):
        slots.vacate(number)
    return descriptor
