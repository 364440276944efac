"""A parsed request of a client."""

from functools import partial
from typing import Final, NamedTuple


class Request(NamedTuple):
    """One command: its arguments, the name first, and the position of its canonical bytes."""

    args: list[bytes]
    chunk: bytes
    """The bytes that contain the canonical bytes, and maybe those of other requests before and after."""
    start: int
    stop: int

    @property
    def raw(self) -> bytes:
        """The canonical bytes."""
        return self.chunk[self.start : self.stop]


new_request: Final = partial(tuple.__new__, Request)
"""Like Request._make, in a quarter of the time because it calls no Python function."""
