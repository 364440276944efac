"""A Redis GUI on a plain listener, in a real browser, shows Flask's values as JSON. `npm ci` installs it."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from tests.e2e.conftest import RedisServer
from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.interop.programs import HERE, missing, run

BROWSER = HERE / "browser"
SCREENSHOT = HERE.parent.parent / "docs" / "redis-commander.png"


@dataclass
class Product:
    """What the app caches: an object of a class that no client has."""

    name: str
    price: float
    tags: tuple[str, ...]


class Colour(Enum):
    """Another one."""

    RED = "red"


@pytest.fixture
def plain_proxy(redis_server: RedisServer) -> Iterator[ProxyProcess]:
    """A proxy with one listener, which only reads."""
    proxy = ProxyProcess(["--listen", "plain=127.0.0.1:0", "--upstream", f"unix://{redis_server.unix}"])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


@pytest.fixture
def chromium() -> str:
    """A browser without a window."""
    found = shutil.which("chromium")
    if found is None:
        missing("chromium is not installed")
    return str(found)


@pytest.fixture
def redis_commander(node: str, plain_proxy: ProxyProcess, tmp_path: Path) -> Iterator[str]:
    """The URL of a redis-commander that has the proxy for its Redis."""
    program = BROWSER / "node_modules" / "redis-commander" / "bin" / "redis-commander.js"
    if not program.exists():
        missing("redis-commander is not installed (npm ci in tests/interop/browser)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (host, redis_port), *_ = plain_proxy.addresses("plain")
    where = ["--redis-host", str(host), "--redis-port", str(redis_port), "--address", "127.0.0.1", "--port", str(port)]
    log = tmp_path / "redis-commander.log"
    with log.open("wb") as out:
        command = [node, str(program), "--nosave", "--no-log-data", *where]
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}
        )
    try:
        wait_until(
            lambda: f"Redis Connection {host}:{redis_port}" in log.read_text(), "redis-commander to be connected"
        )
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def test_redis_commander_shows_json(
    node: str, chromium: str, redis_commander: str, flask: FlaskApp, tmp_path: Path
) -> None:
    flask.cache.set("product", Product("Tea", 2.5, ("green", "loose")))
    flask.cache.set("colour", Colour.RED)
    assert flask.get("/index") == "foo"
    screenshot = tmp_path / "screenshot.png"
    expected = {
        "flask_cache_product": {"name": "Tea", "price": 2.5, "tags": ["green", "loose"]},
        "flask_cache_colour": "red",
        "flask_cache_view//index": "foo",
    }
    shown = json.loads(run(node, "look.mjs", chromium, redis_commander, str(screenshot), *expected, at=BROWSER))
    assert {key: json.loads(text) for key, text in shown.items()} == expected
    assert screenshot.read_bytes().startswith(b"\x89PNG")
    if os.environ.get("FCP_RENEW_SCREENSHOT"):
        shutil.copy(screenshot, SCREENSHOT)
