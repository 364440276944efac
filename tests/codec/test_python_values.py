"""Python values <-> stored values, safely and without Flask."""

import json
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import flask
import markupsafe
import pytest

from proxy.codec import (
    CodecLimits,
    Cycle,
    Global,
    Instance,
    Markup,
    PayloadError,
    Response,
    UndecodableError,
    dumps,
    loads,
)
from proxy.codec.payload import presenter
from tests.codec.judge import normal

VALUES: list[Any] = [
    None, True, 7, -(10**40), 1.5, float("inf"), "text", b"\xff", bytearray(b"a"), [1, [2]], (1, ("a",)), {1, 2},
    frozenset({"a"}),
    {"a": {"b": []}}, {1: "a", None: "b", (1, 2): "c"}, {"py/tuple": [1]}, OrderedDict([("z", 1), ("a", 2)]),
    datetime(2024, 1, 2, 3, 4, 5, 678), datetime(2024, 1, 2, tzinfo=UTC),
    datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    date(2024, 1, 2), time(1, 2, 3), timedelta(days=-1, microseconds=5), Decimal("1.10"), UUID(int=5), complex(1, -2),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_is_dumped_loads_in_python_and_here(value: Any, protocol: int) -> None:
    stored = dumps(value, protocol=protocol)
    in_python = pickle.loads(stored[1:]) if stored.startswith(b"!") else int(stored)
    for loaded in (in_python, loads(stored)):
        assert loaded == value
        assert type(loaded) is type(value)


def test_markup_and_responses_have_stand_ins() -> None:
    assert pickle.loads(dumps(Markup("<b>"))[1:]) == markupsafe.Markup("<b>")
    stored = dumps(Response(201, [("X-A", "b")], b"\xff"))
    response = pickle.loads(stored[1:])
    assert type(response) is flask.Response
    assert (response.status, response.headers["X-A"], response.data) == ("201 CREATED", "b", b"\xff")
    assert loads(stored) == Response(201, [("X-A", "b")], b"\xff")
    assert type(loads(dumps(Markup("<b>")))) is Markup


def test_the_answer_to_the_question_this_project_comes_from() -> None:
    assert loads(b"!\x80\x03X\x03\x00\x00\x00fooq\x00.") == "foo"


@pytest.mark.parametrize("value", [object(), print, [range(3)], defaultdict(lambda: 0), defaultdict(bytes)])
def test_what_has_no_tag_cannot_be_dumped(value: Any) -> None:
    with pytest.raises(PayloadError):
        dumps(value)


def test_depth_is_bounded_both_ways() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(PayloadError):
        dumps(deep)
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    with pytest.raises(PayloadError):
        dumps(cyclic)
    assert loads(b"!" + pickle.dumps(cyclic)) == [Cycle(1)]


def test_members_that_an_attacker_can_make_collide_are_limited() -> None:
    colliding = {number * (2**61 - 1) for number in range(1, 6000)}
    with pytest.raises(UndecodableError, match="are too many"):
        loads(b"!" + pickle.dumps(colliding))
    with pytest.raises(PayloadError, match="are too many"):
        dumps(colliding)
    assert loads(b"!" + pickle.dumps(set(range(5000)))) == set(range(5000))


@pytest.mark.parametrize(
    "value",
    [
        10**4300, [-(10**4300)], "\ud800", {"\ud800": 1}, {("\ud800",): 1}, Markup("\ud800"),
        Response(200, [], None), Response(200, None, ""), Response(200, [1], ""), Response(200, ["ab"], ""),
        Response(200, [("a", 1)], ""), Response(200, [("a", "\ud800")], ""), Response(200, [], "\ud800"),
        Response("200", [], ""), Response(99, [], ""), Response(200, [("a", "b\r\nc: d")], ""), object(), int,
    ],
    ids=lambda value: f"{type(value).__name__}",
)  # fmt: skip
def test_what_cannot_be_stored_is_one_kind_of_error(value: Any) -> None:
    with pytest.raises(PayloadError):
        dumps(value)


@pytest.mark.parametrize("protocol", [-1, 0, 1, 6, 300])
def test_a_protocol_that_is_none_is_said(protocol: int) -> None:
    with pytest.raises(ValueError, match="pickle_protocol must be one of 2, 3, 4, 5, got"):
        dumps("x", protocol=protocol)


@pytest.mark.parametrize("value", [None, "!N.", memoryview(b"!N."), bytearray(b"!N.")])
def test_a_miss_and_a_decoded_response_are_said(value: Any) -> None:
    with pytest.raises(TypeError, match="a stored value is bytes, got"):
        loads(value)


def test_limits_deeper_than_the_stack_are_refused() -> None:
    for call in (lambda: dumps("x", limits=CodecLimits(depth=151)), lambda: loads(b"1", limits=CodecLimits(depth=151))):
        with pytest.raises(ValueError, match=r"limits\.depth may be 150 at most, got 151"):
            call()


def test_parts_that_are_shared_over_and_over_end_in_an_error() -> None:
    shared: list[Any] = []
    for _ in range(60):
        shared = [shared, shared]
    with pytest.raises(PayloadError, match="nodes"):
        dumps(shared)


def test_a_zone_with_one_offset_is_stored_as_that_offset() -> None:
    for zone in (UTC, ZoneInfo("UTC"), ZoneInfo("Etc/GMT+5"), timezone(timedelta(hours=1))):
        moment = datetime(2024, 1, 2, tzinfo=zone)
        assert loads(dumps(moment)) == moment
    with pytest.raises(PayloadError, match="without a fixed offset"):
        dumps(time(1, 2, tzinfo=ZoneInfo("Europe/Berlin")))


def test_limits_are_the_callers(tmp_path: Path) -> None:
    with pytest.raises(UndecodableError):
        loads(dumps([1, 2, 3]), limits=CodecLimits(nodes=3))


def test_nothing_hostile_escapes_but_our_error() -> None:
    samples = json.loads((Path(__file__).parent.parent / "data" / "hostile_pickles.json").read_text())
    for sample in samples.values():
        try:
            loads(b"!" + bytes.fromhex(sample["hex"]))
        except UndecodableError:
            continue


# -- values of presented trees -------------------------------------------------------------------------


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """The value of `loads` for a presented tree."""

    def made_of(tree: Any) -> Any:
        monkeypatch.setattr(presenter.Presenter, "present", lambda _presenter, _root: tree)
        return loads(b"!N.")

    return made_of


PRODUCT = {"py/instance": {"class": "shop.models.Product", "value": {"id": 1, "tags": {"py/set": ["a"]}}}}
COLOUR = {"py/instance": {"class": "shop.Colour", "value": "red"}}


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        (PRODUCT, Instance("shop.models.Product", {"id": 1, "tags": {"a"}})),
        ({"py/set": [COLOUR]}, {Instance("shop.Colour", "red")}),
        ({"py/dict": [[COLOUR, 1], [{"py/global": "a.f"}, 2]]}, {Instance("shop.Colour", "red"): 1, Global("a.f"): 2}),
        ({"py/instance": {"class": "a.B", "value": {}, "again": True}}, Instance("a.B", {}, again=True)),
        ([{"py/cycle": 1}], [Cycle(1)]),
        ({"py/counter": {"py/dict": [[1, 2]]}}, Counter({1: 2})),
        ({"py/defaultdict": {"factory": "frozenset", "dict": {"a": PRODUCT}}},
         defaultdict(frozenset, {"a": Instance("shop.models.Product", {"id": 1, "tags": {"a"}})})),
        ({"py/defaultdict": {"factory": None, "dict": {}}}, defaultdict(None)),
        ({"py/deque": {"items": [1, {"py/tuple": []}], "maxlen": 3}}, deque([1, ()], 3)),
        ({"py/zoned": {"at": "2024-10-27T02:30:00+01:00", "zone": "Europe/Berlin"}},
         datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))),
        # pytz without localize(): local mean time
        ({"py/zoned": {"at": "2024-07-02T03:04:05+00:53", "zone": "Europe/Berlin"}},
         datetime(2024, 7, 2, 3, 4, 5, tzinfo=timezone(timedelta(minutes=53)))),
    ],
    ids=lambda it: str(it)[:40],
)  # fmt: skip
def test_what_is_read_is_of_the_standard_library_or_stands_for_it(
    read: Callable[[Any], Any], tree: Any, wanted: Any
) -> None:
    assert normal(read(tree)) == normal(wanted)
    assert read(tree) == wanted


