"""The headers of msgpack values, read without creating any object: by first byte, as in msgpack's spec.md."""

from typing import Final

# The size of the length field in bytes. For _FIXED, the size of the content.
_SIZED: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXT: Final = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED: Final = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_ARRAYS: Final = {0xDC: 2, 0xDD: 4}
_MAPS: Final = {0xDE: 2, 0xDF: 4}
_UNUSED: Final = 0xC1
"""The only byte that begins no value."""


def header(payload: bytes, pos: int) -> tuple[int, int]:
    """The position of the next header, and the number of values that belong to the header at `pos`."""
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


def agree(payload: bytes, most: int) -> bool:
    """Whether the headers fit the payload: all of them, or the first `most`. Strings are not looked at."""
    pos, left = 0, 1
    for _ in range(most):
        if pos + left > len(payload) or payload[pos] == _UNUSED:
            return False
        pos, count = header(payload, pos)
        left += count - 1
        if not left:
            return pos == len(payload)
    return pos + left <= len(payload)
