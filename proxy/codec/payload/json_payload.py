"""JSON payloads: strict RFC 8259 by msgspec. The limits are checked before it creates any object."""

import re
from typing import Any, Final

import msgspec

from proxy.codec.errors import PayloadError
from proxy.codec.limits import MAX_INT_DIGITS, CodecLimits
from proxy.codec.payload import mistakes

_STRING: Final = re.compile(rb'"[^"]*+(?:"|\Z)')
"""A string, in text without escaped quotes. Without a closing quote it extends to the end."""
_NEITHER_BRACKETS_NOR_QUOTES: Final = bytes(set(range(256)) - set(b'[]{}"'))
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_WHITESPACE: Final = b" \t\n\r"

_NATURAL: Final = frozenset({type(None), bool, int, float, str, list, dict})

ESCAPED: Final = bytes(range(32)) + b'"\\'
"""Bytes that JSON escapes, so that they take more bytes than in UTF-8."""

MOST_BYTES_FOR_ONE: Final = 6
r"""The most bytes that JSON writes for one byte of UTF-8, as in \u0001."""

weigh = len
"""Values of one level of a tree -> the number of nodes that they count."""

write = msgspec.json.encode
"""Tree -> JSON bytes."""


def may_have_tags(payload: bytes) -> bool:
    """Whether a key may begin with `py/`, also with escapes."""
    if payload.find(b"\\") < 0:  # `find` takes half the time of `in`
        return payload.find(b"py/") >= 0
    return b"py/" in payload or b"\\/" in payload or b"\\u00" in payload


def read(payload: bytes, limits: CodecLimits) -> tuple[Any, bool]:
    """The tree of a payload, and False: no dict in it has a `Key`. Checks the limit of nodes. Raises PayloadError.

    Ints keep every digit. The last of duplicate keys wins.
    """
    _check_nodes(payload, limits)
    try:
        return msgspec.json.decode(payload), False
    except RecursionError:
        raise PayloadError(f"the payload is nested more than {limits.depth} deep ([limits] depth)", "depth") from None
    except msgspec.ValidationError:
        raise PayloadError(
            f"the payload has a number out of range: an int of over {MAX_INT_DIGITS} characters,"
            " or a float beyond a double"
        ) from None
    except (UnicodeDecodeError, msgspec.DecodeError) as error:  # the former up to msgspec 0.22
        raise PayloadError(f"the payload is not valid JSON: {_reason(error, payload)}") from None


def check_natural(tree: Any, where: str) -> None:
    """Check that a tree, for example of msgpack, has only JSON's types. `where`: its name. Raises PayloadError."""
    todo = [tree]
    while todo:
        value = todo.pop()
        kind = type(value)
        if kind not in _NATURAL or (kind is float and value - value != 0.0):
            raise PayloadError(f"{where} holds no bin, ext, NaN or infinity")
        if kind is list:
            todo.extend(value)
        elif kind is dict:
            if any(type(key) is not str for key in value):
                raise PayloadError("a map with keys other than strings cannot be JSON")
            todo.extend(value.values())


def is_shallow(payload: bytes, depth: int) -> bool:
    """Whether the brackets prove that a valid payload has at most `depth` levels; False: it may have more.

    To remove every `[]` from the brackets removes one level. This check runs in C. A walk over the tree in Python would
    take 3 times as long as the parse.
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
    """The brackets of a valid payload outside strings, all as `[` and `]`, so that one pass removes one level."""
    brackets = _without_escapes(payload).translate(_SQUARE, _NEITHER_BRACKETS_NOR_QUOTES)
    without_strings = brackets.replace(b'""', b"")
    return _STRING.sub(b"", brackets) if b'"' in without_strings else without_strings


def _without_escapes(payload: bytes) -> bytes:
    """The payload without escaped quotes and backslashes: all remaining quotes delimit strings."""
    return payload.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in payload else payload


def first_bad_byte(payload: bytes) -> int | None:
    """The index of the first byte that is not UTF-8. (msgspec counts from the start of a string, if at all.)"""
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def _check_nodes(payload: bytes, limits: CodecLimits) -> None:
    """Count values by punctuation: one, plus one for each comma and each container that is not empty."""
    if len(payload) < limits.nodes:
        return
    if payload.count(b",") + payload.count(b"[") + payload.count(b"{") < limits.nodes:
        return
    most = limits.nodes
    payload = _without_escapes(payload)
    strings = payload.count(b'"') // 2  # one of two strings may be a key, which does not count
    if strings <= 2 * most:
        bare = _STRING.sub(b"0", payload).translate(None, _WHITESPACE)
        commas, containers = bare.count(b","), bare.count(b"[") + bare.count(b"{")
        if commas + containers - bare.count(b"[]") - bare.count(b"{}") < most:
            return
    raise PayloadError(f"the payload has more than {limits.nodes} nodes ([limits] nodes)", "nodes")


def _reason(error: Exception, payload: bytes) -> str:
    if mistake := mistakes.in_json(payload):
        return mistake
    if (bad := first_bad_byte(payload)) is not None:
        return f"not UTF-8 (byte {bad})"
    bare = payload.lstrip()[:1] not in b'"{[-0123456789'  # no JSON value begins like this
    hint = '; a string needs its quotes, as in "foo"' if bare else ""
    text = str(error).removeprefix("JSON is malformed: ")
    return f"{'it ends too early, or has a lone surrogate' if text == 'Input data was truncated' else text}{hint}"
