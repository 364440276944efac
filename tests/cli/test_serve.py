"""The command line, as a stranger meets it."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.cli.serve import _connections
from proxy.config import Settings, Upstream


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, args)
    return result.exit_code, result.output


def test_help_says_what_it_is_and_how_to_try_it() -> None:
    code, text = run("--help")
    assert code == 0
    assert "flask-cache-proxy demo" in text
    for command in ("serve", "check", "demo"):
        assert re.search(rf"^  {command}\s+\S", text, re.MULTILINE)


def test_version_is_the_packages() -> None:
    from importlib.metadata import version

    words = run("--version")[1].split()
    assert words[:3] == ["flask-cache-proxy,", "version", version("flask-cache-proxy")]


def test_check_prints_the_effective_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[[rule]]\nkeys = "shop_*"\n')
    code, text = run("check", "--config", str(file), "--listen", "msgpack=127.0.0.1:7000")
    assert code == 0
    assert 'keys = "shop_*"' in text
    assert 'payload = "msgpack"' in text


def test_check_prints_every_error_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[limits]\ndepth = "deep"\nnode = 1\n[upstream]\nurl = "http://x"\n')
    code, text = run("check", "--config", str(file))
    assert code == 2
    for key in ("limits.depth", "limits.node", "upstream.url"):
        assert key in text
    assert str(file) in text


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    code, text = run("check", "--upstream", "redis://:secret@h")
    assert code == 2
    assert "upstream.password_file" in text
    assert "FLASK_CACHE_PROXY_UPSTREAM_PASSWORD" in text
    assert "secret" not in text


def test_serve_without_a_file_that_was_named_says_so() -> None:
    code, text = run("serve", "--config", "/no/such/file.toml")
    assert code == 2
    assert "/no/such/file.toml" in text


def test_a_socket_in_a_directory_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    code, text = run("serve", "--listen", f"unix:{tmp_path}/absent/json.sock", "--log-level", "error")
    assert code == 2
    assert text.endswith(f"/json.sock: there is no directory {tmp_path}/absent\n")


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, text = run("serve", "--listen", f"127.0.0.1:{port}", "--log-level", "error")
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use. Is another " in text


@pytest.mark.parametrize(
    ("url", "connections", "told"),
    [
        ("redis://a", "per-client", "each client gets a connection to"),
        ("redis://a", 1, "clients share a connection to"),
        ("redis://a", 2, "clients share 2 connections to"),
        ("redis-cluster://a", "per-client", "each client gets a connection to each node that it uses of"),
        ("redis-cluster://a", 1, "clients share a connection to each node of"),
        ("redis-cluster://a", 2, "clients share 2 connections to each node of"),
    ],
)
def test_the_start_tells_how_clients_are_connected(url: str, connections: Any, told: str) -> None:
    assert _connections(Settings(upstream=Upstream(url=url, connections=connections))) == told