@pytest.mark.parametrize(
    ("pickled", "wanted"),
    [
        (b"}ca\nN\nK\x01K\x02\x86\x81K\x01s.", {Instance("a.N", [1, 2]): 1}),  # a namedtuple
        (b"}ca\nN\n)\x81}X\x01\0\0\0xK\x01sbK\x01s.", {Instance("a.N", {"x": 1}): 1}),  # a frozen dataclass
        (b"}ca\nN\n]K\x01\x85\x86\x81K\x02\x86K\x01s.", {(Instance("a.N", [[], (1,)]), 2): 1}),
        (b"\x8f(ca\nN\n)\x81\x90.", {Instance("a.N", {})}),
        (b"(ca\nN\n\x8f\x85\x81\x91.", frozenset({Instance("a.N", set())})),
    ],
)
def test_an_object_with_parts_is_a_key_or_a_member(pickled: bytes, wanted: Any) -> None:
    assert loads(b"!\x80\x04" + pickled) == wanted


def test_what_has_no_hash_within_an_instance_is_still_refused() -> None:
    with pytest.raises(UndecodableError, match="unhashable key or member"):
        loads(b"!\x80\x04}ca\nN\n}]K\1s\x85\x81K\x01s.")


def test_an_instance_that_is_hashed_is_hashed_by_its_value(read: Callable[[Any], Any]) -> None:
    many = [{"py/instance": {"class": "shop.Id", "value": number * (2**61 - 1)}} for number in range(1, 6000)]
    with pytest.raises(UndecodableError, match="are too many"):
        read({"py/set": many})


