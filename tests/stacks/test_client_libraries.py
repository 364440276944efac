"""The libraries in `clients` against the real ones: both make the same keys, and the app serves what a producer set."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import redis

from tests.interop.client_libraries import PROGRAMS, ClientError, ClientLibrary, Miss, at_work
from tests.stacks.conftest import Site
from tests.stacks.environments import STACKS, Stack
from tests.stacks.judge import Judge, Seen
from tests.stacks.values import VALUES

NAMES = ("flask-cache-0.13.1", "flask-caching-1.10.1", "flask-caching-2.3.1", "flask-caching-2.5.1")
JUDGES = [stack for stack in STACKS if stack.name in NAMES]
FLASK_CACHING = [stack for stack in JUDGES if stack.library == "flask_caching"]
SPOKEN = [
    pytest.param((language, payload, variant), id=f"{language}-{payload}-{variant}")
    for language, (_, variants) in PROGRAMS.items()
    for payload, variant in zip(("json", "msgpack"), variants, strict=True)
]
"""Each payload format and each variant of a language once."""


def on(stacks: list[Stack]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stack", stacks, ids=lambda stack: stack.name)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sequence[str]]:
    """The command of the program of a language."""
    return cache(lambda language: PROGRAMS[language][0](tmp_path_factory.mktemp(language)))


@pytest.fixture(scope="module")
def programs(commands: Callable[[str], Sequence[str]]) -> Iterator[Callable[[str, str, str, str], ClientLibrary]]:
    """A program at work, by its language, address, payload and variant."""
    with ExitStack() as stack:
        yield cache(
            lambda language, address, payload, variant: stack.enter_context(
                at_work(commands(language), address, payload, variant)
            )
        )


@pytest.fixture(params=SPOKEN)
def client(
    request: pytest.FixtureRequest,
    stack: Stack,
    site: Site,
    programs: Callable[[str, str, str, str], ClientLibrary],
) -> ClientLibrary:
    """A client library for the stack's library."""
    language, payload, variant = request.param
    address = str(Path(site.socket).with_name(f"{payload}.sock"))
    return programs(language, address, payload, variant).having(library=library_of(stack))


def library_of(stack: Stack) -> str:
    if stack.library == "flask_cache":
        return "flask-cache"
    return "flask-caching-2.5" if stack.version("Flask-Caching") >= (2, 5) else "flask-caching-2.4"


PAGES = [
    ("/page/index", None),
    ("/page/h%C3%A9%20llo", None),
    ("/page/what%3F%23%25", None),
    ("/page/100%", None),
    ("/page/bad%FF%80x", None),
    ("/page/%E2%98", None),
    ("/page/%F0%9F%98x%C0%AF%ED%A0%80", None),
    ("/placed/h%C3%A9", "100%%_%s_page"),
    ("/named", "all_items"),
]
QUERIES = [
    ("/query", "", {}),
    ("/query", "b=2&a=1&a=0", {}),
    ("/query/h%C3%A9/", "a=&b&=c&&d=100%&e=%zz;x", {}),
    ("/query", "a+b=c%20d&%C3%A9=\u2603&q='\"&n=%00%0A%C2%A0\\", {}),
    ("/query", "z=1&%EF%BF%BD=2&%F0%9F%98%80=3", {}),
    ("/queried/0", "b=2&a=1", {"key_prefix": "all_items", "hash": "md5"}),
    ("/queried/1", "b=2&a=1", {"key_prefix": "page_%s", "hash": "sha1"}),
    ("/queried/2", "b=2&a=1", {"key_prefix": "%s", "hash": "sha256"}),
    ("/queried/3", "b=2&a=1", {"key_prefix": "100%", "hash": "sha512"}),
]


class Call(NamedTuple):
    """A call of a memoized function."""

    called: str
    """The function in the driver."""
    expressions: list[str]
    function: str
    arguments: list[Any]
    """For the client."""
    settings: Mapping[str, str] = MappingProxyType({})

    @property
    def entry(self) -> list[Any]:
        """The entry of the client."""
        return ["memo", f"__main__.{self.function}", *self.arguments]


