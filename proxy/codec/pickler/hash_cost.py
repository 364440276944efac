"""Estimates the time that the app needs to load a value, if an attacker makes hashes of keys and members collide.

CPython randomises the hashes of texts, bytes and naive dates, but not those of None and of empty texts and bytes. A
writer can choose any other hash, and so make values collide. Even small ints of different hashes can collide in a
dict's table, again and again. Each key is then compared with all keys before it, and the time depends on both types.
The estimate assumes that all keys collide. For each table, it multiplies the numbers of two kinds by the nanoseconds of
one comparison, and adds this for all pairs of kinds. The times are measured on CPython 3.11.

Tuples are compared part by part. So the first parts of all keys of a table count in one `Place`, and the second parts
in another. The members of all frozensets in one place count together. Two members are compared once: when their own
frozenset is built, or when their two frozensets are compared.
"""

from typing import Final

from proxy.codec.errors import PayloadError

_MOST: Final = 800_000_000
"""Limit in units of half a nanosecond, because pairs count in both orders: a load takes less than 0.4 s."""

ORDERED: Final = 3
"""An OrderedDict looks up each key three times."""
COUNTED: Final = 2
"""A Counter copies a dict, so it looks up each key twice."""

HASH_MODULUS: Final = 2**61 - 1
"""CPython's hash of an int is the int modulo this number."""

# Kinds. For those up to _KEYED, a writer cannot choose the hash.
TEXT, RAW, RAW_1K, RAW_4K, RAW_16K, RAW_64K, RAW_256K, RAW_1M, RAW_MORE, FOUND = range(10)
"""TEXT: short texts, which are the same object if they are equal. RAW: other texts and bytes, by their size.
FOUND: a short text in a frozenset that is hashed, which is looked up."""
_KEYED: Final = FOUND
FIXED: Final = 10
"""None, and empty texts and bytes: their hash is the same in every process. They may occur many times."""
MET, INT, INT_128, INT_512, INT_2048, INT_5120, INT_MORE, FLOAT, COMPLEX = range(11, 20)
"""MET: an int below the modulus as a member of a frozenset; it collides only in the table. INT: any other int below
the modulus, and bools. INT_128 and so on: larger ints, by their bits."""
DECIMAL, DECIMAL_FAR, DECIMAL_LONG, UUID, HOME, AWAY, DELTA, TUPLE, FROZENSET = range(20, 29)
"""DECIMAL_FAR: with an exponent. DECIMAL_LONG: with many digits. HOME: aware datetimes and times in the first zone of
the value. AWAY: those in any other zone."""

_OWN: Final = (
    *(5, 30, 160, 550, 2_100, 8_300, 33_000, 131_000, 1_050_000, 15, 5),
    *(3, 8, 26, 35, 70, 135, 310, 25, 40),
    *(40, 40, 1_000, 122, 40, 1_200, 40, 40, 45),
)
"""Nanoseconds to compare two values of one kind."""
_MEETS: Final = 40
"""Nanoseconds to compare two values of different kinds, unless a table below has another number."""
_WITH_DECIMAL: Final = {
    INT: 130,
    INT_128: 190,
    INT_512: 500,
    INT_2048: 6_500,
    INT_5120: 42_000,
    INT_MORE: 345_000,
    FLOAT: 5_000,
    COMPLEX: 5_000,
    UUID: 460,
    DECIMAL: 60,
    DECIMAL_FAR: 60,
    DECIMAL_LONG: 1_000,
}
"""Nanoseconds to compare with a Decimal. Python first converts the other number to a Decimal."""
_WITH_FLOAT: Final = {INT: 100, INT_128: 120, INT_512: 220, INT_2048: 350, INT_5120: 60, INT_MORE: 60}
_WITH_AWARE: Final = {RAW: 320, HOME: 1_200, AWAY: 1_200}
_HASHING: Final = {DECIMAL_FAR: 15_000, DECIMAL_LONG: 15_000}
"""Nanoseconds to compute slow hashes."""

_INT_BITS: Final = ((128, INT_128), (512, INT_512), (2048, INT_2048), (5120, INT_5120))
_FIRST_RAW_BYTES: Final = 256
_DECIMAL_CHARS: Final = 40


def compared(one: int, other: int) -> int:
    """Nanoseconds for one comparison of two kinds."""
    if one == other:
        return _OWN[one]
    # A member may occur many times, and then collides with all values of its hash.
    one, other = sorted(INT if kind == MET else kind for kind in (one, other))
    if DECIMAL <= other <= DECIMAL_LONG:
        # `one` may also be a Decimal.
        return max(_WITH_DECIMAL[other] if one >= DECIMAL else 0, _WITH_DECIMAL.get(one, 330))
    if DECIMAL <= one <= DECIMAL_LONG:
        return _WITH_DECIMAL.get(other, 330)
    if other in (FLOAT, COMPLEX):
        return _WITH_FLOAT.get(one, _MEETS)
    if other in (HOME, AWAY):
        return _WITH_AWARE.get(one, 180 if one == UUID else _MEETS)
    return 180 if UUID in (one, other) else _MEETS


