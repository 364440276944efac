"""The time zone database of the package `tzdata`, which is the same on every machine.

The import of this module reads the names. The first use of a zone reads its rules, from the package's own file. No
other file is read: neither the system's database nor a path from a pickle.
"""

from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

_PACKAGE: Final = files("tzdata")

NAMES: Final = frozenset((_PACKAGE / "zones").read_text("utf-8").split())
"""All zones, including links: about 600."""

_UTC_NAMES: Final = ("UTC", "UCT", "Universal", "Zulu", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich")
_FIXED: Final = {
    **{place + name: 0 for name in _UTC_NAMES for place in ("", "Etc/")},
    **{f"Etc/GMT{-hours:+d}": hours for hours in range(-12, 15) if hours},  # POSIX counts west of Greenwich
}


def fixed_offset(name: str) -> timedelta | None:
    """The offset of a zone that by its name has a fixed offset, such as UTC; None: another zone."""
    hours = _FIXED.get(name)
    return None if hours is None else timedelta(hours=hours)


@cache
def rules(name: str) -> ZoneInfo:
    """The rules of a zone. `name`: one of `NAMES`, so the cache is bounded."""
    with _PACKAGE.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
