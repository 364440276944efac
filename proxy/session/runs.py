"""A FIFO of runs: equal items in a row (the same object) are one record, `(item, count)`.

A pipeline of a million similar requests takes one record. The native engine has its own class, which its fast path
reads without a call. A lane of a cluster has a subclass, which also keeps the requests.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from proxy.engine import ENGINE

_Item = TypeVar("_Item")


class Runs(Generic[_Item]):
    """See the module."""

    __slots__ = ("_counts", "_items", "size", "taken")

    def __init__(self) -> None:
        """Empty."""
        self._items: deque[_Item] = deque()
        self._counts: deque[int] = deque()  # in a queue of their own: a record takes 16 bytes and creates no object
        self.size = 0
        """Number of items in all runs."""
        self.taken = 0
        """Number of items that have been removed since the start."""

    @property
    def first(self) -> _Item:
        """The first item. Raises IndexError if there is none."""
        return self._items[0]

    @property
    def last(self) -> _Item:
        """The last item. Raises IndexError if there is none."""
        return self._items[-1]

    @property
    def first_count(self) -> int:
        """The length of the first run; 0: there is none."""
        return self._counts[0] if self._counts else 0

    def has_only(self, item: _Item) -> bool:
        """True if there are items, and all are this one."""
        return len(self._items) == 1 and self._items[0] is item

    def records(self, most: int) -> list[tuple[_Item, int]]:
        """The first records, at most `most`."""
        return list(islice(self._pairs(), most))

    def _pairs(self) -> Iterator[tuple[_Item, int]]:
        return zip(self._items, self._counts, strict=True)

    def append(self, item: _Item, count: int = 1) -> None:
        """Append an item `count` times."""
        items = self._items
        if items and items[-1] is item:
            self._counts[-1] += count
        else:
            items.append(item)
            self._counts.append(count)
        self.size += count

    def push(self, item: _Item) -> None:
        """Put an item before all others. It counts as one that had been taken: the others keep their numbers."""
        self._items.appendleft(item)
        self._counts.appendleft(1)
        self.size += 1
        self.taken -= 1

    def take(self, count: int = 1) -> None:
        """Remove the first `count` items. They must be of one run."""
        left = self._counts[0] - count
        if left:
            self._counts[0] = left
        else:
            self._items.popleft()
            self._counts.popleft()
        self.size -= count
        self.taken += count

    def take_runs(self, count: int) -> None:
        """Remove the first `count` items, of one run or several. They must be there."""
        counts = self._counts
        self.size -= count
        self.taken += count
        while count > 0:
            if counts[0] > count:
                counts[0] -= count
                return
            count -= counts.popleft()
            self._items.popleft()

    @property
    def memory(self) -> int:
        """Bytes of the records, without the items themselves."""
        return 16 * len(self._items)


ReferenceRuns = Runs

if not TYPE_CHECKING:
    Runs = ENGINE.of("Runs", Runs)
