"""Who may have written a stored value, as far as its bytes tell. Pure, and never more certain than the bytes are.

Measured: every release of cachelib, and Flask-Cache 0.13.1 to Flask-Caching 2.5.1 on Python 2.7 to 3.13. Libraries
write with the pickler of their Python, so what shows is its protocol; who overwrote whom does not.
"""

from typing import Final, NamedTuple

from proxy.codec.stored import PICKLE_MARK, as_int

UNMARKED: Final = "bytes without a mark"

_PROTO: Final = 0x80
_FRAME: Final = 0x95
_LEAST_FRAMED: Final = 4
"""Bytes: CPython's pickler gives fewer no frame."""
_MOST_FRAMED: Final = 64 * 1024
"""Bytes: text and bytes of this size stand outside of frames."""

_OURS: Final = "this proxy"

_BY_PROTOCOL: Final = {
    0: ("Flask-Cache or werkzeug.contrib.cache on Python 2",),
    2: ("this proxy with pickle_protocol = 2", "no cache library by itself"),
    3: (
        "Flask-Cache, werkzeug.contrib.cache, Flask-Caching before 2.0 or cachelib before 0.5 on Python 3.7 or older",
        "this proxy with pickle_protocol = 3",
    ),
    4: (
        "Flask-Cache, werkzeug.contrib.cache, Flask-Caching before 2.0 or cachelib before 0.5 on Python 3.8 to 3.13",
        "Flask-Caching from 2.0 or cachelib from 0.5 on Python 3.7",
        "this proxy",
    ),
    5: (
        "Flask-Caching from 2.0 or cachelib from 0.5 on Python 3.8 or newer",
        "an older library on Python 3.14 or newer",
        "this proxy with pickle_protocol = 5",
    ),
}
_DIGITS: Final = (
    "any cache library but cachelib 0.2 to 0.15.3, which pickles ints",
    "INCR, or any program that writes numbers",
    "this proxy",
)
_FOREIGN: Final = (
    (b"\x80", "a pickle without the mark of a cache: Django, django-redis, aiocache or an old Flask-Session"),
    (b'{"ct":', "dogpile.cache"),
    (b"x\x9c", "something compressed with zlib, as django-redis does"),
    (b"{", "JSON text, written past the proxy"),
    (b"[", "JSON text, written past the proxy"),
    (b'"', "JSON text, written past the proxy"),
)


class Origin(NamedTuple):
    """What the bytes tell."""

    form: str
    """How the value is stored."""
    protocol: int | None
    """Of its pickle; None: it is none, or does not say."""
    writers: tuple[str, ...]
    """Who writes such bytes: any of them."""
    warning: str | None = None
    """What an app or a client will stumble over."""


def of(stored: bytes, kind: str | None = None, foreign: bool = False) -> Origin:
    """What a stored value's bytes tell of who wrote it.

    `kind`: of the value they hold, if that is known. `foreign`: it is nothing that this proxy could have written.
    """
    if stored.startswith(PICKLE_MARK):
        told = _pickled(stored, kind)
        others = tuple(who for who in told.writers if not (foreign and who.startswith(_OURS)))
        return told._replace(writers=others or ("no cache library",))
    if as_int(stored) is not None:
        return Origin("digits", None, _DIGITS)
    writers = next((text for start, text in _FOREIGN if stored.startswith(start)), "no cache library of Flask")
    warning = "Flask reads these bytes as they are, and a cached view serves them as text/html"
    return Origin(UNMARKED, None, (writers,), warning)


def _pickled(stored: bytes, kind: str | None) -> Origin:
    protocol = stored[2] if len(stored) > 2 and stored[1] == _PROTO else 0
    form = f"pickle protocol {protocol}" if protocol else "pickle protocol 0 or 1, which do not say"
    writers = _BY_PROTOCOL.get(protocol, ("no cache library",))
    warning = None
    if protocol >= 4 and not _by_cpython(stored):
        writers = (_OURS, "another program that is not Python: the pickler of Python would have framed it")
    elif kind == "int":
        writers = ("cachelib 0.2 to 0.15.3, or Flask-Caching 2.0 to 2.4 with one of these",)
        warning = "an int that is pickled: INCR and DECR fail on it"
    elif kind in ("response", "markup"):
        writers = tuple(f"{who}, by a rule that accepts py/{kind}" if "proxy" in who else who for who in writers)
    return Origin(form, protocol or None, writers, warning)


def _by_cpython(stored: bytes) -> bool:
    """Whether CPython's pickler could have written it, from protocol 4 on."""
    framed = len(stored) > 3 and stored[3] == _FRAME
    return framed or len(stored) - 3 < _LEAST_FRAMED or len(stored) > _MOST_FRAMED
