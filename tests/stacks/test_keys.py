"""The key recipes against the real libraries: a key is right if a library makes it, and serves what is under it."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis

from proxy import codec
from proxy.inspection import cache_keys
from proxy.inspection.cache_keys import LIBRARIES, PREFIX, Default, Library
from tests.stacks.environments import THOROUGH, Stack
from tests.stacks.judge import Judge
from tests.stacks.test_flask import APPS, on, on_all_apps
from tests.stacks.values import FEW, VALUES, Value

FLASK_CACHING = [stack for stack in APPS if stack.library == "flask_caching"]
FALSE = [0, False, (), [], ""]

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
        key = cache_keys.view(PREFIX, path)
        assert judge.view(path).runs == 1
        assert keys_of(direct) == {key}
        direct.set(key, codec.dumps("from outside"))
        assert judge.view(path + "?ignored=1").body == b"from outside"

    def test_with_a_key_prefix(self, judge: Judge, direct: redis.Redis) -> None:
        for path, key_prefix in (("/placed/h%C3%A9", "100%%_%s_page"), ("/named", "all_items")):
            direct.flushall()
            assert judge.view(path).runs == 1
            assert keys_of(direct) == {cache_keys.view(PREFIX, path, key_prefix)}


@on(FLASK_CACHING)
class TestQueries:
    @pytest.mark.parametrize("query", QUERIES)
    @pytest.mark.parametrize("path", ["/query", "/query/h%C3%A9/"])
    def test_by_path_and_query(self, judge: Judge, direct: redis.Redis, path: str, query: str) -> None:
        key = cache_keys.query(library_of(judge.stack), PREFIX, path, query)
        assert judge.view(f"{path}?{query}").runs == 1
        assert keys_of(direct) == {key}
        direct.set(key, codec.dumps("from outside"))
        assert judge.view(f"{path}?{query}").body == b"from outside"

    def test_with_a_key_prefix_and_a_hash(self, judge: Judge, direct: redis.Redis) -> None:
        prefixes = [("all_items", "md5"), ("page_%s", "sha1"), ("%s", "sha256"), ("100%", "sha512")]
        for number, (key_prefix, digest) in enumerate(prefixes):
            direct.flushall()
            library = cache_keys.hashing(library_of(judge.stack), digest)
            path = f"/queried/{number}"
            assert judge.view(f"{path}?b=2&a=1").runs == 1
            for query in ("a=1&b=2", "?b=2&a=1"):
                assert keys_of(direct) == {cache_keys.query(library, PREFIX, path, query, key_prefix)}

    def test_of_a_name_that_begins_with_a_question_mark(self, judge: Judge, direct: redis.Redis) -> None:
        assert judge.view("/query??q=1").runs == 1
        assert keys_of(direct) == {cache_keys.query(library_of(judge.stack), PREFIX, "/query", "??q=1")}


@on_all_apps
class TestFragments:
    @pytest.mark.parametrize("name", ["side", "h%C3%A9 x"])
    def test_with_and_without_what_they_vary_on(self, judge: Judge, direct: redis.Redis, name: str) -> None:
        judge.view(f"/plain-fragment/{name}")
        judge.view(f"/fragment/{name}")
        decoded = name.replace("%C3%A9", "é")
        varied = cache_keys.fragment(PREFIX, decoded, ("v1", "v2"))
        assert keys_of(direct) == {cache_keys.fragment(PREFIX, decoded), varied}
        direct.set(varied, codec.dumps("from outside"))
        assert judge.view(f"/fragment/{name}").body == b"(from outside)"


@pytest.mark.parametrize(
    ("stack", "value"),
    [
        pytest.param(stack, value, id=f"{stack.name}-{value.name}")
        for stack in APPS
        for value in ARGUMENTS
        if stack.name in THOROUGH or value in FEW
    ],
)
def test_memoized_functions_of_any_arguments(judge: Judge, direct: redis.Redis, value: Value) -> None:
    arguments = (codec.loads(codec_of(value)), "it's")
    written_before(judge, direct, "told", "__main__.told", [value.python], arguments)


@on_all_apps
class TestMemoizedFunctions:
    def test_whose_name_is_not_plain(self, judge: Judge, direct: redis.Redis) -> None:
        # All of its parameters are *arguments, which Flask-Caching and Flask-Cache do not hash one like the other.
        judge.ask("called", "inner")
        name = "__main__.nested.<locals>.inner"
        (version_key,) = cache_keys.versions(library_of(judge.stack), PREFIX, name)
        assert version_key in keys_of(direct)

    @pytest.mark.parametrize("name", ["5", "é ☃ 'x' <y>", "_a"])
    def test_of_an_object(self, judge: Judge, direct: redis.Redis, name: str) -> None:
        method = "__main__.Adder.plus"
        written_before(judge, direct, f"{name}.plus", method, ["7"], (7, None), f"Adder({name})")

    @pytest.mark.parametrize(
        ("expressions", "arguments"),
        [
            (["'a'"], ["a", *map(Default, FALSE), Default(7), Default(None)]),
            (["'a'", "0", "False", "()"], ["a", 0, False, (), Default([]), Default(""), Default(7), Default(None)]),
            (["'a'", "deep=False", "size=0"], ["a", Default(0), False, *map(Default, FALSE[2:]), 0, Default(None)]),
            (["name=''", "last=0"], ["", *map(Default, FALSE), Default(7), 0]),
        ],
    )
    def test_with_defaults(
        self, judge: Judge, direct: redis.Redis, expressions: list[str], arguments: list[Any]
    ) -> None:
        written_before(judge, direct, "defaulted", "__main__.defaulted", expressions, tuple(arguments))

    def test_with_defaults_of_other_kinds_that_are_false(self, judge: Judge, direct: redis.Redis) -> None:
        false = [0.0, b"", {}, Decimal(), timedelta(), 0j, frozenset()]
        written_before(judge, direct, "empty", "__main__.empty", ["1"], (1, *map(Default, false)))

    def test_under_another_decorator(self, judge: Judge, direct: redis.Redis) -> None:
        """Flask-Cache does not look through it, and sees no parameters but *arguments and **keywords."""
        arguments = () if judge.stack.library == "flask_cache" else (1, Default(2))
        written_before(judge, direct, "wrapped", "__main__.total", ["1"], arguments)

    def test_of_a_class(self, judge: Judge, direct: redis.Redis) -> None:
        owner = cache_keys.class_of("__main__.Adder")
        written_before(judge, direct, "x.made", "__main__.Adder.made", ["7"], (7, Default(0)), owner=owner)

    def test_with_a_hash_from_the_configuration(self, judge: Judge, direct: redis.Redis) -> None:
        reads_it = judge.stack.version("Flask-Caching") >= (2, 5)
        library = cache_keys.hashing(library_of(judge.stack), "sha1") if reads_it else None
        written_before(judge, direct, "configured", "__main__.told", ["1"], (1, Default("it's")), library=library)


@on(FLASK_CACHING)
class TestWhatFlaskCachingAdds:
    def test_keyword_only_parameters(self, judge: Judge, direct: redis.Redis) -> None:
        written_before(judge, direct, "keyed", "__main__.keyed", ["1"], (1,))
        for expressions, passed in (
            (["deep=False"], {"deep": False}),
            (["near=2", "deep='é'"], {"near": 2, "deep": "é"}),
        ):
            direct.flushall()
            keywords = cache_keys.keywords_of(library_of(judge.stack), passed, braces=False)
            written_before(judge, direct, "keyed", "__main__.keyed", ["1", *expressions], (1,), keywords=keywords)

    def test_any_keywords(self, judge: Judge, direct: redis.Redis) -> None:
        keywords = cache_keys.keywords_of(library_of(judge.stack), {"b": 1, "a": [2]}, braces=False)
        written_before(judge, direct, "opened", "__main__.opened", ["1", "b=1", "a=[2]"], (1,), keywords=keywords)

    def test_any_arguments(self, judge: Judge, direct: redis.Redis) -> None:
        written_before(judge, direct, "spread", "__main__.spread", ["1"], (1,))
        direct.flushall()
        written_before(judge, direct, "spread", "__main__.spread", ["1", "2", "0"], (1, 2, 0))

    def test_ignored_arguments(self, judge: Judge, direct: redis.Redis) -> None:
        for expressions, arguments in (["1", "5"], (1, None, Default(3))), (["1", "5", "6"], (1, None, 6)):
            direct.flushall()
            written_before(judge, direct, "ignoring", "__main__.ignoring", expressions, arguments)
        # Before 2.3 one that is passed by its name is hashed with the keywords none the less.
        library, keywords = library_of(judge.stack), ""
        if judge.stack.version("Flask-Caching") < (2, 3):
            keywords = cache_keys.keywords_of(library, {"second": 5}, braces=False)
        direct.flushall()
        arguments = (1, None, Default(3))
        written_before(judge, direct, "ignoring", "__main__.ignoring", ["1", "second=5"], arguments, keywords=keywords)

    def test_an_ignored_object(self, judge: Judge, direct: redis.Redis) -> None:
        written_before(judge, direct, "x.less", "__main__.Adder.less", ["1"], (None, 1))

    def test_a_class_whose_objects_are_known_by_an_id(self, judge: Judge, direct: redis.Redis) -> None:
        if judge.stack.version("Flask-Caching") < (2, 5):
            written_before(judge, direct, "known", "__main__.Known.made", ["1"], ("known", 1))
        else:  # it calls __caching_id__ without an object, and stores no result
            answer = judge.ask("called", "known", "1")
            versions = cache_keys.versions(library_of(judge.stack), PREFIX, "__main__.Known.made")
            assert (answer["result"], answer["runs"], keys_of(direct)) == ("fresh", 1, {*versions})

    def test_a_hash_of_the_decorators(self, judge: Judge, direct: redis.Redis) -> None:
        library = cache_keys.hashing(library_of(judge.stack), "sha1")
        written_before(judge, direct, "hashed", "__main__.hashed", ["1"], (1,), library=library)


@on([stack for stack in APPS if stack.library == "flask_cache"])
def test_what_flask_cache_leaves_out(judge: Judge, direct: redis.Redis) -> None:
    written_before(judge, direct, "spread", "__main__.spread", ["1", "2", "3"], (1,))
    direct.flushall()
    written_before(judge, direct, "opened", "__main__.opened", ["1", "b=1"], (1,))


@on(FLASK_CACHING)
def test_how_long_a_version_lives(judge: Judge, direct: redis.Redis) -> None:
    """The functions have a timeout of 60 seconds; a producer writes for an hour."""
    shortens = judge.stack.version("Flask-Caching") >= (2, 5)
    (key,) = cache_keys.versions(library_of(judge.stack), PREFIX, "__main__.told")
    direct.set(key, codec.dumps("GOVER1"), ex=3600)
    judge.ask("called", "told", "1")
    assert (direct.ttl(key) <= 60) is shortens
    # What is to be done with each write:
    direct.expire(key, 3600)
    assert judge.ask("called", "told", "1")["runs"] == 0
    assert direct.ttl(key) > 60
    judge.ask("called", "told", "2")
    assert (direct.ttl(key) <= 60) is shortens
    assert codec.loads(direct.get(key)) == "GOVER1"


def codec_of(value: Value) -> bytes:
    """What an argument on the command line becomes."""
    return codec.Transcoder(codec.Options()).encode(value.json.encode())


def written_before(
    judge: Judge,
    direct: redis.Redis,
    called: str,
    function: str,
    expressions: list[str],
    arguments: Sequence[Any],
    instance: str | None = None,
    *,
    owner: str | None = None,
    keywords: str = "",
    library: Library | None = None,
) -> None:
    """The library makes the keys of the recipes, and takes what stands under them."""
    library = library or library_of(judge.stack)
    owner = owner or instance
    version_keys = cache_keys.versions(library, PREFIX, function, instance)
    assert judge.ask("called", called, *expressions) == {"result": "fresh", "runs": 1, "log": []}
    version = "".join(codec.loads(direct.get(key)) for key in version_keys)
    entry = cache_keys.result(library, PREFIX, function, arguments, version, owner, keywords)
    assert keys_of(direct) == {*version_keys, entry}
    direct.flushall()
    versions = [f"GOVER{number}" for number in range(len(version_keys))]
    for key, text in zip(version_keys, versions, strict=True):
        direct.set(key, codec.dumps(text))
    entry = cache_keys.result(library, PREFIX, function, arguments, "".join(versions), owner, keywords)
    direct.set(entry, codec.dumps("from outside"))
    assert judge.ask("called", called, *expressions) == {"result": "from outside", "runs": 0, "log": []}
