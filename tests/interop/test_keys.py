"""docs/keys.md: its Go and its Node compute what the recipes compute, and its commands print what it says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import pytest
import redis
from click.testing import CliRunner

from proxy.cli import main
from proxy.inside import recipes
from proxy.inside.recipes import LIBRARIES
from tests.e2e.conftest import RedisServer
from tests.interop.programs import HERE, PATIENCE, missing, run

DOCUMENT = (HERE.parent.parent / "docs" / "keys.md").read_text()

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
QUERIES = [
    "",
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
    cases = [Case("view", "", (prefix, path), recipes.view(prefix_bytes, path).decode()) for path in PATHS]
    cases += [
        Case("fragment", "", (prefix, "side", *varied), recipes.fragment(prefix_bytes, "side", varied).decode())
        for varied in ((), ("v1",), ("é", "", "'"))
    ]
    for name, library in LIBRARIES.items():
        if library.query is not None:
            for query in QUERIES:
                key = recipes.query(library, prefix_bytes, "/s%C3%A9", query).decode()
                cases.append(Case("query", name, (prefix, "/s%C3%A9", query), key))
        for function in NAMES:
            for instance in ("", "Cart(5)", "Ä'ω'"):
                keys = [key.decode() for key in recipes.versions(library, prefix_bytes, function, instance)]
                cases.append(Case("versions", name, (prefix, function, instance), keys))
            for arguments in ARGUMENTS:
                key = recipes.result(library, prefix_bytes, function, arguments, "GOVER1").decode()
                cases.append(Case("result", name, (prefix, function, "GOVER1", *arguments), key))
    return cases


CASES = _cases()


def answers(command: Sequence[str], at: Path, cases: list[Case]) -> list[Any]:
    """What a program answers."""
    asked = "".join(json.dumps({"do": case.do, "library": case.library, "with": case.given}) + "\n" for case in cases)
    done = subprocess.run(command, cwd=at, input=asked, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def snippet(language: str) -> str:
    """The one program of the document in a language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    return str(code)


def compare(answered: list[Any], cases: list[Case]) -> None:
    assert len(answered) == len(cases)
    for answer, case in zip(answered, cases, strict=True):
        assert answer == case.key, case


def test_go(tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        missing("go is not installed")
    (tmp_path / "cachekeys").mkdir()
    source = tmp_path / "cachekeys" / "cachekeys.go"
    source.write_text(snippet("go"))
    (tmp_path / "go.mod").write_text("module keys\n\ngo 1.24\n")
    shutil.copy(HERE / "keys" / "main.go", tmp_path)
    subprocess.run([str(go), "vet", "./..."], cwd=tmp_path, check=True)
    decoded = [
        case._replace(given=[case.given[0], unquote(case.given[1]), *case.given[2:]]) if is_of_a_path(case) else case
        for case in CASES
    ]
    compare(answers([str(go), "run", "."], tmp_path, decoded), CASES)
    formatted = subprocess.run(
        [Path(str(go)).parent / "gofmt", "-l", "."], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert formatted.stdout == ""


def is_of_a_path(case: Case) -> bool:
    """Its second argument is a path, which Go has decoded."""
    return case.do in ("view", "query")


def test_node(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        missing("node is not installed")
    (tmp_path / "cachekeys.mjs").write_text(snippet("js"))
    shutil.copy(HERE / "keys" / "main.mjs", tmp_path)
    compare(answers([str(node), "main.mjs"], tmp_path, CASES), CASES)


def test_commands_print_what_it_says() -> None:
    shown = re.findall(r"^\$ flask-cache-proxy (.*)\n(.*)$", DOCUMENT, re.MULTILINE)
    assert len(shown) >= 2
    for command, printed in shown:
        result = CliRunner().invoke(main, shlex.split(command))
        assert (result.exit_code, result.stdout) == (0, f"{printed}\n")


@pytest.mark.parametrize("command", re.findall(r"^flask-cache-proxy (key .*)$", DOCUMENT, re.MULTILINE))
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
    (script,) = re.findall(r"^```sh\n(flask-cache-proxy set .*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    upstream = f"unix://{redis_server.unix}"
    assert run("sh", "-euc", script, PATH=path, FLASK_CACHE_PROXY_UPSTREAM_URL=upstream) == ""
    (tmp_path / "shop.py").write_text(SHOP)
    program = "import shop; print(shop.total(1, 2))"
    assert run(sys.executable, "-c", program, at=tmp_path, REDIS=upstream) == "{'total': 3}\n"
