"""Nodes -> a tree that JSON or msgpack can hold, with a tag for every type that they have not (lossless).

Iterative, and every step is counted: a stored value may hold one part a million times over, or itself.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from proxy.codec import shapes
from proxy.codec.errors import CodecError, UndecodableError
from proxy.codec.limits import (
    HEADER_NODES,
    INT_BOUND,
    JSON_INT_MIN,
    OBJECT_NODES,
    PAIR_NODES,
    RESPONSE_NODES,
    TAG_NODES,
    CodecLimits,
    digits,
)
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


def check_tree(
    root: Node,
    limits: CodecLimits,
    error: type[CodecError] = UndecodableError,
    weigh: Callable[[list[Any]], int] = len,
) -> None:
    """Depth and nodes of a tree of lists, dicts and scalars. Raises `error`.

    `weigh`: how many nodes the values of one level are; one each, where the tree has natural types only.
    """
    level: list[Any] = [root]
    nodes = 0
    for _ in range(limits.depth + 1):
        nodes += weigh(level)
        if nodes > limits.nodes:
            raise error(too_many(limits))
        level = [
            child
            for node in level
            if type(node) is list or type(node) is dict
            for child in (node.values() if type(node) is dict else node)
        ]
        if not level:
            return
    raise error(too_deep(limits))


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
            raise UndecodableError(too_large(limits))


def _json_bytes(text: str) -> int:
    """What a string takes in JSON."""
    if text.isascii() and text.isprintable():
        return len(text)  # but for quotes and backslashes
    raw = text.encode()
    long, short = (len(raw) - len(raw.translate(None, escapes)) for escapes in (_LONG_ESCAPES, _SHORT_ESCAPES))
    return len(raw) + 5 * long + short


Handler: TypeAlias = "Callable[[Any, Any, int, bool], Any]"
"""Presents one node: given the presenter, the node, its depth, and whether Python must hash it."""


def is_hashable(scalar: Scalar) -> bool:
    """Whether Python can hash it."""
    return scalar.tag != "py/response" and not (scalar.tag == "py/decimal" and "sNaN" in scalar.content)


class Presenter:
    """Builds one payload tree. The budgets are its own, so it is used once.

    Leaves are presented where they stand, containers are put off: so nothing recurses, and what waits is small.
    """

    __slots__ = ("_bytes_left", "_limits", "_nodes_left", "_target", "_text_fits", "_todo")

    leaves: "ClassVar[dict[type, Handler]]"
    containers: "ClassVar[dict[type, Handler]]"

    def __init__(self, target: Format, limits: CodecLimits, text_fits: bool = False) -> None:
        """`target`: what need not be tagged. `text_fits`: the strings cannot outgrow the limit, whatever they hold."""
        self._target = target
        self._limits = limits
        self._text_fits = text_fits
        self._nodes_left = limits.nodes
        self._bytes_left = limits.decoded_bytes
        # What is still to do: a container, where its presentation goes, its depth, and whether Python must hash it.
        self._todo: list[tuple[Node, Any, Any, int, bool]] = []

    def present(self, root: Node) -> Any:
        """The tree. Raises UndecodableError."""
        holder = self._items((root,), -1, False)
        while self._todo:
            node, into, at, depth, hashed = self._todo.pop()
            handler = self.containers.get(type(node))
            if handler is None:
                raise UndecodableError("a class or function as a value")
            into[at] = handler(self, node, depth, hashed)
        return holder[0]

    # -- leaves ----------------------------------------------------------------------------------------

    def _same(self, node: Node, _depth: int, _hashed: bool) -> Any:
        return node

    def _str(self, node: str, _depth: int, _hashed: bool) -> str:
        if not self._text_fits:
            self._spend_text(node)
        return node

    def _int(self, node: int, _depth: int, _hashed: bool) -> Any:
        if node.bit_length() > _WORD:
            self._spend_int(node)
        if self._target.int_min <= node <= self._target.int_max:
            return node
        return {"py/int": str(node)}  # counts as one, because it may have been written as a number

    def _float(self, node: float, _depth: int, _hashed: bool) -> Any:
        if self._target.nonfinite or node - node == 0.0:
            return node
        self._count(TAG_NODES)
        return {"py/float": repr(node)}

    def _bytes(self, node: bytes, _depth: int, _hashed: bool) -> Any:
        self._spend_binary(node)
        if self._target.bytes:
            return node
        self._count(TAG_NODES)
        return {"py/bytes": b64encode(node).decode()}

    def _bytearray(self, node: bytearray, _depth: int, hashed: bool) -> Any:
        self._hashable(not hashed)
        self._spend_binary(node)
        self._count(TAG_NODES)
        return {"py/bytearray": bytes(node) if self._target.bytes else b64encode(node).decode()}

    def _scalar(self, node: Scalar, depth: int, hashed: bool) -> Any:
        content = node.content
        self._hashable(not hashed or is_hashable(node))
        self._count_scalar(node)
        if type(content) is str:
            self._spend_text(content)  # even if all strings fit: it is no string of the pickle's, and may be repeated
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
        if type(body) is str:
            self._spend_text(body)
            return content
        self._spend_binary(body)
        return content | {"body": body if self._target.bytes else {"py/bytes": b64encode(body).decode()}}

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
        self._count(TAG_NODES)
        return {"py/tuple": self._items(node, depth, hashed)}

    def _collection(self, node: Collection, depth: int, hashed: bool) -> Any:
        if node.tag == "py/ordereddict":
            self._hashable(not hashed)
            return {node.tag: self._pairs(node.items, depth)}
        self._hashable(not hashed or node.tag == "py/frozenset")
        self._count(TAG_NODES)
        return {node.tag: self._items(node.items, depth, True)}

    def _dict(self, node: dict[Any, Node], depth: int, hashed: bool) -> Any:
        self._hashable(not hashed)
        if Key in set(map(type, node)) or (len(node) == 1 and not TAGS.isdisjoint(node)):
            return {"py/dict": self._pairs(node, depth)}
        self._descend(depth, len(node))
        presented: dict[str, Any] = dict.fromkeys(node)
        for key, value in node.items():
            self._str(key, depth, False)
            self._part(value, presented, key, depth + 1, False)
        return presented

    def _pairs(self, node: dict[Any, Node], depth: int) -> list[Any]:
        self._count(TAG_NODES)
        self._descend(depth, len(node) * (PAIR_NODES + 2))
        pairs = []
        for key, value in node.items():
            pair = [None, None]
            self._part(key.node if type(key) is Key else key, pair, 0, depth + 1, True)
            self._part(value, pair, 1, depth + 1, False)
            pairs.append(pair)
        return pairs

    def _items(self, items: list[Node] | tuple[Node, ...], depth: int, hashed: bool) -> list[Any]:
        self._descend(depth, len(items))
        presented: list[Any] = [None] * len(items)
        depth += 1
        for at, item in enumerate(items):  # `_part` for each, without the call
            leaf = self.leaves.get(type(item))
            if leaf is not None:
                presented[at] = leaf(self, item, depth, hashed)
            else:
                self._todo.append((item, presented, at, depth, hashed))
        return presented

    def _part(self, node: Node, into: Any, at: Any, depth: int, hashed: bool) -> None:
        leaf = self.leaves.get(type(node))
        if leaf is not None:
            into[at] = leaf(self, node, depth, hashed)
        else:
            self._todo.append((node, into, at, depth, hashed))

    # -- budgets ---------------------------------------------------------------------------------------

    def _descend(self, depth: int, count: int) -> None:
        """Count the parts of a container before any of them is looked at."""
        if count and depth >= self._limits.depth:
            raise UndecodableError(too_deep(self._limits))
        self._count(count)

    def _count(self, nodes: int) -> None:
        self._nodes_left -= nodes
        if self._nodes_left < 0:
            raise UndecodableError(too_many(self._limits))

    def _count_scalar(self, node: Scalar) -> None:
        """Count what a value of a class counts beyond itself."""
        weight = RESPONSE_NODES if node.tag == "py/response" else OBJECT_NODES
        self._count(weight + HEADER_NODES * node.parts)

    def _spend(self, size: int) -> None:
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise UndecodableError(too_large(self._limits))

    def _spend_int(self, number: int) -> None:
        if number.bit_length() > _WORD:
            self._spend(digits(number))

    def _spend_text(self, text: str) -> None:
        self._spend(len(text.encode()) if self._target.bytes else _json_bytes(text))

    def _spend_binary(self, raw: bytes | bytearray) -> None:
        self._spend(len(raw) if self._target.bytes else len(raw) * 4 // 3)

    def _hashable(self, condition: bool) -> None:
        if not condition:
            raise UndecodableError("corrupt pickle: an unhashable key or member")


def too_deep(limits: CodecLimits) -> str:
    return f"nested more than {limits.depth} deep ([limits] depth), or inside itself"


def too_many(limits: CodecLimits) -> str:
    return f"more than {limits.nodes} nodes ([limits] nodes)"


def too_large(limits: CodecLimits) -> str:
    return f"more than {limits.decoded_bytes} bytes ([limits] decoded_bytes)"


Presenter.leaves = {
    type(None): Presenter._same,
    bool: Presenter._same,
    int: Presenter._int,
    float: Presenter._float,
    str: Presenter._str,
    bytes: Presenter._bytes,
    bytearray: Presenter._bytearray,
    Instance: Presenter._instance,
    Scalar: Presenter._scalar,
    Zone: Presenter._zone,
    Symbol: Presenter._symbol,
    shapes.OldBytes: Presenter._old_bytes,
}
Presenter.containers = {
    list: Presenter._list,
    tuple: Presenter._tuple,
    dict: Presenter._dict,
    Collection: Presenter._collection,
}
