"""Datetimes in named zones: `zoneinfo` as CPython pickles it, with the offset that the zone has at that time."""

import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import PayloadError, dumps, loads, zones
from proxy.codec.pickler.zoned_tag import ZoneError, fold_of
from tests import effort
from tests.codec.adversarial import NUMBERS, in_tuples
from tests.codec.pickler.test_container_tags import significant
from tests.codec.pickler.test_hash_cost import SOON, clocked, most
from tests.codec.samples import FORMATS, encode, transcoder

SOME = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "US/Eastern")


def zoned(at: str, zone: str = "Europe/Berlin") -> Any:
    return {"py/zoned": {"at": at, "zone": zone}}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_zone_is_a_zoneinfo_as_cpython_pickles_it(protocol: int) -> None:
    moment = datetime(2024, 7, 2, 3, 4, 5, tzinfo=ZoneInfo("Europe/Berlin"))
    stored = transcoder(protocol=protocol).encode(json.dumps(zoned("2024-07-02T03:04:05+02:00")).encode())
    assert significant(stored[1:]) == significant(pickle.dumps(moment, protocol))
    assert dumps(moment, protocol=protocol) == stored


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(("offset", "fold"), [("+02:00", 0), ("+01:00", 1)])
def test_fold_follows_the_offset(protocol: int, offset: str, fold: int) -> None:
    moment = encode(zoned(f"2024-10-27T02:30:00{offset}"), protocol=protocol)
    assert (moment.isoformat(), moment.fold) == (f"2024-10-27T02:30:00{offset}", fold)
    assert moment.tzinfo is ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (zoned("2024-03-31T02:30:00+01:00"), "that exists in Europe/Berlin: its clocks skip this one"),
        (zoned("2024-03-31T02:30:00+02:00"), "that exists in Europe/Berlin: its clocks skip this one"),
        (zoned("2024-07-02T03:04:05+01:00"), "with an offset that Europe/Berlin has at that time"),
        (zoned("2024-10-27T02:30:00+03:00"), "with an offset that Europe/Berlin has at that time"),
        (zoned("2024-07-02T03:04:05+02:00", "Mars/Olympus"), "in a zone of the time zone database"),
        *(
            (zoned("2024-07-02T03:04:05+00:00", name), "in a zone of the time zone database")
            for name in ("../../etc/passwd", "/etc/localtime", "Europe", "Europe/", ".", "zones", "UTC\0", "x" * 10**5)
        ),
    ],
    ids=lambda it: str(it)[:60],
)
def test_a_time_that_the_zone_does_not_have_is_an_error_that_says_so(tree: Any, reason: str) -> None:
    with pytest.raises(PayloadError, match=f"the content of py/zoned must be a date and time {reason}") as caught:
        encode(tree)
    assert len(str(caught.value)) < 300


def test_protocol_2_cannot_write_it() -> None:
    with pytest.raises(PayloadError, match="pickle_protocol = 2: Python 2 has no zoneinfo"):
        encode(zoned("2024-07-02T03:04:05+02:00"), protocol=2)
    with pytest.raises(PayloadError, match="pickle_protocol = 2"):
        dumps(datetime(2024, 7, 2, tzinfo=ZoneInfo("Europe/Berlin")), protocol=2)


@settings(max_examples=effort.cases(300), deadline=None)
@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.sampled_from([*SOME, *sorted(zones.NAMES)]),
    st.booleans(),
)
def test_every_time_of_every_zone_is_written_and_no_other(naive: datetime, name: str, later: bool) -> None:
    local = naive.replace(tzinfo=zones.rules(name), fold=int(later))
    at = datetime.fromisoformat(local.isoformat())
    utc_and_back = (local.replace(tzinfo=None) - (local.utcoffset() or timedelta(0))).replace(tzinfo=zones.rules(name))
    exists = zones.rules(name).fromutc(utc_and_back).replace(tzinfo=None) == naive
    if not exists:
        with pytest.raises(ZoneError, match="its clocks skip this one"):
            fold_of(at, name)
        return
    assert naive.replace(tzinfo=zones.rules(name), fold=fold_of(at, name)).utcoffset() == at.utcoffset()
    moment = encode(zoned(at.isoformat(), name))
    assert moment.replace(tzinfo=None, fold=0) == naive
    assert moment.tzinfo is ZoneInfo(name)


