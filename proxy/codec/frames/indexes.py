"""pandas' indexes: a range, labels of one dtype, or levels with codes.

Source: `_new_Index(class, attributes)` and its like in pandas 1.3 to 3.1.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from proxy.codec.errors import UndecodableError
from proxy.codec.frames import columns, extensions
from proxy.codec.frames.arrays import PARTS, Count, array_of
from proxy.codec.frames.columns import Column, Kind
from proxy.codec.frames.dtypes import corrupt
from proxy.codec.frames.extensions import last_name
from proxy.codec.nodes import Instance, Node, Symbol

_MOST: Final = 2**63
_FUNCTIONS: Final = frozenset(f"_new_{name}Index" for name in ("", "Datetime", "Timedelta", "Period", "Interval"))


class Range(NamedTuple):
    """0, 1, 2 ... or another arithmetic sequence."""

    range: range
    name: Node

    @property
    def column(self) -> Column:
        """Its numbers."""
        return Column("int64", len(self.range), Kind.NUMBERS, lambda: list(self.range))


class Labels(NamedTuple):
    """Labels of one dtype."""

    column: Column
    name: Node


class Multi(NamedTuple):
    """Labels of several levels."""

    levels: "Sequence[Range | Labels]"
    codes: Sequence[Column]
    names: Sequence[Node]

    @property
    def columns(self) -> list[Column]:
        """The labels of each level, row by row."""
        return [
            columns.taken(level.column, codes, level.column.dtype)
            for level, codes in zip(self.levels, self.codes, strict=True)
        ]


Index: TypeAlias = Range | Labels | Multi


def size_of(index: Index) -> int:
    """How many labels there are."""
    return index.codes[0].size if isinstance(index, Multi) else index.column.size


def of(node: Node, count: Count) -> Index:
    """The index that a node describes. Raises UndecodableError."""
    if type(node) is not Instance or last_name(node.symbol) not in _FUNCTIONS or len(node.args) != 2:
        raise corrupt("pandas index")
    cls, attributes = node.args
    if type(cls) is not Symbol or type(attributes) is not dict:
        raise corrupt("pandas index")
    return _CLASSES.get(last_name(cls), _labels)(attributes, count)


def _range(attributes: dict[Any, Node], _count: Count) -> Range:
    numbers: list[Node] = [attributes.get(name) for name in ("start", "stop", "step")]
    if not all(type(number) is int and -_MOST <= number < _MOST for number in numbers) or not numbers[2]:
        raise corrupt("pandas RangeIndex")
    bounds = range(*numbers)
    if bounds and (bounds[-1] - bounds[0]) // bounds.step >= _MOST - 1:
        raise corrupt("pandas RangeIndex")  # len() has no number for it
    return Range(bounds, attributes.get("name"))


def _labels(attributes: dict[Any, Node], count: Count) -> Labels:
    data = attributes.get("data")
    if data is None:
        raise corrupt("pandas index")
    found = extensions.columns_of(data, count, column_of)
    if len(found) != 1:
        raise corrupt("pandas index")
    return Labels(found[0], attributes.get("name"))


def _interval(attributes: dict[Any, Node], count: Count) -> Labels:
    left, right = (column_of(attributes.get(name), count.inside()) for name in ("left", "right"))
    return Labels(extensions.intervals(left, right, attributes.get("closed")), attributes.get("name"))


def _multi(attributes: dict[Any, Node], count: Count) -> Multi:
    parts: list[Node] = [attributes.get(name) for name in ("levels", "codes", "names")]
    if not all(type(part) in (list, tuple) for part in parts):
        raise corrupt("pandas MultiIndex")
    levels, codes, names = parts
    if not len(levels) == len(codes) == len(names) > 0:
        raise corrupt("pandas MultiIndex")
    count(PARTS * len(levels))
    found = [_level(level, name, count) for level, name in zip(levels, names, strict=True)]
    positions = [_codes(part, count) for part in codes]
    if len({column.size for column in positions}) != 1:
        raise corrupt("pandas MultiIndex")
    return Multi(found, positions, names)


def _level(node: Node, name: Node, count: Count) -> Range | Labels:
    level = of(node, count.inside())
    if isinstance(level, Multi):
        raise corrupt("pandas MultiIndex")
    return level._replace(name=name)


def _codes(node: Node, count: Count) -> Column:
    array = array_of(node, count)
    if array.dtype.kind != "i" or len(array.shape) != 1:
        raise corrupt("pandas MultiIndex")
    return columns.of_array(array)[0]


def column_of(node: Node, count: Count) -> Column:
    """The labels of an index that has one level. Raises UndecodableError."""
    index = of(node, count)
    if isinstance(index, Multi):
        raise UndecodableError("a pandas MultiIndex in the place of labels")
    return index.column


_CLASSES: Final[dict[str, Callable[[dict[Any, Node], Count], Index]]] = {
    "RangeIndex": _range,
    "MultiIndex": _multi,
    "IntervalIndex": _interval,
}
"""By the last name of the class; all others have labels under `data`."""
