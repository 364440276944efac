"""Checks one value against the type of its key, and writes values and types for error texts.

TOML's types are strict: "5" is not a number, and true is not an integer.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct
from msgspec import inspect as shape

from proxy.config.printable import toml_text

_LONGEST_SHOWN = 80


class Scalar(Struct, frozen=True):
    """A type that is not a table or an array, with the extra functions that `settings` gives it."""

    kind: shape.Type
    parse: Callable[[Any], Any]
    mask: Callable[[Any], Any]
    is_secret: bool = False
    """Error texts mask the value, even if its type is wrong."""


def fields_of(struct: type[Struct]) -> tuple[shape.Field, ...]:
    """The keys of a struct, with their types as msgspec describes them."""
    kind = shape.type_info(struct)
    assert isinstance(kind, shape.StructType)  # noqa: S101  (for the type checker)
    return kind.fields


def scalar(kind: shape.Type) -> Scalar:
    if isinstance(kind, shape.UnionType):
        members = tuple(member for member in kind.types if not isinstance(member, shape.NoneType))  # TOML has no None
        kind = members[0] if len(members) == 1 else shape.UnionType(members)
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
        case shape.BoolType():
            return type(value) is bool
        case shape.LiteralType(values=allowed):
            return value in allowed
        case shape.StrType(min_length=shortest):
            return type(value) is str and len(value) >= (shortest or 0)
        case shape.UnionType(types=kinds):
            return any(accepts(one, value) for one in kinds)
    return False


def expected(kind: shape.Type) -> str:
    """The values that the type allows, in words for an error text."""
    match kind:
        case shape.IntType(ge=low, le=high):
            return f"an integer from {low} to {high}"
        case shape.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case shape.BoolType():
            return "true or false"
        case shape.UnionType(types=kinds):
            return " or ".join(map(expected, kinds))
        case shape.LiteralType(values=[only]):
            return toml_value(only)
        case shape.LiteralType(values=allowed):
            return f"one of {', '.join(map(toml_value, allowed))}"
        case shape.StrType(min_length=shortest):
            return "a string that is not empty" if shortest else "a string"
        case shape.StructType(cls=cls):
            return f"a table, [{cls.__name__.lower()}]"
        case shape.VarTupleType(item_type=shape.StructType(cls=cls)):
            return f"one or more tables, [[{cls.__name__.lower()}]]"
        case shape.DictType():
            return "a table of strings"
    return "an array"


def from_text(text: str, kind: shape.Type) -> str | bool | int | float | list[str] | dict[str, str]:
    """The text of a variable, converted to the type of its key. Commas separate the entries of an array.

    An entry of a table is NAME=VALUE.

    Text that does not fit the type stays text.
    """
    match scalar(kind).kind:
        case shape.VarTupleType():
            return [each.strip() for each in text.split(",")]
        case shape.DictType():
            pairs = (each.partition("=") for each in text.split(","))
            return {name.strip(): value.strip() for name, _, value in pairs}
        case shape.IntType() if re.fullmatch(r"[+-]?[0-9]{1,20}", text):
            return int(text)
        case shape.FloatType() if re.fullmatch(r"[+-]?[0-9]{1,20}(\.[0-9]{1,20})?", text):
            return float(text)
        case shape.BoolType() if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case shape.LiteralType(values=allowed) if text.lower() in allowed:  # LOG_LEVEL=INFO is usual
            return text.lower()
        case shape.UnionType(types=kinds):
            read = (from_text(text, one) for one in kinds)
            return next((value for value in read if value != text), text)
    return text


def toml_value(value: object) -> str:
    """A string, number or boolean, or an array or a table of these, in TOML."""
    match value:
        case str():
            return toml_text(json.dumps(value, ensure_ascii=False))
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case dict():
            return f"{{ {', '.join(f'{toml_value(name)} = {toml_value(one)}' for name, one in value.items())} }}"
    return repr(value)


def shown(value: object) -> str:
    """A refused value for an error text: short, and in TOML's words."""
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
    """A hint for an unknown key: the nearest known key, or all known keys."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def meant(value: Any, kind: shape.Type) -> str:
    """A hint at the allowed value that is most like `value`. It is empty if no value is similar."""
    if isinstance(kind, shape.UnionType):
        return "".join(meant(value, one) for one in kind.types)
    if not (isinstance(kind, shape.LiteralType) and isinstance(value, str)):
        return ""
    allowed = [one for one in kind.values if isinstance(one, str)]
    close = difflib.get_close_matches(value.removeprefix("py/").lower(), allowed, n=1)
    return f"; did you mean {toml_value(close[0])}?" if close else ""


def _unchanged(value: Any) -> Any:
    return value
