"""Python values <-> stored values, for Python programs that fill or inspect a cache without Flask and without risk.

`dumps` writes what Flask would have stored, `loads` reads it back and executes nothing. Both know the types of the tag
table and no others. Markup and responses, whose classes may not be installed, are the plain stand-ins below.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from proxy.codec import present, stored, tags
from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.limits import INT_BOUND, MAX_DEPTH, MAX_INT_DIGITS, CodecLimits
from proxy.codec.nodes import Key
from proxy.codec.pickling import Pickler
from proxy.codec.transcoder import Options


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

    Raises PayloadError for a value that has no tag, and beyond the limits; ValueError for a protocol other
    than 2 to 5, or limits deeper than 150.
    """
    Options(pickle_protocol=protocol).check()
    _check_depth(limits)
    tree = _Tagger(limits).tagged(value, 0)
    if type(tree) is int:
        return stored.write_int(tree)
    return stored.PICKLE_MARK + Pickler(protocol, _ALL_TAGS, limits).dumps(tree)


def loads(value: bytes, *, limits: CodecLimits = CodecLimits()) -> Any:  # noqa: B008 (immutable)
    """The Python value of a stored value. Raises UndecodableError for foreign classes and beyond the limits.

    Raises TypeError for what is not bytes: None, which a client gives for a key that is not there, or a str.
    """
    if type(value) is not bytes:
        raise TypeError(f"a stored value is bytes, got {type(value).__name__} (None is a miss; no decode_responses)")
    _check_depth(limits)
    tree = present.Presenter(_NATURAL, limits).present(stored.read(value, limits).root)
    try:
        Pickler(protocol=4, tags=_ALL_TAGS, limits=limits).dumps(tree)  # that Python can hash it, and safely
    except PayloadError as error:
        raise UndecodableError(str(error)) from None
    return _untagged(tree)


def _check_depth(limits: CodecLimits) -> None:
    """Values are walked by recursion here."""
    if limits.depth > MAX_DEPTH:
        raise ValueError(f"limits.depth may be {MAX_DEPTH} at most, got {limits.depth}")


class _Tagger:
    """Python values -> a tree with tags. Shared parts are written out, so that each counts."""

    __slots__ = ("_limits", "_nodes_left")

    def __init__(self, limits: CodecLimits) -> None:
        self._limits = limits
        self._nodes_left = 2 * limits.nodes  # keys are seen too; exactly counted by the pickler

    def tagged(self, value: Any, depth: int) -> Any:
        """The tree of a value. Raises PayloadError."""
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise PayloadError(f"more than {self._limits.nodes} nodes ([limits] nodes)")
        if depth > self._limits.depth:
            raise PayloadError("the value is nested too deep ([limits] depth)")
        write = _TAG.get(type(value))
        if write is None:
            raise PayloadError(f"a value of type {type(value).__name__} cannot be stored")
        return write(self, value, depth + 1)

    def array(self, value: list[Any], depth: int) -> Any:
        return [self.tagged(item, depth) for item in value]

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        if len(value) == 1 and next(iter(value)) in _ALL_TAGS:
            return {"py/dict": self.pairs(value, depth)}
        return {
            _text(key) if type(key) is str else Key(self.tagged(key, depth)): self.tagged(item, depth)
            for key, item in value.items()
        }

    def pairs(self, value: dict[Any, Any], depth: int) -> list[Any]:
        return [[self.tagged(key, depth), self.tagged(item, depth)] for key, item in value.items()]


_Write = Callable[[_Tagger, Any, int], Any]


def _same(_tagger: _Tagger, value: Any, _depth: int) -> Any:
    return value


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PayloadError("a string with a lone surrogate cannot be stored") from None
    return text


def _int(_tagger: _Tagger, value: int, _depth: int) -> int:
    if not -INT_BOUND < value < INT_BOUND:
        raise PayloadError(f"an int of more than {MAX_INT_DIGITS} digits cannot be stored")
    return value


def _items(tag: str) -> _Write:
    return lambda tagger, value, depth: {tag: [tagger.tagged(item, depth) for item in value]}


def _moment(tag: str) -> _Write:
    def write(_tagger: _Tagger, value: Any, _depth: int) -> Any:
        if value.tzinfo is not None:
            offset = value.tzinfo.utcoffset(None)  # a zone that has but one says so, whatever its class
            if offset is None:
                raise PayloadError(f"a {tag} in a named zone cannot be stored: give it a fixed offset")
            value = value.replace(tzinfo=timezone(offset))
        return {tag: value.isoformat()}

    return write


def _as_text(tag: str, text: Callable[[Any], str]) -> _Write:
    return lambda _tagger, value, _depth: {tag: _text(text(value))}


def _response(_tagger: _Tagger, value: Response, _depth: int) -> Any:
    headers = value.headers
    if not isinstance(headers, list | tuple) or any(
        not isinstance(pair, list | tuple) or len(pair) != 2 or any(type(text) is not str for text in pair)
        for pair in headers
    ):
        raise PayloadError("the headers of a Response must be pairs of str")
    if not isinstance(value.body, str | bytes):
        raise PayloadError("the body of a Response must be str or bytes")
    body = _text(value.body) if isinstance(value.body, str) else {"py/bytes": value.body}
    pairs = [[_text(name), _text(content)] for name, content in headers]
    return {"py/response": {"status": value.status, "headers": pairs, "body": body}}


_TAG: Final[dict[type, _Write]] = {
    **dict.fromkeys((type(None), bool, float, bytes), _same),
    int: _int,
    str: lambda _tagger, value, _depth: _text(value),
    bytearray: lambda _tagger, value, _depth: {"py/bytearray": bytes(value)},
    list: _Tagger.array,
    dict: _Tagger.mapping,
    OrderedDict: lambda tagger, value, depth: {"py/ordereddict": tagger.pairs(value, depth)},
    tuple: _items("py/tuple"),
    set: _items("py/set"),
    frozenset: _items("py/frozenset"),
    datetime: _moment("py/datetime"),
    date: _as_text("py/date", date.isoformat),
    time: _moment("py/time"),
    timedelta: lambda _tagger, value, _depth: {"py/timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: _as_text("py/decimal", str),
    UUID: _as_text("py/uuid", str),
    complex: lambda _tagger, value, _depth: {
        "py/complex": [{"py/float": part} for part in map(_float, (value.real, value.imag))]
    },
    Markup: _as_text("py/markup", str),
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
