"""Timezones of all usual libraries, as their pickles describe them.

Sources: the `__reduce__` and `__getinitargs__` methods of CPython's zoneinfo, pytz, dateutil, psycopg2, pymongo (bson),
pendulum, Django and isodate, old versions and new.
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Final

from proxy.codec import zones
from proxy.codec.nodes import Instance, Node, Scalar, Zone

_SECOND: Final = timedelta(seconds=1)
_UTC: Final = Zone(timedelta(0))
_DATABASE: Final = "zoneinfo/"
"""The part of a path into the time zone database before the name of a zone."""

_MANY: Final = 4
"""Most attributes or arguments of a zone."""

_MOST_CHARS: Final = 4096
"""Of a path: as many as Linux takes. A longer one would be looked at again for each datetime."""


def aware(moment: datetime, zone: Node) -> Scalar | None:
    """A datetime in a zone; `zone` None: a naive one. The result None: the zone is unknown.

    Raises ValueError if `zone` is not a zone, and OverflowError for years outside 1 to 9999.
    """
    if zone is None:
        return Scalar("py/datetime", moment.isoformat())
    known = of(zone)
    if known is None:
        return None
    offset = known.offset
    if offset is None:
        offset = moment.replace(tzinfo=zones.rules(str(known.name))).utcoffset()
    at = moment.replace(tzinfo=timezone(offset or timedelta(0))).isoformat()
    if known.name is None:
        return Scalar("py/datetime", at)
    return Scalar("py/zoned", {"at": at, "zone": known.name})


def of(node: Node) -> Zone | None:
    """The zone of a node; None: it is unknown. Raises ValueError if the node is not a zone, or is corrupt."""
    if type(node) is not Instance:
        raise ValueError
    if node.zone is None:
        read = _ZONES.get(node.symbol.text, _by_shape)
        node.zone = read(node)
    return node.zone


def _fixed(offset: timedelta | None) -> Zone | None:
    """A zone with a fixed offset; None: ISO 8601 cannot write it, or `fromisoformat` reads it as UTC (`is_tiny`)."""
    if offset is None or abs(offset) >= timedelta(days=1) or (offset and abs(offset) < _SECOND):
        return None
    return Zone(offset)


def is_tiny(args: tuple[Node, ...]) -> bool:
    """Whether these are a `timezone` with an offset below a second. It is an object like any other."""
    offset = _offset(args)
    return offset is not None and timedelta(0) < abs(offset) < _SECOND


def _named(name: Node, seconds: Node = None) -> Zone | None:
    """A zone of the database. `seconds`: the offset, if the pickle has it."""
    if type(name) is not str or name not in zones.NAMES:
        return None
    fixed = zones.fixed_offset(name)
    if seconds is None:
        return Zone(None, name) if fixed is None else Zone(fixed)
    known = _fixed(_span(seconds, seconds=1)) if type(seconds) is int else None
    if known is None or (fixed is not None and known.offset != fixed):
        raise ValueError
    return known if fixed is not None else known._replace(name=name)


def _span(number: Node, seconds: int) -> timedelta | None:
    """The timedelta of `py/timedelta`, or of an int in units of `seconds` seconds; None: another value."""
    if type(number) is Scalar and number.tag == "py/timedelta":
        return timedelta(*number.content)
    if type(number) is not int or abs(number) > 100_000:
        return None
    return timedelta(seconds=number * seconds)


# -- by class ------------------------------------------------------------------------------------------


def _utc(_zone: Instance) -> Zone:
    return _UTC


def _pytz_utc(zone: Instance) -> Zone | None:
    return None if zone.args else _UTC


def _timezone(zone: Instance) -> Zone | None:
    """datetime.timezone(offset, name). The name is lost, but the zone stays equal: Python compares only offsets."""
    return _fixed(_offset(zone.args))


def _offset(args: tuple[Node, ...]) -> timedelta | None:
    offset, *name = args or (None,)
    if type(offset) is not Scalar or not (name == [] or (len(name) == 1 and type(name[0]) is str)):
        return None
    return _span(offset, seconds=1)


def _first(seconds: int) -> Callable[[Instance], Zone | None]:
    """A reader of zones whose offset is the first argument (see `_span`) or in the state."""

    def read(zone: Instance) -> Zone | None:
        return _fixed(_span(zone.args[0], seconds)) if zone.args else _by_shape(zone)

    return read


def _pytz_offset(zone: Instance) -> Zone | None:
    if len(zone.args) != 1 or type(zone.args[0]) is not int:
        return None
    return _fixed(_span(zone.args[0], seconds=60))


def _pytz(zone: Instance) -> Zone | None:
    """pytz._p(name) for a fixed zone. In _p(name, offset, dst, abbreviation), the offset is that of this datetime."""
    return _named(*zone.args[:2])


def _by_name(zone: Instance) -> Zone | None:
    return _named(zone.args[0]) if zone.args else None


def _tzoffset(zone: Instance) -> Zone | None:
    """Dateutil's tzoffset(name, offset)."""
    return _fixed(_span(zone.args[1], seconds=1)) if len(zone.args) == 2 else _by_shape(zone)


