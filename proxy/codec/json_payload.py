"""JSON payloads: strict RFC 8259 by msgspec, with the budgets enforced before it builds anything."""

import re
from typing import Any, Final

import msgspec

from proxy.codec.errors import PayloadError
from proxy.codec.limits import MAX_INT_DIGITS, CodecLimits

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_EMPTY: Final = re.compile(rb"\[[ \t\n\r]*+\]|\{[ \t\n\r]*+\}")
_BRACKETS_ONLY: Final = bytes(set(range(256)) - set(b"[]{}"))
_RAW_NODES_PER_TAGGED_NODE: Final = 3
"""`[key, value]` under py/dict is three JSON values for one node."""

write = msgspec.json.encode
"""Tree -> JSON bytes."""


def may_have_tags(payload: bytes) -> bool:
    """Whether a key may begin with `py/`, spelled plainly or in escapes."""
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
    except UnicodeDecodeError as error:
        raise PayloadError(f"the payload is not valid JSON: not UTF-8 (byte {error.start})") from None
    except msgspec.ValidationError:
        raise PayloadError(
            f"the payload has a number out of range: an int of over {MAX_INT_DIGITS} digits, or a float beyond a double"
        ) from None
    except msgspec.DecodeError as error:
        raise PayloadError(f"the payload is not valid JSON: {_reason(error)}") from None


def is_shallow(payload: bytes, depth: int) -> bool:
    """Proof, from the brackets alone, that the payload nests at most `depth` deep; False: not proven.

    Removing every `[]` and `{}` from a string of brackets takes off one level. Brackets inside strings can only
    make the proof fail. This is what keeps the depth check off the Python interpreter (a walk costs 3 times the
    parse).
    """
    brackets = payload.translate(None, _BRACKETS_ONLY)
    if len(brackets) <= 2 * depth:
        return True
    for _ in range(depth):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not shorter:
            return True
        if len(shorter) == len(brackets):
            return False
        brackets = shorter
    return False


def _check_nodes(payload: bytes, limits: CodecLimits) -> None:
    """Count values by their punctuation: one, plus one a comma, plus one a container that is not empty."""
    most = limits.nodes
    if payload.count(b",") + payload.count(b"[") + payload.count(b"{") < most:
        return
    if may_have_tags(payload):
        most *= _RAW_NODES_PER_TAGGED_NODE  # exactly counted later, by the pickler
    bare = _STRING.sub(b"", payload)
    nonempty = bare.count(b"[") + bare.count(b"{") - len(_EMPTY.findall(bare))
    if 1 + bare.count(b",") + nonempty > most:
        raise PayloadError(f"the payload has more than {limits.nodes} nodes ([limits] nodes)")


def _reason(error: msgspec.DecodeError) -> str:
    text = str(error).removeprefix("JSON is malformed: ")
    return "it ends too early, or has a lone surrogate" if text == "Input data was truncated" else text
