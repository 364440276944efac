"""Lists the programs that may have written a stored value, from its bytes alone. Pure.

Measured: every release of cachelib, and Flask-Cache 0.13.1 to Flask-Caching 2.5.1 on Python 2.7 to 3.13. The libraries
use Python's own pickler, so the bytes show its protocol. They do not show earlier writers of the same key.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.codec.envelope import PICKLE_MARK, as_int, compression

UNMARKED: Final = "bytes without a mark"

_PROTO: Final = 0x80
_FRAME: Final = 0x95
_FIRST_FRAMED: Final = 4
"""The first protocol with frames: PEP 3154."""
_LEAST_FRAMED: Final = 4
"""In bytes. CPython's pickler writes no frame around fewer bytes."""
_MOST_FRAMED: Final = 64 * 1024
"""In bytes. CPython's pickler writes text and bytes of this size outside of frames."""

_NOBODY: Final = "no cache library"
_OURS: Final = "this proxy"
_OURS_BY_PROTOCOL: Final = {
    2: f"{_OURS} with pickle_protocol = 2",
    3: f"{_OURS} with pickle_protocol = 3",
    4: _OURS,
    5: f"{_OURS} with pickle_protocol = 5",
}

_BY_PROTOCOL: Final = {
    0: ("Flask-Cache or werkzeug.contrib.cache on Python 2",),
    2: (_OURS_BY_PROTOCOL[2], f"{_NOBODY} by itself"),
    3: (
        "Flask-Cache, werkzeug.contrib.cache, Flask-Caching before 2.0 or cachelib before 0.5 on Python 3.7 or older",
        _OURS_BY_PROTOCOL[3],
    ),
    4: (
        "Flask-Cache, werkzeug.contrib.cache, Flask-Caching before 2.0 or cachelib before 0.5 on Python 3.8 to 3.13",
        "Flask-Caching from 2.0 or cachelib from 0.5 on Python 3.7",
        _OURS_BY_PROTOCOL[4],
    ),
    5: (
        "Flask-Caching from 2.0 or cachelib from 0.5 on Python 3.8 or newer",
        "an older library on Python 3.14 or newer",
        _OURS_BY_PROTOCOL[5],
    ),
}
_DIGITS: Final = (
    "any cache library but cachelib 0.2 to 0.15.3, which pickles ints",
    "INCR, or any program that writes numbers",
    _OURS,
)
_DJANGO: Final = "Django's own Redis cache or django-redis"
_DJANGO_DIGITS: Final = (_DJANGO, *_DIGITS[1:])
_BY_HAND: Final = f"{_DJANGO}, aiocache, Flask-Session before 0.7, or pickle.dumps"
_JSON: Final = ("Flask-Caching from 2.5 with JSONSerializer", "any program that writes JSON", _OURS)
_FOREIGN: Final = (
    (b"\x80", "a pickle without the mark of a cache: Django, django-redis, aiocache or an old Flask-Session"),
    (b'{"ct":', "dogpile.cache"),
    (b"{", "JSON text, written past the proxy"),
    (b"[", "JSON text, written past the proxy"),
    (b'"', "JSON text, written past the proxy"),
)


_UNFRAMED: Final = (_OURS, "another program without Python's pickler, which would have written a frame")
_PICKLED_INT: Final = "an int that is pickled: INCR and DECR fail on it"


class Origin(NamedTuple):
    """The information in a stored value's bytes."""

    form: str
    """The form of the bytes, such as "pickle protocol 4"."""
    protocol: int | None
    """The pickle protocol. None: not a pickle, or protocol 0 or 1."""
    writers: tuple[str, ...]
    """The programs that write such bytes."""
    warning: str | None = None
    """A problem for the app or its clients."""


