"""The budgets of a payload: depth, nodes and bytes, and the errors that name them."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from proxy.codec.errors import CodecError, UndecodableError
from proxy.codec.limits import CodecLimits, digits
from proxy.codec.nodes import Node

_SHORT_ESCAPES: Final = b'\b\t\n\f\r"\\'
"""JSON writes them as two bytes."""
_LONG_ESCAPES: Final = bytes(set(range(32)) - set(_SHORT_ESCAPES))
"""JSON writes them as six bytes."""


WORD: Final = 64
"""Bits of an int that costs nothing to speak of."""


def check_tree(
    root: Node,
    limits: CodecLimits,
    error: type[CodecError] = UndecodableError,
    weigh: Callable[[list[Any]], int] = len,
) -> None:
    """Check depth and nodes of a tree of lists, dicts and scalars. Raises `error`.

    `weigh`: the number of nodes that the values of one level count. By default each counts as one.
    """
    level: list[Any] = [root]
    nodes = 0
    for _ in range(limits.depth + 1):
        nodes += weigh(level)
        if nodes > limits.nodes:
            raise too_many(limits, error)
        level = [
            child
            for node in level
            if type(node) is list or type(node) is dict
            for child in (node.values() if type(node) is dict else node)
        ]
        if not level:
            return
    raise too_deep(limits, error)


def check_text(root: Node, limits: CodecLimits) -> None:
    """Check the bytes of all strings of a tree with JSON's escapes. Raises UndecodableError."""
    left, todo = limits.decoded_bytes, [root]
    while todo:
        node = todo.pop()
        if type(node) is str:
            left -= json_bytes(node)
        elif type(node) is list:
            todo.extend(node)
        elif type(node) is dict:
            todo.extend(node.keys())
            todo.extend(node.values())
        if left < 0:
            raise too_large(limits)


def json_bytes(text: str) -> int:
    """Bytes of a string in JSON, without its quotes."""
    if text.isascii() and text.isprintable():
        return len(text)  # without the escapes of quotes and backslashes
    raw = text.encode()
    long, short = (len(raw) - len(raw.translate(None, escapes)) for escapes in (_LONG_ESCAPES, _SHORT_ESCAPES))
    return len(raw) + 5 * long + short


class Spending:
    """The budgets of one presentation. Beyond them each method raises UndecodableError."""

    __slots__ = ("_bytes_left", "_has_bytes", "_limits", "_nodes_left")

    def __init__(self, limits: CodecLimits, has_bytes: bool) -> None:
        """`has_bytes`: the payload holds bytes as they are; else in base64, and strings with escapes."""
        self._limits = limits
        self._has_bytes = has_bytes
        self._nodes_left = limits.nodes
        self._bytes_left = limits.decoded_bytes

    def descend(self, depth: int, count: int) -> None:
        """Count the parts of a container before any of them is looked at."""
        if count and depth >= self._limits.depth:
            raise too_deep(self._limits)
        self.count(count)

    def count(self, nodes: int) -> None:
        """Count nodes."""
        self._nodes_left -= nodes
        if self._nodes_left < 0:
            raise too_many(self._limits)

    def check_room(self, nodes: int) -> None:
        """Check that so many nodes are left, before they are looked at and counted."""
        if nodes > self._nodes_left:
            raise too_many(self._limits)

    def spend(self, size: int) -> None:
        """Count bytes."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise too_large(self._limits)

    def spend_int(self, number: int) -> None:
        """Count the digits of an int that has many."""
        if number.bit_length() > WORD:
            self.spend(digits(number))

    def spend_text(self, text: str) -> None:
        """Count the bytes of a string, as it is written."""
        self.spend(len(text.encode()) if self._has_bytes else json_bytes(text))

    def spend_texts(self, texts: Sequence[str]) -> None:
        """Count those of many at once."""
        if sum(map(len, texts)) > self._bytes_left:
            raise too_large(self._limits)
        self.spend_text("".join(texts))

    def spend_names(self, names: Sequence[str], times: int) -> None:
        """Count the keys of as many objects. Escapes are left out: what is written is measured too."""
        self.spend(times * sum(map(len, names)))

    def spend_binary(self, raw: bytes | bytearray) -> None:
        """Count bytes, as they are written."""
        self.spend(len(raw) if self._has_bytes else len(raw) * 4 // 3)


def too_deep(limits: CodecLimits, error: type[CodecError] = UndecodableError) -> CodecError:
    """The error for a value with more levels than `depth`."""
    return error(f"nested more than {limits.depth} deep ([limits] depth), or inside itself", "depth")


def too_many(limits: CodecLimits, error: type[CodecError] = UndecodableError) -> CodecError:
    """The error for a value with more nodes than `nodes`."""
    return error(f"more than {limits.nodes} nodes ([limits] nodes)", "nodes")


def too_large(limits: CodecLimits) -> CodecError:
    """The error for a value with more bytes than `decoded_bytes`."""
    return UndecodableError(f"more than {limits.decoded_bytes} bytes ([limits] decoded_bytes)", "decoded_bytes")
