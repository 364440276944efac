"""The few classes and calls that a stored pickle may name, and what each becomes.

A name outside `_SYMBOLS` is undecodable, by name. A call or state of another shape than the class's own
`__reduce__` writes is too. Nothing is imported by name and nothing of the app's is ever made; dates and
numbers are checked with the standard library and kept as text.

Sources: the `__reduce__` methods of CPython 2.7 and 3.7 to 3.13, FORMATS of Werkzeug and Flask as measured.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, DecimalException
from typing import Any, Final

from proxy.codec.errors import UndecodableError
from proxy.codec.nodes import Collection, Instance, Key, Node, Scalar, Symbol, Zone

_MAX_DECIMAL_CHARS: Final = 4400
_SECOND: Final = timedelta(seconds=1)
_UUIDS: Final = 2**128
_MAX_STATE: Final = 64
"""Attributes of an object; a Response has six, and what its app adds."""

_FEW: Final = 8
"""Pieces of a Response's body that cost nothing to speak of."""
_UNPRINTABLE: Final = re.compile(r"[^A-Za-z0-9_.]")


class OldBytes(bytes):
    """A str of Python 2 that is not ASCII."""

    __slots__ = ()


def symbol(module: str, name: str) -> Symbol:
    """The symbol of a known name; raises UndecodableError, naming it, for any other."""
    known = _SYMBOLS.get((_MODULES.get(module, module), name))
    if known is None:
        raise UndecodableError(f"an object of class {printable(module)}.{printable(name)}")
    return known


def reduce(function: Symbol, args: tuple[Node, ...]) -> Node:
    """What the call `function(*args)` stands for; raises UndecodableError."""
    handler = _CALLS.get(function)
    if handler is None:
        raise UndecodableError(f"a call of {function}")
    try:
        return handler(*args)
    except (TypeError, ValueError, OverflowError, DecimalException):
        raise UndecodableError(f"a {function} of unknown shape") from None


def new(cls: Symbol, args: tuple[Node, ...]) -> Node:
    """What `cls.__new__(cls, *args)` stands for; raises UndecodableError."""
    if cls is _MARKUP and len(args) == 1 and type(args[0]) is str:
        return Scalar("py/markup", args[0])
    if cls in _INSTANCES and not args:
        return Instance(cls)
    raise UndecodableError(f"a {cls} of unknown shape")


def build(cls: Symbol, state: Node) -> Node:
    """What BUILD leaves of a state in an object: as in CPython, what is done to `state` later does not matter."""
    if type(state) is not dict or len(state) > _MAX_STATE:
        raise UndecodableError(f"a {cls} of unknown shape")
    if cls is not _UUID:
        return dict(state)
    try:
        return _uuid(state)  # a third of the size
    except (KeyError, ValueError):
        raise UndecodableError(f"a {cls} of unknown shape") from None


def resolve(instance: Instance) -> Scalar:
    """What a finished object stands for; raises UndecodableError."""
    try:
        return _INSTANCES[instance.symbol](instance.state)
    except (KeyError, TypeError, ValueError):
        raise UndecodableError(f"a {instance.symbol} of unknown shape") from None


def printable(name: str | bytes) -> str:
    """A name for a message, whatever it holds."""
    text = name if isinstance(name, str) else name.decode("latin-1")
    return _UNPRINTABLE.sub("?", text[:100])


def _check(condition: bool) -> None:
    if not condition:
        raise ValueError


# -- builtins ------------------------------------------------------------------------------------------


def _encode(text: Node, encoding: Node) -> bytes:
    """How protocols 0 to 2 write bytes."""
    _check(type(text) is type(encoding) is str and encoding in ("latin1", "latin-1"))
    raw: bytes = text.encode("latin-1")
    return raw


def _bytes() -> bytes:
    return b""


def _bytearray(content: Node = b"", encoding: Node = None) -> bytearray:
    if encoding is not None:
        content = _encode(content, encoding)
    _check(type(content) is bytes)
    return bytearray(content)


def _complex(real: Node, imaginary: Node) -> Scalar:
    _check(type(real) is float and type(imaginary) is float)
    return Scalar("py/complex", [real, imaginary])


def _set(items: Node) -> Collection:
    _check(type(items) is list)
    return Collection("py/set", items.copy())  # the list may grow later


