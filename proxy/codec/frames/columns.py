"""A column: the values of a frame's column, a series, an index, or an Arrow array, made when a reader asks for them."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from proxy.codec.errors import UndecodableError
from proxy.codec.frames import moments
from proxy.codec.frames.arrays import Array
from proxy.codec.frames.dtypes import DType, corrupt
from proxy.codec.nodes import Node, Zone


class Kind(Enum):
    """How the values of a column are presented."""

    NUMBERS = auto()
    """bool, int, float or `py/complex`, all of one type, and None."""
    TEXTS = auto()
    """str and None."""
    MOMENTS = auto()
    """The texts of datetimes without a zone, and None."""
    SPANS = auto()
    """The integers of a timedelta64, and None."""
    OBJECTS = auto()
    """Any nodes."""


class Column:
    """Values of one dtype. Only `values()` takes time; the rest is known before."""

    __slots__ = ("_read", "_values", "dtype", "kind", "parts", "size", "unit", "work")

    def __init__(
        self,
        dtype: str,
        size: int,
        kind: Kind,
        read: Callable[[], list[Any]],
        parts: list[Node] | None = None,
        unit: DType | None = None,
        work: int = 0,
    ) -> None:
        """`dtype`: as pandas spells it. `read`: gives `size` values. `parts`: the lists that its objects come from.
        `unit`: of spans. `work`: how many values it looks at, if these are more.
        """
        self.dtype = dtype
        self.size = size
        self.kind = kind
        self.parts = parts or []
        self.unit = unit
        self.work = max(size, work)
        self._read = read
        self._values: list[Any] | None = None

    def values(self) -> list[Any]:
        """All values; None is the missing one. Raises UndecodableError."""
        if self._values is None:
            self._values = self._read()
        return self._values

    def spelled(self, dtype: str) -> "Column":
        """The same values under the name of another dtype."""
        return Column(dtype, self.size, self.kind, self.values, self.parts, self.unit, self.work)


def of_array(array: Array) -> list[Column]:
    """The columns of an array: its rows, as pandas' blocks have them; an array of one axis is one column."""
    if not 1 <= len(array.shape) <= 2:
        raise corrupt("pandas block")
    return [_row(array, at) for at in range(1 if len(array.shape) == 1 else array.shape[0])]


def _row(array: Array, at: int) -> Column:
    dtype, size = array.dtype, array.shape[-1]
    kind = _KINDS.get(dtype.kind)
    if kind is None:
        raise UndecodableError(f"a pandas column of dtype {dtype}")

    def read() -> list[Any]:
        items = array.items()
        row = items if len(items) == size else items[at * size : (at + 1) * size]
        convert = _CONVERT.get(dtype.kind)
        return row if convert is None else convert(row, dtype)

    return Column(str(dtype), size, kind, read, array.parts, dtype if kind is Kind.SPANS else None)


def zoned(array: Array, zone: Zone, zone_text: str) -> list[Column]:
    """The columns of an array of datetimes that are UTC, as local times."""
    dtype, size = array.dtype, array.shape[-1]
    if dtype.kind != "M" or not 1 <= len(array.shape) <= 2:
        raise corrupt("pandas array")
    name = f"datetime64[{dtype.unit}, {zone_text}]"

    def reader(at: int) -> Callable[[], list[Any]]:
        return lambda: moments.texts(array.items()[at * size : (at + 1) * size], dtype, zone)

    rows = 1 if len(array.shape) == 1 else array.shape[0]
    return [Column(name, size, Kind.TEXTS, reader(at)) for at in range(rows)]


def masked(column: Column, mask: Callable[[], list[Any]], dtype: str) -> Column:
    """A column without the values at which `mask` is true."""

    def read() -> list[Any]:
        return [None if gone else value for value, gone in zip(column.values(), mask(), strict=True)]

    return Column(dtype, column.size, column.kind, read, column.parts, column.unit)


def taken(column: Column, codes: Column, dtype: str) -> Column:
    """The values of `column` at `codes`; -1 is the missing value."""

    def read() -> list[Any]:
        positions = codes.values()
        if positions and not -1 <= min(positions) <= max(positions) < column.size:
            raise corrupt("pandas Categorical or MultiIndex")
        values = [*column.values(), None]
        return [values[position] for position in positions]

    return Column(dtype, codes.size, column.kind, read, column.parts, column.unit, codes.size + column.work)


def _floats(row: list[float], _dtype: DType) -> list[Any]:
    total = sum(row)
    return row if total == total else [None if value != value else value for value in row]


def _complexes(row: list[Any], _dtype: DType) -> list[Any]:
    return [None if any(part != part for part in number.content) else number for number in row]


def _spans(row: list[int], _dtype: DType) -> list[Any]:
    return [None if value == moments.NAT else value for value in row]


_KINDS = {
    **dict.fromkeys("biufc", Kind.NUMBERS),
    "M": Kind.MOMENTS,
    "m": Kind.SPANS,
    "O": Kind.OBJECTS,
}
_CONVERT: dict[str, Callable[[list[Any], DType], list[Any]]] = {
    "f": _floats,
    "c": _complexes,
    "M": moments.texts,
    "m": _spans,
}
"""By the kind of the dtype: what its elements are as values of a column."""