FALSE: list[Any] = [["default", value] for value in (0, False, {"py/tuple": []}, [], "")]
CALLS = [
    Call("told", ["1"], "told", [[1], ["default", "it's"]]),
    Call("told", ["1", "second=2"], "told", [[1], [2]]),
    Call("told", ["'\\xe9'", "{'a': [1, (2.0,)]}"], "told", [["\xe9"], [{"a": [1, {"py/tuple": [2.0]}]}]]),
    Call("defaulted", ["'a'"], "defaulted", [["a"], *FALSE, ["default", 7], ["default", None]]),
    Call("defaulted", ["'a'", "0"], "defaulted", [["a"], [0], *FALSE[1:], ["default", 7], ["default", None]]),
    Call("defaulted", ["'a'", "size=0"], "defaulted", [["a"], *FALSE, [0], ["default", None]]),
    Call("5.plus", ["7"], "Adder.plus", [["self", "Adder(5)"], [7], ["default", None]]),
    Call("\xe9 'x' <y>.plus", ["7", "1"], "Adder.plus", [["self", "Adder(\xe9 'x' <y>)"], [7], [1]]),
    Call("x.made", ["7"], "Adder.made", [["class", "__main__.Adder"], [7], ["default", 0]]),
]
KEYED = {"python": "3.11"}
PASSED = [["keyword", "near", "\xe9"], ["keyword", "deep", 1]]
CALLS_OF_FLASK_CACHING = [
    Call("keyed", ["1"], "keyed", [[1]]),
    Call("keyed", ["1", "deep=False"], "keyed", [[1], ["keyword", "deep", False]], KEYED),
    Call(
        "keyed",
        ["1", "near='\\xe9'", "deep=1"],
        "keyed",
        [[1], ["keyword", "near", "\xe9"], ["keyword", "deep", 1]],
        KEYED,
    ),
    Call("spread", ["1", "2", "0"], "spread", [[1], [2], [0]]),
    Call("ignoring", ["1", "5"], "ignoring", [[1], ["ignored", None], ["default", 3]]),
    Call("x.less", ["1"], "Adder.less", [["ignored", None], [1]]),
    Call("hashed", ["1"], "hashed", [[1]], {"hash": "sha1"}),
]
REFUSED = {
    *("dict", "rows with the same keys", "a tag among keys", "a bit of everything"),  # of unordered maps
    *("set", "Counter", "defaultdict", "deque", "ordered dict", "empty ordered dict", "complex"),
    *("an offset", "a western offset", "time with a zone"),
}
"""Values that a client may refuse as arguments, as their repr() is not known or not always the same."""


def served(judge: Judge, path: str, body: bytes = b"from outside") -> Seen:
    """A page that the view did not make."""
    seen = judge.view(path)
    assert (seen.runs, seen.body, seen.log) == (0, body, [])
    return seen


def runs(judge: Judge, call: Call, result: str = "fresh") -> int:
    """How often the function runs at a call."""
    answer = judge.ask("called", call.called, *call.expressions)
    assert (answer["result"], answer["log"]) == (result, [])
    return int(answer["runs"])


@on(JUDGES)
@pytest.mark.parametrize(("path", "key_prefix"), PAGES)
def test_a_view(judge: Judge, client: ClientLibrary, direct: redis.Redis, path: str, key_prefix: str | None) -> None:
    entry = ["view", path]
    if key_prefix:
        client = client.having(key_prefix=key_prefix)
    assert judge.view(path).runs == 1
    assert client.ask("get", entry) == "fresh"
    client.ask("set", entry, value="from outside", ttl=60)
    assert direct.keys() == [client.ask("key", entry).encode()]
    served(judge, path)
    assert 0 < direct.ttl(client.ask("key", entry)) <= 60
    for op in ("delete", "invalidate"):
        client.ask(op, entry)
        assert judge.view(path).runs == 1


@on(FLASK_CACHING)
@pytest.mark.parametrize(("path", "query", "settings"), QUERIES)
def test_a_view_with_a_query(
    judge: Judge, client: ClientLibrary, direct: redis.Redis, path: str, query: str, settings: dict[str, str]
) -> None:
    client, entry = client.having(**settings), ["query", path, query]
    assert judge.view(f"{path}?{query}").runs == 1
    assert client.ask("get", entry) == "fresh"
    client.ask("set", entry, value="from outside", ttl=60)
    assert direct.keys() == [client.ask("key", entry).encode()]
    served(judge, f"{path}?{query}")
    assert judge.view(f"{path}?another=1").runs == 1
    client.ask("delete", entry)
    assert judge.view(f"{path}?{query}").runs == 1
    assert judge.view(f"{path}?another=1").runs == 0
    client.ask("invalidate", entry)
    assert direct.keys() == []
    for each in (query, "another=1"):
        assert judge.view(f"{path}?{each}").runs == 1


