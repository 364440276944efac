"""Frames and series as tables for people: the first and last rows, in a bounded width, without control characters.

They are taken out of a payload in tagged JSON. `extract` puts the name of a table in the place of each. Pure.
"""

import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple
from unicodedata import combining, east_asian_width

import msgspec

from proxy.config.printable import printable

_MOST_TABLES: Final = 20
"""Tables of one value."""
_ENDS: Final = 10
"""The number of first rows, and of last rows, that are shown."""
_MOST_CELL: Final = 36
"""Columns of the terminal that a cell takes: as many as a time of nanoseconds with its offset."""
_LEAST_WIDTH: Final = 20
_MOST_LOOKED_AT: Final = 200
"""Characters of a text that are looked at: a few of them may take no room."""
_CUT: Final = "..."
_GAP: Final = "  "
_MARKS: Final = (b'{"py/dataframe":', b'{"py/series":')
"""In texts the quotes are escaped, so only tags are found."""


class Table(NamedTuple):
    """One frame or series."""

    name: str
    """`table 1`: it stands in the place of the frame."""
    title: str
    """Its kind and its size."""
    lines: list[str]
    """Names, dtypes, and rows."""


class _Column(NamedTuple):
    """A column of a table: the index too."""

    name: str
    dtype: str
    cell: Callable[[int], Any]
    """The value of a row."""


def extract(payload: bytes, width: int) -> tuple[bytes, list[Table]]:
    """The payload with names in the places of its first frames and series, and their tables.

    `payload`: tagged JSON. `width`: columns of the terminal for a line of a table.
    """
    if not any(mark in payload for mark in _MARKS):
        return payload, []
    root = [msgspec.json.decode(payload)]
    tables: list[Table] = []
    for holder, at in _frames(root):
        if len(tables) == _MOST_TABLES:
            break
        title, index, columns, rows = _READ[next(iter(holder[at]))](holder[at])
        name = f"table {len(tables) + 1}"
        tables.append(Table(name, title, _lines(index, columns, rows, width)))
        holder[at] = name
    return msgspec.json.encode(root[0]), tables


def _frames(root: list[Any]) -> Iterator[tuple[Any, Any]]:
    """The frames and series of a tree, in its order, each as its holder and its place there. Not those in frames."""
    waiting: list[tuple[Any, Any]] = [(root, 0)]
    while waiting:
        holder, at = waiting.pop()
        node = holder[at]
        if type(node) is dict:
            if len(node) == 1 and next(iter(node)) in _READ:
                yield holder, at
            else:
                waiting += [(node, key) for key in reversed(node)]
        elif type(node) is list:
            waiting += [(node, place) for place in reversed(range(len(node)))]


def _frame(tag: dict[str, Any]) -> tuple[str, list[_Column], list[_Column], int]:
    content = tag["py/dataframe"]
    columns, rows = content["columns"], content["rows"]
    made = [_Column(_text(each["name"]), each["dtype"], each["values"].__getitem__) for each in columns]
    title = f"a DataFrame of {_counted(rows, 'row')} and {_counted(len(columns), 'column')}"
    return title, _index(content["index"]), made, rows


def _series(tag: dict[str, Any]) -> tuple[str, list[_Column], list[_Column], int]:
    content = tag["py/series"]
    values = content["values"]
    column = _Column(_name(content["name"]), content["dtype"], values.__getitem__)
    title = f"a Series of {_counted(len(values), 'value')}"
    return title, _index(content["index"]), [column], len(values)


_READ: Final = {"py/dataframe": _frame, "py/series": _series}


def _index(index: dict[str, Any]) -> list[_Column]:
    """The columns of an index: one, or one for each level."""
    if "codes" not in index:
        return [_level(index)]
    return [
        _Column(_name(name), _level(level).dtype, _label(level, codes))
        for name, level, codes in zip(index["names"], index["levels"], index["codes"], strict=True)
    ]


def _level(index: dict[str, Any]) -> _Column:
    if "range" in index:
        return _Column("", "", range(*index["range"]).__getitem__)
    return _Column(_name(index["name"]), index["dtype"], index["values"].__getitem__)


def _name(name: Any) -> str:
    """The name of an index or a series, which need not have one."""
    return "" if name is None else _text(name)


def _label(level: dict[str, Any], codes: list[Any]) -> Callable[[int], Any]:
    """The reader of a level's label. A code outside its positions gives the missing label, like -1."""
    labels = range(*level["range"]) if "range" in level else level["values"]
    return lambda row: labels[codes[row]] if type(codes[row]) is int and 0 <= codes[row] < len(labels) else None


def _lines(index: list[_Column], columns: list[_Column], rows: int, width: int) -> list[str]:
    """The lines of a table. Columns that do not fit are counted in the last line."""
    shown = [*range(rows)] if rows <= 2 * _ENDS else [*range(_ENDS), *range(rows - _ENDS, rows)]
    cells: list[list[str]] = []
    left = max(width, _LEAST_WIDTH)
    for column in chain(index, columns):
        made = [column.name, _text(column.dtype), *(_text(column.cell(row)) for row in shown)]
        if rows > len(shown):
            made.insert(2 + _ENDS, _CUT)
        widest = max(map(_width, made))
        if widest > left:
            if cells:
                break
            widest = left
        right = any(type(column.cell(row)) in (int, float) for row in shown)
        cells.append([_padded(_cut(text, widest), widest, right) for text in made])
        left -= widest + len(_GAP)
    lines = [_GAP.join(line).rstrip() for line in zip(*cells, strict=True)]
    hidden = len(index) + len(columns) - len(cells)
    return [*lines, f"{_CUT} {_counted(hidden, 'more column')}"] if hidden else lines


def _text(value: Any) -> str:
    """A cell: texts as they are, others in JSON."""
    text = value if type(value) is str else json.dumps(value, ensure_ascii=False)
    more = len(text) > _MOST_LOOKED_AT
    return _cut(printable(text[:_MOST_LOOKED_AT]) + _CUT * more, _MOST_CELL)


def _width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_width_of, text))


def _width_of(char: str) -> int:
    return 0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1


def _cut(text: str, most: int) -> str:
    """As much of a text as fits."""
    if _width(text) <= most:
        return text
    end = _CUT[:most]
    room, kept = most - len(end), 0
    for char in text:
        room -= _width_of(char)
        if room < 0:
            break
        kept += 1
    return text[:kept] + end


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def without_blocks(raw: Any) -> Any:
    """Raw parts (`raw_parts`) without the blocks of frames and series: for people, their tables say more."""
    if type(raw) is list:
        return [without_blocks(item) for item in raw]
    if type(raw) is not dict:
        return raw
    state = raw.get("state")
    if type(state) is dict and "class" in raw and state.get("_typ") in ("dataframe", "series"):
        hidden = {name: "shown as a table" for name in state if name in ("_mgr", "_data")}
        return {**raw, "state": {**state, **hidden}}
    return {name: without_blocks(part) for name, part in raw.items()}
