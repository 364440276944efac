"""The judge of what a stored value means: CPython's own unpickler, with known classes only, and a normal form.

Run as a program it reads lines of `stored<TAB>rewritten` (hex) and answers a JSON list of verdicts; it limits itself,
because what it loads has been tampered with. It needs neither Flask nor Werkzeug nor the package under test.
"""

import datetime
import json
import pickle
import sys
import types
from typing import Any

KNOWN = {
    *(("builtins", name) for name in ("bytearray", "bytes", "complex", "frozenset", "getattr", "object", "set", "str")),
    *(("__builtin__", name) for name in ("bytearray", "bytes", "complex", "frozenset", "getattr", "object", "set")),
    *(("__builtin__", name) for name in ("str", "unicode")),
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
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
    """What a Response is made of."""


class Headers:
    """What a Response's headers are made of."""


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
    """Stand-ins for the modules that a cache's values name, and a guard before all others."""
    for package in ("flask", "werkzeug"):
        sys.modules.setdefault(package, types.ModuleType(package)).__path__ = []
    for module, name in STUBS:
        sys.modules.setdefault(module, types.ModuleType(module)).__dict__[name] = _stub(name)
    sys.addaudithook(_guard)


def load(stored: bytes, encoding: str = "latin1") -> Any:
    """What a Flask app reads, Python 2's bytes included."""
    if stored.startswith(b"!"):
        return pickle.loads(stored[1:], encoding=encoding, errors="surrogateescape")
    try:
        return int(stored)
    except ValueError:
        return stored


def _parts(value: Any) -> list[Any]:
    """What a value of a class is: lists of strings and of further values."""
    kind = type(value)
    if kind is float:
        return ["nan" if value != value else value.hex()]
    if kind is complex:
        return [normal(value.real), normal(value.imag)]
    if kind in (bytes, bytearray):
        return [value.hex()]
    if kind in (datetime.datetime, datetime.time):
        return [value.replace(tzinfo=None, fold=0).isoformat(), str(value.utcoffset())]
    if isinstance(value, Response):
        return _response(value)
    return [str(value)]


def _response(value: Any) -> list[Any]:
    parts = (part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part for part in value.response)
    body = b"".join(parts)
    return [value._status_code, [list(pair) for pair in value.headers._list], body.hex()]


def normal(value: Any) -> list[Any]:
    """A value type for type, so that equal means the same: NaN is NaN, -0.0 is not 0, and True is not 1."""
    kind = type(value)
    name = "Response" if isinstance(value, Response) else kind.__name__
    if value is None or kind in (str, bool):
        return [name, value]
    if kind is int:
        return [name, hex(value)]
    if kind in (list, tuple):
        return [name, [normal(each) for each in value]]
    if kind in (set, frozenset):
        return [name, sorted((normal(each) for each in value), key=json.dumps)]
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


def _limit(resource: types.ModuleType) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main() -> None:
    """Judge the lines of standard input."""
    import collections
    import decimal
    import resource
    import uuid
    import zoneinfo

    assert all((collections, decimal, uuid, zoneinfo))  # loaded before the limits
    lines = sys.stdin.read().splitlines()
    _prepare()
    _limit(resource)
    print(json.dumps([_verdict(*map(bytes.fromhex, line.split("\t"))) for line in lines]))


if __name__ == "__main__":
    main()
