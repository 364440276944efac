"""Producers in Go and Node, with the clients that such programs use, and a real Flask-Caching app on the other side.

What they need is fetched by `go mod download` in `go` and `npm ci` in `node`.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import ProxyProcess
from tests.interop.programs import HERE, missing, run

README = HERE.parent.parent / "README.md"


@pytest.fixture(scope="module")
def go_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the Go programs, built."""
    if shutil.which("go") is None:
        missing("go is not installed")
    into = tmp_path_factory.mktemp("go")
    done = subprocess.run(
        ["go", "build", "-o", f"{into}/", "./..."],
        cwd=HERE / "go",
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        missing(f"the Go programs do not build (go mod download): {done.stderr}")
    return into


@pytest.fixture(scope="module")
def node() -> str:
    """The node command, its packages installed."""
    found = shutil.which("node")
    if found is None:
        missing("node is not installed")
    elif not (HERE / "node" / "node_modules" / ".package-lock.json").exists():
        missing("the Node packages are not installed (npm ci in tests/interop/node)")
    return str(found)


@pytest.fixture
def address(proxy: ProxyProcess) -> str:
    """The JSON port, as programs take it."""
    host, port = proxy.json
    return f"{host}:{port}"


@pytest.fixture
def cached_by_flask(flask: FlaskApp) -> FlaskApp:
    """The app, with some values of its own in the cache."""
    flask.cache.set("from_flask", {"who": "Flask", "n": [1, (2, b"\xff")]})
    flask.cache.set("counter", 41)
    assert flask.get("/index") == "foo"
    return flask


def check_what_it_read(seen: Any) -> None:
    value, counter = seen["from_flask"]
    assert json.loads(value) == {"who": "Flask", "n": [1, {"py/tuple": [2, {"py/bytes": "/w=="}]}]}
    assert counter == "41"
    assert seen["view"] == '"foo"'


def test_go_redis(go_programs: Path, address: str, cached_by_flask: FlaskApp, direct: redis.Redis) -> None:
    check_what_it_read(json.loads(run(str(go_programs / "interop"), address)))
    cache = cached_by_flask.cache
    assert cache.get("go:set") == {"name": "Tea ☃", "price": 2.5, "tags": ["hot", "green"]}
    assert cache.get("go:setnx") == [1, 2]
    assert cache.get_many("go:mset1", "go:mset2", "go:pipe7", "go:tx") == [2, "two", {"n": 7}, ["a"]]
    assert direct.get("flask_cache_go:mset1") == b"2"
    assert direct.get("raw") == b"\x00\xff"
    assert 0 < direct.ttl("flask_cache_go:set") <= 60


@pytest.mark.parametrize(
    ("program", "names"), [("with-ioredis.mjs", ["ioredis"]), ("with-node-redis.mjs", ["node-redis-2", "node-redis-3"])]
)
def test_node_clients(
    node: str, address: str, cached_by_flask: FlaskApp, direct: redis.Redis, program: str, names: list[str]
) -> None:
    check_what_it_read(json.loads(run(node, program, address, at=HERE / "node")))
    for name in names:
        get = cached_by_flask.cache.get
        assert get(f"{name}:set") == {"name": "Tea ☃", "price": 2.5, "tags": ["hot", "green"]}
        assert [get(f"{name}:{rest}") for rest in ("setnx", "mset1", "mset2", "many7", "tx", "tx:count")] == [
            [1, 2], 1, "two", {"n": 7}, ["a"], 1,
        ]  # fmt: skip
        assert 0 < direct.ttl(f"flask_cache_{name}:set") <= 60


class TestReadme:
    """The snippets of the README are programs, and they do what the README says."""

    def test_go(self, go_programs: Path, address: str, flask: FlaskApp) -> None:
        assert run(str(go_programs / "readme"), PROXY=address) == '"Hello from Go"\n'
        assert flask.get("/index") == "Hello from Go"
        assert flask.runs["index"] == 0

    def test_node(self, node: str, address: str, flask: FlaskApp) -> None:
        assert run(node, "readme.mjs", at=HERE / "node", PROXY=address) == '"Hello from Node"\n'
        assert flask.get("/index") == "Hello from Node"
        assert flask.runs["index"] == 0

    @pytest.mark.parametrize(("language", "program"), [("go", "go/readme/main.go"), ("js", "node/readme.mjs")])
    def test_it_shows_them_verbatim(self, language: str, program: str) -> None:
        assert f"```{language}\n{(HERE / program).read_text()}```\n" in README.read_text()
