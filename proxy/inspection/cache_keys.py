"""Computes cache keys exactly as the Flask libraries do. Pure: text to bytes.

Measured on Flask-Cache 0.13.1 and Flask-Caching 1.10.1 to 2.5.1 on Python 3. `tests/stacks` compares with them. If an
app has a callable `key_prefix`, `make_cache_key`, `make_name` or `source_check`, only the app can compute its keys.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

PREFIX: Final = b"flask_cache_"
"""The default of CACHE_KEY_PREFIX."""

VIEW: Final = "view/%s"
"""The default `key_prefix` of `@cache.cached()`."""

HASHES: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
"""The values of `hash_method` that Flask-Caching supports."""

_VALID: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")
_STRIPPED: Final = {code: None for code in range(256) if code not in _VALID}
"""The characters that Flask-Caching 2.5 removes from names. Older versions have the table too, but it has no effect."""

_DEFAULT_REPR: Final = re.compile(r" at 0x[0-9A-Fa-f]+>")
"""The default repr() of an object, such as `<shop.Cart object at 0x7f3a52c1d0>`."""

_FUNCTION: Final = re.compile(r"[^\s().:/-][^\s():/]*\.[^\s().:/]+")
"""A module and a qualified name: `shop.total`, `shop.make.<locals>.total`. The module's name may have a hyphen."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class RecipeError(Exception):
    """No key can be computed from the arguments. `str()` gives the reason and what to do."""


class Library(NamedTuple):
    """The properties of a library that its keys depend on."""

    digest: str
    """hashlib's name of its default `hash_method`."""
    keywords: str
    """Its text for a call without keyword arguments."""
    queries: str | None
    """The `key_prefix` before the hash of a query. "": the app's `key_prefix`. None: it has no `query_string`."""
    strips: bool
    """It removes all but letters, digits, `_` and `.` from the names of functions and instances."""
    drops: bool
    """It replaces a false default (0, "", False, [], ()) by None."""


LIBRARIES: Final = {
    "flask-cache": Library("md5", "{}", None, strips=False, drops=False),
    "flask-caching-2.4": Library("md5", "OrderedDict()", "%s", strips=False, drops=True),
    "flask-caching-2.5": Library("sha256", "OrderedDict()", "", strips=True, drops=False),
}
"""Flask-Cache 0.13, Flask-Caching 1.10 to 2.4, and Flask-Caching from 2.5 on. Older versions were not measured."""

LATEST: Final = "flask-caching-2.5"


class Default(NamedTuple):
    """An argument that the call leaves out. `value` is the default of its parameter."""

    value: Any


def prefixed(prefix: bytes) -> bytes:
    """Check the app's CACHE_KEY_PREFIX and return it. Raises RecipeError for the repr() of a callable."""
    if _DEFAULT_REPR.search(prefix.decode("latin-1")):
        raise RecipeError("only the app knows the result of a callable CACHE_KEY_PREFIX: give that text instead")
    return prefix


def hashing(library: Library, digest: str | None) -> Library:
    """A library with the app's `hash_method`, one of HASHES. None: the library's default. Raises RecipeError."""
    if digest is None or digest == library.digest:
        return library
    if library.queries is None:
        raise RecipeError("Flask-Cache has no hash_method: it hashes with MD5")
    return library._replace(digest=digest)


def view(prefix: bytes, path: str | None, key_prefix: str = VIEW) -> bytes:
    """The key of `@cache.cached()` on a view, the same in every library.

    `path`: as in a URL, with percent-escapes and without a query. If `key_prefix` has no `%s`, no path is needed.
    Raises RecipeError.
    """
    return prefix + _placed(key_prefix, path).encode()