@settings(max_examples=effort.cases(200), deadline=None)
@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2037, 1, 1)),
    st.sampled_from(SOME),
    st.integers(0, 1),
    st.integers(3, 5),
)
def test_what_python_stores_and_a_client_writes_back_is_the_same(
    naive: datetime, name: str, fold: int, protocol: int
) -> None:
    local = naive.replace(tzinfo=zones.rules(name), fold=fold)
    stored = b"!" + pickle.dumps([naive.replace(tzinfo=ZoneInfo(name), fold=fold)])
    for payload in FORMATS:
        codec = transcoder(payload, protocol)
        read = codec.decode(stored)
        try:
            fold_of(datetime.fromisoformat(local.isoformat()), name)
        except ZoneError:
            with pytest.raises(PayloadError, match="its clocks skip this one"):
                codec.encode(read)
            continue
        (moment,) = pickle.loads(codec.encode(read)[1:])
        assert moment.replace(tzinfo=None) == naive
        assert moment.tzinfo is ZoneInfo(name)
        assert moment.replace(tzinfo=zones.rules(name)).utcoffset() == local.utcoffset()
        assert codec.decode(codec.encode(read)) == read
        assert loads(stored) == [moment]


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("naive", [datetime.min, datetime.max], ids=["first", "last"])
def test_the_first_and_the_last_time_are_written(name: str, naive: datetime) -> None:
    at = naive.replace(tzinfo=zones.rules(name)).isoformat()
    moments = encode({"py/set": [zoned(at, name), zoned(at, name), {"py/datetime": at}]})
    assert {moment.isoformat() for moment in moments} == {at}


def test_two_of_one_zone_are_compared_without_it_and_others_are_not() -> None:
    times = [f"2024-07-02T03:04:05.{number:06}" for number in range(2000)]
    assert len(encode({"py/set": [zoned(f"{time}+02:00") for time in times]})) == 2000
    for other in (lambda time: zoned(f"{time}+02:00", "Europe/Paris"), lambda time: {"py/datetime": f"{time}+02:00"}):
        mixed = [zoned(f"{time}+02:00") if at % 2 else other(time) for at, time in enumerate(times)]
        encode({"py/set": mixed[:400]})
        with pytest.raises(PayloadError, match="are too many"):
            encode({"py/set": mixed})


def test_the_most_that_is_accepted_of_many_zones_loads_soon() -> None:
    names = sorted(zones.NAMES - {"Factory"})
    same = datetime(2024, 7, 2, 3, 4, 5, tzinfo=UTC)

    def in_some_zone(number: int) -> Any:
        name = names[number % len(names)]
        return zoned(same.astimezone(zones.rules(name)).isoformat(), name)

    make = in_tuples([in_some_zone], NUMBERS["ints of 70 bits"])
    for seconds in clocked([most(make, table) for table in ("set", "Counter", "OrderedDict")]):
        assert isinstance(seconds, float), seconds
        assert seconds < SOON


def test_equal_times_of_two_zones_are_one_member() -> None:
    same = [
        zoned("2024-07-02T03:04:05+02:00"),
        zoned("2024-07-01T21:04:05-04:00", "America/New_York"),
        {"py/datetime": "2024-07-02T01:04:05Z"},
    ]
    assert len(encode({"py/set": same})) == 1


def test_names_are_those_of_the_package_whatever_the_machine_has() -> None:
    assert {*SOME, "UTC", "Europe/Kyiv"} <= zones.NAMES
    assert not any(name.startswith((".", "/")) or ".." in name for name in zones.NAMES)
    for name in sorted(zones.NAMES):
        assert zones.rules(name).utcoffset(datetime(2024, 1, 1)) is not None
