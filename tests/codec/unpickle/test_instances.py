"""Objects of other classes: the value that a reader gets, by the general rules and for recognised classes."""

import json
import pickle
from collections import OrderedDict
from enum import Enum
from fractions import Fraction
from functools import partial
from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest

from proxy.codec import Options, Transcoder, UndecodableError
from proxy.engine import ENGINE, REFERENCE
from tests.codec.pickles import binary, call, cls, long, obj, text

HERE = __name__


def read(body: bytes, types: str = "tagged", **options: Any) -> Any:
    """The value of a pickle, with both engines."""
    payloads = set()
    for engine in (ENGINE, REFERENCE):
        payloads.add(Transcoder(Options(types=types, **options), engine).decode(b"!" + body + b"."))
    (payload,) = payloads
    return json.loads(payload)


def instance(name: str, value: Any) -> dict[str, Any]:
    return {"py/instance": {"class": name, "value": value}}


def stored(value: Any, protocol: int = 4) -> bytes:
    return pickle.dumps(value, protocol).removesuffix(b".")


class Thing:
    """An object with any attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Slots:
    __slots__ = ("left", "right")

    def __init__(self, left: Any, right: Any) -> None:
        self.left = left
        self.right = right


class SlotsToo(Slots):
    def __init__(self, left: Any, more: Any) -> None:
        self.left = left
        self.more = more


class Names(list[Any]):
    pass


class Bag(dict[str, Any]):
    pass


class Point(NamedTuple):
    x: int
    y: Any


class Color(Enum):
    RED = "red"
    PAIR = (1, "b")


class Keywords:
    def __new__(cls, *args: Any, **kwargs: Any) -> "Keywords":
        made = super().__new__(cls)
        made.made_of = args, kwargs
        return made

    made_of: tuple[tuple[Any, ...], dict[str, Any]]

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.made_of

    def __getstate__(self) -> None:
        return None


class State:
    def __init__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _found(name: str) -> Thing:
    """As Django's model_unpickle, which only finds the class."""
    return Thing(name=name)


class Found:
    def __init__(self, first: Any, state: Any) -> None:
        self.first, self.state = first, state

    def __reduce__(self) -> Any:
        return _found, (self.first,), self.state