def query(library: Library, prefix: bytes, path: str, arguments: str, key_prefix: str = VIEW) -> bytes:
    """The key of `@cache.cached(query_string=True)` on a view.

    `arguments`: the query as in a URL, in any order, with or without a `?` in front. Raises RecipeError.
    """
    if library.queries is None:
        raise RecipeError("Flask-Cache has no query_string=True: its key is that of the path alone (key view)")
    _reject_controls("a query", arguments)
    if "#" in arguments:
        raise RecipeError("a query ends before a #, which browsers do not send; write a # of the query as %23")
    try:
        pairs = parse_qsl(arguments.removeprefix("?"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RecipeError("the decoded query is not UTF-8, which each version of Werkzeug reads differently") from None
    except ValueError as error:
        raise RecipeError(f"the query cannot be read: {error}") from None
    digest = _hash(library, str(tuple(sorted(pairs))).encode()).hexdigest()
    return prefix + f"{_placed(library.queries or key_prefix, path)}{digest}".encode()


def versions(library: Library, prefix: bytes, function: str, instance: str | None = None) -> tuple[bytes, ...]:
    """The keys of a memoized function's version, which is part of the keys of its results.

    `function`: module and qualified name, such as `shop.prices.total`. `instance`: for a method, the repr() of its
    object or the result of its `__caching_id__()`. A method has two keys, and its version is both values joined. A
    class method has one key. Raises RecipeError.
    """
    names = [_name(library, _named(function))]
    if instance:
        names.append(_name(library, f"{function}.{_identified(instance)}"))
    return tuple(b"%s%s_memver" % (prefix, name.encode()) for name in names)


def class_of(name: str) -> str:
    """The text for `cls` in the key of a class method's result: the repr() of the class with this dotted name.

    A name that begins with `<` is taken as the repr() itself, for classes with a special metaclass. Raises RecipeError.
    """
    name.encode()  # raises UnicodeEncodeError for invalid text, which repr() would accept
    if name.startswith("<"):
        return name
    if "." not in name:
        raise RecipeError(f"a class is named by its module and name, such as shop.{name}")
    return f"<class '{name}'>"


def result(
    library: Library,
    prefix: bytes,
    function: str,
    arguments: Sequence[Any],
    version: str,
    owner: str | None = None,
    keywords: str = "",
) -> bytes:
    """The key of a memoized function's result.

    `arguments`: one for each parameter, in their order. It is a Default if the call leaves it out, and None if
    `args_to_ignore` names it. `version`: the values under the keys of `versions`, joined. `owner`: the text for `self`
    (like the `instance` of `versions`) or for `cls` (see `class_of`). `keywords`: see `keywords_of`.
    """
    given = [_hashed(library, each) for each in arguments]
    shown = tuple(given if owner is None else (owner, *given))
    text = f"{_name(library, function)}{shown!r}{keywords or library.keywords}"
    digest = base64.b64encode(_hash(library, text.encode()).digest())[:16]
    return b"%s%s%s" % (prefix, digest, version.encode())


def keywords_of(library: Library, passed: Mapping[str, Any], *, braces: bool) -> str:
    """A library's text for the passed keyword-only arguments and `**keywords` in a result's key.

    `braces`: print an OrderedDict like Python 3.12 and newer. Raises RecipeError.
    """
    if library.queries is None:
        raise RecipeError("Flask-Cache has no keyword-only arguments and no **keywords in its keys: leave them out")
    items = sorted(passed.items())
    return f"OrderedDict({dict(items) if braces else items!r})"


def fragment(prefix: bytes, name: str, vary_on: Sequence[str] = ()) -> bytes:
    """The key of `{% cache timeout, name, *vary_on %}`, the same in every library. Raises RecipeError."""
    parts = "_".join((name, *vary_on))
    if _DEFAULT_REPR.search(parts):
        raise RecipeError("Python's text for such an object contains its address: no other process has this key")
    return b"%s_template_fragment_cache_%s" % (prefix, parts.encode())


def _placed(key_prefix: str, path: str | None) -> str:
    """The part of the key after the app's CACHE_KEY_PREFIX."""
    if _DEFAULT_REPR.search(key_prefix):
        raise RecipeError("only the app knows the result of a callable key_prefix: give that text instead")
    if "%s" not in key_prefix:
        return key_prefix
    if path is None:
        raise RecipeError("PATH is missing: the path of the page takes the place of %s in the key_prefix")
    try:
        return key_prefix % _decoded(path)
    except (TypeError, ValueError):
        raise RecipeError("Python cannot format this key_prefix: next to a %s, write any other % as %%") from None


def _decoded(path: str) -> str:
    """Werkzeug's `request.path` for a path of a URL."""
    if not path.startswith("/"):
        raise RecipeError("a path begins with /")
    _reject_controls("a path", path)
    if "?" in path or "#" in path:
        raise RecipeError(
            "a path has no query: @cached() ignores it, and query_string=True has another key (key query); "
            "write a ? or # of the path itself as %3F or %23"
        )
    return unquote_to_bytes(path).decode(errors="replace")


def _reject_controls(what: str, text: str) -> None:
    """Raise RecipeError for control characters: browsers never send them unescaped."""
    if found := _CONTROL.search(text):
        raise RecipeError(f"{what} has no control characters: write %{ord(found[0]):02X} instead")


def _named(function: str) -> str:
    """Check a function's full name, with its module, and return it."""
    if function.startswith("-"):
        raise RecipeError(f"no such option: {function}")
    if not _FUNCTION.fullmatch(function):
        raise RecipeError("a function is named by its module and its qualified name: shop.total, shop.Cart.total")
    return function


def _identified(instance: str) -> str:
    """Check the repr() of an object and return it. It must be the same in each process."""
    if _DEFAULT_REPR.search(instance):
        raise RecipeError(
            "the default repr() of an object contains its address, which differs in each process: only the app can "
            "compute the key. Give the class a __repr__() that distinguishes its objects"
        )
    if instance.startswith("<class "):
        raise RecipeError("a class method has one version for all classes: use --class instead of --instance")
    return instance


def _hashed(library: Library, argument: Any) -> Any:
    if not isinstance(argument, Default):
        return argument
    return None if library.drops and not argument.value else argument.value


def _name(library: Library, name: str) -> str:
    return name.translate(_STRIPPED) if library.strips else name


def _hash(library: Library, text: bytes) -> Any:
    return hashlib.new(library.digest, text, usedforsecurity=False)
