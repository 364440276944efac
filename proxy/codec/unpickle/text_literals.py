"""Ints, floats and Python 2's strings in protocol 0: lines of text, as Python's repr() writes them.

int(text, 0), float() and string escapes accept more forms. No pickler writes those, so they are refused.
"""

import re
from typing import Final

from proxy.codec.errors import UndecodableError
from proxy.codec.limits import MAX_INT_DIGITS

_INT: Final = re.compile(rb"-?[1-9][0-9]*|0")
_FEW_DIGITS: Final = 20
_ZERO: Final = ord("0")
_FLOAT: Final = re.compile(rb"-?(?:[0-9]{1,32}(?:\.[0-9]{1,32})?(?:e[-+]?[0-9]{1,3})?|inf|nan)")
_REPR: Final = re.compile(rb"(?:[^\\]++|\\(?:x[0-9a-f]{2}|[\\'\"nrt]))*+")


def integer(line: bytes) -> int:
    """An int. Raises UndecodableError."""
    if len(line) < _FEW_DIGITS and line.isdigit() and (line[0] != _ZERO or len(line) == 1):
        return int(line)  # the usual case, in a third of the time
    if len(line) - line.startswith(b"-") > MAX_INT_DIGITS:
        raise UndecodableError(f"an int of more than {MAX_INT_DIGITS} digits")
    if not _INT.fullmatch(line):
        raise UndecodableError("corrupt pickle: not an int")
    return int(line)


def real(line: bytes) -> float:
    """A float. Raises UndecodableError."""
    if not _FLOAT.fullmatch(line):
        raise UndecodableError("corrupt pickle: not a float")
    number = float(line)
    if number - number != 0.0 and line[-1] in b"0123456789":  # 1e999, which CPython refuses too
        raise UndecodableError("corrupt pickle: a float out of range")
    return number


def string(quoted: bytes) -> bytes:
    """The bytes of a quoted Python 2 str. Raises UndecodableError."""
    if len(quoted) < 2 or quoted[0] != quoted[-1] or quoted[0] not in b"'\"":
        raise UndecodableError("corrupt pickle: an unquoted string")
    content = quoted[1:-1]
    if b"\\" not in content:
        return content
    if not _REPR.fullmatch(content):
        raise UndecodableError("corrupt pickle: a broken string escape")
    return content.decode("unicode-escape").encode("latin-1")