@pytest.mark.parametrize(
    ("value", "name", "tagged", "plain"),
    [
        (Names(["a", (1,)]), "Names", ["a", {"py/tuple": [1]}], ["a", [1]]),
        (Bag(a=1), "Bag", {"a": 1}, {"a": 1}),
        (Point(1, (2,)), "Point", [1, {"py/tuple": [2]}], [1, [2]]),
        (Color.RED, "Color", "red", "red"),
        (Color.PAIR, "Color", {"py/tuple": [1, "b"]}, [1, "b"]),
        (Keywords(1, a=2), "Keywords", 1, 1),
        (Keywords(1, 2, a=2), "Keywords", [1, 2], [1, 2]),
        (Keywords(a={1}), "Keywords", {"a": {"py/set": [1]}}, {"a": [1]}),
        (Keywords(), "Keywords", {}, {}),
        (Thing(a=1, _b=2, __c=3, _sa_x=4), "Thing", {"a": 1, "_b": 2}, {"a": 1, "_b": 2}),
        (Thing(_state=1), "Thing", {"_state": 1}, {"_state": 1}),
        (Thing(_state=1, _django_version="5.2", id=2), "Thing", {"id": 2}, {"id": 2}),
        (Thing(), "Thing", {}, {}),
        (Slots(1, "b"), "Slots", {"left": 1, "right": "b"}, {"left": 1, "right": "b"}),
        (SlotsToo(1, "b"), "SlotsToo", {"more": "b", "left": 1}, {"more": "b", "left": 1}),
        (State([1, (2,)]), "State", [1, {"py/tuple": [2]}], [1, [2]]),
        (State((1, 2)), "State", {"py/tuple": [1, 2]}, [1, 2]),
        (State({1: 2}), "State", {"py/dict": [[1, 2]]}, {"1": 2}),
        (State({"py/tuple": [1]}), "State", {"py/dict": [["py/tuple", [1]]]}, {"py/tuple": [1]}),
        (State("text"), "State", "text", "text"),
        (Found(Thing, {"a": 1}), "Thing", {"a": 1}, {"a": 1}),
        (Found("x", {"a": 1}), "_found", {"a": 1}, {"a": 1}),
        (Found("x", {}), "_found", "x", "x"),
        (Found("x", None), "_found", "x", "x"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_rules(value: Any, name: str, tagged: Any, plain: Any) -> None:
    for protocol in (4, 5):
        assert read(stored(value, protocol)) == instance(f"{HERE}.{name}", tagged)
        assert read(stored([value], protocol), "plain") == [plain]


def test_django_names_the_class_in_its_arguments() -> None:
    body = call("django.db.models.base", "model_unpickle", text("shop") + text("Product") + b"\x86")
    state = b"}(" + text("_state") + obj("django.db.models.base", "ModelState", db=b"N") + text("id") + b"K\x07ub"
    assert read(body + state) == instance("shop.Product", {"id": 7})
    assert read(body + state, read_classes=("shop.*",)) == instance("shop.Product", {"id": 7})
    with pytest.raises(UndecodableError, match=r"\$ is a shop\.Product, which read_classes"):
        read(body + state, read_classes=("django.*",))
    assert read(body + b"}b") == instance("django.db.models.base.model_unpickle", {"py/tuple": ["shop", "Product"]})


def test_a_callable_that_is_a_result_has_the_class_of_the_innermost_one() -> None:
    made = call("shop", "factory", b"K\x01")
    assert read(made + b"K\x02\x85R") == instance("shop.factory", 2)
    assert read(made + b"K\x02\x85RK\x03\x85R") == instance("shop.factory", 3)
    assert read(made + b"K\x02\x85\x81") == instance("shop.factory", 2)
    assert read(stored(partial(int, base=2))) == instance("functools.partial", {"py/global": "builtins.int"})
    assert read(stored("a".upper)) == instance("builtins.getattr", ["a", "upper"])


@pytest.mark.parametrize("base", ["list", "dict", "tuple", "str", "int", "float"])
def test_protocol_0_gives_the_value_of_the_base(base: str) -> None:
    values = {
        "list": b"]K\x01a",
        "dict": b"}",
        "tuple": b"K\x01\x85",
        "str": text("a"),
        "int": b"K\x01",
        "float": b"F1.5\n",
    }
    wanted = {"list": [1], "dict": {}, "tuple": {"py/tuple": [1]}, "str": "a", "int": 1, "float": 1.5}
    body = call("copy_reg", "_reconstructor", cls("shop", "Mine"), cls("__builtin__", base), values[base])
    assert read(body) == instance("shop.Mine", wanted[base])


class TestNames:
    def test_of_python_2_are_those_of_python_3_up_to_protocol_2(self) -> None:
        for proto in (b"", b"\x80\x02"):
            assert read(proto + b"c__builtin__\nxrange\n") == {"py/global": "builtins.range"}
            assert read(proto + b"cexceptions\nKeyError\n") == {"py/global": "builtins.KeyError"}
            assert read(proto + b"cUserDict\nIterableUserDict\n") == {"py/global": "collections.UserDict"}
        assert read(b"\x80\x03cexceptions\nKeyError\n") == {"py/global": "exceptions.KeyError"}
        assert read(b"\x80\x03c__builtin__\nset\n]\x85R") == instance("__builtin__.set", [])

    def test_of_attributes_are_dotted(self) -> None:
        assert read(call("builtins", "getattr", cls("shop", "Basket"), text("Item"))) == {
            "py/global": "shop.Basket.Item"
        }
        nested = call("builtins", "getattr", call("builtins", "getattr", cls("a", "B"), text("C")), text("D"))
        assert read(nested + b")\x81") == instance("a.B.C.D", {})

    @pytest.mark.parametrize("module", ["a" * 511, "a\x07", "a\u2028", "", "a\n", "a" * 1_000_000])
    def test_are_short_and_printable(self, module: str) -> None:
        for body in (text(module) + text("b") + b"\x93", text(module) + text("b") + b"\x93)\x810"):
            with pytest.raises(UndecodableError, match=r"^a class with an? ") as caught:
                read(b"\x80\x04N" + body)
            assert len(str(caught.value)) < 200
            assert str(caught.value).isprintable()
        assert read(text("a" * 510) + text("b") + b"\x93") == {"py/global": "a" * 510 + ".b"}

    def test_longer_than_allowed_by_attributes(self) -> None:
        body = cls("a", "b")
        for _ in range(6):
            body = call("builtins", "getattr", body, text("c" * 99))
        with pytest.raises(UndecodableError, match="a class with a name of"):
            read(body)


class TestRecognised:
    def test_rows_of_sqlalchemy(self) -> None:
        def row(keys: bytes, data: bytes, module: str = "sqlalchemy.engine.row") -> bytes:
            parent = obj("sqlalchemy.engine.result", "SimpleResultMetaData", _keys=keys)
            state = b"}(" + text("_parent") + parent + text("_data") + data + b"u"
            return call(module, "rowproxy_reconstructor", cls("sqlalchemy.engine.row", "Row"), state)

        two = b"(" + text("a") + text("b") + b"l"
        for module in ("sqlalchemy.engine.row", "sqlalchemy.cyextension.resultproxy", "sqlalchemy.engine._row_cy"):
            name = f"{module}.rowproxy_reconstructor"
            assert read(row(two, b"K\x01N\x86", module)) == instance(name, {"a": 1, "b": None})
            assert read(row(two, b"K\x01N\x86", module), "plain") == {"a": 1, "b": None}
        assert read(row(b"(" + text("a") * 2 + b"l", b"K\x01N\x86"), "plain") == [1, None]
        assert read(row(two, b"K\x01\x85"), "plain") == [1]
        assert read(row(b"N", b"K\x01\x85"), "plain") == [1]
        assert read(row(b"(NK\x01l", b"K\x01N\x86"), "plain") == [1, None]

    def test_collections_of_sqlalchemy(self) -> None:
        adapter = b"}(" + text("_sa_adapter") + b"Nub"
        for name, body, value in [
            ("InstrumentedList", b")\x81K\x01a" + adapter, [1]),
            ("InstrumentedList", b")\x81" + adapter, []),
            ("InstrumentedSet", b"]K\x01a\x85R" + adapter, [1]),
            ("InstrumentedSet", b"]\x85R" + adapter, []),
            ("InstrumentedDict", b")\x81K\x01Ns" + adapter, {"py/dict": [[1, None]]}),
            ("InstrumentedDict", b")\x81" + adapter, {}),
        ]:
            full = f"sqlalchemy.orm.collections.{name}"
            assert read(cls("sqlalchemy.orm.collections", name) + body) == instance(full, value)

    def test_pydantic(self) -> None:
        for own in ("__pydantic_fields_set__", "__fields_set__"):
            fields = b"}(" + text("a") + b"K\x01" + text("_sa_instance_state") + b"Nu"
            body = obj("shop", "Item", **{"__dict__": fields, own: b"\x8f", "__pydantic_private__": b"N"})
            assert read(body) == instance("shop.Item", {"a": 1})

    def test_a_pydantic_model_of_another_value_than_an_object(self) -> None:
        fields = b"}(" + text("__root__") + b"]K\x01a" + text("__more") + b"Nu"
        body = obj("shop", "Items", __dict__=fields, __fields_set__=b"\x8f")
        assert read(body) == instance("shop.Items", {"__root__": [1]})
        assert read(body, "plain") == {"__root__": [1]}
        assert read(obj("shop", "Items", __root__=b"K\x01")) == instance("shop.Items", {})

    def test_texts(self) -> None:
        assert read(stored(Fraction(-3, 4))) == instance("fractions.Fraction", "-3/4")
        assert read(call("fractions", "Fraction", text("5"))) == instance("fractions.Fraction", "5/1")
        assert read(call("fractions", "Fraction", text("5/7")), "plain") == "5/7"
        assert read(call("fractions", "Fraction", text("half"))) == instance("fractions.Fraction", "half")
        assert read(stored(ip_address("192.0.2.7"))) == instance("ipaddress.IPv4Address", "192.0.2.7")
        assert read(call("ipaddress", "IPv4Address", b"J\xff\xff\xff\xff"), "plain") == -1
        for state in (
            binary(b"0123456789ab"),
            b"U\x0c0123456789ab",
            b"}" + text("_ObjectId__id") + binary(b"0123456789ab") + b"s",
        ):
            assert read(cls("bson.objectid", "ObjectId") + b")\x81" + state + b"b", "plain") == b"0123456789ab".hex()
        assert read(cls("bson.objectid", "ObjectId") + b")\x81" + binary(b"short") + b"b", "plain") == "short"

    @pytest.mark.parametrize("module", ["pathlib", "pathlib._local", "pathlib2"])
    def test_paths(self, module: str) -> None:
        assert read(call(module, "PosixPath", text("/"), text("var"), text("a.txt"))) == instance(
            f"{module}.PosixPath", "/var/a.txt"
        )
        assert read(call(module, "PureWindowsPath", text("C:\\"), text("a")), "plain") == "C:\\a"
        assert read(call(module, "PurePosixPath"), "plain") == "."
        assert read(call(module, "PurePosixPath", b"K\x01"), "plain") == 1


def test_a_key_is_named_by_its_value_in_plain() -> None:
    value = {Color.RED: 1, Fraction(1, 2): 2, Thing: 3, ip_address("::1"): 4}
    assert read(stored(value), "plain") == {"red": 1, "1/2": 2, f"{HERE}.Thing": 3, "::1": 4}
    assert read(stored([{Point(1, 2): 1, (Color.RED, Thing): 2}]), "plain") == [
        {"[1,2]": 1, f'["red","{HERE}.Thing"]': 2}
    ]
    assert read(stored({Color.PAIR: 1})) == {"py/dict": [[instance(f"{HERE}.Color", {"py/tuple": [1, "b"]}), 1]]}


class TestReadClasses:
    @pytest.mark.parametrize("types", ["tagged", "plain"])
    def test_an_error_names_the_place_and_the_class(self, types: str) -> None:
        value = {"items": [1, (2, Thing(a=[OrderedDict(b=Color.RED)]))], 5: None}
        for allowed, place in [
            ((), r"\$\.items\[1\]\[1\]"),
            ((f"{HERE}.Thing",), r"\$\.items\[1\]\[1\]\.a\[0\]\.b"),
            (("*.thing", "*.Col?r"), r"\$\.items\[1\]\[1\]"),
        ]:
            with pytest.raises(UndecodableError, match=rf"^{place} is an? {HERE}\.(Thing|Color), which"):
                read(stored(value), types, read_classes=allowed)
        assert read(stored(value), types, read_classes=("*.T*", "*.Color")) == read(stored(value), types)

    def test_parts_that_are_not_shown_do_not_count(self) -> None:
        body = obj("shop", "P", _sa_instance_state=obj("sqlalchemy.orm.state", "InstanceState", a=b"N"), id=b"K\x01")
        assert read(body, read_classes=("shop.*",)) == instance("shop.P", {"id": 1})

    def test_names_and_keys_count_too(self) -> None:
        for body in (cls("os", "system"), b"}" + cls("os", "system") + b"Ns", b"}" + stored(Color.RED) + b"Ns"):
            for types in ("tagged", "plain"):
                with pytest.raises(UndecodableError, match="which read_classes does not cover"):
                    read(body, types, read_classes=())

    def test_places_are_short_and_printable(self) -> None:
        value: Any = Color.RED
        for key in ["a" * 5000, "\x1b[2J", *map(str, range(60))]:
            value = {key: value}
        with pytest.raises(UndecodableError) as caught:
            read(stored(value), read_classes=())
        assert len(str(caught.value)) < 600
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "body",
    [
        cls("os", "system") + b"}b",
        cls("os", "system") + b"K\x01a",
        cls("os", "system") + b"K\x01K\x01s",
        cls("shop", "P") + b")\x81}b}b",
        cls("shop", "P") + b"K\x01\x81",
        cls("shop", "P") + b"K\x01R",
        b"K\x01)\x81",
        b"K\x01)R",
        b"(o",
        b"(K\x01o",
        cls("shop", "P") + b")K\x01\x92",
        cls("decimal", "Decimal") + b")}\x92",
        call("collections", "Counter", b"K\x01"),
        call("collections", "Counter"),
        call("collections", "defaultdict", b"K\x01"),
        call("collections", "defaultdict", b"NN"),
        call("collections", "deque", b"K\x01"),
        call("collections", "deque", b")", b"J\xff\xff\xff\xff"),
        call("collections", "deque", b")", text("3")),
        call("collections", "deque", b")", long(2**63)),
        call("collections", "Counter", b"}") + b"K\x01a",
        call("collections", "deque", b")") + b"K\x01K\x02s",
        call("builtins", "int", text("5")),
        call("builtins", "dict", b"]"),
    ],
)
def test_what_no_pickler_writes_is_corrupt(body: bytes) -> None:
    for types in ("tagged", "plain"):
        with pytest.raises(UndecodableError, match=r"corrupt pickle|unknown shape"):
            read(body, types)
