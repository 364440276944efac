"""Datetimes and times in the zones of all usual libraries, as the libraries pickle them."""

from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from proxy.codec import Options, Transcoder, UndecodableError, zones
from proxy.codec.unpickle.machine import ZONED_COST
from proxy.engine import ENGINE, REFERENCE
from tests.codec.pickles import PART, binary, call, cls, obj, text
from tests.codec.unpickle.test_instances import read, stored

JULY = binary(b"\x07\xe8\x07\x02\x03\x04\x05\x00\x00\x00")
AT = "2024-07-02T03:04:05"


def delta(seconds: int) -> bytes:
    days, rest = divmod(seconds, 86400)
    return call(
        "datetime", "timedelta", *(b"J" + number.to_bytes(4, "little", signed=True) for number in (days, rest, 0))
    )


def moment(zone: bytes) -> bytes:
    return call("datetime", "datetime", JULY, zone)


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


FIXED = {
    "datetime": call("datetime", "timezone", delta(5400), text("X")),
    "pytz": call("pytz", "FixedOffset", number(90)),
    "dateutil": call("dateutil.tz.tz", "tzoffset", b"N", delta(5400)),
    "dateutil, seconds": call("dateutil.tz", "tzoffset", text("X"), number(5400)),
    "psycopg2 2.8": call("psycopg2.tz", "FixedOffsetTimezone", number(90), b"N")
    + b"}"
    + text("_offset")
    + delta(5400)
    + b"sb",
    "psycopg2 2.9": call("psycopg2.tz", "FixedOffsetTimezone", delta(5400), b"N"),
    "pymongo": call("bson.tz_util", "FixedOffset", delta(5400), text("X")),
    "pymongo, by state": call("bson.tz_util", "FixedOffset")
    + b"}"
    + text("_FixedOffset__offset")
    + delta(5400)
    + b"sb",
    "pendulum 2": call("pendulum.tz.timezone", "FixedTimezone", number(5400), text("X")),
    "django 2": call("django.utils.timezone", "FixedOffset")
    + b"}"
    + text("_FixedOffset__offset")
    + delta(5400)
    + b"sb",
    "dateutil, this machine's": obj(
        "dateutil.tz.tz", "tzlocal", _std_offset=delta(5400), _dst_offset=delta(5400), _hasdst=b"\x89"
    ),
    "another": obj("shop.time", "Zone", _utcoffset=delta(5400)),
}
ALWAYS_UTC = {
    "dateutil": cls("dateutil.tz.tz", "tzutc") + b")\x81",
    "dateutil, protocol 0": call(
        "copy_reg", "_reconstructor", cls("dateutil.tz", "tzutc"), cls("datetime", "tzinfo"), call("datetime", "tzinfo")
    ),
    "pytz": call("pytz", "_UTC"),
    "django 1": call("django.utils.timezone", "UTC"),
    "isodate": call("isodate.tzinfo", "Utc"),
    "zoneinfo": call("builtins", "getattr", cls("zoneinfo", "ZoneInfo"), text("_unpickle"))
    + text("Etc/UTC")
    + b"K\x01\x86R",
}
BERLIN = {
    "zoneinfo": call("builtins", "getattr", cls("zoneinfo", "ZoneInfo"), text("_unpickle"))
    + text("Europe/Berlin")
    + b"K\x01\x86R",
    "backports": call("builtins", "getattr", cls("backports.zoneinfo", "ZoneInfo"), text("_unpickle"))
    + text("Europe/Berlin")
    + b"K\x01\x86R",
    "pytz": call("pytz", "_p", text("Europe/Berlin"), number(7200), number(3600), text("CEST")),
    "dateutil": call("dateutil.tz.tz", "tzfile", b"N", text("/usr/share/zoneinfo/Europe/Berlin")) + b"}b",
    "dateutil, its own": call("dateutil.zoneinfo", "gettz", text("Europe/Berlin")),
    "dateutil without the system's": call("dateutil.zoneinfo", "tzfile", b"N", text("Europe/Berlin")) + b"}b",
    "pendulum 2": call("pendulum.tz.timezone", "Timezone", text("Europe/Berlin")),
    "pendulum 3": call("builtins", "getattr", cls("pendulum.tz.timezone", "Timezone"), text("_unpickle"))
    + text("Europe/Berlin")
    + b"K\x01\x86R",
}
UNKNOWN = {
    "a new zone": call("pytz", "_p", text("Europe/Atlantis"), number(7200), number(0), text("X")),
    "this machine's": call("dateutil.tz.tz", "tzfile", b"N", text("/etc/localtime")),
    "a path": call("dateutil.tz.tz", "tzfile", b"N", text("/zoneinfo/../../etc/passwd")),
    "rules": obj("dateutil.tz.tz", "tzlocal", _std_offset=delta(0), _dst_offset=delta(3600)),
    "rules that are off": obj("dateutil.tz.tz", "tzlocal", _std_offset=delta(0), _dst_offset=delta(0), _hasdst=b"\x88"),
    "an int": obj("shop.time", "Zone", _offset=number(3600)),
    "a day": obj("shop.time", "Zone", _offset=delta(86400)),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_zone_of_one_offset(name: str) -> None:
    assert read(moment(FIXED[name])) == {"py/datetime": AT + "+01:30"}
    assert read(moment(FIXED[name]), "plain", read_classes=()) == AT + "+01:30"
    assert read(call("datetime", "time", binary(b"\x03\x04\x05\0\0\0"), FIXED[name])) == {"py/time": "03:04:05+01:30"}


@pytest.mark.parametrize("name", ALWAYS_UTC)
def test_utc_under_any_name(name: str) -> None:
    assert read(moment(ALWAYS_UTC[name])) == {"py/datetime": AT + "+00:00"}


@pytest.mark.parametrize("name", BERLIN)
def test_a_named_zone(name: str) -> None:
    assert read(moment(BERLIN[name])) == {"py/zoned": {"at": AT + "+02:00", "zone": "Europe/Berlin"}}
    assert read(moment(BERLIN[name]), "plain", read_classes=()) == AT + "+02:00"
    shown = read(call("datetime", "time", binary(b"\x03\x04\x05\0\0\0"), BERLIN[name]))["py/instance"]
    assert shown["class"] == "datetime.time"
    assert shown["value"][0] == {"py/bytes": "AwQFAAAA"}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_zone_is_an_object(name: str) -> None:
    shown = read(moment(UNKNOWN[name]))["py/instance"]
    assert (shown["class"], len(shown["value"])) == ("datetime.datetime", 2)
    with pytest.raises(UndecodableError, match=r"\$ is a datetime\.datetime, which"):
        read(moment(UNKNOWN[name]), read_classes=())


@pytest.mark.parametrize("microseconds", [5, -5, 999_999])
def test_an_offset_below_a_second_is_an_object_because_iso_8601_loses_it(microseconds: int) -> None:
    zone = timezone(timedelta(microseconds=microseconds))
    for value in (datetime(2024, 7, 2, tzinfo=zone), time(3, tzinfo=zone)):
        shown = read(stored(value))["py/instance"]
        days, seconds, rest = -(microseconds < 0), 86399 * (microseconds < 0), microseconds % 1_000_000
        offset = {"py/timedelta": [days, seconds, rest]}
        assert shown["class"] == f"datetime.{type(value).__name__}"
        assert shown["value"][1] == {"py/instance": {"class": "datetime.timezone", "value": offset}}
    with pytest.raises(UndecodableError, match=r"timezone of unknown shape"):
        read(moment(call("datetime", "timezone", delta(86400))))


def test_a_zone_alone_is_an_object() -> None:
    assert read(stored(ZoneInfo("Europe/Berlin"))) == {
        "py/instance": {"class": "zoneinfo.ZoneInfo._unpickle", "value": ["Europe/Berlin", 1]}
    }
    assert read(stored(UTC)) == {"py/instance": {"class": "datetime.timezone", "value": {"py/timedelta": [0, 0, 0]}}}


def test_the_offset_is_that_of_the_pickle_where_it_has_one() -> None:
    local_mean_time = call("pytz", "_p", text("Europe/Berlin"), number(3180), number(0), text("LMT"))
    assert read(moment(local_mean_time))["py/zoned"]["at"] == AT + "+00:53"


@pytest.mark.parametrize(("fold", "offset"), [(0, "+02:00"), (1, "+01:00")])
def test_fold_chooses_the_offset(fold: int, offset: str) -> None:
    value = datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin"))
    assert read(stored(value), "plain") == "2024-10-27T02:30:00" + offset


class Stamp(datetime):
    pass


class Clock(time):
    pass


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Stamp(2024, 7, 2), {"py/datetime": "2024-07-02T00:00:00"}),
        (Stamp(2024, 7, 2, tzinfo=timezone(timedelta(hours=1))), {"py/datetime": "2024-07-02T00:00:00+01:00"}),
        (Clock(1, 2), {"py/time": "01:02:00"}),
    ],
)
def test_a_subclass_is_shown_as_its_base(value: Any, shown: Any) -> None:
    for protocol in range(6):
        assert read(stored(value, protocol)) == {
            "py/instance": {"class": f"{__name__}.{type(value).__name__}", "value": shown}
        }
    with pytest.raises(UndecodableError, match="read_classes"):
        read(stored(value), read_classes=())


