"""Cache keys as the libraries compute them, for who was not there when they did. Pure: text to bytes.

Measured on Flask-Cache 0.13.1 and Flask-Caching 1.10.1 to 2.5.1 on Python 3, and proven against them by `tests/stacks`.
What an app changes with `key_prefix`, `make_cache_key`, `make_name`, `hash_method` or `source_check` is not known here.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

PREFIX: Final = b"flask_cache_"
"""CACHE_KEY_PREFIX, unless the app sets it."""

_VALID: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")
_STRIPPED: Final = {code: None for code in range(256) if code not in _VALID}
"""What Flask-Caching 2.5 takes out of names. The ones before have the same table, but spelt so that it does nothing."""


class RecipeError(Exception):
    """What no key can be computed of. `str()` says why, and what to do."""


class Library(NamedTuple):
    """What a library's keys depend on."""

    digest: str
    """hashlib's name of its default `hash_method`."""
    keywords: str
    """How it spells that a memoized function was given no keywords."""
    query: str | None
    """What stands before the path of a view with `query_string=True`; None: it has no such option."""
    strips: bool
    """It takes all but letters, digits, `_` and `.` out of the names of functions and instances."""


LIBRARIES: Final = {
    "flask-cache": Library("md5", "{}", None, strips=False),
    "flask-caching-2.4": Library("md5", "OrderedDict()", "", strips=False),
    "flask-caching-2.5": Library("sha256", "OrderedDict()", "view/", strips=True),
}
"""Flask-Cache 0.13, Flask-Caching 1.10 to 2.4, and from 2.5 on. (Older ones were not measured.)"""

LATEST: Final = "flask-caching-2.5"


def view(prefix: bytes, path: str) -> bytes:
    """The key of `@cache.cached()` on a view: every library has the same.

    `path`: as in a URL, percent-escapes and all, without a query. Raises RecipeError.
    """
    return b"%sview/%s" % (prefix, _decoded(path).encode())


def query(library: Library, prefix: bytes, path: str, arguments: str) -> bytes:
    """The key of `@cache.cached(query_string=True)` on a view.

    `arguments`: the query as in a URL, in any order. Raises RecipeError.
    """
    if library.query is None:
        raise RecipeError("Flask-Cache has no query_string=True: its key is that of the path alone (key view)")
    if "#" in arguments:
        raise RecipeError("a query ends before a #, which no server sees; one of the query itself is written %23")
    try:
        pairs = parse_qsl(arguments.removeprefix("?"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RecipeError("the query is not UTF-8 once decoded, which each Werkzeug reads in its own way") from None
    except ValueError as error:
        raise RecipeError(f"the query cannot be read: {error}") from None
    text = str(tuple(sorted(pairs))).encode()
    return b"%s%s%s" % (prefix, f"{library.query}{_decoded(path)}".encode(), _hash(library, text).hexdigest().encode())


def versions(library: Library, prefix: bytes, function: str, instance: str | None = None) -> tuple[bytes, ...]:
    """The keys that hold the version of a memoized function, which is part of the keys of its results.

    `function`: module and qualified name, `shop.prices.total`. `instance`: for a method, the repr() of its object, or
    what its `__caching_id__()` returns: then there is a second key, and the version is both values in a row.
    """
    names = [_name(library, function)]
    if instance:
        names.append(_name(library, f"{function}.{instance}"))
    return tuple(b"%s%s_memver" % (prefix, name.encode()) for name in names)


def result(
    library: Library, prefix: bytes, function: str, arguments: Sequence[Any], version: str, instance: str | None = None
) -> bytes:
    """The key of what a memoized function returned.

    `arguments`: one for each parameter, in their order, defaults included. `version`: what `versions` hold.
    """
    given = tuple(arguments) if instance is None else (instance, *arguments)
    text = f"{_name(library, function)}{given!r}{library.keywords}"
    digest = base64.b64encode(_hash(library, text.encode()).digest())[:16]
    return b"%s%s%s" % (prefix, digest, version.encode())


def fragment(prefix: bytes, name: str, vary_on: Sequence[str] = ()) -> bytes:
    """The key of `{% cache timeout, name, *vary_on %}`: every library has the same."""
    parts = "_".join((name, *vary_on))
    return b"%s_template_fragment_cache_%s" % (prefix, parts.encode())


def _decoded(path: str) -> str:
    """What Werkzeug calls `request.path`."""
    if not path.startswith("/"):
        raise RecipeError("a path begins with /")
    if "?" in path or "#" in path:
        raise RecipeError(
            "a path has no query: @cached() ignores it, and with query_string=True the key is another (key query); "
            "a ? or # of the path itself is written %3F or %23"
        )
    return unquote_to_bytes(path).decode(errors="replace")


def _name(library: Library, name: str) -> str:
    return name.translate(_STRIPPED) if library.strips else name


def _hash(library: Library, text: bytes) -> Any:
    return hashlib.new(library.digest, text, usedforsecurity=False)
