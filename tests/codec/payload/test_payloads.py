"""Payloads are read strictly, and error texts hold no content of a value."""

import json
import pickle
import re
import struct
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.codec import (
    Options,
    PayloadError,
    Transcoder,
    UndecodableError,
)
from proxy.codec.nodes import TAGS
from proxy.engine import ENGINE, REFERENCE
from tests import effort
from tests.codec.pickles import call, text
from tests.codec.samples import EVERY_TAG, FORMATS, encode, transcoder

SECRET = "s3cr3t"


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


# -- error texts ---------------------------------------------------------------------------------------


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


@settings(deadline=None, max_examples=effort.cases(500))
@given(
    st.binary(max_size=60) | st.text('[]{},:"\\ud80py/tsebna1e-.0', max_size=60).map(str.encode),
    st.sampled_from(FORMATS),
)
def test_nothing_but_a_payload_error_leaves(payload: bytes, payload_format: str) -> None:
    with suppress(PayloadError):
        transcoder(payload_format).encode(payload)


TEXTS = st.text("0123456789-:.,+TZWEsnaif_ x\u0663\u017f", max_size=40)


@settings(deadline=None, max_examples=effort.cases(1500))
@given(st.sampled_from(sorted(TAGS)), TEXTS | st.lists(st.integers() | TEXTS | st.floats(), max_size=3) | st.integers())
def test_nothing_but_a_payload_error_leaves_a_tag(tag: str, content: Any) -> None:
    for tree in ({tag: content}, {"py/set": [{tag: content}]}):
        try:
            stored = transcoder().encode(json.dumps(tree).encode())
        except PayloadError:
            continue
        except ValueError:  # json.dumps has written invalid JSON
            raise
        if stored.startswith(b"!"):
            pickle.loads(stored[1:])
        transcoder().decode(stored)


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


@pytest.mark.parametrize(
    ("member", "place"),
    [
        (b"]", "$.a[0]"),
        (b"}", "$.a[0]"),
        (b"\x8f", "$.a[0]"),
        (b"]\x85", "$.a[0][0]"),
        (call("decimal", "Decimal", text("sNaN")), "$.a"),
    ],
)
def test_the_error_for_a_member_without_a_hash_names_the_place(member: bytes, place: str) -> None:
    body = b"!}" + text("a") + b"\x8f(" + member + b"\x90s."
    for engine in (ENGINE, REFERENCE):
        for types in ("tagged", "plain"):
            with pytest.raises(UndecodableError, match=f"an unhashable key or member at {re.escape(place)}$"):
                Transcoder(Options(types=types), engine).decode(body)


def test_the_error_for_a_str_of_python_2_names_the_place() -> None:
    body = b"!}(" + text("a") + b"K\x01" + text("b") + b"U\x02\xc3\xa9u."
    for engine in (ENGINE, REFERENCE):
        with pytest.raises(UndecodableError, match=r"a Python 2 str that is not ASCII, at \$\.b"):
            Transcoder(Options(), engine).decode(body)
