"""Reads stored values as the app's cache library does. `stored` in a rule names the library.

The rule alone selects the reader. If the bytes selected it, every client that can store bytes could choose a reader.
Flask's envelope is measured (FORMATS): an int is ASCII digits, `!` begins a pickle, and other bytes are bytes. Django's
two caches store the same without the mark. Flask-Session before 0.7 also pickles ints.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn

from proxy.codec import json_storage
from proxy.codec.errors import UndecodableError
from proxy.codec.limits import INT_BOUND, JSON_INT_MIN, CodecLimits
from proxy.codec.nodes import Node
from proxy.codec.payload import json_payload
from proxy.codec.unpickle import opcodes
from proxy.codec.unpickle.machine import Machine

PICKLE_MARK: Final = b"!"
_PROTO: Final = b"\x80"
"""The first opcode of a pickle since protocol 2."""

_INT: Final = re.compile(rb"[ \t\n\r\x0b\x0c]*+[+-]?[0-9]++(?:_[0-9]++)*+[ \t\n\r\x0b\x0c]*+")
"""The texts that Python's int() accepts up to 4300 digits, measured on 41,371 inputs."""

_COMPRESSED: Final = {
    "gzip": (b"\x1f\x8b",),
    "zlib": (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"),
    "zstd": (b"\x28\xb5\x2f\xfd",),
    "lz4": (b"\x04\x22\x4d\x18",),
    "lzma": (b"\xfd7zXZ\x00", b"]\x00\x00"),
    "bzip2": (b"BZh",),
}
"""The first bytes of compressed data, for the compressors of django-redis and other usual ones.

Sources: RFC 1950 2.2, RFC 1952 2.3, RFC 8878 3.1.1, and the format pages of lz4, xz and bzip2."""


class Reading(NamedTuple):
    """A stored value that has been read: its root node, and the facts that `Machine` found about it."""

    root: Node
    tree: bool = True
    natural: bool = True
    binary: bool = False
    text_bytes: int = 0
    """Bytes of all strings, counted each time they occur."""
    repeated_bytes: int = 0
    """Bytes of the strings that came from the memo."""
    objects: bool = False


class Storage(NamedTuple):
    """A format of stored values."""

    read: Callable[[bytes, CodecLimits], Reading]
    """Reads a stored value. Raises UndecodableError."""
    mark: bytes = b""
    """The bytes before a pickle."""
    has_digits: bool = True
    """Ints are stored as ASCII digits, so INCR works on them."""
    is_json: bool = False
    """Values are stored as JSON, without pickles."""


def read(stored: bytes, limits: CodecLimits, storage: str = "flask") -> Reading:
    """Read a stored value. `storage`: a name of `STORAGES`. Raises UndecodableError."""
    return STORAGES[storage].read(stored, limits)


def as_int(stored: bytes) -> int | None:
    """The int that Flask reads from these bytes, or None."""
    if not _INT.fullmatch(stored):
        return None
    try:
        number = int(stored)
    except ValueError:  # over 4300 digits
        return None
    return number if -INT_BOUND < number < INT_BOUND else None


def compression(stored: bytes) -> str | None:
    """The name of the compression of these bytes, or None."""
    return next((name for name, beginnings in _COMPRESSED.items() if stored.startswith(beginnings)), None)


def write_int(number: int) -> bytes:
    """The stored value of an int. Every version of every library reads it, and INCR works on it."""
    return b"%d" % number


def _flask(stored: bytes, limits: CodecLimits) -> Reading:
    if stored.startswith(PICKLE_MARK):
        return _pickle(stored, len(PICKLE_MARK), limits)
    number = as_int(stored)
    return Reading(stored, binary=True) if number is None else _number(number)


def _django(stored: bytes, limits: CodecLimits) -> Reading:
    number = as_int(stored)
    return _bare_pickle(stored, limits, "django") if number is None else _number(number)


def _pickled(stored: bytes, limits: CodecLimits) -> Reading:
    return _bare_pickle(stored, limits, "pickle")


def _json(stored: bytes, limits: CodecLimits) -> Reading:
    try:
        tree = json_storage.read(stored, limits)
    except UndecodableError as error:
        _explain(error, stored, "json")
    is_natural = not json_payload.may_have_tags(stored)
    return Reading(tree, natural=is_natural, text_bytes=len(stored))


STORAGES: Final = {
    "flask": Storage(_flask, PICKLE_MARK),
    "pickle": Storage(_pickled, has_digits=False),
    "django": Storage(_django),
    "json": Storage(_json, is_json=True),
}
"""By the value of `stored` in a rule."""


def _number(number: int) -> Reading:
    return Reading(number, natural=number >= JSON_INT_MIN)


def _bare_pickle(stored: bytes, limits: CodecLimits, storage: str) -> Reading:
    try:
        return _pickle(stored, 0, limits)
    except UndecodableError as error:
        if stored.startswith(_PROTO):
            raise
        _explain(error, stored, storage)


def _pickle(stored: bytes, start: int, limits: CodecLimits) -> Reading:
    machine = Machine(stored, limits)
    root = machine.run(start, opcodes.TABLE)
    text = machine.text_bytes, machine.repeated_bytes
    return Reading(root, machine.tree, machine.natural, machine.binary, *text, machine.objects)


def _explain(error: UndecodableError, stored: bytes, storage: str) -> NoReturn:
    """Raise the error with its likely cause: a compressed value, or a wrong `stored`."""
    if error.limit is not None:
        raise error
    if (name := compression(stored)) is not None:
        raise UndecodableError(f'the value is compressed ({name}), which stored = "{storage}" cannot read') from None
    raise UndecodableError(f'{error}; is stored = "{storage}" right for it?') from None
