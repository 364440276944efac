"""Members and keys that collide: all have one hash, or all are equal except for the last part that is compared."""

import json
import random
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgpack

MODULUS = 2**61 - 1
HASH = 12345
"""Of every number here."""
Make = Callable[[int], Any]
"""A number -> the tree of a member. Different numbers give different members with one hash."""


def _int_of(bits: int) -> Make:
    return lambda number: {"py/int": str(HASH + MODULUS * (2 ** (bits - 61) + number))}


def _decimal_of(bits: int) -> Make:
    return lambda number: {"py/decimal": str(HASH + MODULUS * (2 ** (bits - 61) + number))}


def _decimal_with_exponent(exponent: int) -> Make:
    inverse = pow(pow(10, exponent, MODULUS), -1, MODULUS)
    return lambda number: {"py/decimal": f"{HASH * inverse % MODULUS + MODULUS * number}E{exponent:+}"}


def _float(number: int) -> float:
    """2^61 has the hash of 1. There are about 30 such numbers; later ones are equal."""
    return HASH * 2.0 ** (61 * (number % 31 - 15))


NUMBERS: dict[str, Make] = {
    **{f"ints of {bits} bits": _int_of(bits) for bits in (70, 250, 1000, 2000, 5000, 14_280)},
    **{f"decimals of {bits} bits": _decimal_of(bits) for bits in (70, 250, 14_280)},
    **{f"decimals with exponent {it}": _decimal_with_exponent(it) for it in (20, -30, 999_999_999_999_000)},
    "small ints": lambda number: number << 20,
    "floats": _float,
    "complexes": lambda number: {"py/complex": [_float(number), 0]},
    "one small int": lambda _: HASH,
    "true": lambda _: True,
    "an empty text": lambda _: "",
    "UUIDs": lambda number: {"py/uuid": str(UUID(int=HASH + MODULUS * number))},
}

_MOMENT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def _in_zone(number: int) -> Any:
    zone = timezone(timedelta(seconds=60 * (number % 1400 + 1)))
    return {"py/datetime": _MOMENT.astimezone(zone).isoformat()}


def _by_turns(first: Any, second: Any) -> Make:
    return lambda number: (first, second)[number % 2]


EQUALS: dict[str, Make] = {
    # the same value each time, often of another type
    "texts": lambda _: "spam",
    "long texts": lambda _: "x" * 900,
    "wide texts": lambda _: "x" * 900 + "\U0001f600",
    "bytes": lambda _: {"py/bytes": b64encode(b"x" * 200).decode()},
    "dates": lambda _: {"py/date": "2024-01-02"},
    "markups": lambda _: {"py/markup": "<b>"},
    "nothing": lambda _: None,
    "zones": _in_zone,
    "a long int and a decimal": _by_turns({"py/int": str(10**4200)}, {"py/decimal": str(10**4200)}),
    "an int and a decimal": _by_turns(5, {"py/decimal": "5"}),
    "a float and a decimal": _by_turns(2.0**-1000, {"py/decimal": str(Decimal(2.0**-1000))}),
    "a float and an int": _by_turns(2.0**1000, {"py/int": str(2**1000)}),
    "times": lambda _: {"py/time": "01:02:03+01:00"},
    "spans": lambda _: {"py/timedelta": [1, 2, 3]},
}


def mixed(makes: list[Make]) -> Make:
    """Members of several kinds in turn."""
    return lambda number: makes[number % len(makes)](number)


def in_tuples(equals: list[Make], last: Make) -> Make:
    """The common part of all members comes first, so it is compared each time."""
    return lambda number: {"py/tuple": [*(make(number) for make in equals), last(number)]}


def in_frozensets(size: int, make: Make, last: Make) -> Make:
    """Members with one hash. All parts except one are equal."""
    return lambda number: {"py/frozenset": [*map(make, range(size)), last(size + number)]}


def random_make(rng: random.Random, depth: int = 0) -> Make:
    """Members of some kind."""
    kind = rng.random()
    if depth > 2 or kind < 0.25:
        return rng.choice(list(NUMBERS.values()))
    if kind < 0.5:
        return mixed([random_make(rng, depth + 1) for _ in range(rng.choice((2, 2, 3)))])
    if kind < 0.75:
        equals = rng.choices(list(EQUALS.values()), k=rng.choice((1, 1, 2, 5)))
        return in_tuples(equals, random_make(rng, depth + 1))
    size = rng.choice((0, 1, 3, 10, 60))
    return in_frozensets(size, random_make(rng, depth + 1), random_make(rng, depth + 1))


TABLES: dict[str, Callable[[list[Any]], Any]] = {
    "set": lambda members: {"py/set": members},
    "frozenset": lambda members: [{"py/frozenset": members}],
    "dict": lambda members: {"py/dict": [[member, 1] for member in members]},
    "OrderedDict": lambda members: {"py/ordereddict": [[member, 1] for member in members]},
    "Counter": lambda members: {"py/counter": {"py/dict": [[member, 1] for member in members]}},
    "defaultdict": lambda members: {
        "py/defaultdict": {"factory": "int", "dict": {"py/dict": [[member, 1] for member in members]}}
    },
    "a set of one frozenset": lambda members: {"py/set": [{"py/frozenset": members}]},
    "a key of frozensets in tuples": lambda members: {
        "py/dict": [[{"py/tuple": ["x", {"py/tuple": [{"py/frozenset": members}]}]}, 1]]
    },
    "many sets": lambda members: [{"py/set": members[at : at + 50]} for at in range(0, len(members), 50)],
}


def msgpack_map(members: list[Any]) -> bytes:
    """A map with these keys. Keys may be arrays and maps, which no library packs."""
    packer = msgpack.Packer()
    return bytes(packer.pack_map_header(len(members))) + b"".join(msgpack.packb(member) + b"\x01" for member in members)


def most_accepted(encode: Callable[[bytes], bytes | None], make: Make, table: str, slack: int = 0) -> tuple[int, int]:
    """A number of JSON members that `encode` accepts, and one that it refuses. `slack`: a fraction less than most."""
    members: list[Any] = []
    fits, too_many = 0, 0
    while not too_many or too_many - fits > 1 + (fits // slack if slack else 0):
        count = (fits + too_many) // 2 if too_many else max(4, 2 * fits)
        members += map(make, range(len(members), count))
        if count > 20_000 or encode(json.dumps(TABLES[table](members[:count])).encode()) is None:
            too_many = count
        else:
            fits = count
    return fits, too_many
