"""pandas' Series and DataFrame: their block managers, put together into columns.

Sources: `DataFrame.__getstate__`, `BlockManager.__reduce__` and `__setstate__` in pandas 1.3 to 3.1, and the older
state of axes and blocks, which SingleBlockManager writes to this day.
"""

from typing import Any, Final

from proxy.codec.errors import UndecodableError
from proxy.codec.frames import extensions, indexes
from proxy.codec.frames.arrays import PARTS, Count, array_of
from proxy.codec.frames.columns import Column
from proxy.codec.frames.dtypes import corrupt
from proxy.codec.frames.indexes import Index, Multi
from proxy.codec.nodes import Instance, Node

_VERSION: Final = "0.14.1"
"""Under this key is the part of the older state that pandas reads."""
_MOST: Final = 2**62


class Series:
    """A series of pandas."""

    __slots__ = ("column", "index", "name", "parts")

    def __init__(self, name: Node, index: Index, column: Column) -> None:
        """`name`: any node."""
        self.name = name
        self.index = index
        self.column = column
        self.parts: list[Node] = [[name], *_index_parts(index), *column.parts]
        """The lists of all objects in it."""


class Frame:
    """A frame of pandas."""

    __slots__ = ("columns", "index", "labels", "parts")

    def __init__(self, index: Index, labels: Index, columns: list[Column]) -> None:
        """`labels`: of the columns."""
        self.index = index
        self.labels = labels
        self.columns = columns
        of_columns = {id(part): part for column in columns for part in column.parts}  # columns may share one
        self.parts: list[Node] = [*_index_parts(labels), *_index_parts(index), *of_columns.values()]
        """The lists of all objects in it."""


def _index_parts(index: Index) -> list[Node]:
    if isinstance(index, Multi):
        return [list(index.names), *(part for level in index.levels for part in level.column.parts)]
    return [[index.name], *index.column.parts]


def is_table(state: Node) -> bool:
    """Whether a state is that of a Series or DataFrame, or of a subclass: its manager is pandas' own."""
    if type(state) is not dict or state.get("_typ") not in ("series", "dataframe"):
        return False
    manager = _manager(state)
    return manager is not None and manager.symbol.module.partition(".")[0] == "pandas"


def of(instance: Instance, count: Count) -> "Series | Frame":
    """The series or frame of such a state. Raises UndecodableError. `count`: told of its columns and labels."""
    state = instance.state
    axes, blocks = _blocks(_manager(state), count)
    if state["_typ"] == "series":
        return _series(state, axes, blocks, count)
    if len(axes) != 2:
        raise corrupt("pandas DataFrame")
    labels, index = (indexes.of(axis, count) for axis in axes)
    rows, width = indexes.size_of(index), indexes.size_of(labels)
    count(width)
    columns: list[Any] = [None] * width
    for values, places in blocks:
        _place(columns, extensions.columns_of(values, count, indexes.column_of), _places(places, width, count))
    if any(column is None or column.size != rows for column in columns):
        raise UndecodableError("corrupt pickle: a pandas DataFrame of columns that are missing or too short")
    return Frame(index, labels, columns)


def _series(state: dict[Any, Node], axes: list[Node], blocks: list[tuple[Node, Node]], count: Count) -> Series:
    if len(axes) != 1 or len(blocks) != 1:
        raise corrupt("pandas Series")
    index = indexes.of(axes[0], count)
    found = extensions.columns_of(blocks[0][0], count, indexes.column_of)
    if len(found) != 1 or found[0].size != indexes.size_of(index):
        raise corrupt("pandas Series")
    return Series(state.get("_name", state.get("name")), index, found[0])


def _place(columns: list[Any], found: list[Column], places: range | list[int]) -> None:
    """Put the columns of a block where they belong. Each place is taken once."""
    if len(found) != len(places):
        raise corrupt("pandas block")
    for column, place in zip(found, places, strict=True):
        if not 0 <= place < len(columns) or columns[place] is not None:
            raise UndecodableError("corrupt pickle: blocks of a pandas DataFrame that overlap")
        columns[place] = column


def _manager(state: dict[Any, Node]) -> Instance | None:
    found = state.get("_mgr", state.get("_data"))
    return found if type(found) is Instance else None


def _blocks(manager: Instance | None, count: Count) -> tuple[list[Node], list[tuple[Node, Node]]]:
    """The axes, and of each block the values and their places."""
    if manager is None or not manager.symbol.name.endswith("BlockManager"):
        raise UndecodableError("a pandas object without a BlockManager")
    if manager.args:
        blocks, axes = manager.args[:2] if len(manager.args) > 1 else (None, None)
        read = _block
    else:
        state = manager.state
        known = state[3].get(_VERSION) if type(state) is tuple and len(state) > 3 and type(state[3]) is dict else None
        axes, blocks = (known.get("axes"), known.get("blocks")) if type(known) is dict else (None, None)
        read = _old_block
    if not all(type(part) in (list, tuple) for part in (axes, blocks)) or not 1 <= len(axes) <= 2:
        raise corrupt("pandas BlockManager")
    count(PARTS * len(blocks))
    return axes, [read(block) for block in blocks]


def _block(node: Node) -> tuple[Node, Node]:
    """A call of `_unpickle_block(values, places, ndim)`; in pandas 1.3 of a partial that knows `ndim`."""
    if type(node) is not Instance or not node.is_called or not 2 <= len(node.args) <= 3:
        raise corrupt("pandas block")
    return node.args[0], node.args[1]


def _old_block(node: Node) -> tuple[Node, Node]:
    if type(node) is not dict:
        raise corrupt("pandas block")
    return node.get("values"), node.get("mgr_locs")


def _places(node: Node, width: int, count: Count) -> range | list[int]:
    """The positions of a block's columns: a slice, a BlockPlacement of one, or an array."""
    if type(node) is Instance and node.symbol.name.endswith("BlockPlacement") and len(node.args) == 1:
        node = node.args[0]
    if type(node) is int:
        return [node]
    if type(node) is Instance and node.symbol.text == "builtins.slice":
        if len(node.args) != 3 or not all(_is_bound(bound) for bound in node.args) or node.args[2] == 0:
            raise corrupt("pandas block")
        return range(*slice(*node.args).indices(width))
    array = array_of(node, count)
    if array.dtype.kind not in "iu" or len(array.shape) != 1:
        raise corrupt("pandas block")
    count(array.size)
    return array.items()


def _is_bound(node: Node) -> bool:
    return node is None or (type(node) is int and -_MOST < node < _MOST)
