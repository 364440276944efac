"""Objects that contain themselves are whole once. The payload is linear in the size of the stored value."""

import json
import pickle
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from proxy.codec import CodecLimits, Options, Transcoder, UndecodableError
from proxy.codec.unpickle import opcodes
from proxy.codec.unpickle.cycles import cyclic
from proxy.codec.unpickle.instances import Values
from proxy.codec.unpickle.machine import Machine
from proxy.engine import ENGINE, REFERENCE, Engine
from tests.codec.conftest import Cost
from tests.codec.pickles import PART, cls, obj, text
from tests.codec.unpickle.test_instances import Color, Names, Thing, read, stored

NAME = f"{Thing.__module__}.Thing"


def whole(value: Any) -> Any:
    return {"py/instance": {"class": NAME, "value": value}}


def again(value: Any) -> Any:
    return {"py/instance": {"class": NAME, "value": value, "again": True}}


def related(rows: int) -> list[Thing]:
    """Rows of one category. Each row refers to it."""
    category = Thing(name="tea", rows=[])
    for number in range(rows):
        category.rows.append(Thing(id=number, category=category, tags=["a"]))
    return list(category.rows)


def test_an_object_that_reaches_itself_is_whole_at_its_first_place_only() -> None:
    rows = related(2)
    second = again({"id": 1})
    first = {"id": 0, "tags": ["a"]}
    category = {
        "name": "tea",
        "rows": [again({"id": 0}), whole({"id": 1, "category": again({"name": "tea"}), "tags": ["a"]})],
    }
    assert read(stored(rows)) == [whole(first | {"category": whole(category)}), second]
    assert read(stored(rows), "plain") == [
        {
            "id": 0,
            "category": {"name": "tea", "rows": [{"id": 0}, {"id": 1, "category": {"name": "tea"}, "tags": ["a"]}]},
            "tags": ["a"],
        },
        {"id": 1},
    ]


def test_an_object_that_is_only_shared_is_whole_each_time() -> None:
    shared = Thing(a=[1])
    assert read(stored([shared, {"x": shared}])) == [whole({"a": [1]}), {"x": whole({"a": [1]})}]
    hidden = Thing(a=[1])
    hidden._sa_instance_state = hidden
    assert read(stored([hidden, hidden])) == [whole({"a": [1]})] * 2


def test_what_is_left_of_an_object_has_no_containers() -> None:
    thing = Thing(
        n=1, when=None, raw=b"a", kind=Color.RED, pair=Color.PAIR, empty=[], more={"a": 1}, seen={1}, far=deque()
    )
    thing.me = thing
    thing.other = Thing()
    left = again(
        {
            "n": 1,
            "when": None,
            "raw": {"py/bytes": "YQ=="},
            "kind": {"py/instance": {"class": f"{Color.__module__}.Color", "value": "red"}},
        }
    )
    assert read(stored([thing, thing]))[1] == left
    assert read(stored(thing), "plain")["me"] == {"n": 1, "when": None, "raw": "a", "kind": "red"}
    names = Names([1, [2]])
    names.append(names)
    assert read(stored(names), "plain") == [1, [2], [1, None, None]]
    assert read(stored([OrderedDict(a=names), names]), "plain")[1] == [1, None, None]


def test_the_value_of_an_object_may_be_itself() -> None:
    body = cls("shop", "P") + b")\x81q\x00h\x00b"
    assert read(body, "plain") is None
    shown = {"py/instance": {"class": "shop.P", "value": None, "again": True}}
    assert read(body) == {"py/instance": {"class": "shop.P", "value": shown}}


def levels(payload: Any, *path: Any) -> int:
    for step in path:
        payload = payload[step]
    assert list(payload) == ["py/cycle"]
    return int(payload["py/cycle"])


