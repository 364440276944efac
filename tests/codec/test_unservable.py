"""Numbers, bools and null under the key of a view are found, in every form that our encoders write."""

import json
import logging
import pickle
from typing import Any

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.codec import Options, PayloadError, Transcoder
from proxy.codec.unservable import fault, is_servable
from proxy.engine import ENGINE, REFERENCE
from tests.codec.test_lossless import JSON_VALUES

NUMBERS: list[Any] = [
    *(0, -5, 300, 70000, 2**40, -(10**30), 10**4000, 1.5, -0.5, 1e300, True, False, None),
    *({"py/int": "5"}, {"py/float": "nan"}, {"py/float": 2}, {"py/complex": [1, 2.5]}),
    *({"py/decimal": text} for text in ("1.10", "1E+50", "NaN", "-Infinity", "1" * 130, "1" * 200, "1" * 300)),
]
OTHERS: list[Any] = [
    *("", "5", "null", "a\x85R.", "N.", [], {}, [1], [None], {"a": None}, {"a": 1.5}, "x" * 300, ["x" * 300]),
    *({"py/tuple": [each]} for each in (None, True, 1.5, 5, "x", {"py/decimal": "1"}, {"py/complex": [1, 2]})),
    *({"py/tuple": [each, each]} for each in (None, 1.5, {"py/decimal": "1"}, {"py/complex": [1, 2]})),
    *({"py/bytes": "aGU="}, {"py/markup": "<b>"}, {"py/dict": [[1, 2]]}, {"py/tuple": ["body", 200, {"A": "b"}]}),
    *({"py/response": {"status": 200, "headers": [], "body": "tea"}}, {"py/date": "2024-01-02"}, {"py/set": [1]}),
]
TAGS = ("data", "markup", "response")


def encoded(value: Any) -> list[bytes]:
    """The stored values of a payload: of both engines, in each protocol and storage that may have views."""
    payload = json.dumps(value).encode()
    options = [Options(pickle_protocol=protocol, accept_tags=TAGS) for protocol in (2, 3, 4, 5)]
    if '"py/' not in json.dumps(value):
        options.append(Options(stored="json"))
    return [Transcoder(each, engine).encode(payload) for engine in (ENGINE, REFERENCE) for each in options]


@pytest.mark.parametrize("value", NUMBERS, ids=lambda it: str(it)[:40])
def test_a_number_a_bool_and_null_are_found(value: Any) -> None:
    for stored in encoded(value):
        assert not is_servable(stored)
        assert isinstance(fault(stored), PayloadError)


@pytest.mark.parametrize("value", OTHERS, ids=lambda it: str(it)[:60])
def test_no_other_value_is(value: Any) -> None:
    for stored in encoded(value):
        assert is_servable(stored)
        assert fault(stored) is None


@given(JSON_VALUES)
def test_whatever_json_is_written_only_these_are_found(value: Any) -> None:
    for stored in encoded({"a": value} if isinstance(value, dict) else value):
        assert is_servable(stored) is isinstance(value, str | list | dict)


@given(st.binary())
def test_no_bytes_make_the_check_fail(stored: bytes) -> None:
    assert is_servable(stored) in (True, False)
    assert is_servable(b"!\x80\x04" + stored) in (True, False)


@pytest.mark.parametrize("value", NUMBERS, ids=lambda it: str(it)[:40])
def test_flask_answers_500_to_each_of_them(value: Any) -> None:
    """`@cache.cached` hands the value to Flask as the view's result."""
    stored = encoded(value)[2]
    cached = pickle.loads(stored[1:]) if stored.startswith(b"!") else 7
    app = flask.Flask(__name__)
    app.logger.setLevel(logging.CRITICAL)
    app.add_url_rule("/", view_func=lambda: cached)
    assert app.test_client().get("/").status_code == 500
