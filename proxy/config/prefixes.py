"""Rules from prefixes of keys, as `--prefix` gives them."""

import re
from collections.abc import Iterable
from typing import Final

VARIABLE: Final = "FLASK_CACHE_PROXY_PREFIX"
"""As `--prefix`; commas separate several prefixes."""
_SPECIAL: Final = re.compile(r"[*?\[\\]")


def glob_of(prefix: str) -> str:
    """The `keys` of a rule for all keys with a prefix. Characters that are special in globs are escaped."""
    return _SPECIAL.sub(r"\\\g<0>", prefix) + "*"


def ordered(prefixes: Iterable[str]) -> list[str]:
    """The prefixes without duplicates. The longer one comes first where one begins another: the first match wins."""
    found: list[str] = []
    known: set[str] = set()
    sizes: set[int] = set()
    for prefix in dict.fromkeys(prefixes):
        at = len(found)
        if any(
            prefix[:size] in known for size in sizes
        ):  # rare, and the search takes time in proportion to all of them
            at = next(at for at, other in enumerate(found) if prefix.startswith(other))
        found.insert(at, prefix)
        known.add(prefix)
        sizes.add(len(prefix))
    return found


def fault(prefix: str) -> str:
    """The reason why a prefix cannot be used. Empty if there is no reason."""
    try:
        prefix.encode()
    except UnicodeEncodeError:
        return "expected UTF-8 text; use [[rule]] keys with ? in place of other bytes"
    return ""
