"""Stored values, as every Flask cache library reads them (FORMATS: the measured envelope).

An int is ASCII digits, all else is `!` and a pickle; what is neither, Flask reads as bytes.
"""

import re
from typing import Final, NamedTuple

from proxy.codec import opcodes
from proxy.codec.limits import INT_BOUND, JSON_INT_MIN, CodecLimits
from proxy.codec.machine import Machine
from proxy.codec.nodes import Node

PICKLE_MARK: Final = b"!"

_INT: Final = re.compile(rb"[ \t\n\r\x0b\x0c]*+[+-]?[0-9]++(?:_[0-9]++)*+[ \t\n\r\x0b\x0c]*+")
"""What Python's int() takes, measured on 41,371 inputs, up to 4300 digits."""


class Reading(NamedTuple):
    """A stored value, read: its root node, and what it takes to present it (see `Machine`)."""

    root: Node
    tree: bool = True
    natural: bool = True
    binary: bool = False
    text_bytes: int = 0
    """Of all strings in it, each as often as it occurs."""
    repeated_bytes: int = 0
    """Of those that came from the memo."""


def read(stored: bytes, limits: CodecLimits) -> Reading:
    """Read a stored value. Raises UndecodableError."""
    if stored.startswith(PICKLE_MARK):
        machine = Machine(stored, limits)
        root = machine.run(len(PICKLE_MARK), opcodes.TABLE)
        return Reading(root, machine.tree, machine.natural, machine.binary, machine.text_bytes, machine.repeated_bytes)
    number = as_int(stored)
    return Reading(stored, binary=True) if number is None else Reading(number, natural=number >= JSON_INT_MIN)


def as_int(stored: bytes) -> int | None:
    """The int that Flask reads from these bytes, or None."""
    if not _INT.fullmatch(stored):
        return None
    try:
        number = int(stored)
    except ValueError:  # over 4300 digits
        return None
    return number if -INT_BOUND < number < INT_BOUND else None


def write_int(number: int) -> bytes:
    """An int, as every version of every library reads it and INCR counts on it."""
    return b"%d" % number
