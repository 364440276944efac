"""datetime64 and timedelta64 as text and seconds, held against the standard library."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import UndecodableError
from proxy.codec.frames import moments
from proxy.codec.frames.dtypes import DType
from proxy.codec.nodes import Zone

EPOCH = datetime(1970, 1, 1)
MICROSECONDS = DType("M", 8, unit="us")


@given(st.datetimes())
def test_microseconds_are_spelled_as_python_does(moment: datetime) -> None:
    count = (moment - EPOCH) // timedelta(microseconds=1)
    assert moments.texts([count], MICROSECONDS) == [moment.isoformat(timespec="microseconds")]


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_a_named_zone_has_the_offset_of_the_time(moment: datetime, name: str) -> None:
    count = (moment - EPOCH) // timedelta(microseconds=1)
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(name))
    assert moments.texts([count], MICROSECONDS, Zone(None, name)) == [local.isoformat(timespec="microseconds")]


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), st.integers(-86_399, 86_399))
def test_a_fixed_offset_is_spelled_as_python_does(moment: datetime, seconds: int) -> None:
    count = (moment - EPOCH) // timedelta(microseconds=1)
    offset = timedelta(seconds=seconds)
    local = moment.replace(tzinfo=UTC).astimezone(timezone(offset))
    assert moments.texts([count], MICROSECONDS, Zone(offset)) == [local.isoformat(timespec="microseconds")]


@pytest.mark.parametrize(
    ("unit", "count", "text"),
    [
        ("Y", -1, "1969"),
        ("M", 13, "1971-02"),
        ("W", 1, "1970-01-08"),
        ("D", -1, "1969-12-31"),
        ("h", 25, "1970-01-02T01"),
        ("m", -1, "1969-12-31T23:59"),
        ("s", 253_402_300_800, "10000-01-01T00:00:00"),
        ("ms", -1, "1969-12-31T23:59:59.999"),
        ("ns", 1, "1970-01-01T00:00:00.000000001"),
        ("as", 1, "1970-01-01T00:00:00.000000000000000001"),
        ("s", 2**63 - 1, "292277026596-12-04T15:30:07"),
        ("D", moments.NAT, None),
        ("ns", moments.NAT, None),
    ],
)
def test_each_unit_has_its_digits(unit: str, count: int, text: str | None) -> None:
    assert moments.texts([count], DType("M", 8, unit=unit)) == [text]


def test_a_step_counts() -> None:
    assert moments.texts([2], DType("M", 8, unit="s", step=25)) == ["1970-01-01T00:00:50"]
    assert moments.seconds(2, DType("m", 8, unit="s", step=25)) == 50.0


def test_a_zone_ends_where_pythons_years_do() -> None:
    with pytest.raises(UndecodableError, match="beyond the years"):
        moments.texts([2**62], DType("M", 8, unit="s"), Zone(None, "Europe/Berlin"))


@pytest.mark.parametrize(
    ("unit", "count", "seconds"),
    [("W", 1, 604_800.0), ("D", -1, -86_400.0), ("h", 1, 3600.0), ("ms", 1500, 1.5), ("ns", 1, 1e-9), ("M", 3, 3)],
)
def test_spans_are_seconds_but_for_months(unit: str, count: int, seconds: float) -> None:
    found = moments.seconds(count, DType("m", 8, unit=unit))
    assert (type(found), found) == (type(seconds), seconds)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_000_000_000, "0 days 00:00:01"),
        (-79_199_500_000_000, "-1 days +02:00:00.500000"),
        (1, "0 days 00:00:00.000000001"),
        (moments.NAT, "NaT"),
    ],
)
def test_a_timedelta_is_spelled_as_pandas_does(value: int, text: str) -> None:
    assert moments.duration_text(value, DType("m", 8, unit="ns")) == text
