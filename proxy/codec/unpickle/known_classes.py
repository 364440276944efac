"""The classes of Python and Flask that have tags of their own, and the node for a call of each.

The arguments are checked. A call or state is corrupt if the class's own `__reduce__` does not write that form. Any
other class becomes an `Instance`. No name is imported, and no object of the app is created. The standard library checks
dates and numbers, which are kept as text.

Sources: the `__reduce__` methods of CPython 2.7 and 3.7 to 3.13, FORMATS of Werkzeug and Flask as measured.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, DecimalException
from typing import Final

from proxy.codec import timezones
from proxy.codec.nodes import Collection, Damaged, Instance, Key, Node, OldBytes, Scalar, Symbol
from proxy.codec.unpickle.names import attribute

_MAX_DECIMAL_CHARS: Final = 4400
_FEW_ARGS: Final = 3
"""Arguments of a call that are searched for a damaged part."""

_UUIDS: Final = 2**128
_SIZE_BOUND: Final = 2**63
"""Bound of a length in CPython."""
_FACTORIES: Final = frozenset(
    f"builtins.{name}" for name in ("list", "dict", "set", "int", "float", "str", "bool", "tuple", "frozenset")
)
"""Factories with which a defaultdict can be written back."""


def reduce(function: Symbol, args: tuple[Node, ...]) -> Node:
    """The node for the call `function(*args)`. Raises UndecodableError for an invalid name."""
    handler = _CALLS.get(function.text)
    if handler is None:
        return Instance(function, args, is_called=True)
    try:
        return handler(function, *args)
    except (TypeError, ValueError, OverflowError, DecimalException):
        return next((arg for arg in args[:_FEW_ARGS] if type(arg) is Damaged), Damaged(function))


def new(cls: Symbol, args: tuple[Node, ...]) -> Node:
    """The node for `cls.__new__(cls, *args)`."""
    if cls.text == _MARKUP and len(args) == 1 and type(args[0]) is str:
        return Scalar("py/markup", args[0])
    if cls.text in _MADE_BY_CALLS or (args and cls.text == UUID):
        return Damaged(cls)
    return Instance(cls, args)


def is_other(instance: Instance) -> bool:
    """Whether an object is of a class that is not known here."""
    return instance.zone is None and instance.symbol.text not in _OBJECTS


def build(instance: Instance, state: Node) -> None:
    """Set the state of an object, for BUILD."""
    name = instance.symbol.text
    if name in _COPIED and type(state) is dict and len(state) <= _MAX_STATE:
        state = dict(state)  # a copy: as in CPython, later changes of the dict do not matter
    if name != UUID:
        instance.state = state
        return
    try:
        instance.state = _uuid(state)  # a third of the size
    except (AttributeError, KeyError, TypeError, ValueError):
        instance.state = Damaged(instance.symbol)


def _check(condition: bool) -> None:
    if not condition:
        raise ValueError


# -- builtins ------------------------------------------------------------------------------------------


def _encode(_function: Symbol, text: Node, encoding: Node) -> bytes:
    """A bytes object in protocols 0 to 2: _codecs.encode(text, "latin1")."""
    _check(type(text) is type(encoding) is str and encoding in ("latin1", "latin-1"))
    raw: bytes = text.encode("latin-1")
    return raw


def _bytes(_function: Symbol) -> bytes:
    return b""


def _bytearray(function: Symbol, content: Node = b"", encoding: Node = None) -> bytearray:
    if encoding is not None:
        content = _encode(function, content, encoding)
    _check(type(content) is bytes)
    return bytearray(content)


def _complex(_function: Symbol, real: Node, imaginary: Node) -> Scalar:
    _check(type(real) is float and type(imaginary) is float)
    return Scalar("py/complex", [real, imaginary])


def _set(_function: Symbol, items: Node) -> Collection:
    _check(type(items) is list)
    return Collection("py/set", items.copy())  # the list may grow later


def _frozenset(_function: Symbol, items: Node) -> Collection:
    _check(type(items) is list)
    return Collection("py/frozenset", items.copy())


def _never(_function: Symbol, *_args: Node) -> Node:
    raise ValueError  # no pickler calls this class


def _getattr(function: Symbol, owner: Node, name: Node) -> Node:
    """Of a class: a nested class (protocol 2) or a method such as ZoneInfo._unpickle. Of a value: a bound method."""
    if type(owner) is Symbol and type(name) is str:
        return attribute(owner, name)
    return Instance(function, (owner, name), is_called=True)


def _reconstructor(_function: Symbol, cls: Node, base: Node, state: Node) -> Node:
    """An object in protocols 0 and 1: copyreg._reconstructor(cls, base, state)."""
    _check(type(cls) is type(base) is Symbol)
    if base.text == "builtins.object":
        _check(state is None)
        return new(cls, ())
    return new(cls, (state,))


# -- collections ---------------------------------------------------------------------------------------


def _ordered_dict(_function: Symbol, pairs: Node = ()) -> Collection:
    """Python 2 calls it with a list of [key, value] lists, Python 3 without arguments."""
    _check(pairs == () or type(pairs) is list)
    for pair in pairs:
        _check(type(pair) is list and len(pair) == 2)
    return Collection("py/ordereddict", {key if type(key) is str else Key(key): value for key, value in pairs})


def _counter(_function: Symbol, counts: Node) -> Collection:
    _check(type(counts) is dict)
    return Collection("py/counter", counts.copy())


def _defaultdict(function: Symbol, factory: Node = None) -> Node:
    """The items follow. With a factory of the app it cannot be written back, so it becomes an `Instance`."""
    if factory is None:
        return Collection("py/defaultdict", {})
    _check(type(factory) in (Symbol, Instance))
    if type(factory) is Symbol and factory.text in _FACTORIES:
        return Collection("py/defaultdict", {}, factory.name)
    instance = Instance(function, (factory,))
    instance.pairs = {}
    return instance


def _deque(_function: Symbol, items: Node = (), maxlen: Node = None) -> Collection:
    """Python 2 calls it with the list. In Python 3 the items follow. `maxlen` is below 2^63, as in CPython."""
    _check(items == () or type(items) is list)
    _check(maxlen is None or (type(maxlen) is int and 0 <= maxlen < _SIZE_BOUND))
    return Collection("py/deque", list(items), maxlen)


# -- dates and numbers ---------------------------------------------------------------------------------


def _state(state: Node, size: int) -> bytes:
    """The packed fields of a date or time. Python 2 writes them as a str."""
    if type(state) is str:
        state = state.encode("latin-1")
    _check(type(state) in (bytes, OldBytes) and len(state) == size)
    return bytes(state)


def datetime_of(state: Node, zone: Node = None) -> Scalar | None:
    """A datetime; None: its zone is unknown. Raises ValueError and TypeError for an invalid state."""
    packed = _state(state, 10)
    day, hour, minute, second = packed[3:7]
    year, month, fold = packed[0] << 8 | packed[1], packed[2] & 0x7F, packed[2] >> 7
    microsecond = int.from_bytes(packed[7:], "big")
    return timezones.aware(datetime(year, month, day, hour, minute, second, microsecond, fold=fold), zone)


def _datetime(function: Symbol, state: Node, zone: Node = None) -> Node:
    return datetime_of(state, zone) or Instance(function, (state, zone))


def date_of(state: Node) -> Scalar:
    packed = _state(state, 4)
    return Scalar("py/date", date(packed[0] << 8 | packed[1], packed[2], packed[3]).isoformat())


def _date(_function: Symbol, state: Node) -> Scalar:
    return date_of(state)


def time_of(state: Node, zone: Node = None) -> Scalar | None:
    """A time; None: its zone has no fixed offset. Raises ValueError and TypeError for an invalid state."""
    packed = _state(state, 6)
    moment = time(packed[0] & 0x7F, packed[1], packed[2], int.from_bytes(packed[3:], "big"))
    if zone is not None:
        known = timezones.of(zone)
        if known is None or known.offset is None or known.name is not None:
            return None
        moment = moment.replace(tzinfo=timezone(known.offset))
    return Scalar("py/time", moment.isoformat())


def _time(function: Symbol, state: Node, zone: Node = None) -> Node:
    return time_of(state, zone) or Instance(function, (state, zone))


def _timedelta(_function: Symbol, days: Node, seconds: Node, microseconds: Node) -> Scalar:
    _check(type(days) is type(seconds) is type(microseconds) is int)
    delta = timedelta(days, seconds, microseconds)
    return Scalar("py/timedelta", [delta.days, delta.seconds, delta.microseconds])


def _zone(function: Symbol, *args: Node) -> Instance:
    """A zone with a fixed offset. It is checked here. As a value of its own, it is presented like any other object."""
    zone = Instance(function, args, is_called=True)
    _check(timezones.of(zone) is not None or timezones.is_tiny(args))
    return zone


def _named_zone(function: Symbol, *args: Node) -> Instance:
    """pytz._p(name) or _p(name, offset, dst, abbreviation). An unknown name is not an error."""
    _check(len(args) in (1, 4) and type(args[0]) is str)
    zone = Instance(function, args, is_called=True)
    timezones.of(zone)
    return zone


def _decimal(_function: Symbol, text: Node) -> Scalar:
    _check(type(text) is str and len(text) <= _MAX_DECIMAL_CHARS)
    return Scalar("py/decimal", str(Decimal(text)))


def _uuid(state: Node) -> Scalar:
    number, is_safe = state["int"], state.get("is_safe", 0)
    _check(type(number) is type(is_safe) is int and len(state) <= 2)  # is_safe, from uuid1(), does not change the value
    _check(state.keys() <= {"int", "is_safe"} and -1 <= is_safe <= 0)
    _check(0 <= number < _UUIDS)
    digits = f"{number:032x}"
    return Scalar("py/uuid", "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


_MAX_STATE: Final = 64
"""Most attributes of a state that is copied. A Response has six, and those that its app adds."""

UUID: Final = "uuid.UUID"
"""The class of the tag `py/uuid`."""
_MARKUP: Final = "markupsafe.Markup"

_CALLS: Final[dict[str, Callable[..., Node]]] = {
    "_codecs.encode": _encode,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytearray,
    "builtins.complex": _complex,
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
    **{f"builtins.{name}": _never for name in ("str", "int", "float", "bool", "list", "tuple", "dict")},
    "builtins.getattr": _getattr,
    "collections.Counter": _counter,
    "collections.OrderedDict": _ordered_dict,
    "collections.defaultdict": _defaultdict,
    "collections.deque": _deque,
    "copyreg._reconstructor": _reconstructor,
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "datetime.time": _time,
    "datetime.timedelta": _timedelta,
    "datetime.timezone": _zone,
    "decimal.Decimal": _decimal,
    "pytz._UTC": _zone,
    "pytz._p": _named_zone,
    "pytz.FixedOffset": _zone,
    UUID: _never,
    _MARKUP: _never,
}

RESPONSES: Final = frozenset(
    {
        "flask.wrappers.Response",
        "werkzeug.wrappers.response.Response",
        "werkzeug.wrappers.Response",
        "flask_caching.CachedResponse",
    }
)
"""Classes whose objects are always responses. In any other form they are damaged."""

_COPIED: Final = RESPONSES | {"werkzeug.datastructures.Headers", "werkzeug.datastructures.headers.Headers"}
"""Classes whose state is copied at BUILD, in both engines."""

_OBJECTS: Final = _COPIED | {UUID}
"""Classes whose objects never show other objects inside them."""

_MADE_BY_CALLS: Final = (_CALLS.keys() - {UUID}) | {"builtins.NoneType"}
"""Classes of which no pickler creates an object by NEWOBJ."""