def _frozenset(items: Node) -> Collection:
    _check(type(items) is list)
    return Collection("py/frozenset", items.copy())


def _ordered_dict(pairs: Node = ()) -> Collection:
    """Python 2 calls it with a list of [key, value] lists, Python 3 without anything."""
    _check(pairs == () or type(pairs) is list)
    for pair in pairs:
        _check(type(pair) is list and len(pair) == 2)
    return Collection("py/ordereddict", {key if type(key) is str else Key(key): value for key, value in pairs})


def _reconstructor(cls: Node, base: Node, state: Node) -> Node:
    """Protocols 0 and 1: copyreg._reconstructor(cls, base, state)."""
    _check(type(cls) is type(base) is Symbol)
    if cls is _MARKUP and (base is _STR or base is _UNICODE):
        return new(cls, (state,))
    _check(base is _OBJECT and state is None)
    return new(cls, ())


# -- dates and numbers ---------------------------------------------------------------------------------


def _state(state: Node, size: int) -> bytes:
    """Python 2 gives the packed fields as a str."""
    if type(state) is str:
        state = state.encode("latin-1")
    _check(type(state) in (bytes, OldBytes) and len(state) == size)
    return bytes(state)


def _zone(zone: Node) -> tzinfo | None:
    if zone is None:
        return None
    _check(type(zone) is Zone)
    return timezone(zone.offset)


def _datetime(state: Node, zone: Node = None) -> Scalar:
    packed = _state(state, 10)
    day, hour, minute, second = packed[3:7]
    year, month = packed[0] << 8 | packed[1], packed[2] & 0x7F  # the high bit of the month is `fold`
    microsecond = int.from_bytes(packed[7:], "big")
    moment = datetime(year, month, day, hour, minute, second, microsecond, _zone(zone))
    return Scalar("py/datetime", moment.isoformat())


def _date(state: Node) -> Scalar:
    packed = _state(state, 4)
    return Scalar("py/date", date(packed[0] << 8 | packed[1], packed[2], packed[3]).isoformat())


def _time(state: Node, zone: Node = None) -> Scalar:
    packed = _state(state, 6)
    moment = time(packed[0] & 0x7F, packed[1], packed[2], int.from_bytes(packed[3:], "big"), tzinfo=_zone(zone))
    return Scalar("py/time", moment.isoformat())


def _timedelta(days: Node, seconds: Node, microseconds: Node) -> Scalar:
    _check(type(days) is type(seconds) is type(microseconds) is int)
    delta = timedelta(days, seconds, microseconds)
    return Scalar("py/timedelta", [delta.days, delta.seconds, delta.microseconds])


def _timezone(offset: Node, name: Node = "") -> Zone:
    """A fixed offset. Its name is lost, which makes it no other: Python compares the offsets."""
    _check(type(offset) is Scalar and offset.tag == "py/timedelta" and type(name) is str)
    delta = timedelta(*offset.content)
    timezone(delta)  # raises ValueError beyond a day
    _check(not delta or abs(delta) >= _SECOND)  # datetime.fromisoformat() takes less for UTC
    return Zone(delta)


def _utc() -> Zone:
    return Zone(timedelta(0))


def _getattr(owner: Node, name: Node) -> Symbol:
    """The one bound method that a zoneinfo pickles: ZoneInfo._unpickle."""
    _check(owner is _ZONE_INFO)
    _check(type(name) is str and name == "_unpickle")
    return _ZONE_UNPICKLE


