"""msgpack payloads: by the msgpack library, with the budgets enforced before it builds anything.

The library allocates an array for whatever number of elements its header declares, at each of 1,024 levels: a
payload is either too small to matter, or its headers are walked first.
"""

from datetime import datetime
from typing import Any, Final, NoReturn

import msgpack

from proxy.codec.errors import PayloadError
from proxy.codec.limits import OBJECT_NODES, PAIR_NODES, TAG_NODES, CodecLimits
from proxy.codec.nodes import Key

_HARMLESS_ALLOCATION: Final = 16 * 1024 * 1024
_POINTER: Final = 8
_STR_KEYS: Final = frozenset({str})
_LEVELS_PER_DEPTH: Final = 3
"""`{"py/dict": [[key, value]]}` is one level of the value and three of the payload."""

# By first byte, https://github.com/msgpack/msgpack/blob/master/spec.md: the bytes of length that follow; for _FIXED
# the bytes of content.
_SIZED: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXT: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED: Final = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_ARRAYS: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}


def may_have_tags(payload: bytes) -> bool:
    """Whether a key may begin with `py/`."""
    return b"py/" in payload


def write(tree: Any) -> bytes:
    """Tree -> msgpack bytes. Raises OverflowError for an int beyond 64 bits."""
    packed: bytes = msgpack.packb(tree)
    return packed


def weigh(level: list[Any]) -> int:
    """How many nodes the values of one level of a tree count."""
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
    """The payload as a tree; and whether a dict of it has keys wrapped in `Key`. Raises PayloadError.

    Keys other than strings and bytes are wrapped, because CPython does not guard their hashes.
    """
    if not _is_harmless(payload, limits):
        _check(payload, limits)
    try:
        return _unpack(payload, strict_map_key=True), False
    except ValueError as error:
        if "strict_map_key" not in str(error):
            raise _invalid(error) from None
    except (msgpack.UnpackException, OverflowError, TypeError, RecursionError) as error:
        raise _invalid(error) from None
    try:
        return _unpack(payload, strict_map_key=False, object_pairs_hook=_pairs), True
    except (ValueError, msgpack.UnpackException, OverflowError, TypeError, RecursionError) as error:
        raise _invalid(error) from None


def _unpack(payload: bytes, **options: Any) -> Any:
    return msgpack.unpackb(payload, raw=False, timestamp=3, ext_hook=_refuse_ext, **options)


def _pairs(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict that hashes no key whose hash the writer can choose."""
    return {key if type(key) is str or type(key) is bytes else Key(key): value for key, value in pairs}


def _refuse_ext(code: int, _data: bytes) -> NoReturn:
    raise ValueError(f"ext type {code} (only Timestamp is known)")


def _invalid(error: Exception) -> PayloadError:
    reason = str(error) or type(error).__name__
    return PayloadError(f"the payload is not valid msgpack: {reason[:100]}")


def _is_harmless(payload: bytes, limits: CodecLimits) -> bool:
    if len(payload) > limits.nodes:
        return False
    headers = sum(map(payload.count, (b"\xdc", b"\xdd", b"\xde", b"\xdf")))
    return headers * len(payload) * _POINTER <= _HARMLESS_ALLOCATION


def _check(payload: bytes, limits: CodecLimits) -> None:
    """Walk the headers: every declared length is there, nodes and depth are within the limits."""
    most = 2 * limits.nodes  # a map's keys are seen too
    levels = limits.depth * _LEVELS_PER_DEPTH + 2
    pos, size, seen = 0, len(payload), 0
    left = [1]  # values still to come, at each open level
    while left:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        if pos >= size:
            raise _invalid(ValueError("it ends too early"))
        seen += 1
        pos, count = _header(payload, pos)
        if seen + count > most:
            raise PayloadError(f"the payload has more than {limits.nodes} nodes ([limits] nodes)")
        if pos + count > size:
            raise _invalid(ValueError("it ends too early"))
        if count:
            left.append(count)
            if len(left) > levels:
                raise PayloadError(f"the payload is nested more than {limits.depth} deep ([limits] depth)")


def _header(payload: bytes, pos: int) -> tuple[int, int]:
    """Where the next header begins, and how many values belong to the one at `pos`."""
    code = payload[pos]
    pos += 1
    if code < 0x80 or code >= 0xE0:
        return pos, 0
    if code < 0x90:
        return pos, 2 * (code & 0x0F)
    if code < 0xA0:
        return pos, code & 0x0F
    if code < 0xC0:
        return pos + (code & 0x1F), 0
    if code in _SIZED or code in _EXT:
        width = _SIZED.get(code) or _EXT[code]
        return pos + width + int.from_bytes(payload[pos : pos + width], "big") + (code in _EXT), 0
    for table, values in ((_ARRAYS, 1), (_MAPS, 2)):
        if code in table:
            width = table[code]
            return pos + width, values * int.from_bytes(payload[pos : pos + width], "big")
    return pos + _FIXED.get(code, 0), 0