def test_a_container_inside_itself_says_how_far_up_it_is() -> None:
    one: list[Any] = []
    one.append(one)
    assert read(stored(one)) == [{"py/cycle": 1}]
    assert read(stored(one), "plain") == [None]
    deep: Any = {"a": [1]}
    deep["a"].append((deep, {"b": deep}))
    payload = read(stored(deep))
    assert levels(payload, "a", 1, "py/tuple", 0) == 3
    assert levels(payload, "a", 1, "py/tuple", 1, "b") == 4
    assert read(stored(deep), "plain") == {"a": [1, [None, {"b": None}]]}
    keyed: dict[Any, Any] = {}
    keyed[1] = keyed
    assert levels(read(stored(keyed)), "py/dict", 0, 1) == 2
    ends: deque[Any] = deque()
    ends.append(ends)
    assert levels(read(stored(ends)), "py/deque", "items", 0) == 2
    ordered: OrderedDict[Any, Any] = OrderedDict()
    ordered["a"] = ordered
    assert levels(read(stored(ordered)), "py/ordereddict", 0, 1) == 2
    thing = Thing(n=1)
    thing.all = thing.__dict__
    assert read(stored(thing)) == whole({"n": 1, "all": {"py/cycle": 1}})


def test_a_container_with_an_object_between_is_cut_at_the_object() -> None:
    rows: list[Any] = [Thing(n=1)]
    rows[0].rows = rows
    assert read(stored(rows)) == [whole({"n": 1, "rows": [again({"n": 1})]})]


def test_a_container_that_is_only_shared_is_no_cycle() -> None:
    shared: list[Any] = []
    inner: list[Any] = [shared]
    inner.append(inner)
    assert read(stored([shared, inner, shared, inner])) == [[], [[], {"py/cycle": 1}], [], [[], {"py/cycle": 1}]]


def sizes(value: Any) -> tuple[int, ...]:
    stored_value = b"!" + pickle.dumps(value)
    return tuple(len(Transcoder(Options(types=form), REFERENCE).decode(stored_value)) for form in ("tagged", "plain"))


def test_three_hundred_rows_of_one_category_stay_linear() -> None:
    for one, ten in zip(sizes(related(30)), sizes(related(300)), strict=True):
        assert ten < 12 * one


def many_to_many(count: int) -> list[Thing]:
    students = [Thing(s=number, courses=[]) for number in range(count)]
    courses = [Thing(c=number, students=[]) for number in range(count)]
    for student in students:
        for course in courses:
            student.courses.append(course)
            course.students.append(student)
    return students


def test_many_to_many_stays_linear() -> None:
    """Linear in the size of the stored value, which itself grows with the square."""
    for ten, fifty in zip(sizes(many_to_many(10)), sizes(many_to_many(50)), strict=True):
        assert fifty < 30 * ten


def test_what_would_nest_too_deep_is_whole_where_it_is_shallowest() -> None:
    plain = read(stored(many_to_many(50)), "plain")
    assert [list(student) for student in plain] == [["s", "courses"]] * 50
    assert [list(course) for course in plain[0]["courses"]] == [["c", "students"]] * 50
    assert plain[0]["courses"][1]["students"] == [{"s": number} for number in range(50)]
    assert plain[1]["courses"] == [{"c": number} for number in range(50)]
    assert read(stored(many_to_many(3)), "plain")[1:] == [{"s": 1}, {"s": 2}]


def test_a_chain_that_is_too_deep_stays_so() -> None:
    first = last = Thing(n=0)
    for number in range(1, 200):
        last.next = Thing(n=number, before=last)
        last = last.next
    for engine in (ENGINE, REFERENCE):
        with pytest.raises(UndecodableError, match="nested more than 100 deep"):
            Transcoder(Options(), engine).decode(b"!" + pickle.dumps(first))


def number(at: int) -> bytes:
    """The argument of LONG_BINPUT and LONG_BINGET."""
    return at.to_bytes(4, "little")


def related_to_one_another(count: int) -> bytes:
    """A list of objects that each hold themselves."""
    each = b"h\0)\x81q\x01}" + text("me") + b"h\x01sb"
    return cls("shop", "P") + b"q\0(" + each * count + b"l"


