"""Python values <-> stored values, for Python programs that fill or inspect a cache safely and without Flask.

`dumps` writes the bytes that Flask would store. `loads` reads them and executes no code. Both know the types of the tag
table. Markup and responses are plain classes below, because the real ones may not be installed. Objects, classes and
functions of an app are plain classes too, and so are arrays and frames (`frame_values`). `loads` never imports the real
ones, and `dumps` refuses them.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from proxy.codec import envelope, frame_values, zones
from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.limits import INT_BOUND, MAX_DEPTH, MAX_INT_DIGITS, CodecLimits
from proxy.codec.nodes import RESERVED, Key
from proxy.codec.payload import formats, presenter
from proxy.codec.pickler import tags
from proxy.codec.pickler.pickler import Pickler
from proxy.codec.pickler.zoned_tag import ZoneError, fold_of
from proxy.codec.transcoder import Options


class Markup(str):
    """Stands for markupsafe.Markup."""

    __slots__ = ()


class Response(NamedTuple):
    """Stands for a Flask or Werkzeug response."""

    status: int
    headers: list[tuple[str, str]]
    body: str | bytes


class _Instance(NamedTuple):
    class_name: str
    """Module and qualified name, as in the pickle: `shop.models.Product`. Do not import a class by this name."""
    value: Any
    """The object's value in readable form, as docs/types.md describes."""
    again: bool = False
    """The whole object occurs further out in the value. This is a copy without its containers."""


