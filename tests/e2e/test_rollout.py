"""docs/rollout.md: its configurations step by step before a real app, the way back, proxies side by side, its loop."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import RedisServer, StartProxy, client_of, flask
from tests.e2e.flask_app import FlaskApp
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.e2e.wire import Wire

__all__ = ["flask"]

PAGE = (Path(__file__).parents[2] / "docs" / "rollout.md").read_text()


def shown(heading: str, language: str) -> list[str]:
    """The blocks of this language below a heading."""
    part = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    return re.findall(
        rf"^```{language}\n(.*?)^```$", re.split(r"^#", part, flags=re.MULTILINE)[0], re.DOTALL | re.MULTILINE
    )


class Step:
    """A proxy with one of the page's configurations, for the app's own prefix."""

    def __init__(self, start: StartProxy, server: RedisServer, home: Path) -> None:
        self._start = start
        self._server = server
        self._file = home / "config.toml"
        self._proxy: ProxyProcess | None = None

    def take(self, configuration: str) -> ProxyProcess:
        """Start a proxy with it, in place of the one before."""
        text = configuration.replace("127.0.0.1:6380", "127.0.0.1:0").replace("shop_", "flask_cache_")
        self._file.write_text(f'{text}\n[upstream]\nurl = "unix://{self._server.unix}"\n')
        if self._proxy is not None:
            self._proxy.stop()
        self._proxy = self._start("--config", str(self._file))
        return self._proxy


@pytest.fixture
def step(start_proxy: StartProxy, redis_server: RedisServer, tmp_path: Path) -> Step:
    return Step(start_proxy, redis_server, tmp_path)


@pytest.fixture
def app(flask: FlaskApp) -> Iterator[FlaskApp]:
    """The app, with two values of its own."""
    with flask.app.app_context():
        flask.cache.set("title", ("Tea", 1))
        flask.cache.set("prices_tea", 2.5)
        yield flask


class TestTheSteps:
    def test_to_read_as_natural_types(self, step: Step, app: FlaskApp) -> None:
        plain, _ = shown("2. Read", "toml")
        proxy = step.take(plain)
        (address,) = proxy.addresses("plain")
        with Wire(address) as wire:
            assert wire("GET", "flask_cache_title") == b'$9\r\n["Tea",1]\r\n'
            assert wire("SET", "flask_cache_title", "1").startswith(b"-ERR flask-cache-proxy: ")
        assert app.cache.get("title") == ("Tea", 1)

    def test_to_read_as_what_will_be_written(self, step: Step, app: FlaskApp) -> None:
        _, read_only = shown("2. Read", "toml")
        with Wire(step.take(read_only).json) as wire:
            assert wire("GET", "flask_cache_title") == b'$22\r\n{"py/tuple":["Tea",1]}\r\n'
            for words in (("SET", "flask_cache_title", "1"), ("DEL", "flask_cache_title"), ("INCR", "flask_cache_n")):
                assert wire(*words).startswith(b"-ERR flask-cache-proxy: "), words
        assert app.cache.get("title") == ("Tea", 1)

    def test_to_write_what_one_producer_owns_and_back(self, step: Step, app: FlaskApp) -> None:
        (write,) = shown("3. Write", "toml")
        proxy = step.take(write)
        with Wire(proxy.json) as wire:
            assert wire("SET", "flask_cache_prices_tea", '{"now": 3.5}', "EX", "60") == b"+OK\r\n"
            assert wire("SET", "flask_cache_title", "1").startswith(b"-ERR flask-cache-proxy: ")
        assert app.cache.get("prices_tea") == {"now": 3.5}
        assert app.cache.get("title") == ("Tea", 1)
        proxy.stop()
        assert app.cache.get("prices_tea") == {"now": 3.5}
        app.cache.set("prices_tea", 4)
        assert app.cache.get("prices_tea") == 4


def test_proxies_side_by_side_read_what_the_others_wrote(start_proxy: StartProxy, app: FlaskApp) -> None:
    """Two engines and several workers stand for two versions. Released versions do not exist yet."""
    proxies = [
        start_proxy(env={"FLASK_CACHE_PROXY_SERVER_WORKERS": workers, "FLASK_CACHE_PROXY_ENGINE": engine})
        for workers, engine in (("1", "python"), ("2", os.environ.get("FLASK_CACHE_PROXY_ENGINE", "native")))
    ]
    value = '{"py/dict":[[1,{"py/set":["x"]}]]}'
    for writer in proxies:
        with client_of(writer.json) as client:
            assert client.set("flask_cache_shared", value)
        for reader in proxies:
            with client_of(reader.json) as client:
                assert client.get("flask_cache_shared") == value.encode()
        assert app.cache.get("shared") == {1: {"x"}}


def test_the_acl_of_the_sentinels_user_is_enough_and_no_more() -> None:
    (line,) = shown("Of Sentinel", "redis")
    assert line.split()[-2:] == ["resetchannels", "+sentinel|master"]  # tests/e2e/test_sentinel.py has this user


def test_a_users_passwords_overlap_at_redis(redis_server: RedisServer, direct: redis.Redis) -> None:
    add, remove = shown("Of the proxy at Redis", "redis")[0].splitlines()

    def logs_in(password: str) -> bool:
        try:
            with redis.Redis(
                unix_socket_path=redis_server.unix, username="flask-cache-proxy", password=password
            ) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return False

    direct.execute_command("ACL", "SETUSER", "flask-cache-proxy", "on", ">OLD-SECRET", "+ping")
    try:
        direct.execute_command(*add.split())
        assert logs_in("OLD-SECRET")
        assert logs_in("NEW-SECRET")
        direct.execute_command(*remove.split())
        assert not logs_in("OLD-SECRET")
        assert logs_in("NEW-SECRET")
    finally:
        direct.execute_command("ACL", "DELUSER", "flask-cache-proxy")


def test_the_loop_writes_each_token_whole_and_for_the_proxy_alone(tmp_path: Path) -> None:
    (loop,) = shown("Tokens of a cloud", "sh")
    tools, file, count = tmp_path / "bin", tmp_path / "token", tmp_path / "count"
    tools.mkdir()
    for name, script in {
        "gcloud": f'test "$*" = "auth print-access-token" && echo x >> "{count}" && wc -l < "{count}"',
        "sleep": "exec /bin/sleep 0.01",
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TOKEN_FILE": str(file)}
    process = subprocess.Popen(["sh", "-c", loop], env=env, start_new_session=True)
    try:
        wait_until(lambda: file.exists() and int(file.read_text()) > 3, "some tokens")
        assert file.stat().st_mode & 0o777 == 0o600
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
