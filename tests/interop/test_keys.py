"""docs/keys.md: Flask serves what its programs fill, and its commands print what it says."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import redis
from click.testing import CliRunner

from proxy.cli import main
from proxy.inspection import cache_keys
from proxy.inspection.cache_keys import LIBRARIES, Default
from tests.e2e.conftest import RedisServer, StartProxy, start_proxy
from tests.interop.conftest import address_of
from tests.interop.documents import Document, go_module, typescript
from tests.interop.programs import run

__all__ = ["start_proxy"]

DOCUMENT = Document("keys.md")

TEXTS = [
    "",
    "plain",
    "it's",
    'say "it"',
    "'\"",
    "back\\slash",
    "\n\r\t\0\x1b\x7f",
    "é ☃ 😀 \u00a0\u00ad",
    "\u200b\u2028\ufeff\ufffd\U000e0001",
    "日本語 ﷺ ｱ",
]
NUMBERS = [0, -7, 2**53 - 1, 1.5, -0.25, 1e-4, 1.234e-5, 5e-7, 1.5e-10, 123456789.125]
ARGUMENTS: list[list[Any]] = [
    [],
    [1, 2],
    *([text] for text in TEXTS),
    *([number, None, True, False] for number in NUMBERS),
]
FALSE = ["", False, 0, None]
QUERIES = [
    "",
    "?q=1&a=2",
    "??q=1",
    "?",
    "a=1",
    "b=2&a=1&a=0",
    "a=&b&=c",
    "a=1&&b=2",
    "a+b=c%20d",
    "z=1&%EF%BF%BD=2&%F0%9F%98%80=3&%EE%80%80=4",
    *(f"{quote(name)}={quote(value)}" for name, value in zip(TEXTS, reversed(TEXTS), strict=True)),
]
PATHS = ["/", "/user/bob/", "/h%C3%A9%20llo", "/what%3F%25%E2%98%83"]
NAMES = ["shop.total", "shop.make.<locals>.total", "shop-2.Käse☃😀", "__main__._a1"]


class Case(NamedTuple):
    """A key that is asked for, and what the recipe says."""

    do: str
    library: str
    given: Sequence[Any]
    key: Any


def _cases() -> list[Case]:
    prefix, prefix_bytes = "flask_é_", "flask_é_".encode()
    cases = [Case("view", "", (prefix, path), cache_keys.view(prefix_bytes, path).decode()) for path in PATHS]
    cases += [
        Case("fragment", "", (prefix, "side", *varied), cache_keys.fragment(prefix_bytes, "side", varied).decode())
        for varied in ((), ("v1",), ("é", "", "'"))
    ]
    for name, library in LIBRARIES.items():
        if library.queries is not None:
            for query in QUERIES:
                key = cache_keys.query(library, prefix_bytes, "/s%C3%A9", query).decode()
                cases.append(Case("query", name, (prefix, "/s%C3%A9", query), key))
            for placed, digest in ((library.queries or "all_items", "sha1"), (library.queries or "page_%s", "md5")):
                hashed = cache_keys.hashing(library, digest)
                key = cache_keys.query(hashed, prefix_bytes, "/s%C3%A9", "a=1", placed).decode()
                cases.append(Case("query", name, (prefix, "/s%C3%A9", "a=1", placed, digest), key))
        for function in NAMES:
            for instance in ("", "Cart(5)", "Ä'ω'"):
                keys = [key.decode() for key in cache_keys.versions(library, prefix_bytes, function, instance)]
                cases.append(Case("versions", name, (prefix, function, instance), keys))
            for arguments in ARGUMENTS:
                key = cache_keys.result(library, prefix_bytes, function, arguments, "GOVER1").decode()
                cases.append(Case("result", name, (prefix, function, "GOVER1", *arguments), key))
        for value in (*FALSE, 7, "x", True, *([0.0] if library.drops else [])):  # which Node cannot tell from 0
            key = cache_keys.result(library, prefix_bytes, "shop.page", ["a", Default(value)], "GOVER1").decode()
            cases.append(Case("result", name, (prefix, "shop.page", "GOVER1", "a", {"default": value}), key))
    return cases


CASES = _cases()


APP = """
import shop

