"""pandas' SparseArray: the values that are not the usual one, and where they stand.

Source: `SparseArray.__getstate__`, and the `__reduce__` methods of IntIndex and BlockIndex, in pandas 1.3 to 3.1.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

from proxy.codec.errors import UndecodableError
from proxy.codec.frames import columns
from proxy.codec.frames.arrays import CLASSES as NUMPY
from proxy.codec.frames.arrays import Array, Count, NumpyScalar, array_of
from proxy.codec.frames.columns import Column, Kind
from proxy.codec.frames.dtypes import corrupt
from proxy.codec.nodes import Instance, Node

_MOST: Final = 2**62
_WORD: Final = 2**63


def of(attributes: dict[Any, Node], count: Count) -> Column:
    """The column of a sparse array. Raises UndecodableError."""
    index, dtype = attributes.get("_sparse_index"), attributes.get("_dtype")
    if type(index) is not Instance or type(dtype) is not Instance or type(dtype.state) is not dict:
        raise corrupt("pandas SparseArray")
    values = columns.of_array(array_of(attributes.get("_sparse_values"), count))[0]
    if values.kind is not Kind.NUMBERS or values.dtype.startswith("complex"):
        raise UndecodableError(f"a pandas SparseArray of dtype {values.dtype}")
    fill = _fill(dtype.state.get("_fill_value"), count)
    size, bounds = _bounds(index, count)
    usual = _of_dtype(fill, values.dtype)

    def read() -> list[Any]:
        dense = [None if usual != usual else usual] * size
        positions = list(_positions(bounds, size))
        if len(positions) != values.size:
            raise corrupt("pandas SparseArray")
        for position, value in zip(positions, values.values(), strict=True):
            dense[position] = value
        return dense

    return Column(
        f"Sparse[{values.dtype}, {fill}]",
        size,
        Kind.NUMBERS,
        read,
        work=size + values.size + sum(each.size for each in bounds),
    )


def _fill(node: Node, count: Count) -> Any:
    """The usual value: a number of Python, or a scalar of numpy."""
    if type(node) is Instance and node.symbol.text in NUMPY:
        found = NUMPY[node.symbol.text](node, count)
        node = found.value if type(found) is NumpyScalar else None
    if type(node) not in (bool, int, float) or (type(node) is int and not -_WORD <= node < 2 * _WORD):
        raise corrupt("pandas SparseArray")
    return node


def _of_dtype(fill: Any, dtype: str) -> Any:
    """The usual value as the dtype has it. NaN is missing in each."""
    if dtype.startswith("float"):
        return float(fill)
    if type(fill) is float and fill == fill:
        if not fill.is_integer() or abs(fill) > _WORD:
            raise corrupt("pandas SparseArray")
        fill = int(fill)
    return fill if dtype == "bool" or type(fill) is float else int(fill)


def _bounds(index: Instance, count: Count) -> tuple[int, list[Array]]:
    """The size; and the positions of the values, or the begin and the length of each block of them."""
    name = index.symbol.name.rpartition(".")[2]
    wanted = {"IntIndex": 2, "BlockIndex": 3}.get(name)
    if wanted is None or len(index.args) != wanted or type(index.args[0]) is not int:
        raise corrupt("pandas SparseArray")
    arrays = [array_of(node, count) for node in index.args[1:]]
    if not 0 <= index.args[0] < _MOST or any(each.dtype.kind != "i" for each in arrays):
        raise corrupt("pandas SparseArray")
    return index.args[0], arrays


def _positions(bounds: list[Array], size: int) -> Iterable[int]:
    """Where the values stand: ascending, within the size."""
    numbers = [each.items() for each in bounds]
    if len(numbers) == 1:
        positions: list[int] = numbers[0]
        if positions and not 0 <= min(positions) <= max(positions) < size:
            raise corrupt("pandas SparseArray")
        return positions
    begins, lengths = numbers
    ends = [begin + length for begin, length in zip(begins, lengths, strict=False)]
    if len(begins) != len(lengths) or any(
        not 0 <= begin <= end <= size for begin, end in zip(begins, ends, strict=True)
    ):
        raise corrupt("pandas SparseArray")
    if sum(lengths) > size:
        raise corrupt("pandas SparseArray")
    return chain.from_iterable(map(range, begins, ends))
