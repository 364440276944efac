"""The README's programs do what it says, its commands run, and its table of types holds."""

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.conftest import RedisServer
from tests.e2e.flask_app import FlaskApp
from tests.interop.documents import Document, go_module, node_module, typescript
from tests.interop.programs import HERE, run

ROOT = HERE.parent.parent
README = Document("../README.md")
ADDRESS = "127.0.0.1:6380"
UVX = "uvx --from . "
ROWS = README.rows("Python", "JSON", "Go", "Node")


def at(address: str, language: str) -> str:
    """The program in a language, for another address than that of the README."""
    code = README.code(language)
    assert code.count(ADDRESS) == 1
    return code.replace(ADDRESS, address)


def test_it_takes_sixty_seconds() -> None:
    assert len(README.text.splitlines()) < 150


def test_go_fills_a_page(address: str, flask: FlaskApp, tmp_path: Path) -> None:
    go = go_module(tmp_path, {"main.go": at(address, "go")})
    assert run(go, "run", ".", at=tmp_path) == "<h1>Hello from Go</h1>\n"
    assert flask.get("/index") == "<h1>Hello from Go</h1>"
    assert flask.runs["index"] == 0


def test_typescript_fills_a_page(address: str, node: str, flask: FlaskApp, direct: redis.Redis, tmp_path: Path) -> None:
    program = typescript(node, tmp_path, at(address, "ts"))
    assert run(node, program, at=tmp_path) == "<h1>Hello from Node</h1>\n"
    assert flask.get("/index") == "<h1>Hello from Node</h1>"
    assert flask.runs["index"] == 0
    version = pickle.loads(direct.get("flask_cache_shop.total_memver")[1:])
    (key,) = direct.keys(f"flask_cache_*{version}")
    assert pickle.loads(direct.get(key)[1:]) == {"total": 3}


def test_the_module_is_where_it_says() -> None:
    (path, directory) = re.findall(r"go mod edit -replace (\S+)=\.\./flask-cache-proxy/(\S+)", README.text)[0]
    assert f"module {path}\n" in (ROOT / directory / "go.mod").read_text()
    assert f'"{path}"' in README.code("go")


def values(language: str, expressions: list[str], node: str, into: Path, address: str) -> Iterator[str]:
    """Store each value of a column with the client library; their keys."""
    keys = [f"flask_cache_{language}{at}" for at in range(len(expressions))]
    if language == "go":
        store = (
            '\tif err := cache.KeyPrefix("{}").View("").Set(ctx, {}, time.Minute); err != nil {{\n\t\tpanic(err)\n\t}}'
        )
        sets = "\n".join(store.format(key, value) for key, value in zip(keys, expressions, strict=True))
        head, _, _ = at(address, "go").partition("\tcache := ")
        head = head.replace('\t"fmt"\n\t"log"\n', "")
        source = f'{head}\tcache := flaskcache.New(client, flaskcache.Caching25, "")\n{sets}\n}}\n'
        run(go_module(into, {"main.go": source}), "run", ".", at=into)
    else:
        sets = "\n".join(
            f'await cache.keyPrefix("{key}").view().set({value}, 60);'
            for key, value in zip(keys, expressions, strict=True)
        )
        head, _, _ = at(address, "ts").partition("const cache")
        head = head.replace("FlaskCache, caching25", "Decimal, FlaskCache, PyFloat, Tuple, caching25")
        source = f'{head}const cache = new FlaskCache(client, caching25, "");\n{sets}\nawait client.quit();\n'
        run(node, *node_module(into, source), at=into)
    yield from keys


@pytest.mark.parametrize("language", ["go", "node"])
def test_the_types(address: str, proxy: Any, node: str, direct: redis.Redis, tmp_path: Path, language: str) -> None:
    names = {"Decimal": Decimal, "datetime": datetime, "timezone": timezone}
    expressions = [row[2 if language == "go" else 3] for row in ROWS]
    assert len(ROWS) == 5
    host, _, port = address.rpartition(":")
    with redis.Redis(host=host, port=int(port)) as client:
        for row, key in zip(ROWS, values(language, expressions, node, tmp_path, address), strict=True):
            wanted = eval(row[0], names)
            assert repr(pickle.loads(direct.get(key)[1:])) == repr(wanted)
            assert client.get(key) == row[1].encode()
            assert json.loads(row[1]) is not None


def test_the_commands_run(redis_server: RedisServer, flask: FlaskApp, proxy: Any, address: str) -> None:
    """The first prints the flag of the second. (deploy/try-install runs uvx.)"""
    flask.get("/index")
    commands = re.findall(rf"^{re.escape(UVX)}flask-cache-proxy (.*)$", README.text, re.MULTILINE)
    scan, serve = (command.replace("redis://127.0.0.1:6379/0", f"unix://{redis_server.unix}") for command in commands)
    printed = subprocess.run(
        [sys.executable, "-m", "proxy", *scan.split()], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert "--prefix flask_cache_" in printed.stdout + printed.stderr
    assert "--prefix flask_cache_" in serve
    checked = serve.replace("serve", "check")
    subprocess.run([sys.executable, "-m", "proxy", *checked.split()], capture_output=True, check=True)
    (words,) = re.findall(r"`redis-cli -p 6380 (.*?)`", README.text)
    host, _, port = address.rpartition(":")
    with redis.Redis(host=host, port=int(port)) as client:
        assert client.execute_command(*words.split()) == b'"foo"'


def test_what_it_refuses_is_refused(address: str) -> None:
    host, _, port = address.rpartition(":")
    refused = {
        "SET flask_cache_view//index hello": "not valid JSON",
        "SET flask_cache_view//index 5": "under the key of a cached view",
        "APPEND flask_cache_view//index x": "refused",
        "EVAL return 0": "refused",
    }
    assert next(iter(refused)) in README.text
    with redis.Redis(host=host, port=int(port)) as client:
        for command, reason in refused.items():
            with pytest.raises(redis.ResponseError, match=reason):
                client.execute_command(*command.split())
        assert client.set("flask_cache_view//index", '"Hello"')
    assert "`SET flask_cache_view//index '\"Hello\"' EX 60`" in README.text


def test_ci_runs_its_test_command() -> None:
    """Two code blocks have the whole set-up each. The last step of the second is a line of `.ci/run`."""
    demo, tests = (line for line in README.code("sh").splitlines() if line.startswith("python3 -m venv .venv && "))
    assert demo.endswith(" && .venv/bin/flask-cache-proxy demo")
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert tests.split(" && ")[-1] in ci
