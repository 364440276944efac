"""The raw parts of a stored value: of each object its class, arguments, state and items, as the pickle has them. Pure.

The result is for people: it is cut where it grows long. Objects are numbered, and one that occurs again is shown as
`{"same as": number}`. Lists, tuples and dicts that occur again are shown again, up to the depth.
"""

import base64
from collections.abc import Callable
from typing import Any, Final

from proxy.codec.nodes import Collection, Damaged, Instance, Key, Node, OldBytes, Scalar, Symbol

_MOST_NODES: Final = 2000
_MOST_ITEMS: Final = 100
_MOST_DEPTH: Final = 20
_MOST_TEXT: Final = 200
_MOST_INT: Final = 2**63
_CUT: Final = "cut"


def raw_parts(root: Node) -> Any:
    """The parts of a value that was read, as a tree for JSON. None: it holds no object and no class."""
    parts = _Parts()
    shown = parts.show(root, 0)
    return shown if parts.has_objects else None


class _Parts:
    """One walk over a value."""

    def __init__(self) -> None:
        self.has_objects = False
        self._left = _MOST_NODES
        self._numbers: dict[int, int] = {}
        """Of objects, by id."""

    def show(self, node: Node, depth: int) -> Any:
        """The tree of a node."""
        self._left -= 1
        if self._left < 0 or depth > _MOST_DEPTH:
            return {_CUT: "more"}
        return _SHOW.get(type(node), _other)(self, node, depth + 1)

    def array(self, items: Any, depth: int) -> list[Any]:
        shown = []
        for at, item in enumerate(items):
            if at == _MOST_ITEMS or self._left <= 0:
                shown.append({_CUT: len(items) - at})
                break
            shown.append(self.show(item, depth))
        return shown

    def mapping(self, pairs: dict[Any, Node], depth: int) -> dict[str, Any]:
        if any(type(key) is not str for key in pairs):
            items = [(key.node if type(key) is Key else key, value) for key, value in pairs.items()]
            return {"py/dict": self.array([list(item) for item in items[:_MOST_ITEMS]], depth)}
        shown: dict[str, Any] = {}
        for at, (key, value) in enumerate(pairs.items()):
            if at == _MOST_ITEMS or self._left <= 0:
                shown[_CUT] = len(pairs) - at
                break
            shown[_text(self, key, depth)] = self.show(value, depth)
        return shown

    def instance(self, instance: Instance, depth: int) -> dict[str, Any]:
        self.has_objects = True
        number = self._numbers.get(id(instance))
        if number is not None:
            return {"same as": number}
        number = self._numbers[id(instance)] = len(self._numbers) + 1
        shown: dict[str, Any] = {"object": number, "class": instance.symbol.text}
        if instance.is_called:
            shown["is_called"] = True
        if instance.args:
            shown["arguments"] = self.array(instance.args, depth)
        for name in ("kwargs", "state", "items", "pairs"):
            part = getattr(instance, name)
            if part is not None:
                shown[name] = self.show(part, depth)
        return shown


def _text(_parts: _Parts, text: str, _depth: int) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}... ({len(text)} characters)"


def _bytes(_parts: _Parts, raw: bytes, _depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"py/bytes": base64.b64encode(raw[:_MOST_TEXT]).decode()}
    return shown if len(raw) <= _MOST_TEXT else shown | {_CUT: len(raw) - _MOST_TEXT}


def _int(_parts: _Parts, number: int, _depth: int) -> Any:
    return number if -_MOST_INT <= number < _MOST_INT else {"py/int": str(number)}


def _float(_parts: _Parts, number: float, _depth: int) -> Any:
    return number if number - number == 0.0 else {"py/float": repr(number)}


def _symbol(parts: _Parts, symbol: Symbol, _depth: int) -> dict[str, Any]:
    parts.has_objects = True
    return {"py/global": symbol.text}


def _same(_parts: _Parts, node: bool | None, _depth: int) -> bool | None:
    return node


def _other(parts: _Parts, node: Node, _depth: int) -> dict[str, str]:
    """The kind of a node that has no form here."""
    parts.has_objects = True
    return {"kind": type(node).__name__}


def _damaged(parts: _Parts, damaged: Damaged, _depth: int) -> dict[str, Any]:
    parts.has_objects = True
    return {"class": damaged.symbol.text, "damaged": True}


def _collection(parts: _Parts, collection: Collection, depth: int) -> dict[str, Any]:
    shown = {collection.tag: parts.show(collection.items, depth)}
    return shown if collection.more is None else shown | {"more": collection.more}


_SHOW: Final[dict[type, Callable[[_Parts, Any, int], Any]]] = {
    Instance: _Parts.instance,
    **dict.fromkeys((type(None), bool), _same),
    Symbol: _symbol,
    Damaged: _damaged,
    Collection: _collection,
    Scalar: lambda parts, scalar, depth: {scalar.tag: parts.show(scalar.content, depth)},
    list: _Parts.array,
    tuple: lambda parts, items, depth: {"py/tuple": parts.array(items, depth)},
    dict: _Parts.mapping,
    str: _text,
    int: _int,
    float: _float,
    **dict.fromkeys((bytes, bytearray, OldBytes), _bytes),
}
"""By type."""
