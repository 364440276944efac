"""The str() of a timezone, which stands in the dtype of a column.

Sources: the `__str__` and `__repr__` methods of zoneinfo, datetime, pytz and dateutil.
"""

from collections.abc import Callable
from typing import Final

from proxy.codec import zones
from proxy.codec.nodes import Instance, Node, Zone

_MOST_CHARS: Final = 200


def of(zone: Instance, known: Zone) -> str:
    """The text of a zone. `known`: what it is to a datetime."""
    spell = _CLASSES.get(zone.symbol.text)
    text = None if spell is None else spell(zone, known)
    if text is not None and len(text) <= _MOST_CHARS and text.isprintable():
        return text
    if known.name is not None:
        return known.name
    name = zone.args[0] if zone.args else None
    return name if type(name) is str and name in zones.NAMES else _offset(known)  # it has had one offset always


def _offset(known: Zone) -> str:
    minutes = _seconds(known) // 60
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "UTC"


def _seconds(known: Zone) -> int:
    return 0 if known.offset is None else int(known.offset.total_seconds())


def _timezone(zone: Instance, _known: Zone) -> str | None:
    """datetime.timezone(offset, name)."""
    return zone.args[1] if len(zone.args) == 2 and type(zone.args[1]) is str else None


def _tzfile(zone: Instance, _known: Zone) -> str | None:
    """Dateutil's tzfile(None, path)."""
    return f"tzfile({zone.args[1]!r})" if len(zone.args) == 2 and _is_short(zone.args[1]) else None


def _tzoffset(zone: Instance, known: Zone) -> str | None:
    name = zone.args[0] if zone.args else None
    return f"tzoffset({name!r}, {_seconds(known)})" if name is None or _is_short(name) else None


def _is_short(name: Node) -> bool:
    """Whether it is a text that is looked at: each of many columns may have one zone."""
    return type(name) is str and len(name) <= _MOST_CHARS


def _pytz_offset(_zone: Instance, known: Zone) -> str:
    return f"pytz.FixedOffset({_seconds(known) // 60})"


_CLASSES: Final[dict[str, Callable[[Instance, Zone], str | None]]] = {
    "datetime.timezone": _timezone,
    "pytz.FixedOffset": _pytz_offset,
    **{f"dateutil.{module}.tzfile": _tzfile for module in ("tz", "tz.tz")},
    **{f"dateutil.{module}.tzoffset": _tzoffset for module in ("tz", "tz.tz")},
    **{f"dateutil.{module}.tzutc": lambda _zone, _known: "tzutc()" for module in ("tz", "tz.tz")},
}
"""By class. All others have the name of the zone."""
