"""pandas' series and frames as natural values: an array of row objects, an array, an object.

Where the names of columns are not distinct texts, `{"columns": [..], "rows": [[..], ..]}` loses nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from proxy.codec.frames import indexes, moments
from proxy.codec.frames.columns import Column, Kind
from proxy.codec.frames.indexes import Index, Multi, Range
from proxy.codec.frames.tables import Frame, Series
from proxy.codec.limits import OBJECT_NODES
from proxy.codec.nodes import Node
from proxy.codec.payload import tables
from proxy.codec.payload.arrays import with_gaps
from proxy.codec.payload.places import Place
from proxy.codec.payload.presentation import Presentation

_NO_NAME = "index"

KeyName: TypeAlias = Callable[[Node, Place], str]
"""Names a key of another type than str."""


def column(presenter: Presentation, node: Column, place: Place) -> Any:
    """The values of an Arrow array by itself."""
    presenter.check_hashable(not place.hashed)
    presenter.descend(place.depth, node.work)
    return _shown(presenter, node)


def frame(presenter: Presentation, node: Frame, place: Place) -> Any:
    """An array of row objects; or columns and rows, where names are not distinct texts."""
    presenter.check_hashable(not place.hashed)
    presenter.count(OBJECT_NODES)
    index = [] if _is_default(presenter, node.index) else _columns(node.index)
    names = [_NO_NAME if name is None else name for name, _ in index] + _labels(presenter, node.labels, place)
    columns = [each for _, each in index] + node.columns
    return _rows(presenter, names, columns, indexes.size_of(node.index), place)


def series(presenter: Presentation, node: Series, place: Place, key_name: KeyName) -> Any:
    """An array, or an object if the index says more. It is rows if the index has levels or one label twice."""
    presenter.check_hashable(not place.hashed)
    presenter.count(OBJECT_NODES)
    if _is_default(presenter, node.index):
        return _array(presenter, node.column, place)
    named = _columns(node.index)
    keys = _keys(presenter, named[0][1], place, key_name) if len(named) == 1 else []
    if len(keys) != node.column.size or len(set(keys)) != len(keys):
        names = [*(_NO_NAME if name is None else name for name, _ in named), node.name]
        return _rows(presenter, names, [*(each for _, each in named), node.column], node.column.size, place)
    presenter.descend(place.depth, node.column.work)
    content = dict(zip(keys, _shown(presenter, node.column), strict=True))
    _put_off(presenter, [node.column], [content] * len(keys), place, keys)
    return content


def _array(presenter: Presentation, node: Column, place: Place) -> list[Any]:
    presenter.descend(place.depth, node.work)
    values = _shown(presenter, node)
    _put_off(presenter, [node], [values] * node.size, place, range(node.size))
    return values


# -- rows ----------------------------------------------------------------------------------------------


def _rows(presenter: Presentation, names: list[Node], columns: list[Column], count: int, place: Place) -> Any:
    is_natural = all(type(name) is str for name in names) and len(set(names)) == len(names)
    presenter.descend(place.depth + 1 + (not is_natural), count + sum(each.work for each in columns))
    values = [_shown(presenter, each) for each in columns]
    if is_natural:
        presenter.spend_names(names, count)
        rows: list[Any] = [dict(zip(names, row, strict=True)) for row in _turned(values, count)]
        _put_off(presenter, columns, rows, place, None, names)
        return rows
    shown_names: list[Any] = [None] * len(names)
    content = {"columns": shown_names, "rows": None}
    presenter.count(len(names))
    for at, name in enumerate(names):
        tables.put(presenter, name, shown_names, at, place)
    content["rows"] = rows = [list(row) for row in _turned(values, count)]
    _put_off(presenter, columns, rows, place, None, range(len(names)))
    return content


def _turned(values: list[list[Any]], count: int) -> Iterable[Sequence[Any]]:
    """Rows of columns. Without any column the rows are empty."""
    return zip(*values, strict=True) if values else [()] * count


def _put_off(
    presenter: Presentation,
    columns: list[Column],
    rows: Sequence[Any],
    place: Place,
    keys: Sequence[Any] | None = None,
    names: Sequence[Any] = (),
) -> None:
    """Present later, row by row, those objects that are no leaves. `keys`: where they go, for each row; or `names`,
    for each column.
    """
    leaves, inner = presenter.leaves, tables.places(names, place) if names else [place]
    found = [
        (row, at, item)
        for at, each in enumerate(columns)
        if each.kind is Kind.OBJECTS
        for row, item in enumerate(each.values())
        if type(item) not in leaves
    ]
    for row, at, item in sorted(found, key=lambda part: part[:2]):
        key = names[at] if keys is None else keys[row]
        presenter.later(Place(item, rows[row], key, row, inner[at], False, 1))


# -- values --------------------------------------------------------------------------------------------


def _shown(presenter: Presentation, node: Column) -> list[Any]:
    """The presented values, which have been counted. Of objects only the leaves: any other is None."""
    values = node.values()
    if node.kind is Kind.MOMENTS and presenter.naive_zone:
        values = [None if text is None else text + presenter.naive_zone for text in values]
        presenter.spend_texts([text for text in values if text is not None])
        return values
    unit = node.unit
    if node.kind is Kind.SPANS and unit is not None:
        return with_gaps(presenter, [None if value is None else moments.seconds(value, unit) for value in values])
    return tables.shown(presenter, node)


def _is_default(presenter: Presentation, index: Index) -> bool:
    """Whether an index is 0, 1, 2 ..."""
    if isinstance(index, Range):
        return index.range == range(len(index.range))
    if isinstance(index, Multi):
        return False
    labels = index.column
    presenter.check_room(labels.work)
    return not labels.size or (labels.dtype in _INTEGERS and labels.values() == list(range(labels.size)))


_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def _columns(index: Index) -> list[tuple[Node, Column]]:
    """The labels of an index as columns, with their names."""
    if isinstance(index, Multi):
        return list(zip(index.names, index.columns, strict=True))
    return [(index.name, index.column)]


def _labels(presenter: Presentation, labels: Index, place: Place) -> list[Node]:
    """The names of columns as nodes: of several levels tuples."""
    if not isinstance(labels, Multi):
        return _nodes(presenter, labels.column, place)
    if not indexes.size_of(labels):
        return []
    return list(zip(*(_nodes(presenter, each, place) for each in labels.columns), strict=True))


def _nodes(presenter: Presentation, node: Column, place: Place) -> list[Node]:
    presenter.descend(place.depth, node.work)
    return node.values() if node.kind in (Kind.OBJECTS, Kind.TEXTS) else _shown(presenter, node)


def _keys(presenter: Presentation, node: Column, place: Place, key_name: KeyName) -> list[str]:
    nodes = _nodes(presenter, node, place)
    keys = [key if type(key) is str else key_name(key, place) for key in nodes]
    presenter.spend_texts(keys)
    return keys
