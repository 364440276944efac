"""`as = "view"`: the payload is the body of a cached view, for all types that Flask caches.

Writers store the tuple `(body, 200, {"Content-Type": ...})`, which every Flask since 0.12 serves unchanged. Readers get
the body of a str, bytes, tuple or Response, or the JSON of a dict or list. A status other than 200 is lost.
"""

import pickle
from collections.abc import Callable
from typing import Any

from proxy.codec.errors import PayloadError, UncoveredError, UndecodableError, with_article
from proxy.codec.limits import CodecLimits
from proxy.codec.nodes import Collection, Damaged, Instance, Node, Scalar
from proxy.codec.payload import budgets, formats, json_payload, msgpack_payload
from proxy.codec.payload.plain_presenter import PlainPresenter, is_json, read_json
from proxy.codec.payload.presenter import read_every_class
from proxy.codec.unpickle import instances, responses


class View:
    """The views of one rule, for clients of one payload format."""

    __slots__ = ("_content_type", "_is_json", "_limits", "_msgpack", "_reads")

    def __init__(
        self, payload: str, content_type: str, limits: CodecLimits, reads: Callable[[str], bool] = read_every_class
    ) -> None:
        """`payload`: `json` or `msgpack`. `content_type`: of written views. `reads`: see `Presenter`."""
        self._reads = reads
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
                    budgets.check_tree(tree, self._limits, PayloadError)
                return payload.decode()
            return payload
        tree, keyed = msgpack_payload.read(payload, self._limits)
        if self._is_json:
            if keyed:
                raise PayloadError("a map with keys other than strings cannot be JSON")
            budgets.check_tree(tree, self._limits, PayloadError)
            json_payload.check_natural(tree, "the body of a JSON view")
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
                if error.limit is not None:
                    raise UndecodableError(str(error)) from None
            except OverflowError:
                pass  # msgpack cannot hold this JSON: the client gets the body as text
        return msgpack_payload.write(_text(body))

    def _stored_body(self, root: Node) -> Any:
        """The body of a stored view, as str or bytes."""
        if type(root) is tuple and root:
            root = root[0]
        elif type(root) is Instance:
            root = self._first(root)
        if type(root) is Instance:
            root = self._value(root)
        kind = type(root)
        if kind is str or kind is bytes:
            return root
        if kind is bytearray:
            return bytes(root)
        if kind is Scalar and root.tag == "py/markup":
            return root.content
        if kind is Scalar and root.tag == "py/response":
            return root.content["body"]
        if kind is dict or kind is list or kind is Collection or kind is Instance:
            return json_payload.write(PlainPresenter(formats.JSON, self._limits, reads=self._reads).present(root))
        raise UndecodableError("not what a view returns: a str, bytes, tuple, Response, dict or list")

    def _first(self, instance: Instance) -> Node:
        """The first part of a subclass of tuple, such as a namedtuple; of another class, the object itself."""
        parts = instance.args[0] if len(instance.args) == 1 else instance.args
        if type(parts) is not tuple or not parts or instance.is_called:
            return instance
        self._check_class(instance.symbol.text)
        return parts[0]

    def _check_class(self, name: str) -> None:
        if not self._reads(name):
            raise UncoveredError("$", with_article(name))

    def _value(self, instance: Instance) -> Node:
        """The value of an object that a view has returned. Raises UndecodableError if its class must not be read."""
        value = instances.Values(self._limits).of(instance)
        if type(value) is Damaged:
            raise UndecodableError(f"a {value.symbol} of unknown shape at $")
        alone = instances.stands_alone(value)
        if alone and responses.is_known(instance):
            return value
        self._check_class(instance.symbol.text if alone else instances.class_of(instance))
        if alone or type(value) in (str, bytes):
            return value
        is_made_of_parts = instance.items is not None or instance.pairs is not None
        return instance if is_made_of_parts else None  # a subclass of list or dict; None: not a view


def _text(body: str | bytes) -> str | bytes:
    try:
        return body.decode() if isinstance(body, bytes) else body
    except UnicodeDecodeError:
        return body
