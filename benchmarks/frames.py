"""A DataFrame of 60,000 rows and four columns, as pandas stores it, without pandas.

Its pickle is written here, instruction by instruction. So the codec is measured where pandas is not installed. Where it
is, it loads the same bytes.
"""

import importlib
import pickle
import struct
from collections.abc import Callable
from typing import Any, Final

from proxy.codec import CodecLimits

ROWS: Final = 60_000
NAMES: Final = ("price", "stock", "name", "at")
LIMITS: Final = CodecLimits(nodes=500_000)
"""The rows and their values are 300,000 nodes and some. The default is 250,000. The bytes fit into the defaults."""

_MINUTE: Final = 60 * 10**9
_FIRST: Final = 1_704_067_200 * 10**9
"""2024-01-01 in nanoseconds."""
_NONE: Final = b"N"
_OF_OBJECTS: Final = 63
"""The flags of the dtype of objects."""


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _int(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _list(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def _dict(**items: bytes) -> bytes:
    return b"}(" + b"".join(_text(key) + value for key, value in items.items()) + b"u"


def _class(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _call(module: str, name: str, *args: bytes) -> bytes:
    return _class(module, name) + _tuple(*args) + b"R"


def _array(dtype: str, order: str, rows: int, content: bytes, *unit: bytes) -> bytes:
    """An array of numpy with so many equal rows. `content`: instructions for its bytes or its list."""
    flags = _OF_OBJECTS if order == "|" else 0
    state = (_int(4), _text(order), _NONE, _NONE, _NONE, _int(-1), _int(-1), _int(flags))
    kind = _call("numpy", "dtype", _text(dtype), b"\x89", b"\x88") + _tuple(*state, *unit) + b"b"
    shape = _tuple(_int(rows), _int(ROWS)) if rows else _tuple(_int(len(NAMES)))
    empty = (_class("numpy", "ndarray"), _tuple(_int(0)), _binary(b"b"))
    made = _call("numpy.core.multiarray", "_reconstruct", *empty)
    return made + _tuple(_int(1), shape, kind, b"\x89", content) + b"b"


def _binary(raw: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(raw)) + raw


def _index(name: str, **attributes: bytes) -> bytes:
    made = _class("pandas.core.indexes.base" if name == "Index" else "pandas.core.indexes.range", name)
    return _call("pandas.core.indexes.base", "_new_Index", made, _dict(**attributes, name=_NONE))


def stored() -> bytes:
    """The frame: floats, ints, texts and datetimes, in four blocks."""
    prices = struct.pack(f"<{ROWS}d", *(round(9.75 + 0.37 * number, 2) for number in range(ROWS)))
    stocks = struct.pack(f"<{ROWS}q", *(number % 977 for number in range(ROWS)))
    times = struct.pack(f"<{ROWS}q", *(_FIRST + _MINUTE * number for number in range(ROWS)))
    unit = _tuple(_dict(), _tuple(_binary(b"ns"), _int(1), _int(1), _int(1)))
    values = (
        _array("f8", "<", 1, _binary(prices)),
        _array("i8", "<", 1, _binary(stocks)),
        _array("O8", "|", 1, _list(*(_text(f"Product {number:05}") for number in range(ROWS)))),
        _array("M8", "<", 1, _binary(times), unit),
    )
    blocks = (
        _call(
            "pandas._libs.internals",
            "_unpickle_block",
            each,
            _call("builtins", "slice", _int(at), _int(at + 1), _int(1)),
            _int(2),
        )
        for at, each in enumerate(values)
    )
    labels = _index("Index", data=_array("O8", "|", 0, _list(*map(_text, NAMES))))
    rows = _index("RangeIndex", start=_int(0), stop=_int(ROWS), step=_int(1))
    manager = _call("pandas.core.internals.managers", "BlockManager", _tuple(*blocks), _list(labels, rows))
    flags = _dict(allows_duplicate_labels=b"\x88")
    state = _dict(_mgr=manager, _typ=_text("dataframe"), _metadata=_list(), attrs=_dict(), _flags=flags)
    return b"!\x80\x04" + _class("pandas.core.frame", "DataFrame") + b")\x81" + state + b"b."


def to_json(value: bytes) -> Callable[[], str] | None:
    """Writes the same rows with pandas; None: pandas is not installed."""
    try:
        importlib.import_module("pandas")
    except ImportError:
        return None
    frame: Any = pickle.loads(value[1:])
    return lambda: str(frame.to_json(orient="records", date_format="iso"))
