"""JSON payloads: strict RFC 8259 by msgspec, with the budgets enforced before it builds anything."""

import re
from typing import Any, Final

import msgspec

from proxy.codec.errors import PayloadError
from proxy.codec.limits import MAX_INT_DIGITS, CodecLimits

_STRING: Final = re.compile(rb'"[^"]*+(?:"|\Z)')
"""Where no quote is escaped. One without its partner takes all that follows."""
_NEITHER_BRACKETS_NOR_QUOTES: Final = bytes(set(range(256)) - set(b'[]{}"'))
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_WHITESPACE: Final = b" \t\n\r"

ESCAPED: Final = bytes(range(32)) + b'"\\'
"""What takes more bytes in JSON than in UTF-8."""

MOST_BYTES_FOR_ONE: Final = 6
r"""As in \u0001."""

weigh = len
"""Values of one level of a tree -> how many nodes they count."""

write = msgspec.json.encode
"""Tree -> JSON bytes."""


def may_have_tags(payload: bytes) -> bool:
    """Whether a key may begin with `py/`, spelled plainly or in escapes."""
    if payload.find(b"\\") < 0:  # `find`, because `in` takes twice as long
        return payload.find(b"py/") >= 0
    return b"py/" in payload or b"\\/" in payload or b"\\u00" in payload


def read(payload: bytes, limits: CodecLimits) -> tuple[Any, bool]:
    """The payload as a tree, its nodes within the limit; and that no dict of it has a `Key`. Raises PayloadError.

    Ints keep every digit, of duplicate keys the last one wins.
    """
    _check_nodes(payload, limits)
    try:
        return msgspec.json.decode(payload), False
    except RecursionError:
        raise PayloadError(f"the payload is nested more than {limits.depth} deep ([limits] depth)") from None
    except UnicodeDecodeError:
        raise PayloadError(f"the payload is not valid JSON: not UTF-8 (byte {_first_bad_byte(payload)})") from None
    except msgspec.ValidationError:
        raise PayloadError(
            f"the payload has a number out of range: an int of over {MAX_INT_DIGITS} characters,"
            " or a float beyond a double"
        ) from None
    except msgspec.DecodeError as error:
        bare = payload.lstrip()[:1] not in b'"{[-0123456789'  # not even the beginning of a value
        hint = '; a string needs its quotes, as in "foo"' if bare else ""
        raise PayloadError(f"the payload is not valid JSON: {_reason(error)}{hint}") from None


def is_shallow(payload: bytes, depth: int) -> bool:
    """Proof, from the brackets alone, that a valid payload nests at most `depth` deep; False: not proven.

    Removing every `[]` from a string of brackets takes off one level. This is what keeps the depth check off the
    Python interpreter (a walk costs 3 times the parse).
    """
    if payload.count(b"[") + payload.count(b"{") <= depth:
        return True
    brackets = _brackets(payload)
    if len(brackets) <= 2 * depth:
        return True
    for _ in range(depth):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return True
    return False


def _brackets(payload: bytes) -> bytes:
    """The brackets of a valid payload that are not in strings, all of them square: so one pass takes one level."""
    brackets = _without_escapes(payload).translate(_SQUARE, _NEITHER_BRACKETS_NOR_QUOTES)
    without_strings = brackets.replace(b'""', b"")
    return _STRING.sub(b"", brackets) if b'"' in without_strings else without_strings


def _without_escapes(payload: bytes) -> bytes:
    """The payload with no quotes but those around its strings."""
    return payload.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in payload else payload


def _first_bad_byte(payload: bytes) -> int:
    """Where the payload stops being UTF-8: msgspec counts from the string that it is in."""
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _check_nodes(payload: bytes, limits: CodecLimits) -> None:
    """Count values by their punctuation: one, plus one a comma, plus one a container that is not empty."""
    if payload.count(b",") + payload.count(b"[") + payload.count(b"{") < limits.nodes:
        return
    most = limits.nodes
    payload = _without_escapes(payload)
    strings = payload.count(b'"') // 2  # of two strings one may be a key, which is not counted
    if strings <= 2 * most:
        bare = _STRING.sub(b"0", payload).translate(None, _WHITESPACE)
        commas, containers = bare.count(b","), bare.count(b"[") + bare.count(b"{")
        if commas + containers - bare.count(b"[]") - bare.count(b"{}") < most:
            return
    raise PayloadError(f"the payload has more than {limits.nodes} nodes ([limits] nodes)")


def _reason(error: msgspec.DecodeError) -> str:
    text = str(error).removeprefix("JSON is malformed: ")
    return "it ends too early, or has a lone surrogate" if text == "Input data was truncated" else text