class Instance(_Instance):
    """Stands for an object of a class that `loads` does not create. It compares and hashes as a tuple.

    If its value has no hash, such as a list, it hashes by its text. So it can be a key, as the object was.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        """The hash of the tuple or of its text."""
        try:
            return super().__hash__()
        except TypeError:
            return hash(repr(self))


class Global(NamedTuple):
    """Stands for a class or function that is a value."""

    name: str
    """Module and qualified name."""


class Cycle(NamedTuple):
    """Stands for a list, tuple or dict inside itself."""

    levels: int
    """Number of levels up to it: 1 is the container that holds this `Cycle`."""


_ALL_TAGS: Final = tags.accepted(tags.NAMES)
_STORED_TAGS: Final = tags.stored_already()
_NATURAL: Final = formats.MSGPACK._replace(int_min=-INT_BOUND, int_max=INT_BOUND)
"""The format of a tree that stays in Python: bytes, NaN and large ints need no tags."""


def dumps(value: Any, *, protocol: int = 4, limits: CodecLimits = CodecLimits()) -> bytes:  # noqa: B008 (immutable)
    """The stored value of a Python value: ASCII digits for an int, else `!` and a pickle.

    Raises PayloadError for a value that has no tag or exceeds a limit. Raises ValueError for a protocol other than 2 to
    5, or a limit of depth over 150.
    """
    Options(pickle_protocol=protocol).check()
    _check_depth(limits)
    tree = _Tagger(limits).tagged(value, 0)
    if type(tree) is int:
        return envelope.write_int(tree)
    return envelope.PICKLE_MARK + Pickler(protocol, _ALL_TAGS, limits).dumps(tree)


def loads(value: bytes, *, limits: CodecLimits = CodecLimits()) -> Any:  # noqa: B008 (immutable)
    """The Python value of a stored value. Raises UndecodableError if it cannot be read or exceeds a limit.

    An object of a class without a tag becomes an inert `Instance`. If a datetime was stored with an offset that its
    zone does not have, the offset stays and the zone is lost.

    Raises TypeError for other types than bytes, such as None (the reply for a missing key) or str.
    """
    if type(value) is not bytes:
        raise TypeError(f"a stored value is bytes, got {type(value).__name__} (None is a miss; no decode_responses)")
    _check_depth(limits)
    tree = presenter.Presenter(_NATURAL, limits).present(envelope.read(value, limits).root)
    try:
        Pickler(protocol=4, tags=_STORED_TAGS, limits=limits).dumps(tree)  # checks that hashing is possible and cheap
    except PayloadError as error:
        raise UndecodableError(str(error)) from None
    return _untagged(tree)


def _check_depth(limits: CodecLimits) -> None:
    """Check the limit of depth, because the functions here are recursive."""
    if limits.depth > MAX_DEPTH:
        raise ValueError(f"limits.depth may be {MAX_DEPTH} at most, got {limits.depth}")


class _Tagger:
    """Python values -> a tree with tags. Shared parts are repeated, so that each occurrence counts."""

    __slots__ = ("_limits", "_nodes_left")

    def __init__(self, limits: CodecLimits) -> None:
        self._limits = limits
        self._nodes_left = 2 * limits.nodes  # keys count here too; the pickler counts exactly

    def tagged(self, value: Any, depth: int) -> Any:
        """The tree of a value. Raises PayloadError."""
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise PayloadError(f"more than {self._limits.nodes} nodes ([limits] nodes)", "nodes")
        if depth > self._limits.depth:
            raise PayloadError("the value is nested too deep ([limits] depth)", "depth")
        write = _TAG.get(type(value))
        if write is None:
            raise PayloadError(f"a value of type {type(value).__name__} cannot be stored")
        return write(self, value, depth + 1)

    def array(self, value: list[Any], depth: int) -> Any:
        return [self.tagged(item, depth) for item in value]

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        (first,) = value if len(value) == 1 else (None,)
        if type(first) is str and first.startswith(RESERVED):
            return {"py/dict": self.pairs(value, depth)}
        return {
            _text(key) if type(key) is str else Key(self.tagged(key, depth)): self.tagged(item, depth)
            for key, item in value.items()
        }

    def pairs(self, value: dict[Any, Any], depth: int) -> list[Any]:
        return [[self.tagged(key, depth), self.tagged(item, depth)] for key, item in value.items()]


_FACTORIES: Final[dict[str, Callable[[], Any]]] = {
    factory.__name__: factory for factory in (list, dict, set, int, float, str, bool, tuple, frozenset)
}
"""Factories that a stored defaultdict may have, by name."""

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


def _datetime(tagger: _Tagger, value: datetime, _depth: int) -> Any:
    zone = value.tzinfo
    # A zone with a fixed offset gives it without a datetime, whatever its class.
    if type(zone) is not ZoneInfo or zone.utcoffset(None) is not None:
        return {"py/datetime": _in_fixed_zone(value).isoformat()}
    if zone.key not in zones.NAMES:
        raise PayloadError("a datetime in a zone that has no name in the time zone database cannot be stored")
    # A ZoneInfo is stored by its name. So the local time stays, even if this machine's rules differ from tzdata.
    return {"py/zoned": {"at": value.replace(tzinfo=zones.rules(zone.key)).isoformat(), "zone": zone.key}}


def _time(_tagger: _Tagger, value: time, _depth: int) -> Any:
    return {"py/time": _in_fixed_zone(value).isoformat()}


_Moment = TypeVar("_Moment", datetime, time)


def _in_fixed_zone(value: _Moment) -> _Moment:
    if value.tzinfo is None:
        return value
    offset = value.tzinfo.utcoffset(None)
    if offset is None:
        raise PayloadError(
            f"a {type(value).__name__} in a zone without a fixed offset cannot be stored: give it a fixed offset, or a "
            "datetime a zoneinfo.ZoneInfo"
        )
    return value.replace(tzinfo=timezone(offset))


def _counter(tagger: _Tagger, value: Counter[Any], depth: int) -> Any:
    return {"py/counter": tagger.mapping(value, depth)}


def _defaultdict(tagger: _Tagger, value: defaultdict[Any, Any], depth: int) -> Any:
    factory = value.default_factory
    name = next((name for name, known in _FACTORIES.items() if known is factory), None)
    if name is None and factory is not None:
        raise PayloadError(f"a defaultdict can be stored if its factory is {', '.join(_FACTORIES)} or None")
    return {"py/defaultdict": {"factory": name, "dict": tagger.mapping(value, depth)}}


def _deque(tagger: _Tagger, value: deque[Any], depth: int) -> Any:
    return {"py/deque": {"items": [tagger.tagged(item, depth) for item in value], "maxlen": value.maxlen}}


def _read_only(_tagger: _Tagger, value: Any, _depth: int) -> Any:
    kind = type(value).__name__
    raise PayloadError(f"{kind} stands for a value that can only be read: dumps() cannot store it")


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
    Counter: _counter,
    defaultdict: _defaultdict,
    deque: _deque,
    datetime: _datetime,
    date: _as_text("py/date", date.isoformat),
    time: _time,
    timedelta: lambda _tagger, value, _depth: {"py/timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: _as_text("py/decimal", str),
    UUID: _as_text("py/uuid", str),
    complex: lambda _tagger, value, _depth: {
        "py/complex": [{"py/float": part} for part in map(_float, (value.real, value.imag))]
    },
    Markup: _as_text("py/markup", str),
    Response: _response,
    **dict.fromkeys((Instance, Global, Cycle, *frame_values.KINDS), _read_only),
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


def _read_zoned(content: dict[str, str]) -> datetime:
    at, name = datetime.fromisoformat(content["at"]), content["zone"]
    try:
        return at.replace(tzinfo=ZoneInfo(name), fold=fold_of(at, name))
    except ZoneError:
        return at


def _read_defaultdict(content: dict[str, Any]) -> defaultdict[Any, Any]:
    name = content["factory"]
    return defaultdict(None if name is None else _FACTORIES[name], _untagged(content["dict"]))


def _read_deque(content: dict[str, Any]) -> deque[Any]:
    return deque(map(_untagged, content["items"]), _untagged(content["maxlen"]))


def _read_instance(content: dict[str, Any]) -> Instance:
    return Instance(content["class"], _untagged(content["value"]), content.get("again", False))


_UNTAG: Final[dict[str, Callable[[Any], Any]]] = {
    "py/bytearray": bytearray,
    "py/tuple": lambda content: tuple(map(_untagged, content)),
    "py/set": lambda content: set(map(_untagged, content)),
    "py/frozenset": lambda content: frozenset(map(_untagged, content)),
    "py/dict": lambda content: dict(_read_pairs(content)),
    "py/ordereddict": lambda content: OrderedDict(_read_pairs(content)),
    "py/counter": lambda content: Counter(_untagged(content)),
    "py/defaultdict": _read_defaultdict,
    "py/deque": _read_deque,
    "py/datetime": datetime.fromisoformat,
    "py/zoned": _read_zoned,
    "py/date": date.fromisoformat,
    "py/time": time.fromisoformat,
    "py/timedelta": lambda content: timedelta(*content),
    "py/decimal": Decimal,
    "py/uuid": UUID,
    "py/complex": lambda content: complex(*content),
    "py/markup": Markup,
    "py/response": _read_response,
    "py/instance": _read_instance,
    "py/global": Global,
    "py/cycle": Cycle,
    **frame_values.readers(_untagged),
}
