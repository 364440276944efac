"""The types of payloads, and the limits under which they are read."""

import pickle

import pytest

from proxy.assembly import policy_for
from proxy.codec.nodes import TAGS
from proxy.config import Limits, Rule, Settings
from proxy.inspection.entries import Entry, find, kind_of, lossless


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"null", "None"),
        (b"true", "bool"),
        (b"-7", "int"),
        (b"1.5", "float"),
        (b"1e300", "float"),
        (b'"x"', "str"),
        (b"[]", "list"),
        (b"{}", "dict"),
        (b'{"py/set": 1, "b": 2}', "dict"),
        (b'{"py/unknown": 1}', "dict"),
    ],
)
def test_natural_types(payload: bytes, kind: str) -> None:
    assert kind_of(payload) == kind


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_tags(tag: str) -> None:
    assert kind_of(b'{"%s": []}' % tag.encode()) == tag.removeprefix("py/")


def test_a_value_is_read_under_the_limits_of_its_rule() -> None:
    settings = Settings(
        limits=Limits(decoded_bytes=30),
        rule=(Rule(keys="big:*", decoded_bytes=1000), Rule(keys="small:*", decoded_bytes=8), Rule(keys="m:*")),
    )
    policy = policy_for(settings, "json")
    stored = b"!" + pickle.dumps(b"x" * 20)
    faults = {
        key: find(Entry(key, "string", len(stored), None, stored), policy, lossless(policy.limits.codec)).fault
        for key in (b"big:1", b"small:1", b"m:1", b"other")
    }
    assert faults.pop(b"big:1") == ""
    assert faults[b"small:1"].startswith(f"{len(stored)} bytes, over the limit of 8 ")
    assert all("over the limit of 30 " in faults[key] for key in (b"m:1", b"other"))
