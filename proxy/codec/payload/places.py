"""The place of a node in the payload: for error texts, for its depth, and for nodes that contain themselves."""

from typing import Any, Final

from proxy.codec.nodes import Node

_MOST_STEPS: Final = 24
_MOST_CHARS: Final = 40
_OBJECT: Final = -1
"""The level of an object on a trail. A cycle cannot name a container above it."""


class Unhashable(Exception):  # noqa: N818 (only between a presenter and its loop)
    """A node that Python must hash and cannot: that of the place presented now, or a leaf in it."""


class Place:
    """One place of the payload: the target for a presented node, and the place of the container around it."""

    __slots__ = ("at", "depth", "entered", "hashed", "into", "level", "name", "node", "parent")

    def __init__(
        self,
        node: Node,
        into: Any,
        at: Any,
        name: str | int | None,
        parent: "Place | None",
        hashed: bool,
        levels: int,
    ) -> None:
        """`into[at]`: the target. `name`: the key or index in the container, for errors; None: the value of an object.
        `hashed`: Python must hash the node. `levels`: arrays and objects below the parent (a tag is no level).
        """
        self.node = node
        self.into = into
        self.at = at
        self.name = name
        self.parent = parent
        self.hashed = hashed
        self.depth = self.level = self.entered = 0
        if parent is not None:
            self.depth = parent.depth + 1
            self.level = parent.level + levels
            self.entered = parent.entered

    def __str__(self) -> str:
        """The place as JSONPath from the root: `$.items[3]`. Attributes of objects look like keys."""
        names: list[str | int] = []
        place: Place | None = self
        while place is not None:
            if place.name is not None:
                names.append(place.name)
            place = place.parent
        return path(names)


def path(names: list[str | int]) -> str:
    """The place as JSONPath. `names`: of each step from the place up to the root."""
    steps = [_step(name) for name in names[: -_MOST_STEPS - 1 : -1]]
    return "$" + "".join(steps) + (" ..." if len(names) > _MOST_STEPS else "")


def _step(name: str | int) -> str:
    if type(name) is int:
        return f"[{name}]"
    text = str(name)
    if text.isidentifier() and len(text) <= _MOST_CHARS:
        return "." + text
    return f"[{text[:_MOST_CHARS]!a}]"


class Trail:
    """The nodes that contain themselves, on the way from the root to a place."""

    __slots__ = ("_cyclic", "_open", "_steps")

    def __init__(self, cyclic: frozenset[int]) -> None:
        """`cyclic`: the ids of all nodes that contain themselves."""
        self._cyclic = cyclic
        self._steps: list[tuple[int, int, int | None]] = []
        """For each node: its id, its level or `_OBJECT`, and the previous step of the same id."""
        self._open: dict[int, int] = {}
        """The step of each id on the trail. All objects share the id `_OBJECT`."""

    def enter(self, place: Place) -> int | None:
        """Enter a list, tuple or dict and return None. If it is inside itself: the number of levels up to it."""
        return self._go(place, id(place.node), place.level) if id(place.node) in self._cyclic else None

    def enter_object(self, place: Place) -> None:
        """Enter an object that contains itself."""
        self._go(place, _OBJECT, _OBJECT)

    def _go(self, place: Place, key: int, level: int) -> int | None:
        steps, known = self._steps, self._open
        while len(steps) > place.entered:  # leave the nodes that are not above this place
            left, _, before = steps.pop()
            if before is None:
                del known[left]
            else:
                known[left] = before
        step = known.get(key)
        if key != _OBJECT and step is not None and step > known.get(_OBJECT, -1):
            return level - steps[step][1]
        steps.append((key, level, step))
        known[key] = len(steps) - 1
        place.entered = len(steps)
        return None
