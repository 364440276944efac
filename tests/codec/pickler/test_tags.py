"""Tags: their content, the tags that a rule accepts, and the values that Python hashes."""

import json
import pickle
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from uuid import UUID

import flask
import msgpack
import pytest

from proxy.codec import Options, PayloadError, Response, Transcoder, dumps, loads
from proxy.codec.nodes import READ_ONLY_TAGS, TAGS
from proxy.codec.pickler.tags import NAMES
from proxy.engine import ENGINE, REFERENCE
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
    "py/counter": [1, [], "ab", None, {"py/tuple": []}, {"py/counter": {}}, {"py/instance": {}}],
    "py/defaultdict": [
        1,
        {},
        {"dict": {}},
        {"factory": "list"},
        {"factory": "list", "dict": {}, "more": 1},
        *({"factory": factory, "dict": {}} for factory in ("", "os.system", "eval", "bytes", "List", 1, [], True, {})),
        *({"factory": "int", "dict": entries} for entries in (None, [], [[1, 2]], "a", {"py/set": []})),
    ],
    "py/deque": [
        1,
        [],
        {},
        {"items": []},
        {"items": [], "maxlen": None, "more": 1},
        *({"items": items, "maxlen": None} for items in (None, {}, "ab", {"py/tuple": []})),
        *({"items": [1, 2], "maxlen": most} for most in (-1, 0, 1, 2.0, "2", True, [], {"py/float": 2}, 2**63)),
        *({"items": [1, 2], "maxlen": {"py/int": most}} for most in ("1", "-2", str(2**63))),
    ],
    "py/zoned": [
        1,
        "2024-07-02T03:04:05+02:00",
        {},
        {"at": "2024-07-02T03:04:05+02:00"},
        {"at": "2024-07-02T03:04:05+02:00", "zone": "Europe/Berlin", "fold": 0},
        *({"at": at, "zone": "Europe/Berlin"} for at in (1, None, "", "now", "2024-07-02T03:04:05", "2024-07-02")),
        *({"at": "2024-07-02T03:04:05+02:00", "zone": zone} for zone in (1, None, "", "europe/berlin", "Mars/Base")),
    ],
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
        *({"status": status, "headers": [], "body": ""} for status in (0, 99, 100, 199, 600, 999, 1000, -1)),
        *({"status": status, "headers": [], "body": "a"} for status in (204, 304)),
        {"status": True, "headers": [], "body": ""},
        {"status": 200, "headers": {}, "body": ""},
        {"status": 200, "headers": [["a"]], "body": ""},
        {"status": 200, "headers": [["a", 1]], "body": ""},
        *(
            {"status": 200, "headers": [["X-A", "b"], [name, "b"]], "body": ""}
            for name in ("", " ", "X: y", "X:", " X", "X ", "a\n", "a\0", "a\tb", "é", "X(y)", 'X"y', "X/y", "\u2010")
        ),
        *(
            {"status": 200, "headers": [["X-A", value]], "body": ""}
            for value in (
                "b\r\nSet-Cookie: c",
                "b\n",
                "\r",
                "\0",
                "\t",
                "\x1f",
                "\x7f",
                "\x80",
                "\x9f",
                "\u0100",
                "☃",
                "\U0001f600",
            )
        ),
        *(
            {"status": 200, "headers": [[name, "x"]], "body": ""}
            for name in ("Transfer-Encoding", "connection", "KEEP-ALIVE", "TE", "Trailer", "Upgrade", "Status")
        ),
        *({"status": 200, "headers": [["Proxy-Authenticate", "x"]], "body": ""},),
        *(
            {"status": 200, "headers": [["content-LENGTH", length]], "body": "é"}
            for length in ("1", "3", "", "-2", "+2", " 2", "2 ", "02", "2, 2", "0x2", "²")
        ),
        {"status": 200, "headers": [["Content-Length", "2"], ["Content-Length", "2"]], "body": "ab"},
        {"status": 200, "headers": [["Content-Length", "1"]], "body": {"py/bytes": "YWI="}},
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
    tree = around({tag: content})
    payload = json.dumps(tree).encode()
    with pytest.raises(PayloadError) as caught:
        transcoder().encode(payload)
    message = str(caught.value)
    if "out of range" not in message:  # an int that JSON cannot have
        place = {dict: "$.a: ", list: "$[0]: "}[type(tree)] if tree != {tag: content} else ""
        wrong = "py/bytes" if "py/bytes" in message[:40] else tag
        assert message.startswith(f"{place}the content of {wrong} must be ")
        assert f'escape it as {{"py/dict": [["{tag}", ...]]}}' in message


def test_every_tag_has_wrong_content() -> None:
    assert WRONG.keys() == TAGS - READ_ONLY_TAGS


@pytest.mark.parametrize("pairs", [1, {}, [1], [[1]], [[1, 2, 3]], "ab"], ids=json.dumps)
def test_pairs_in_the_content_of_a_tag_are_checked_as_those_of_py_dict(pairs: Any) -> None:
    entries = {"py/dict": pairs}
    for tree in ({"py/counter": entries}, {"py/defaultdict": {"factory": None, "dict": entries}}):
        with pytest.raises(PayloadError, match=r"the content of py/dict must be an array of \[key, value\] pairs"):
            encode([tree])


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_the_escape_that_errors_advise_works(tag: str) -> None:
    assert encode({"py/dict": [[tag, "anything"]]}) == {tag: "anything"}