browser = shop.app.test_client()
for path in ("/index", "/search?page=2&q=tea", "/all", "/side"):
    print(browser.get(path).text)
with shop.app.app_context():
    cart = shop.Cart()
    for result in (shop.total(1), shop.total(1, 2, deep=True), cart.sum(1.5), shop.Cart.most(3)):
        print(result)
"""


@pytest.fixture
def recipes(redis_server: RedisServer, start_proxy: StartProxy, direct: redis.Redis) -> str:
    """Where a proxy is that manages the app's prefix."""
    return address_of(start_proxy("--prefix", "shop_", "--upstream", f"unix://{redis_server.unix}").json)


def app(at: Path, redis_server: RedisServer) -> list[str]:
    """One answer of each view and function of the document's app."""
    (at / "shop.py").write_text(DOCUMENT.code("python"))
    return run(sys.executable, "-c", APP, at=at, REDIS=f"unix://{redis_server.unix}").splitlines()


def recipe(language: str, node: str, at: Path) -> Sequence[str]:
    """The command of the recipe in a language, for this Python."""
    code = DOCUMENT.code(language)
    assert code.count('"3.12"') == 1
    code = code.replace('"3.12"', f'"{sys.version_info.major}.{sys.version_info.minor}"')
    if language == "ts":
        return [node, typescript(node, at, code)]
    run(go_module(at, {"main.go": code}), "build", "-o", "recipe", ".", at=at)
    return [str(at / "recipe")]


@pytest.mark.parametrize(("language", "name"), [("go", "Go"), ("ts", "Node")])
def test_a_recipe(
    recipes: str, redis_server: RedisServer, direct: redis.Redis, node: str, tmp_path: Path, language: str, name: str
) -> None:
    """Flask serves what it fills, without running. What it invalidates, runs again."""
    command = recipe(language, node, tmp_path)
    filled = [f"from {name}"] * 8
    assert run(*command, "prefill", at=tmp_path, PROXY=recipes).splitlines() == filled
    assert app(tmp_path, redis_server) == filled
    direct.set("shop_view_of_others", "1")
    deleted = run(*command, "invalidate", at=tmp_path, PROXY=recipes)
    assert deleted.split() == (["1", "<nil>"] if language == "go" else ["1"])
    assert direct.exists("shop_view_of_others")
    assert app(tmp_path, redis_server) == ["the app ran"] * 8


def test_commands_print_what_it_says() -> None:
    shown = re.findall(r"^\$ flask-cache-proxy (.*)\n(.*)$", DOCUMENT.text, re.MULTILINE)
    assert len(shown) >= 2
    for command, printed in shown:
        result = CliRunner().invoke(main, shlex.split(command))
        assert (result.exit_code, result.stdout) == (0, f"{printed}\n")


@pytest.mark.parametrize("command", re.findall(r"^flask-cache-proxy (key .*)$", DOCUMENT.text, re.MULTILINE))
def test_commands_do_what_they_are_shown_for(command: str) -> None:
    result = CliRunner().invoke(main, shlex.split(command))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("flask_cache_")


SHOP = """
import os

from flask import Flask
from flask_caching import Cache

app = Flask("shop")
cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": os.environ["REDIS"]})
app.app_context().push()


@cache.memoize()
def total(a, b):
    raise AssertionError("it runs")
"""


def test_a_result_is_found_before_its_function_has_ever_run(
    redis_server: RedisServer, direct: redis.Redis, tmp_path: Path
) -> None:
    (script,) = re.findall(r"^```sh\n(flask-cache-proxy set .*?)^```$", DOCUMENT.text, re.DOTALL | re.MULTILINE)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    upstream = f"unix://{redis_server.unix}"
    assert run("sh", "-euc", script, PATH=path, FLASK_CACHE_PROXY_UPSTREAM_URL=upstream) == ""
    (tmp_path / "shop.py").write_text(SHOP)
    program = "import shop; print(shop.total(1, 2))"
    assert run(sys.executable, "-c", program, at=tmp_path, REDIS=upstream) == "{'total': 3}\n"