_COMPARED: Final = [[compared(one, other) for other in range(FROZENSET + 1)] for one in range(FROZENSET + 1)]


def of_int(number: int) -> int:
    """The kind of an int."""
    if -HASH_MODULUS < number < HASH_MODULUS:
        return INT
    bits = number.bit_length()
    return next((kind for most, kind in _INT_BITS if bits <= most), INT_MORE)


def of_text(text: str) -> int:
    """The kind of a str. The pickle holds equal short strings only once."""
    if not text:
        return FIXED
    if len(text) <= _FIRST_RAW_BYTES and (text.isascii() or len(text.encode()) <= _FIRST_RAW_BYTES):
        return TEXT
    return of_raw(len(text) if text.isascii() else len(text.encode()))


def of_raw(size: int) -> int:
    """The kind of `size` bytes, or of an object that is made from a text of `size` bytes."""
    if size == 0:
        return FIXED
    kind, most = RAW, _FIRST_RAW_BYTES
    while size > most and kind < RAW_MORE:
        kind, most = kind + 1, most * 4
    return kind


def of_decimal(text: str) -> int | None:
    """The kind of a Decimal, by its normal text; None: a signaling NaN, which has no hash."""
    if text.startswith(("sNaN", "-sNaN")):
        return None
    if len(text) > _DECIMAL_CHARS:
        return DECIMAL_LONG
    return DECIMAL_FAR if "E" in text else DECIMAL


class Place:
    """A place where parts of keys are compared with each other. It counts the parts of each kind."""

    __slots__ = ("_kind", "_members", "_number", "_others", "_parts", "_times")

    def __init__(self, times: int = 1) -> None:
        """`times`: the number of times that the table looks up each key."""
        self._times = times
        self._kind = -1
        self._number = 0
        self._others: dict[int, int] | None = None
        self._parts: list[Place] | None = None
        self._members: Place | None = None

    def add(self, kind: int) -> int:
        """Add a part. Returns the nanoseconds of its pairs in both orders."""
        if self._kind < 0:
            self._kind = kind
        costs, others = _COMPARED[kind], self._others
        pairs = 2 * self._number * costs[self._kind]
        if others is not None:
            pairs += sum(2 * number * costs[other] for other, number in others.items())
        if kind == self._kind:
            self._number += 1
        elif others is None:
            self._others = {kind: 1}
        else:
            others[kind] = others.get(kind, 0) + 1
        return self._times * (pairs + costs[kind]) + 2 * _HASHING.get(kind, 0)

    def part(self, index: int) -> "Place":
        """The place of the parts at `index`. The index may be one more than the last."""
        if self._parts is None:
            self._parts = []
        if index == len(self._parts):
            self._parts.append(Place(self._times))
        return self._parts[index]

    def members(self) -> "Place":
        """The place of the members of frozensets."""
        if self._members is None:
            self._members = Place(self._times)
        return self._members


# Uses of the parts that Python hashes.
_KEYS: Final = 0
"""Keys of a table that is not hashed itself."""
_MEMBERS: Final = 1
"""Members of a frozenset that is hashed itself."""
_POSITIONS: Final = 2
"""Parts of a tuple that is hashed itself."""


class Parts:
    """The parts of one container that Python hashes, in order."""

    __slots__ = ("_next", "_place", "_use")

    def __init__(self, place: Place, use: int) -> None:
        """`place`: the place of the container."""
        self._place = place
        self._use = use
        self._next = 0

    def add(self, kind: int) -> tuple[Place, int]:
        """Add a part. Returns its place and its cost. Parts with randomised hashes never collide in a table."""
        if self._use == _POSITIONS or kind <= _KEYED:
            if self._use == _KEYS:
                return self._place, 0
            kind = TEXT if kind == FIXED else kind
            place = self._place.part(self._next)
            self._next += 1
            kind = FOUND if self._use == _MEMBERS and kind == TEXT else kind
        else:
            place = self._place if self._use == _KEYS else self._place.members()
            kind = MET if kind == INT else kind
        return place, place.add(kind)


def table(times: int = 1) -> Parts:
    """The keys of a dict, or the members of a set, that is not hashed itself."""
    return Parts(Place(times), _KEYS)


class Collisions:
    """The estimate for one value."""

    __slots__ = ("_spent",)

    def __init__(self) -> None:
        """No part yet."""
        self._spent = 0

    def add(self, parts: Parts, kind: int) -> Parts:
        """Add a part that Python hashes, and return the object for its own parts. Raises PayloadError."""
        place, cost = parts.add(kind)
        self._spent += cost
        if self._spent >= _MOST:
            raise PayloadError(
                "set members or dict keys that are neither text nor bytes are too many: made to collide, "
                "they would take the app too long to load"
            )
        return Parts(place, _MEMBERS if kind == FROZENSET else _POSITIONS)