def test_bytes_that_are_no_date_stay_bytes() -> None:
    for raw in (b"\xff" * 10, b"\0" * 4, b"ab"):
        assert "py/bytes" in read(call("shop", "Token", binary(raw)))["py/instance"]["value"]
    assert "py/bytes" in read(call("shop", "make_token", binary(b"\x07\xe8\x07\x02")))["py/instance"]["value"]


def test_every_zone_of_the_database_has_rules() -> None:
    assert len(zones.NAMES) > 500
    assert zones.rules("Europe/Berlin").utcoffset(datetime(2024, 7, 2)) == timedelta(hours=2)
    assert zones.fixed_offset("Etc/GMT-5") == timedelta(hours=5)
    assert {name for name in zones.NAMES if zones.fixed_offset(name) is not None} > {"UTC", "GMT", "Etc/UTC"}


def test_a_datetime_in_a_zone_with_rules_counts_for_its_longer_time() -> None:
    count = PART.nodes * 2 // ZONED_COST
    zone = call("pytz", "_p", text("Europe/Berlin")) + b"q\0"
    each = cls("datetime", "datetime") + JULY + b"h\0\x86R"
    for engine in (ENGINE, REFERENCE):
        transcoder = Transcoder(Options(limits=PART), engine)
        assert transcoder.decode(b"!(" + zone + each * (count // 2) + b"l.")
        with pytest.raises(UndecodableError, match="nodes"):
            transcoder.decode(b"!(" + zone + each * (count + 100) + b"l.")