def _zoneinfo(name: Node, _from_cache: Node) -> Zone:
    if type(name) is str and name in ("UTC", "Etc/UTC", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"):
        return _utc()
    raise UndecodableError("a datetime in a named zone other than UTC")


def _pytz(*_args: Node) -> Zone:
    raise UndecodableError("a datetime in a named zone other than UTC")


def _pytz_offset(minutes: Node) -> Zone:
    _check(type(minutes) is int)
    return _timezone(_timedelta(0, minutes * 60, 0))


def _decimal(text: Node) -> Scalar:
    _check(type(text) is str and len(text) <= _MAX_DECIMAL_CHARS)
    return Scalar("py/decimal", str(Decimal(text)))


def _uuid(state: Node) -> Scalar:
    number, is_safe = state["int"], state.get("is_safe", 0)
    _check(type(number) is type(is_safe) is int and len(state) <= 2)  # is_safe: of uuid1(), does not make it another
    _check(state.keys() <= {"int", "is_safe"} and -1 <= is_safe <= 0)
    _check(0 <= number < _UUIDS)
    digits = f"{number:032x}"
    return Scalar("py/uuid", "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


def _built(state: Node) -> Scalar:
    _check(type(state) is Scalar)
    scalar: Scalar = state
    return scalar


# -- Flask and Werkzeug --------------------------------------------------------------------------------


def _response(state: Node) -> Scalar:
    headers = state["headers"]
    _check(type(headers) is Instance and headers.symbol.name == "Headers")
    pairs = headers.state["_list"]
    _check(type(pairs) is list)
    for pair in pairs:
        _check(type(pair) is tuple and len(pair) == 2 and type(pair[0]) is type(pair[1]) is str)
    status, parts = state["_status_code"], state["response"]
    _check(type(status) is int and 100 <= status <= 999 and type(parts) in (list, tuple))
    content: dict[str, Any] = {
        "status": status,
        "headers": [list(pair) for pair in pairs],
        "body": _body(parts),
    }
    return Scalar("py/response", content, len(pairs) + max(0, len(parts) - _FEW))


def _body(parts: list[Node] | tuple[Node, ...]) -> str | bytes:
    """The body's parts in one: str where it is UTF-8, else bytes."""
    pieces = []
    for part in parts:
        _check(type(part) in (bytes, str, OldBytes))
        pieces.append(part.encode() if type(part) is str else part)
    body = b"".join(pieces)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _headers(_state: Node) -> Scalar:
    raise ValueError  # Headers alone are no value


_UUID: Final = Symbol("uuid", "UUID")
_MARKUP: Final = Symbol("markupsafe", "Markup")
_STR: Final = Symbol("builtins", "str")
_UNICODE: Final = Symbol("builtins", "unicode")
_OBJECT: Final = Symbol("builtins", "object")
_ZONE_INFO: Final = Symbol("zoneinfo", "ZoneInfo")
_ZONE_UNPICKLE: Final = Symbol("zoneinfo", "ZoneInfo._unpickle")

_MODULES: Final = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "werkzeug.datastructures.headers": "werkzeug.datastructures",
}

_CALLS: Final[dict[Symbol, Callable[..., Node]]] = {
    Symbol("_codecs", "encode"): _encode,
    Symbol("builtins", "bytes"): _bytes,
    Symbol("builtins", "bytearray"): _bytearray,
    Symbol("builtins", "complex"): _complex,
    Symbol("builtins", "set"): _set,
    Symbol("builtins", "frozenset"): _frozenset,
    Symbol("builtins", "getattr"): _getattr,
    Symbol("collections", "OrderedDict"): _ordered_dict,
    Symbol("copyreg", "_reconstructor"): _reconstructor,
    Symbol("datetime", "datetime"): _datetime,
    Symbol("datetime", "date"): _date,
    Symbol("datetime", "time"): _time,
    Symbol("datetime", "timedelta"): _timedelta,
    Symbol("datetime", "timezone"): _timezone,
    Symbol("decimal", "Decimal"): _decimal,
    Symbol("pytz", "_UTC"): _utc,
    Symbol("pytz", "_p"): _pytz,
    Symbol("pytz", "FixedOffset"): _pytz_offset,
    _ZONE_UNPICKLE: _zoneinfo,
}

_INSTANCES: Final[dict[Symbol, Callable[[Node], Scalar]]] = {
    _UUID: _built,
    Symbol("flask.wrappers", "Response"): _response,
    Symbol("werkzeug.wrappers.response", "Response"): _response,
    Symbol("werkzeug.wrappers", "Response"): _response,
    Symbol("flask_caching", "CachedResponse"): _response,
    Symbol("werkzeug.datastructures", "Headers"): _headers,
}

_SYMBOLS: Final = {
    (each.module, each.name): each
    for each in (*_CALLS, *_INSTANCES, _MARKUP, _STR, _UNICODE, _OBJECT, _ZONE_INFO)
    if each is not _ZONE_UNPICKLE  # no pickle names it: it is an attribute
}
