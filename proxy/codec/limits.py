"""What one conversion may cost. Every budget of the codec derives from these numbers."""

from typing import Final, NamedTuple

MAX_INT_DIGITS: Final = 4300
"""CPython's own limit on int <-> str (sys.int_info.default_max_str_digits); longer ints are refused."""

INT_BOUND: Final = 10**MAX_INT_DIGITS

# What counts in the node budget beyond the value itself, when it is written as when it is read.
TAG_NODES: Final = 1
"""Of bytes, a tuple, a set or whatever else is written with a tag: what stands under it."""

PAIR_NODES: Final = 1
"""Of each item of an OrderedDict or `py/dict`, whose key and value count too: the pair."""

OBJECT_NODES: Final = 4
"""Of a value of a class, a datetime for instance: reading one takes five times as long as a plain value."""

RESPONSE_NODES: Final = 19
HEADER_NODES: Final = 3

MAX_DEPTH: Final = 150
"""More levels than this, and the app or a client might run out of stack."""

JSON_INT_MIN: Final = 1 - 10 ** (MAX_INT_DIGITS - 1)
"""The least int that can be read from JSON as a number: there the sign counts as a digit."""


def digits(number: int) -> int:
    """About as many as an int has, and never less."""
    return number.bit_length() * 309 // 1024 + 1


class CodecLimits(NamedTuple):
    """Limits of one value, either way."""

    payload_bytes: int = 8 * 1024 * 1024
    """Bytes of a payload as its writer sends it."""
    decoded_bytes: int = 16 * 1024 * 1024
    """Bytes of a stored value as it is read, and of the payload that it becomes."""
    depth: int = 100
    """Containers around the innermost value."""
    nodes: int = 250_000
    """Values of any kind in a payload, itself included, but for the string keys of objects: an object with a tag and
    what stands under it are two, and so are bytes in msgpack. A value of a class (a datetime, a UUID, ...) counts as
    five, a Response as 20 and three for each header."""
