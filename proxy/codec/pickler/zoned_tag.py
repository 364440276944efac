"""The tag of a datetime in a named zone: `{"at": "2024-07-02T03:04:05+02:00", "zone": "Europe/Berlin"}`."""

from datetime import datetime
from typing import Any, Final

from proxy.codec import zones
from proxy.codec.errors import PayloadError
from proxy.codec.limits import OBJECT_NODES
from proxy.codec.pickler import contents
from proxy.codec.pickler.pickler import Pickler, Plan, TagWriter


class ZoneError(ValueError):
    """The zone does not exist, or its clocks never show that time. The text continues "a date and time"."""


def fold_of(at: datetime, name: str) -> int:
    """The `fold` (PEP 495) for which the local time of `at` has the offset of `at` in the zone `name`.

    `at` is aware and has a fixed offset. Raises ZoneError.
    """
    if name not in zones.NAMES:
        raise ZoneError("in a zone of the time zone database, as in Europe/Berlin")
    local = at.replace(tzinfo=zones.rules(name))
    first, second = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
    if first is None or second is None or first < second:  # PEP 495: only in a gap
        raise ZoneError(f"that exists in {name}: its clocks skip this one")
    offset = at.utcoffset()
    if offset not in (first, second):
        raise ZoneError(f"with an offset that {name} has at that time")
    return 0 if offset == first else 1


_WANTED: Final = '{"at": an ISO 8601 date and time with an offset, "zone": the name of its zone}'


def _zoned(pickler: Pickler, content: Any, tag: str) -> Plan:
    """A datetime with a `zoneinfo.ZoneInfo`. It loads if the app's Python has that zone."""
    at, zone = _parts(content, tag)
    if pickler.protocol == 2:
        raise PayloadError(f"{tag} cannot be written with pickle_protocol = 2: Python 2 has no zoneinfo")
    try:
        return pickler.moment(at.replace(fold=fold_of(at, zone)), zone)
    except ZoneError as error:
        raise contents.bad(tag, f"a date and time {error}") from None


def _read_zoned(pickler: Pickler, content: Any, tag: str) -> Plan:
    """A datetime that is already stored. If its library used other rules than `tzdata`, the offset stays."""
    at, zone = _parts(content, tag)
    try:
        return pickler.moment(at.replace(fold=fold_of(at, zone)), zone)
    except ZoneError:
        return pickler.moment(at)


def _parts(content: Any, tag: str) -> tuple[datetime, str]:
    """The time, with its offset, and the name of its zone."""
    if type(content) is not dict or set(content) != {"at", "zone"}:
        raise contents.bad(tag, _WANTED)
    zone = contents.text(content["zone"], tag, _WANTED)
    try:
        at = datetime.fromisoformat(contents.iso(content["at"], tag, _WANTED))
    except ValueError:
        raise contents.bad(tag, _WANTED) from None
    if at.tzinfo is None:
        raise contents.bad(tag, _WANTED)
    return at, zone


ZONED: Final = TagWriter(_zoned, nodes=OBJECT_NODES)
STORED_ZONED: Final = TagWriter(_read_zoned, nodes=OBJECT_NODES)
