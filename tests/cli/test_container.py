"""Hints for a container that nothing outside reaches, and defaults that an image changes."""

import os
import signal
import sys
from pathlib import Path

import pytest

from proxy.cli import container
from proxy.config import Flags, Settings, load
from tests.cli.conftest import Run
from tests.e2e.conftest import StartProxy, start_proxy

__all__ = ["start_proxy"]


def hints(*listen: str, upstream: str = "redis://redis:6379") -> list[str]:
    return list(container.hints(load(None, {}, Flags(listen=listen, upstream=upstream))))


class TestInside:
    @pytest.fixture
    def mark(self, tmp_path: Path) -> str:
        """The path of a file as an engine makes it."""
        (tmp_path / ".dockerenv").touch()
        return str(tmp_path / ".dockerenv")

    def test_an_engine_leaves_a_file(self, mark: str) -> None:
        assert container.is_inside({}, [f"{mark}.none", mark], pid=7)

    def test_process_1_is_in_one_too(self, mark: str) -> None:
        assert container.is_inside({}, [f"{mark}.none"], pid=1)
        assert not container.is_inside({}, [f"{mark}.none"], pid=7)

    def test_containers_of_a_pod_share_the_loopback_interface(self, mark: str) -> None:
        assert not container.is_inside({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, [mark], pid=1)


class TestHints:
    def test_the_defaults_reach_nothing(self) -> None:
        clients, redis = container.hints(Settings())
        assert clients.startswith("only this container reaches 127.0.0.1:6380: ")
        assert "set FLASK_CACHE_PROXY_LISTEN=0.0.0.0:6380," in clients
        assert redis.startswith("127.0.0.1:6379 is in this container: ")
        assert "FLASK_CACHE_PROXY_UPSTREAM_URL" in redis

    @pytest.mark.parametrize(
        ("listen", "to_set"),
        [
            (["localhost:1"], "0.0.0.0:1"),
            (["[::1]:2"], "[::]:2"),
            (["127.8.9.1:1", "msgpack=127.0.0.1:2", "plain=[::1]:3"], "0.0.0.0:1,msgpack=0.0.0.0:2,plain=[::]:3"),
        ],
    )
    def test_what_to_set_is_valid_and_keeps_the_forms(self, listen: list[str], to_set: str) -> None:
        (hint,) = hints(*listen)
        assert f"FLASK_CACHE_PROXY_LISTEN={to_set}," in hint
        opened = load(None, {"FLASK_CACHE_PROXY_LISTEN": to_set}, Flags()).listener
        given = load(None, {}, Flags(listen=tuple(listen))).listener
        assert [each.form for each in opened] == [each.form for each in given]

    @pytest.mark.parametrize(
        "listen",
        [["0.0.0.0:1"], ["[::]:1"], ["cache.internal:1"], ["unix:/run/x.sock"], ["127.0.0.1:1", "plain=0.0.0.0:2"]],
        ids=lambda listen: listen[-1],
    )
    def test_one_listener_in_reach_is_enough(self, listen: list[str]) -> None:
        assert hints(*listen) == []

    @pytest.mark.parametrize("upstream", ["redis://10.0.0.1", "unix:///run/redis.sock", "embedded"])
    def test_a_redis_in_reach_needs_no_words(self, upstream: str) -> None:
        assert hints("0.0.0.0:1", upstream=upstream) == []


def test_the_start_says_it_in_a_container_only(start_proxy: StartProxy) -> None:
    """The test may itself run in a container, so both answers are right, each in its place."""
    proxy = start_proxy()
    told = [line for line in proxy.lines if "only this container reaches" in line]
    assert len(told) == container.is_inside(os.environ, pid=proxy.pid)


def test_defaults_stand_before_any_command(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[admin]\nbind = "127.0.0.1:7"\n')
    default = ("--default", "admin.bind=127.0.0.1:9380")
    assert 'bind = "127.0.0.1:9380"' in run(*default, "check").text
    assert 'bind = "127.0.0.1:7"' in run(*default, "check", "-c", str(file)).text
    done = run("--default", "upstream.url=redis://127.0.0.1:1", "scan", env={"FLASK_CACHE_PROXY_UPSTREAM_URL": ""})
    assert "cannot reach Redis at 127.0.0.1:1" in done.err


def test_a_reload_keeps_them(start_proxy: StartProxy, tmp_path: Path) -> None:
    """Otherwise HUP would say that [admin] had changed, which is a warning."""
    file = tmp_path / "config.toml"
    file.write_text(f'[[listener]]\nbind = "unix:{tmp_path}/data.sock"\n')
    command = [sys.executable, "-W", "error", "-m", "proxy", "--default", f"admin.bind=unix:{tmp_path}/admin.sock"]
    proxy = start_proxy("--config", str(file), command=[*command, "serve"])
    proxy.process.send_signal(signal.SIGHUP)
    proxy.wait_for_line("reloaded")
