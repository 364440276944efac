"""One value against the type of its key: is it accepted, what was expected, how is it shown.

TOML's types are taken strictly: "5" is no number and true is no integer.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from msgspec import inspect as shape

_LONGEST_SHOWN = 80


class Scalar(Struct, frozen=True):
    """A type that is not a table or an array, with what `settings` says about it beyond the type."""

    kind: shape.Type
    parse: Callable[[Any], Any]
    mask: Callable[[Any], Any]
    is_secret: bool = False
    """Not even a value of a wrong type is shown."""


def fields_of(struct: type[Struct]) -> tuple[shape.Field, ...]:
    """The keys of a struct, with their types as msgspec describes them."""
    kind = shape.type_info(struct)
    assert isinstance(kind, shape.StructType)  # noqa: S101  (for the type checker)
    return kind.fields


def scalar(kind: shape.Type) -> Scalar:
    if isinstance(kind, shape.UnionType):  # only ever "or None", and TOML has no None
        kind = next(member for member in kind.types if not isinstance(member, shape.NoneType))
    if not isinstance(kind, shape.Metadata):
        return Scalar(kind, _unchanged, _unchanged)
    extra = kind.extra or {}
    return Scalar(
        kind.type, extra.get("parse", _unchanged), extra.get("mask", _unchanged), extra.get("is_secret", False)
    )


def accepts(kind: shape.Type, value: Any) -> bool:
    match kind:
        case shape.IntType(ge=int(low), le=int(high)):
            return type(value) is int and low <= value <= high
        case shape.FloatType(ge=low, le=high):
            return type(value) in (int, float) and low <= value <= high
        case shape.LiteralType(values=allowed):
            return value in allowed
        case shape.StrType(min_length=shortest):
            return type(value) is str and len(value) >= (shortest or 0)
    return False


def expected(kind: shape.Type) -> str:
    """What the type allows, in words for an error text."""
    match kind:
        case shape.IntType(ge=low, le=high):
            return f"an integer from {low} to {high}"
        case shape.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case shape.LiteralType(values=allowed):
            return f"one of {', '.join(map(toml_value, allowed))}"
        case shape.StrType(min_length=shortest):
            return "a string that is not empty" if shortest else "a string"
        case shape.StructType(cls=cls):
            return f"a table, [{cls.__name__.lower()}]"
        case shape.VarTupleType(item_type=shape.StructType(cls=cls)):
            return f"one or more tables, [[{cls.__name__.lower()}]]"
    return "an array"


def from_text(text: str, kind: shape.Type) -> str | int | float:
    """A variable's text as its type has it; what is no number stays text, and is refused as such."""
    match scalar(kind).kind:
        case shape.IntType() if re.fullmatch(r"[+-]?[0-9]{1,20}", text):
            return int(text)
        case shape.FloatType() if re.fullmatch(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?", text):
            return float(text)
    return text


def toml_value(value: object) -> str:
    """A string, number, boolean or array of these as TOML writes it."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON leaves DEL bare
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
    return repr(value)


def shown(value: object) -> str:
    """A refused value for an error text: briefly, and in TOML's words."""
    match value:
        case dict():
            return "a table"
        case list():
            return "an array" if value else "an empty array"
        case int() if value.bit_length() > 64:
            return "an integer beyond 64 bits"
        case str() | bool() | int() | float():
            text = toml_value(value)
            return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
    return f"a {type(value).__name__}"  # TOML's dates and times


def nearest(key: str, known: Iterable[str]) -> str:
    """The hint that goes with an unknown key."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _unchanged(value: Any) -> Any:
    return value
