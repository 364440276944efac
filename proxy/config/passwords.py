"""Passwords, from the configuration or from files (mounted secrets) that may change.

A file has one password in each line. LF and CR at a line's end are removed, and spaces stay. A blank line is no
password.
"""

import codecs
import os
from pathlib import Path
from typing import Final

MOST: Final = 8
"""Passwords that a listener's file may have: the old one, the new one, and room for more."""
_LONGEST: Final = 16 * 1024
"""Bytes of a password file. Redis takes no longer password from a client, and IAM tokens have a few thousand bytes."""


class PasswordError(Exception):
    """A password file cannot be used. `str()` gives its name and the reason, and never a password."""


def read(given: str | None, file: str | None) -> bytes | None:
    """The password with which the proxy logs in; None: no password is set. Raises PasswordError."""
    if file is None:
        return None if given is None else given.encode()
    password, *more = _lines(file)
    if more:
        raise PasswordError(
            f"the password file {file} has {1 + len(more)} passwords, one in each line, but a login needs exactly one: "
            "leave only the line that Redis accepts"
        )
    return password


def read_all(given: str | None, file: str | None) -> tuple[bytes, ...] | None:
    """The passwords of a listener, of which a client needs one. None: no password is set. Raises PasswordError."""
    if file is None:
        return None if given is None else (given.encode(),)
    lines = _lines(file)
    if len(lines) > MOST:
        raise PasswordError(f"the password file {file} has {len(lines)} passwords, one in each line; at most {MOST}")
    return lines


def _lines(file: str) -> tuple[bytes, ...]:
    """The passwords in a file, at least one. Raises PasswordError."""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_LONGEST + 1)
    except OSError as error:
        raise PasswordError(f"the password file {file} cannot be read: {os.strerror(error.errno or 0)}") from None
    if len(content) > _LONGEST:
        raise PasswordError(f"the password file {file} is larger than {_LONGEST} bytes: is it the right file?")
    if content.startswith(codecs.BOM_UTF8):
        raise PasswordError(f"the password file {file} begins with a byte order mark: save it as UTF-8 without one")
    lines = tuple(line.rstrip(b"\r") for line in content.split(b"\n") if line.strip())
    if not lines:
        raise PasswordError(f"the password file {file} has no password: write one in each line")
    return lines
