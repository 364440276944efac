"""Real apps serve what a producer wrote, and a producer reads what real apps cached."""

import base64
import hashlib
import json
from typing import Any

import msgpack
import pytest
import redis

from tests.stacks.environments import STACKS, Stack
from tests.stacks.judge import Judge, Seen

APPS = [stack for stack in STACKS if stack.version("Flask")]


def on(stacks: list[Stack]) -> pytest.MarkDecorator:
    """Run with these stacks."""
    return pytest.mark.parametrize("stack", stacks, ids=lambda stack: stack.name)


on_all_apps = on(APPS)

PROTOCOLS = ("p2.", "p3.", "p4.", "p5.")
"""The keys of a pickle protocol have it in front of their name."""


def key_of(path: str) -> str:
    """The key of the view of a path."""
    return f"flask_cache_view/{path}"


def served(judge: Judge, path: str) -> Seen:
    """A view's cached response, requested twice without running the view."""
    first, second = judge.view(path), judge.view(path)
    assert first == second
    assert first.log == []
    assert first.runs == 0
    assert ["X-After", "every request"] in first.headers
    return first


def cached(judge: Judge, path: str) -> Seen:
    """Have a view run and its value cached; what it looks like from the cache."""
    assert judge.view(path).runs == 1
    return served(judge, path)


def values_of(seen: Seen, name: str) -> list[str]:
    """The values of a header."""
    return [text for key, text in seen.headers if key == name]


