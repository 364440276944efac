"""`stored` in a rule: only the rule decides how a value is written and read, never the bytes of the value."""

import bz2
import gzip
import json
import lzma
import pickle
import zlib
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import CodecLimits, Options, PayloadError, Transcoder, UndecodableError
from tests import effort
from tests.codec.samples import VECTORS, transcoder
from tests.codec.test_lossless import JSON_VALUES, VALUES, stored_by_python

PICKLES = ("pickle", "django")
STORAGES = ("flask", *PICKLES, "json")
TREE = {"name": "Tea", "price": 2.5, "tags": ["a", None, True], "stock": {"Berlin": 3}}
ZSTD = b"\x28\xb5\x2f\xfd\x24\x01\x09\x00\x00x\xe1\x8e\x9f\x40"
LZ4 = b"\x04\x22\x4d\x18\x64\x40\xa7\x06\x00\x00\x80x"
LZMA_ALONE = lzma.compress(b"x" * 100, lzma.FORMAT_ALONE)


def loaded(stored: bytes, storage: str) -> Any:
    """Load with the app's library: `BaseRedisSerializer`, pickle, Django's `RedisSerializer`, `JSONSerializer`."""
    if storage == "json":
        return json.loads(stored)
    if storage != "pickle":
        try:
            return int(stored)
        except ValueError:
            pass
    return pickle.loads(stored.removeprefix(b"!") if storage == "flask" else stored)


def exactly(value: object) -> object:
    return repr(value), type(value)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("value", [TREE, [], {}, "é", "", 0, -7, 2**70, 1.5, True, None], ids=repr)
def test_every_library_loads_what_is_written(storage: str, value: Any) -> None:
    for payload, packed in (("json", json.dumps(value).encode()), ("msgpack", _packed(value))):
        if packed is None:
            continue
        codec = transcoder(payload, stored=storage)
        stored = codec.encode(packed)
        assert exactly(loaded(stored, storage)) == exactly(value)
        assert transcoder(stored=storage).decode(stored) == json.dumps(value, separators=(",", ":")).encode().replace(
            b"\\u00e9", "é".encode()
        )


def _packed(value: Any) -> bytes | None:
    try:
        raw: bytes = msgpack.packb(value)
    except OverflowError:
        return None
    return raw


@given(JSON_VALUES, st.sampled_from(STORAGES))
@settings(max_examples=effort.cases(100))
def test_whatever_json_holds_comes_back(value: Any, storage: str) -> None:
    codec = Transcoder(Options(stored=storage))
    try:
        stored = codec.encode(json.dumps(value).encode())
    except PayloadError:  # a tag by chance
        return
    assert exactly(loaded(codec.encode(codec.decode(stored)), storage)) == exactly(value)


@given(VALUES, st.integers(0, 5), st.sampled_from(PICKLES))
@settings(max_examples=effort.cases(100))
def test_a_bare_pickle_is_read_as_flasks_is(value: object, protocol: int, storage: str) -> None:
    stored = b"!" + pickle.dumps(value, protocol)
    if stored_by_python(value, protocol) == stored:  # no int
        assert _outcome(transcoder(stored=storage), stored[1:]) == _outcome(transcoder(), stored)


def _outcome(codec: Transcoder, stored: bytes) -> object:
    try:
        return codec.decode(stored)
    except UndecodableError as error:
        return str(error)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(("storage", "stored"), [("pickle", pickle.dumps), ("django", lambda *_: b"42")])
def test_ints_are_pickled_or_digits(protocol: int, storage: str, stored: Any) -> None:
    for payload in (b"42", b'{"py/int": "42"}'):
        assert transcoder(protocol=protocol, stored=storage).encode(payload) == stored(42, protocol)


@pytest.mark.parametrize(
    ("storage", "stored"),
    [
        ("pickle", b"42"),
        ("pickle", b""),
        ("pickle", b"!N."),
        ("pickle", b'{"a":1}'),
        ("django", b"!" + pickle.dumps("x")),
        ("django", b'"x"'),
        ("django", b"4 2"),
        ("django", b"9" * 4301),
        ("json", b"!" + pickle.dumps("x")),
        ("json", pickle.dumps("x")),
        ("json", b"N."),
        ("json", b""),
        ("json", b"NaN"),
        ("json", b"[1] x"),
        ("json", b'"\\ud800"'),
        ("json", b"\xef\xbb\xbf1"),
        ("json", "1".encode("utf-16")),
        ("json", b"9" * 4301),
    ],
)
def test_a_value_in_another_storage_is_undecodable_and_the_error_names_the_key(storage: str, stored: bytes) -> None:
    for types in ("tagged", "plain"):
        with pytest.raises(UndecodableError, match=f'stored = "{storage}"'):
            transcoder(stored=storage, types=types).decode(stored)


