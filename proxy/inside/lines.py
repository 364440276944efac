"""Lines of NDJSON, a cached value each: what `export` writes and `load` reads. Pure: bytes to bytes.

`{"key": "flask_cache_x", "ttl": 58.312, "value": {"py/tuple": [1, 2]}}`: `ttl` in seconds, to the millisecond, and left
out where the value stays until it is deleted; `value` with the codec's tags. A key that is not UTF-8 is spelt
`{"py/bytes": "<base64>"}`.
"""

import codecs
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct, field

MOST_TTL: Final = 2**50 // 1000
"""Seconds, so few that a double keeps their milliseconds apart, multiplied and divided."""

MOST_AROUND: Final = 1024 * 1024
"""Bytes that a line may have beside its value: its key, above all."""


class LineError(Exception):
    """A line that is not what it should be. `str()` says why."""


class Line(NamedTuple):
    """One value."""

    key: bytes
    payload: bytes
    """JSON, tagged."""
    ttl: int | None
    """Milliseconds; None: it stays until it is deleted."""


class _Bytes(Struct, forbid_unknown_fields=True):
    data: bytes = field(name="py/bytes")


class _Object(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    key: str | _Bytes
    ttl: int | float | None = None
    value: Raw


_read = msgspec.json.Decoder(_Object).decode
_BYTE_ORDER_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""As Windows' editors and shells write them."""


def spelt(key: bytes) -> Any:
    """A key as it stands in JSON."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return _Bytes(data=key)


def seconds(ttl: int) -> int | float:
    """Milliseconds as seconds, which `read` turns back without a loss."""
    return ttl / 1000 if ttl % 1000 else ttl // 1000


def write(line: Line) -> bytes:
    """The line, without its line feed. Of a ttl of over 35,000 years only so many are told: `read` takes no more."""
    ttl = None if line.ttl is None else seconds(min(line.ttl, MOST_TTL * 1000))
    return msgspec.json.encode(_Object(key=spelt(line.key), ttl=ttl, value=Raw(line.payload)))


def read(raw: bytes) -> Line:
    """The line; its payload is not looked into. Raises LineError."""
    if raw.startswith(_BYTE_ORDER_MARKS):
        raise LineError("it begins with a byte order mark: save the file as UTF-8 without one")
    try:
        read = _read(raw)
    except RecursionError:
        raise LineError("it is nested too deep") from None
    except UnicodeDecodeError:
        raise LineError("it is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise LineError(f'expected {{"key": ..., "ttl": ..., "value": ...}}: {error}') from None
    except msgspec.DecodeError as error:
        raise LineError(f"it is not valid JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
    key = read.key.encode() if isinstance(read.key, str) else read.key.data
    return Line(key, bytes(read.value), None if read.ttl is None else milliseconds(read.ttl))


def milliseconds(ttl: float) -> int:
    """Seconds as milliseconds. Raises LineError."""
    if not 0 < ttl <= MOST_TTL or round(ttl * 1000) < 1:
        raise LineError(f"its ttl must be from 0.001 to {MOST_TTL} seconds; leave it out for a value that stays")
    return round(ttl * 1000)
