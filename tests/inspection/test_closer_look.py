"""Everything about one value."""

import pickle
from dataclasses import replace

import pytest

from proxy.codec import CodecLimits, Options, Transcoder
from proxy.inspection.closer_look import closer_look
from proxy.inspection.entries import Entry
from proxy.policy import OVERSIZE, As, Policy, SessionLimits
from tests.codec.samples import HOSTILE, VECTORS

POINT = b"!\x80\x04\x8c\x04shop\x8c\x05Point\x93K\x01K\x02\x86\x81."


def policy(stored: str | None = None, **limits: int) -> Policy:
    """One rule for all keys. None: no rule."""
    given = CodecLimits(**limits)
    transcoder = Transcoder(Options(stored=stored or "flask", limits=given))
    rule = replace(OVERSIZE, name="r", matches=lambda _key: True, treats_as=As.VALUE, transcoder=transcoder)
    return Policy(() if stored is None else (rule,), limits=SessionLimits(codec=given))


def entry(stored: bytes, **more: object) -> Entry:
    return Entry(b"key", "string", len(stored), None, stored)._replace(**more)  # type: ignore[arg-type]


def test_a_value_as_its_rule_says() -> None:
    look = closer_look(entry(POINT), policy("flask"))
    assert look.payload == b'{"py/instance":{"class":"shop.Point","value":[1,2]}}'
    assert (look.kind, look.guess, look.names) == ("instance", None, [])
    assert look.raw == {"object": 1, "class": "shop.Point", "arguments": [1, 2]}
    assert look.origin is not None
    assert not any("this proxy" in who for who in look.origin.writers)


@pytest.mark.parametrize("stored", [None, "flask", "json", "django"])
def test_what_the_rule_cannot_read_is_read_as_it_seems(stored: str | None) -> None:
    look = closer_look(entry(pickle.dumps([1])), policy(stored))
    assert (look.payload == b"[1]") is (stored != "flask")  # bytes to Flask
    assert (look.guess is None) is (stored in (None, "django"))
    assert bool(look.found.fault) is (stored == "json")


def test_no_string_has_no_origin() -> None:
    look = closer_look(entry(b"", type="list"), policy("flask"))
    assert (look.origin, look.payload, look.raw) == (None, None, None)
    assert look.found.fault.startswith("a list")


def test_of_a_value_over_the_limit_only_the_beginning_is_known() -> None:
    look = closer_look(entry(POINT[:21], size=1000), policy("flask", decoded_bytes=20))
    assert (look.payload, look.raw, look.names) == (None, None, [])
    assert look.found.limit == "decoded_bytes"


def test_any_value_has_a_look() -> None:
    rules = [policy(stored, nodes=2000) for stored in (None, "flask", "pickle", "json")]
    for stored in [*(sample.stored for sample in HOSTILE), *(vector.stored for vector in VECTORS[::10])]:
        for each in rules:
            look = closer_look(entry(stored), each)
            assert look.payload is not None or look.found.fault
