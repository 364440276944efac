"""Finds the place of a part of a written payload, for the error text. Only errors come here.

The place is the same that a reader's error would give: a tag is no step of its own.
"""

from collections.abc import Iterator
from typing import Any, Final

from proxy.codec.nodes import RESERVED, Key
from proxy.codec.payload.places import path

_PAIRS: Final = frozenset({"py/dict", "py/ordereddict"})
_INSIDE: Final = {"py/deque": "items", "py/defaultdict": "dict"}
"""The member of a tag's content that has the parts."""

_Steps = tuple[Any, Any]
"""The last step, or None, and the steps before it."""


def place_of(root: Any, part: Any) -> str | None:
    """The place of `part`, by identity, as `$.items[3]`; None: it is not in the tree. The tree is within its limits."""
    todo: list[tuple[Any, _Steps | None]] = [(root, None)]
    while todo:
        value, steps = todo.pop()
        if value is part:
            return path(_names(steps))
        kind = type(value)
        if kind is dict or kind is list:
            todo.extend((each, steps if name is None else (name, steps)) for name, each in _parts(value))
    return None


def _names(steps: _Steps | None) -> list[str | int]:
    names = []
    while steps is not None:
        name, steps = steps
        names.append(name)
    return names


def _parts(value: Any) -> Iterator[tuple[str | int | None, Any]]:
    """Each part of a container with its name. None: it has the place of the container."""
    if type(value) is list:
        yield from enumerate(value)
        return
    (only, content), *others = value.items() if value else [(None, None)]
    if others or type(only) is not str or not only.startswith(RESERVED):
        yield from _items(value)
    elif only in _PAIRS and type(content) is list:
        for at, pair in enumerate(content):
            if type(pair) is list and len(pair) == 2:
                yield at, pair[0]
                yield pair[0] if type(pair[0]) is str else at, pair[1]
    elif type(content) is dict and only in _INSIDE:
        yield None, content.get(_INSIDE[only])
    else:
        yield None, content


def _items(value: dict[Any, Any]) -> Iterator[tuple[str | int | None, Any]]:
    for at, (key, item) in enumerate(value.items()):
        if type(key) is Key:
            yield at, key.node
        yield key if type(key) is str else at, item
