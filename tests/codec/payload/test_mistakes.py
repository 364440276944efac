"""A payload that is not valid says which usual mistake is behind it, on both engines."""

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import Options, PayloadError, Transcoder
from proxy.codec.payload import mistakes, msgpack_headers
from proxy.engine import ENGINE, REFERENCE
from tests.codec.test_lossless import JSON_VALUES

ON_JSON = 'it looks like msgpack; send that to a listener with payload = "msgpack"'
ON_MSGPACK = 'it looks like JSON; send that to a listener with payload = "json"'
VALUES: list[Any] = [
    None,
    True,
    False,
    -1,
    -33,
    300,
    70000,
    2**40,
    1.5,
    "foo",
    "x" * 40,
    [],
    [1, 2],
    {},
    {"a": {"b": [1]}},
]


def refusal(wrong: bytes, **options: Any) -> str:
    """The error for a payload, the same on both engines."""
    texts = set()
    for engine in (ENGINE, REFERENCE):
        with pytest.raises(PayloadError) as caught:
            Transcoder(Options(**options), engine).encode(wrong)
        texts.add(str(caught.value))
    (text,) = texts
    return text


@pytest.mark.parametrize("value", VALUES, ids=lambda it: str(it)[:20])
@pytest.mark.parametrize("options", [{}, {"stored": "json"}, {"view": "application/json"}], ids=str)
def test_msgpack_on_the_port_for_json_is_named(value: Any, options: dict[str, Any]) -> None:
    assert refusal(msgpack.packb(value), **options) == f"the payload is not valid JSON: {ON_JSON}"


@pytest.mark.parametrize("value", VALUES, ids=lambda it: str(it)[:20])
@pytest.mark.parametrize("around", ["{}", " {}\n"], ids=["alone", "with space"])
def test_json_on_the_port_for_msgpack_is_named(value: Any, around: str) -> None:
    payload = around.replace("{}", json.dumps(value)).encode()
    assert refusal(payload, payload="msgpack") == f"the payload is not valid msgpack: {ON_MSGPACK}"


def test_a_payload_of_many_values_is_recognised_by_its_first() -> None:
    many = [{"name": "tea", "price": 1.5, "tags": None}] * 2000
    assert refusal(msgpack.packb(many)).endswith(ON_JSON)
    assert refusal(json.dumps(many).encode(), payload="msgpack").endswith(ON_MSGPACK)


@pytest.mark.parametrize("format_", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "it is empty (null or undefined?)"),
        (b"[object Object]", 'it is JavaScript\'s "[object Object]"; encode the object before you send it'),
        (b"undefined", "it is JavaScript's undefined"),
        (b"!\x80\x04\x95\x07", "it is a pickle; does the Flask app itself use this port?"),
        (b"\x80\x05N.", "it is a pickle; does the Flask app itself use this port?"),
    ],
    ids=["empty", "object", "undefined", "stored value", "pickle"],
)
def test_a_usual_mistake_is_named(format_: str, payload: bytes, said: str) -> None:
    name = {"json": "JSON", "msgpack": "msgpack"}[format_]
    assert refusal(payload, payload=format_) == f"the payload is not valid {name}: {said}"


def test_a_byte_order_mark_is_named() -> None:
    for mark, code in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        assert "it begins with a byte order mark; send UTF-8" in refusal(mark + '{"a": 1}'.encode(code))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"foo", 'a string needs its quotes, as in "foo"'),
        ("п".encode(), "invalid character (byte 0)"),
        ("Äh".encode(), "invalid character (byte 0)"),
        (b"caf\xe9", "not UTF-8 (byte 3)"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8 (byte 0)"),
        (b"\x1f\x8b\x08", "not UTF-8 (byte 1)"),
        (b"\x93\x01", "not UTF-8 (byte 0)"),
        (b"\x91\xc1", "not UTF-8 (byte 0)"),
    ],
)
def test_what_is_something_else_is_not_called_msgpack(payload: bytes, said: str) -> None:
    assert said in refusal(payload)
    assert "msgpack" not in refusal(payload)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"foo", "more bytes follow its value"),
        (b"\x93\x01", "it ends too early"),
        (b"\xda\xff", "it ends too early"),
        (b"\xc1", "a byte that begins no value"),
        (b"42 tea", "more bytes follow its value"),
    ],
)
def test_what_is_no_msgpack_says_why(payload: bytes, said: str) -> None:
    assert refusal(payload, payload="msgpack") == f"the payload is not valid msgpack: {said}"


@given(JSON_VALUES)
def test_the_headers_of_msgpack_always_agree(value: Any) -> None:
    try:
        packed = msgpack.packb(value)
    except OverflowError:
        return
    assert msgpack_headers.agree(packed, 10**6)
    assert not msgpack_headers.agree(packed + b"\x01", 10**6)
    assert not msgpack_headers.agree(packed[:-1], 10**6)


@given(st.binary())
def test_no_bytes_make_the_search_for_a_mistake_fail(payload: bytes) -> None:
    for said in (mistakes.in_json(payload), mistakes.in_msgpack(payload)):
        assert said.isascii()
        assert len(said) < 100
    assert msgpack_headers.agree(payload, 3) in (True, False)


def test_a_reader_gets_no_hint_that_is_for_writers() -> None:
    reader = Transcoder(Options(stored="json"))
    for stored, said in ((b"", "it is empty; is stored"), (b"\x81\xa1a\x01", "it looks like msgpack; is stored")):
        with pytest.raises(Exception, match=f"the value is not valid JSON: {said}"):
            reader.decode(stored)
