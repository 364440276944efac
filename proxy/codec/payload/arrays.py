"""numpy's scalars and arrays in a payload: with their dtype and shape, or as plain values and nested arrays.

A presenter gives these functions itself: its budgets, and the form of the objects in an array.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite, prod
from typing import Any, Final

from proxy.codec.frames import moments
from proxy.codec.frames.arrays import Array, NumpyScalar
from proxy.codec.frames.dtypes import DType
from proxy.codec.limits import OBJECT_NODES
from proxy.codec.nodes import Node
from proxy.codec.payload.places import Place
from proxy.codec.payload.presentation import Presentation

_WIDEST: Final = 2**64 - 1
_WIDTHS: Final = {"U": 4, "S": 1}
"""Bytes of a character, by the kind of a dtype of strings."""


def numbers(presenter: Presentation, values: list[Any]) -> list[Any]:
    """Presented numbers, dates or strings of one type each; most need no look at each."""
    kind = type(values[0]) if values else bool
    if kind is bool or (kind is int and presenter.target.int_max >= _WIDEST):
        return values
    if kind is float and all(map(isfinite, values)):
        return values
    leaf = presenter.leaves[kind]
    return [leaf(presenter, value, False) for value in values]


def tagged_scalar(presenter: Presentation, node: NumpyScalar, place: Place) -> Any:
    """`{"py/numpy": {"dtype": .., "value": ..}}`."""
    presenter.count(OBJECT_NODES)
    leaf = presenter.leaves[type(node.value)]
    return {"py/numpy": {"dtype": str(node.dtype), "value": leaf(presenter, node.value, place.hashed)}}


def plain_scalar(presenter: Presentation, node: NumpyScalar, _place: Place) -> Any:
    """The value, dates as text."""
    presenter.count(OBJECT_NODES)
    value = plain_value(node, presenter.naive_zone)
    return None if value is None else presenter.leaves[type(value)](presenter, value, False)


def plain_value(node: NumpyScalar, naive_zone: str = "") -> Node:
    """The value of a scalar without its dtype: None for NaT."""
    if node.dtype.kind not in _PLAIN:
        return node.value
    return _PLAIN[node.dtype.kind](node.dtype, [node.value], naive_zone)[0]


def tagged_array(presenter: Presentation, node: Array, place: Place) -> Any:
    """`{"py/ndarray": {"dtype": .., "shape": .., "values": ..}}`, the values in one array in C order or binary."""
    presenter.check_hashable(not place.hashed)
    presenter.count(OBJECT_NODES + len(node.shape))
    _count_empty(presenter, node)
    content: dict[str, Any] = {"dtype": str(node.dtype), "shape": list(node.shape), "values": None}
    if presenter.target.bytes and node.has_words:
        presenter.spend(node.bytes_size)
        presenter.count(node.lines)
        content["values"] = node.words()
    else:
        presenter.descend(place.depth, node.size)
        content["values"] = values = _values(presenter, node, node.items)
        _put_off(presenter, node, place, lambda at: (values, at))
    return {"py/ndarray": content}


def plain_array(presenter: Presentation, node: Array, place: Place) -> Any:
    """Nested arrays; one without axes is its value."""
    presenter.check_hashable(not place.hashed)
    shape = node.shape
    _count_empty(presenter, node)
    presenter.descend(place.depth + len(shape) - 1, sum(prod(shape[:axis]) for axis in range(1, len(shape) + 1)))

    def read() -> list[Any]:
        plain = _PLAIN.get(node.dtype.kind)
        return node.items() if plain is None else plain(node.dtype, node.items(), presenter.naive_zone)

    values = _values(presenter, node, read)
    if not shape:
        _put_off(presenter, node, place, lambda _at: (place.into, place.at))
        return values[0]
    width = shape[-1]
    rows = [values] if len(shape) == 1 else _rows(values, prod(shape[:-1]), width)
    _put_off(presenter, node, place, lambda at: (rows[at // width], at % width))
    return _nested(rows, shape)


def _values(presenter: Presentation, node: Array, read: Callable[[], list[Any]]) -> list[Any]:
    """The presented elements. Of objects only the leaves: in the place of any other is None."""
    if node.dtype.kind == "O":
        leaves = presenter.leaves
        return [leaves[type(item)](presenter, item, False) if type(item) in leaves else None for item in read()]
    values = read()
    if node.dtype.kind in _WIDTHS:
        # The characters that fill the strings up have been looked at, too.
        presenter.spend(node.bytes_size // _WIDTHS[node.dtype.kind] - sum(map(len, values)))
    if values and str in set(map(type, values)):
        presenter.spend_texts([value for value in values if value is not None])
        return values
    return with_gaps(presenter, values)


def with_gaps(presenter: Presentation, values: list[Any]) -> list[Any]:
    """Presented numbers, some of them None."""
    if None not in values:
        return numbers(presenter, values)
    found = iter(numbers(presenter, [value for value in values if value is not None]))
    return [None if value is None else next(found) for value in values]


def _put_off(presenter: Presentation, node: Array, place: Place, target: Callable[[int], tuple[Any, Any]]) -> None:
    """Have the presenter present those objects that are no leaves. `target`: where the object of an index goes."""
    if node.dtype.kind != "O":
        return
    leaves = presenter.leaves
    for at, item in enumerate(node.items()):
        if type(item) not in leaves:
            into, key = target(at)
            presenter.later(Place(item, into, key, at, place, False, 2))


def _count_empty(presenter: Presentation, node: Array) -> None:
    """Count an array without elements by its other axes: a reader may make what its shape says."""
    if not node.size:
        presenter.count(prod(filter(None, node.shape)))


def _rows(values: list[Any], count: int, width: int) -> list[list[Any]]:
    return [values[at * width : (at + 1) * width] for at in range(count)]


def _nested(rows: list[Any], shape: Sequence[int]) -> Any:
    """Rows of the last axis, put into arrays by the axes before it."""
    for axis in range(len(shape) - 2, 0, -1):
        rows = _rows(rows, prod(shape[:axis]), shape[axis])
    return rows[0] if len(shape) == 1 else rows


def _texts(dtype: DType, values: Iterable[int], naive_zone: str) -> list[Any]:
    found = moments.texts(values, dtype)
    return [text + naive_zone if text and "T" in text else text for text in found] if naive_zone else found


def _seconds(dtype: DType, values: Iterable[int], _naive_zone: str) -> list[Any]:
    return [None if value == moments.NAT else moments.seconds(value, dtype) for value in values]


_PLAIN: Final[dict[str, Callable[[DType, Iterable[int], str], list[Any]]]] = {"M": _texts, "m": _seconds}
"""By the kind of the dtype: what is made of its integers."""
