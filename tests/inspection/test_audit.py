"""Which pickle of a value is read, and the count of classes."""

import pickle
import zlib
from collections import Counter, OrderedDict
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from proxy.codec import CodecLimits, Options, Transcoder
from proxy.inspection.audit import ClassCounts, Count, names_in
from proxy.inspection.entries import Entry
from proxy.inspection.pickle_names import Names, Use
from proxy.policy import OVERSIZE, Rule

LIMITS = CodecLimits()
HOSTILE = b"cos\nsystem\n(S'id'\ntR."


def entry(stored: bytes, **more: object) -> Entry:
    return Entry(b"key", "string", len(stored), None, stored)._replace(**more)  # type: ignore[arg-type]


def rule(stored: str) -> Rule:
    return replace(OVERSIZE, transcoder=Transcoder(Options(stored=stored)))


@pytest.mark.parametrize(
    ("stored", "storage"),
    [
        (b"!" + HOSTILE, "flask"),
        (b"!" + HOSTILE, None),
        (b"!" + HOSTILE, "json"),
        (HOSTILE, "pickle"),
        (HOSTILE, "django"),
        (HOSTILE, None),
        (HOSTILE + b" and more", "pickle"),
        (b"Np99\n0" + HOSTILE, "django"),
        (b"\x80\x04" + HOSTILE + b" and more", "flask"),
        (b"\x80\x04" + HOSTILE, None),
    ],
)
def test_the_app_unpickles_what_its_library_marks(stored: bytes, storage: str | None) -> None:
    found = names_in(entry(stored), None if storage is None else rule(storage), LIMITS)
    assert "os.system" in found.findings


@pytest.mark.parametrize("stored", [b"42", b"text", b'{"a": 1}', b""])
def test_other_bytes_are_no_pickles(stored: bytes) -> None:
    assert names_in(entry(stored), None, LIMITS) == Names({}, {}, "")
    assert names_in(entry(stored, type="list"), None, LIMITS) == Names({}, {}, "")


def test_what_cannot_be_read_is_told() -> None:
    assert "compressed (zlib)" in names_in(entry(zlib.compress(HOSTILE)), rule("django"), LIMITS).fault
    assert "corrupt pickle" in names_in(entry(b"!damaged"), rule("flask"), LIMITS).fault
    assert "corrupt pickle" in names_in(entry(b"text"), rule("django"), LIMITS).fault
    assert "over the limit" in names_in(entry(b"!", size=10**9), rule("flask"), LIMITS).fault


def test_classes_are_counted_by_values_and_objects() -> None:
    counts = ClassCounts()
    values = [[OrderedDict(), OrderedDict()], OrderedDict(), [datetime(2024, 1, 1, tzinfo=UTC)], Counter]
    for number, value in enumerate(values):
        stored = b"!" + pickle.dumps(value, 4)
        counts.add(b"%d" % number, names_in(entry(stored), None, LIMITS))
    assert counts.rows() == [
        Count("collections.OrderedDict", 3, 2, b"0"),
        Count("collections.Counter", 1, 1, b"3"),
        Count("datetime.datetime", 1, 1, b"2"),
        Count("datetime.timedelta", 1, 1, b"2"),
        Count("datetime.timezone", 1, 1, b"2"),
    ]


def test_the_memory_of_counts_is_bounded() -> None:
    counts = ClassCounts()
    uses = {f"shop.A{number}": Use(1, 1) for number in range(6000)}
    counts.add(b"k" * 10_000, Names(uses, {}, ""))
    assert sum(row.example is not None for row in counts.rows()) == 16 * 1024 * 1024 // 10_000
    counts.add(b"short", Names({f"shop.B{number}": Use(1, 1) for number in range(6000)}, {}, ""))
    counts.add(b"short", Names({"shop.A1": Use(1, 1)}, {}, ""))
    assert (len(counts.rows()), counts.left_out) == (10_000, 1)
    assert counts.rows()[0] == Count("shop.A1", 2, 2, b"k" * 10_000)


def test_what_pickles_need_for_other_values_is_no_class() -> None:
    counts = ClassCounts()
    counts.add(b"k", names_in(entry(b"!" + pickle.dumps(b"bytes", 2)), None, LIMITS))
    assert counts.rows() == []
