"""What one conversion may cost. Every budget of the codec derives from these numbers."""

from typing import Final, NamedTuple

MAX_INT_DIGITS: Final = 4300
"""CPython's own limit on int <-> str (sys.int_info.default_max_str_digits); longer ints are refused."""

INT_BOUND: Final = 10**MAX_INT_DIGITS

OBJECT_NODES: Final = 2
"""What a value of a class counts: reading one takes the machine twice as long as a plain value, and more."""

RESPONSE_NODES: Final = 8
HEADER_NODES: Final = 2

JSON_INT_MIN: Final = 1 - 10 ** (MAX_INT_DIGITS - 1)
"""The least int that can be read from JSON as a number: there the sign counts as a digit."""

MAX_COLLIDABLE: Final = 2048
"""Dict keys and set members of one value whose hash an attacker can choose (CPython keys the hashes of
strings, bytes and datetimes only): with this many, all colliding, a load costs the app some 50 ms."""


class CodecLimits(NamedTuple):
    """Limits of one value, either way."""

    payload_bytes: int = 8 * 1024 * 1024
    """Bytes of a payload as its writer sends it."""
    decoded_bytes: int = 16 * 1024 * 1024
    """Bytes of a stored value as it is read, and of the payload that it becomes."""
    depth: int = 100
    """Containers around the innermost value."""
    nodes: int = 250_000
    """Values of any kind in a value, itself included; the string keys of an object are not counted. A value of a
    class (a datetime, a UUID, ...) counts as two, a Response as eight and two for each header."""
