"""Payloads are read strictly, tags are checked, limits bite where they say, and no error tells what was in a value."""

import json
import pickle
import struct
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import (
    CodecLimits,
    Options,
    PayloadError,
    Transcoder,
    UndecodableError,
    json_payload,
    msgpack_payload,
)
from proxy.codec.nodes import TAGS
from tests.codec.samples import EVERY_TAG, FORMATS, transcoder

SECRET = "s3cr3t"


def encode(given: Any, **options: Any) -> Any:
    """What the app loads."""
    raw = given if isinstance(given, bytes) else json.dumps(given).encode()
    stored = transcoder(**options).encode(raw)
    return pickle.loads(stored[1:]) if stored.startswith(b"!") else int(stored)


# -- JSON ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"nan",
        b'"\\ud800"',
        b'"\\udc00"',
        b'"\\ud800x"',
        b'"\\ud800\\u0041"',
        b'{"\\ud800": 1}',
        b'"\xed\xa0\x80"',
        b'{"\xed\xa0\x80": 1}',
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xf4\x90\x80\x80"',
        b"\xef\xbb\xbf1",
        b"\xff\xfe1\x00",
        b"1 2",
        b"1,",
        b"[1] x",
        b"[1]]",
        b"{} {}",
        b"null\x00",
        b"[1,]",
        b"[,1]",
        b'{"a":1,}',
        b"{a:1}",
        b"{'a':1}",
        b'{"a" 1}',
        b"{1:1}",
        b"01",
        b"+1",
        b"1.",
        b".5",
        b"1e",
        b"0x10",
        b"1_0",
        b"-",
        b"--1",
        b"tru",
        b"True",
        b"None",
        b"// x\n1",
        b"/* x */1",
        b'"\n"',
        b'"\t"',
        b'"\\x41"',
        b'"\\u00g0"',
        b'"\\',
        b'"',
        b"[",
        b'{"a":',
        b"\xc2\xa01",
        b"\x0b1",
        b'!"x"',
        b"!\x80\x04N.",
    ],
)
@pytest.mark.parametrize("accept_tags", [(), EVERY_TAG], ids=["plain", "tagged"])
def test_what_is_not_json_is_refused(payload: bytes, accept_tags: tuple[str, ...]) -> None:
    with pytest.raises(PayloadError, match="the payload is not valid JSON"):
        transcoder(accept_tags=accept_tags).encode(payload)


@pytest.mark.parametrize("payload", [b"1e400", b"-1e400", b"[1e999]", b"9" * 4301, b"-" + b"9" * 4301])
def test_numbers_that_python_cannot_hold_are_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError, match="out of range"):
        transcoder().encode(payload)


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"9" * 4300, 10**4300 - 1),
        (b"-" + b"9" * 4299, 1 - 10**4299),
        (b"-0", 0),
        (b"[-0.0]", [-0.0]),
        (b"[1e5, 1E5, 0.1, 1e-400]", [1e5, 1e5, 0.1, 0.0]),
        (b"[123456789012345678901234567890]", [123456789012345678901234567890]),
        (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
        (b' \t\r\n[ 1 , "a" ]\n', [1, "a"]),
        (b'"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\u0000 \x7f"', "😀 😀 \0 \x7f"),
        (b'""', ""),
        (b"{}", {}),
    ],
)
def test_json_is_read_as_it_is_meant(payload: bytes, value: Any) -> None:
    loaded = encode(payload)
    assert loaded == value
    assert type(loaded) is type(value)


def test_duplicate_keys_of_a_tag_leave_the_last_one() -> None:
    assert encode(b'{"py/tuple":[1],"py/tuple":[2]}') == (2,)


def test_the_byte_of_an_error_is_counted_from_the_start_of_the_payload() -> None:
    with pytest.raises(PayloadError, match=r"not UTF-8 \(byte 14\)"):
        transcoder().encode(b'["aaaaaaaa","b\xff"]')
    with pytest.raises(PayloadError, match=r"\(byte 4\)"):
        transcoder().encode(b"[1, x]")


# -- msgpack -------------------------------------------------------------------------------------------


