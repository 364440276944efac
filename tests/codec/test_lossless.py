"""Lossless: if a client writes back a value of Python that it has read, Python loads an equal value, with its types."""

import importlib
import json
import pickle
from bisect import bisect_left
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Hashable
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import UUID, SafeUUID, uuid1
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from proxy.codec import CodecLimits, PayloadError, UndecodableError
from proxy.codec.nodes import READ_ONLY_TAGS, TAGS
from proxy.codec.pickler import hash_cost
from proxy.codec.pickler.tags import NAMES
from proxy.codec.unpickle import machine
from tests import effort
from tests.codec.judge import normal
from tests.codec.samples import FORMATS, transcoder

thorough = settings(max_examples=effort.cases(400), deadline=None, suppress_health_check=list(HealthCheck))

HUGE = 10**4299
TEXT = st.text(max_size=8) | st.sampled_from(["py/tuple", "int", "datetime\ntimedelta", "uuid\nUUID", "é😀", "\0"])
BINARY = st.binary(max_size=12) | st.binary(min_size=254, max_size=258)
MINUTES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
OFFSETS = (
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
    .filter(lambda offset: abs(offset) >= timedelta(seconds=1))
    .map(timezone)
)


def _utc_of_pytz() -> list[tzinfo]:
    try:
        pytz = importlib.import_module("pytz")
    except ImportError:
        return []
    return [pytz.UTC, pytz.FixedOffset(90)]


ZONES = (
    st.none()
    | st.sampled_from(
        [UTC, ZoneInfo("UTC"), ZoneInfo("Etc/GMT-5"), timezone(timedelta(hours=1), "CET"), *_utc_of_pytz()]
    )
    | MINUTES
    | OFFSETS
)


@st.composite
def moments(draw: st.DrawFn) -> datetime:
    return draw(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31))).replace(tzinfo=draw(ZONES))


@st.composite
def times(draw: st.DrawFn) -> time:
    return draw(st.times()).replace(tzinfo=draw(st.none() | MINUTES | OFFSETS))


