"""`key`: the keys that the libraries compute, for views, memoized functions and template fragments."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

import click

from proxy import codec
from proxy.cli.options import BYTES, NO, STATUS, Function, fail, json_option, looking_with, redis_of, settings_options
from proxy.cli.output import printable, write, write_object
from proxy.codec import CodecError, CodecLimits, Options, Transcoder
from proxy.inside import lines, recipes
from proxy.inside.recipes import LIBRARIES, Library, RecipeError

_ADDED = click.option(
    "--prefix", type=BYTES, default=recipes.PREFIX.decode(), show_default=True, help="The app's CACHE_KEY_PREFIX."
)
_BY_LIBRARY = click.option(
    "--library",
    type=click.Choice(list(LIBRARIES)),
    default=recipes.LATEST,
    show_default=True,
    callback=lambda _ctx, _param, name: LIBRARIES[name],
    help="Who computes it; flask-caching-2.4 stands for 1.10 to 2.4.",
)
_instance_option = click.option(
    "--instance", metavar="REPR", help="For a method: repr() of its object, or what its __caching_id__() returns."
)


@click.group(short_help="Compute the key of a view, a memoized result or a fragment.")
def key() -> None:
    """Compute a key exactly as the library does. Print it, or with --json an object.

    docs/keys.md has the same recipes for Go and Node.
    """


def _options(command: Function) -> Function:
    return _BY_LIBRARY(_ADDED(json_option(command)))


@key.command("view", epilog=STATUS, short_help="Of a view with @cache.cached().")
@_options
@click.argument("path", type=BYTES)
def view(library: Library, prefix: bytes, as_json: bool, path: bytes) -> None:
    """The key of a view with @cache.cached() (the same with every library).

    PATH is as in a URL; percent-escapes are decoded as Flask does, and a slash at the end is kept.
    """
    _print(as_json, _computed(lambda: recipes.view(prefix, _text(path))))


@key.command("query", epilog=STATUS, short_help="Of a view with @cache.cached(query_string=True).")
@_options
@click.argument("path", type=BYTES)
@click.argument("query", type=BYTES)
def query(library: Library, prefix: bytes, as_json: bool, path: bytes, query: bytes) -> None:
    """The key of a view with @cache.cached(query_string=True).

    PATH and QUERY are as in a URL; the order of QUERY does not matter: 'a=1&b=2'.
    """
    _print(as_json, _computed(lambda: recipes.query(library, prefix, _text(path), _text(query))))


@key.command("fragment", epilog=STATUS, short_help="Of a template's {% cache %} block.")
@_options
@click.argument("name")
@click.argument("vary_on", nargs=-1)
def fragment(library: Library, prefix: bytes, as_json: bool, name: str, vary_on: tuple[str, ...]) -> None:
    """The key of a template's {% cache timeout, NAME, VARY_ON... %} (the same with every library)."""
    _print(as_json, _computed(lambda: recipes.fragment(prefix, name, vary_on)))


@key.command("memver", epilog=STATUS, short_help="Of the version of a memoized function.")
@_options
@_instance_option
@click.argument("function")
def memver(library: Library, prefix: bytes, as_json: bool, instance: str | None, function: str) -> None:
    """The key of the version of a memoized FUNCTION (module.name), which is part of the keys of its results.

    For a method there are two: of the function, and of the instance.
    """
    for name in _computed(lambda: recipes.versions(library, prefix, function, instance)):
        _print(as_json, name)


@key.command(
    "memoize",
    epilog=STATUS,
    short_help="Of what a memoized function returned.",
    context_settings={"ignore_unknown_options": True},
)
@settings_options
@_options
@_instance_option
@click.option("--memver", "version", metavar="VERSION", help="Instead of reading it from Redis.")
@click.argument("function")
@click.argument("arguments", metavar="ARGS...", type=BYTES, nargs=-1)
def memoize(
    config: Path | None,
    upstream: str | None,
    library: Library,
    prefix: bytes,
    as_json: bool,
    instance: str | None,
    version: str | None,
    function: str,
    arguments: tuple[bytes, ...],
) -> None:
    """The key of what a memoized FUNCTION (module.name) returned for ARGS.

    ARGS are JSON, one for each parameter in its order, defaults included: 1 '"text"' '{"py/tuple": [1, 2]}'. The
    library hashes their repr(). So an object of the app's own and a set of several members have no key that could be
    computed here, nor has a function with **keywords or an OrderedDict, whose repr() depends on the version of Python.

    The version of the function is part of the key. It is read from Redis, and changes when the app forgets the
    function or the version expires. `key memver` says where it is.
    """
    given = [_argument(number, argument) for number, argument in enumerate(arguments, 1)]
    names = _computed(lambda: recipes.versions(library, prefix, function, instance))
    if version is None:
        version = "".join(_versions(config, upstream, names))
    chosen = version
    result = _computed(lambda: recipes.result(library, prefix, function, given, chosen, instance))
    if as_json:
        fields = {"key": lines.spelt(result), "memver": version, "memver_keys": list(map(lines.spelt, names))}
        write_object(fields)
    else:
        _print(False, result)


def _versions(config: Path | None, upstream: str | None, names: tuple[bytes, ...]) -> list[str]:
    """What Redis holds of a function's versions."""
    with redis_of(looking_with(config, upstream)) as store:
        found = {entry.key: entry.stored for entry in store.look(names)}
    return [_version(name, found.get(name)) for name in names]


def _version(name: bytes, stored: bytes | None) -> str:
    shown = printable(name)
    if stored is None:
        fail(
            f"{shown}: not in Redis: the function has not run, or its version has expired. Set one that the app will "
            f"take (flask-cache-proxy set {quote(shown)} '\"GOVER1\"' --ttl 3600), or give --memver",
            NO,
        )
    try:
        version = codec.loads(stored)
    except CodecError as error:
        fail(f"{shown}: cannot be decoded: {error}", NO)
    if not isinstance(version, str):
        fail(f"{shown}: no version, which is text: every call of the function runs uncached. Delete it", NO)
    return version


def _argument(number: int, raw: bytes) -> Any:
    """The Python value of an argument, whose repr() is what the library hashes."""
    try:
        stored = Transcoder(Options(limits=CodecLimits(payload_bytes=1024 * 1024))).encode(raw)
        value = codec.loads(stored)
    except CodecError as error:
        fail(f"argument {number}: {error}. Quote it for the shell, too: '\"text\"'")
    if not _has_one_repr(value):
        fail(f"argument {number}: the repr() of a set of several members, or an OrderedDict, is not always the same")
    return value


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
    except UnicodeEncodeError:  # a byte of the command line, which Python keeps as half a surrogate pair
        fail("the names and versions that keys are made of are text, which is UTF-8 here: what was given is not")


def _print(as_json: bool, name: bytes) -> None:
    if as_json:
        write_object({"key": lines.spelt(name)})
    else:
        write(name + b"\n")
