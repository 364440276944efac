"""Finds the containers and objects that contain themselves: Tarjan's algorithm, without recursion.

It takes time linear in the size of the stored value. It visits only containers that hold others. The parts of an object
are the parts of its value.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from proxy.codec.frames.readers import HOLDERS
from proxy.codec.nodes import CONTAINERS, Collection, Instance, Key, Node
from proxy.codec.unpickle.instances import Values

_DONE: Final = 1 << 62
"""The `_low` of a node that is complete: it is on no cycle with a node above it."""

_FEW: Final = 4
"""A container of so few scalars is not remembered: to visit it again takes less time."""


class Cyclic(NamedTuple):
    """The nodes that contain themselves."""

    ids: frozenset[int] = frozenset()
    """The ids of all such nodes. Valid as long as the nodes exist."""
    objects: int = 0
    """The number of objects among them."""


def cyclic(root: Node, values: Values) -> Cyclic:
    """All nodes that contain themselves. Raises UndecodableError."""
    if type(root) not in CONTAINERS:
        return Cyclic()
    search = _Search(values)
    search.enter(root)
    while search.path:
        search.step()
    return Cyclic(frozenset(search.found), len(search.found & search.objects))


class _Search:
    """One depth-first search."""

    __slots__ = ("_low", "_number", "_values", "_waiting", "found", "objects", "path")

    def __init__(self, values: Values) -> None:
        self._values = values
        self._number: dict[int, int] = {}
        """The number of each node by its id, in the order of visits."""
        self._low: list[int] = []
        """By number: the lowest number that the node is known to reach."""
        self._waiting: list[int] = []
        """The ids of nodes that may still be on a cycle with a node above them."""
        self.path: list[tuple[int, Iterator[Node]]] = []
        self.found: set[int] = set()
        self.objects: set[int] = set()
        """The ids of the objects that hold containers."""

    def enter(self, node: Node) -> None:
        """Visit a node, if it holds containers."""
        size, parts = _parts(node, self._values)
        if parts:
            if type(node) is Instance:
                self.objects.add(id(node))
            self._remember(node, len(self._low))
            self._waiting.append(id(node))
            self.path.append((id(node), iter(parts)))
        elif size > _FEW:
            self._remember(node, _DONE)

    def _remember(self, node: Node, low: int) -> None:
        self._number[id(node)] = len(self._low)
        self._low.append(low)

    def step(self) -> None:
        """Continue from the last node of the path: go down to a part, or back up."""
        current, parts = self.path[-1]
        number, low = self._number, self._low
        at = number[current]
        for part in parts:
            seen = number.get(id(part))
            if seen is None:
                self.enter(part)
                if self.path[-1][0] != current:
                    return
            else:
                if seen == at:
                    self.found.add(current)  # it holds itself directly
                low[at] = min(low[at], low[seen])
        self.path.pop()
        if low[at] == at:
            self._close(current)
        elif self.path:
            above = number[self.path[-1][0]]
            low[above] = min(low[above], low[at])

    def _close(self, first: int) -> None:
        """Complete `first` and all nodes that wait since its visit: they are on cycles with it."""
        last = self._waiting.pop()
        if last != first:
            self.found.update((first, last))
        self._low[self._number[last]] = _DONE
        while last != first:
            last = self._waiting.pop()
            self.found.add(last)
            self._low[self._number[last]] = _DONE


def shallowest(root: Node, values: Values) -> dict[int, int]:
    """The least depth of each container and object, by id. Raises UndecodableError."""
    depths: dict[int, int] = {}
    todo = deque([(root, 0)])
    while todo:
        node, depth = todo.popleft()
        if id(node) in depths:
            continue
        depths[id(node)] = depth
        parts = _parts(node, values)[1]
        if type(node) is Instance and len(parts) == 1 and type(parts[0]) is not Instance:
            todo.appendleft((parts[0], depth))  # the value has the depth of its object
        else:
            todo.extend((part, depth + 1) for part in parts)
    return depths


def _parts(node: Node, values: Values) -> tuple[int, list[Node]]:
    """The number of a node's parts, and the parts that may hold others."""
    if type(node) is Instance:
        value = values.of(node)
        if type(value) in HOLDERS:
            return 0, value.parts
        return 0, [value] if type(value) in CONTAINERS else []
    if type(node) is Collection:
        node = node.items
    if type(node) is not dict:
        return len(node), [part for part in node if type(part) in CONTAINERS]
    keys = (key.node for key in node if type(key) is Key)
    return len(node), [part for part in chain(keys, node.values()) if type(part) in CONTAINERS]
