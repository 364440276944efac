"""Nodes -> natural JSON or msgpack without tags, for `types = "plain"`.

Tuples and sets become arrays. Dates become ISO 8601, timedeltas seconds, other numbers text. Bytes become text, or
base64 if they are not UTF-8. NaN and the infinities become null. Keys become text, as Python's json.dumps writes them,
and the JSON text of an array or object.
A Response becomes its body, an object its value, a class its name.
"""

import re
from base64 import b64encode
from datetime import timedelta
from typing import Any, Final

from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.frames import moments
from proxy.codec.frames.arrays import Array, NumpyScalar
from proxy.codec.frames.columns import Column
from proxy.codec.frames.tables import Frame, Series
from proxy.codec.limits import CodecLimits
from proxy.codec.nodes import Collection, Instance, Node, Scalar, Symbol
from proxy.codec.payload import arrays, json_payload, plain_tables
from proxy.codec.payload.budgets import check_tree
from proxy.codec.payload.formats import JSON
from proxy.codec.payload.places import Place
from proxy.codec.payload.presenter import Presenter, is_hashable, last_items
from proxy.codec.unpickle import cycles, instances, responses

_NOTHING: Final = frozenset({"pandas._libs.missing.NA", "pandas.NA"})
"""Names of pandas' missing value."""

_NAMED_BY_JSON: Final = frozenset({tuple, list, dict, Collection})
"""Types of keys, or of their values, that are arrays and objects in plain JSON."""

_CHAIN: Final = 8
"""Limit of a chain of objects in a key, each the value of the one before."""

_NAIVE: Final = frozenset({"py/datetime", "py/timestamp"})
"""Tags of datetimes whose text may have no zone."""
_ZONED: Final = frozenset({"py/zoned", "py/timestamp"})
_NOT_A_TIME: Final = Scalar("py/timestamp", moments.MISSING)

_OFFSET: Final = re.compile(r"T.*[+-]")
"""Matches the text of a datetime that has an offset."""


def text_of(raw: bytes) -> str:
    """Bytes as text, or as base64 if they are not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return b64encode(raw).decode()


def content_type_of(content: dict[str, Any]) -> str:
    """The Content-Type of a `py/response`."""
    return next((value for name, value in content["headers"] if name.lower() == "content-type"), "")


def is_json(content_type: str) -> bool:
    """Whether a Content-Type is one of JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def read_json(body: str | bytes, limits: CodecLimits) -> Any:
    """The tree of a JSON body, within the limits. Raises PayloadError."""
    tree, _ = json_payload.read(body.encode() if isinstance(body, str) else body, limits)
    check_tree(tree, limits, PayloadError)
    return tree


