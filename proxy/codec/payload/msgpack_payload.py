"""msgpack payloads, by the msgpack library. The limits are checked before it creates any object.

The library allocates an array for the number of elements that a header declares, at each of 1,024 levels. So the
headers are checked first, unless the payload is too small to do harm.
"""

from datetime import datetime
from typing import Any, Final, NoReturn

import msgpack

from proxy.codec.errors import PayloadError
from proxy.codec.limits import OBJECT_NODES, PAIR_NODES, TAG_NODES, CodecLimits
from proxy.codec.nodes import Key
from proxy.codec.payload import mistakes
from proxy.codec.payload.msgpack_headers import header

_HARMLESS_ALLOCATION: Final = 16 * 1024 * 1024
_POINTER: Final = 8
_CUT: Final = "it ends too early"
_OWN_WORDS: Final = {
    "Unpack failed: incomplete input": _CUT,
    "unpack(b) received extra data.": "more bytes follow its value",
}
"""In place of texts of the msgpack library that clients would not understand."""
_TOO_MANY: Final = "exceeds max_"
"""A part of the library's text if a header declares more than the payload can hold."""
_STR_KEYS: Final = frozenset({str})
_LEVELS_PER_DEPTH: Final = 3
"""`{"py/dict": [[key, value]]}` is one level of the value and three of the payload."""


def may_have_tags(payload: bytes) -> bool:
    """Whether a key may begin with `py/`."""
    return b"py/" in payload


def write(tree: Any) -> bytes:
    """Tree -> msgpack bytes. Raises OverflowError for an int beyond 64 bits."""
    packed: bytes = msgpack.packb(tree)
    return packed


def weigh(level: list[Any]) -> int:
    """The number of nodes that the values of one level of a tree count."""
    nodes = len(level)
    kinds = set(map(type, level))
    for kind, more in ((datetime, OBJECT_NODES), (bytes, TAG_NODES)):
        if kind in kinds:
            nodes += more * sum(type(value) is kind for value in level)
    if dict in kinds:
        keyed = (value for value in level if type(value) is dict and not _STR_KEYS.issuperset(map(type, value)))
        nodes += sum(TAG_NODES + (PAIR_NODES + 1) * len(value) for value in keyed)
    return nodes


def read(payload: bytes, limits: CodecLimits) -> tuple[Any, bool]:
    """The tree of a payload, and whether a dict in it may have keys wrapped in `Key`. Raises PayloadError.

    Keys other than strings and bytes are wrapped, because CPython does not randomise their hashes.
    """
    if not _is_harmless(payload, limits):
        _check(payload, limits)
    try:
        return _unpack(payload, strict_map_key=True), False
    except ValueError as error:
        if "strict_map_key" not in str(error):
            raise _invalid(error, payload) from None
    except (msgpack.UnpackException, OverflowError, TypeError, RecursionError) as error:
        raise _invalid(error, payload) from None
    try:
        return _unpack(payload, strict_map_key=False, object_pairs_hook=_pairs), True
    except (ValueError, msgpack.UnpackException, OverflowError, TypeError, RecursionError) as error:
        raise _invalid(error, payload) from None


def _unpack(payload: bytes, **options: Any) -> Any:
    return msgpack.unpackb(payload, raw=False, timestamp=3, ext_hook=_refuse_ext, **options)


def _pairs(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict that hashes no key for which the writer can choose the hash."""
    return {key if type(key) is str or type(key) is bytes else Key(key): value for key, value in pairs}


def _refuse_ext(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"ext type {code} (only Timestamp is known)")


def _invalid(error: Exception, payload: bytes) -> PayloadError:
    text = str(error)
    said = _CUT if _TOO_MANY in text else _OWN_WORDS.get(text, text[:100]) or "a byte that begins no value"
    return PayloadError(f"the payload is not valid msgpack: {mistakes.in_msgpack(payload) or said}")


def _is_harmless(payload: bytes, limits: CodecLimits) -> bool:
    if len(payload) > limits.nodes:
        return False
    headers = sum(map(payload.count, (b"\xdc", b"\xdd", b"\xde", b"\xdf")))
    return headers * len(payload) * _POINTER <= _HARMLESS_ALLOCATION


def _check(payload: bytes, limits: CodecLimits) -> None:
    """Check the headers: every declared length fits, and nodes and depth are within the limits."""
    most = 2 * limits.nodes  # the keys of maps count here too
    levels = limits.depth * _LEVELS_PER_DEPTH + 2
    pos, size, seen = 0, len(payload), 0
    left = [1]  # values still to come, at each open level
    while left:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        if pos >= size:
            raise _invalid(ValueError(_CUT), payload)
        seen += 1
        pos, count = header(payload, pos)
        if seen + count > most:
            raise PayloadError(f"the payload has more than {limits.nodes} nodes ([limits] nodes)", "nodes")
        if pos + count > size:
            raise _invalid(ValueError(_CUT), payload)
        if count:
            left.append(count)
            if len(left) > levels:
                raise PayloadError(f"the payload is nested more than {limits.depth} deep ([limits] depth)", "depth")
