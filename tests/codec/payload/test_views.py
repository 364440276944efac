"""Readers of views get the body, for all types in which Flask caches views."""

import json
import pickle
from enum import Enum
from typing import Any, NamedTuple

import flask
import msgpack
import pytest
from werkzeug.exceptions import NotFound

from proxy.codec import Options, Transcoder, UndecodableError
from proxy.engine import ENGINE, REFERENCE, Engine

ENGINES = pytest.mark.parametrize("engine", [ENGINE, REFERENCE], ids=["native", "python"])


class ApiResponse(flask.Response):
    """An app's own."""


class Markdown(str):
    """Text of a view, in a class of the app's own."""

    __slots__ = ()


class Mapping(dict[str, Any]):
    """A value that a view returns, in a class of the app."""


class Answer(NamedTuple):
    """Body and status, as a view returns them."""

    body: Any
    status: int


class Pair(tuple[Any, ...]):
    """Another subclass of tuple."""

    __slots__ = ()


class Page(Enum):
    HOME = "home"


def body(value: Any, engine: Engine, content_type: str = "text/plain", **options: Any) -> bytes:
    transcoder = Transcoder(Options(view=content_type, **options), engine)
    return transcoder.decode(b"!" + pickle.dumps(value))


@ENGINES
@pytest.mark.parametrize("protocol", range(2, 6))
def test_the_body_of_a_response_wherever_it_is(engine: Engine, protocol: int) -> None:
    for value in (
        flask.Response("tea"),
        ApiResponse("tea", 201),
        NotFound(response=flask.Response("tea")),
        NotFound(response=ApiResponse("tea")),
        (flask.Response("tea"), 201),
        (ApiResponse("tea"), 201, {"X-A": "b"}),
        (NotFound(response=flask.Response("tea")), 404),
        Markdown("tea"),
        (Markdown("tea"), 200),
    ):
        transcoder = Transcoder(Options(view="text/plain"), engine)
        assert transcoder.decode(b"!" + pickle.dumps(value, protocol)) == b"tea"


@ENGINES
def test_a_json_body_of_a_subclass(engine: Engine) -> None:
    response = ApiResponse('{"a": [1, 2.0]}', content_type="application/json")
    assert body((response, 201), engine, "application/json") == b'{"a": [1, 2.0]}'
    packed = body(response, engine, "application/json", payload="msgpack")
    assert msgpack.unpackb(packed) == {"a": [1, 2.0]}


@ENGINES
def test_the_json_of_a_dict_or_list_with_objects_in_it(engine: Engine) -> None:
    assert json.loads(body({"page": Page.HOME, "more": [Mapping(a=1)]}, engine)) == {"page": "home", "more": [{"a": 1}]}
    assert json.loads(body(Mapping(page=Page.HOME), engine)) == {"page": "home"}


@ENGINES
@pytest.mark.parametrize("protocol", range(6))
def test_a_subclass_of_tuple_is_read_as_a_tuple(engine: Engine, protocol: int) -> None:
    transcoder = Transcoder(Options(view="text/plain"), engine)
    for value in (Answer("tea", 201), Answer(flask.Response("tea"), 200), Answer(Markdown("tea"), 200), Pair(("tea",))):
        assert transcoder.decode(b"!" + pickle.dumps(value, protocol)) == b"tea"
    assert json.loads(body(Answer({"a": [1]}, 200), engine)) == {"a": [1]}
    for value in (Pair(), (Answer("tea", 201), 200)):
        with pytest.raises(UndecodableError, match="not what a view returns"):
            body(value, engine)
    with pytest.raises(UndecodableError, match=r"\$ is an? .*Answer, which read_classes does not cover"):
        body(Answer("tea", 201), engine, read_classes=())


@ENGINES
@pytest.mark.parametrize("value", [Page.HOME.name.join, Page, NotFound("gone"), {1}.union, 5, Page.HOME.__class__])
def test_what_no_view_returns(engine: Engine, value: Any) -> None:
    with pytest.raises(UndecodableError, match="not what a view returns"):
        body(value, engine)


@ENGINES
def test_a_rule_may_leave_the_apps_classes_out(engine: Engine) -> None:
    assert body(flask.Response("tea"), engine, read_classes=()) == b"tea"
    assert body((flask.Response("tea"), 200), engine, read_classes=()) == b"tea"
    assert body(ApiResponse("tea"), engine, read_classes=("*.ApiResponse",)) == b"tea"
    for value in (ApiResponse("tea"), NotFound(response=flask.Response("tea")), Markdown("tea"), [Page.HOME]):
        with pytest.raises(UndecodableError, match="which read_classes does not cover"):
            body(value, engine, read_classes=())