@on(FLASK_CACHING)
def test_all_queries_of_a_path_and_no_other_path(judge: Judge, client: ClientLibrary) -> None:
    paths = ["/query?a=1", "/query?a=2", "/query?", "/query/%5Ba%5D?a=1", "/query/a?a=1"]
    for path in paths:
        assert judge.view(path).runs == 1
    client.ask("invalidate", ["query", "/query/%5Ba%5D", ""])
    client.ask("invalidate", ["query", "/query", "never=asked"])
    assert [judge.view(path).runs for path in paths] == [1, 1, 1, 1, 0]


@on(JUDGES)
def test_a_fragment(judge: Judge, client: ClientLibrary) -> None:
    entry = ["fragment", "h\xe9 x", "v1", "v2"]
    assert judge.view("/fragment/h%C3%A9%20x").runs == 1
    assert client.ask("get", entry) == {"py/markup": "<i>fresh</i>"}
    client.ask("set", entry, value="from outside", ttl=60)
    served(judge, "/fragment/h%C3%A9%20x", b"(from outside)")
    client.ask("invalidate", entry)
    assert judge.view("/fragment/h%C3%A9%20x").runs == 1


def on_calls(stacks: list[Stack], calls: list[Call]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("stack", "call"),
        [
            pytest.param(stack, call, id=f"{stack.name}-{call.called}-{number}")
            for stack in stacks
            for number, call in enumerate(calls)
        ],
    )


def judged(judge: Judge, client: ClientLibrary, direct: redis.Redis, call: Call) -> None:
    """The app finds a result before its function has run; the client finds the app's."""
    client = client.having(**call.settings)
    with pytest.raises(Miss):
        client.ask("get", call.entry)
    client.ask("set", call.entry, value="from outside", ttl=3600)
    assert runs(judge, call, "from outside") == 0
    assert min(map(direct.ttl, direct.keys())) > 60
    client.ask("delete", call.entry)
    assert runs(judge, call) == 1
    assert client.ask("get", call.entry) == "fresh"
    client.ask("set", call.entry, value="from outside", ttl=3600)
    assert runs(judge, call, "from outside") == 0
    assert min(map(direct.ttl, direct.keys("*_memver"))) > 60
    client.ask("invalidate", call.entry)
    with pytest.raises(Miss):
        client.ask("get", call.entry)
    assert runs(judge, call) == 1


@on_calls(JUDGES, CALLS)
def test_a_memoized_result(judge: Judge, client: ClientLibrary, direct: redis.Redis, call: Call) -> None:
    judged(judge, client, direct, call)


@on_calls(FLASK_CACHING, CALLS_OF_FLASK_CACHING)
def test_a_memoized_result_of_flask_caching(
    judge: Judge, client: ClientLibrary, direct: redis.Redis, call: Call
) -> None:
    judged(judge, client, direct, call)


@on(JUDGES)
def test_any_value_as_an_argument(judge: Judge, client: ClientLibrary, direct: redis.Redis) -> None:
    refused = {}
    for value in VALUES:
        call = Call("told", [value.python], "told", [[json.loads(value.json)], ["default", "it's"]])
        try:
            client.ask("set", call.entry, value="from outside", ttl=60)
        except ClientError as error:
            refused[value.name] = str(error)
            continue
        assert runs(judge, call, "from outside") == 0, value
        direct.flushall()
    assert refused.keys() <= REFUSED
    for name, reason in refused.items():
        assert re.search("only the app|order|the class of its zone|an offset", reason), (name, reason)


