"""The proxy between programs with real clients and a real Redis, and a real Flask app beside it."""

import json
import pickle
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis

from tests.e2e.conftest import RedisServer, direct, flask, proxy
from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import DEADLINE, Address, ProxyProcess
from tests.interop.programs import HERE, missing

__all__ = ["direct", "flask", "proxy"]

LOCK_SCRIPTS = {
    "release": "c3f8721cbb97f72bc19e972846bd7aaf91901658",
    "extend": "a4e8783852e6b949f9ef3a97212805108459a890",
    "reacquire": "1cac51482acf5858da00f6d685d68f886cd6b6b2",
}
"""The SHA1s of the scripts of redis-py's Lock, the same from 5.0 to 8.1."""
REDSYNC_SCRIPTS = (
    "e950836ed1e694540c503ef9972b8de518044d3b",
    "d75bb8b5bd13532ddedd17762e772346e39b321e",
    "b6b55c439e02c6f52ffb8be7ec8c0d0ac816ea79",
)
"""Those of redsync's Mutex: release, extend, and extend with SetNX."""

CONFIG = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
payload = "msgpack"

[upstream]
url = "unix://{redis}"

[[rule]]
keys = "flask_cache_lock:*"
as = "untouched"

[[rule]]
keys = "flask_cache_*"

[guard]
allow_scripts = {scripts}
"""


@pytest.fixture(scope="session")
def shared_proxy(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """One proxy for all of them, which lets locks through. Tests use `proxy`."""
    config = tmp_path_factory.mktemp("proxy") / "config.toml"
    config.write_text(
        CONFIG.format(redis=redis_server.unix, scripts=json.dumps([*LOCK_SCRIPTS.values(), *REDSYNC_SCRIPTS]))
    )
    proxy = ProxyProcess(["--config", str(config)])
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.stop()


def address_of(port: Address) -> str:
    """A port, as programs take it."""
    return f"{port[0]}:{port[1]}"


@pytest.fixture
def address(proxy: ProxyProcess) -> str:
    """The JSON port."""
    return address_of(proxy.json)


@pytest.fixture
def msgpack_address(proxy: ProxyProcess) -> str:
    """The msgpack port."""
    return address_of(proxy.msgpack)


@pytest.fixture(scope="session")
def go_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the Go programs, built."""
    if shutil.which("go") is None:
        missing("go is not installed")
    into = tmp_path_factory.mktemp("go")
    command = ["go", "build", "-o", f"{into}/", "./..."]
    done = subprocess.run(command, cwd=HERE / "go", capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        missing(f"the Go programs do not build (go mod download): {done.stderr}")
    return into


@pytest.fixture(scope="session")
def node() -> str:
    """The node command, its packages installed."""
    found = shutil.which("node")
    if found is None:
        missing("node is not installed")
    elif not (HERE / "node" / "node_modules" / ".package-lock.json").exists():
        missing("the Node packages are not installed (npm ci in tests/interop/node)")
    return str(found)


@pytest.fixture(scope="session")
def java(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The java command with the class path of the programs, compiled; the name of a class follows."""
    if None in map(shutil.which, ("java", "javac", "mvn")):
        missing("a JDK and Maven are not installed")
    into = tmp_path_factory.mktemp("java")
    maven = ("mvn", "-B", "-q", "-o", "dependency:build-classpath", f"-Dmdep.outputFile={into / 'classpath'}")
    done = subprocess.run(maven, cwd=HERE / "java", capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        missing(
            f"the Java libraries are not there (mvn dependency:build-classpath in tests/interop/java): {done.stdout}"
        )
    classpath = (into / "classpath").read_text()
    sources = map(str, sorted((HERE / "java").rglob("*.java")))
    command = ["javac", "-proc:none", "-Xlint:all", "-Werror", "-d", str(into), "-cp", classpath, *sources]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return ("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{into}:{classpath}")


@pytest.fixture
def cached_by_flask(flask: FlaskApp) -> FlaskApp:
    """The app, with some values of its own in the cache."""
    flask.cache.set("from_flask", {"who": "Flask", "n": [1, (2, b"\xff")]})
    flask.cache.set("counter", 41)
    assert flask.get("/index") == "foo"
    return flask


@pytest.fixture
def flask_at_work(cached_by_flask: FlaskApp, redis_server: RedisServer) -> Iterator[FlaskApp]:
    """The same app, while programs may order it to cache something.

    An order is JSON on the list `orders`; once it is done, something is pushed to the list that it names.
    """
    app = cached_by_flask

    def serve() -> None:
        with app.app.app_context(), redis.Redis(unix_socket_path=redis_server.unix) as orders:
            while order := json.loads(orders.blpop(["orders"])[1]):
                app.cache.set(order["key"].removeprefix("flask_cache_"), order["value"])
                orders.rpush(order["answer"], "done")

    worker = threading.Thread(target=serve, name="flask at work", daemon=True)
    worker.start()
    yield app
    with redis.Redis(unix_socket_path=redis_server.unix) as orders:
        orders.rpush("orders", "null")
    worker.join(DEADLINE)
    assert not worker.is_alive()


class Judge(Protocol):
    """Judges what a program has printed."""

    def __call__(self, printed: str) -> Mapping[str, Any]:
        """Check it all; gives back what the program saw."""


@pytest.fixture
def judge(cached_by_flask: FlaskApp, direct: redis.Redis) -> Judge:
    """Checks what a program wrote, in Redis and in the app, and what it read of Flask's."""

    def check(printed: str) -> Mapping[str, Any]:
        report = json.loads(printed)
        assert len(report["wrote"]) >= 100
        for key, payload in report["wrote"].items():
            stored, value = direct.get(key), json.loads(payload)
            if type(value) is int:
                assert stored == b"%d" % value
            else:
                assert stored is not None, key
                assert stored[:1] == b"!"
                assert repr(pickle.loads(stored[1:])) == repr(value)
            assert cached_by_flask.cache.get(key.removeprefix("flask_cache_")) == value
        value, counter = report["seen"]["from_flask"]
        assert json.loads(value) == {"who": "Flask", "n": [1, {"py/tuple": [2, {"py/bytes": "/w=="}]}]}
        assert counter == "41"
        assert report["seen"]["view"] == '"foo"'
        seen: Mapping[str, Any] = report["seen"]
        return seen

    return check
