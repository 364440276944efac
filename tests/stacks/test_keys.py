"""The key recipes against the real libraries: a key is right if a library makes it, and serves what is under it."""

from typing import Any

import pytest
import redis

from proxy import codec
from proxy.inside import recipes
from proxy.inside.recipes import LIBRARIES, PREFIX, Library
from tests.stacks.environments import Stack
from tests.stacks.judge import Judge
from tests.stacks.test_flask import APPS, on, on_all_apps
from tests.stacks.values import VALUES, Value

PATHS = [
    "/page/index",
    "/page/user/bob/",
    "/page/h%C3%A9%20llo",
    "/page/hé-☃-😀",
    "/page/what%3F%23%25",
    "/page/100%",
    "/page/a+b&c=d",
    "/page/bad%FF%80x",
    "/page/%E2%98",
]
QUERIES = [
    "",
    "a=1",
    "b=2&a=1",
    "a=2&a=1&a=10",
    "a=&b",
    "a=1&&b=2",
    "a+b=c%20d",
    "a=%C3%A9&b=é☃😀",
    "a='&b=\"&c='\"",
    "a=%00%0A%7F\\",
    "a=%C2%A0%C2%AD%E2%80%8B%EF%BB%BF%F3%A0%80%81",
    "z=1&%EF%BF%BD=2&%F0%9F%98%80=3",
    "a=100%&b=%zz",
    "a=1;b=2",
]
ARGUMENTS = [value for value in VALUES if not any(word in value.name for word in ("set", "markup", "ordered", "nan"))]
"""Values whose repr() is always the same: no sets of several members. (NaN is, but the test compares.)"""


def library_of(stack: Stack) -> Library:
    """The recipes of a stack."""
    if stack.library == "flask_cache":
        return LIBRARIES["flask-cache"]
    return LIBRARIES["flask-caching-2.5" if stack.version("Flask-Caching") >= (2, 5) else "flask-caching-2.4"]


def keys_of(direct: redis.Redis) -> set[bytes]:
    return set(direct.keys())


@on_all_apps
class TestViews:
    @pytest.mark.parametrize("path", PATHS)
    def test_by_path(self, judge: Judge, direct: redis.Redis, path: str) -> None:
        key = recipes.view(PREFIX, path)
        assert judge.view(path).runs == 1
        assert keys_of(direct) == {key}
        direct.set(key, codec.dumps("from outside"))
        assert judge.view(path + "?ignored=1").body == b"from outside"


@on([stack for stack in APPS if stack.library == "flask_caching"])
class TestQueries:
    @pytest.mark.parametrize("query", QUERIES)
    @pytest.mark.parametrize("path", ["/query", "/query/h%C3%A9/"])
    def test_by_path_and_query(self, judge: Judge, direct: redis.Redis, path: str, query: str) -> None:
        key = recipes.query(library_of(judge.stack), PREFIX, path, query)
        assert judge.view(f"{path}?{query}").runs == 1
        assert keys_of(direct) == {key}
        direct.set(key, codec.dumps("from outside"))
        assert judge.view(f"{path}?{query}").body == b"from outside"


@on_all_apps
class TestFragments:
    @pytest.mark.parametrize("name", ["side", "h%C3%A9 x"])
    def test_with_and_without_what_they_vary_on(self, judge: Judge, direct: redis.Redis, name: str) -> None:
        judge.view(f"/plain-fragment/{name}")
        judge.view(f"/fragment/{name}")
        decoded = name.replace("%C3%A9", "é")
        varied = recipes.fragment(PREFIX, decoded, ("v1", "v2"))
        assert keys_of(direct) == {recipes.fragment(PREFIX, decoded), varied}
        direct.set(varied, codec.dumps("from outside"))
        assert judge.view(f"/fragment/{name}").body == b"(from outside)"


@on_all_apps
class TestMemoizedFunctions:
    @pytest.mark.parametrize("value", ARGUMENTS, ids=lambda value: value.name)
    def test_of_any_arguments(self, judge: Judge, direct: redis.Redis, value: Value) -> None:
        arguments = (codec.loads(codec_of(value)), "it's")
        written_before(judge, direct, "told", "__main__.told", [value.python], arguments)

    def test_whose_name_is_not_plain(self, judge: Judge, direct: redis.Redis) -> None:
        # All of its parameters are *arguments, which Flask-Caching and Flask-Cache do not hash one like the other.
        judge.ask("called", "inner")
        name = "__main__.nested.<locals>.inner"
        (version_key,) = recipes.versions(library_of(judge.stack), PREFIX, name)
        assert version_key in keys_of(direct)

    @pytest.mark.parametrize("name", ["5", "é ☃ 'x' <y>", "_a"])
    def test_of_an_object(self, judge: Judge, direct: redis.Redis, name: str) -> None:
        method = "__main__.Adder.plus"
        written_before(judge, direct, f"{name}.plus", method, ["7"], (7, None), f"Adder({name})")


def codec_of(value: Value) -> bytes:
    """What an argument on the command line becomes."""
    return codec.Transcoder(codec.Options()).encode(value.json.encode())


def written_before(
    judge: Judge,
    direct: redis.Redis,
    called: str,
    function: str,
    expressions: list[str],
    arguments: tuple[Any, ...],
    instance: str | None = None,
) -> None:
    """The library makes the keys of the recipes, and takes what stands under them."""
    library = library_of(judge.stack)
    version_keys = recipes.versions(library, PREFIX, function, instance)
    assert judge.ask("called", called, *expressions) == {"result": "fresh", "runs": 1, "log": []}
    version = "".join(codec.loads(direct.get(key)) for key in version_keys)
    entry = recipes.result(library, PREFIX, function, arguments, version, instance)
    assert keys_of(direct) == {*version_keys, entry}
    direct.flushall()
    versions = [f"GOVER{number}" for number in range(len(version_keys))]
    for key, text in zip(version_keys, versions, strict=True):
        direct.set(key, codec.dumps(text))
    entry = recipes.result(library, PREFIX, function, arguments, "".join(versions), instance)
    direct.set(entry, codec.dumps("from outside"))
    assert judge.ask("called", called, *expressions) == {"result": "from outside", "runs": 0, "log": []}
