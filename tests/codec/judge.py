"""Judges the meaning of a stored value: with CPython's own unpickler, only known classes, and a normal form.

As a program, it reads lines of `stored<TAB>rewritten` (hex) and prints a JSON list of verdicts. It sets limits for
itself, because the values may be hostile. With the argument `clock`, it reads lines of `stored` and prints the CPU
seconds to load each, or the error. It needs neither Flask nor Werkzeug nor the package under test.
"""

import collections
import datetime
import json
import pickle
import sys
import time
import types
from typing import Any

KNOWN = {
    *(("builtins", name) for name in ("bytearray", "bytes", "complex", "frozenset", "getattr", "object", "set", "str")),
    *(("__builtin__", name) for name in ("bytearray", "bytes", "complex", "frozenset", "getattr", "object", "set")),
    *(("__builtin__", name) for name in ("str", "unicode")),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("_codecs", "encode"),
    *(("collections", name) for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
    *(("builtins", name) for name in ("bool", "dict", "float", "int", "list", "tuple")),
    *(("__builtin__", name) for name in ("bool", "dict", "float", "list", "long", "tuple")),
    ("copyreg", "_reconstructor"),
    ("copy_reg", "_reconstructor"),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
    ("zoneinfo", "ZoneInfo"),
}
STUBS = {
    ("flask.wrappers", "Response"),
    ("flask_caching", "CachedResponse"),
    ("markupsafe", "Markup"),
    ("pytz", "FixedOffset"),
    ("pytz", "_UTC"),
    ("werkzeug.datastructures", "Headers"),
    ("werkzeug.datastructures.headers", "Headers"),
    ("werkzeug.wrappers", "Response"),
    ("werkzeug.wrappers.response", "Response"),
}


class Response:
    """A stand-in for a Response."""


class Headers:
    """A stand-in for the headers of a Response."""


class Markup(str):
    """As in markupsafe."""

    __slots__ = ()


def _stub(name: str) -> Any:
    return {
        "FixedOffset": lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)),
        "Headers": Headers,
        "Markup": Markup,
        "_UTC": lambda: datetime.UTC,
    }.get(name, Response)


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Keep a pickle from importing anything else."""
    if event == "pickle.find_class" and arguments not in KNOWN | STUBS:
        raise pickle.UnpicklingError(".".join(arguments))


def _prepare() -> None:
    """Install stand-ins for the modules that cached values name, and refuse all other modules."""
    for package in ("flask", "werkzeug"):
        sys.modules.setdefault(package, types.ModuleType(package)).__path__ = []
    for module, name in STUBS:
        sys.modules.setdefault(module, types.ModuleType(module)).__dict__[name] = _stub(name)
    sys.addaudithook(_guard)


def load(stored: bytes, encoding: str = "latin1") -> Any:
    """The value that a Flask app loads, including Python 2's bytes."""
    if stored.startswith(b"!"):
        return pickle.loads(stored[1:], encoding=encoding, errors="surrogateescape")
    try:
        return int(stored)
    except ValueError:
        return stored


def _parts(value: Any) -> list[Any]:
    """The normal form of a value of a class: lists of strings and of other values."""
    kind = type(value)
    if kind is float:
        return ["nan" if value != value else value.hex()]
    if kind is complex:
        return [normal(value.real), normal(value.imag)]
    if kind in (bytes, bytearray):
        return [value.hex()]
    if kind in (datetime.datetime, datetime.time):
        return [value.replace(tzinfo=None, fold=0).isoformat(), str(value.utcoffset()), *_zone_name(value.tzinfo)]
    if isinstance(value, Response):
        return _response(value)
    return [str(value)]


def _zone_name(zone: Any) -> list[str]:
    """The normal form of a zone without a fixed offset."""
    return [] if zone is None or zone.utcoffset(None) is not None else [zone.key]


def _response(value: Any) -> list[Any]:
    parts = (part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part for part in value.response)
    body = b"".join(parts)
    return [value._status_code, [list(pair) for pair in value.headers._list], body.hex()]


def normal(value: Any) -> list[Any]:
    """The normal form of a value with its types: NaN equals NaN, -0.0 differs from 0, and True differs from 1."""
    kind = type(value)
    name = "Response" if isinstance(value, Response) else kind.__name__
    if value is None or kind in (str, bool):
        return [name, value]
    if kind is int:
        return [name, hex(value)]
    if kind in (list, tuple):
        return [name, [normal(each) for each in value]]
    if kind is collections.deque:
        return [name, [normal(each) for each in value], value.maxlen]
    if kind in (set, frozenset):
        return [name, sorted((normal(each) for each in value), key=json.dumps)]
    if kind is collections.defaultdict:
        name += f"({getattr(value.default_factory, '__name__', None)})"
    if isinstance(value, dict):
        return [name, [[normal(key), normal(each)] for key, each in value.items()]]
    return [name, *_parts(value)]


def _verdict(stored: bytes, rewritten: bytes) -> str:
    ours = normal(load(rewritten))
    # Latin-1 makes bytes of Python 2 the state of a date again, the other the body of a Response.
    for encoding in ("latin1", "utf-8"):
        try:
            expected = load(stored, encoding)
        except Exception as error:  # whatever a broken pickle can raise
            return f"unloadable: {type(error).__name__}: {error}"
        if normal(expected) == ours:
            return "same"
    return "different"


def _clocked(stored: bytes) -> float | str:
    start = time.process_time()
    try:
        load(stored)
    except Exception as error:  # whatever loading may raise
        return f"unloadable: {type(error).__name__}: {error}"
    return time.process_time() - start


def _limit(resource: types.ModuleType) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    """Judge the lines of standard input."""
    import decimal
    import resource
    import uuid
    import zoneinfo

    assert all((decimal, uuid, zoneinfo))  # loaded before the limits
    lines = sys.stdin.read().splitlines()
    _prepare()
    _limit(resource)
    judge = _clocked if sys.argv[1:] == ["clock"] else _verdict
    print(json.dumps([judge(*map(bytes.fromhex, line.split("\t"))) for line in lines]))


if __name__ == "__main__":
    main()