@on(JUDGES)
class TestInvalidation:
    def test_of_a_function_leaves_the_others(self, judge: Judge, client: ClientLibrary) -> None:
        calls = [
            Call("told", ["1"], "told", [[1], ["default", "it's"]]),
            Call("told", ["2"], "told", [[2], [3]]),
            CALLS[3],
        ]
        for call in calls:
            assert runs(judge, call) == 1
        client.ask("invalidate", calls[0].entry)
        assert [runs(judge, call) for call in calls] == [1, 1, 0]

    def test_of_an_object_leaves_the_others(self, judge: Judge, client: ClientLibrary) -> None:
        calls = [Call(f"{name}.plus", [number], "Adder.plus", []) for name in ("5", "6") for number in ("7", "8")]
        for call in calls:
            assert runs(judge, call) == 1
        of_five = ["memo", "__main__.Adder.plus", ["self", "Adder(5)"], [7], ["default", None]]
        client.ask("invalidate", of_five)
        assert [runs(judge, call) for call in calls] == [1, 1, 0, 0]
        client.ask("invalidate", of_five[:2])
        assert [runs(judge, call) for call in calls] == [1, 1, 1, 1]

    def test_by_the_app(self, judge: Judge, client: ClientLibrary) -> None:
        entry = ["memo", "__main__.total", [1], ["default", 2]]
        for _ in range(2):
            client.ask("set", entry, value={"total": 30}, ttl=60)
            assert client.ask("get", entry) == {"total": 30}
            assert judge.ask("memoized", 1)["runs"] == 0
            judge.ask("forget")
            with pytest.raises(Miss):
                client.ask("get", entry)

    def test_of_a_prefix(self, judge: Judge, client: ClientLibrary, direct: redis.Redis) -> None:
        paths = ["/page/b%5Bl%5D%2Ag/1", "/page/b%5Bl%5D%2Ag/2", "/page/blog/1", "/page/bl"]
        for path in paths:
            assert judge.view(path).runs == 1
        direct.set("flask_cache2", "another's")
        assert client.ask("invalidate_prefix", text="view//page/b[l]*") == 2
        assert [judge.view(path).runs for path in paths] == [1, 1, 0, 0]
        assert client.ask("invalidate_all") == 4
        assert direct.keys() == [b"flask_cache2"]

    def test_of_more_than_a_scan_sees_at_once(self, client: ClientLibrary, direct: redis.Redis) -> None:
        direct.mset({f"flask_cache_view//{number}": "1" for number in range(5000)} | {"flask_cache_view": "1"})
        assert client.ask("invalidate_prefix", text="view//") == 5000
        assert direct.keys() == [b"flask_cache_view"]


def in_any_order(described: Any) -> Any:
    """A description in which the keys of a plain dict are sorted, as not each language keeps their order."""
    if not isinstance(described, list):
        return described
    each = [in_any_order(item) for item in described]
    if len(each) == 2 and each[0] == "builtins.dict":
        return ["builtins.dict", sorted(each[1], key=json.dumps)]
    return each


BECOME_INTS = {"node": {"whole float": "2", "negative zero": "0"}}
"""Values that a language reads as a number of its own, and writes back as an int."""


@on(JUDGES)
def test_all_that_the_app_stored_is_read_and_written_back(
    judge: Judge, client: ClientLibrary, request: pytest.FixtureRequest
) -> None:
    keeper = client.having(key_prefix="kept_%s")  # under the key of a view or a fragment, some types are refused
    ints = BECOME_INTS.get(request.node.callspec.params["client"][0], {})
    for value in VALUES:
        judge.set("kept_/app", value.python)
        keeper.ask("copy", ["view", "/app"], to=["view", "/client"], ttl=60)
        described = in_any_order(judge.describe(ints.get(value.name, value.python)))
        assert in_any_order(judge.get("kept_/client")) == described, value
        if value.name == "negative zero" and ints:  # JavaScript's JSON has no -0.0
            continue
        described = in_any_order(judge.describe(value.python))
        keeper.ask("set", ["view", "/client"], value=json.loads(value.json), ttl=60)
        assert in_any_order(judge.get("kept_/client")) == described, value


@on(JUDGES)
@pytest.mark.parametrize("name", ["made", "image", "json", "redirect", "tuple", "pairs"])
def test_a_page_of_the_app_is_copied(judge: Judge, client: ClientLibrary, name: str) -> None:
    judge.view(f"/returns/{name}")
    cached = judge.view(f"/returns/{name}")
    assert cached.runs == 0
    client.ask("copy", ["view", f"/returns/{name}"], to=["view", "/page/copied"], ttl=60)
    copied = judge.view("/page/copied")
    assert (copied.runs, copied.status, copied.body) == (0, cached.status, cached.body)
    assert sorted(copied.headers) == sorted(cached.headers)