INTEGERS = (
    st.integers()
    | st.sampled_from([0, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31) - 1, 2**63, 2**64, -(2**63) - 1])
    | st.integers(-3, 3).map(lambda number: number * HUGE)  # 4300 digits
    | st.sampled_from([127, 128, 2031, 2032, 2039]).map(lambda bits: -(2**bits))
)
HASHABLE_SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | INTEGERS
    | st.floats()
    | TEXT
    | BINARY
    | moments()
    | st.dates()
    | times()
    | st.timedeltas()
    | st.decimals(allow_nan=True).filter(lambda number: not number.is_snan())
    | st.sampled_from([Decimal("1.10"), Decimal("-0E+5"), Decimal("1E+9999"), Decimal("-Infinity"), Decimal("NaN12")])
    | st.uuids()
    | st.complex_numbers()
    | TEXT.map(Markup)
)
KEYS: st.SearchStrategy[Any] = st.recursive(
    HASHABLE_SCALARS,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
SCALARS = HASHABLE_SCALARS | st.binary(max_size=12).map(bytearray) | st.just(Decimal("sNaN"))


FACTORIES = (list, dict, set, int, float, str, bool, tuple, frozenset, None)


def collections_of(inner: st.SearchStrategy[Any], keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Counter, defaultdict and deque."""
    entries = st.dictionaries(TEXT, inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
    items = st.lists(inner, max_size=5)
    return (
        entries.map(Counter)
        | st.builds(defaultdict, st.sampled_from(FACTORIES), entries)
        | items.map(deque)
        | items.flatmap(lambda them: st.builds(deque, st.just(them), st.integers(len(them), 2**63 - 1)))
    )


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.lists(inner, max_size=5)
    return (
        items
        | items.map(tuple)
        | st.dictionaries(TEXT, inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(st.sampled_from([*sorted(TAGS), "py/", "py/object"]), inner, min_size=1, max_size=1)
        | st.lists(st.tuples(KEYS, inner), max_size=4).map(OrderedDict)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
        | collections_of(inner, KEYS)
    )


VALUES = st.recursive(SCALARS, _containers, max_leaves=12)


def stored_by_python(value: Any, protocol: int) -> bytes:
    return b"!" + pickle.dumps(value, protocol)


def loaded(stored: bytes) -> Any:
    return pickle.loads(stored[1:]) if stored.startswith(b"!") else int(stored)


@thorough
@given(VALUES, st.integers(0, 5), st.integers(2, 5), st.sampled_from(FORMATS))
def test_a_value_of_python_survives_the_way_to_a_client_and_back(
    value: Any, read: int, write: int, payload: str
) -> None:
    codec = transcoder(payload, write)
    stored = codec.encode(codec.decode(stored_by_python(value, read)))
    assert normal(loaded(stored)) == normal(value)
    assert codec.encode(codec.decode(stored)) == stored


@thorough
@given(VALUES, st.integers(0, 5))
def test_both_formats_stand_for_the_same_value(value: Any, protocol: int) -> None:
    stored = stored_by_python(value, protocol)
    as_json, as_msgpack = (transcoder(payload) for payload in FORMATS)
    assert normal(loaded(as_json.encode(as_json.decode(stored)))) == normal(
        loaded(as_msgpack.encode(as_msgpack.decode(stored)))
    )


def least_nodes(payload: str, packed: bytes) -> int:
    """The least limit with which a payload can be written."""

    def is_refused(nodes: int) -> bool:
        try:
            transcoder(payload, limits=CodecLimits(nodes=nodes)).encode(packed)
        except PayloadError:
            return True
        return False

    return bisect_left(range(1, 100_000), True, key=lambda nodes: not is_refused(nodes)) + 1


@settings(thorough, max_examples=effort.cases(100))
@given(VALUES, st.integers(2, 5), st.sampled_from(FORMATS))
def test_what_may_be_written_under_a_limit_of_nodes_may_be_read_and_written_again(
    value: Any, protocol: int, payload: str
) -> None:
    values = [deepcopy(value) for _ in range(60)]
    packed = transcoder(payload).decode(stored_by_python(values, 4))
    # The machine allows itself some slack, which would hide a difference in so small a value.
    with patch.object(machine, "STRIDE", 64), patch.object(hash_cost, "_MOST", 10**12):
        codec = transcoder(payload, protocol, limits=CodecLimits(nodes=least_nodes(payload, packed)))
        assert codec.decode(codec.encode(packed)) == packed


@thorough
@given(VALUES)
def test_a_value_repeated_in_one_list_is_written_as_it_is_each_time(value: Any) -> None:
    codec = transcoder()
    stored = codec.encode(codec.decode(stored_by_python([value, value, {"a": value}], 4)))
    assert normal(loaded(stored)) == normal([value, value, {"a": value}])


@thorough
@given(VALUES, st.sampled_from(FORMATS))
def test_plain_types_read_whatever_is_tagged_or_say_why_not(value: Any, payload: str) -> None:
    codec = transcoder(payload, types="plain")
    try:
        read = codec.decode(stored_by_python(value, 4))
    except UndecodableError:
        return
    tree = json.loads(read) if payload == "json" else msgpack.unpackb(read, strict_map_key=True)
    assert not _has_bytes(tree)


def _has_bytes(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(map(_has_bytes, [*tree.keys(), *tree.values()]))
    return any(map(_has_bytes, tree)) if isinstance(tree, list) else isinstance(tree, bytes)


PLAIN_KEYS = st.text(max_size=6).filter(lambda key: not key.startswith("py/"))
JSON_INTEGERS = INTEGERS.filter(lambda number: number > -HUGE)
JSON_SCALARS = st.none() | st.booleans() | JSON_INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON_VALUES = st.recursive(
    JSON_SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(PLAIN_KEYS, inner, max_size=6),
    max_leaves=25,
)


@thorough
@given(JSON_VALUES, st.booleans(), st.integers(2, 5), st.sampled_from([(), ("data",), ("data", "markup")]))
def test_a_json_payload_becomes_what_json_loads_makes_of_it(
    tree: Any, ascii_only: bool, protocol: int, accept_tags: tuple[str, ...]
) -> None:
    payload = json.dumps(tree, ensure_ascii=ascii_only).encode()
    codec = transcoder("json", protocol, accept_tags)
    stored = codec.encode(payload)
    assert normal(loaded(stored)) == normal(json.loads(payload))
    assert normal(json.loads(codec.decode(stored))) == normal(tree)


MSGPACK_INTEGERS = st.integers(-(2**63), 2**64 - 1)
MSGPACK_SCALARS = st.none() | st.booleans() | MSGPACK_INTEGERS | st.floats() | st.text() | st.binary()
MSGPACK_VALUES = st.recursive(
    MSGPACK_SCALARS | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(PLAIN_KEYS | st.binary(max_size=6) | MSGPACK_INTEGERS | st.floats(), inner, max_size=6)
    ),
    max_leaves=25,
)


@thorough
@given(MSGPACK_VALUES, st.integers(2, 5))
def test_a_msgpack_payload_becomes_what_msgpack_makes_of_it(tree: Any, protocol: int) -> None:
    payload = msgpack.packb(tree, datetime=True)
    codec = transcoder("msgpack", protocol)
    stored = codec.encode(payload)
    assert normal(loaded(stored)) == normal(msgpack.unpackb(payload, timestamp=3, strict_map_key=False))
    assert normal(loaded(codec.encode(codec.decode(stored)))) == normal(loaded(stored))


@given(INTEGERS)
def test_a_top_level_int_is_stored_as_digits(number: int) -> None:
    digits = b"%d" % number
    if number > -HUGE:
        assert transcoder().encode(digits) == digits
    assert transcoder().encode(b'{"py/int": "%s"}' % digits) == digits
    assert loaded(transcoder().encode(transcoder().decode(digits))) == number
    assert loaded(transcoder("msgpack").encode(transcoder("msgpack").decode(digits))) == number


@pytest.mark.parametrize("payload", [b"true", b"1.0", b'"42"', b"null", b"[1]"])
def test_what_is_no_int_is_pickled(payload: bytes) -> None:
    assert transcoder().encode(payload).startswith(b"!")


def test_ints_beyond_a_double_are_tagged_for_readers_that_ask_for_it() -> None:
    careful = transcoder(big_ints="tagged")
    stored = stored_by_python([2**53, 2**53 + 1, -(2**53) - 1], 4)
    assert json.loads(careful.decode(stored)) == [2**53, {"py/int": str(2**53 + 1)}, {"py/int": str(-(2**53) - 1)}]
    assert loaded(careful.encode(careful.decode(stored))) == [2**53, 2**53 + 1, -(2**53) - 1]
    assert json.loads(careful.decode(b"9007199254740993")) == {"py/int": "9007199254740993"}


@pytest.mark.parametrize("key", [*sorted(TAGS), "py/id", "py/", "py/object"])
def test_a_dict_with_one_key_that_looks_like_a_tag_comes_back(key: str) -> None:
    codec = transcoder()
    assert loaded(codec.encode(codec.decode(stored_by_python({key: [1]}, 4)))) == {key: [1]}


@given(st.text(max_size=12) | st.text(max_size=6).map("py/".__add__) | st.sampled_from(sorted(TAGS)), VALUES)
@settings(thorough, max_examples=effort.cases(200))
def test_every_dict_of_one_key_reads_as_writers_may_write_it(key: str, value: Any) -> None:
    for payload in FORMATS:
        codec = transcoder(payload)
        stored = codec.encode(codec.decode(stored_by_python({key: value}, 4)))
        assert normal(loaded(stored)) == normal({key: value})


@pytest.mark.parametrize("key", ["py/id", "py/", "py/object", "py/TUPLE", "py/tuple "])
def test_a_key_that_looks_like_a_tag_is_escaped(key: str) -> None:
    payload = json.dumps({"py/dict": [[key, [1]]]}, separators=(",", ":")).encode()
    assert transcoder().decode(transcoder().encode(payload)) == payload
    assert transcoder().decode(stored_by_python({key: [1]}, 4)) == payload


@pytest.mark.parametrize("key", ["py", "py_", "Py/tuple", " py/tuple", "p", "", "py:tuple", "$py/tuple"])
def test_any_other_key_reads_as_it_was_written(key: str) -> None:
    payload = json.dumps({key: [1]}, separators=(",", ":")).encode()
    assert transcoder().decode(transcoder().encode(payload)) == payload


def test_every_tag_is_written_or_read_only() -> None:
    assert {f"py/{name}" for name in NAMES} == TAGS - READ_ONLY_TAGS


@pytest.mark.parametrize("value", [uuid1(), UUID(int=1, is_safe=SafeUUID.unsafe), UUID(int=2, is_safe=SafeUUID.safe)])
@pytest.mark.parametrize("protocol", range(6))
def test_a_uuid_comes_back_whether_or_not_its_making_was_safe(value: UUID, protocol: int) -> None:
    codec = transcoder()
    assert loaded(codec.encode(codec.decode(stored_by_python(value, protocol)))) == value


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_datetime_in_a_named_zone_comes_back_in_it(zone: str) -> None:
    value = datetime(2024, 7, 1, tzinfo=ZoneInfo(zone))
    codec = transcoder()
    back = loaded(codec.encode(codec.decode(stored_by_python(value, 4))))
    assert (back, back.tzinfo) == (value, ZoneInfo(zone))


def test_an_offset_of_less_than_a_second_is_never_taken_for_utc() -> None:
    shown = transcoder().decode(stored_by_python(time(1, tzinfo=timezone(timedelta(microseconds=1))), 4))
    with pytest.raises(PayloadError, match=r"is a datetime\.time, which can be read but not written"):
        transcoder().encode(shown)
    for tag, text in (("datetime", "2024-01-02T03:04:05"), ("time", "03:04:05")):
        with pytest.raises(PayloadError, match="ISO 8601"):
            transcoder().encode(json.dumps({f"py/{tag}": f"{text}-00:00:00.000001"}).encode())


def test_an_ordered_dict_of_python_2_keeps_its_order() -> None:
    stored = b"!ccollections\nOrderedDict\np1\n((lp2\n(lp3\nS'b'\naI1\naa(lp4\nI2\naS'a'\naatRp5\n."
    codec = transcoder()
    assert loaded(codec.encode(codec.decode(stored))) == OrderedDict([("b", 1), (2, "a")])


def test_fold_is_lost() -> None:
    codec = transcoder()
    value = loaded(codec.encode(codec.decode(stored_by_python(datetime(2024, 1, 1, fold=1), 4))))
    assert (value, value.fold) == (datetime(2024, 1, 1), 0)


def test_many_members_whose_hashes_python_keys_are_no_danger() -> None:
    codec = transcoder()
    members: list[set[Hashable]] = [
        {b"%d" % number for number in range(5000)},
        {date.fromordinal(1 + number) for number in range(5000)},
        {Markup(number) for number in range(5000)},
        set(range(5000)),
    ]
    for value in members:
        assert loaded(codec.encode(codec.decode(stored_by_python(value, 4)))) == value
    with pytest.raises(PayloadError, match="set members or dict keys"):
        codec.encode(codec.decode(stored_by_python({number + 0.5 for number in range(6000)}, 4)))


@given(st.text(max_size=12) | st.text(max_size=8).map("py/".__add__) | st.sampled_from(sorted(TAGS)), VALUES)
def test_reading_escapes_every_dict_that_writing_would_refuse(key: str, value: Any) -> None:
    """Of all dicts with one key: what is read of any is written back as it was, by a rule that accepts every tag."""
    codec = transcoder()
    stored = stored_by_python({key: value}, 4)
    payload = codec.decode(stored)
    assert normal(loaded(codec.encode(payload))) == normal({key: value})
    assert json.loads(payload).keys() == ({"py/dict"} if key.startswith("py/") else {key})
