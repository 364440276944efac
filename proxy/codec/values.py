"""Python values <-> stored values, for Python programs that fill or inspect a cache without Flask and without risk.

`dumps` writes what Flask would have stored, `loads` reads it back and executes nothing. Both know the types of the tag
table and no others. Markup and responses, whose classes may not be installed, are the plain stand-ins below.
"""

from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from proxy.codec import present, stored, tags
from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.limits import INT_BOUND, CodecLimits
from proxy.codec.nodes import Key
from proxy.codec.pickling import Pickler


class Markup(str):
    """Stands for markupsafe.Markup."""

    __slots__ = ()


class Response(NamedTuple):
    """Stands for a Flask or Werkzeug response."""

    status: int
    headers: list[tuple[str, str]]
    body: str | bytes


_ALL_TAGS: Final = tags.accepted(tags.NAMES)
_NATURAL: Final = present.MSGPACK._replace(int_min=-INT_BOUND, int_max=INT_BOUND)
"""A tree that stays in Python needs no tags for bytes, NaN and large ints."""


def dumps(value: Any, *, protocol: int = 4, limits: CodecLimits = CodecLimits()) -> bytes:  # noqa: B008 (immutable)
    """The stored value of a Python value: ASCII digits for an int, else `!` and a pickle.

    Raises PayloadError for a type that has no tag, and beyond the limits.
    """
    if type(value) is int:
        return stored.write_int(value)
    return stored.PICKLE_MARK + Pickler(protocol, _ALL_TAGS, limits).dumps(_tagged(value, limits.depth + 1))


def loads(value: bytes, *, limits: CodecLimits = CodecLimits()) -> Any:  # noqa: B008 (immutable)
    """The Python value of a stored value. Raises UndecodableError for foreign classes and beyond the limits."""
    tree = present.Presenter(_NATURAL, limits).present(stored.read(value, limits).root)
    try:
        Pickler(protocol=4, tags=_ALL_TAGS, limits=limits).dumps(tree)  # that Python can hash it, and safely
    except PayloadError as error:
        raise UndecodableError(str(error)) from None
    return _untagged(tree)


def _tagged(value: Any, depth: int) -> Any:
    """`value` as a tree with tags; `depth` bounds the recursion."""
    if depth < 0:
        raise PayloadError("the value is nested too deep ([limits] depth)")
    write = _TAG.get(type(value))
    if write is None:
        raise PayloadError(f"a value of type {type(value).__name__} cannot be stored")
    return write(value, depth - 1)


def _same(value: Any, _depth: int) -> Any:
    return value


def _list(value: list[Any], depth: int) -> Any:
    return [_tagged(item, depth) for item in value]


def _items(tag: str) -> Callable[[Any, int], Any]:
    return lambda value, depth: {tag: [_tagged(item, depth) for item in value]}


def _dict(value: dict[Any, Any], depth: int) -> Any:
    if len(value) == 1 and next(iter(value)) in _ALL_TAGS:
        return {"py/dict": _pairs(value, depth)}
    return {key if type(key) is str else Key(_tagged(key, depth)): _tagged(item, depth) for key, item in value.items()}


def _pairs(value: dict[Any, Any], depth: int) -> list[Any]:
    return [[_tagged(key, depth), _tagged(item, depth)] for key, item in value.items()]


def _moment(tag: str) -> Callable[[Any, int], Any]:
    def write(value: Any, _depth: int) -> Any:
        if value.tzinfo is not None and not isinstance(value.tzinfo, timezone):
            raise PayloadError(f"a {tag} in a named zone cannot be stored: give it a fixed offset")
        return {tag: value.isoformat()}

    return write


def _text(tag: str, text: Callable[[Any], str]) -> Callable[[Any, int], Any]:
    return lambda value, _depth: {tag: text(value)}


def _response(value: Response, _depth: int) -> Any:
    body = value.body if isinstance(value.body, str) else {"py/bytes": b64encode(value.body).decode()}
    return {"py/response": {"status": value.status, "headers": [list(pair) for pair in value.headers], "body": body}}


_TAG: Final[dict[type, Callable[[Any, int], Any]]] = {
    **dict.fromkeys((type(None), bool, int, float, str, bytes), _same),
    bytearray: lambda value, _: {"py/bytearray": bytes(value)},
    list: _list,
    dict: _dict,
    OrderedDict: lambda value, depth: {"py/ordereddict": _pairs(value, depth)},
    tuple: _items("py/tuple"),
    set: _items("py/set"),
    frozenset: _items("py/frozenset"),
    datetime: _moment("py/datetime"),
    date: _text("py/date", date.isoformat),
    time: _moment("py/time"),
    timedelta: lambda value, _: {"py/timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: _text("py/decimal", str),
    UUID: _text("py/uuid", str),
    complex: lambda value, _: {"py/complex": [{"py/float": part} for part in map(_float, (value.real, value.imag))]},
    Markup: _text("py/markup", str),
    Response: _response,
}


def _float(number: float) -> Any:
    return number if number - number == 0.0 else repr(number)


def _untagged(tree: Any) -> Any:
    """The Python value of a presented tree, whose depth and size are bounded."""
    if type(tree) is list:
        return [_untagged(item) for item in tree]
    if type(tree) is not dict:
        return tree
    if len(tree) == 1:
        ((tag, content),) = tree.items()
        read = _UNTAG.get(tag)
        if read is not None:
            return read(content)
    return {key: _untagged(item) for key, item in tree.items()}


def _read_pairs(content: list[Any]) -> list[tuple[Any, Any]]:
    return [(_untagged(key), _untagged(item)) for key, item in content]


def _read_response(content: dict[str, Any]) -> Response:
    return Response(content["status"], [(name, value) for name, value in content["headers"]], content["body"])


_UNTAG: Final[dict[str, Callable[[Any], Any]]] = {
    "py/bytearray": bytearray,
    "py/tuple": lambda content: tuple(map(_untagged, content)),
    "py/set": lambda content: set(map(_untagged, content)),
    "py/frozenset": lambda content: frozenset(map(_untagged, content)),
    "py/dict": lambda content: dict(_read_pairs(content)),
    "py/ordereddict": lambda content: OrderedDict(_read_pairs(content)),
    "py/datetime": datetime.fromisoformat,
    "py/date": date.fromisoformat,
    "py/time": time.fromisoformat,
    "py/timedelta": lambda content: timedelta(*content),
    "py/decimal": Decimal,
    "py/uuid": UUID,
    "py/complex": lambda content: complex(*content),
    "py/markup": Markup,
    "py/response": _read_response,
}
