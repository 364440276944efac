"""pandas' scalars: Timestamp, NaT, Timedelta, Interval and Period.

Sources: their `__reduce__` methods in pandas 1.3 to 3.1. `_unpickle_timestamp(value, freq, zone)` has the unit as a
fourth argument since pandas 2, `_timedelta_unpickle(value, unit)` likewise.
"""

from collections.abc import Callable
from typing import Final

from proxy.codec import timezones
from proxy.codec.frames import moments, periods
from proxy.codec.frames.arrays import CLASSES as NUMPY
from proxy.codec.frames.arrays import Count, NumpyScalar
from proxy.codec.frames.dtypes import DType
from proxy.codec.nodes import Instance, Node, Scalar, Zone

_UNITS: Final = {7: "s", 8: "ms", 9: "us", 10: "ns"}
"""By the number that pandas pickles; before pandas 2 it is always ns."""
_WORD: Final = 2**63
CLOSED: Final = {"right": ("(", "]"), "left": ("[", ")"), "both": ("[", "]"), "neither": ("(", ")")}
"""The brackets of an interval, by the sides that belong to it."""
_TIMESTAMP: Final = "py/timestamp"


def _integer(args: tuple[Node, ...], at_unit: int) -> tuple[int, DType] | None:
    """The number of a Timestamp or Timedelta, and its unit; None: it is of another shape."""
    unit = _UNITS.get(args[at_unit]) if len(args) > at_unit and type(args[at_unit]) is int else "ns"
    if unit is None or not args or type(args[0]) is not int or not -_WORD <= args[0] < _WORD:
        return None
    return args[0], DType("M", 8, unit=unit)


def timestamp(instance: Instance, _count: Count) -> Scalar | None:
    """`_unpickle_timestamp(value, freq, zone, unit)`; None: its zone is unknown, or it has another shape."""
    found = _integer(instance.args, 3)
    if found is None or not 3 <= len(instance.args) <= 4:
        return None
    value, dtype = found
    if value == moments.NAT:
        return nat(instance, _count)
    zone = _zone(instance.args[2])
    if zone is None:
        return Scalar(_TIMESTAMP, moments.texts([value], dtype)[0]) if instance.args[2] is None else None
    # The pickle of a zone of pytz has the offset at this time.
    text = moments.texts([value], dtype, zone if zone.offset is None else Zone(zone.offset))[0]
    return Scalar(_TIMESTAMP, text if zone.name is None else {"at": text, "zone": zone.name})


def _zone(node: Node) -> Zone | None:
    """The zone that a node stands for. None: there is no zone, or it is unknown."""
    try:
        return None if node is None else timezones.of(node)
    except ValueError:
        return None


def nat(_instance: Instance, _count: Count) -> Scalar:
    """`_nat_unpickle(None)`."""
    return Scalar(_TIMESTAMP, moments.MISSING)


def timedelta(instance: Instance, _count: Count) -> Node | None:
    """Its seconds. `_timedelta_unpickle(value, unit)`, before pandas 2 `Timedelta(value)`; None: another shape."""
    found = _integer(instance.args, 1)
    return None if found is None else moments.seconds(*found)


def interval(instance: Instance, count: Count) -> str | None:
    """`Interval(left, right, closed)` as its str(); None: another shape."""
    if len(instance.args) != 3 or type(instance.args[2]) is not str or instance.args[2] not in CLOSED:
        return None
    ends = [_end(node, count) for node in instance.args[:2]]
    if None in ends:
        return None
    return interval_text(str(ends[0]), str(ends[1]), instance.args[2])


def interval_text(left: str, right: str, closed: str) -> str:
    """An interval as its str(). `closed`: a key of `CLOSED`."""
    opening, closing = CLOSED[closed]
    return f"{opening}{left}, {right}{closing}"


def _end(node: Node, count: Count) -> str | None:
    if type(node) is Instance:
        name = node.symbol.name.rpartition(".")[2]
        found = _integer(node.args, 3 if name in _TIMESTAMPS else 1)
        if name in _TIMESTAMPS and found is not None:
            return _timestamp_text(node, count)
        if name in _TIMEDELTAS and found is not None:
            return moments.duration_text(*found)
        read = NUMPY.get(node.symbol.text)
        number = None if read is None else read(node, count)
        node = number.value if type(number) is NumpyScalar else None
    return repr(node) if type(node) in (int, float) else None


def _timestamp_text(node: Instance, count: Count) -> str | None:
    """Before pandas 2, whose pickles have no unit, without the zone and without a time that is midnight."""
    moment = timestamp(node, count)
    if moment is None:
        return None
    text = moment.content["at"] if type(moment.content) is dict else moment.content
    return moments.as_str(text, is_old=len(node.args) == 3)


def period(instance: Instance, _count: Count) -> str | None:
    """`Period(None, freq, ordinal)` as its str(); None: of a frequency that is not known."""
    if len(instance.args) != 3 or type(instance.args[2]) is not int or not -_WORD <= instance.args[2] < _WORD:
        return None
    frequency = periods.of_offset(instance.args[1])
    return None if frequency is None else frequency.text(instance.args[2])


_TIMESTAMPS: Final = frozenset({"_unpickle_timestamp", "Timestamp"})
_TIMEDELTAS: Final = frozenset({"_timedelta_unpickle", "Timedelta"})

TIMESTAMPS: Final[dict[str, Callable[[Instance, Count], Node]]] = {
    "pandas._libs.tslibs.timestamps._unpickle_timestamp": timestamp,
    "pandas._libs.tslibs.timestamps.Timestamp": timestamp,
    "pandas._libs.tslibs.nattype._nat_unpickle": nat,
    "pandas._libs.tslibs.nattype.__nat_unpickle": nat,
}
"""Those that have a tag of their own."""

CLASSES: Final[dict[str, Callable[[Instance, Count], Node]]] = {
    "pandas._libs.tslibs.timedeltas._timedelta_unpickle": timedelta,
    "pandas._libs.tslibs.timedeltas.Timedelta": timedelta,
    "pandas.Timedelta": timedelta,
    "pandas._libs.interval.Interval": interval,
    "pandas.Interval": interval,
    "pandas._libs.tslibs.period.Period": period,
    "pandas.Period": period,
}
"""Those that are objects of a class with one value."""
