"""The judge of what a stored value means: CPython's own unpickler, with known classes only, and a normal form.

Run as a program it reads lines of `stored<TAB>rewritten` (hex) and answers a JSON list of verdicts; it limits itself,
because what it loads has been tampered with. It needs neither Flask nor Werkzeug nor the package under test.
"""

import datetime
import io
import json
import pickle
import sys
import types
from typing import Any

KNOWN = {
    "_codecs": {"encode"},
    "builtins": {"bytearray", "bytes", "complex", "frozenset", "object", "set", "str"},
    "collections": {"OrderedDict"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "uuid": {"UUID"},
}
STUBS = {
    "flask.wrappers": "Response",
    "flask_caching": "CachedResponse",
    "markupsafe": "Markup",
    "werkzeug.datastructures": "Headers",
    "werkzeug.datastructures.headers": "Headers",
    "werkzeug.wrappers": "Response",
    "werkzeug.wrappers.response": "Response",
}


class Response:
    """What a Response is made of."""


class Headers:
    """What a Response's headers are made of."""


class Markup(str):
    """As in markupsafe."""

    __slots__ = ()


class UTC(datetime.tzinfo):
    """As zoneinfo and pytz spell it."""

    def utcoffset(self, _moment: datetime.datetime | None) -> datetime.timedelta:
        """Nothing."""
        return datetime.timedelta(0)


class ZoneInfo:
    """As in zoneinfo, but for UTC only."""

    @classmethod
    def _unpickle(cls, key: str, _from_cache: bool) -> UTC:
        if key not in ("UTC", "Etc/UTC", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal"):
            raise ValueError(key)
        return UTC()


def safe_getattr(owner: Any, name: Any) -> Any:
    """The one attribute that a pickle may ask for."""
    if owner is ZoneInfo and name == "_unpickle":
        return ZoneInfo._unpickle
    raise pickle.UnpicklingError("getattr")


class Unpickler(pickle.Unpickler):
    """Knows the classes of a cache's values, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """A known class, or a stub for it."""
        if (module, name) in {("builtins", "getattr"), ("__builtin__", "getattr")}:
            return safe_getattr
        if (module, name) == ("zoneinfo", "ZoneInfo"):
            return ZoneInfo
        if (module, name) == ("pytz", "_UTC"):
            return UTC
        if (module, name) == ("pytz", "FixedOffset"):
            return lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
        if STUBS.get(module) == name:
            return {"Headers": Headers, "Markup": Markup}.get(name, Response)
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        name = "str" if (module, name) == ("builtins", "unicode") else name
        if name in KNOWN.get(module, ()):
            return getattr(sys.modules[module], name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def load(stored: bytes) -> Any:
    """What a Flask app reads, Python 2's bytes included."""
    if stored.startswith(b"!"):
        return Unpickler(io.BytesIO(stored[1:]), encoding="latin1").load()
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
    body = b"".join(part.encode() if isinstance(part, str) else part for part in value.response)
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
    try:
        expected = load(stored)
    except Exception as error:  # whatever a broken pickle can raise
        return f"unloadable: {type(error).__name__}: {error}"
    return "same" if normal(expected) == normal(load(rewritten)) else "different"


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

    assert collections and decimal and uuid  # loaded before the limits
    lines = sys.stdin.read().splitlines()
    _limit(resource)
    print(json.dumps([_verdict(*map(bytes.fromhex, line.split("\t"))) for line in lines]))


if __name__ == "__main__":
    main()
