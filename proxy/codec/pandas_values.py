"""`to_pandas` of the inert values of `loads`: series and frames of pandas itself, where a program has it.

The proxy never calls this. A dtype is matched against the patterns below, and only what they capture reaches pandas. So
no text of a value makes pandas open a file or import a module.
"""

import re
from collections.abc import Callable
from datetime import date, timedelta, timezone
from importlib import import_module
from math import nan
from typing import Any, Final

from proxy.codec import zones

_NAT: Final = -(2**63)
_SUFFIX: Final = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d))?$")
_OFFSET: Final = re.compile(r"(?:UTC)?([+-]\d\d):(\d\d)")


def series(name: Any, dtype: str, values: list[Any], index: Any) -> Any:
    """A pandas.Series. `index`: one of pandas. Raises ImportError without pandas."""
    made = _column(dtype, values)
    made.index, made.name = index, name
    return made


def frame(columns: list[tuple[Any, str, list[Any]]], index: Any) -> Any:
    """A pandas.DataFrame. `columns`: name, dtype and values of each. Raises ImportError without pandas."""
    pandas = _library("pandas")
    made = {at: _column(dtype, values) for at, (_, dtype, values) in enumerate(columns)}
    table = pandas.DataFrame(made, index=pandas.RangeIndex(len(index)))
    table.index = index
    if columns:
        table.columns = _names([name for name, _, _ in columns])
    return table


def spread(given: range) -> Any:
    """A pandas.RangeIndex. Raises ImportError without pandas."""
    return _library("pandas").RangeIndex(given.start, given.stop, given.step)


def labels(name: Any, dtype: str, values: list[Any]) -> Any:
    """A pandas.Index of one level. Raises ImportError without pandas."""
    column = _column(dtype, values)
    return _library("pandas").Index(column.array, dtype=column.dtype, name=name)


def levels(names: list[Any], made: list[Any], codes: list[list[int]]) -> Any:
    """A pandas.MultiIndex. `made`: an index for each level. Raises ImportError without pandas."""
    return _library("pandas").MultiIndex(levels=made, codes=codes, names=names)


def _names(names: list[Any]) -> Any:
    """The labels of columns: tuples of one length are levels."""
    pandas = _library("pandas")
    if names and all(type(name) is tuple and len(name) == len(names[0]) > 1 for name in names):
        return pandas.MultiIndex.from_tuples(names)
    kinds = {type(name) for name in names}
    if kinds in ({str}, {int}):
        return pandas.Index(names)
    return pandas.Index(_objects(names), dtype=object)


def _column(dtype: str, values: list[Any]) -> Any:
    """A Series of the values under 0, 1, 2 ..."""
    pandas = _library("pandas")
    for pattern, make in _MAKERS:
        found = pattern.fullmatch(dtype)
        if found is not None:
            made = make(values, *found.groups())
            return made if isinstance(made, pandas.Series) else pandas.Series(made)
    return pandas.Series(_objects(values), dtype=object)