@pytest.mark.parametrize("stored", [b"N.", b'{"a":1}', b'"x"', pickle.dumps("x"), zlib.compress(b"x")])
def test_flask_reads_all_else_as_bytes(stored: bytes) -> None:
    assert msgpack.unpackb(transcoder("msgpack").decode(stored)) == stored


@pytest.mark.parametrize("storage", [*PICKLES, "json"])
@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("zlib", zlib.compress(b"x" * 100)),
        ("zlib", zlib.compress(b"x" * 100, 1)),
        ("zlib", zlib.compress(b"x" * 100, 9)),
        ("gzip", gzip.compress(b"x" * 100, mtime=0)),
        ("zstd", ZSTD),
        ("lz4", LZ4),
        ("lzma", lzma.compress(b"x" * 100)),
        ("lzma", LZMA_ALONE),
        ("bzip2", bz2.compress(b"x" * 100)),
    ],
)
def test_a_compressed_value_is_undecodable_by_name(storage: str, name: str, stored: bytes) -> None:
    with pytest.raises(UndecodableError, match=rf"compressed \({name}\)"):
        transcoder(stored=storage).decode(stored)


def test_a_limit_stays_a_limit() -> None:
    limits = CodecLimits(nodes=3, depth=2, decoded_bytes=1000)
    for storage, stored in (
        ("pickle", pickle.dumps([1, 2, 3, 4], 0)),
        ("django", pickle.dumps([[[1]]])),
        ("json", b"[1,2,3,4]"),
        ("json", b"[[[1]]]"),
        ("json", b'"' + b"x" * 1000 + b'"'),
    ):
        for types in ("tagged", "plain"):
            with pytest.raises(UndecodableError) as caught:
                transcoder(stored=storage, limits=limits, types=types).decode(stored)
            assert caught.value.limit is not None


@pytest.mark.parametrize(
    "payload",
    [
        b'{"py/set": [1]}',
        b'[{"a": {"py/datetime": "2024-01-02T03:04:05"}}]',
        b'{"py/int": "1"}',
        b'{"py/dict": [["a", 1]]}',
        b'{"p\\u0079\\/float": "nan"}',
        b'{"py/response": {}}',
    ],
)
def test_json_takes_no_tags(payload: bytes) -> None:
    for accept in (("data",), ("data", "markup", "response"), ("datetime",)):
        with pytest.raises(PayloadError, match=r'the tag py/.* stored = "json"'):
            transcoder(stored="json", accept_tags=accept).encode(payload)
    assert json.loads(transcoder(stored="json", accept_tags=()).encode(payload)) == json.loads(payload)


def test_json_escapes_what_looks_like_a_tag() -> None:
    assert transcoder(stored="json").decode(b'[{"py/set": [1]}]') == b'[{"py/dict":[["py/set",[1]]]}]'
    assert transcoder(stored="json", types="plain").decode(b'[{"py/set": [1]}]') == b'[{"py/set":[1]}]'


@pytest.mark.parametrize("payload", ["json", "msgpack"])
@pytest.mark.parametrize("big_ints", ["number", "tagged"])
@pytest.mark.parametrize(
    "value",
    [
        {"py/date": "2024-01-02"},
        [{"a": {"py/set": [{"py/int": "1"}]}}],
        {"py/dict": [["a", 1]]},
        {"py/dict": [["py/set", [1]]]},
        {"py/nothing": {"py/": {"py/instance": None}}},
        {"py/date": 1, "py/set": 2},
        [2**53 + 1, -(2**60), {"py/int": 2**70}],
        2**64,
    ],
    ids=repr,
)
def test_what_json_storage_shows_is_written_back(value: Any, big_ints: str, payload: str) -> None:
    codec = transcoder(payload, stored="json", big_ints=big_ints)
    stored = json.dumps(value, separators=(",", ":")).encode()
    assert codec.encode(codec.decode(stored)) == stored


