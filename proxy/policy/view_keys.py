"""The keys of cached views: `@cache.cached` puts `view/` and the path of the request behind the app's key prefix."""

import re
from typing import Final

from proxy.codec.glob import Matcher, compile_glob

_VIEW: Final = b"view/"
_NAMES_VIEWS: Final = re.compile(rb"(?<![A-Za-z0-9])view/")
"""A pattern with this word is for views only. (`preview/` is another word.)"""
_ENDS_IN_STAR: Final = re.compile(rb"(?:[^\\]|\\.)*\*", re.DOTALL)
"""A pattern whose last byte is a star, and not a star with a backslash, which stands for itself."""


def keys_of_views(pattern: bytes) -> Matcher | None:
    """Matches keys of views among the keys that match `pattern`. None: the pattern does not tell which they are.

    The text before the last star of a pattern is taken for the app's key prefix.
    """
    if _NAMES_VIEWS.search(pattern):
        return compile_glob(b"*")
    if _ENDS_IN_STAR.fullmatch(pattern):
        return compile_glob(pattern[:-1] + _VIEW + b"*")
    return None
