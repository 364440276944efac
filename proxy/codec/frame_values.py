"""The values of `loads` for arrays and frames: inert, of Python's own types, with or without their libraries.

Their dtypes are texts as numpy and pandas spell them, their values what docs/types.md says for the tags.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from proxy.codec import pandas_values

_CODES: Final = {
    **{f"int{8 * size}": code for size, code in ((2, "h"), (4, "i"), (8, "q"))},
    **{f"uint{8 * size}": code for size, code in ((2, "H"), (4, "I"), (8, "Q"))},
    **{f"float{8 * size}": code for size, code in ((2, "e"), (4, "f"), (8, "d"))},
}
"""struct's letter of the dtypes whose arrays are bytes in a tag."""


@dataclass(frozen=True, slots=True)
class NumpyScalar:
    """Stands for a scalar of numpy."""

    dtype: str
    value: Any
    """As of `.item()`; the integer of a datetime64 or timedelta64."""


@dataclass(frozen=True, slots=True)
class Array:
    """Stands for a numpy.ndarray."""

    dtype: str
    shape: tuple[int, ...]
    values: list[Any]
    """In C order."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """Stands for a pandas.Timestamp or NaT."""

    at: str
    """ISO 8601 with the digits of its unit, or `NaT`."""
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """Stands for an index of one level."""

    name: Any
    dtype: str
    values: list[Any]

    def to_pandas(self) -> Any:
        """The pandas.Index. Raises ImportError if pandas (or pyarrow, for Arrow's dtypes) is not installed."""
        return pandas_values.labels(_name(self.name), self.dtype, self.values)


@dataclass(frozen=True, slots=True)
class Levels:
    """Stands for a pandas.MultiIndex."""

    names: list[Any]
    levels: "list[range | Labels]"
    codes: list[list[int]]
    """Positions in each level; -1 is the missing label."""

    def to_pandas(self) -> Any:
        """The pandas.MultiIndex. Raises ImportError like Labels, and ValueError for a code that is no position."""
        return pandas_values.levels(
            [*map(_name, self.names)], [_pandas_index(level) for level in self.levels], self.codes
        )


Index: TypeAlias = range | Labels | Levels
"""A pandas.RangeIndex is a range."""


def _name(name: Any) -> Any:
    """A name as pandas has it: a series of a frame may be called by a scalar of numpy."""
    return name.value if isinstance(name, NumpyScalar) else name


def _pandas_index(index: Index) -> Any:
    return pandas_values.spread(index) if isinstance(index, range) else index.to_pandas()


@dataclass(frozen=True, slots=True)
class Series:
    """Stands for a pandas.Series."""

    name: Any
    dtype: str
    index: Index
    values: list[Any]

    def to_pandas(self) -> Any:
        """The pandas.Series. Raises ImportError if pandas (or pyarrow, for Arrow's dtypes) is not installed."""
        return pandas_values.series(_name(self.name), self.dtype, self.values, _pandas_index(self.index))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a frame."""

    name: Any
    dtype: str
    values: list[Any]
    """None is the missing value."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Stands for a pandas.DataFrame."""

    rows: int
    index: Index
    columns: list[Column]

    def to_pandas(self) -> Any:
        """The pandas.DataFrame. Raises ImportError if pandas (or pyarrow, for Arrow's dtypes) is not installed."""
        columns = [(_name(column.name), column.dtype, column.values) for column in self.columns]
        return pandas_values.frame(columns, _pandas_index(self.index))


Read: TypeAlias = Callable[[Any], Any]


def _scalar(content: dict[str, Any], read: Read) -> NumpyScalar:
    return NumpyScalar(content["dtype"], read(content["value"]))


def _array(content: dict[str, Any], read: Read) -> Array:
    values = content["values"]
    if type(values) is bytes:
        values = list(struct.unpack(f"<{len(values) // _width(content)}{_CODES[content['dtype']]}", values))
    else:
        values = read(values)
    return Array(content["dtype"], tuple(content["shape"]), values)


def _width(content: dict[str, Any]) -> int:
    return struct.calcsize("<" + _CODES[content["dtype"]])


def _timestamp(content: str | dict[str, str], _read: Read) -> Timestamp:
    return Timestamp(content) if isinstance(content, str) else Timestamp(content["at"], content["zone"])


def _series(content: dict[str, Any], read: Read) -> Series:
    name, dtype, index, values = content.values()
    return Series(read(name), dtype, _index(index, read), read(values))


def _frame(content: dict[str, Any], read: Read) -> Frame:
    columns = [Column(read(name), dtype, read(values)) for name, dtype, values in map(dict.values, content["columns"])]
    return Frame(content["rows"], _index(content["index"], read), columns)


def _index(content: dict[str, Any], read: Read) -> Index:
    if "codes" in content:
        levels = [_flat_index(level, read) for level in content["levels"]]
        return Levels(read(content["names"]), levels, content["codes"])
    return _flat_index(content, read)


def _flat_index(content: dict[str, Any], read: Read) -> range | Labels:
    if "range" in content:
        return range(*content["range"])
    return Labels(read(content["name"]), content["dtype"], read(content["values"]))


_READERS: Final[dict[str, Callable[[Any, Read], Any]]] = {
    "py/numpy": _scalar,
    "py/ndarray": _array,
    "py/timestamp": _timestamp,
    "py/series": _series,
    "py/dataframe": _frame,
}

KINDS: Final = (NumpyScalar, Array, Timestamp, Labels, Levels, Series, Column, Frame)


def readers(read: Read) -> dict[str, Callable[[Any], Any]]:
    """By tag: the reader of its content. `read`: reads a tree inside it."""
    return {tag: _reading(reader, read) for tag, reader in _READERS.items()}


def _reading(reader: Callable[[Any, Read], Any], read: Read) -> Callable[[Any], Any]:
    return lambda content: reader(content, read)