def _library(name: str) -> Any:
    """Pandas or one of its own libraries. It is imported only for a program that asks for its values."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"to_pandas needs {name}, which is not installed here") from error


def _objects(values: list[Any]) -> Any:
    """An array of objects. A list among them stays one object."""
    made = _library("numpy").empty(len(values), dtype=object)
    for at, value in enumerate(values):
        made[at] = value
    return made


def _numbers(values: list[Any], dtype: str) -> Any:
    return _library("numpy").array([nan if value is None else value for value in values], dtype=dtype)


def _moments(values: list[Any], unit: str) -> Any:
    texts = ["NaT" if value is None else value.replace(" ", "T") for value in values]
    return _library("numpy").array(texts, dtype=f"datetime64[{unit}]")


def _zoned(values: list[Any], unit: str, zone: str) -> Any:
    """Local times with their offsets. A zone outside `zones.NAMES` becomes the first offset."""
    numpy = _library("numpy")
    found = [None if value is None else _SUFFIX.search(value) for value in values]
    naive = [value if at is None else value[: at.start()] for value, at in zip(values, found, strict=True)]
    offsets = [0 if at is None else _seconds(at) for at in found]
    moments = _moments(naive, unit) - numpy.array(offsets, dtype="timedelta64[s]")
    local = _library("pandas").Series(moments.astype(f"datetime64[{unit}]")).dt.tz_localize("UTC")
    if zone in zones.NAMES:
        return local.dt.tz_convert(zone)
    first = next((offset for offset, at in zip(offsets, found, strict=True) if at is not None), 0)
    named = _OFFSET.fullmatch(zone)
    if not first and named is not None and not any(found):
        first = int(named[1]) * 3600 + int(f"{named[1][0]}{named[2]}") * 60
    return local.dt.tz_convert(timezone(timedelta(seconds=first))) if first else local


def _seconds(suffix: re.Match[str]) -> int:
    sign, hours, minutes, seconds = suffix.groups()
    size = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
    return -size if sign == "-" else size


def _spans(values: list[Any], unit: str) -> Any:
    numpy = _library("numpy")
    counts = numpy.array([_NAT if value is None else value for value in values], dtype="int64")
    return counts.view(f"timedelta64[{unit}]")


def _masked(values: list[Any], dtype: str) -> Any:
    return _library("pandas").array(values, dtype=dtype)


def _strings(values: list[Any], dtype: str) -> Any:
    """Before pandas 3 there is no dtype `str`: pandas would make a text of None."""
    pandas = _library("pandas")
    if dtype == "str" and int(pandas.__version__.partition(".")[0]) < 3:
        return pandas.Series(_objects(values), dtype=object)
    return pandas.Series(_objects(values), dtype=dtype)


def _category(values: list[Any]) -> Any:
    return _library("pandas").Categorical(values)


def _periods(values: list[Any], frequency: str) -> Any:
    pandas = _library("pandas")
    return pandas.PeriodIndex(["NaT" if value is None else value for value in values], freq=frequency)


def _intervals(values: list[Any], ends: str, closed: str) -> Any:
    """Intervals are texts: `(0, 5]`."""
    pandas = _library("pandas")
    parts = [(None, None) if value is None else value[1:-1].split(", ", 1) for value in values]
    left, right = (_ends([part[at] for part in parts], ends) for at in (0, 1))
    return pandas.arrays.IntervalArray.from_arrays(left, right, closed=closed)


def _ends(texts: list[Any], dtype: str) -> Any:
    pandas = _library("pandas")
    if dtype.startswith("timedelta64"):
        return pandas.to_timedelta(texts)
    if dtype.startswith("datetime64"):
        return pandas.Index(_column(dtype, texts))
    has_gaps = None in texts
    convert = float if dtype.startswith("float") or has_gaps else int
    return _numbers([None if text is None else convert(text) for text in texts], "float64" if has_gaps else dtype)


def _sparse(values: list[Any], dtype: str, usual: str) -> Any:
    pandas = _library("pandas")
    fill: Any = {"nan": nan, "True": True, "False": False}.get(usual)
    if fill is None:
        fill = float(usual) if dtype.startswith("float") else int(usual)
    kind = pandas.SparseDtype(dtype, fill)
    return pandas.Series(pandas.arrays.SparseArray(_numbers(values, dtype), dtype=kind))


def _arrow(values: list[Any], kind: str) -> Any:
    """Of Arrow's own types. They need pyarrow."""
    pyarrow, pandas = _library("pyarrow"), _library("pandas")
    return pandas.array(values, dtype=pandas.ArrowDtype(getattr(pyarrow, _ARROW.get(kind, kind))()))


def _arrow_dates(values: list[Any]) -> Any:
    pyarrow, pandas = _library("pyarrow"), _library("pandas")
    dates = [None if value is None else date.fromisoformat(value) for value in values]
    return pandas.array(dates, dtype=pandas.ArrowDtype(pyarrow.date32()))


def _arrow_moments(values: list[Any], unit: str, zone: str | None) -> Any:
    pyarrow, pandas = _library("pyarrow"), _library("pandas")
    known = zone if zone in zones.NAMES or zone is None or _OFFSET.fullmatch(zone) else "UTC"
    if zone is None:
        moments = _moments(values, unit)
    else:
        moments = _zoned(values, unit, "UTC").dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(f"datetime64[{unit}]")
    kind = pyarrow.timestamp(unit, tz=known)
    counts = moments.view("int64").tolist()
    return pandas.array(
        pyarrow.array([None if count == _NAT else count for count in counts], type=pyarrow.int64()).cast(kind),
        dtype=pandas.ArrowDtype(kind),
    )


_ARROW: Final = {"double": "float64", "float": "float32", "halffloat": "float16", "bool": "bool_"}
"""pyarrow's functions for the types whose text is another."""
_INTEGER: Final = "u?int(?:8|16|32|64)"
_NUMBER: Final = f"bool|{_INTEGER}|float(?:16|32|64)|complex(?:64|128)"
_UNIT: Final = "(s|ms|us|ns)"
_MAKERS: Final[list[tuple[re.Pattern[str], Callable[..., Any]]]] = [
    (re.compile(pattern), make)
    for pattern, make in (
        (f"({_NUMBER})", _numbers),
        (rf"datetime64\[{_UNIT}\]", _moments),
        (rf"datetime64\[{_UNIT}, (.+)\]", _zoned),
        (rf"timedelta64\[{_UNIT}\]", _spans),
        ("(U?Int(?:8|16|32|64)|Float(?:32|64)|boolean)", _masked),
        ("(str|string)", _strings),
        ("category", _category),
        (r"period\[([0-9]{0,9}[A-Za-z]{1,3}(?:-[A-Z]{3})?)\]", _periods),
        (r"interval\[(.+), (left|right|both|neither)\]", _intervals),
        (rf"Sparse\[(bool|{_INTEGER}|float(?:32|64)), (nan|True|False|-?[0-9.]+(?:e[+-]?[0-9]+)?)\]", _sparse),
        (rf"({_INTEGER}|bool|double|float|halffloat|string|large_string)\[pyarrow\]", _arrow),
        (r"date32\[day\]\[pyarrow\]", _arrow_dates),
        (rf"timestamp\[{_UNIT}(?:, tz=(.+))?\]\[pyarrow\]", _arrow_moments),
    )
]
"""The function for the values of each dtype. Values of another dtype stay objects."""
