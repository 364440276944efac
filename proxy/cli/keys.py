"""`key`: computes the cache keys of views, memoized functions and template fragments, as the libraries do."""

import functools
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, Final, NamedTuple

import click

from proxy import codec
from proxy.cli.options import BYTES, NO, STATUS, fail, json_option, looking_with, redis_of, settings_options
from proxy.cli.output import write_object, write_payload
from proxy.codec import CodecError, CodecLimits, Options, Transcoder
from proxy.config import prefixes
from proxy.config.printable import printable
from proxy.inspection import cache_keys, ndjson
from proxy.inspection.cache_keys import LIBRARIES, Default, Library, RecipeError
from proxy.inspection.entries import Entry

_NOT_TEXT: Final = "the names and versions that keys are made of are text, which is UTF-8 here: what was given is not"
_Command = Callable[..., None]


def _one_prefix(context: click.Context, parameter: click.Parameter, value: bytes) -> bytes:
    """The prefix. Raises BadParameter if it is from the variable, which may have several, and has them."""
    source = context.get_parameter_source(str(parameter.name))
    if source is click.core.ParameterSource.ENVIRONMENT and b"," in value:
        raise click.BadParameter(f"{prefixes.VARIABLE} has several; choose one by the flag")
    return value


_PREFIX_OPTION = click.option(
    "--prefix",
    type=BYTES,
    default=cache_keys.PREFIX.decode(),
    envvar=prefixes.VARIABLE,
    show_envvar=True,
    show_default=True,
    callback=_one_prefix,
    help="The app's CACHE_KEY_PREFIX.",
)
_LIBRARY_OPTION = click.option(
    "--library",
    type=click.Choice(list(LIBRARIES)),
    default=cache_keys.LATEST,
    show_default=True,
    help="The library that computes it. flask-caching-2.4 stands for 1.10 to 2.4.",
)
_HASH_OPTION = click.option(
    "--hash",
    "digest",
    type=click.Choice(cache_keys.HASHES),
    help="The hash_method of the decorator, or the app's CACHE_HASH_METHOD, which Flask-Caching 2.5 reads. "
    "[default: sha256 from 2.5 on, md5 before]",
)
_KEY_PREFIX_OPTION = click.option(
    "--key-prefix",
    metavar="TEXT",
    default=cache_keys.VIEW,
    show_default=True,
    help="The key_prefix of the decorator. PATH replaces %s in it. For a callable, give the text that it returns.",
)
_INSTANCE_OPTION = click.option(
    "--instance",
    metavar="REPR",
    help="For a method: the repr() of its object, or the text that its __caching_id__() returns.",
)
_CLASS_OPTION = click.option(
    "--class",
    "of_class",
    metavar="NAME",
    help="For a class method: the class that it is called on, as module.name, or the class' repr().",
)


@click.group(short_help="Compute the key of a view, a memoized result or a fragment.")
def key() -> None:
    """Compute a key exactly as the library does, and print it (with --json, an object).

    An app with make_cache_key, make_name or source_check has other keys, which only the app can compute.

    docs/keys.md has the same recipes for Go and Node.
    """


def _options(command: _Command) -> _Command:
    """The options on which every key depends. `library` has the chosen hash."""

    @functools.wraps(command)
    def chosen(library: str, digest: str | None, prefix: bytes, **others: Any) -> None:
        hashing = _computed(lambda: cache_keys.hashing(LIBRARIES[library], digest))
        command(library=hashing, prefix=_computed(lambda: cache_keys.prefixed(prefix)), **others)

    return _LIBRARY_OPTION(_HASH_OPTION(_PREFIX_OPTION(json_option(chosen))))


class _Owner(NamedTuple):
    """The owner of a method."""

    instance: str | None
    """The instance, which has a version of its own."""
    first: str | None
    """The text for `self` or `cls` among the arguments."""


def _owner_options(command: _Command) -> _Command:
    @functools.wraps(command)
    def owned(instance: str | None, of_class: str | None, **others: Any) -> None:
        if instance is not None and of_class is not None:
            fail("--instance is for a method, --class for a class method: not both")
        first = instance if of_class is None else _computed(lambda: cache_keys.class_of(of_class))
        command(owner=_Owner(instance, first), **others)

    return _INSTANCE_OPTION(_CLASS_OPTION(owned))


@key.command("view", epilog=STATUS, short_help="The key of a view with @cache.cached().")
@_options
@_KEY_PREFIX_OPTION
@click.argument("path", type=BYTES, required=False)
def view(library: Library, prefix: bytes, as_json: bool, key_prefix: str, path: bytes | None) -> None:
    """The key of a view with @cache.cached() (the same with every library and hash).

    PATH is as in a URL. Percent-escapes are decoded as Flask does. A slash at the end is kept. A --key-prefix without
    %s needs no PATH.
    """
    _print(as_json, _computed(lambda: cache_keys.view(prefix, None if path is None else _text(path), key_prefix)))


