"""numpy's dtypes, as pickles have them.

Source: `numpy.dtype.__reduce__` of numpy 1.21 to 2.4. It calls `numpy.dtype("f8", ...)`, and the state says the byte
order, and of dates the unit.
"""

import re
from typing import Final, NamedTuple

from proxy.codec.errors import UndecodableError
from proxy.codec.nodes import Instance, Node, Symbol

_SPELLED: Final = re.compile(r"([<>|=]?)([biufcSUOMmV])([0-9]{0,9})")
_STRINGS: Final = "_convert_to_stringdtype_kwargs"
"""The function that makes numpy 2's dtype of texts."""
_RECORD: Final = "record"
_VOID: Final = "a numpy array or scalar of a void (structured) dtype"
_UNIT: Final = re.compile(r"(generic|[YMWDhm]|[munpfa]?s)")
_SIZES: Final = {
    "b": (1,),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "f": (2, 4, 8),
    "c": (8, 16),
    "M": (8,),
    "m": (8,),
}
_NAMES: Final = {"i": "int", "u": "uint", "f": "float", "c": "complex", "M": "datetime64", "m": "timedelta64"}
_UTF32: Final = 4
_MOST_UNITS: Final = 2**31
_DATES: Final = frozenset("Mm")


class DType(NamedTuple):
    """The type of an array's elements."""

    kind: str
    """numpy's letter: b, i, u, f, c, S, U, O, M (datetime64) or m (timedelta64)."""
    size: int
    """Bytes of one element."""
    order: str = "<"
    """`<` or `>`, as `struct` has them."""
    unit: str = ""
    """Of M and m: `Y` to `as`, or `generic`."""
    step: int = 1
    """How many of its units one is: 25 in `datetime64[25s]`."""

    def __str__(self) -> str:
        """As numpy spells it in the native byte order."""
        if self.kind == "b":
            return "bool"
        if self.kind == "O":
            return "object"
        if self.kind == "U":
            return f"<U{self.size // _UTF32}"
        if self.kind == "S":
            return f"|S{self.size}"
        if self.kind in _DATES:
            unit = "" if self.unit == "generic" else f"[{self.step if self.step > 1 else ''}{self.unit}]"
            return _NAMES[self.kind] + unit
        return f"{_NAMES[self.kind]}{8 * self.size}"


def of(node: Node) -> DType:
    """The dtype that a node describes. Raises UndecodableError for others than those that can be read."""
    if type(node) is Instance and node.symbol.name == _STRINGS:
        raise UndecodableError("a numpy array of dtype StringDType")
    if type(node) is not Instance or node.symbol.text != "numpy.dtype" or not node.args:
        raise corrupt("dtype")
    if type(node.args[0]) is Symbol and node.args[0].name == _RECORD:
        raise UndecodableError(_VOID)
    spelled = _SPELLED.fullmatch(node.args[0]) if type(node.args[0]) is str else None
    if spelled is None:
        raise UndecodableError("a numpy dtype that is not known")
    order, kind, digits = spelled.groups()
    size = int(digits or 0)
    if kind == "V":
        raise UndecodableError(_VOID)
    if kind in "fc" and size not in _SIZES[kind]:
        raise UndecodableError("a numpy array or scalar of dtype longdouble")
    if kind in _SIZES and size not in _SIZES[kind]:
        raise corrupt("dtype")
    state = node.state if type(node.state) is tuple else ()
    if len(state) > 1 and state[1] in ("<", ">", "|", "="):
        order = state[1]
    unit, step = _unit(state) if kind in _DATES else ("", 1)
    return DType(kind, size * (_UTF32 if kind == "U" else 1), ">" if order == ">" else "<", unit, step)


def _unit(state: tuple[Node, ...]) -> tuple[str, int]:
    """The unit of a date, from the end of the state: (metadata, (b"ns", 1, 1, 1))."""
    found = state[-1] if len(state) > 8 else None
    if found is None:
        return "generic", 1
    if type(found) is not tuple or len(found) != 2 or type(found[1]) is not tuple or len(found[1]) < 3:
        raise corrupt("dtype")
    name, step, divisor = found[1][:3]
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if type(text) is not str or not _UNIT.fullmatch(text) or type(step) is not int or divisor != 1:
        raise corrupt("dtype")
    if not 1 <= step <= _MOST_UNITS:
        raise corrupt("dtype")
    return text, step


def corrupt(kind: str) -> UndecodableError:
    """The error for what no such object's library writes."""
    return UndecodableError(f"corrupt pickle: a {kind} of unknown shape")
