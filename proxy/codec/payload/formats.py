"""The types that JSON and msgpack can hold without tags."""

from typing import Final, NamedTuple

from proxy.codec.limits import INT_BOUND, JSON_INT_MIN

SAFE_INTEGER: Final = 2**53


class Format(NamedTuple):
    """The types that a payload format can hold without tags."""

    bytes: bool
    nonfinite: bool
    int_min: int
    """The least int without a tag."""
    int_max: int
    """The greatest int without a tag."""


JSON: Final = Format(bytes=False, nonfinite=False, int_min=JSON_INT_MIN, int_max=INT_BOUND)
MSGPACK: Final = Format(bytes=True, nonfinite=True, int_min=-(2**63), int_max=2**64 - 1)


def with_safe_integers(target: Format) -> Format:
    """The same format for clients whose numbers are doubles: ints beyond 2^53 are tagged."""
    return target._replace(int_min=-SAFE_INTEGER, int_max=SAFE_INTEGER)
