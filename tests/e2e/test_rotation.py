"""Rotation of passwords: those of clients with an overlap, on HUP, and that of the proxy at Redis without a signal."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.conftest import PrivateRedis, RedisServer, StartProxy, client_of
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire

Connect = Callable[[Address], Wire]
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3], ids=["RESP2", "RESP3"])


def lets_in(proxy: ProxyProcess, password: str, protocol: int) -> bool:
    """Whether a stock client gets in: redis-py sends AUTH in RESP2, and HELLO with AUTH in RESP3."""
    try:
        with client_of(proxy.json, password=password, protocol=protocol) as client:
            return bool(client.ping())
    except redis.AuthenticationError:
        return False


class TestOfClients:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "passwords"
        file.write_bytes(b"old\n")
        return file

    @pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
    def proxy(
        self,
        request: pytest.FixtureRequest,
        start_proxy: StartProxy,
        redis_server: RedisServer,
        tmp_path: Path,
        file: Path,
    ) -> ProxyProcess:
        config = tmp_path / "config.toml"
        url = f"unix://{redis_server.unix}"
        config.write_text(f'[[listener]]\nbind = "127.0.0.1:0"\npassword_file = "{file}"\n[upstream]\nurl = "{url}"\n')
        return start_proxy("--config", str(config), env={"FLASK_CACHE_PROXY_SERVER_WORKERS": request.param})

    def change(self, proxy: ProxyProcess, file: Path, content: bytes, answer: str = "reloaded: ") -> None:
        file.write_bytes(content)
        seen = len(proxy.lines)
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line(answer, seen)

    @PROTOCOLS
    def test_both_are_right_during_the_overlap_and_nobody_is_closed(
        self, proxy: ProxyProcess, file: Path, protocol: int
    ) -> None:
        how: dict[str, Any] = {"protocol": protocol, "single_connection_client": True}
        with client_of(proxy.json, password="old", **how) as early:
            own = early.client_id()
            assert not lets_in(proxy, "new word ", protocol)
            self.change(proxy, file, b"old\r\nnew word \r\n\r\n")
            with client_of(proxy.json, password="new word ", **how) as late:
                late_id = late.client_id()
                assert lets_in(proxy, "old", protocol)
                self.change(proxy, file, b"\nnew word \n")
                assert not lets_in(proxy, "old", protocol)
                assert not lets_in(proxy, "new word", protocol)
                assert lets_in(proxy, "new word ", protocol)
                assert [early.client_id(), late.client_id()] == [own, late_id]

    def test_a_blank_line_is_no_password(self, proxy: ProxyProcess, file: Path, connect: Connect) -> None:
        self.change(proxy, file, b"\n \n\t\r\nold\n\n")
        for blank in ("", " ", "\t", "\t\r", "\n"):
            client = connect(proxy.json)
            assert client("AUTH", blank) == WRONG
            assert client("HELLO", "3", "AUTH", "default", blank) == WRONG
            assert client("PING").startswith(b"-NOAUTH")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"\r\n \n", "has no password: write one in each line"), (b"x\n" * 9, "has 9 passwords, .* at most 8")],
    )
    def test_a_file_that_is_wrong_changes_nothing(
        self, proxy: ProxyProcess, file: Path, content: bytes, reason: str
    ) -> None:
        proxy.expect(f"nothing was reloaded, .*the password file {file} {reason}")
        self.change(proxy, file, content, "nothing was reloaded")
        assert lets_in(proxy, "old", 2)


def test_a_file_that_is_wrong_ends_the_start(start_proxy: StartProxy, tmp_path: Path) -> None:
    (file := tmp_path / "passwords").write_text("\n")
    config = tmp_path / "config.toml"
    config.write_text(f'[[listener]]\nbind = "127.0.0.1:0"\npassword_file = "{file}"\n')
    proxy = start_proxy("--config", str(config), ready=False)
    proxy.expect(f"^the password file {file} has no password")
    assert proxy.wait() == 2


class TestOfTheProxyAtRedis:
    """As with tokens of a cloud's IAM: something writes a new one into the file before the old one ends."""

    @pytest.fixture
    def server(self, private_redis: PrivateRedis) -> PrivateRedis:
        private_redis.start("--requirepass", "token-1")
        return private_redis

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "token"
        file.write_text("token-1\n")
        return file

    @pytest.fixture
    def proxy(self, start_proxy: StartProxy, server: PrivateRedis, file: Path, tmp_path: Path) -> ProxyProcess:
        listener = ("--listen", f"json=unix:{tmp_path / 'proxy.sock'}")
        env = {"FLASK_CACHE_PROXY_UPSTREAM_PASSWORD_FILE": str(file)}
        return start_proxy(*listener, "--upstream", f"unix://{server.unix}", env=env)

    def test_each_new_connection_uses_the_token_of_now(
        self, proxy: ProxyProcess, server: PrivateRedis, file: Path, connect: Connect
    ) -> None:
        early = connect(proxy.json)
        assert early("SET", "flask_cache_a", "1") == b"+OK\r\n"
        with redis.Redis(unix_socket_path=server.unix, password="token-1") as administrator:
            administrator.config_set("requirepass", "token-2")
        proxy.expect("Redis refused the proxy's own login")
        assert b"WRONGPASS" in connect(proxy.json)("PING")
        file.write_text("\ntoken-2\r\n")
        assert connect(proxy.json)("GET", "flask_cache_a") == b"$1\r\n1\r\n"
        assert early("GET", "flask_cache_a") == b"$1\r\n1\r\n"

    @pytest.mark.parametrize("content", ["token-1\ntoken-2\n", "\n"])
    def test_a_file_that_has_not_one_line_is_an_error_at_the_dial(
        self, proxy: ProxyProcess, file: Path, connect: Connect, content: str
    ) -> None:
        file.write_text(content)
        proxy.expect(f"ERROR +the password file {file} has ")
        proxy.expect("the proxy cannot log in to Redis: it has no password")
        said = connect(proxy.json)("PING")
        assert (
            said
            == b"-ERR flask-cache-proxy: the proxy cannot log in to Redis: it has no password, and its log says why\r\n"
        )