@key.command("query", epilog=STATUS, short_help="The key of a view with @cache.cached(query_string=True).")
@_options
@_KEY_PREFIX_OPTION
@click.argument("path", type=BYTES)
@click.argument("query", type=BYTES)
def query(library: Library, prefix: bytes, as_json: bool, key_prefix: str, path: bytes, query: bytes) -> None:
    """The key of a view with @cache.cached(query_string=True).

    PATH and QUERY are as in a URL: /search 'a=1&b=2'. The order of QUERY does not matter. A ? in front of it is
    ignored. Up to 2.4 Flask-Caching ignores the key_prefix of such a view.
    """
    _print(as_json, _computed(lambda: cache_keys.query(library, prefix, _text(path), _text(query), key_prefix)))


@key.command("fragment", epilog=STATUS, short_help="The key of a template's {% cache %} block.")
@_options
@click.argument("name")
@click.argument("vary_on", nargs=-1)
def fragment(library: Library, prefix: bytes, as_json: bool, name: str, vary_on: tuple[str, ...]) -> None:
    """The key of a template's {% cache timeout, NAME, VARY_ON... %} (the same with every library)."""
    _print(as_json, _computed(lambda: cache_keys.fragment(prefix, name, vary_on)))


@key.command("memver", epilog=STATUS, short_help="The key of a memoized function's version.")
@_options
@_owner_options
@click.argument("function")
def memver(library: Library, prefix: bytes, as_json: bool, owner: _Owner, function: str) -> None:
    """The key of the version of a memoized FUNCTION. The version is part of the keys of its results.

    FUNCTION is module.name: shop.total, shop.Cart.total. A method has two such keys: of the function, and of the
    instance. A class method has one.
    """
    for name in _computed(lambda: cache_keys.versions(library, prefix, function, owner.instance)):
        _print(as_json, name)


@key.command(
    "memoize",
    epilog=STATUS,
    short_help="The key of a memoized function's result.",
    context_settings={"ignore_unknown_options": True},
)
@settings_options
@_options
@_owner_options
@click.option("--memver", "version", metavar="VERSION", help="The version. Without it, it is read from Redis.")
@click.option(
    "--keyword",
    "keywords",
    type=BYTES,
    multiple=True,
    metavar="NAME=JSON",
    help="A keyword-only argument, or one of **keywords, that the call passes. May be given several times.",
)
@click.option(
    "--python",
    type=click.Choice(["3.11", "3.12"]),
    help="The app's Python, which --keyword depends on: 3.11 and older, or 3.12 and newer.",
)
@click.argument("function")
@click.argument("arguments", metavar="ARGS...", type=BYTES, nargs=-1)
def memoize(
    config: Path | None,
    upstream: str | None,
    library: Library,
    prefix: bytes,
    as_json: bool,
    owner: _Owner,
    version: str | None,
    keywords: tuple[bytes, ...],
    python: str | None,
    function: str,
    arguments: tuple[bytes, ...],
) -> None:
    """The key of the result of a memoized FUNCTION for ARGS.

    FUNCTION is module.name: shop.total, shop.Cart.total. ARGS are JSON: 1 '"text"' '{"py/tuple": [1, 2]}'. Give one for
    each parameter, in the order of the parameters, even if the call passes it by name.

    If the call leaves a parameter out, write default= and its default: default=0. (Up to Flask-Caching 2.4 a false
    default has another key than the same value when the call passes it.) If args_to_ignore names a parameter, write
    null.

    Keyword-only parameters are not among ARGS. Give those that the call passes by --keyword. The others are not in the
    key. Values of *arguments follow ARGS. Flask-Cache ignores *arguments and **keywords.

    The library hashes the repr() of these values. So no key can be computed for objects of the app's own classes, for
    sets of several members, and for an OrderedDict. Its repr() depends on the version of Python.

    The version of the function is part of the key. The app finds the result only while the version lives. This command
    reads the version from Redis. With --json, memver_ttl is its remaining life in seconds. `key memver` prints its
    key. `set --memver-key` makes it live at least as long as the value.
    """
    names = _computed(lambda: cache_keys.versions(library, prefix, function, owner.instance))
    given = [_argument(f"argument {number}", argument) for number, argument in enumerate(arguments, 1)]
    passed = _keywords(library, keywords, python)
    if version == "":
        fail("--memver is empty: give what lies under the keys that `key memver` prints, or leave the option out")
    found = _Versions(version, {}) if version is not None else _versions(config, upstream, names)
    result = _computed(lambda: cache_keys.result(library, prefix, function, given, found.text, owner.first, passed))
    if as_json:
        fields = {"key": ndjson.spelt(result), "memver": found.text, "memver_keys": list(map(ndjson.spelt, names))}
        write_object({**fields, **found.lives})
    else:
        _print(False, result)


