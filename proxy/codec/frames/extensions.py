"""pandas' extension arrays -> columns: with a zone, categories, masks, strings, periods, intervals, Arrow.

Sources: `__reduce__`, `__getstate__` and `__setstate__` of the arrays and dtypes in pandas 1.3 to 3.1. A class is known
by its last name: pandas 3 writes `pandas.arrays.IntegerArray` for `pandas.core.arrays.integer.IntegerArray`.
"""

from collections.abc import Callable
from typing import Any, Final

from proxy.codec import timezones
from proxy.codec.errors import UndecodableError
from proxy.codec.frames import arrow, columns, moments, periods, scalars, sparse, zone_texts
from proxy.codec.frames.arrays import CLASSES as NUMPY
from proxy.codec.frames.arrays import Array, Count, array_of
from proxy.codec.frames.columns import Column, Kind
from proxy.codec.frames.dtypes import corrupt
from proxy.codec.nodes import Instance, Node, Symbol

Labels = Callable[[Node, Count], Column]
"""Reads an index that is the categories of another, or an end of intervals."""

_NULLABLE: Final = {"b": "boolean", "i": "Int", "u": "UInt", "f": "Float"}
_MOST_CHARS: Final = 200
_ZONED_DTYPES: Final = ("datetime64[", "timestamp[")


def columns_of(node: Node, count: Count, labels: Labels) -> list[Column]:
    """The columns of the values of a block: of a numpy array its rows, of any other array one, or its rows.

    Raises UndecodableError.
    """
    if type(node) is not Instance:
        raise corrupt("pandas array")
    if node.symbol.text in NUMPY:
        return _rows(array_of(node, count), count)
    if node.symbol.text in arrow.CLASSES:
        return [arrow.of(node, count)]
    if not node.symbol.module.startswith("pandas"):
        raise UndecodableError(f"a pandas column of class {last_name(node.symbol)}")
    name = last_name(node.symbol)
    if name == "__pyx_unpickle_NDArrayBacked":
        return _backed(node, count, labels)
    read = _ARRAYS.get(_array_class(node, name))
    if read is None:
        raise UndecodableError(f"a pandas column of class {name}")
    return read(_attributes(node), count, labels)


def last_name(symbol: Symbol) -> str:
    """The name of a class without its module."""
    return symbol.name.rpartition(".")[2]


def _array_class(node: Instance, name: str) -> str:
    """`__pyx_unpickle_IntervalMixin(IntervalArray, checksum, None)` makes what its first argument says."""
    if name.startswith("__pyx_unpickle_") and node.args and type(node.args[0]) is Symbol:
        return last_name(node.args[0])
    return name


def _attributes(node: Instance) -> dict[Any, Node]:
    """The attributes of an array; Cython wraps them in a tuple."""
    state = node.state
    if type(state) is tuple and state and type(state[0]) is dict:
        state = state[0]
    if type(state) is not dict:
        raise corrupt("pandas array")
    return state


def _rows(array: Array, count: Count) -> list[Column]:
    if len(array.shape) == 2:
        count(array.shape[0])
    return columns.of_array(array)


# -- arrays that numpy backs ---------------------------------------------------------------------------


def _backed(node: Instance, count: Count, labels: Labels) -> list[Column]:
    """`__pyx_unpickle_NDArrayBacked(class, checksum, None)`: the state has the dtype and the array, in either order."""
    state = node.state
    if type(state) is not tuple or len(state) < 2:
        raise corrupt("pandas array")
    first, second = state[:2]
    if type(second) is Instance and second.symbol.text in NUMPY:
        return _with_dtype(first, second, count, labels)
    return _with_dtype(second, first, count, labels)


def _by_attributes(attributes: dict[Any, Node], count: Count, labels: Labels) -> list[Column]:
    """The same as pandas 1.2 and before it pickled it."""
    values = next((attributes[name] for name in _VALUES if name in attributes), None)
    return _with_dtype(attributes.get("_dtype"), values, count, labels)


