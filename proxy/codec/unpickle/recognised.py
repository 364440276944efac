"""Classes of libraries that need rules of their own, because the parts of their pickles are hard to read.

Each function returns the value of an object. For another shape it returns UNKNOWN, and the general rules apply.

Sources: the `__reduce__` and `__getstate__` methods of SQLAlchemy 1.4 and 2.0, pymongo 3 and 4, arrow and pendulum;
those of pathlib, ipaddress and fractions in CPython 3.7 to 3.13.
"""

import re
from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Final

from proxy.codec import timezones
from proxy.codec.limits import INT_BOUND
from proxy.codec.nodes import UNKNOWN, Instance, Node, OldBytes, Scalar
from proxy.codec.unpickle import known_classes

_Value = Callable[[Instance], Node]

_RATIO: Final = re.compile(r"-?[0-9]+(/[0-9]+)?")
_OBJECT_ID_BYTES: Final = 12
_MAX_PARTS: Final = 1000


def value(instance: Instance) -> Node:
    """The value of an object of such a class; UNKNOWN: another class or another shape."""
    read = _CLASSES.get(instance.symbol.text)
    if read is None:
        read = _row if instance.symbol.name == "rowproxy_reconstructor" else _moment
    try:
        return read(instance)
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN


# -- SQLAlchemy ----------------------------------------------------------------------------------------


def _row(row: Instance) -> Node:
    """rowproxy_reconstructor(Row, state): an object by column names; an array if two names are equal."""
    _cls, state = row.args
    if type(state) is not dict:
        return UNKNOWN
    data, parent = state.get("_data"), state.get("_parent")
    if type(data) is not tuple and type(data) is not list:
        return UNKNOWN
    keys = parent.state.get("_keys") if type(parent) is Instance and type(parent.state) is dict else None
    if type(keys) is not list or len(keys) != len(data) or not {str}.issuperset(map(type, keys)):
        return list(data)
    named = dict(zip(keys, data, strict=True))
    return named if len(named) == len(data) else list(data)


def _array(collection: Instance) -> Node:
    """InstrumentedList and InstrumentedSet."""
    if collection.items is not None:
        return collection.items
    return collection.args[0] if collection.args and type(collection.args[0]) is list else []


def _object(collection: Instance) -> Node:
    return collection.pairs if collection.pairs is not None else {}


# -- texts ---------------------------------------------------------------------------------------------


def _object_id(instance: Instance) -> Node:
    """ObjectId of bson: the state is its 12 bytes. In PyMongo 1, it is an object that holds them."""
    raw = instance.state
    if type(raw) is dict:
        raw = raw.get("_ObjectId__id")
    if type(raw) is str:  # written by Python 2
        raw = raw.encode("latin-1")
    return raw.hex() if type(raw) in (bytes, OldBytes) and len(raw) == _OBJECT_ID_BYTES else UNKNOWN


def _path(kind: Callable[..., PurePath]) -> _Value:
    def read(instance: Instance) -> Node:
        parts = instance.args
        return str(kind(*parts)) if len(parts) <= _MAX_PARTS and {str}.issuperset(map(type, parts)) else UNKNOWN

    return read


def _address(kind: type[IPv4Address] | type[IPv6Address]) -> _Value:
    def read(instance: Instance) -> Node:
        (number,) = instance.args
        return str(kind(number)) if type(number) is int else UNKNOWN

    return read


def _fraction(instance: Instance) -> Node:
    """Fraction(numerator, denominator). Before Python 3.11: Fraction(text), where a whole number has no `/1`."""
    numbers = instance.args
    if len(numbers) == 2 and all(type(number) is int and -INT_BOUND < number < INT_BOUND for number in numbers):
        return f"{numbers[0]}/{numbers[1]}"
    (text,) = numbers
    found = _RATIO.fullmatch(text)
    return UNKNOWN if found is None else text if found[1] else text + "/1"


# -- dates ---------------------------------------------------------------------------------------------


def _arrow(instance: Instance) -> Node:
    moment = instance.state.get("_datetime") if type(instance.state) is dict else UNKNOWN
    return moment if type(moment) is Scalar else UNKNOWN


def _pendulum(instance: Instance) -> Node:
    """DateTime(year, month, day, hour, minute, second, microsecond, zone, fold)."""
    if not 8 <= len(instance.args) <= 9 or not {int}.issuperset(map(type, instance.args[:7])):
        return _moment(instance)
    fold = instance.args[8] if len(instance.args) == 9 else 0
    moment = datetime(*instance.args[:7], fold=fold)
    return timezones.aware(moment, instance.args[7]) or UNKNOWN


def _moment(instance: Instance) -> Node:
    """A subclass of datetime, date or time, called with the packed fields of its base class and perhaps a zone."""
    args = instance.args
    if not instance.is_called or not 1 <= len(args) <= 2 or type(args[0]) not in (bytes, OldBytes):
        return UNKNOWN
    read = _PACKED.get(len(args[0]))
    return UNKNOWN if read is None or is_lower(instance.symbol.name) else read(*args) or UNKNOWN


def is_lower(name: str) -> bool:
    """Whether the last part of a name begins in lower case or with `_`, as names of functions do in Python."""
    first = name.rpartition(".")[2][:1]
    return first == "_" or first.islower()


_PACKED: Final[dict[int, Callable[..., Node]]] = {
    4: known_classes.date_of,
    6: known_classes.time_of,
    10: known_classes.datetime_of,
}

_PATHS: Final = {
    **dict.fromkeys(("PurePath", "Path", "PurePosixPath", "PosixPath"), PurePosixPath),
    **dict.fromkeys(("PureWindowsPath", "WindowsPath"), PureWindowsPath),
}

_CLASSES: Final[dict[str, _Value]] = {
    **{
        f"{module}.{name}": _path(kind)
        for module in ("pathlib", "pathlib._local", "pathlib2")
        for name, kind in _PATHS.items()
    },
    "arrow.arrow.Arrow": _arrow,
    "bson.objectid.ObjectId": _object_id,
    "fractions.Fraction": _fraction,
    "ipaddress.IPv4Address": _address(IPv4Address),
    "ipaddress.IPv6Address": _address(IPv6Address),
    "pendulum.datetime.DateTime": _pendulum,
    "pendulum.pendulum.Pendulum": _pendulum,
    "sqlalchemy.orm.collections.InstrumentedDict": _object,
    "sqlalchemy.orm.collections.InstrumentedList": _array,
    "sqlalchemy.orm.collections.InstrumentedSet": _array,
}
