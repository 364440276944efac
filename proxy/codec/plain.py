"""Nodes -> natural JSON or msgpack, types lost: what `types = "plain"` reads.

Tuples and sets become arrays, dates ISO 8601, timedeltas seconds, numbers of other kinds text, bytes text (base64 where
they are not UTF-8), NaN and the infinities null, keys what Python's json.dumps makes of them, a Response its body.
"""

from base64 import b64encode
from datetime import timedelta
from typing import Any

from proxy.codec import json_payload, shapes
from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.limits import CodecLimits
from proxy.codec.nodes import Collection, Instance, Key, Node, Scalar
from proxy.codec.present import JSON, Presenter, check_tree, is_hashable


def text_of(raw: bytes) -> str:
    """Bytes as text: base64 where they are not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return b64encode(raw).decode()


def content_type_of(content: dict[str, Any]) -> str:
    """The Content-Type of a `py/response`."""
    return next((value for name, value in content["headers"] if name.lower() == "content-type"), "")


def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON."""
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

    def _plain_float(self, node: float, _depth: int, _hashed: bool) -> Any:
        return node if node - node == 0.0 else None

    def _plain_int(self, node: int, _depth: int, _hashed: bool) -> Any:
        self._spend_int(node)
        return node if self._target.int_min <= node <= self._target.int_max else str(node)

    def _plain_bytes(self, node: bytes | bytearray, _depth: int, _hashed: bool) -> Any:
        text = text_of(bytes(node))
        self._spend_text(text)
        return text

    def _array(self, node: tuple[Node, ...], depth: int, hashed: bool) -> Any:
        return self._items(node, depth, hashed)

    def _plain_collection(self, node: Collection, depth: int, hashed: bool) -> Any:
        if node.tag == "py/ordereddict":
            return self._object(node.items, depth, hashed)
        self._hashable(not hashed or node.tag == "py/frozenset")
        return self._items(node.items, depth, hashed=True)

    def _object(self, node: dict[Any, Node], depth: int, hashed: bool) -> Any:
        self._hashable(not hashed)
        self._descend(depth, len(node))
        presented: dict[str, Any] = {}
        for key, value in node.items():
            if type(key) is Key and type(key.node) is int:
                self._spend_int(key.node)
            name = _name(key.node) if type(key) is Key else key
            self._spend_text(name)
            presented[name] = None
            self._part(value, presented, name, depth + 1, False)
        return presented

    def _plain_scalar(self, node: Scalar, depth: int, hashed: bool) -> Any:
        self._hashable(not hashed or is_hashable(node))
        content = node.content
        self._count_scalar(node)
        if node.tag == "py/response":
            return self._body(content, depth)
        if node.tag == "py/timedelta":
            return timedelta(*content).total_seconds()
        if node.tag == "py/complex":
            return [self._plain_float(part, 0, False) for part in content]
        self._spend_text(content)
        return content

    def _body(self, content: dict[str, Any], depth: int) -> Any:
        """The body of a response; parsed where it is JSON, and the whole value (so that it is parsed once)."""
        body = content["body"]
        if depth == 0 and is_json(content_type_of(content)):
            try:
                tree = read_json(body, self._limits)
                if self._target is JSON:
                    return tree
                return PlainPresenter(self._target, self._limits).present(tree)  # not every int is one there
            except PayloadError as error:
                if error.is_over_limit:
                    raise UndecodableError(str(error)) from None
        text = text_of(body) if type(body) is bytes else body
        self._spend_text(text)
        return text

    def _plain_instance(self, node: Instance, depth: int, hashed: bool) -> Any:
        return self._plain_scalar(shapes.resolve(node), depth, hashed)


def _name(key: Node) -> str:
    """A key that is no string, as json.dumps names it; where it refuses to, dates and numbers by their text."""
    if key is None or type(key) is bool:
        return {None: "null", True: "true", False: "false"}[key]
    if type(key) is int:
        return str(key)
    if type(key) is float:
        return float.__repr__(key).replace("inf", "Infinity").replace("nan", "NaN")
    if type(key) is bytes:
        return text_of(key)
    if type(key) is Instance:
        key = shapes.resolve(key)
    if type(key) is Scalar and type(key.content) is str:
        return key.content
    raise UndecodableError("a dict with a key that has no plain name")


PlainPresenter.leaves = Presenter.leaves | {
    int: PlainPresenter._plain_int,
    float: PlainPresenter._plain_float,
    bytes: PlainPresenter._plain_bytes,
    bytearray: PlainPresenter._plain_bytes,
    Instance: PlainPresenter._plain_instance,
    Scalar: PlainPresenter._plain_scalar,
}
PlainPresenter.containers = Presenter.containers | {
    tuple: PlainPresenter._array,
    dict: PlainPresenter._object,
    Collection: PlainPresenter._plain_collection,
}
