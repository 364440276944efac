"""clients/node by itself: its own tests, its package as a TypeScript program gets it, and each client of Redis."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import RedisServer
from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.interop.client_libraries import ClientError, ClientLibrary, Miss, at_work, node_program
from tests.interop.conftest import address_of
from tests.interop.programs import HERE, missing, run

PACKAGE = HERE.parent.parent / "clients" / "node"
TARBALL = "flaskcache-0.2.0.tgz"
COMPILED = ("--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022", "--types", "node")


@pytest.fixture(scope="module")
def tools(node: str) -> Path:
    """The commands of the package's development."""
    found = PACKAGE / "node_modules" / ".bin"
    if not found.exists():
        missing("the tools of clients/node are not installed (npm ci in clients/node)")
    return found


def npm(*command: str, at: Path, **env: str) -> str:
    """Run npm, which takes what it can from its cache, and complains about nothing that is ours."""
    quiet = {"npm_config_prefer_offline": "true", "npm_config_audit": "false", "npm_config_fund": "false"}
    environ = {**os.environ, **quiet, "npm_config_update_notifier": "false", **env}
    done = subprocess.run(command, cwd=at, env=environ, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_its_own_tests(node: str, tools: Path) -> None:
    tests = sorted(str(path.relative_to(PACKAGE)) for path in (PACKAGE / "test").glob("*.test.js"))
    assert len(tests) >= 3
    printed = run(node, "--test", "--test-reporter=tap", *tests, at=PACKAGE)
    assert re.search(r"^# fail 0$", printed, re.MULTILINE)
    passed = re.search(r"^# pass (\d+)$", printed, re.MULTILINE)
    assert passed
    assert int(passed[1]) >= 250


def test_tsc_and_eslint_are_content(node: str, tools: Path) -> None:
    assert run(str(tools / "tsc"), "--noEmit", at=PACKAGE) == ""
    assert run(str(tools / "eslint"), "--max-warnings", "0", ".", at=PACKAGE) == ""


# -- the package -------------------------------------------------------------------------------------------


def block(language: str) -> str:
    """The one block of the README in a language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", (PACKAGE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return str(code)


@pytest.fixture(scope="module")
def program(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that has the package as the README says, with a client of Redis."""
    home = tmp_path_factory.mktemp("package")
    copy, app = home / "clients" / "node", home / "app"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules", "types"))
    app.mkdir()
    (app / "package.json").write_text('{"private": true, "type": "module"}\n')
    npm("sh", "-euc", block("sh"), at=home, APP=str(app))
    for package in ("ioredis", "@types"):
        (app / "node_modules" / package).symlink_to(HERE / "node" / "node_modules" / package)
    return app


def test_the_package_has_what_it_needs_and_no_more(program: Path) -> None:
    installed = program / "node_modules" / "flaskcache"
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    sources = {path.stem for path in (PACKAGE / "src").glob("*.js")}
    expected = {"package.json", "README.md", "src/types.d.ts", "types/types.d.ts"}
    expected |= {f"src/{name}.js" for name in sources} | {f"types/{name}.d.ts" for name in sources}
    assert files == expected
    assert (program / TARBALL).exists()
    assert '"dependencies"' not in (installed / "package.json").read_text()


def test_a_typescript_program_compiles(program: Path, tools: Path) -> None:
    shutil.copy(PACKAGE / "test" / "consumer.ts", program)
    assert run(str(tools / "tsc"), *COMPILED, "--noEmit", "consumer.ts", at=program) == ""


def test_the_program_of_the_readme(program: Path, tools: Path, node: str, address: str, flask: FlaskApp) -> None:
    (program / "snippet.ts").write_text(block("ts"))
    compiled = run(str(tools / "tsc"), *COMPILED, "--skipLibCheck", "snippet.ts", at=program)
    assert compiled == ""
    assert run(node, "snippet.js", at=program, PROXY=address) == "3 true\n"
    assert (flask.get("/index"), flask.runs["index"]) == ("<h1>Tea</h1>", 0)


# -- clients of Redis --------------------------------------------------------------------------------------

CLIENTS = [f"{name}/{protocol}" for name in ("ioredis", "ioredis-6", "redis", "redis-6") for protocol in "23"]


@pytest.fixture(params=[name for name in CLIENTS if name != "ioredis/3"])
def variant(request: pytest.FixtureRequest) -> str:
    """A client and a protocol. Version 5 of ioredis has RESP2 alone."""
    name: str = request.param
    return name


@pytest.fixture(params=["json", "msgpack"])
def client(request: pytest.FixtureRequest, node: str, proxy: ProxyProcess, variant: str) -> Iterator[ClientLibrary]:
    """The package over that client, on a listener of each format."""
    port: Address = {"json": proxy.json, "msgpack": proxy.msgpack}[request.param]
    with at_work(node_program(HERE), address_of(port), request.param, variant) as client:
        yield client.having(library="flask-caching-2.5")


def test_each_client_of_redis(client: ClientLibrary, flask: FlaskApp) -> None:
    view, memo = ["view", "/index"], ["memo", "shop.Cart.total", ["self", "Cart(5)"], [1]]
    tagged = {"raw": {"py/bytes": "/wA="}, "big": 2**70, "set": {"py/set": ["\u2603"]}, "none": None, "half": 1.5}
    for entry in (view, ["query", "/index", "b=1&a=2"], ["fragment", "side", "\xe9"], memo):
        value = "\u2603" if entry[0] == "fragment" else tagged
        with pytest.raises(Miss):
            client.ask("get", entry)
        client.ask("set", entry, value=value, ttl=60)
        assert client.ask("get", entry) in (value, tagged | {"big": {"py/int": str(2**70)}})
        client.ask("delete", entry)
        with pytest.raises(Miss):
            client.ask("get", entry)
        client.ask("set", entry, value="<h1>Tea</h1>", ttl=60)
    assert (flask.get("/index"), flask.runs["index"]) == ("<h1>Tea</h1>", 0)
    client.ask("invalidate", memo)
    with pytest.raises(Miss):
        client.ask("key", memo)
    client.ask("set", memo, value=1, ttl=0.5)
    assert client.ask("invalidate_prefix", text="view//index") == 2
    assert (flask.get("/index"), flask.runs["index"]) == ("foo", 1)
    assert client.ask("get", view) == "foo"
    assert client.ask("invalidate_all") >= 2


def test_check_finds_another_prefix(client: ClientLibrary) -> None:
    for entry in (["view", "/"], ["memo", "shop.total", [1]]):
        client.ask("check", entry)
        with pytest.raises(ClientError, match='the proxy has no rule for the prefix "other_"'):
            client.ask("check", entry, prefix="other_")


def test_check_finds_redis_itself(node: str, redis_server: RedisServer, direct: redis.Redis, variant: str) -> None:
    with at_work(node_program(HERE), str(redis_server.unix), "json", variant) as client:
        before = direct.keys()
        with pytest.raises(
            ClientError, match='stores any bytes under the key "flask_cache_view//": it is Redis itself'
        ):
            client.ask("check", ["view", "/"], library="flask-caching-2.5")
        assert direct.keys() == before
