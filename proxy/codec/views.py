"""`as = "view"`: the payload is the body of a cached view, whatever shape Flask caches it in.

Written: the tuple `(body, 200, {"Content-Type": ...})`, which every Flask since 0.12 serves as it stands. Read: the
body of a str, bytes, tuple or Response, or the JSON of a dict or list; a status other than 200 is lost.
"""

import pickle
from typing import Any, Final

from proxy.codec import json_payload, msgpack_payload, present, shapes
from proxy.codec.errors import PayloadError, UndecodableError
from proxy.codec.limits import CodecLimits
from proxy.codec.nodes import Collection, Instance, Node, Scalar
from proxy.codec.plain import PlainPresenter, is_json, read_json

_NATURAL: Final = frozenset({type(None), bool, int, float, str, list, dict})


class View:
    """The views of one rule, for clients of one payload format."""

    __slots__ = ("_content_type", "_is_json", "_limits", "_msgpack")

    def __init__(self, payload: str, content_type: str, limits: CodecLimits) -> None:
        """`payload`: `json` or `msgpack`. `content_type`: of what is written."""
        self._msgpack = payload == "msgpack"
        self._content_type = content_type
        self._is_json = is_json(content_type)
        self._limits = limits

    def pickled(self, payload: bytes, protocol: int) -> bytes:
        """The pickle of a view with this payload as its body. Raises PayloadError."""
        view = (self._body(payload), 200, {"Content-Type": self._content_type})
        return pickle.dumps(view, protocol)

    def _body(self, payload: bytes) -> str | bytes:
        if not self._msgpack:
            if self._is_json:
                tree, _ = json_payload.read(payload, self._limits)
                if not json_payload.is_shallow(payload, self._limits.depth):
                    present.check_tree(tree, self._limits, PayloadError)
                return payload.decode()
            return payload
        tree, keyed = msgpack_payload.read(payload, self._limits)
        if self._is_json:
            if keyed:
                raise PayloadError("a map with keys that are no strings is no JSON")
            _check_json(tree, self._limits)
            return json_payload.write(tree).decode()
        if type(tree) not in (str, bytes):
            raise PayloadError(f"the body of a view of {self._content_type} must be a msgpack str or bin")
        body: str | bytes = tree
        return body

    def payload(self, root: Node) -> bytes:
        """The payload of a stored view. Raises UndecodableError."""
        body = self._stored_body(root)
        if not self._msgpack:
            return body.encode() if type(body) is str else body
        if self._is_json:
            try:
                return msgpack_payload.write(read_json(body, self._limits))
            except PayloadError as error:
                if error.is_over_limit:
                    raise UndecodableError(str(error)) from None
            except OverflowError:
                pass  # no JSON that msgpack can hold: the body is what it is
        return msgpack_payload.write(_text(body))

    def _stored_body(self, root: Node) -> Any:
        """A str, or bytes."""
        kind = type(root)
        if kind is tuple and root:
            root = root[0]
            kind = type(root)
        if kind is Instance:
            root = shapes.resolve(root)
            kind = type(root)
        if kind is str or kind is bytes:
            return root
        if kind is bytearray:
            return bytes(root)
        if kind is Scalar and root.tag == "py/markup":
            return root.content
        if kind is Scalar and root.tag == "py/response":
            return root.content["body"]
        if kind is dict or kind is list or kind is Collection:
            return json_payload.write(PlainPresenter(present.JSON, self._limits).present(root))
        raise UndecodableError("not what a view returns: a str, bytes, tuple, Response, dict or list")


def _text(body: str | bytes) -> str | bytes:
    try:
        return body.decode() if isinstance(body, bytes) else body
    except UnicodeDecodeError:
        return body


def _check_json(tree: Any, limits: CodecLimits) -> None:
    """That a tree of msgpack has only what JSON has. Raises PayloadError."""
    present.check_tree(tree, limits, PayloadError)
    todo = [tree]
    while todo:
        value = todo.pop()
        kind = type(value)
        if kind not in _NATURAL or (kind is float and value - value != 0.0):
            raise PayloadError("the body of a JSON view has no bin, ext, NaN or infinity")
        if kind is list:
            todo.extend(value)
        elif kind is dict:
            if any(type(key) is not str for key in value):
                raise PayloadError("a map with keys that are no strings is no JSON")
            todo.extend(value.values())
