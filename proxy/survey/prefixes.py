"""The prefixes of keys that the log may name. They are short, printable and few. A whole key never appears."""

import re
from typing import Final

MOST_NAMED: Final = 16
"""Prefixes that one process names."""
_PREFIX: Final = re.compile(rb"[ -~]{3,31}?[_:/]")


def prefix_of(key: bytes) -> str | None:
    """The prefix of a key: up to the first `_`, `:` or `/` behind at least three bytes, and with it.

    None: the key has no such prefix, or it is longer than 32 bytes or not printable ASCII.
    """
    found = _PREFIX.match(key)
    return None if found is None else found[0].decode("ascii")


class Names:
    """The prefixes that the log of this process has named."""

    def __init__(self) -> None:
        """No prefix is named yet."""
        self._named: set[str] = set()

    def admit(self, prefix: str) -> bool:
        """Whether the log may name this prefix: it has named it already, or there is room for one more."""
        if prefix in self._named:
            return True
        if len(self._named) >= MOST_NAMED:
            return False
        self._named.add(prefix)
        return True

    def admit_new(self, prefix: str) -> bool:
        """Whether the log may name this prefix, and has not named it yet."""
        return prefix not in self._named and self.admit(prefix)