class PlainPresenter(Presenter):
    """Builds one natural tree."""

    __slots__ = ()

    def _plain_float(self, node: float, _hashed: bool) -> Any:
        return node if node - node == 0.0 else None

    def _plain_int(self, node: int, _hashed: bool) -> Any:
        self.spend_int(node)
        return node if self.target.int_min <= node <= self.target.int_max else str(node)

    def _plain_bytes(self, node: bytes | bytearray, _hashed: bool) -> Any:
        text = text_of(bytes(node))
        self.spend_text(text)
        return text

    def _cycle(self, _up: int) -> Any:
        return None

    def _plain_global(self, node: Symbol, place: Place) -> Any:
        name = self._class(node.text, place)
        return None if name in _NOTHING else name

    def _plain_instance(self, node: Instance, place: Place) -> Any:
        value, _ = self._value(node, place)
        if type(value) is Scalar:
            if not instances.stands_alone(value):
                self._class(instances.class_of(node), place)
            return self._response_or_text(value, place)
        if instances.stands_alone(value):
            return self._alone(value, place)
        self._class(instances.class_of(node), place)
        return self._put(value, Place(value, place.into, place.at, None, place, False, 1), place)

    def _array(self, node: tuple[Node, ...], place: Place) -> Any:
        return self.items(node, place, place.hashed)

    def _plain_collection(self, node: Collection, place: Place) -> Any:
        if type(node.items) is dict:
            return self._object(node.items, place)
        self.check_hashable(not place.hashed or node.tag == "py/frozenset")
        return self.items(last_items(node), place, hashed=node.tag != "py/deque")

    def _object(self, node: dict[Any, Node], place: Place) -> Any:
        self.check_hashable(not place.hashed)
        self.descend(place.depth, len(node))
        presented: dict[str, Any] = {}
        for key, value in node.items():
            name = key if type(key) is str else self._key_name(key.node, place)
            self.spend_text(name)
            presented[name] = None
            self.part(value, presented, name, name, place, False)
        return presented

    def _plain_scalar(self, node: Scalar, hashed: bool) -> Any:
        self.check_hashable(not hashed or is_hashable(node))
        content = node.content
        self._count_scalar(node)
        if node.tag == "py/timedelta":
            return timedelta(*content).total_seconds()
        if node.tag == "py/complex":
            return [self._plain_float(part, False) for part in content]
        if node == _NOT_A_TIME:
            return None
        if type(content) is dict:  # with a zone
            content = content["at"]
        self.spend_text(content)
        return content

    def _response_or_text(self, node: Scalar, place: Place) -> Any:
        if node.tag != "py/response":
            return self._plain_scalar(node, place.hashed)
        self.check_hashable(not place.hashed)
        self._count_scalar(node)
        return self._body(node.content, place.depth)

    def _body(self, content: dict[str, Any], depth: int) -> Any:
        """The body of a response. It is parsed if it is JSON and the response is the whole value, so only once."""
        body = content["body"]
        if depth == 0 and is_json(content_type_of(content)):
            try:
                tree = read_json(body, self._limits)
                if self.target is JSON:
                    return tree
                return PlainPresenter(self.target, self._limits).present(tree)  # msgpack has no ints beyond 64 bits
            except PayloadError as error:
                if error.limit is not None:
                    raise UndecodableError(str(error)) from None
        text = text_of(body) if type(body) is bytes else body
        self.spend_text(text)
        return text

    def _key_name(self, key: Node, place: Place) -> str:
        """The text of a key that is not a string, as json.dumps writes it.

        json.dumps refuses other types: dates and numbers become their text here, and objects their value.
        """
        whole = key
        for _ in range(_CHAIN):
            if type(key) is not Instance:
                break
            if not (instances.stands_alone(self._values.of(key)) and responses.is_known(key)):
                self._class(instances.class_of(key), place)
            key = self._values.of(key)
        if type(key) is NumpyScalar:
            key = arrays.plain_value(key, self.naive_zone)
        if type(key) is Symbol:
            return self._class(key.text, place)
        if type(key) is int:
            self.spend_int(key)
        name = self._plain_name(key)
        if name is not None:
            return name
        if type(key) in _NAMED_BY_JSON or (type(key) is Scalar and key.tag == "py/complex"):
            return self._json_name(whole, place)
        raise UndecodableError(f"a dict with a key that has no plain name, at {place}")

    def _json_name(self, key: Node, place: Place) -> str:
        """The name of a key that is an array or object in plain JSON: its text, on every listener the same.

        It counts twice: its parts as nodes, and its text as that of any key.
        """
        names = type(self)(JSON, self._limits, False, self._reads)
        names._values = self._values
        names._nodes_left, names._bytes_left = self._nodes_left, self._bytes_left
        tree = names._present(key, cycles.cyclic(key, self._values), place)
        self._nodes_left = names._nodes_left
        try:
            return json_payload.write(tree).decode()
        except (RecursionError, ValueError):
            raise UndecodableError(f"a dict with a key that is nested too deep, at {place}") from None

    def _series(self, node: Series, place: Place) -> Any:
        return plain_tables.series(self, node, place, self._key_name)

    def _plain_name(self, key: Node) -> str | None:
        return _name(key)


class UtcPresenter(PlainPresenter):
    """For `naive = "utc"`: JavaScript's Date and others read a datetime without a zone as local time."""

    __slots__ = ()

    naive_zone = "Z"

    def _plain_scalar(self, node: Scalar, hashed: bool) -> Any:
        return super()._plain_scalar(_in_utc(node), hashed)

    def _plain_name(self, key: Node) -> str | None:
        return super()._plain_name(_in_utc(key) if type(key) is Scalar else key)


def _in_utc(scalar: Scalar) -> Scalar:
    """The scalar, with a Z if it is a datetime without a zone."""
    is_naive = scalar.tag in _NAIVE and type(scalar.content) is str and _OFFSET.search(scalar.content) is None
    return scalar._replace(content=f"{scalar.content}Z") if is_naive and scalar != _NOT_A_TIME else scalar


def _name(key: Node) -> str | None:
    """The text of a key that is not an `Instance`; None: it has no text."""
    if key is None or type(key) is bool:
        return {None: "null", True: "true", False: "false"}[key]
    if type(key) is str:
        return key
    if type(key) is int:
        return str(key)
    if type(key) is float:
        return float.__repr__(key).replace("inf", "Infinity").replace("nan", "NaN")
    if type(key) is bytes:
        return text_of(key)
    if type(key) is Scalar and type(key.content) is dict and key.tag in _ZONED:
        return str(key.content["at"])
    if type(key) is Scalar and key.tag == "py/timedelta":
        return repr(timedelta(*key.content).total_seconds())
    return key.content if type(key) is Scalar and type(key.content) is str else None


PlainPresenter.leaves = Presenter.leaves | {
    int: PlainPresenter._plain_int,
    float: PlainPresenter._plain_float,
    bytes: PlainPresenter._plain_bytes,
    bytearray: PlainPresenter._plain_bytes,
    Scalar: PlainPresenter._plain_scalar,
}
PlainPresenter.containers = Presenter.containers | {
    tuple: PlainPresenter._array,
    dict: PlainPresenter._object,
    Collection: PlainPresenter._plain_collection,
    Instance: PlainPresenter._plain_instance,
    Symbol: PlainPresenter._plain_global,
    NumpyScalar: arrays.plain_scalar,
    Array: arrays.plain_array,
    Column: plain_tables.column,
    Series: PlainPresenter._series,
    Frame: plain_tables.frame,
}
UtcPresenter.leaves = PlainPresenter.leaves | {Scalar: UtcPresenter._plain_scalar}