@pytest.mark.parametrize(
    "body",
    [
        related_to_one_another(20_000),
        cls("shop", "P") + b"q\0h\0)\x81" + b"\x85q\1h\0h\1\x81" * 10_000,
        cls("shop", "P") + b"q\0h\0)\x81" + (b"}" + text("a")) * 10_000 + b"N" + b"sb" * 10_000,
        b"]q\0(" + b"h\0" * 20_000 + b"e",
        b"]q\0" + b"]" * 98 + b"(" + b"h\0" * 20_000 + b"e" + b"a" * 98,
        cls("shop", "P")
        + b"q\0}("
        + b"".join(text(f"_sa_{at}") + b"N" for at in range(2000))
        + b"uq\1("
        + b"h\0)\x81h\1b" * 2000
        + b"l",
        cls("shop", "P") + b"q\0(" + b"N" * 2000 + b"tq\1(" + b"h\0h\1\x81" * 2000 + b"l",
        cls("shop", "P") + b"q\0]q\1(" + b"h\0h\1\x85\x81" * 2000 + b"N" * 2000 + b"e",
        b"(" + b"".join(cls("m" * 200, f"{at}" + "n" * 280) for at in range(300)) + b"l",
    ],
    ids=["selves", "chain", "states", "cycles", "far cycles", "hidden", "arguments", "shared", "names"],
)
def test_what_is_hostile_costs_no_more(body: bytes, cost: Callable[..., Cost]) -> None:
    cost(body + b".")


ENDLESS = {
    "objects": related_to_one_another(2000),
    "lists": b"](" + b"".join(b"]r" + number(at) + b"j" + number(at) + b"a" for at in range(1, 2000)) + b"e",
    "dicts": b"]("
    + b"".join(b"}r" + number(at) + text("x") + b"j" + number(at) + b"s" for at in range(1, 2000))
    + b"e",
    "states": cls("shop", "P") + b"q\0](" + b"h\0)\x81q\1(h\1}tb" * 2000 + b"e",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_references_that_may_close_cycles_are_counted_while_reading(kind: str, cost: Callable[..., Cost]) -> None:
    body = ENDLESS[kind] + b"."
    for engine in (ENGINE, REFERENCE):
        with pytest.raises(UndecodableError, match="nodes"):
            Transcoder(Options(limits=PART), engine).decode(b"!" + body)
    assert cost(body).instructions < 2 * PART.nodes


def test_all_references_to_a_list_that_holds_their_objects_are_counted_when_it_grows() -> None:
    body = cls("shop", "P") + b"q\0]q\1(" + (b"h\0)\x81}" + text("x") + b"h\1sb") * 400 + b"e"
    machine = Machine(body + b".", PART)
    with pytest.raises(UndecodableError, match="nodes"):
        machine.run(0, opcodes.TABLE)


def test_references_to_containers_that_do_not_grow_later_are_free() -> None:
    body = b"]q\0]q\1(" + b"h\0" * 2000 + b"e."
    for engine in (ENGINE, REFERENCE):
        assert Transcoder(Options(limits=PART), engine).decode(b"!" + body).count(b"[]") == 2000


def test_objects_that_contain_themselves_count_the_same_in_both_engines() -> None:
    stored_value = b"!" + pickle.dumps(related(20))

    def least(engine: Engine) -> int:
        for nodes in range(100, 1000):
            with suppress(UndecodableError):
                Transcoder(Options(limits=CodecLimits(nodes=nodes)), engine).decode(stored_value)
                return nodes
        raise AssertionError("it is never read")

    assert least(ENGINE) == least(REFERENCE)


def test_usual_relations_are_read_with_the_default_limits() -> None:
    models = [Thing(id=at, name=str(at), price=1.5, kind="a", stock=at, _sa_instance_state=Thing()) for at in range(60)]
    for model in models:
        model._sa_instance_state.__dict__.update(obj=model, class_=Thing, options=(), key=(1, 2))
    for value in (models, related(30), many_to_many(10)):
        for engine in (ENGINE, REFERENCE):
            assert Transcoder(Options(limits=PART), engine).decode(b"!" + pickle.dumps(value))


def test_a_tree_of_the_same_parts_reads_as_without_the_search() -> None:
    value = [Thing(a=[1, {"b": (2,)}]), {"c": Thing(d=None)}]
    assert json.loads(Transcoder(Options(), REFERENCE).decode(b"!" + pickle.dumps(value))) == read(stored(value))


def test_responses_count_before_they_are_presented() -> None:
    headers = obj("app", "Headers", _list=b"]") + b"q\1"
    state = b"}(" + text("headers") + headers + text("response") + b"]" + text("_status_code") + b"K\xc8uq\2"
    body = cls("app", "R") + b"q\0" + state + b"0(" + b"h\0)\x81h\2b" * 300 + b"l."
    values = Values(PART)
    root = Machine(body, PART).run(0, opcodes.TABLE)
    with pytest.raises(UndecodableError, match="nodes"):
        cyclic(root, values)
