"""Guesses from its bytes how a value is stored. Pure.

Only `inspect` and `scan` guess. The proxy reads a value as `stored` in its rule says.
"""

from typing import Final, NamedTuple

from proxy.codec import CodecLimits, UndecodableError
from proxy.codec.envelope import PICKLE_MARK, STORAGES, as_int, compression
from proxy.codec.unpickle.machine import INSTRUCTIONS_PER_NODE
from proxy.inspection.pickle_names import names_of
from proxy.inspection.pickle_reader import PROTO

_MOST_PROTOCOL: Final = 5
_JSON_STARTS: Final = b'{["tfn-0123456789 \t\r\n'
"""How JSON text begins: RFC 8259 2 and 3."""


class Guess(NamedTuple):
    """How a value seems to be stored."""

    text: str
    """For people: "a pickle", "compressed (zlib)", ..."""
    storage: str
    """The `stored` that reads it best."""
    fits: tuple[str, ...]
    """Every `stored` that reads it."""


_MARKED: Final = Guess("a pickle with the mark of Flask's caches", "flask", ("flask",))
_DIGITS: Final = Guess("digits", "flask", ("flask", "django", "json"))
_BARE: Final = Guess("a pickle without a mark", "pickle", ("pickle", "django"))
_JSON: Final = Guess("JSON", "json", ("json",))
_BYTES: Final = Guess("other bytes", "flask", ("flask",))


def guess(stored: bytes, limits: CodecLimits) -> Guess:
    """How a value seems to be stored. Flask reads all bytes without a mark as bytes, so this may be wrong."""
    if stored.startswith(PICKLE_MARK):
        return _MARKED
    if as_int(stored) is not None:
        return _DIGITS
    if len(stored) > 1 and stored[0] == PROTO and stored[1] <= _MOST_PROTOCOL:
        return _BARE
    if (name := compression(stored)) is not None:
        return Guess(f"compressed ({name})", "pickle", ())
    if stored[:1] and stored[0] in _JSON_STARTS and _is_json(stored, limits):
        return _JSON
    if stored.endswith(b".") and not names_of(stored, budget(limits)).fault:
        return _BARE  # of protocol 0 or 1
    return _BYTES


def budget(limits: CodecLimits) -> int:
    """The number of instructions that a value may have."""
    return limits.nodes * INSTRUCTIONS_PER_NODE


def _is_json(stored: bytes, limits: CodecLimits) -> bool:
    try:
        STORAGES["json"].read(stored, limits)
    except UndecodableError:
        return False
    return True
