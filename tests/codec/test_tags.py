"""Tags: what each may hold, which a rule accepts, and what Python hashes of them."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgpack
import pytest

from proxy.codec import (
    PayloadError,
)
from proxy.codec.nodes import TAGS
from tests.codec.samples import encode, transcoder

# -- tags ----------------------------------------------------------------------------------------------

WRONG: dict[str, list[Any]] = {
    "py/bytes": [1, None, [], "a", "a===", "é", "YQ", {}, "YQ==\n"],
    "py/bytearray": [1, "*"],
    "py/tuple": [1, None, "ab", {}],
    "py/set": [1, "ab", {}],
    "py/frozenset": [None, {}],
    "py/dict": [1, {}, [1], [[1]], [[1, 2, 3]], [{"a": 1}], "ab"],
    "py/ordereddict": [{}, [[1]], ["ab"]],
    "py/datetime": [1, "", "now", "2024-13-01T00:00:00", "2024-01-01T25:00:00", [], "2024-01-01T00:00:00+24:00"],
    "py/date": [1, "", "2024-02-30", "2024-01-01T00:00:00", None],
    "py/time": [1, "", "25:00", "12:00:61", "é"],
    "py/timedelta": [
        1,
        [],
        [1, 2],
        [1, 2, 3.0],
        [1, 2, True],
        [10**300, 0, 0],
        [999999999, 86400, 0],
        "1",
        ["1", 2, 3],
    ],
    "py/decimal": [1, 1.5, "", "x", "1,5", "1" * 5000, "1E+99999999999999999999", None],
    "py/uuid": [1, "", "12345678123456781234567812345678", "{12345678-1234-5678-1234-567812345678}", "x" * 36],
    "py/complex": [1, [1], [1, 2, 3], ["a", "b"], ["1", "2"], "1+2j", [None, 1], [{"py/float": "x"}, 1]],
    "py/float": ["", "NaN", "1.5", "Infinity", "+inf", None, True, [1], 10**400],
    "py/int": ["", "1.0", "x", "9" * 4301, 1.0, None, True, "+1", "1_0", " 1", "\u0663", []],
    "py/markup": [1, None, [], {}],
    "py/response": [
        1,
        {},
        {"status": 200},
        {"status": "200", "headers": [], "body": ""},
        {"status": 99, "headers": [], "body": ""},
        {"status": 1000, "headers": [], "body": ""},
        {"status": True, "headers": [], "body": ""},
        {"status": 200, "headers": {}, "body": ""},
        {"status": 200, "headers": [["a"]], "body": ""},
        {"status": 200, "headers": [["a", 1]], "body": ""},
        {"status": 200, "headers": [["a", "b\r\nSet-Cookie: c"]], "body": ""},
        {"status": 200, "headers": [["a\n", "b"]], "body": ""},
        {"status": 200, "headers": [["a\0", "b"]], "body": ""},
        {"status": 200, "headers": [], "body": 1},
        {"status": 200, "headers": [], "body": {"py/bytes": "*"}},
        {"status": 200, "headers": [], "body": "", "more": 1},
    ],
}


@pytest.mark.parametrize(("tag", "content"), [(tag, content) for tag, all_ in WRONG.items() for content in all_])
@pytest.mark.parametrize("around", [lambda it: it, lambda it: [it], lambda it: {"a": it}], ids=["", "list", "dict"])
def test_wrong_content_of_a_tag_says_what_is_wanted_and_how_to_escape_it(
    tag: str, content: Any, around: Callable[[Any], Any]
) -> None:
    payload = json.dumps(around({tag: content})).encode()
    with pytest.raises(PayloadError) as caught:
        transcoder().encode(payload)
    message = str(caught.value)
    if "out of range" not in message:  # an int that JSON cannot have
        assert message.startswith(f"the content of {'py/bytes' if 'py/bytes' in message[:30] else tag} must be ")
        assert f'escape it as {{"py/dict": [["{tag}", ...]]}}' in message


def test_every_tag_has_wrong_content() -> None:
    assert WRONG.keys() == TAGS


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_the_escape_that_errors_advise_works(tag: str) -> None:
    assert encode({"py/dict": [[tag, "anything"]]}) == {tag: "anything"}


@pytest.mark.parametrize("tag", ["py/markup", "py/response"])
def test_markup_and_responses_are_refused_unless_a_rule_names_them(tag: str) -> None:
    with pytest.raises(PayloadError, match=rf"the tag {tag} is not accepted.*py/dict"):
        transcoder(accept_tags=("data",)).encode(json.dumps([{tag: "x"}]).encode())


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_a_tag_that_a_rule_leaves_out_is_an_error_wherever_it_stands(tag: str) -> None:
    others = tuple(each.removeprefix("py/") for each in TAGS if each != tag)
    trees: list[Any] = [{tag: []}, [{tag: []}], {"a": {tag: []}}]
    for tree in trees:
        with pytest.raises(PayloadError, match=f"the tag {tag} is not accepted"):
            transcoder(accept_tags=others).encode(json.dumps(tree).encode())


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_without_tags_every_object_is_plain_data(tag: str) -> None:
    assert encode({tag: "x"}, accept_tags=()) == {tag: "x"}
    assert encode([{tag: {tag: 1}}], accept_tags=()) == [{tag: {tag: 1}}]
    assert encode(msgpack.packb({tag: 1}), payload="msgpack", accept_tags=()) == {tag: 1}


@pytest.mark.parametrize(
    "key", [rb"py\/tuple", rb"\u0070y/tuple", rb"\u0070\u0079\u002ftuple", rb"py\u002Ftuple", rb"py/tupl\u0065"]
)
def test_an_escaped_tag_is_a_tag(key: bytes) -> None:
    assert encode(b'{"' + key + b'": [1]}') == (1,)
    assert encode(b'[{"' + key + b'": [1]}]') == [(1,)]
    with pytest.raises(PayloadError, match="not accepted"):
        transcoder(accept_tags=("bytes",)).encode(b'{"' + key + b'": [1]}')


@pytest.mark.parametrize(
    "tree", [{"py/tuple": [1], "a": 2}, {"py/unknown": 1}, {"PY/tuple": 1}, {"a": "py/tuple"}, ["py/set"]]
)
def test_what_only_looks_like_a_tag_is_plain_data(tree: Any) -> None:
    assert encode(tree) == tree


def test_tags_inside_tags_are_read() -> None:
    assert encode({"py/tuple": [{"py/set": [{"py/tuple": [1, {"py/frozenset": []}]}]}]}) == ({(1, frozenset())},)


def test_a_string_that_spells_a_class_stays_a_string() -> None:
    tree = ["datetime\ntimedelta", {"py/timedelta": [1, 2, 3]}, "datetime\ntimedelta", "datetime", "int"]
    for protocol in (2, 3, 4, 5):
        loaded = encode(tree, protocol=protocol)
        assert loaded[0] == loaded[2] == "datetime\ntimedelta"
        assert loaded[3:] == ["datetime", "int"]


# -- hashing -------------------------------------------------------------------------------------------

UNHASHABLE = [
    [],
    {},
    {"a": 1},
    {"py/set": []},
    {"py/dict": []},
    {"py/ordereddict": []},
    {"py/bytearray": ""},
    {"py/tuple": [[]]},
    {"py/tuple": [{"py/tuple": [{"py/set": []}]}]},
    {"py/decimal": "sNaN"},
    {"py/decimal": "-snan1"},
    {"py/tuple": [{"py/decimal": "sNaN"}]},
]


@pytest.mark.parametrize("member", UNHASHABLE, ids=json.dumps)
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_python_cannot_hash_is_no_member_and_no_key(member: Any, protocol: int) -> None:
    for tree in ({"py/set": [member]}, {"py/frozenset": [1, member]}, {"py/dict": [[member, 1]]}):
        with pytest.raises(PayloadError, match="cannot be a set's member or a key"):
            transcoder(protocol=protocol).encode(json.dumps([tree]).encode())


MODULUS = 2**61 - 1
KEYS: dict[str, tuple[Callable[[int], Any], int]] = {
    # what a number becomes, and how many such keys may be
    "floats": (lambda number: number + 0.5, 5_656),
    "small ints": (lambda number: number, 16_329),
    "negative ints": (lambda number: -number, 16_329),
    "ints with one hash": (lambda number: number * MODULUS, 5_547),
    "pairs": (lambda number: {"py/tuple": [number, "x"]}, 3_885),
    "frozensets": (lambda number: {"py/frozenset": [number]}, 4_082),
    "UUIDs": (lambda number: {"py/uuid": str(UUID(int=number))}, 2_560),
    "decimals": (lambda number: {"py/decimal": str(number)}, 4_472),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_could_collide_are_limited_by_the_time_that_might_take(name: str) -> None:
    make, most = KEYS[name]
    members = [make(number) for number in range(most + 1)]
    for wrap in (lambda them: {"py/set": them}, lambda them: {"py/dict": [[it, 1] for it in them]}):
        encode(wrap(members[: most * 99 // 100]))
        with pytest.raises(PayloadError, match="set members or dict keys that are neither text nor bytes are too many"):
            encode(wrap(members))


def test_long_keys_that_could_collide_are_fewer() -> None:
    deep = [{"py/tuple": [300] * 118 + [number]} for number in range(1200)]
    long = [{"py/decimal": "9" * 4000 + str(number)} for number in range(1700)]
    nested = [{"py/tuple": [{"py/tuple": ["x"] * 118 + [number]}]} for number in range(1200)]
    for members in (deep, long, nested):
        with pytest.raises(PayloadError, match="are too many"):
            encode({"py/set": members})
        encode({"py/set": members[: len(members) // 2]})


def test_the_limit_of_keys_is_of_the_whole_value() -> None:
    members = [number + 0.5 for number in range(4000)]
    with pytest.raises(PayloadError, match="are too many"):
        encode([{"py/set": members}, {"py/set": members}])


def test_keys_of_msgpack_maps_are_limited_too() -> None:
    msgpack_codec = transcoder("msgpack")
    msgpack_codec.encode(msgpack.packb(dict.fromkeys(range(16_000), 1)))
    with pytest.raises(PayloadError, match="are too many"):
        msgpack_codec.encode(msgpack.packb(dict.fromkeys(range(17_000), 1)))


def test_texts_and_bytes_may_be_as_many_keys_as_there_is_room_for() -> None:
    encode({"py/set": [str(number) for number in range(100_000)]})
    encode({"py/set": [{"py/bytes": b64encode(b"%d" % number).decode()} for number in range(50_000)]})
