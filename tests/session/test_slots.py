"""Slots of keys, and the map. The slots are those that `CLUSTER KEYSLOT` of Redis 7.0 gives."""

from binascii import crc_hqx

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.session import NOBODY, SLOTS, SlotMap, key_slot

NODES = ("a:1", "b:2")
OWNERS = (0,) * 8192 + (1,) * 8191 + (NOBODY,)


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"foo", 12182),
        (b"123456789", 12739),
        (b"", 0),
        (b"{foo}bar", 12182),
        (b"x{foo}", 12182),
        (b"{foo}{bar}", 12182),
    ],
)
def test_known_slots(key: bytes, slot: int) -> None:
    assert key_slot(key) == slot


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(min_size=1, max_size=20))
def test_the_first_tag_stands_for_the_key(before: bytes, after: bytes, tag: bytes) -> None:
    tag, before = tag.replace(b"}", b"x"), before.replace(b"{", b"x")
    if b"{" not in tag:
        assert key_slot(before + b"{" + tag + b"}" + after) == key_slot(tag)


@given(st.binary(max_size=20))
def test_a_tag_that_is_empty_or_open_is_no_tag(rest: bytes) -> None:
    rest = rest.replace(b"}", b"x")
    assert key_slot(b"{}" + rest) == crc_hqx(b"{}" + rest, 0) & 16383
    assert key_slot(b"{" + rest) == crc_hqx(b"{" + rest, 0) & 16383


def test_a_map_knows_the_owner_of_a_slot() -> None:
    slots = SlotMap(NODES, OWNERS, frozenset({"c:3"}))
    assert (slots.owner(0), slots.owner(8192), slots.owner(16383)) == ("a:1", "b:2", None)
    assert slots.known == 16383
    assert [slots.has(address) for address in ("a:1", "c:3", "d:4")] == [True, True, False]


def test_ids_do_not_depend_on_the_order_or_the_slots() -> None:
    many = tuple(f"10.0.0.{number}:7000" for number in range(200))
    one, other = SlotMap(many, (0,) * SLOTS), SlotMap(many[::-1], (3,) * SLOTS)
    assert dict(zip(one.nodes, one.ids, strict=True)) == dict(zip(other.nodes, other.ids, strict=True))
    assert len(set(one.ids)) == 200
    assert all(1 <= number <= 1023 for number in one.ids)


@pytest.mark.parametrize(
    ("nodes", "owners"), [(NODES, OWNERS[1:]), (tuple(map(str, range(1024))), OWNERS)], ids=["slots", "nodes"]
)
def test_what_is_no_cluster_is_refused(nodes: tuple[str, ...], owners: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="16384 slots and at most 1023 masters"):
        SlotMap(nodes, owners)
