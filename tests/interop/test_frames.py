"""docs/frames.md: its app caches frames with a real pandas, and its programs read them and print what it says."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from proxy.cli import main
from tests.codec.frames import builders as b
from tests.codec.pickles import MEGABYTE, binary
from tests.e2e.conftest import RedisServer, client_of
from tests.e2e.proxy_process import ProxyProcess
from tests.environments import UnavailableError, python_of
from tests.interop.conftest import address_of
from tests.interop.documents import Document, go_module, promises
from tests.interop.programs import HERE, missing, run
from tests.stacks.environments import FRAMES

DOCUMENT = Document("frames.md")
PRINTED = DOCUMENT.code("text")
APP, LOADS = DOCUMENT.code("python").split("# Back to pandas\n")
CALLED = """
import shop
answer = shop.app.test_client().post("/callback", json={"session": "7", "city": "Berlin"})
assert (answer.status_code, answer.json) == (200, {"rows": 3})
"""


@pytest.fixture(scope="module")
def documented(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """A proxy with the listeners and the rule of the document, and a rule with the limits of all."""
    config = tmp_path_factory.mktemp("frames") / "config.toml"
    listeners = DOCUMENT.code("toml").replace("127.0.0.1:6380", "127.0.0.1:0").replace("127.0.0.1:6382", "127.0.0.1:0")
    upstream = f'[upstream]\nurl = "unix://{redis_server.unix}"\n'
    config.write_text(f'{listeners}\n[[rule]]\nkeys = "others_*"\n{upstream}')
    proxy = ProxyProcess(["--config", str(config)])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture(scope="module")
def shop() -> Path:
    """The interpreter of an environment with the newest pandas."""
    try:
        return python_of(FRAMES[-1])
    except UnavailableError as error:
        missing(str(error))
        raise


@pytest.fixture
def cached(
    documented: ProxyProcess, shop: Path, redis_server: RedisServer, direct: redis.Redis, tmp_path: Path
) -> dict[str, str]:
    """The environment of the programs, once the app has cached what it caches in the document."""
    direct.flushall()
    (tmp_path / "shop.py").write_text(APP)
    run(str(shop), "-W", "ignore", "-c", CALLED, at=tmp_path, REDIS=f"unix://{redis_server.unix}")
    command = ["key", "memoize", "shop.stock", '"Berlin"', "--upstream", f"unix://{redis_server.unix}"]
    assert f"`flask-cache-proxy {' '.join(command[:3])} '{command[3]}'`" in DOCUMENT.text
    told = CliRunner().invoke(main, command)
    assert told.exit_code == 0, told.output
    plain = address_of(documented.addresses("plain")[0])
    return {"STOCK": told.output.strip(), "PLAIN": plain, "TAGGED": address_of(documented.json)}


def test_go_reads_rows_and_columns(cached: dict[str, str], tmp_path: Path) -> None:
    go = go_module(tmp_path, {"main.go": DOCUMENT.code("go")})
    assert run(go, "run", ".", at=tmp_path, **cached) == PRINTED


def test_typescript_reads_rows_and_columns(cached: dict[str, str], node: str, tmp_path: Path) -> None:
    packages = HERE / "node" / "node_modules"
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "program.mts").write_text(DOCUMENT.code("ts"))
    compiler = packages / "typescript" / "bin" / "tsc"
    options = ("--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck")
    run(node, str(compiler), *options, "program.mts", at=tmp_path)
    assert run(node, "program.mjs", at=tmp_path, **cached) == PRINTED


def test_python_makes_the_frame_again(cached: dict[str, str], shop: Path, redis_server: RedisServer) -> None:
    paths = {"PYTHONPATH": str(HERE.parent.parent), "REDIS": f"unix://{redis_server.unix}"}
    printed = run(str(shop), "-W", "ignore", "-c", LOADS, **paths, **cached)
    assert printed.splitlines() == list(promises(LOADS, "#"))


def test_a_rule_with_larger_limits_reads_what_another_may_not(
    documented: ProxyProcess, redis_server: RedisServer
) -> None:
    """Through the converter, and beyond the bytes that are buffered for a client otherwise."""
    many = b"!" + b.array(b.dtype("b1", "|"), (300_000,), binary(b"\1" * 300_000)) + b"."
    long = b"!" + pickle.dumps("x" * 17 * MEGABYTE)
    with redis.Redis(unix_socket_path=redis_server.unix) as client:
        for key in ("flask_cache_", "others_"):
            client.mset({f"{key}many": many, f"{key}long": long})
    with client_of(documented.json) as client:
        assert json.loads(client.get("flask_cache_many"))["py/ndarray"]["values"] == [True] * 300_000
        assert len(client.get("flask_cache_long")) == 17 * MEGABYTE + 2
        for name, limit in (("many", "nodes"), ("long", "decoded_bytes")):
            with pytest.raises(redis.ResponseError, match=rf"\[limits\] {limit}"):
                client.get(f"others_{name}")