class _Versions(NamedTuple):
    """The versions of a function and of its instance."""

    text: str
    """The versions, joined."""
    lives: dict[str, Any]
    """A field for JSON: the seconds until the first of them expires. None: no expiry."""


def _versions(config: Path | None, upstream: str | None, names: tuple[bytes, ...]) -> _Versions:
    """Read a function's versions from Redis. Ends the command if one is missing."""
    with redis_of(looking_with(config, upstream)) as store:
        found = {entry.key: entry for entry in store.look(names)}
    for name in names:
        if name not in found:
            shown = printable(name)
            fail(
                f"{shown}: not in Redis: the function has not run, or its version has expired. Set one that the app "
                f"will use (flask-cache-proxy set {quote(shown)} '\"GOVER1\"' --ttl 3600) and each result with "
                f"--memver-key {quote(shown)}; or give --memver",
                NO,
            )
    ttls = [entry.ttl for entry in found.values() if entry.ttl is not None]
    lives = ndjson.seconds(min(ttls)) if ttls else None
    return _Versions("".join(version_of(found[name]) for name in names), {"memver_ttl": lives})


def version_of(entry: Entry) -> str:
    """The version in an entry of a memoized function. Ends the command if it is invalid."""
    shown = printable(entry.key)
    try:
        version = codec.loads(entry.stored)
    except CodecError as error:
        fail(f"{shown}: cannot be decoded: {error}", NO)
    if not isinstance(version, str):
        fail(f"{shown}: a version must be text, and this is not: the function runs uncached. Delete the key", NO)
    return version


_DEFAULT: Final = b"default="


_NAMED: Final = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*=")


def _argument(what: str, raw: bytes) -> Any:
    if raw.startswith(b"--"):
        fail(f"{what}: no such option: {printable(raw)}")
    if raw.startswith(_DEFAULT):
        return Default(_value(what, raw.removeprefix(_DEFAULT)))
    if _NAMED.match(raw):
        fail(
            f"{what}: ARGS have no names. Write the value at the place of its parameter, even if the call passes it by "
            f"name. For a keyword-only parameter: --keyword {printable(raw)}"
        )
    return _value(what, raw)


def _value(what: str, raw: bytes) -> Any:
    """The Python value of an argument. The library hashes its repr()."""
    try:
        stored = Transcoder(Options(limits=CodecLimits(payload_bytes=1024 * 1024))).encode(raw)
        value = codec.loads(stored)
    except CodecError as error:
        fail(f"{what}: {error}. Python's True, False and None are true, false and null; text is '\"text\"' in a shell")
    if not _has_one_repr(value):
        fail(f"{what}: the library hashes the repr(), which varies for a set of several members and for an OrderedDict")
    return value


def _keywords(library: Library, given: Sequence[bytes], python: str | None) -> str:
    """The library's text for keyword arguments. Empty if there are no keyword arguments."""
    if not given:
        return ""
    passed = {}
    for each in given:
        name, is_there, raw = each.partition(b"=")
        if not (name and is_there):
            fail(f"--keyword {printable(each)}: write a name, = and JSON: --keyword deep=true")
        try:
            keyword = name.decode()
        except UnicodeDecodeError:
            fail(_NOT_TEXT)
        if keyword in passed:
            fail(f"--keyword {printable(name)} is given twice")
        passed[keyword] = _value(f"--keyword {printable(name)}", raw)
    spelt = _computed(lambda: cache_keys.keywords_of(library, passed, braces=python == "3.12"))
    if python is None:
        fail("--keyword depends on the app's Python: add --python 3.11 (also for older) or 3.12 (also for newer)")
    return str(spelt)


def _has_one_repr(value: Any) -> bool:
    if isinstance(value, set | frozenset):
        return len(value) < 2 and all(map(_has_one_repr, value))
    if isinstance(value, OrderedDict):
        return not value
    if isinstance(value, dict):
        return all(map(_has_one_repr, (*value.keys(), *value.values())))
    return all(map(_has_one_repr, value)) if isinstance(value, list | tuple) else True


def _text(argument: bytes) -> str:
    return argument.decode(errors="replace")


def _computed(recipe: Callable[[], Any]) -> Any:
    try:
        return recipe()
    except RecipeError as error:
        fail(str(error))
    except UnicodeEncodeError:  # an invalid byte on the command line, which Python keeps as a lone surrogate
        fail(_NOT_TEXT)


def _print(as_json: bool, name: bytes) -> None:
    if as_json:
        write_object({"key": ndjson.spelt(name)})
    else:
        write_payload(name + b"\n", is_json=False)
