"""A presenter, as far as the functions for arrays and frames know it."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from proxy.codec.limits import CodecLimits
from proxy.codec.payload.budgets import Spending
from proxy.codec.payload.formats import Format
from proxy.codec.payload.places import Place, Unhashable

Leaf: TypeAlias = "Callable[[Any, Any, bool], Any]"
"""Presents a node without parts: given the presenter, the node, and whether Python must hash it."""


class Presentation(Spending):
    """The shared part of a presentation: its format, its budgets, and the places that it has put off."""

    __slots__ = ("_todo", "target")

    leaves: "ClassVar[dict[type, Leaf]]"
    naive_zone: ClassVar[str] = ""
    """It follows the text of a datetime without a zone."""

    def __init__(self, target: Format, limits: CodecLimits) -> None:
        """`target`: what need not be tagged."""
        super().__init__(limits, target.bytes)
        self.target = target
        self._todo: list[Place] = []
        """The places that are still to do, the next one last."""

    def later(self, place: Place) -> None:
        """Present a part when all that stands before it has been."""
        self._todo.append(place)

    def check_hashable(self, condition: bool) -> None:
        """Raise Unhashable unless the condition holds: Python must hash this node, and cannot."""
        if not condition:
            raise Unhashable