def of(stored: bytes, kind: str | None = None, foreign: bool = False, storage: str = "flask") -> Origin:
    """The origin of a stored value.

    `kind`: the type of its value, if known (see `entries.kind_of`). `foreign`: this proxy cannot have written it.
    `storage`: how it is stored, as `stored` in a rule says.
    """
    told = _BY_STORAGE[storage](stored, kind)
    if not foreign:
        return told
    others = tuple(who for who in told.writers if not who.startswith(_OURS))
    return told._replace(writers=others or (_NOBODY,))


def _flask(stored: bytes, kind: str | None) -> Origin:
    if stored.startswith(PICKLE_MARK):
        return _marked(stored.removeprefix(PICKLE_MARK), kind)
    if as_int(stored) is not None:
        return Origin("digits", None, _DIGITS)
    warning = "Flask reads these bytes unchanged, and a cached view serves them as text/html"
    return _unmarked(stored)._replace(warning=warning)


def _django(stored: bytes, kind: str | None) -> Origin:
    if as_int(stored) is not None:
        return Origin("digits", None, _DJANGO_DIGITS)
    told = _bare(stored, _DJANGO)
    return told._replace(warning=_PICKLED_INT) if kind == "int" else told


def _pickle(stored: bytes, _kind: str | None) -> Origin:
    return _bare(stored, _BY_HAND)


def _json(_stored: bytes, _kind: str | None) -> Origin:
    return Origin("JSON", None, _JSON)


_BY_STORAGE: Final[dict[str, Callable[[bytes, str | None], Origin]]] = {
    "flask": _flask,
    "pickle": _pickle,
    "django": _django,
    "json": _json,
}


def _unmarked(stored: bytes) -> Origin:
    """The origin of bytes that are no pickle to their reader."""
    if (name := compression(stored)) is not None:
        return Origin(UNMARKED, None, (f"something compressed with {name}, as django-redis can do",))
    writers = next((text for start, text in _FOREIGN if stored.startswith(start)), f"{_NOBODY} of Flask")
    return Origin(UNMARKED, None, (writers,))


def _bare(stored: bytes, library: str) -> Origin:
    """The origin of a pickle without a mark, which `library` writes with any protocol."""
    if compression(stored) is not None:
        return _unmarked(stored)
    protocol = _protocol(stored)
    form = f"{_form(protocol)} without a mark"
    if not _by_cpython(stored, protocol):
        return Origin(form, protocol, _UNFRAMED)
    ours = _OURS_BY_PROTOCOL.get(protocol)
    return Origin(form, protocol or None, (library, ours) if ours else (library,))


def _marked(pickle: bytes, kind: str | None) -> Origin:
    protocol = _protocol(pickle)
    writers = _BY_PROTOCOL.get(protocol, (_NOBODY,))
    warning = None
    if not _by_cpython(pickle, protocol):
        writers = _UNFRAMED
    elif kind == "int":
        writers = ("cachelib 0.2 to 0.15.3, or Flask-Caching 2.0 to 2.4 with one of these",)
        warning = _PICKLED_INT
    elif kind in ("response", "markup"):
        writers = tuple(f"{who}, by a rule that accepts py/{kind}" if "proxy" in who else who for who in writers)
    return Origin(_form(protocol), protocol or None, writers, warning)


def _protocol(pickle: bytes) -> int:
    """The protocol of a pickle. 0: protocol 0 or 1, which the bytes do not show."""
    return pickle[1] if len(pickle) > 1 and pickle[0] == _PROTO else 0


def _form(protocol: int) -> str:
    return f"pickle protocol {protocol}" if protocol else "pickle protocol 0 or 1"


def _by_cpython(pickle: bytes, protocol: int) -> bool:
    """True if CPython's pickler can have written this pickle. Since protocol 4 it writes frames."""
    framed = len(pickle) > 2 and pickle[2] == _FRAME
    return protocol < _FIRST_FRAMED or framed or len(pickle) - 2 < _LEAST_FRAMED or len(pickle) > _MOST_FRAMED
