"""Every value that a real stack stored reads as the value that the app gave it."""

import datetime
import json
import pickle
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import flask
import msgpack
import pytest
from markupsafe import Markup

from proxy.codec import UndecodableError
from tests.codec.judge import normal
from tests.codec.samples import FORMATS, VECTORS, Vector, transcoder

APP_CLASSES = {"Pt", "Color", "Num", "MyInt"}
KNOWN_NAMES = {
    "datetime": datetime,
    "Decimal": Decimal,
    "UUID": UUID,
    "Markup": Markup,
    "nan": float("nan"),
    "set": set,
}
PYTHON2_TYPES = {"unicode": "str", "long": "int"}
BODIES = {"jsonify": {"a": 1}}

every_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda each: f"{each.stack}-{each.name}")
every_format = pytest.mark.parametrize("payload", FORMATS)


def written_back(vector: Vector, payload: str) -> Any:
    """The value that an app loads after a client has read it and written it back."""
    codec = transcoder(payload)
    stored = codec.encode(codec.decode(vector.stored))
    return pickle.loads(stored[1:]) if stored.startswith(b"!") else int(stored)


def expected(vector: Vector) -> Any:
    text = re.sub(r"(?<=[0-9])L\b", "", vector.text)
    return eval(text, {"__builtins__": {}}, KNOWN_NAMES)


@every_vector
@every_format
def test_reads_what_the_stack_stored(vector: Vector, payload: str) -> None:
    if vector.kind in APP_CLASSES:
        read = transcoder(payload).decode(vector.stored)
        tree = json.loads(read) if payload == "json" else msgpack.unpackb(read)
        assert re.fullmatch(rf"[A-Za-z_]\w*\.{vector.kind}", tree["py/instance"]["class"])
        with pytest.raises(UndecodableError) as caught:
            transcoder(payload, read_classes=()).decode(vector.stored)
        assert re.fullmatch(
            rf"\$ is an? [A-Za-z_]\w*\.{vector.kind}, which read_classes does not cover",
            str(caught.value),
        )
        return
    value = written_back(vector, payload)
    if vector.kind == "Response":
        check_response(vector, value)
        return
    assert type(value).__name__ == PYTHON2_TYPES.get(vector.kind, vector.kind)
    assert normal(value) == normal(expected(vector))


def check_response(vector: Vector, response: flask.Response) -> None:
    size, status = re.fullmatch(r"<Response ([0-9]+) bytes \[(.*)\]>", vector.text).groups()  # type: ignore[union-attr]
    assert type(response) is flask.Response
    assert response.status.upper() == status
    assert len(response.get_data()) == int(size)
    if vector.name == "jsonify":
        assert response.content_type == "application/json"
        assert response.get_json() == {"a": 1}
    if vector.name == "redirect":
        assert response.headers["Location"]
        assert response.content_type == "text/html; charset=utf-8"


@every_format
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_response_has_the_headers_and_the_body_of_the_stored_one(payload: str, protocol: int) -> None:
    for vector in VECTORS:
        if vector.kind == "Response" and vector.stack == "fcg_251":
            native = pickle.loads(vector.stored[1:])
            codec = transcoder(payload, protocol)
            ours = pickle.loads(codec.encode(codec.decode(vector.stored))[1:])
            assert ours.status_code == native.status_code
            assert list(ours.headers) == list(native.headers)
            assert ours.get_data() == native.get_data()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("body", ["text", {"py/bytes": "/wAB"}], ids=["text", "bytes"])
def test_flask_serves_a_response_that_was_written_as_a_payload(protocol: int, body: Any) -> None:
    headers = [["Content-Type", "text/x-mine"], ["X-Two", "1"], ["X-Two", "2"]]
    tree = {"py/response": {"status": 418, "headers": headers, "body": body}}
    stored = transcoder(protocol=protocol).encode(json.dumps([tree, tree, "X-Two"]).encode())
    first, second, text = pickle.loads(stored[1:])
    assert text == "X-Two"
    app = flask.Flask("served")
    app.add_url_rule("/first", view_func=lambda: first, endpoint="first")
    app.add_url_rule("/second", view_func=lambda: second, endpoint="second")
    for path in ("/first", "/second", "/first"):
        answer = app.test_client().get(path)
        assert answer.status == "418 I'M A TEAPOT"
        assert answer.headers["Content-Type"] == "text/x-mine"
        assert answer.headers.getlist("X-Two") == ["1", "2"]
        assert answer.get_data() == (b"text" if body == "text" else b"\xff\x00\x01")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_markup_that_was_written_as_a_payload_is_not_escaped_by_jinja(protocol: int) -> None:
    stored = transcoder(protocol=protocol).encode(b'{"py/markup": "<b>x</b>"}')
    fragment = pickle.loads(stored[1:])
    assert type(fragment) is Markup
    app = flask.Flask("served")
    with app.app_context():
        assert flask.render_template_string("{{ it }}", it=fragment) == "<b>x</b>"


def test_bytes_that_no_library_stored_are_bytes_as_flask_reads_them() -> None:
    assert transcoder().decode(b'{"a":1}') == b'{"py/bytes":"eyJhIjoxfQ=="}'
    assert transcoder().decode(b"") == b'{"py/bytes":""}'


@pytest.mark.parametrize("stored", [b"42", b"-7", b"+5", b" 42\n", b"4_2", b"007", b"\x0b1\x0c", b"9" * 4300])
def test_digits_are_an_int_wherever_python_reads_one(stored: bytes) -> None:
    assert int(transcoder().decode(stored)) == int(stored)


@pytest.mark.parametrize("stored", [b"0x10", b"1e3", b"9" * 4301, b"1__0", b"_1", b"1_", b"--1", b"\xd9\xa1", b"1 2"])
def test_what_python_reads_as_no_int_is_bytes(stored: bytes) -> None:
    assert transcoder().decode(stored).startswith(b'{"py/bytes":')