def _with_dtype(dtype: Node, values: Node, count: Count, labels: Labels) -> list[Column]:
    array = array_of(values, count)
    if type(dtype) is not Instance:
        raise corrupt("pandas array")
    if dtype.symbol.text == "numpy.dtype":
        return _rows(array, count)
    name = last_name(dtype.symbol)
    read = _DTYPES.get(name)
    if read is None:
        raise UndecodableError(f"a pandas column of dtype {name}")
    if len(array.shape) == 2:
        count(array.shape[0])
    return read(dtype, array, count, labels)


def _zoned(dtype: Instance, array: Array, _count: Count, _labels: Labels) -> list[Column]:
    zone: Node = dtype.args[1] if len(dtype.args) > 1 else None
    if type(dtype.state) is dict:
        zone = dtype.state.get("tz")
    try:
        known = timezones.of(zone)
    except ValueError:
        known = None
    if known is None:
        raise UndecodableError("a pandas column of datetimes in a zone that is not known")
    return columns.zoned(array, known, zone_texts.of(zone, known))


def _categorical(dtype: Instance, array: Array, count: Count, labels: Labels) -> list[Column]:
    state = dtype.state
    if type(state) is not dict or array.dtype.kind != "i":
        raise corrupt("pandas Categorical")
    categories = labels(state.get("categories"), count.inside())
    return [columns.taken(categories, codes, "category") for codes in columns.of_array(array)]


def _period(dtype: Instance, array: Array, _count: Count, _labels: Labels) -> list[Column]:
    """`PeriodDtype("period[M]")`, before pandas 2 `PeriodDtype(offset)`."""
    given = dtype.args[0] if dtype.args else None
    name = given if type(given) is str else periods.name_of(given) if type(given) is Instance else ""
    frequency = periods.of_name(name[:_MOST_CHARS])
    if array.dtype.kind != "i" or array.dtype.size != 8:
        raise corrupt("pandas PeriodArray")

    def column(ordinals: Column) -> Column:
        def read() -> list[Any]:
            texts = map(frequency.text, ordinals.values())
            return [None if text == "NaT" else text for text in texts]

        return Column(name, ordinals.size, Kind.TEXTS, read)

    return [column(ordinals) for ordinals in columns.of_array(array)]


def _strings(dtype: Instance, array: Array, _count: Count, _labels: Labels) -> list[Column]:
    """An array of objects that are str, or what the dtype has for a missing one."""
    if array.dtype.kind != "O":
        raise corrupt("pandas StringArray")

    def column(objects: Column) -> Column:
        def read() -> list[Any]:
            values = objects.values()
            if not all(type(value) in (str, type(None), float, Symbol) for value in values):
                raise corrupt("pandas StringArray")
            return [value if type(value) is str else None for value in values]

        return Column(string_dtype(dtype), objects.size, Kind.TEXTS, read)

    return [column(objects) for objects in columns.of_array(array)]


def string_dtype(dtype: Node) -> str:
    """`StringDtype(storage, na_value)`: pandas 3 calls it `str` where NaN is the missing value."""
    arguments = dtype.args if type(dtype) is Instance else ()
    return "str" if len(arguments) > 1 and type(arguments[1]) is float else "string"


def _plain(_dtype: Instance, array: Array, count: Count, _labels: Labels) -> list[Column]:
    return _rows(array, count)


_VALUES: Final = ("_ndarray", "_codes", "_data")
_DTYPES: Final[dict[str, Callable[[Instance, Array, Count, Labels], list[Column]]]] = {
    "DatetimeTZDtype": _zoned,
    "CategoricalDtype": _categorical,
    "PeriodDtype": _period,
    "StringDtype": _strings,
    "PandasDtype": _plain,
    "NumpyEADtype": _plain,
}


# -- arrays of other parts -----------------------------------------------------------------------------


def _masked(attributes: dict[Any, Node], count: Count, _labels: Labels) -> list[Column]:
    """IntegerArray, FloatingArray and BooleanArray: the values, and where there is none."""
    values, mask = (array_of(attributes.get(name), count) for name in ("_data", "_mask"))
    name = _NULLABLE.get(values.dtype.kind)
    if name is None or mask.dtype.kind != "b" or len(values.shape) != 1 or mask.shape != values.shape:
        raise corrupt("pandas array")
    dtype = name if name == "boolean" else f"{name}{8 * values.dtype.size}"
    return [columns.masked(columns.of_array(values)[0], mask.items, dtype)]


