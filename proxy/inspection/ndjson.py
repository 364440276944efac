"""The lines that `export` writes and `load` reads: NDJSON, one cached value in each line. Pure: bytes to bytes.

A line is `{"key": "flask_cache_x", "ttl": 58.312, "value": {"py/tuple": [1, 2]}}`. `ttl` is in seconds, with
milliseconds. A value without expiry has no `ttl`. `value` has the codec's tags. A key that is not UTF-8 is written
as `{"py/bytes": "<base64>"}`.
"""

import codecs
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct, field

from proxy.codec.payload.json_payload import first_bad_byte

MOST_TTL: Final = 2**50 // 1000
"""The largest ttl in seconds. Up to it, a double keeps milliseconds exact in both conversions."""

MOST_AROUND: Final = 1024 * 1024
"""Bytes that a line may have in addition to its value, mainly for its key."""


class LineError(Exception):
    """A line is invalid. `str()` gives the reason."""


class Line(NamedTuple):
    """One value."""

    key: bytes
    payload: bytes
    """Tagged JSON."""
    ttl: int | None
    """Time to live in milliseconds. None: no expiry."""


class _Bytes(Struct, forbid_unknown_fields=True):
    data: bytes = field(name="py/bytes")


class _Object(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    key: str | _Bytes
    ttl: int | float | None = None
    value: Raw


_read = msgspec.json.Decoder(_Object).decode
_BYTE_ORDER_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Byte order marks, as Windows' editors and shells write them."""


def spelt(key: bytes) -> Any:
    """A key in JSON: text if it is UTF-8, otherwise a tagged object."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return _Bytes(data=key)


def seconds(ttl: int) -> int | float:
    """Convert milliseconds to seconds. `milliseconds` converts them back exactly."""
    return ttl / 1000 if ttl % 1000 else ttl // 1000


def write(line: Line) -> bytes:
    """The line without its line feed. A larger ttl becomes MOST_TTL (35,000 years), so that `read` accepts it."""
    ttl = None if line.ttl is None else seconds(min(line.ttl, MOST_TTL * 1000))
    return msgspec.json.encode(_Object(key=spelt(line.key), ttl=ttl, value=Raw(line.payload)))


def read(raw: bytes) -> Line:
    """Parse a line. The payload is not checked. Raises LineError."""
    if raw.startswith(_BYTE_ORDER_MARKS):
        raise LineError("it begins with a byte order mark: save the file as UTF-8 without one")
    try:
        read = _read(raw)
    except RecursionError:
        raise LineError("it is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise LineError(f'expected {{"key": ..., "ttl": ..., "value": ...}}: {error}') from None
    except (UnicodeDecodeError, msgspec.DecodeError) as error:  # the former up to msgspec 0.22
        if first_bad_byte(raw) is not None:
            raise LineError("it is not UTF-8") from None
        raise LineError(f"it is not valid JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
    key = read.key.encode() if isinstance(read.key, str) else read.key.data
    return Line(key, bytes(read.value), None if read.ttl is None else milliseconds(read.ttl))


def milliseconds(ttl: float) -> int:
    """Convert seconds to milliseconds. Raises LineError."""
    if not 0 < ttl <= MOST_TTL or round(ttl * 1000) < 1:
        raise LineError(f"its ttl must be from 0.001 to {MOST_TTL} seconds; leave it out for a value without expiry")
    return round(ttl * 1000)
