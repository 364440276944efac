"""How many clients each worker has: memory that all workers share, so that `limits.clients` is the total of all.

Each worker writes its own count and reads the others'. There is no lock that a worker could die (or be stopped) with.
"""

import mmap
import os
from typing import Final, Self

_WIDTH: Final = 8
"""Bytes of one count: written and read in one piece."""
_ABSENT: Final = -1
_LEAD: Final = 2
"""Clients that a worker may have beyond another one."""


class SharedSeats:
    """The counts of all workers."""

    def __init__(self, counts: memoryview) -> None:
        """`counts`: a signed number of 8 bytes for each worker."""
        self._counts = counts.cast("B").cast("q")

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """Map memory that `shared_memory` has made."""
        return cls(memoryview(mmap.mmap(descriptor, 0)))

    @property
    def total(self) -> int:
        """Clients of all workers together."""
        return sum(count for count in self._counts if count > 0)

    def vacate(self, number: int) -> None:
        """A worker does not run (any more): its clients are gone."""
        self._counts[number] = _ABSENT

    def of_worker(self, number: int) -> "Seats":
        """The count of one worker, which starts with no clients."""
        self._counts[number] = 0
        return Seats(self._counts, number, self)


class Seats:
    """One worker's count among those of the others."""

    def __init__(self, counts: memoryview, number: int, shared: SharedSeats) -> None:
        """See SharedSeats.of_worker."""
        self._counts = counts
        self._number = number
        self._shared = shared

    def take(self, limit: int) -> bool:
        """Count one more client, if there are fewer than `limit` in all workers.

        Counted first and looked at then: two workers at once may both refuse the last seat, but never both give it.
        """
        self._counts[self._number] += 1
        if self._shared.total <= limit:
            return True
        self.leave()
        return False

    def leave(self) -> None:
        """Count one client less."""
        self._counts[self._number] -= 1

    def is_ahead(self) -> bool:
        """Whether this worker should leave the next client to one that runs and has fewer.

        One client more is no reason: where clients come and go one by one, giving way would only hold them up.
        """
        enough = self._counts[self._number] - _LEAD
        return any(_ABSENT < count <= enough for count in self._counts)


def alone() -> Seats:
    """The count of a process that has no others beside it."""
    return SharedSeats(memoryview(bytearray(_WIDTH))).of_worker(0)


def shared_memory(workers: int) -> int:
    """A file descriptor of memory for the counts of `workers` processes, none of which runs yet."""
    descriptor = os.memfd_create("flask-cache-proxy-clients")
    os.truncate(descriptor, workers * _WIDTH)
    seats = SharedSeats.of(descriptor)
    for number in range(workers):
        seats.vacate(number)
    return descriptor
