"""The snippets of the README are programs, and they do what the README says."""

import os
import re
import sys
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import RedisServer
from tests.e2e.flask_app import FlaskApp
from tests.interop.programs import HERE, run

README = HERE.parent.parent / "README.md"


def test_go(go_programs: Path, address: str, flask: FlaskApp) -> None:
    assert run(str(go_programs / "readme"), PROXY=address) == '"Hello from Go"\n'
    assert flask.get("/index") == "Hello from Go"
    assert flask.runs["index"] == 0


def test_node(node: str, address: str, flask: FlaskApp) -> None:
    assert run(node, "readme.mjs", at=HERE / "node", PROXY=address) == '"Hello from Node"\n'
    assert flask.get("/index") == "Hello from Node"
    assert flask.runs["index"] == 0


@pytest.mark.parametrize(("language", "program"), [("go", "go/readme/main.go"), ("js", "node/readme.mjs")])
def test_it_shows_them_verbatim(language: str, program: str) -> None:
    assert f"```{language}\n{(HERE / program).read_text()}```\n" in README.read_text()


def test_what_is_in_my_cache(redis_server: RedisServer, direct: redis.Redis, tmp_path: Path, flask: FlaskApp) -> None:
    """Every line of the section, one after the other, in a shell; the other Redis is database 1 of this one."""
    (script,) = re.findall(r"## What is in my cache\?\n\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert "redis://other:6379/0" in script
    script = script.replace("redis://other:6379/0", f"redis://127.0.0.1:{redis_server.port}/1")
    flask.cache.set("tea", {"price": 1.5})
    assert flask.get("/index") == "foo"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    upstream = f"unix://{redis_server.unix}"
    printed = run("sh", "-euc", script, at=tmp_path, PATH=path, FLASK_CACHE_PROXY_UPSTREAM_URL=upstream)
    assert '"foo"\n' in printed
    assert printed.splitlines()[-1].startswith("flask_cache_view//search")
    with redis.Redis(unix_socket_path=redis_server.unix, db=1) as other:
        assert sorted(other.keys()) == [b"flask_cache_tea", b"flask_cache_view//index"]