@on_all_apps
class TestAViewThatAProducerWrote:
    """As `value`: whatever a view may return."""

    def test_text_is_a_page(self, judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis) -> None:
        text = "café <b>☃</b>"
        for protocol in PROTOCOLS:
            path = f"/page/{protocol}text"
            for client, payload in ((producer, json.dumps(text)), (msgpack_producer, msgpack.packb(text))):
                client.set(key_of(path), payload)
                seen = served(judge, path)
                assert (seen.status, seen.body, seen.content_type) == (200, text.encode(), "text/html; charset=utf-8")

    @pytest.mark.parametrize(
        ("payload", "body"),
        [
            ('{"py/bytes": "iVBORw=="}', b"\x89PNG"),
            ('{"py/bytearray": "iVBORw=="}', b"\x89PNG"),
            ('{"py/markup": "<b>x</b>"}', b"<b>x</b>"),
            ('""', b""),
        ],
    )
    def test_what_else_is_a_page(self, judge: Judge, producer: redis.Redis, payload: str, body: bytes) -> None:
        producer.set(key_of("/page/x"), payload)
        seen = served(judge, "/page/x")
        assert (seen.status, seen.body, seen.content_type) == (200, body, "text/html; charset=utf-8")

    @pytest.mark.parametrize(
        "headers",
        [
            '{"X-A": "b", "Content-Type": "text/plain"}',
            '[{"py/tuple": ["X-A", "b"]}, {"py/tuple": ["Content-Type", "text/plain"]}]',
        ],
    )
    def test_a_tuple_is_body_status_and_headers(self, judge: Judge, producer: redis.Redis, headers: str) -> None:
        for protocol in PROTOCOLS:
            path = f"/page/{protocol}tuple"
            producer.set(key_of(path), f'{{"py/tuple": ["body", 201, {headers}]}}')
            seen = served(judge, path)
            assert (seen.status, seen.body) == (201, b"body")
            assert values_of(seen, "X-A") == ["b"]
            assert seen.content_type == "text/plain"

    def test_a_tuple_may_be_body_and_status(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set(key_of("/page/pair"), '{"py/tuple": [{"py/bytes": "Ym9keQ=="}, 418]}')
        seen = served(judge, "/page/pair")
        assert (seen.status, seen.body) == (418, b"body")

    def test_a_response_is_served_as_it_stands(self, judge: Judge, producer: redis.Redis) -> None:
        headers = [
            ["Content-Type", "text/plain; charset=utf-8"],
            ["X-A", "1"],
            ["X-A", "2"],
            ["Set-Cookie", "a=1; Path=/"],
            ["Set-Cookie", "b=2; Path=/"],
        ]
        content = json.dumps({"py/response": {"status": 418, "headers": headers, "body": "tea ☃"}})
        for protocol in PROTOCOLS:
            path = f"/page/{protocol}response"
            producer.set(key_of(path), content)
            seen = served(judge, path)
            assert (seen.status, seen.body) == (418, "tea ☃".encode())
            assert seen.headers[: len(headers)] == headers
            assert values_of(seen, "Content-Length") == ["7"]
            assert judge.view(path, "HEAD") == Seen(418, seen.headers, b"", 0, [])

    def test_a_response_may_be_binary_and_of_any_status(
        self, judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis
    ) -> None:
        image = {"status": 503, "headers": [["Content-Type", "image/png"]], "body": b"\x89PNG\xff"}
        msgpack_producer.set(key_of("/page/image"), msgpack.packb({"py/response": image}))
        seen = served(judge, "/page/image")
        assert (seen.status, seen.body, seen.content_type) == (503, b"\x89PNG\xff", "image/png")
        moved = {"status": 302, "headers": [["Location", "/elsewhere"]], "body": ""}
        producer.set(key_of("/page/moved"), json.dumps({"py/response": moved}))
        seen = served(judge, "/page/moved")
        assert (seen.status, seen.body) == (302, b"")
        assert values_of(seen, "Location")[0].endswith("/elsewhere")

    def test_a_response_is_one_of_flasks_own(self, judge: Judge, producer: redis.Redis) -> None:
        content = {"status": 201, "headers": [["X-A", "1"]], "body": "x"}
        producer.set("flask_cache_r", json.dumps({"py/response": content}))
        name, seen = judge.get("r")
        assert name == "flask.wrappers.Response"
        assert (seen["status"], seen["headers"], seen["body"]) == (201, [["X-A", "1"]], "eA==")

    def test_a_path_is_percent_decoded_in_its_key(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set(key_of("/page/hé llo/"), '"found"')
        assert served(judge, "/page/h%C3%A9%20llo/").body == b"found"

    def test_a_key_may_have_any_name(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set("flask_cache_all_items", '"found"')
        assert served(judge, "/named").body == b"found"

    def test_none_is_refused_because_no_view_returns_it(self, judge: Judge, producer: redis.Redis) -> None:
        with pytest.raises(redis.ResponseError, match="null under the key of a cached view"):
            producer.set(key_of("/page/none"), "null")
        assert cached(judge, "/page/none").body == b"fresh"
        assert producer.get(key_of("/page/none")) == b'"fresh"'

    def test_what_is_deleted_runs_again(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set(key_of("/page/gone"), '"old"')
        served(judge, "/page/gone")
        producer.delete(key_of("/page/gone"))
        assert cached(judge, "/page/gone").body == b"fresh"


@on_all_apps
class TestTheBodyOfAViewThatAProducerWrote:
    """As `view`: the payload is the body."""

    def test_json_is_served_as_it_was_written(self, judge: Judge, producer: redis.Redis) -> None:
        body = '{"price": 1.50,  "name": "☃", "py/set": [1]}'
        path = "/page/json/a"
        producer.set(key_of(path), body)
        seen = served(judge, path)
        assert (seen.status, seen.body, seen.content_type) == (200, body.encode(), "application/json")
        assert producer.get(key_of(path)) == body.encode()

    def test_msgpack_is_served_as_json(self, judge: Judge, msgpack_producer: redis.Redis) -> None:
        path = "/page/json/a"
        packed = msgpack.packb({"price": 1.5, "name": "☃"})
        msgpack_producer.set(key_of(path), packed)
        seen = served(judge, path)
        assert json.loads(seen.body) == {"price": 1.5, "name": "☃"}
        assert (seen.status, seen.content_type) == (200, "application/json")
        assert msgpack_producer.get(key_of(path)) == packed

    def test_html_is_served_as_html(self, judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis) -> None:
        path = "/page/html/a"
        for client, payload in ((producer, "<b>☃</b>".encode()), (msgpack_producer, msgpack.packb("<b>☃</b>"))):
            client.set(key_of(path), payload)
            seen = served(judge, path)
            assert (seen.status, seen.body) == (200, "<b>☃</b>".encode())
            assert seen.content_type == "text/html; charset=utf-8"
            assert client.get(key_of(path)) == payload


@on_all_apps
class TestAViewThatTheAppCached:
    @pytest.mark.parametrize(
        ("name", "payload"),
        [
            ("text", "café <b>☃</b>"),
            ("bytes", {"py/bytes": "Ynl0ZXM="}),
            ("markup", {"py/markup": "<b>x</b>"}),
            ("tuple", {"py/tuple": ["body", 201, {"X-A": "b", "Content-Type": "text/plain"}]}),
            ("pair", {"py/tuple": ["body", 418]}),
            ("pairs", {"py/tuple": ["body", 200, [{"py/tuple": ["X-A", "1"]}, {"py/tuple": ["X-A", "2"]}]]}),
        ],
    )
    def test_is_read_and_written_back(self, judge: Judge, producer: redis.Redis, name: str, payload: Any) -> None:
        seen = cached(judge, f"/returns/{name}")
        got = producer.get(key_of(f"/returns/{name}"))
        assert json.loads(got) == payload
        producer.set(key_of("/page/back"), got)
        assert served(judge, "/page/back") == seen

    @pytest.mark.parametrize(
        ("name", "status", "body", "headers"),
        [
            ("made", 201, "made ☃", [["X-Made", "yes"], ["Set-Cookie", "a=1; Path=/"], ["Set-Cookie", "b=2; Path=/"]]),
            ("image", 200, {"py/bytes": base64.b64encode(b"\x89PNG\r\n\x00\xff").decode()}, []),
            ("json", 200, None, [["Content-Type", "application/json"]]),
            ("redirect", 302, None, [["Content-Type", "text/html; charset=utf-8"]]),
        ],
    )
    def test_with_a_response_is_read_and_written_back(
        self,
        judge: Judge,
        producer: redis.Redis,
        msgpack_producer: redis.Redis,
        name: str,
        status: int,
        body: Any,
        headers: list[list[str]],
    ) -> None:
        seen = cached(judge, f"/returns/{name}")
        for client in (producer, msgpack_producer):
            got = client.get(key_of(f"/returns/{name}"))
            if client is producer:
                content = json.loads(got)["py/response"]
                assert content["status"] == status
                assert content["body"] == (seen.body.decode() if body is None else body)
                assert [one for one in content["headers"] if one in headers] == headers
                assert ["X-After", "every request"] not in content["headers"]
            client.set(key_of("/page/back"), got)
            again = served(judge, "/page/back")
            assert (again.status, again.body) == (seen.status, seen.body)
            assert sorted(again.headers) == sorted(seen.headers)

    def test_is_read_as_the_body_where_the_rule_says_view(
        self, judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis
    ) -> None:
        for name in ("text", "bytes", "markup", "tuple", "pair", "made", "image"):
            seen = cached(judge, f"/returns/html/{name}")
            assert producer.get(key_of(f"/returns/html/{name}")) == seen.body
        seen = cached(judge, "/returns/json/json")
        assert producer.get(key_of("/returns/json/json")) == seen.body
        assert msgpack.unpackb(msgpack_producer.get(key_of("/returns/json/json"))) == {"price": 1.5, "name": "☃"}


@on([stack for stack in APPS if stack.version("Flask") >= (1, 1)])
class TestAViewOfADict:
    def test_that_a_producer_wrote(self, judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis) -> None:
        for client, payload in ((producer, '{"price": 1.5}'), (msgpack_producer, msgpack.packb({"price": 1.5}))):
            client.set(key_of("/page/dict"), payload)
            seen = served(judge, "/page/dict")
            assert (seen.status, seen.content_type) == (200, "application/json")
            assert json.loads(seen.body) == {"price": 1.5}

    def test_that_the_app_cached(self, judge: Judge, producer: redis.Redis) -> None:
        seen = cached(judge, "/returns/dict")
        assert producer.get(key_of("/returns/dict")) == b'{"price":1.5,"tags":["a","b"]}'
        cached(judge, "/returns/json/dict")
        assert json.loads(producer.get(key_of("/returns/json/dict"))) == json.loads(seen.body)


@on([stack for stack in APPS if stack.version("Flask") >= (2, 2)])
class TestAViewOfAList:
    def test_that_a_producer_wrote(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set(key_of("/page/list"), '[1, "a", null]')
        seen = served(judge, "/page/list")
        assert (seen.status, seen.content_type) == (200, "application/json")
        assert json.loads(seen.body) == [1, "a", None]

    def test_that_the_app_cached(self, judge: Judge, producer: redis.Redis) -> None:
        cached(judge, "/returns/list")
        assert producer.get(key_of("/returns/list")) == b'[1,"a",null]'


@on([stack for stack in APPS if stack.library == "flask_caching"])
class TestAViewWithAQueryString:
    def test_both_ways(self, judge: Judge, producer: redis.Redis) -> None:
        path = "/query?b=2&a=%C3%A9&c="
        assert cached(judge, path).body == b"fresh"
        (key,) = producer.keys("flask_cache_*")
        assert key.decode() == _query_key(judge.stack, "/query", (("a", "é"), ("b", "2"), ("c", "")))
        assert producer.get(key) == b'"fresh"'
        producer.set(key, '"written"')
        assert served(judge, path).body == b"written"
        assert served(judge, "/query?c=&a=%C3%A9&b=2").body == b"written"


def _query_key(stack: Stack, path: str, pairs: tuple[tuple[str, str], ...]) -> str:
    text = str(pairs).encode()
    if stack.version("Flask-Caching") >= (2, 5):
        return f"flask_cache_view/{path}{hashlib.sha256(text).hexdigest()}"
    return f"flask_cache_{path}{hashlib.md5(text).hexdigest()}"


@on([stack for stack in APPS if stack.version("Flask-Caching") >= (2, 0)])
class TestAResponseThatNamesItsTimeout:
    def test_is_a_response(self, judge: Judge, producer: redis.Redis) -> None:
        seen = cached(judge, "/returns/kept")
        got = producer.get(key_of("/returns/kept"))
        content = json.loads(got)["py/response"]
        assert (content["status"], content["body"]) == (202, "kept")
        producer.set(key_of("/page/back"), got)
        assert served(judge, "/page/back") == seen
        cached(judge, "/returns/html/kept")
        assert producer.get(key_of("/returns/html/kept")) == b"kept"


@on([stack for stack in APPS if stack.version("Flask-Caching") >= (2, 5)])
class TestAnErrorPageThatTheAppCached:
    def test_is_an_object_and_no_view(self, judge: Judge, producer: redis.Redis) -> None:
        assert judge.view("/returns/absent").status == 404
        assert judge.view("/returns/absent").runs == 0
        shown = json.loads(producer.get(key_of("/returns/absent")))["py/instance"]
        assert shown["class"] == "werkzeug.exceptions.NotFound"
        judge.view("/returns/html/absent")
        with pytest.raises(redis.ResponseError, match="not what a view returns"):
            producer.get(key_of("/returns/html/absent"))


def _entry_key(stack: Stack, arguments: tuple[object, ...], version: str) -> str:
    assert stack.memoize is not None
    text = f"__main__.total{arguments!r}{stack.memoize.keywords}"
    digest = hashlib.new(stack.memoize.hash, text.encode()).digest()
    return f"flask_cache_{base64.b64encode(digest)[:16].decode()}{version}"


VERSION_KEY = "flask_cache___main__.total_memver"


@on_all_apps
class TestMemoizedResults:
    def test_written_before_the_function_ever_ran(
        self, judge: Judge, producer: redis.Redis, msgpack_producer: redis.Redis
    ) -> None:
        producer.set(VERSION_KEY, '"GOVER1"')
        producer.set(_entry_key(judge.stack, (1, 2), "GOVER1"), '{"total": {"py/tuple": ["from outside"]}}')
        msgpack_producer.set(_entry_key(judge.stack, (1, 5), "GOVER1"), msgpack.packb(255))
        for arguments in ((1,), (1, 2)):
            wanted = {"result": judge.describe("{'total': ('from outside',)}"), "runs": 0, "log": []}
            assert judge.ask("memoized", *arguments) == wanted
        assert judge.ask("memoized", 1, 5) == {"result": judge.describe("255"), "runs": 0, "log": []}
        assert judge.ask("memoized", 2, 2) == {"result": judge.describe("{'total': 4}"), "runs": 1, "log": []}

    def test_a_version_may_come_from_msgpack(self, judge: Judge, msgpack_producer: redis.Redis) -> None:
        msgpack_producer.set(VERSION_KEY, msgpack.packb("GOVER2"))
        msgpack_producer.set(_entry_key(judge.stack, (1, 2), "GOVER2"), msgpack.packb("x"))
        assert judge.ask("memoized", 1) == {"result": judge.describe("'x'"), "runs": 0, "log": []}

    def test_that_the_app_memoized_are_read_and_replaced(self, judge: Judge, producer: redis.Redis) -> None:
        assert judge.ask("memoized", 1)["runs"] == 1
        assert judge.ask("memoized", 1)["runs"] == 0
        version = json.loads(producer.get(VERSION_KEY))
        assert len(version) == 6
        entry = _entry_key(judge.stack, (1, 2), version)
        assert sorted(producer.keys("*")) == sorted([VERSION_KEY.encode(), entry.encode()])
        assert producer.get(entry) == b'{"total":3}'
        producer.set(entry, '"replaced"')
        assert judge.ask("memoized", 1) == {"result": judge.describe("'replaced'"), "runs": 0, "log": []}

    def test_are_forgotten_by_the_app(self, judge: Judge, producer: redis.Redis) -> None:
        producer.set(VERSION_KEY, '"GOVER1"')
        producer.set(_entry_key(judge.stack, (1, 2), "GOVER1"), '"old"')
        assert judge.ask("memoized", 1)["runs"] == 0
        judge.ask("forget")
        assert judge.ask("memoized", 1) == {"result": judge.describe("{'total': 3}"), "runs": 1, "log": []}

    def test_are_forgotten_by_a_producer(self, judge: Judge, producer: redis.Redis) -> None:
        judge.ask("memoized", 1)
        producer.delete(VERSION_KEY)
        assert judge.ask("memoized", 1) == {"result": judge.describe("{'total': 3}"), "runs": 1, "log": []}


@on_all_apps
class TestTemplateFragments:
    KEY = "flask_cache__template_fragment_cache_side_v1_v2"

    @pytest.mark.parametrize("payload", ['{"py/markup": "<b>é</b>"}', '"<b>é</b>"'])
    def test_that_a_producer_wrote(self, judge: Judge, producer: redis.Redis, payload: str) -> None:
        for protocol in PROTOCOLS:
            producer.set(self.KEY.replace("side", f"{protocol}side"), payload)
            seen = judge.view(f"/fragment/{protocol}side")
            assert (seen.status, seen.body, seen.runs, seen.log) == (200, "(<b>é</b>)".encode(), 0, [])

    def test_that_come_from_msgpack(self, judge: Judge, msgpack_producer: redis.Redis) -> None:
        msgpack_producer.set(self.KEY, msgpack.packb({"py/markup": "<b>x</b>"}))
        seen = judge.view("/fragment/side")
        assert (seen.status, seen.body, seen.runs, seen.log) == (200, b"(<b>x</b>)", 0, [])

    def test_that_the_app_cached(self, judge: Judge, producer: redis.Redis) -> None:
        assert judge.view("/fragment/side").runs == 1
        assert producer.get(self.KEY) == b'{"py/markup":"<i>fresh</i>"}'
        producer.set(self.KEY, producer.get(self.KEY))
        seen = judge.view("/fragment/side")
        assert (seen.body, seen.runs, seen.log) == (b"(<i>fresh</i>)", 0, [])
