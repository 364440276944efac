"""Checks of the content of a tag. Each raises PayloadError, which explains how to escape the tag."""

import binascii
import re
from base64 import b64decode
from typing import Any, Final

from proxy.codec.errors import PayloadError
from proxy.codec.limits import MAX_INT_DIGITS

_INT: Final = re.compile(rf"-?[0-9]{{1,{MAX_INT_DIGITS}}}")
_PAIRS: Final = ' of [key, value] pairs, such as [["a", 1]]'
_OF_PAIRS: Final = frozenset({"py/dict", "py/ordereddict"})
_TINY_OFFSET: Final = re.compile(r"[+-]00:?00:?00[.,]")
"""An offset below one second, which fromisoformat() reads as UTC."""


def bad(tag: str, wanted: str) -> PayloadError:
    """The error for content that is not `wanted`."""
    name = tag.removeprefix("py/")
    return PayloadError(
        f"the content of {tag} must be {wanted}; to write an object with that one key as it is, "
        f'escape it as {{"py/dict": [["py/{name}", ...]]}}'
    )


def text(content: Any, tag: str, wanted: str) -> str:
    """A string."""
    if type(content) is not str:
        raise bad(tag, wanted)
    return content


def items(content: Any, tag: str) -> list[Any]:
    """An array."""
    if type(content) is not list:
        raise bad(tag, f"an array{_PAIRS if tag in _OF_PAIRS else ''}")
    return content


def iso(content: Any, tag: str, wanted: str) -> str:
    """A string that fromisoformat() reads correctly or refuses."""
    spelled = text(content, tag, wanted)
    if _TINY_OFFSET.search(spelled):
        raise bad(tag, wanted)
    return spelled


def raw(content: Any, tag: str) -> bytes:
    """Bytes: base64 text, or bin in msgpack."""
    if type(content) is bytes:
        return content
    try:
        return b64decode(text(content, tag, "base64 text"), validate=True)
    except (binascii.Error, ValueError):
        raise bad(tag, "base64 text") from None


def integer(content: Any, tag: str) -> int:
    """An integer, or an integer as text."""
    if type(content) is not int and not (type(content) is str and _INT.fullmatch(content)):
        raise bad(tag, f"an integer as text, of at most {MAX_INT_DIGITS} digits")
    return int(content)