def nested(count: int, opening: bytes, closing: bytes = b"", inner: bytes = b"\x01") -> bytes:
    return opening * count + inner + closing * count


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x01\x01",
        b"\xc0\xc0",
        b"\x92\x01",
        b"\x81\xa1a",
        b"\xa5abc",
        b"\xd9\xffabc",
        b"\xda\xff\xffabc",
        b"\xdb\xff\xff\xff\xffabc",
        b"\xc4\xffabc",
        b"\xc6\xff\xff\xff\xffabc",
        b"\xdc\xff\xff\x01",
        b"\xdd\xff\xff\xff\xff\x01",
        b"\xde\xff\xff\x01\x01",
        b"\xdf\xff\xff\xff\xff\x01\x01",
        b"\xdd\x7f\xff\xff\xff",
        b"\xcb\x00\x00",
        b"\xcf\x00",
        b"\xd4\x01x",
        b"\xd5\x7fxx",
        b"\xd6\x05abcd",
        b"\xc7\x01\x05x",
        b"\xc7\x03\xffabc",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xc7\x0c\xff\x7f\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xa1\xff",
        b"\xa3\xed\xa0\x80",
        b"\x81\xa1\xff\x01",
    ],
)
def test_what_is_not_msgpack_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadError, match="the payload is not valid msgpack"):
        transcoder("msgpack").encode(payload)


@pytest.mark.parametrize("key", [b"\x90", b"\x80", b"\x91\x01", b"\x81\x01\x01"])
def test_a_msgpack_key_that_python_cannot_hash_is_refused(key: bytes) -> None:
    with pytest.raises(PayloadError):
        transcoder("msgpack").encode(b"\x81" + key + b"\x01")


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"\x81\x01\xa1a", {1: "a"}),
        (b"\x82\x01\x01\x01\x02", {1: 2}),
        (b"\x82\xa1a\x01\xc4\x01a\x02", {"a": 1, b"a": 2}),
        (b"\x82\xc0\x01\xc3\x02", {None: 1, True: 2}),
        (b"\x81\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00\x01", {float("inf"): 1}),
        (b"\xcb\x80\x00\x00\x00\x00\x00\x00\x00", -0.0),
        (b"\xca\x3f\x80\x00\x00", 1.0),
        (b"\xcf" + b"\xff" * 8, 2**64 - 1),
        (b"\xd3\x80" + b"\0" * 7, -(2**63)),
    ],
)
def test_msgpack_is_read_as_it_is_meant(payload: bytes, value: Any) -> None:
    loaded = encode(payload, payload="msgpack")
    assert loaded == value


@pytest.mark.parametrize("ext", [b"\xd6\xff\x00\x00\x00\x01", b"\xd7\xff" + struct.pack(">Q", 1)])
def test_a_msgpack_timestamp_is_a_moment_in_utc(ext: bytes) -> None:
    stored = transcoder("msgpack").encode(b"\x91" + ext)
    assert str(pickle.loads(stored[1:])[0]) == "1970-01-01 00:00:01+00:00"
    assert transcoder("json").decode(stored) == b'[{"py/datetime":"1970-01-01T00:00:01+00:00"}]'


def test_a_msgpack_timestamp_keeps_its_microseconds() -> None:
    stored = transcoder("msgpack").encode(b"\xc7\x0c\xff" + struct.pack(">Iq", 123456789, -1))
    assert str(pickle.loads(stored[1:])) == "1969-12-31 23:59:59.123456+00:00"


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


# -- limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", FORMATS)
@pytest.mark.parametrize("depth", [1, 5, 100])
@pytest.mark.parametrize("around", ["list", "dict", "tagged"])
def test_depth_is_the_containers_around_the_innermost_value(payload: str, depth: int, around: str) -> None:
    wrap: Callable[[Any], Any] = {
        "list": lambda it: [it],
        "dict": lambda it: {"a": it},
        "tagged": lambda it: {"py/tuple": [it]},
    }[around]
    codec = transcoder(payload, limits=CodecLimits(depth=depth))
    innermost: list[Any] = [1, {"py/set": []}, [], {"py/tuple": []}, {}]
    for empty in innermost:
        tree: Any = empty
        for _ in range(depth):
            tree = wrap(tree)
        packed, deeper = (
            (json.dumps(each).encode() if payload == "json" else msgpack.packb(each)) for each in (tree, wrap(tree))
        )
        stored = codec.encode(packed)
        codec.decode(stored)
        with pytest.raises(PayloadError, match=rf"nested more than {depth} deep \(\[limits\] depth\)"):
            codec.encode(deeper)
        too_deep = transcoder(payload).encode(deeper) if depth < 100 else pickled_deeper(tree)
        with pytest.raises(UndecodableError, match=r"\[limits\] depth"):
            codec.decode(too_deep)


