"""Objects of every class, read by both engines under random options."""

import random
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import deque

import pytest
from hypothesis import given, settings

from proxy.codec import CodecLimits, Options, UndecodableError
from tests import effort
from tests.codec.pickles import cls, text
from tests.codec.test_fuzz import tampered
from tests.codec.test_glob import patterns
from tests.codec.test_lossless import stored_by_python
from tests.codec.test_real_values import REAL_VALUES
from tests.codec.unpickle.test_cycles import related
from tests.codec.unpickle.test_instances import Thing
from tests.native import CASES, SEED
from tests.native.engines import LIMITS, READERS, Pair, as_stored, native_codec, pair, some
from tests.native.objects import CLASSES, Writer
from tests.native.test_decode import answer, same

REAL = {
    (library, name): bytes.fromhex(vector["hex"])
    for library, vectors in REAL_VALUES.items()
    for name, vector in vectors.items()
}
BY_THE_REFERENCE = (
    *("path", "ipv", "fraction", "arrow_named", "pendulum", "datetime_subclass"),
    *("zoneinfo", "pytz_berlin", "pytz_lmt", "dateutil_gettz"),
)
"""The beginnings of the names of values that the reference reads."""

ONLY_SHOP = [pair(Options(types=types, read_classes=("shop.*", "app.[L-N]*"))) for types in ("tagged", "plain")]


@pytest.mark.parametrize("library", REAL_VALUES)
def test_real_values(library: str) -> None:
    rng = random.Random(SEED)
    for (source, _), stored in REAL.items():
        if source == library:
            for each in some(rng, READERS):
                same(each, as_stored(each, stored))


@pytest.mark.parametrize("types", ["tagged", "plain"])
def test_real_values_are_not_left_to_the_reference(types: str) -> None:
    codec = native_codec(pair(Options(types=types)))
    left = [name for (_, name), stored in REAL.items() if codec.decode(stored) is None]
    assert [name for name in left if not name.startswith(BY_THE_REFERENCE)] == []
    assert len(left) < len(REAL) // 8


@pytest.mark.parametrize("types", ["tagged", "plain"])
@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_objects_that_reach_themselves(payload: str, types: str) -> None:
    """Rows of a category that knows them, and of two tables that know each other."""
    each = pair(Options(payload=payload, types=types))
    many, others = [Thing(name=number) for number in range(9)], [Thing(tag=number) for number in range(9)]
    for thing in many:
        thing.others = others
        thing.copies = {"all": tuple(many), thing.name: {thing.name}}
    for thing in others:
        thing.many = deque(many)
    for value in (related(300), many, {"a": many[0], "b": [others, Thing(of=many)]}):
        stored = stored_by_python(value, 4)
        read = native_codec(each).decode(stored)
        assert read is not None
        assert read == each.reference.decode(stored)


def test_random_objects() -> None:
    read = 0
    for case in range(CASES):
        rng = random.Random(SEED * 1_000_003 + case)
        stored = Writer(rng).pickle()
        for each in (*some(rng, READERS)[:2], rng.choice(ONLY_SHOP)):
            same(each, as_stored(each, stored))
        read += type(answer(native_codec(READERS[0]), stored)) is bytes
    assert read > CASES // 3


def test_tampered_real_values() -> None:
    seeds = list(REAL.values())
    for case in range(CASES // 2):
        rng = random.Random(SEED * 1_000_003 + case)
        stored = tampered(rng, seeds)
        for each in some(rng, READERS)[:3]:
            same(each, as_stored(each, stored))


# -- names ---------------------------------------------------------------------------------------------


def test_names_of_python_2() -> None:
    """The native engine has a copy of CPython's tables."""
    (tagged, *_) = READERS
    names = {*NAME_MAPPING, *((module, "x") for module in IMPORT_MAPPING), ("shop", "x"), ("exceptions", "Mine")}
    for module, name in names:
        for protocol in (b"", b"\x80\x03"):
            stored = b"!" + protocol + cls(module, name) + b"."
            assert native_codec(tagged).decode(stored) == tagged.reference.decode(stored)


@pytest.mark.parametrize("name", ["é.X", "shop.a\tb", "shop.", "x" * 505 + ".y", "x" * 511 + ".y", "a b.c"])
def test_names_that_are_checked(name: str) -> None:
    module, _, last = name.rpartition(".")
    for body in (cls(module, last) + b".", text(module) + text(last) + b"\x93."):
        same(READERS[0], b"!" + body)


@given(pattern=patterns)
@settings(max_examples=effort.cases(300))
def test_read_classes(pattern: bytes) -> None:
    """Globs, as in `proxy/codec/glob.py`."""
    globs = (pattern.decode("latin-1"),) if pattern else ()
    each = pair(Options(read_classes=globs))
    for name in ("a.b", "b.ca", "c.^", "a.-", "ab.cab", "a.*", "*.a", "[.]", "a\\.b"):
        module, _, last = name.rpartition(".")
        stored = b"!" + cls(module, last) + b"."
        same(each, stored)
        if b"\x80" not in pattern:
            is_read = each.reference.decode(stored) if matches(each, stored) else None
            assert native_codec(each).decode(stored) == is_read


def matches(each: Pair, stored: bytes) -> bool:
    try:
        each.reference.decode(stored)
    except UndecodableError:
        return False
    return True


def test_classes_that_a_rule_does_not_read() -> None:
    for name in CLASSES:
        stored = b"!" + cls(*name.rsplit(".", 1)) + b"."
        for each in ONLY_SHOP:
            same(each, stored)


# -- budgets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", range(1, 60))
def test_budgets_end_at_the_same_value(most: int) -> None:
    """Nodes, bytes and depth."""
    for limits in (CodecLimits(nodes=most), CodecLimits(decoded_bytes=20 * most), CodecLimits(depth=most % 8 + 1)):
        for types in ("tagged", "plain"):
            each = pair(Options(types=types, limits=limits))
            for stored in random.Random(most).sample(sorted(REAL.values()), 8):
                same(each, stored)


HOSTILE = {
    "many names": b"](" + b"".join(cls("shop", f"C{number}") for number in range(5000)) + b"e",
    "many attributes of a class": b"cshop\nC\nq\0"
    + b"(cbuiltins\ngetattr\n(h\0"
    + text("x" * 400)
    + b"tR" * 3000
    + b"t",
    "objects that share hidden attributes": b"}("
    + b"".join(text(f"_sa_{number}") + b"N" for number in range(5000))
    + b"uq\0]("
    + b"cshop\nC\n)\x81h\0b" * 5000
    + b"e",
    "objects that share arguments": b"](" + b"N" * 5000 + b"eq\0\x85q\1](" + b"cshop\nC\nh\1\x81" * 5000 + b"e",
    "a chain of objects": b"cshop\nC\n" * 300 + b"N" + b"\x85\x81" * 300,
    "an object of a megabyte's name": cls("shop", "C" * 1_000_000) + b")\x81",
    "an object that holds itself often": b"cshop\nC\n)\x81q\0](" + b"h\0" * 100_000 + b"eb",
    "state twice": b"cshop\nC\n)\x81}b}b",
    "state for a class": b"cshop\nC\n}b",
    "a deque of many that holds few": b"ccollections\ndeque\n(](" + b"K\1" * 50_000 + b"eK\1tR",
    "a deque whose maxlen is long": b"ccollections\ndeque\n)\x8a\x09" + b"\1" * 9 + b"\x86R",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_objects(name: str) -> None:
    for each in READERS:
        if each.options.limits in LIMITS[1:] or each is READERS[0]:
            same(each, as_stored(each, b"!" + HOSTILE[name] + b"."))
