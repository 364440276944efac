"""Passwords, given in the configuration or in a file (a mounted secret) that may change."""

import os
from pathlib import Path


class PasswordError(Exception):
    """A password file cannot be used. `str()` names it and says why, and never holds the password."""


def read(given: str | None, file: str | None) -> bytes | None:
    """The password; None: there is none. One line feed at the end of a file is not part of it. Raises PasswordError."""
    if file is None:
        return None if given is None else given.encode()
    try:
        password = Path(file).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise PasswordError(f"the password file {file} cannot be read: {os.strerror(error.errno or 0)}") from None
    if not password:
        raise PasswordError(f"the password file {file} is empty")
    return password
