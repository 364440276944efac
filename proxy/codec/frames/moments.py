"""datetime64 and timedelta64: text and seconds from integers, by integer arithmetic.

A datetime64 counts units since 1970 in the proleptic Gregorian calendar, 64 bits of them: years may have many digits.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Final

from proxy.codec import zones
from proxy.codec.errors import UndecodableError
from proxy.codec.frames.dtypes import DType
from proxy.codec.nodes import Zone

_WORD: Final = 2**63
NAT: Final = -_WORD
"""Not a time: the missing value."""
MISSING: Final = "NaT"
"""Its text."""
DIGITS: Final = {"s": 0, "ms": 3, "us": 6, "ns": 9, "ps": 12, "fs": 15, "as": 18}
"""Decimals of a second, by unit."""

_EPOCH: Final = datetime(1970, 1, 1)
_BEFORE_OFFSET: Final = len("1970-01-01T00:00:00")
_DAY: Final = 86_400
_SECONDS: Final = {"m": 60, "h": 3600, "D": _DAY, "W": 7 * _DAY}

_PARTS: Final = re.compile(r"(.*)T([0-9:]{8})(?:\.([0-9]+))?([+-].*)?")

_FIRST_YEAR: Final = 1970
_DAYS_TO_1970: Final = 719_468
"""From 0000-03-01: a year that ends with February has the leap day last."""
_DAYS_OF_400_YEARS: Final = 146_097
_ONE_SECOND_TOO_FAR: Final = 253_402_300_800
"""The first second of the year 10000."""
_FIRST_SECOND: Final = -62_135_596_800
"""Of the year 1."""


def texts(values: Iterable[int], dtype: DType, zone: Zone | None = None) -> list[str | None]:
    """ISO 8601, with the digits of the unit, for each datetime64; None for NaT.

    `zone`: the values are UTC, and the texts are local times with their offset. Raises UndecodableError for a unit
    that says no time, and for a time with a zone beyond the years 1 to 9999.
    """
    if dtype.unit not in DIGITS:
        spell = _COARSE.get(dtype.unit, _no_unit)
        return [None if value == NAT else spell(value * dtype.step) for value in values]
    digits = DIGITS[dtype.unit]
    spell = _fine(digits) if zone is None else _zoned(digits, zone)
    return [None if value == NAT else spell(value * dtype.step) for value in values]


def seconds(value: int, dtype: DType) -> float | int:
    """The seconds of a timedelta64 that is not NaT. Months and years have no one length: their count."""
    count = value * dtype.step
    digits = DIGITS.get(dtype.unit)
    if digits is not None:
        return count / int(10**digits)
    factor = _SECONDS.get(dtype.unit)
    if factor is None:
        return count if -_WORD <= count < _WORD else float(count)  # msgpack has no longer int
    return float(count * factor)


def _no_unit(_count: int) -> str:
    raise UndecodableError("a datetime64 without a unit")


def _date(days: int) -> str:
    """The date so many days after 1970-01-01. Source: the cycle of 400 years of the Gregorian calendar."""
    cycle, day = divmod(days + _DAYS_TO_1970, _DAYS_OF_400_YEARS)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    year += 400 * cycle + (month >= 10)
    return f"{_year(year)}-{(month + 2) % 12 + 1:02}-{day + 1:02}"


def _year(year: int) -> str:
    return "%04d" % year  # noqa: UP031 (as numpy pads a negative one)


def _month(months: int) -> str:
    years, month = divmod(months, 12)
    return f"{_year(_FIRST_YEAR + years)}-{month + 1:02}"


def _hour(hours: int) -> str:
    days, hour = divmod(hours, 24)
    return f"{_date(days)}T{hour:02}"


def _minute(minutes: int) -> str:
    hours, minute = divmod(minutes, 60)
    return f"{_hour(hours)}:{minute:02}"


_COARSE: Final[dict[str, Callable[[int], str]]] = {
    "Y": lambda years: _year(_FIRST_YEAR + years),
    "M": _month,
    "W": lambda weeks: _date(7 * weeks),
    "D": _date,
    "h": _hour,
    "m": _minute,
}


def _fine(digits: int) -> Callable[[int], str]:
    """Spells counts of seconds or parts of them. Dates are remembered: most of a column are near each other."""
    per_second = 10**digits
    per_day = _DAY * per_second
    dates: dict[int, str] = {}

    def spell(count: int) -> str:
        day, rest = divmod(count, per_day)
        date = dates.get(day)
        if date is None:
            date = dates[day] = _date(day) + "T"
        second, fraction = divmod(rest, per_second)
        minute, second = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        text = f"{date}{hour:02}:{minute:02}:{second:02}"
        return f"{text}.{fraction:0{digits}}" if digits else text

    return spell


def _zoned(digits: int, zone: Zone) -> Callable[[int], str]:
    """Spells local times. Of a named zone the rules say the offset, not the one in its pickle."""
    per_second = 10**digits
    if zone.name is None and zone.offset is not None:
        spell, suffix = _fine(digits), _offset_text(zone.offset)
        shift = int(zone.offset.total_seconds()) * per_second
        return lambda count: spell(count + shift) + suffix
    rules = zones.rules(str(zone.name))

    def spell_local(count: int) -> str:
        second, fraction = divmod(count, per_second)
        if not _FIRST_SECOND + _DAY <= second < _ONE_SECOND_TOO_FAR - _DAY:
            raise UndecodableError("a time with a zone beyond the years 1 to 9999")
        text = datetime.fromtimestamp(second, rules).isoformat()
        return f"{text[:_BEFORE_OFFSET]}.{fraction:0{digits}}{text[_BEFORE_OFFSET:]}" if digits else text

    return spell_local


def _offset_text(offset: timedelta) -> str:
    return _EPOCH.replace(tzinfo=timezone(offset)).isoformat()[_BEFORE_OFFSET:]


def as_str(text: str, is_old: bool) -> str:
    """The str() of a Timestamp, given its ISO 8601 text. `is_old`: as an Interval of pandas 1 spells it."""
    found = _PARTS.fullmatch(text)
    if found is None:
        return text
    date, time, fraction, offset = found.groups()
    fraction = (fraction or "").rstrip("0")
    fraction = fraction and f".{fraction:0<{6 if len(fraction) <= 6 else 9}}"
    if is_old:
        return date if time == "00:00:00" and not fraction else f"{date} {time}{fraction}"
    return f"{date} {time}{fraction}{offset or ''}"


def duration_text(value: int, dtype: DType) -> str:
    """The str() of a Timedelta."""
    if value == NAT:
        return MISSING
    day, rest = divmod(value * 10**9 // 10 ** DIGITS[dtype.unit], _DAY * 10**9)
    second, fraction = divmod(rest, 10**9)
    text = f"{day} days {'+' if day < 0 else ''}{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    if not fraction:
        return text
    return text + (f".{fraction:09}" if fraction % 1000 else f".{fraction // 1000:06}")
