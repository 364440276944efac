"""The log, the metrics and the ring of refusals, with real clients: who was refused what, and why."""

import os
import re
import signal
from pathlib import Path

import pytest
import redis

from tests.e2e.admin import ask
from tests.e2e.conftest import StartProxy
from tests.e2e.proxy_process import ProxyProcess
from tests.e2e.test_tls import listener, new_authority
from tests.e2e.wire import Wire

KEY = "flask_cache_secret"


@pytest.fixture(params=[1, 2], ids=["alone", "workers"])
def count(request: pytest.FixtureRequest) -> int:
    return int(request.param)


class Observed:
    """A proxy with an admin port."""

    def __init__(self, start: StartProxy, home: Path, workers: int, *arguments: str) -> None:
        self.admin = str(home / "admin.sock")
        env = {"ADMIN_BIND": f"unix:{self.admin}", "SERVER_WORKERS": str(workers)}
        self.proxy: ProxyProcess = start(
            *arguments, env={f"FLASK_CACHE_PROXY_{name}": value for name, value in env.items()}
        )

    def metrics(self) -> dict[str, float]:
        rows = ask(self.admin, "GET /metrics")[2].splitlines()
        found = {name: float(value) for name, value in (row.rsplit(" ", 1) for row in rows if row[0] != "#")}
        return {name.removeprefix("flask_cache_proxy_"): value for name, value in found.items()}


def test_the_log_says_who_was_refused_and_why(start_proxy: StartProxy, tmp_path: Path, count: int) -> None:
    proxy = Observed(start_proxy, tmp_path, count).proxy
    with Wire(proxy.json) as client:
        port = client.socket.getsockname()[1]
        assert client("HELLO", "3", "SETNAME", 'check"out').startswith(b"%")
        assert client("HSET", KEY, "secret", "secret").startswith(b"-ERR flask-cache-proxy")
        proxy.wait_for_line(rf'refused HSET of 127\.0\.0\.1:{port} "check\\"out" under flask_cache_\*: stored_bytes \(')
        assert client("CLIENT", "SETNAME", "a b").startswith(b"-ERR")
        assert client("CLIENT", "SETNAME", "other") == b"+OK\r\n"
        assert client("SET", KEY, "{secret").startswith(b"-ERR flask-cache-proxy")
        proxy.wait_for_line(rf'refused SET of 127\.0\.0\.1:{port} "other" under flask_cache_\*: invalid_payload \(')
        assert client("RESET") == b"+RESET\r\n"
        assert client("SECRET", "secret").startswith(b"-ERR unknown command")
        assert client("CONFIG", "SET", "secret", "x").startswith(b"-ERR flask-cache-proxy")
        proxy.wait_for_line(rf"refused CONFIG\|SET of 127\.0\.0\.1:{port}: guard \(")
    assert not [line for line in proxy.lines if "secret" in line.lower()]


def test_a_client_on_a_unix_socket_is_known_by_its_process(start: StartProxy, tmp_path: Path) -> None:
    address = str(tmp_path / "proxy.sock")
    proxy = start("--listen", f"json=unix:{address}")
    with Wire(address) as client:
        client("SYNC")
        proxy.wait_for_line(rf"refused SYNC of unix pid {os.getpid()} uid {os.getuid()}: never \(")


def test_a_client_that_is_refused_in_a_loop_does_not_fill_the_log(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = Observed(start_proxy, tmp_path, 1).proxy
    with Wire(proxy.json) as client:
        for _ in range(200):
            client("SYNC")
        assert sum("refused SYNC" in line for line in proxy.lines) <= 10  # the period may have changed in between
    proxy.stop()
    left_out = sum(int(found[1]) for line in proxy.lines if (found := re.search(r"(\d+) refusals of the last", line)))
    assert left_out + sum("refused SYNC" in line for line in proxy.lines) == 200


def test_the_metrics_say_how_good_the_cache_is(
    start_proxy: StartProxy, direct: redis.Redis, tmp_path: Path, count: int
) -> None:
    observed = Observed(start_proxy, tmp_path, count)
    direct.set(f"{KEY}_bad", b"!no pickle")
    with Wire(observed.proxy.json) as one, Wire(observed.proxy.json) as two:
        for client in (one, two):
            client("SET", KEY, "[1]")
            client("SET", "other", "[1]")
            client("GET", KEY)
            client("MGET", KEY, f"{KEY}_none", "other", "none")
            client("MULTI")
            client("GET", f"{KEY}_none")
            client("GET", KEY)
            client("EXEC")
            client("GET", f"{KEY}_bad")
            client("SET", KEY, "no")
            client("APPEND", KEY, "x")
        seen = observed.metrics()
    rule = 'rule="flask_cache_*"'
    expected = {
        f"hits_total{{{rule}}}": 6,
        f"misses_total{{{rule}}}": 4,
        "managed_commands_total": 16,
        "untouched_commands_total": 2,
        'refused_commands_total{command="APPEND",reason="stored_bytes"}': 2,
        'refused_commands_total{command="SET",reason="invalid_payload"}': 2,
        f'transcoding_failures_total{{direction="decode",payload="json",reason="invalid",{rule}}}': 2,
        f'transcoding_failures_total{{direction="encode",payload="json",reason="invalid",{rule}}}': 2,
        "config_last_reload_successful": 1,
    }
    assert {name: seen.get(name) for name in expected} == expected


def test_values_of_the_converter_count_by_the_limit_too(start_proxy: StartProxy, tmp_path: Path) -> None:
    observed = Observed(start_proxy, tmp_path, 1)
    with Wire(observed.proxy.json) as client:
        assert b"[limits] nodes" in client("SET", KEY, "[" + "1," * 1_100_000 + "1]")
    label = 'direction="encode",payload="json",reason="nodes",rule="flask_cache_*"'
    assert observed.metrics()[f"transcoding_failures_total{{{label}}}"] == 1


def test_the_metrics_say_whether_the_last_reload_was_good(start_proxy: StartProxy, tmp_path: Path, count: int) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    observed = Observed(start_proxy, tmp_path, count, "--config", str(file), "--listen", "json=127.0.0.1:0")
    proxy = observed.proxy

    def reload(text: str, line: str) -> dict[str, float]:
        file.write_text(text)
        seen = len(proxy.lines)
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line(line, seen)
        return observed.metrics()

    when = "config_last_reload_success_timestamp_seconds"
    started = observed.metrics()[when]
    proxy.expect("nothing was reloaded")
    failed = reload("[limits]\ndepth = 'x'\n", "nothing was reloaded")
    assert (failed["config_last_reload_successful"], failed[when]) == (0, started)
    good = reload("[limits]\ndepth = 20\n", "reloaded: ")
    assert good["config_last_reload_successful"] == 1
    assert started < good[when]


def test_the_metrics_say_when_certificates_expire(start_proxy: StartProxy, tmp_path: Path, count: int) -> None:
    ours = new_authority(tmp_path / "ours")
    file = tmp_path / "config.toml"
    file.write_text('[[listener]]\nbind = "127.0.0.1:0"\n' + listener(*ours.issue("proxy", "127.0.0.1")))
    observed = Observed(start_proxy, tmp_path, count, "--config", str(file))
    found = {name: value for name, value in observed.metrics().items() if name.startswith("tls_certificate_expiry")}
    [(name, expiry)] = found.items()
    assert name == 'tls_certificate_expiry_timestamp_seconds{listener="2",side="client"}'
    assert expiry > observed.metrics()["process_start_time_seconds"]
