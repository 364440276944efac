"""pandas' series and frames with their dtypes: `{"py/series": ..}` and `{"py/dataframe": ..}`.

Natural rows: `plain_tables`.
"""

from collections.abc import Iterable
from typing import Any

from proxy.codec.frames import indexes
from proxy.codec.frames.columns import Column, Kind
from proxy.codec.frames.indexes import Index, Multi, Range
from proxy.codec.frames.tables import Frame, Series
from proxy.codec.limits import OBJECT_NODES, TAG_NODES
from proxy.codec.nodes import Node
from proxy.codec.payload.arrays import with_gaps
from proxy.codec.payload.places import Place
from proxy.codec.payload.presentation import Presentation

_LEVELS = 2
"""From a column or an index to the objects in it."""


def column(presenter: Presentation, node: Column, place: Place) -> Any:
    """The values of an Arrow array by itself."""
    presenter.check_hashable(not place.hashed)
    return _values(presenter, node, place)


def series(presenter: Presentation, node: Series, place: Place) -> Any:
    """`{"py/series": {"name": .., "dtype": .., "index": .., "values": ..}}`."""
    presenter.check_hashable(not place.hashed)
    presenter.count(OBJECT_NODES)
    content: dict[str, Any] = {"name": None, "dtype": node.column.dtype, "index": None, "values": None}
    put(presenter, node.name, content, "name", place)
    content["index"] = _index(presenter, node.index, place)
    content["values"] = _values(presenter, node.column, place)
    return {"py/series": content}


def frame(presenter: Presentation, node: Frame, place: Place) -> Any:
    """`{"py/dataframe": {"rows": .., "index": .., "columns": [{"name": .., "dtype": .., "values": ..}, ..]}}`."""
    presenter.check_hashable(not place.hashed)
    presenter.count(OBJECT_NODES + OBJECT_NODES * len(node.columns))
    presenter.check_room(sum(each.work for each in node.columns))  # columns of one block are made together
    columns: list[dict[str, Any]] = [{"name": None, "dtype": each.dtype, "values": None} for each in node.columns]
    index = _index(presenter, node.index, place)
    _name_columns(presenter, node.labels, columns, place)
    inner = places((content["name"] for content in columns), place)
    for content, each, its_place in zip(columns, node.columns, inner, strict=True):
        content["values"] = _values(presenter, each, its_place)
    return {"py/dataframe": {"rows": indexes.size_of(node.index), "index": index, "columns": columns}}


def places(names: Iterable[Any], place: Place) -> list[Place]:
    """The places of columns: by name, where that is a text."""
    return [
        Place(None, None, None, name if type(name) is str else at, place, False, 1) for at, name in enumerate(names)
    ]


def _name_columns(presenter: Presentation, labels: Index, columns: list[dict[str, Any]], place: Place) -> None:
    """Each column has its label under `name`: of several levels a tuple."""
    if not isinstance(labels, Multi):
        for at, name in enumerate(_values(presenter, labels.column, place, put_off=False)):
            columns[at]["name"] = name
        if labels.column.kind is Kind.OBJECTS:
            for at, node in enumerate(labels.column.values()):
                _put_off(presenter, node, columns[at], "name", at, place)
        return
    presenter.count(TAG_NODES * len(columns))
    presenter.check_room(len(columns) * len(labels.levels))
    names: list[list[Any]] = [[None] * len(labels.levels) for _ in columns]
    for content, parts in zip(columns, names, strict=True):
        content["name"] = {"py/tuple": parts}
    for level, each in enumerate(labels.columns):
        for at, name in enumerate(_values(presenter, each, place, put_off=False)):
            names[at][level] = name
        if each.kind is Kind.OBJECTS:
            for at, node in enumerate(each.values()):
                _put_off(presenter, node, names[at], level, at, place)


def _index(presenter: Presentation, index: Index, place: Place) -> Any:
    presenter.count(OBJECT_NODES)
    if isinstance(index, Range):
        bounds = index.range
        return {"range": [bounds.start, bounds.stop, bounds.step]}
    if not isinstance(index, Multi):
        content: dict[str, Any] = {"name": None, "dtype": index.column.dtype, "values": None}
        put(presenter, index.name, content, "name", place)
        content["values"] = _values(presenter, index.column, place)
        return content
    presenter.descend(place.depth, len(index.names))
    names: list[Any] = [None] * len(index.names)
    for at, name in enumerate(index.names):
        put(presenter, name, names, at, place)
    levels = [_index(presenter, level, place) for level in index.levels]
    codes = [_values(presenter, each, place) for each in index.codes]
    return {"names": names, "levels": levels, "codes": codes}


def _values(presenter: Presentation, node: Column, place: Place, put_off: bool = True) -> list[Any]:
    """The presented values. Objects that are no leaves come later; without `put_off` the caller sees to them."""
    presenter.descend(place.depth, node.work)
    values = shown(presenter, node)
    if node.kind is Kind.OBJECTS and put_off:
        for at, item in enumerate(node.values()):
            _put_off(presenter, item, values, at, at, place)
    return values


def shown(presenter: Presentation, node: Column) -> list[Any]:
    """The presented values, which have been counted. Of objects only the leaves: any other is None."""
    values = node.values()
    if node.kind is Kind.OBJECTS:
        leaves = presenter.leaves
        return [leaves[type(item)](presenter, item, False) if type(item) in leaves else None for item in values]
    if node.kind in (Kind.TEXTS, Kind.MOMENTS):
        presenter.spend_texts([text for text in values if text is not None])
        return values
    return with_gaps(presenter, values)


def put(presenter: Presentation, node: Node, into: Any, at: Any, place: Place) -> None:
    """Present a name, now or later."""
    leaf = presenter.leaves.get(type(node))
    if leaf is not None:
        into[at] = leaf(presenter, node, False)
    else:
        presenter.later(Place(node, into, at, "name", place, False, _LEVELS))


def _put_off(presenter: Presentation, node: Node, into: Any, at: Any, name: str | int, place: Place) -> None:
    """Present a node later, if it is no leaf."""
    if type(node) not in presenter.leaves:
        presenter.later(Place(node, into, at, name, place, False, _LEVELS))
