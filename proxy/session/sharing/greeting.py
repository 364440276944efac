"""The reply to HELLO that a client gets: that of the shared connection, with the client's own id."""

from functools import lru_cache
from typing import Final

from proxy.resp import encode
from proxy.session.topology import elements_of

_ID: Final = encode.bulk(b"id")
_MOST: Final = 64
"""Greetings that are remembered. A worker has some for each node and protocol."""


def with_id(greeting: bytes, number: int) -> bytes:
    """A whole reply to HELLO, with `number` as its `id`. An error stays as it is."""
    before, after = _around_id(greeting)
    return before if after is None else b"%b:%d\r\n%b" % (before, number, after)


@lru_cache(_MOST)
def _around_id(greeting: bytes) -> tuple[bytes, bytes | None]:
    """The bytes before the id and behind it. None: there is no id."""
    if greeting.startswith(b"-"):
        return greeting, None
    header, fields = elements_of(greeting)
    for at in range(1, len(fields), 2):
        if fields[at - 1] == _ID:
            return header + b"".join(fields[:at]), b"".join(fields[at + 1 :])
    return greeting, None
