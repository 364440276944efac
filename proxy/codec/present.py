"""Nodes -> a tree that JSON or msgpack can hold, with a tag for every type that they have not (lossless).

Iterative, and every step is counted: a stored value may hold one part a million times over, or itself.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

from proxy.codec import shapes
from proxy.codec.errors import CodecError, UndecodableError
from proxy.codec.limits import HEADER_NODES, INT_BOUND, JSON_INT_MIN, OBJECT_NODES, RESPONSE_NODES, CodecLimits
from proxy.codec.nodes import TAGS, Collection, Instance, Key, Node, Scalar, Symbol, Zone

_SAFE_INTEGER: Final = 2**53
_WORD: Final = 64
"""Bits of an int that costs nothing to speak of."""
_SHORT_ESCAPES: Final = b'\b\t\n\f\r"\\'
"""What JSON writes as two bytes."""
_LONG_ESCAPES: Final = bytes(set(range(32)) - set(_SHORT_ESCAPES))
"""What JSON writes as six bytes."""


class Format(NamedTuple):
    """What a payload format can hold by itself."""

    bytes: bool
    nonfinite: bool
    int_min: int
    """Ints from here ..."""
    int_max: int
    """... to here are natural; others are tagged."""


JSON: Final = Format(bytes=False, nonfinite=False, int_min=JSON_INT_MIN, int_max=INT_BOUND)
MSGPACK: Final = Format(bytes=True, nonfinite=True, int_min=-(2**63), int_max=2**64 - 1)


def with_safe_integers(target: Format) -> Format:
    """The same format for readers whose numbers are doubles: ints beyond 2^53 are tagged."""
    return target._replace(int_min=-_SAFE_INTEGER, int_max=_SAFE_INTEGER)


def check_tree(root: Node, limits: CodecLimits, error: type[CodecError] = UndecodableError) -> None:
    """Depth and nodes of a tree of lists, string-keyed dicts and scalars. Raises `error`."""
    level: list[Any] = [root]
    nodes = 0
    for _ in range(limits.depth + 1):
        nodes += len(level)
        if nodes > limits.nodes:
            raise error(_too_many(limits))
        level = [
            child
            for node in level
            if type(node) is list or type(node) is dict
            for child in (node.values() if type(node) is dict else node)
        ]
        if not level:
            return
    raise error(_too_deep(limits))


def check_text(root: Node, limits: CodecLimits) -> None:
    """Bytes of all strings of a tree, as JSON escapes them. Raises UndecodableError."""
    left, todo = limits.decoded_bytes, [root]
    while todo:
        node = todo.pop()
        if type(node) is str:
            left -= _json_bytes(node)
        elif type(node) is list:
            todo.extend(node)
        elif type(node) is dict:
            todo.extend(node.keys())
            todo.extend(node.values())
        if left < 0:
            raise UndecodableError(_too_large(limits))


def _json_bytes(text: str) -> int:
    """What a string takes in JSON."""
    if text.isascii() and text.isprintable():
        return len(text)  # but for quotes and backslashes
    raw = text.encode()
    long, short = (len(raw) - len(raw.translate(None, escapes)) for escapes in (_LONG_ESCAPES, _SHORT_ESCAPES))
    return len(raw) + 5 * long + short


class Presenter:
    """Builds one payload tree. The budgets are its own, so it is used once."""

    __slots__ = ("_bytes_left", "_limits", "_nodes_left", "_target", "_todo")

    handlers: "ClassVar[dict[type, Callable[[Any, Any, int, bool], Any]]]"

    def __init__(self, target: Format, limits: CodecLimits) -> None:
        """`target`: what need not be tagged."""
        self._target = target
        self._limits = limits
        self._nodes_left = limits.nodes
        self._bytes_left = limits.decoded_bytes
        # What is still to do: a node, where its presentation goes, its depth, and whether Python must hash it.
        self._todo: list[tuple[Node, Any, Any, int, bool]] = []

    def present(self, root: Node) -> Any:
        """The tree. Raises UndecodableError."""
        holder: list[Any] = [None]
        self._todo.append((root, holder, 0, 0, False))
        while self._todo:
            node, into, at, depth, hashed = self._todo.pop()
            self._nodes_left -= 1
            if self._nodes_left < 0:
                raise UndecodableError(_too_many(self._limits))
            handler = self.handlers.get(type(node))
            if handler is None:
                raise UndecodableError("a class or function as a value")
            into[at] = handler(self, node, depth, hashed)
        return holder[0]

    # -- scalars ---------------------------------------------------------------------------------------

    def _same(self, node: Node, _depth: int, _hashed: bool) -> Any:
        return node

    def _str(self, node: str, _depth: int, _hashed: bool) -> str:
        self._spend_text(node)
        return node

    def _int(self, node: int, _depth: int, _hashed: bool) -> Any:
        self._spend_int(node)
        if self._target.int_min <= node <= self._target.int_max:
            return node
        return {"py/int": str(node)}

    def _float(self, node: float, _depth: int, _hashed: bool) -> Any:
        if self._target.nonfinite or node - node == 0.0:
            return node
        return {"py/float": repr(node)}

    def _bytes(self, node: bytes, _depth: int, _hashed: bool) -> Any:
        self._spend_binary(node)
        return node if self._target.bytes else {"py/bytes": b64encode(node).decode()}

    def _bytearray(self, node: bytearray, _depth: int, hashed: bool) -> Any:
        self._hashable(not hashed)
        self._spend_binary(node)
        raw = bytes(node)
        return {"py/bytearray": raw if self._target.bytes else b64encode(raw).decode()}

    def _scalar(self, node: Scalar, depth: int, hashed: bool) -> Any:
        self._hashable(not hashed or node.tag != "py/response")
        content = node.content
        self._count_scalar(node)
        if type(content) is str:
            self._spend_text(content)
        elif type(content) is dict:
            content = self._response(content)
        else:
            content = [self._float(part, depth, hashed) if type(part) is float else part for part in content]
        return {node.tag: content}

    def _response(self, content: dict[str, Any]) -> dict[str, Any]:
        for name, value in content["headers"]:
            self._spend_text(name)
            self._spend_text(value)
        body = content["body"]
        present_body = self._str if type(body) is str else self._bytes
        return content | {"body": present_body(body, 0, False)}

    def _instance(self, node: Instance, depth: int, hashed: bool) -> Any:
        return self._scalar(shapes.resolve(node), depth, hashed)

    def _old_bytes(self, _node: bytes, _depth: int, _hashed: bool) -> Any:
        raise UndecodableError("a Python 2 str that is not ASCII")

    def _zone(self, _node: Zone, _depth: int, _hashed: bool) -> Any:
        raise UndecodableError("a timezone as a value")

    def _symbol(self, node: Symbol, _depth: int, _hashed: bool) -> Any:
        raise UndecodableError(f"the class or function {node} as a value")

    # -- containers ------------------------------------------------------------------------------------

    def _list(self, node: list[Node], depth: int, hashed: bool) -> Any:
        self._hashable(not hashed)
        return self._items(node, depth, hashed)

    def _tuple(self, node: tuple[Node, ...], depth: int, hashed: bool) -> Any:
        return {"py/tuple": self._items(node, depth, hashed)}

    def _collection(self, node: Collection, depth: int, hashed: bool) -> Any:
        if node.tag == "py/ordereddict":
            self._hashable(not hashed)
            return {node.tag: self._pairs(node.items, depth)}
        self._hashable(not hashed or node.tag == "py/frozenset")
        return {node.tag: self._items(node.items, depth, True)}

    def _dict(self, node: dict[Any, Node], depth: int, hashed: bool) -> Any:
        self._hashable(not hashed)
        if any(type(key) is Key for key in node) or (len(node) == 1 and not TAGS.isdisjoint(node)):
            return {"py/dict": self._pairs(node, depth)}
        self._descend(depth, len(node))
        presented: dict[str, Any] = dict.fromkeys(node)
        for key, value in node.items():
            self._spend_text(key)
            self._todo.append((value, presented, key, depth + 1, False))
        return presented

    def _pairs(self, node: dict[Any, Node], depth: int) -> list[Any]:
        self._descend(depth, len(node))
        pairs = []
        for key, value in node.items():
            pair = [key, None]
            if type(key) is Key:
                self._todo.append((key.node, pair, 0, depth + 1, True))
            else:
                self._spend_text(key)
                self._count(1)
            self._todo.append((value, pair, 1, depth + 1, False))
            pairs.append(pair)
        return pairs

    def _items(self, items: list[Node] | tuple[Node, ...], depth: int, hashed: bool) -> list[Any]:
        self._descend(depth, len(items))
        presented: list[Any] = [None] * len(items)
        self._todo.extend((item, presented, at, depth + 1, hashed) for at, item in enumerate(items))
        return presented

    # -- budgets ---------------------------------------------------------------------------------------

    def _descend(self, depth: int, count: int) -> None:
        if count and depth >= self._limits.depth:
            raise UndecodableError(_too_deep(self._limits))
        self._reserve(count)

    def _reserve(self, count: int) -> None:
        """What is to do counts already: a small value must not make a long list of it."""
        if len(self._todo) + count > self._nodes_left:
            raise UndecodableError(_too_many(self._limits))

    def _count(self, nodes: int) -> None:
        self._nodes_left -= nodes
        self._reserve(0)

    def _count_scalar(self, node: Scalar) -> None:
        weight = RESPONSE_NODES if node.tag == "py/response" else OBJECT_NODES
        self._count(weight - 1 + HEADER_NODES * node.parts)

    def _spend(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise UndecodableError(_too_large(self._limits))

    def _spend_int(self, number: int) -> None:
        if number.bit_length() > _WORD:
            self._spend(number.bit_length())  # several times its digits, because to write them takes time

    def _spend_text(self, text: str) -> None:
        self._spend(len(text.encode()) if self._target.bytes else _json_bytes(text))

    def _spend_binary(self, raw: bytes | bytearray) -> None:
        self._spend(len(raw) if self._target.bytes else len(raw) * 4 // 3)

    def _hashable(self, condition: bool) -> None:
        if not condition:
            raise UndecodableError("corrupt pickle: an unhashable key or member")


def _too_deep(limits: CodecLimits) -> str:
    return f"nested more than {limits.depth} deep ([limits] depth), or inside itself"


def _too_many(limits: CodecLimits) -> str:
    return f"more than {limits.nodes} nodes ([limits] nodes)"


def _too_large(limits: CodecLimits) -> str:
    return f"more than {limits.decoded_bytes} bytes ([limits] decoded_bytes)"


Presenter.handlers = {
    type(None): Presenter._same,
    bool: Presenter._same,
    int: Presenter._int,
    float: Presenter._float,
    str: Presenter._str,
    bytes: Presenter._bytes,
    bytearray: Presenter._bytearray,
    list: Presenter._list,
    tuple: Presenter._tuple,
    dict: Presenter._dict,
    Collection: Presenter._collection,
    Instance: Presenter._instance,
    Scalar: Presenter._scalar,
    Zone: Presenter._zone,
    Symbol: Presenter._symbol,
    shapes.OldBytes: Presenter._old_bytes,
}
