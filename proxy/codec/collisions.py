"""What it may cost the app to load a value: keys and members whose hashes an attacker can make collide.

CPython keys the hashes of strings, bytes and naive dates. Any other hash can be chosen, and even small ints with
different ones can be made to meet in a dict's table, over and over. Then each key is compared with all before it. The
estimate takes it that all collide: half of *keys* times *nanoseconds for one comparison*, as measured on CPython 3.11.
"""

from typing import Final

from proxy.codec.errors import PayloadError

_MOST: Final = 800_000_000
"""Keys times nanoseconds: a load of 0.4 s at the worst. 16,300 ints, 4,000 pairs, 2,500 UUIDs."""

SMALL_INT: Final = 3
NUMBER: Final = 25
OBJECT: Final = 40
UUID: Final = 120
"""Nanoseconds for one comparison. A UUID's is written in Python."""

NESTED: Final = 5
"""For each value inside a tuple or frozenset."""

_CHARS: Final = 16
"""Of a number's text that take one more nanosecond."""

HASH_MODULUS: Final = 2**61 - 1
"""CPython's int hash is the number modulo this."""

_BITS: Final = 50


class Collisions:
    """The estimate for one value."""

    __slots__ = ("_keys", "_nanoseconds")

    def __init__(self) -> None:
        """Nothing yet."""
        self._keys = 0
        self._nanoseconds = 0

    def key(self, nanoseconds: int, chars: int = 0) -> None:
        """One more key or member. Raises PayloadError."""
        self._keys += 1
        self.more(nanoseconds, chars)

    def more(self, nanoseconds: int, chars: int = 0) -> None:
        """What makes comparing a key longer: a part of it. Raises PayloadError."""
        self._nanoseconds += nanoseconds + chars // _CHARS
        if self._keys * self._nanoseconds > _MOST:
            raise PayloadError(
                f"{self._keys} set members or dict keys that are neither text nor bytes are too many: made to collide, "
                "they would take the app too long to load"
            )


def of_int(number: int) -> int:
    """Nanoseconds to compare an int."""
    if -HASH_MODULUS < number < HASH_MODULUS:
        return SMALL_INT
    return NUMBER + number.bit_length() // _BITS
