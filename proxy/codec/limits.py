"""Limits of one conversion. Every budget of the codec derives from these numbers."""

from typing import Final, NamedTuple

MAX_INT_DIGITS: Final = 4300
"""CPython's own limit on int <-> str (sys.int_info.default_max_str_digits); longer ints are refused."""

INT_BOUND: Final = 10**MAX_INT_DIGITS

# Nodes that count beyond the value itself, both for writers and for readers.
TAG_NODES: Final = 1
"""For the content of a tag: of bytes, a tuple, a set and all other tagged values."""

PAIR_NODES: Final = 1
"""For each pair of an OrderedDict or `py/dict`. Its key and value count too."""

OBJECT_NODES: Final = 4
"""For a value of a class, such as a datetime. It takes five times as long to read as a plain value."""

CYCLE_NODES: Final = 9
"""For an object that contains itself: its second place counts five too, and it takes longer to find."""

RESPONSE_NODES: Final = 19
HEADER_NODES: Final = 3

MAX_DEPTH: Final = 150
"""With more levels, the app or a client might overflow its stack."""

JSON_INT_MIN: Final = 1 - 10 ** (MAX_INT_DIGITS - 1)
"""The least int that JSON readers accept as a number: they count the sign as a digit."""


def digits(number: int) -> int:
    """An upper estimate of the number of digits of an int."""
    return number.bit_length() * 309 // 1024 + 1


class CodecLimits(NamedTuple):
    """Limits of one value, for encoding and decoding."""

    payload_bytes: int = 8 * 1024 * 1024
    """Bytes of a payload to encode."""
    decoded_bytes: int = 16 * 1024 * 1024
    """Bytes of a stored value to decode, and bytes of the payload that it becomes."""
    depth: int = 100
    """Containers around the innermost value."""
    nodes: int = 250_000
    """Values of any kind in a payload, including the payload itself, but not the string keys of objects.

    A tag and its content are two, and so are bytes in msgpack. A value of a class (a datetime, a UUID, ...) counts as
    five, and a Response as 20 plus three for each header. An object of another class counts as five plus the parts of
    its value, and as nine more if it contains itself."""
