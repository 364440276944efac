"""The demo: a Redis, the proxy, a Flask app and a producer run for real. Each step is printed and checked."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click
import redis
from flask import Flask
from flask_caching import Cache

from proxy.config.printable import printable
from proxy.upstream.embedded import EmbeddedRedis, EmbeddedRedisError

_START_TIMEOUT: Final = 60.0
_GREETING: Final = "Hello from the producer"


class DemoError(Exception):
    """A step had the wrong result."""


def run() -> int:
    """Run the demo. Returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the started processes end too
    try:
        with (
            EmbeddedRedis() as server,
            _proxy(server.path) as proxy_path,
            server.client() as direct,
            redis.Redis(unix_socket_path=proxy_path, decode_responses=True) as producer,
        ):
            _show(server, direct, producer)
    except (DemoError, EmbeddedRedisError, redis.RedisError) as error:
        click.secho(f"\nThe demo failed: {printable(str(error))}", fg="red", err=True)
        return 1
    except KeyboardInterrupt:
        click.echo("\nInterrupted.", err=True)
        return 1
    click.secho(
        f"\nAll steps worked. Next, with the CACHE_KEY_PREFIX of your app: {_called()} serve --prefix shop_", fg="green"
    )
    return 0


def _called() -> str:
    """The name of this program as the user typed it. It may not be on the PATH."""
    return sys.argv[0] if Path(sys.argv[0]).name == "flask-cache-proxy" else "flask-cache-proxy"


@contextmanager
def _proxy(redis_path: str) -> Iterator[str]:
    """Run the proxy in a process. Yields the path of its JSON listener's unix socket."""
    with tempfile.TemporaryDirectory(prefix="flask-cache-proxy-") as directory:
        path = str(Path(directory) / "json.sock")
        command = [sys.executable, "-m", "proxy", "serve", "--log-level", "warning"]
        command += ["--listen", f"json=unix:{path}", "--upstream", f"unix://{redis_path}"]
        process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 (this program)
        try:
            _wait(process, path)
            yield path
        finally:
            process.terminate()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", path: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            with redis.Redis(unix_socket_path=path) as client:
                client.ping()
                return
        except redis.ConnectionError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"the proxy did not start: {error}") from None
            time.sleep(0.02)


class _App:
    """A small Flask-Caching app that counts how often its views run."""

    def __init__(self, redis_path: str) -> None:
        self.runs = 0
        app = Flask("demo")
        cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"unix://{redis_path}"})

        @app.get("/index")
        @cache.cached(timeout=60)
        def index() -> str:
            self.runs += 1
            return "made by the view itself"

        @app.get("/product")
        @cache.cached(timeout=60)
        def product() -> dict[str, Any]:
            self.runs += 1
            return {"name": "kettle", "price": 29.5, "tags": ["kitchen", "new"]}

        self._client = app.test_client()

    def get(self, path: str) -> tuple[str, str, int]:
        """Request a path. Returns the body, its content type and the number of view calls."""
        before = self.runs
        response = self._client.get(path)
        return response.get_data(as_text=True).strip(), response.content_type, self.runs - before


def _show(server: EmbeddedRedis, direct: "redis.Redis", producer: "redis.Redis") -> None:
    app = _App(server.path)
    parts = f"{server.version}, Flask-Caching {version('flask-caching')}"
    click.secho(f"flask-cache-proxy {version('flask-cache-proxy')}, {parts}\n", bold=True)

    key, payload = "flask_cache_view//index", f'"{_GREETING}"'
    _say("1. A producer writes JSON through the proxy, with an ordinary Redis client")
    written = producer.set(key, payload, ex=60)
    _line(f"SET {key} '{payload}' EX 60", "OK" if written else "nothing was written")

    _say("2. Redis holds the bytes that Flask itself would have stored")
    stored = direct.get(key)
    _line(f"GET {key}", repr(stored))
    _check(isinstance(stored, bytes) and stored.startswith(b"!") and _GREETING.encode() in stored, "not a pickle")

    _say("3. Flask serves it, and does not run the view")
    body, content_type, runs = app.get("/index")
    _line("GET /index", f"{body!r} ({content_type}; the view ran {runs} times)")
    _check((body, runs) == (_GREETING, 0), "Flask did not serve the producer's value")

    key = "flask_cache_view//product"
    _say("4. Another view runs once, and Flask caches its result")
    body, _, runs = app.get("/product")
    _line("GET /product", f"{body} (the view ran {runs} time)")
    stored = direct.get(key)
    _line(f"GET {key}", f"{stored!r:.70}...")
    _check(runs == 1 and isinstance(stored, bytes), "Flask did not cache the view")

    _say("5. The producer reads this result through the proxy, as JSON")
    read = producer.get(key)
    _line(f"GET {key}", str(read))
    _check(read == '{"name":"kettle","price":29.5,"tags":["kitchen","new"]}', "the proxy did not decode it")


def _say(text: str) -> None:
    click.secho(text, fg="cyan")


def _line(sent: str, received: str) -> None:
    click.echo(f"     {sent}\n       -> {received}")


def _check(condition: bool, otherwise: str) -> None:
    if not condition:
        raise DemoError(otherwise)
