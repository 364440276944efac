"""JSON payloads: strict RFC 8259 by msgspec, with the budgets enforced before it builds anything."""

import re
from typing import Any, Final

import msgspec

from proxy.codec.errors import PayloadError
from proxy.codec.limits import MAX_INT_DIGITS, CodecLimits

# A string, or all that follows a quote without its partner: a search that fails there would be tried again from
# each escaped quote.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_EMPTY: Final = re.compile(rb"\[[ \t\n\r]*+\]|\{[ \t\n\r]*+\}")
_NEITHER_BRACKETS_NOR_QUOTES: Final = bytes(set(range(256)) - set(b'[]{}"'))
_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_WITH_BRACKETS: Final = re.compile(rb'"[^"]*+"')
_RAW_NODES_PER_TAGGED_NODE: Final = 3
"""`{"py/timedelta": [1, 2, 3]}` is five JSON values and counts as two nodes; no tag takes more than three each."""

ESCAPED: Final = bytes(range(32)) + b'"\\'
"""What takes more bytes in JSON than in UTF-8."""

write = msgspec.json.encode
"""Tree -> JSON bytes."""


def may_have_tags(payload: bytes) -> bool:
    """Whether a key may begin with `py/`, spelled plainly or in escapes."""
    return b"py/" in payload or b"\\/" in payload or b"\\u00" in payload


def read(payload: bytes, limits: CodecLimits, tagged: bool = False) -> tuple[Any, bool]:
    """The payload as a tree; and that no dict of it has a `Key`. Raises PayloadError.

    Its nodes are within the limit, except that with tags (`tagged`) they are up to three times as many.
    Ints keep every digit, of duplicate keys the last one wins.
    """
    _check_nodes(payload, limits, tagged)
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
    if b"\\" in payload:
        payload = payload.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = payload.translate(_SQUARE, _NEITHER_BRACKETS_NOR_QUOTES)
    without_strings = brackets.replace(b'""', b"")
    return _WITH_BRACKETS.sub(b"", brackets) if b'"' in without_strings else without_strings


def _first_bad_byte(payload: bytes) -> int:
    """Where the payload stops being UTF-8: msgspec counts from the string that it is in."""
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _check_nodes(payload: bytes, limits: CodecLimits, tagged: bool) -> None:
    """Count values by their punctuation: one, plus one a comma, plus one a container that is not empty."""
    most = limits.nodes
    if payload.count(b",") + payload.count(b"[") + payload.count(b"{") < most:
        return
    if tagged:
        most *= _RAW_NODES_PER_TAGGED_NODE  # exactly counted later, by the pickler
    bare = _STRING.sub(b"0", payload)
    nonempty = bare.count(b"[") + bare.count(b"{") - len(_EMPTY.findall(bare))
    if 1 + bare.count(b",") + nonempty > most:
        raise PayloadError(f"the payload has more than {limits.nodes} nodes ([limits] nodes)")


def _reason(error: msgspec.DecodeError) -> str:
    text = str(error).removeprefix("JSON is malformed: ")
    return "it ends too early, or has a lone surrogate" if text == "Input data was truncated" else text
