"""The names in pickles: all that Python would import before it fails, and nothing is loaded."""

import contextlib
import io
import pickle
import sys
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.inspection.pickle_names import Names, Use, names_of
from proxy.inspection.suspicion import mapped
from tests import effort
from tests.codec.samples import HOSTILE, VECTORS
from tests.codec.test_real_values import REAL_VALUES

BUDGET = 1_250_000
PROTO = b"\x80\x04"
CALL = b"X\x02\x00\x00\x00id\x85R."
"""Call what is on the stack with ("id",)."""
SYSTEM = b"\x8c\x02os\x8c\x06system\x93"
METHOD = b"cbuiltins\ngetattr\ncshop\nA\n)R\x8c\x04save\x86R"
"""The method `save` of an object."""


def read(raw: bytes) -> Names:
    return names_of(raw, BUDGET)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"cos\nsystem\n(S'id'\ntR.", "os.system"),
        (b"(S'id'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'id'\no.", "os.system"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"ccommands\ngetoutput\n(S'1'\ntR.", "subprocess.getoutput"),
        (PROTO + SYSTEM + CALL, "os.system"),
        (PROTO + b"\x8c\x06system\x94\x8c\x02os\x940h\x01h\x00\x93" + CALL, "os.system"),
        (PROTO + b"\x8c\x06system\x94\x8c\x02os\x94\x8c\x01x\x94000h\x01h\x00\x93" + CALL, "os.system"),
        (PROTO + b"\x8c\x02osq\xc80h\xc8\x8c\x06system\x93" + CALL, "os.system"),
        (b"\x80\x02U\x02osU\x06system\x93" + CALL, "os.system"),
        (PROTO + SYSTEM + b")\x81.", "os.system"),
        (PROTO + SYSTEM + b")}\x92.", "os.system"),
        (PROTO + SYSTEM + b"0(cos\nsystem\n1N.", "os.system"),
        (PROTO + b"cflask.helpers\nos.system\n" + CALL, "flask.helpers.os.system"),
        (PROTO + b"cbuiltins\ngetattr\ncflask.helpers\nos\n\x8c\x06system\x86R" + CALL, "flask.helpers.os.system"),
    ],
)
def test_every_way_to_name_a_function_is_found(raw: bytes, name: str) -> None:
    found = read(raw)
    assert name in found.findings
    assert found.fault == ""


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"p99\nNPx\n.",
        b"cbuiltins\nstr\n(tR\x85R.",
        b"0R",
        b"\xff",
        b"0\x8c\x01",
        b"0" + b"\x8c" + bytes([200]) + b"x" * 200 + b"\x8c\x01x\x93." * 3,
    ],
)
def test_what_runs_before_python_fails_is_found(tail: bytes) -> None:
    assert "os.system" in read(PROTO + SYSTEM + b"\x8c\x02id\x85R" + tail).findings


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (PROTO + b"\x82\x01.", "extension code 1"),
        (PROTO + b"cshop\nA\n}\x8c\x01x\x8c\x01ysb.", "shop.A"),
        (PROTO + b"cshop\nCONFIG\n\x8c\x01x\x8c\x01ys.", "shop.CONFIG"),
        (PROTO + b"cshop\nITEMS\n(K\x01e.", "shop.ITEMS"),
        (PROTO + b"cbuiltins\ntype\n\x8c\x01X)}\x87R.", "builtins.type"),
        (PROTO + b"cbuiltins\nstr\n\x8c\x02os\x85R\x8c\x06system\x93.", "a name that is the result of a call"),
        (PROTO + METHOD + b")R.", "builtins.getattr"),
        (
            PROTO + b"cfunctools\npartial\ncbuiltins\ngetattr\ncshop\nA\n)R\x8c\x04save\x86R\x85R)R.",
            "functools.partial",
        ),
        (PROTO + b"cbuiltins\ngetattr\ncshop\nA\n)R\x8c\x0b__globals__\x86R.", "builtins.getattr of __globals__"),
        (PROTO + b"cbuiltins\ngetattr\ncshop\nA\ncshop\nname\n)R\x86R.", "builtins.getattr"),
    ],
)
def test_odd_things_are_found_too(raw: bytes, what: str) -> None:
    assert what in read(raw).findings


def test_pickles_in_bytes_are_read_too_and_their_damage_is_none() -> None:
    inner = PROTO + SYSTEM + CALL
    for outer in (inner, pickle.dumps([inner], 4), pickle.dumps(bytearray(inner), 5)):
        assert "os.system" in read(pickle.dumps({"session": outer}, 4)).findings
    assert read(pickle.dumps(b"\x80\x04 only looks like one", 4)) == Names({}, {}, "")


class Method:
    """Of a test's own."""

    def __reduce__(self) -> Any:
        return getattr, (OrderedDict, "fromkeys")


def test_uses_are_counted() -> None:
    found = read(pickle.dumps([OrderedDict(), OrderedDict(), OrderedDict, Method()], 4))
    assert found.uses["collections.OrderedDict"] == Use(calls=2, mentions=1)
    assert found.uses["collections.OrderedDict.fromkeys"] == Use(calls=0, mentions=1)
    old = read(b"ccopy_reg\n_reconstructor\n(cshop\nCart\nc__builtin__\nobject\nNtR.")
    assert old.uses["shop.Cart"] == Use(calls=1, mentions=1)
    assert old.findings == {}
    django = read(b"\x80\x04cdjango.db.models.base\nmodel_unpickle\n\x8c\x04shop\x8c\x01P\x86\x85R.")
    assert django.uses["shop.P"] == Use(calls=1, mentions=0)