def _tzlocal(zone: Instance) -> Zone | None:
    """Dateutil's tzlocal: the offsets of the machine that pickled it, without rules. A single one is fixed."""
    state = zone.state if type(zone.state) is dict else {}
    offsets = [state.get(name) for name in ("_std_offset", "_dst_offset")]
    if zone.args or state.get("_hasdst") is not False or not all(type(offset) is Scalar for offset in offsets):
        return None
    standard, saving = (_span(offset, seconds=1) for offset in offsets)
    return _fixed(standard) if standard == saving else None


def _tzfile(zone: Instance) -> Zone | None:
    """Zones of dateutil: one argument is a zone's name, or a path into the database."""
    for text in zone.args[:_MANY]:
        if type(text) is str and len(text) <= _MOST_CHARS:
            known = _named(text.rpartition(_DATABASE)[2])
            if known is not None:
                return known
    return None


# -- by shape ------------------------------------------------------------------------------------------


def _by_shape(zone: Instance) -> Zone | None:
    """A zone of another class: a subclass of ZoneInfo, a class named UTC, or a class with its offset in the state."""
    name = zone.symbol.name.rpartition(".")[2]
    if name == "_unpickle":
        return _named(zone.args[0]) if len(zone.args) == 2 else None
    state = zone.state if type(zone.state) is dict and len(zone.state) <= _MANY else {}
    for key, value in state.items():
        if type(key) is str and key.endswith(("_offset", "_utcoffset")) and key.count("offset") == 1:
            known = _fixed(_span(value, seconds=1)) if type(value) is Scalar else None
            if known is not None and "dst" not in key and "std" not in key:
                return known
    return _UTC if not zone.args and not zone.state and name.lower() in _UTC_CLASSES else None


_UTC_CLASSES: Final = frozenset({"utc", "tzutc", "utctimezone", "_utc", "utcclass"})

_ZONES: Final[dict[str, Callable[[Instance], Zone | None]]] = {
    "datetime.timezone": _timezone,
    "pytz._UTC": _pytz_utc,
    "pytz._p": _pytz,
    "pytz.FixedOffset": _pytz_offset,
    "dateutil.tz.tz.tzutc": _utc,
    "dateutil.tz.tzutc": _utc,
    "dateutil.tz.tz.tzoffset": _tzoffset,
    "dateutil.tz.tzoffset": _tzoffset,
    "dateutil.tz.tz.tzlocal": _tzlocal,
    "dateutil.tz.tzlocal": _tzlocal,
    "dateutil.tz.tz.tzfile": _tzfile,
    "dateutil.tz.tzfile": _tzfile,
    "dateutil.tz._tzfile._unpickle": _tzfile,
    "dateutil.zoneinfo.gettz": _tzfile,
    "dateutil.zoneinfo.tzfile": _tzfile,
    "psycopg2.tz.FixedOffsetTimezone": _first(seconds=60),
    "bson.tz_util.FixedOffset": _first(seconds=60),
    "pendulum.tz.timezone.FixedTimezone": _first(seconds=1),
    "pendulum.tz.timezone.Timezone": _by_name,
}
"""The reader for each class. `_by_shape` reads all other classes."""