@pytest.mark.parametrize(
    "value",
    [
        Counter({"a": 1, 2: 3}), Counter({"py/set": 1}), defaultdict(list, {"a": [1]}), defaultdict(None, {(1,): 2}),
        deque([1, [2]], 5), deque(), datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_containers_and_zoned_datetimes_are_dumped(value: Any, protocol: int) -> None:
    assert normal(pickle.loads(dumps(value, protocol=protocol)[1:])) == normal(value)


def test_the_local_time_is_dumped_whatever_rules_this_machine_has() -> None:
    with resources.files("tzdata").joinpath("zoneinfo/America/New_York").open("rb") as rules:
        elsewhere = ZoneInfo.from_file(rules, key="Europe/Berlin")
    stored = dumps([datetime(2024, 7, 2, 3, 4, 5, tzinfo=elsewhere)])
    (moment,) = pickle.loads(stored[1:])
    assert moment == datetime(2024, 7, 2, 3, 4, 5, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (datetime(2024, 3, 31, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), "its clocks skip this one"),
        (time(2, 30, tzinfo=ZoneInfo("Europe/Berlin")), "a time in a zone without a fixed offset"),
        (defaultdict(lambda: 0), "if its factory is list, dict, set"),
        (defaultdict(bytes), "if its factory is list, dict, set"),
        ({1: Instance("a.B", {})}, "Instance stands for a value that can only be read"),
    ],
    ids=["gap", "time", "other factory", "factory of no tag", "read only"],
)
def test_what_cannot_be_dumped_says_why(value: Any, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        dumps(value)
