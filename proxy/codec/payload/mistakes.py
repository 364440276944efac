"""Names the usual mistakes behind a payload that its format does not allow, such as the port of the other format.

Only errors come here. However large the payload is, a bounded part of it is looked at. The text after a semicolon says
what the writer can do.
"""

import codecs
import re
from typing import Final

from proxy.codec.payload import msgpack_headers

EMPTY: Final = "it is empty (null or undefined?)"
"""Clients in JavaScript send an empty text for null and undefined."""

_MOST_HEADERS: Final = 256
_MOST_CHARS: Final = 64
_WHITESPACE: Final = b" \t\n\r"
_PAIRS: Final = frozenset({b"{}", b"[]", b'""'})
"""The first and the last byte of an object, array or string in JSON."""
_WORD: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_PICKLE: Final = re.compile(rb"!?\x80[\x02-\x05].", re.DOTALL)
_BYTE_ORDER_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_JAVASCRIPT: Final = {
    b"[object Object]": 'it is JavaScript\'s "[object Object]"; encode the object before you send it',
    b"undefined": "it is JavaScript's undefined",
}
_IS_PICKLE: Final = "it is a pickle; does the Flask app itself use this port?"


def _elsewhere(name: str) -> str:
    return f'it looks like {name}; send that to a listener with payload = "{name.lower()}"'


def in_json(payload: bytes) -> str:
    """The mistake behind a payload that is not JSON. Empty: it is unknown."""
    if payload.startswith(_BYTE_ORDER_MARKS):
        return "it begins with a byte order mark; send UTF-8 without one"
    return _common(payload) or (_elsewhere("msgpack") if _is_like_msgpack(payload) else "")


def in_msgpack(payload: bytes) -> str:
    """The mistake behind a payload that is not msgpack. Empty: it is unknown."""
    return _common(payload) or (_elsewhere("JSON") if _is_like_json(payload) else "")


def _common(payload: bytes) -> str:
    if not payload:
        return EMPTY
    return _IS_PICKLE if _PICKLE.match(payload) else _JAVASCRIPT.get(payload, "")


def _is_like_msgpack(payload: bytes) -> bool:
    """Whether a payload that is not JSON is msgpack, as far as its headers tell.

    A text in UTF-8 may look like msgpack too. So only a control byte counts there, which is a small int alone.
    """
    if payload[0] < 0x80:
        return len(payload) == 1 and payload[0] < 0x20
    is_text_possible = payload[0] > 0xC1 and _is_utf8(payload)
    return not is_text_possible and msgpack_headers.agree(payload, _MOST_HEADERS)


def _is_utf8(payload: bytes) -> bool:
    """Whether the first bytes are UTF-8. Of a longer payload, the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(payload[:_MOST_CHARS], len(payload) <= _MOST_CHARS)
    except UnicodeDecodeError:
        return False
    return True


def _is_like_json(payload: bytes) -> bool:
    first = payload[:_MOST_CHARS].lstrip(_WHITESPACE)[:1]
    last = payload[-_MOST_CHARS:].rstrip(_WHITESPACE)[-1:]
    if first + last in _PAIRS:
        return True
    return len(payload) <= _MOST_CHARS and _WORD.fullmatch(payload.strip(_WHITESPACE)) is not None