def pickled_deeper(tree: Any) -> bytes:
    return b"!" + pickle.dumps([tree])


@pytest.mark.parametrize("payload", FORMATS)
def test_the_deepest_limit_that_can_be_configured_ends_in_an_error_of_ours(payload: str) -> None:
    codec = transcoder(payload, limits=CodecLimits(depth=500))
    for opening, closing in (
        (b"]", b"a"),
        (b")", b"\x85"),
        (b"}X\x01\0\0\0k", b"s"),
        (b"}K\x01", b"s"),
        (b"\x8f", b""),
    ):
        for depth in (100, 200, 300, 400, 500, 501):
            try:
                codec.decode(b"!" + opening * depth + b"N" + closing * depth + b".")
            except UndecodableError:
                continue
    for depth in (400, 500, 501, 900, 5000):
        for raw in (b"[" * depth + b"]" * depth, b"\x91" * depth + b"\x01", b'{"py/tuple":[' * depth + b"]}" * depth):
            try:
                codec.encode(raw)
            except PayloadError:
                continue


def tree_of(nodes: int, kind: str) -> Any:
    return {
        "list": [0] * (nodes - 1),
        "dict": {str(number): 0 for number in range(nodes - 1)},
        "nested": [[0]] * ((nodes - 1) // 2) + [0] * ((nodes - 1) % 2),
        "empty": [[]] * (nodes - 1),
        "strings": ["a,b,[{"] * (nodes - 1),
        "tagged": {"py/tuple": [{"py/bytearray": ""}] * ((nodes - 2) // 2) + [0] * (nodes % 2)},
        "pairs": {"py/dict": [[number, 0] for number in range((nodes - 2) // 3)] + [[0.5, 0]] * ((nodes - 2) % 3 // 2)},
    }[kind]


@pytest.mark.parametrize("payload", FORMATS)
@pytest.mark.parametrize("kind", ["list", "dict", "nested", "empty", "strings", "tagged"])
@pytest.mark.parametrize("accept_tags", [(), EVERY_TAG], ids=["plain", "tags"])
def test_nodes_are_counted_to_the_last_one(payload: str, kind: str, accept_tags: tuple[str, ...]) -> None:
    if kind == "tagged" and not accept_tags:
        return
    codec = transcoder(payload, accept_tags=accept_tags, limits=CodecLimits(nodes=301))
    pack = (lambda it: json.dumps(it).encode()) if payload == "json" else msgpack.packb
    for tag_text in ("", "py/"):
        full: Any = tree_of(300, kind) if tag_text else tree_of(301, kind)
        one_more: Any = tree_of(301, kind) if tag_text else tree_of(302, kind)
        if tag_text and kind == "dict":
            full["py/x"] = one_more["py/x"] = 1
        elif tag_text and isinstance(full, list):
            full, one_more = [*full, "py/x"], [*one_more, "py/x"]
        elif tag_text:
            continue
        codec.decode(codec.encode(pack(full)))
        with pytest.raises(PayloadError, match=r"more than 301 nodes \(\[limits\] nodes\)"):
            codec.encode(pack(one_more))
        with pytest.raises(UndecodableError, match=r"more than 301 nodes \(\[limits\] nodes\)"):
            codec.decode(transcoder(payload, accept_tags=accept_tags).encode(pack(one_more)))


WEIGHTS = {
    "py/datetime": "2024-01-02T03:04:05+01:00",
    "py/date": "2024-01-02",
    "py/time": "03:04:05",
    "py/timedelta": [1, 2, 3],
    "py/decimal": "1.10",
    "py/uuid": "12345678-1234-5678-1234-567812345678",
    "py/complex": [1.5, 2],
    "py/markup": "<b>",
}


@pytest.mark.parametrize("tag", WEIGHTS)
@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("payload", FORMATS)
def test_as_many_objects_as_can_be_written_can_be_read(tag: str, protocol: int, payload: str) -> None:
    nodes = 20_001
    codec = transcoder(payload, protocol, limits=CodecLimits(nodes=nodes))
    pack = (lambda it: json.dumps(it).encode()) if payload == "json" else msgpack.packb
    tree = [{tag: WEIGHTS[tag]}] * ((nodes - 1) // 5)
    packed = pack(tree)
    assert pickle.loads(codec.encode(codec.decode(codec.encode(packed)))[1:]) == pickle.loads(codec.encode(packed)[1:])
    with pytest.raises(PayloadError, match="nodes"):
        codec.encode(pack([*tree, {tag: WEIGHTS[tag]}]))


@pytest.mark.parametrize("tag", ["py/dict", "py/ordereddict"])
@pytest.mark.parametrize(
    ("content", "weight"),
    [({"py/complex": [{"py/float": "nan"}, {"py/float": "nan"}]}, 7), ({"py/bytes": ""}, 2), (0, 1)],
)
def test_pairs_within_the_nodes_are_never_too_many(tag: str, content: Any, weight: int) -> None:
    nodes = 2 + 2000 * (2 + weight)
    codec = transcoder(limits=CodecLimits(nodes=nodes))
    tree = {tag: [[str(number), content] for number in range(2000)]}
    stored = codec.encode(json.dumps(tree).encode())
    assert len(pickle.loads(stored[1:])) == 2000
    if tag == "py/ordereddict":
        assert json.loads(codec.decode(stored)) == tree


def test_a_response_counts_with_its_headers_both_ways() -> None:
    codec = transcoder(limits=CodecLimits(nodes=20 + 3 * 10))
    tree: Any = {"py/response": {"status": 200, "headers": [["a", "b"]] * 10, "body": ""}}
    assert json.loads(codec.decode(codec.encode(json.dumps(tree).encode()))) == tree
    tree["py/response"]["headers"].append(["a", "b"])
    with pytest.raises(PayloadError, match="nodes"):
        codec.encode(json.dumps(tree).encode())
    with pytest.raises(UndecodableError, match="nodes"):
        codec.decode(transcoder().encode(json.dumps(tree).encode()))


def test_a_payload_may_have_its_limit_of_bytes_and_not_one_more() -> None:
    for payload, full in (("json", b'"' + b"a" * 98 + b'"'), ("msgpack", b"\xd9\x62" + b"a" * 98)):
        codec = transcoder(payload, limits=CodecLimits(payload_bytes=100))
        codec.encode(full)
        with pytest.raises(PayloadError, match=r"a payload of 101 bytes is over the limit of 100 \(\[limits\] payload"):
            codec.encode(full + b" ")


def test_a_stored_value_may_have_its_limit_of_bytes_and_not_one_more() -> None:
    codec = transcoder(limits=CodecLimits(decoded_bytes=100))
    for size in (93, 94):
        stored = b"!X" + struct.pack("<I", size) + b"a" * size + b"."
        if len(stored) <= 100:
            assert codec.decode(stored) == b'"' + b"a" * size + b'"'
        else:
            with pytest.raises(UndecodableError, match=r"a stored value of 101 bytes is over the limit of 100"):
                codec.decode(stored)


@pytest.mark.parametrize("stored", [b"!X\x20\0\0\0" + b"\0" * 32 + b".", b"!B\x50\0\0\0" + b"a" * 80 + b"."])
def test_a_payload_that_its_escapes_make_too_long_is_undecodable(stored: bytes) -> None:
    with pytest.raises(UndecodableError, match=r"more than 100 bytes \(\[limits\] decoded_bytes\)"):
        transcoder(limits=CodecLimits(decoded_bytes=100)).decode(stored)
    transcoder("msgpack", limits=CodecLimits(decoded_bytes=100)).decode(stored)


# -- the proofs and counts that save walks ---------------------------------------------------------------

TREES = st.recursive(
    st.integers(0, 9) | st.text('[]{},":\\ é', max_size=5) | st.sampled_from(["py/", "[[", "}}"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('[]{},":\\a', max_size=3), inner, max_size=4),
    max_leaves=30,
)
SPACES = st.sampled_from([None, (", ", ": "), (" ,\n ", " :\t")])


def depth_of(tree: Any) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree
    return 1 + max(map(depth_of, inner)) if isinstance(tree, list | dict) and tree else 0


def nodes_of(tree: Any) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + sum(map(nodes_of, inner))


@settings(deadline=None, max_examples=300)
@given(TREES, SPACES, st.integers(0, 8))
def test_a_payload_that_is_proven_shallow_is_shallow(tree: Any, spaces: tuple[str, str] | None, depth: int) -> None:
    payload = json.dumps(tree, separators=spaces).encode()
    if json_payload.is_shallow(payload, depth):
        assert depth_of(tree) <= depth


def test_the_common_payload_is_proven_shallow() -> None:
    rows = [{"id": number, "tags": ["a", "b"], "nested": {"x": {}}} for number in range(200)]
    assert json_payload.is_shallow(json.dumps(rows).encode(), 5)


@settings(deadline=None, max_examples=300)
@given(TREES, SPACES, st.booleans())
def test_nodes_of_json_are_counted_as_a_walk_counts_them(tree: Any, spaces: tuple[str, str] | None, wide: bool) -> None:
    payload = json.dumps(tree, separators=spaces, ensure_ascii=wide).encode()
    nodes = nodes_of(tree)
    json_payload.read(payload, CodecLimits(nodes=nodes))
    if nodes > 1:
        with pytest.raises(PayloadError, match="nodes"):
            json_payload.read(payload, CodecLimits(nodes=nodes - 1))


@settings(deadline=None, max_examples=300)
@given(TREES)
def test_a_walk_of_msgpack_headers_refuses_nothing_that_is_within_the_limits(tree: Any) -> None:
    payload = msgpack.packb(tree)
    limits = CodecLimits(nodes=nodes_of(tree), depth=max(depth_of(tree), 1))
    assert msgpack_payload.read(payload, limits) == (tree, False)
    msgpack_payload._check(payload, limits)


@pytest.mark.parametrize("values", [1, 50, 3000])
def test_a_walk_of_msgpack_headers_knows_every_header(values: int) -> None:
    each = [0, -1, 200, -200, 2**15, -(2**15), 2**31, -(2**31), 2**63, 1.5, None, True, "a" * values, b"b" * values]
    ext = [msgpack.ExtType(5, b"x" * size) for size in (1, 2, 4, 8, 16, 7, 300, 70_000)]
    tree = [each, {str(number): "v" for number in range(values)}, [0] * values, each, ext]
    payload = msgpack.packb(tree) + msgpack.packb(1.5, use_single_float=True)
    msgpack_payload._check(payload[:-5], CodecLimits())
    for size in (len(payload) - 6, len(payload) // 2, 1):
        with pytest.raises(PayloadError, match="it ends too early"):
            msgpack_payload._check(payload[:size], CodecLimits())


# -- what errors tell ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        '{"py/bytes": "s3cr3t*"}',
        '{"py/decimal": "s3cr3t"}',
        '{"py/datetime": "s3cr3t"}',
        '{"py/uuid": "s3cr3t"}',
        '{"py/int": "s3cr3t"}',
        '{"py/set": [{"s3cr3t": 1}]}',
        '{"py/response": {"s3cr3t": 1}}',
        '{"s3cr3t": s3cr3t}',
        '["s3cr3t\\x"]',
        '["s3cr3t"] "s3cr3t"',
        '"s3cr3t\\ud800"',
    ],
)
def test_an_error_tells_nothing_of_a_payload(payload: str) -> None:
    with pytest.raises(PayloadError) as caught:
        transcoder().encode(payload.encode())
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(PayloadError) as caught:
        transcoder("msgpack").encode(payload.encode())
    assert SECRET not in str(caught.value)


def test_an_error_tells_nothing_of_msgpack() -> None:
    for payload in (
        b"\xa8s3cr3t\xff\xff",
        b"\x81\xa7s3cr3t\xff\x01",
        b"\x81\x91\xa6s3cr3t\x01",
        b"\xc7\x06\x05s3cr3t",
        msgpack.packb({"py/decimal": SECRET}),
        msgpack.packb({"py/set": [{SECRET: 1}]}),
    ):
        with pytest.raises(PayloadError) as caught:
            transcoder("msgpack").encode(payload)
        assert SECRET not in str(caught.value)


@settings(deadline=None, max_examples=500)
@given(
    st.binary(max_size=60) | st.text('[]{},:"\\ud80py/tsebna1e-.0', max_size=60).map(str.encode),
    st.sampled_from(FORMATS),
)
def test_nothing_but_a_payload_error_leaves(payload: bytes, payload_format: str) -> None:
    with suppress(PayloadError):
        transcoder(payload_format).encode(payload)


TEXTS = st.text("0123456789-:.,+TZWEsnaif_ x\u0663\u017f", max_size=40)


@settings(deadline=None, max_examples=1500)
@given(st.sampled_from(sorted(TAGS)), TEXTS | st.lists(st.integers() | TEXTS | st.floats(), max_size=3) | st.integers())
def test_nothing_but_a_payload_error_leaves_a_tag(tag: str, content: Any) -> None:
    for tree in ({tag: content}, {"py/set": [{tag: content}]}):
        try:
            stored = transcoder().encode(json.dumps(tree).encode())
        except PayloadError:
            continue
        except ValueError:  # json.dumps wrote what is no JSON
            raise
        if stored.startswith(b"!"):
            pickle.loads(stored[1:])
        transcoder().decode(stored)


# -- what may be written may be read -------------------------------------------------------------------


@pytest.mark.parametrize("payload", FORMATS)
def test_ints_that_are_tagged_for_their_readers_are_no_more_nodes(payload: str) -> None:
    codec = transcoder(payload, big_ints="tagged")
    tree = [2**53 + 1] * 200_000
    packed = json.dumps(tree).encode() if payload == "json" else msgpack.packb(tree)
    assert codec.decode(codec.encode(packed)).count(b"py/int") == len(tree)


def test_a_payload_full_of_long_ints_is_read() -> None:
    packed = json.dumps([10**4299 + number for number in range(1900)], separators=(",", ":")).encode()
    assert transcoder().decode(transcoder().encode(packed)) == packed


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_six_megabytes_of_bytes_are_read_under_any_protocol(protocol: int) -> None:
    codec = transcoder(protocol=protocol)
    packed = b'{"py/bytes":"' + b64encode(b"\xff" * 6_000_000) + b'"}'
    assert codec.decode(codec.encode(packed)) == packed


def test_what_could_not_be_read_again_is_not_written() -> None:
    codec = transcoder("msgpack", 2)
    with pytest.raises(PayloadError, match="which could not be read again"):
        codec.encode(msgpack.packb(b"\xff" * (8 * 1024 * 1024 - 5)))


def test_a_json_view_is_as_deep_as_any_value() -> None:
    writer, reader = (transcoder(payload, view="application/json") for payload in FORMATS)
    deep = b"[" * 101 + b"]" * 101
    assert reader.decode(writer.encode(deep)) == b"\x91" * 100 + b"\x90"
    with pytest.raises(PayloadError, match="deep"):
        writer.encode(b"[" + deep + b"]")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"payload": "yaml"}, "payload must be one of 'json', 'msgpack', got 'yaml'"),
        ({"pickle_protocol": 7}, "pickle_protocol must be one of 2, 3, 4, 5, got 7"),
        ({"types": "Plain"}, "types must be one of"),
        ({"big_ints": "xx"}, "big_ints must be one of"),
        ({"accept_tags": "data"}, "accept_tags must be a tuple of tags without their py/, got 'data'"),
        ({"accept_tags": ("py/tuple",)}, "accept_tags must be a tuple of tags"),
    ],
)
def test_options_that_do_not_exist_are_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Transcoder(Options(**options))
