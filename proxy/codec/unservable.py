"""Stored values that Flask cannot serve as a cached view: numbers, bools and null.

`@cache.cached` returns the cached value in place of the view's result. Every Flask since 0.12 answers 500 to a number
or a bool, until the value expires. Flask-Caching takes null for a missing value; with `cache_none` it is a 500 too.
So no view needs them. Other values are not checked. Whether Flask serves them depends on its version: a list is served
from 2.2 on.

Only what our own encoders write is recognised.
"""

import re
from typing import Final

from proxy.codec.errors import PayloadError


def _symbol(module: bytes, name: bytes) -> bytes:
    """The code of a class, which is the first in its pickle, in protocols 4 and 5, 3, or 2."""
    older = b"__builtin__" if module == b"builtins" else module
    return rb"(?:\x8c.%b\x94\x8c.%b\x94\x93\x94|c(?:%b|%b)\n%b\nq\x00)" % (module, name, module, older, name)


_TEXT: Final = rb"(?:\x8c.[\x00-\x7f]*\x94?|X....[\x00-\x7f]*(?:q.)?)"
_DECIMAL: Final = _symbol(b"decimal", b"Decimal") + _TEXT + rb"\x85R"
_COMPLEX: Final = _symbol(b"builtins", b"complex") + rb"G.{8}G.{8}\x86R"
_PICKLED: Final = re.compile(
    rb"!\x80[\x02-\x05](?:\x95.{8})?(?:N|\x88|\x89|G.{8}|%b|%b)\." % (_DECIMAL, _COMPLEX), re.DOTALL
)
_CONTAINERS_AND_TEXTS: Final = b'{["'
"""The first bytes of other values where a rule stores JSON. Without a pickle, all else is a number or a word."""


def is_servable(stored: bytes) -> bool:
    """False for a number, a bool or null that our encoder has written."""
    if not stored.startswith(b"!"):
        return stored[:1] in _CONTAINERS_AND_TEXTS
    return _PICKLED.fullmatch(stored) is None


def fault(stored: bytes) -> PayloadError | None:
    """The error if Flask cannot serve the value; None: it can."""
    if is_servable(stored):
        return None
    return PayloadError(
        "a number, bool or null under the key of a cached view: Flask would answer 500 to every visitor;"
        " check_views = false in the rule allows it",
        reason="unservable",
    )
