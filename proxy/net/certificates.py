"""When certificates expire. It reads only the validity of X.509 (RFC 5280), in files that OpenSSL has accepted."""

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_PEM: Final = re.compile(
    r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL
)
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_FORMATS: Final = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""UTCTime and GeneralizedTime, by their tags."""
_PIVOT: Final = 2050
"""Two digits mean a year before this one. (Python's own pivot is 2069.)"""
_BEFORE_VALIDITY: Final = 3
"""Serial number, signature algorithm and issuer."""


def first_expiry(path: str) -> float | None:
    """Seconds since the epoch at which the first certificate of a PEM file expires: its own, or one of its chain.

    None: the file cannot be read, or has no certificate in the usual format.
    """
    try:
        text = Path(path).read_text("latin-1")
    except OSError:
        return None
    expiries = [expiry for found in _PEM.finditer(text) if (expiry := _expiry(found[1])) is not None]
    return min(expiries, default=None)


def _expiry(base64: str) -> float | None:
    try:
        raw = ssl.PEM_cert_to_DER_cert(f"{ssl.PEM_HEADER}\n{base64.strip()}\n{ssl.PEM_FOOTER}")
        content = _content(_content(raw, 0), 0)  # of TBSCertificate, the first part of Certificate
        at = _end(content, 0) if content[0] == _VERSION else 0
        for _ in range(_BEFORE_VALIDITY):
            at = _end(content, at)
        validity = _content(content, at)
        return _seconds(validity, _end(validity, 0))
    except (ValueError, IndexError, KeyError):
        return None


def _seconds(validity: bytes, at: int) -> float:
    begin, end = _bounds(validity, at)
    moment = datetime.strptime(validity[begin:end].decode("ascii"), _FORMATS[validity[at]]).replace(tzinfo=UTC)
    if validity[at] == min(_FORMATS) and moment.year >= _PIVOT:
        moment = moment.replace(year=moment.year - 100)
    return moment.timestamp()


def _content(raw: bytes, at: int) -> bytes:
    """The content of a SEQUENCE that begins at `at`. Raises ValueError for another type."""
    if raw[at] != _SEQUENCE:
        raise ValueError("not a SEQUENCE")
    begin, end = _bounds(raw, at)
    return raw[begin:end]


def _end(raw: bytes, at: int) -> int:
    return _bounds(raw, at)[1]


def _bounds(raw: bytes, at: int) -> tuple[int, int]:
    """The bounds of the content of a DER value that begins at `at`. Raises IndexError, ValueError."""
    size, begin = raw[at + 1], at + 2
    if size >= 0x80:
        begin += size - 0x80
        size = int.from_bytes(raw[at + 2 : begin], "big")
    if begin + size > len(raw):
        raise ValueError("truncated")
    return begin, begin + size