@pytest.mark.parametrize("sample", [*HOSTILE], ids=lambda sample: sample.name)
def test_hostile_samples_are_read_without_harm(sample: Any) -> None:
    found = read(sample.stored[1:])
    assert sample.name.startswith("rce_") <= bool(found.findings or found.fault)


def test_nothing_that_real_libraries_stored_is_a_finding() -> None:
    """Also what could not be read would be: an exit status that is always 1 tells nothing."""
    real = [bytes.fromhex(one["hex"]) for library in REAL_VALUES.values() for one in library.values()]
    stored = [raw[1:] for raw in [*real, *(vector.stored for vector in VECTORS)] if raw.startswith(b"!")]
    assert len(stored) > 500
    for raw in stored:
        found = read(raw)
        assert (found.findings, found.fault) == ({}, ""), raw


@pytest.mark.parametrize(
    "raw",
    [
        PROTO + b"N0" * 10**6 + b"N.",
        PROTO + b"\x8d" + b"\xff" * 8,
        PROTO + b"cshop\nA\n" + b"0cshop\nB%d\n" * 3000,
        PROTO + b"cbuiltins\ngetattr\ncshop\nA\n" + b"\x8c\x01b\x86R\x94" * 100 + b".",
        b"c" + b"a" * 10**6 + b"\nb\n.",
        b"L" + b"9" * 10**6 + b"L\n.",
        PROTO + b"(" * 10**5 + b"t" * 10**5 + b".",
        PROTO + b")" + b"\x85" * 10**5 + b".",
    ],
)
def test_floods_are_bounded(raw: bytes) -> None:
    found = names_of(raw, 200_000)
    assert sum(map(sys.getsizeof, found.uses)) < 10**6


def test_a_budget_that_is_used_up_is_told() -> None:
    assert "too many instructions" in names_of(PROTO + b"N0" * 100 + b"N.", 100).fault
    nested = pickle.dumps(PROTO + b"N0" * 100 + b"N.", 4)
    assert "too many instructions" in names_of(nested, 100).fault


def test_more_names_than_any_app_has_are_told() -> None:
    raw = PROTO + b"".join(b"cshop\nA%d\n0" % number for number in range(10_001)) + b"N."
    assert "more than 10000 names" in read(raw).fault


def test_names_that_no_module_has_end_the_reading() -> None:
    assert "a name that is no name" in read(PROTO + b"cshop\nA\x1b[2J\n.").fault
    assert "more than 512 characters" in read(PROTO + b"cshop\n" + b"A." * 300 + b"B\n.").fault


@settings(max_examples=effort.cases(300), deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_told_of(raw: bytes) -> None:
    found = read(raw)
    assert all(name.isprintable() for name in found.uses)


PIECES = st.sampled_from(
    [
        *(
            b"(",
            b")",
            b"t",
            b"\x85",
            b"\x86",
            b"\x87",
            b"0",
            b"1",
            b"2",
            b"\x94",
            b"h\x00",
            b"h\x01",
            b"g0\n",
            b"q\x05",
        ),
        *(
            b"h\x05",
            b"p7\n",
            b"R",
            b"]",
            b"a",
            b"e",
            b"}",
            b"s",
            b"u",
            b"b",
            b"K\x01",
            b"o",
            b"\x81",
            b"\x92",
            b"d",
            b"l",
        ),
        *(
            b"\x8f",
            b"\x90",
            b"\x91",
            b"\x80\x02",
            b"\x80\x04",
            b"\x93",
            b"\x8c\x04json",
            b"\x8c\x05dumps",
            b"S'json'\n",
        ),
        *(b"cjson\ndumps\n", b"c__builtin__\neval\n", b"cbuiltins\ngetattr\n", b"ijson\nloads\n", b"C\x01x", b"."),
        *(b"cfunctools\npartial\n", b"ccollections\nOrderedDict\n"),
    ]
)


class _Thing:
    """Stands for everything that is imported."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        return object.__new__(cls)

    def append(self, _item: Any) -> None:
        """Takes anything."""


class _Recorder(pickle._Unpickler):  # type: ignore[name-defined, misc] # Python's own, in Python
    """Notes the names that are imported, and imports nothing."""

    names: list[str]
    proto = 0

    def find_class(self, module: str, name: str) -> Any:
        self.names.append(".".join(mapped(module, name) if self.proto < 3 else (module, name)))
        return _Thing


@settings(max_examples=effort.cases(500), deadline=None)
@given(st.lists(PIECES, max_size=25))
@example([b"(cbuiltins\ngetattr\nK\x01o"])
def test_each_name_that_python_imports_is_listed_or_the_value_is_reported(pieces: list[bytes]) -> None:
    raw = PROTO + b"".join(pieces) + b"."
    recorder = _Recorder(io.BytesIO(raw))
    recorder.names = []
    with contextlib.suppress(Exception):
        recorder.load()
    found = read(raw)
    missed = {name for name in recorder.names if name not in found.uses}
    assert not missed or found.findings or found.fault