@pytest.mark.parametrize(
    "content",
    [
        {"status": 200, "headers": [["Content-Length", "2"], ["!#$%&'*+-.^_`|~09Az", " b \xa0\xff"]], "body": "é"},
        {"status": 599, "headers": [["X-A", ""]], "body": {"py/bytes": "YWI="}},
        {"status": 204, "headers": [["Content-Length", "0"]], "body": ""},
        {"status": 304, "headers": [["ETag", '"a"']], "body": {"py/bytes": ""}},
    ],
    ids=lambda content: str(content["status"]),
)
def test_a_response_that_wsgi_takes_is_written(content: Any) -> None:
    response = encode({"py/response": content})
    assert response.status_code == content["status"]
    assert [list(pair) for pair in response.headers] == content["headers"]


@pytest.mark.parametrize(
    ("status", "name", "value", "body"),
    [(200, "Transfer-Encoding", "chunked", "a"), (200, "Content-Length", "7", "a"), (204, "X: y", "\u0100", "a")],
)
def test_a_response_that_is_stored_already_still_reads(status: int, name: str, value: str, body: str) -> None:
    response = flask.Response(body, status)
    response.headers._list[:] = [(name, value)]
    stored = b"!" + pickle.dumps(response)
    content = {"status": status, "headers": [[name, value]], "body": body}
    assert json.loads(transcoder().decode(stored)) == {"py/response": content}
    assert loads(stored) == Response(status, [(name, value)], body)
    with pytest.raises(PayloadError, match="a response that a WSGI server sends"):
        dumps(loads(stored))


@pytest.mark.parametrize("view", ["", " ", "text/html\r\nX: y", "text/\u2603", "a\tb", "a\x7f"])
def test_a_view_has_a_content_type_that_wsgi_takes(view: str) -> None:
    with pytest.raises(ValueError, match="view must be a Content-Type"):
        transcoder(view=view)


@pytest.mark.parametrize("tag", ["py/markup", "py/response", "py/zoned"])
def test_markup_responses_and_zoned_datetimes_are_refused_unless_a_rule_names_them(tag: str) -> None:
    with pytest.raises(PayloadError, match=rf"the tag {tag} is not accepted.*py/dict"):
        transcoder(accept_tags=("data",)).encode(json.dumps([{tag: "x"}]).encode())


@pytest.mark.parametrize("tag", sorted(TAGS - READ_ONLY_TAGS))
def test_a_tag_that_a_rule_leaves_out_is_an_error_wherever_it_stands(tag: str) -> None:
    others = tuple(each for each in NAMES if f"py/{each}" != tag)
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
    "tree",
    [{"py/tuple": [1], "a": 2}, {"py/unknown": 1, "a": 2}, {"PY/tuple": 1}, {"a": "py/tuple"}, ["py/set"], {"py": 1}],
)
def test_what_only_looks_like_a_tag_is_plain_data(tree: Any) -> None:
    assert encode(tree) == tree


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("py/tupel", "py/tuple"), ("py/decimals", "py/decimal"), ("py/dateTime", "py/datetime"), ("py/TUPLE", "py/tuple"),
     ("py/tuple ", "py/tuple"), ("py/date_time", "py/datetime"), ("py/objekt", None), ("py/", None), ("py/\n", None),
     ("py/" + "x" * 10**6, None), ("py/Timestamp", None), ("py/STR", "a str needs no tag")],
    ids=lambda it: str(it)[:12],
)  # fmt: skip
@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_a_key_that_looks_like_a_tag_is_refused_with_the_tag_that_is_near(
    key: str, nearest: str | None, payload: str
) -> None:
    pack = msgpack.packb if payload == "msgpack" else lambda tree: json.dumps(tree).encode()
    for tree in ({key: 1}, [{key: 1}], {"a": {"b": {key: [1]}}}, {"py/tuple": [{key: 1}]}, {"py/counter": {key: 1}}):
        hint = nearest if nearest is None or nearest.startswith("a ") else f"the nearest is {nearest}"
        said = "; ".join(filter(None, ("this key is not one", hint, "to write the object as it is, escape it")))
        with pytest.raises(PayloadError, match=said) as caught:
            transcoder(payload).encode(pack(tree))
        assert len(str(caught.value)) < 300
        assert encode(pack([{key: 1, "a": 2}]), payload=payload) == [{key: 1, "a": 2}]
        assert encode(pack([{"py/dict": [[key, 1]]}]), payload=payload) == [{key: 1}]
        assert encode(pack(tree), payload=payload, accept_tags=()) == tree


def test_the_key_of_jsonpickle_is_refused_by_its_name() -> None:
    for engine in (ENGINE, REFERENCE):
        with pytest.raises(PayloadError, match="py/object is jsonpickle's and is not executed here; to write"):
            Transcoder(Options(accept_tags=("data",)), engine).encode(b'{"py/object": 1}')


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
    {"py/counter": {}},
    {"py/defaultdict": {"factory": None, "dict": {}}},
    {"py/deque": {"items": [], "maxlen": 0}},
    {"py/tuple": [{"py/deque": {"items": [1], "maxlen": None}}]},
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
    # the key for a number, and the most such keys
    "floats": (lambda number: number + 0.5, 5_656),
    "small ints": (lambda number: number, 16_329),
    "negative ints": (lambda number: -number, 16_329),
    "ints with one hash": (lambda number: number * MODULUS, 5_547),
    "pairs": (lambda number: {"py/tuple": [number, "x"]}, 3_885),
    "frozensets": (lambda number: {"py/frozenset": [number]}, 4_082),
    "timedeltas": (lambda number: {"py/timedelta": [number, 0, 0]}, 4_472),
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