@pytest.mark.parametrize(
    "value",
    [
        {"py/dict": [["a", 1]]},
        {"py/dict": [["py/set", 1], ["py/date", 2]]},
        {"py/dict": [[1, 2]]},
        {"py/dict": [["py/set"]]},
        {"py/dict": {"py/set": 1}},
        {"py/dict": [["py/set", {"py/set": [1]}]]},
        {"py/int": "9007199254740992"},
        {"py/int": "09007199254740993"},
        {"py/int": "9" * 4301},
        {"py/nothing": 1},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_json_takes_a_tag_only_as_it_shows_it(value: Any) -> None:
    for payload in (json.dumps(value).encode(), json.dumps([{"a": value}, 1]).encode()):
        with pytest.raises(PayloadError, match=r"the tag py/|this key is not one"):
            transcoder(stored="json").encode(payload)
    assert json.loads(transcoder(stored="json", accept_tags=()).encode(json.dumps(value).encode())) == value


def test_the_error_for_a_tag_in_an_escaped_object_names_its_place() -> None:
    with pytest.raises(PayloadError, match=r"^\$\.a\['py/set'\]\[1\]: "):
        transcoder(stored="json").encode(b'{"a": {"py/dict": [["py/set", [1, {"py/set": []}]]]}, "b": 1}')


@pytest.mark.parametrize(
    "value", [b"\xff", float("nan"), {1: 2}, {b"k": 1}, datetime(2024, 1, 2, tzinfo=UTC), [{1: 2}]]
)
def test_json_has_no_types_of_msgpack(value: Any) -> None:
    with pytest.raises(PayloadError, match=r'stored = "json"|cannot be JSON'):
        transcoder("msgpack", stored="json").encode(msgpack.packb(value, datetime=True))


def test_json_is_read_with_the_numbers_that_a_client_can_hold() -> None:
    large = b"[9007199254740993,1]"
    assert transcoder(stored="json", big_ints="tagged").decode(large) == b'[{"py/int":"9007199254740993"},1]'
    assert transcoder(stored="json", big_ints="tagged", types="plain").decode(large) == b'["9007199254740993",1]'
    beyond = str(2**70).encode()
    assert msgpack.unpackb(transcoder("msgpack", stored="json").decode(beyond)) == {"py/int": str(2**70)}
    assert msgpack.unpackb(transcoder("msgpack", stored="json", types="plain").decode(beyond)) == str(2**70)


def test_json_is_stored_without_whitespace_and_with_the_last_of_equal_keys() -> None:
    assert transcoder(stored="json").encode(b' { "a" : 1, "b" : [ ], "a" : 2 }\n') == b'{"a":2,"b":[]}'
    assert transcoder(stored="json").encode(b" 5 ") == b"5"
    assert transcoder(stored="json").encode(b"-0") == b"0"


@pytest.mark.parametrize("value", [b"1 2", b"\xff", b'{"a":1', b"NaN", b'"\\ud800"', b"1" * 4301])
def test_json_is_validated_before_it_is_stored(value: bytes) -> None:
    with pytest.raises(PayloadError):
        transcoder(stored="json").encode(value)


def test_a_view_is_stored_as_flask_stores_it() -> None:
    for storage in (*PICKLES, "json"):
        with pytest.raises(ValueError, match="view"):
            Options(view="text/html", stored=storage).check()


@pytest.mark.parametrize(
    "options", [{"stored": "Flask"}, {"naive": "local"}, {"read_classes": "*"}, {"read_classes": ("",)}]
)
def test_options_that_do_not_exist_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Transcoder(Options(**options))


@pytest.mark.parametrize("payload", ["json", "msgpack"])
def test_a_naive_datetime_may_be_read_as_utc_where_types_are_plain(payload: str) -> None:
    naive, aware = datetime(2024, 1, 2, 3, 4, 5, 6), datetime(2024, 1, 2, tzinfo=UTC)
    stored = b"!" + pickle.dumps([naive, aware, naive.date(), naive.time(), {naive: aware}])
    read = json.loads if payload == "json" else msgpack.unpackb
    utc, zone = "2024-01-02T03:04:05.000006Z", "2024-01-02T00:00:00+00:00"
    wanted = [utc, zone, "2024-01-02", "03:04:05.000006", {utc: zone}]
    assert read(transcoder(payload, types="plain", naive="utc").decode(stored)) == wanted
    tagged = {"py/datetime": utc[:-1]}
    assert read(transcoder(payload, naive="utc").decode(stored))[0] == tagged


@pytest.mark.parametrize("storage", PICKLES)
def test_what_flasks_own_stacks_pickled_is_read_without_the_mark(storage: str) -> None:
    for each in VECTORS:
        if each.stored.startswith(b"!"):
            ours = _outcome(transcoder(stored=storage), each.stored[1:])
            assert ours == _outcome(transcoder(), each.stored) or f'stored = "{storage}"' in str(ours)
