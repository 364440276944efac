"""Recognises from its first two bytes how a value may be stored. It never needs the value itself."""

from collections.abc import Callable
from typing import Final

from proxy.resp.reply_framer import OLD_PICKLES

BYTES: Final = 2
"""The bytes of a value that are looked at."""
_MARK: Final = b"!"
_DIGITS: Final = frozenset(b"0123456789")
_JSON: Final = frozenset(b'{["tfn-0123456789')
_PICKLE: Final = OLD_PICKLES | {0x80}
"""The first byte of a pickle: PROTO from protocol 2 on."""


def _is_pickle(start: bytes) -> bool:
    return start[:1] != b"" and start[0] in _PICKLE


def _is_int(start: bytes) -> bool:
    return start.removeprefix(b"-")[:1] != b"" and start.removeprefix(b"-")[0] in _DIGITS


def is_flask(start: bytes) -> bool:
    """Whether a value begins with the mark of Flask's caches and a pickle."""
    return start[:1] == _MARK and _is_pickle(start[1:])


FITS: Final[dict[str, Callable[[bytes], bool]]] = {
    "flask": lambda start: is_flask(start) or _is_int(start),
    "django": lambda start: _is_pickle(start) or _is_int(start),
    "pickle": _is_pickle,
    "json": lambda start: start[:1] != b"" and start[0] in _JSON,
}
"""For each `stored` of a rule: whether the beginning of a value fits it."""
OWNERS: Final = {"flask": "Flask's", "django": "Django's", "pickle": "pickles", "json": "JSON"}
"""Such values in words, to follow "are"."""
