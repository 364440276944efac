"""Limits apply at their exact numbers, and values that clients may write can be read again."""

import json
import pickle
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import CodecLimits, PayloadError, UndecodableError
from proxy.codec.payload import json_payload, msgpack_payload
from tests import effort
from tests.codec.samples import EVERY_TAG, FORMATS, transcoder

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


@pytest.mark.parametrize("payload", FORMATS)
@pytest.mark.parametrize(
    ("limits", "value", "limit"),
    [
        (CodecLimits(depth=2), [[[[1]]]], "depth"),
        (CodecLimits(nodes=9), [1] * 50, "nodes"),
        (CodecLimits(decoded_bytes=40), ["x" * 50], "decoded_bytes"),
        (CodecLimits(decoded_bytes=90), [text := "x" * 50, text], "decoded_bytes"),
        (CodecLimits(), ["\ud800"], None),
    ],
)
def test_an_error_names_its_limit_also_in_another_process(
    payload: str, limits: CodecLimits, value: Any, limit: str | None
) -> None:
    with pytest.raises(UndecodableError) as caught:
        transcoder(payload, limits=limits).decode(b"!" + pickle.dumps(value))
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert error.limit == limit
        assert (f"([limits] {limit})" in str(error)) is (limit is not None)
    with pytest.raises(PayloadError) as refused:
        transcoder("json", limits=CodecLimits(payload_bytes=5)).encode(b"1234567")
    assert refused.value.limit == "payload_bytes"


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
        "tagged": {"py/tuple": [{"py/frozenset": []}] * ((nodes - 2) // 2) + [0] * (nodes % 2)},
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


# -- proofs and counts in place of walks -----------------------------------------------------------------

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


@settings(deadline=None, max_examples=effort.cases(300))
@given(TREES, SPACES, st.integers(0, 8))
def test_a_payload_that_is_proven_shallow_is_shallow(tree: Any, spaces: tuple[str, str] | None, depth: int) -> None:
    payload = json.dumps(tree, separators=spaces).encode()
    if json_payload.is_shallow(payload, depth):
        assert depth_of(tree) <= depth


def test_the_common_payload_is_proven_shallow() -> None:
    rows = [{"id": number, "tags": ["a", "b"], "nested": {"x": {}}} for number in range(200)]
    assert json_payload.is_shallow(json.dumps(rows).encode(), 5)


@settings(deadline=None, max_examples=effort.cases(300))
@given(TREES, SPACES, st.booleans())
def test_nodes_of_json_are_counted_as_a_walk_counts_them(tree: Any, spaces: tuple[str, str] | None, wide: bool) -> None:
    payload = json.dumps(tree, separators=spaces, ensure_ascii=wide).encode()
    nodes = nodes_of(tree)
    json_payload.read(payload, CodecLimits(nodes=nodes))
    if nodes > 1:
        with pytest.raises(PayloadError, match="nodes"):
            json_payload.read(payload, CodecLimits(nodes=nodes - 1))


@settings(deadline=None, max_examples=effort.cases(300))
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


# -- written values can be read ------------------------------------------------------------------------


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