def _arrow(attributes: dict[Any, Node], count: Count, _labels: Labels) -> list[Column]:
    """ArrowExtensionArray and ArrowStringArray; before pandas 2 the attribute is `_data`."""
    column = arrow.of(attributes.get("_pa_array", attributes.get("_data")), count)
    dtype = attributes.get("_dtype")
    if type(dtype) is Instance and last_name(dtype.symbol) == "StringDtype":
        return [column.spelled(string_dtype(dtype))]
    return [column.spelled(f"{column.dtype}[pyarrow]")]


def _interval(attributes: dict[Any, Node], count: Count, labels: Labels) -> list[Column]:
    dtype = attributes.get("_dtype")
    state = dtype.state if type(dtype) is Instance and type(dtype.state) is dict else {}
    closed = state.get("closed", attributes.get("_closed"))
    left, right = (_labels_of(attributes.get(name), count, labels) for name in ("_left", "_right"))
    return [intervals(left, right, closed)]


def _labels_of(node: Node, count: Count, labels: Labels) -> Column:
    """An end of intervals: an array, or before pandas 1.3 an index."""
    is_index = type(node) is Instance and last_name(node.symbol).startswith("_new_")
    if is_index:
        return labels(node, count.inside())
    found = columns_of(node, count.inside(), labels)
    if len(found) != 1:
        raise corrupt("pandas IntervalArray")
    return found[0]


def intervals(left: Column, right: Column, closed: Node) -> Column:
    """The column of the texts of intervals. `closed`: the side that belongs to them. Raises UndecodableError."""
    if left.size != right.size or type(closed) is not str or closed not in scalars.CLOSED:
        raise corrupt("pandas IntervalArray")
    side: str = closed
    spell_left, spell_right = _end(left), _end(right)

    def read() -> list[Any]:
        pairs = zip(map(spell_left, left.values()), map(spell_right, right.values()), strict=True)
        return [None if None in pair else scalars.interval_text(str(pair[0]), str(pair[1]), side) for pair in pairs]

    dtype = f"interval[{left.dtype}, {side}]"
    return Column(dtype, left.size, Kind.TEXTS, read, work=left.work + right.work)


def _end(column: Column) -> Callable[[Any], str | None]:
    """Spells an end of intervals: numbers or times. Raises UndecodableError for other columns."""
    unit = column.unit
    if column.kind is Kind.SPANS and unit is not None and unit.unit in moments.DIGITS:
        return lambda value: None if value is None else moments.duration_text(value, unit)
    if column.kind is Kind.MOMENTS or column.dtype.startswith(_ZONED_DTYPES):
        return lambda value: None if value is None else moments.as_str(value, is_old=False)
    if column.dtype.startswith("interval["):
        return lambda value: value
    if column.kind is Kind.NUMBERS and not column.dtype.startswith("complex"):
        return lambda value: None if value is None else repr(value)
    raise corrupt("pandas IntervalArray")


def _sparse(attributes: dict[Any, Node], count: Count, _labels: Labels) -> list[Column]:
    return [sparse.of(attributes, count)]


_ARRAYS: Final[dict[str, Callable[[dict[Any, Node], Count, Labels], list[Column]]]] = {
    **dict.fromkeys(("IntegerArray", "FloatingArray", "BooleanArray"), _masked),
    **dict.fromkeys(("ArrowExtensionArray", "ArrowStringArray", "ArrowStringArrayNumpySemantics"), _arrow),
    **dict.fromkeys(("DatetimeArray", "TimedeltaArray", "Categorical", "PeriodArray", "StringArray"), _by_attributes),
    **dict.fromkeys(("PandasArray", "NumpyExtensionArray"), _by_attributes),
    "IntervalArray": _interval,
    "SparseArray": _sparse,
}
"""By the last name of the class: what its attributes are."""
