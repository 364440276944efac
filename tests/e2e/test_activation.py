"""Sockets of systemd: the proxy serves them, and a restart leaves no gap in which clients are refused."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.e2e.activation import Activator
from tests.e2e.conftest import RedisServer, StartProxy, client_of
from tests.e2e.proxy_process import Address, ProxyProcess, children, wait_until
from tests.e2e.test_sentinel import free_port
from tests.e2e.wire import Wire, pipeline

Connect = Callable[[Address], Wire]
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])
LARGE = json.dumps(["x" * 100] * 12_000)


@pytest.fixture
def activator() -> Iterator[Activator]:
    with Activator() as activator:
        yield activator


def started(
    start_proxy: StartProxy, activator: Activator, *arguments: str, workers: str = "1", **how: bool
) -> ProxyProcess:
    passed = activator.how()
    env = {**passed.pop("env"), "FLASK_CACHE_PROXY_SERVER_WORKERS": workers}
    return start_proxy(*arguments, env=env, **passed, **how)


def descendants(pid: int) -> list[int]:
    return [found for child in children(pid) for found in (child, *descendants(child))]


def listening_inodes(pid: int, *addresses: Address) -> set[str]:
    """The TCP sockets at these addresses that a process has open."""
    ports = {f":{address[1]:04X}" for address in addresses if not isinstance(address, str)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1][-5:] in ports}
    return inodes & {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}


@WORKERS
def test_each_socket_has_its_listener_by_name(
    start_proxy: StartProxy, activator: Activator, direct: redis.Redis, tmp_path: Path, workers: str
) -> None:
    msgpack, several, file = activator.tcp("b"), activator.tcp("a"), activator.unix("a", tmp_path / "s")
    listeners = ("--listen", "fd:a", "--listen", "msgpack=fd:b")
    proxy = started(start_proxy, activator, *listeners, workers=workers)
    assert proxy.addresses("json") == [several, file]
    assert proxy.addresses("msgpack") == [msgpack]
    for address, payload in ((several, b"1"), (file, b"2"), (msgpack, b"\x03")):
        with client_of(address) as client:
            assert client.set("flask_cache_a", payload)
        assert direct.get("flask_cache_a") == b"%d" % (payload[0] & 0xF)
    proxy.stop()
    assert Path(str(file)).is_socket()


@WORKERS
def test_children_get_neither_the_variables_nor_sockets_that_they_do_not_serve(
    start_proxy: StartProxy, activator: Activator, workers: str
) -> None:
    address = activator.tcp("a")
    proxy = started(start_proxy, activator, "--listen", "fd:a", workers=workers)
    with client_of(address) as client:
        assert client.set("flask_cache_a", LARGE)  # starts a converter
    (converter,) = proxy.running("proxy.server.converter")
    assert listening_inodes(proxy.pid, address)
    assert not listening_inodes(converter, address)
    for pid in descendants(proxy.pid):
        assert b"LISTEN_" not in Path(f"/proc/{pid}/environ").read_bytes()


@WORKERS
def test_clients_that_come_during_a_restart_wait_and_are_served(
    start_proxy: StartProxy, activator: Activator, direct: redis.Redis, connect: Connect, workers: str
) -> None:
    address = activator.tcp("a")
    proxy = started(start_proxy, activator, "--listen", "fd:a", workers=workers)
    busy = connect(address)
    busy.send(pipeline("BLPOP l 0"))
    wait_until(lambda: direct.info("clients")["blocked_clients"], "BLPOP")
    proxy.terminate()
    serving = 1 if workers == "1" else 3  # processes that say it: with the parent of two workers
    wait_until(lambda: sum("stopping: " in line for line in proxy.lines) == serving, "no process to accept")
    during = [connect(address) for _ in range(20)]
    direct.rpush("l", "x")
    assert busy.until_closed().endswith(b"x\r\n")
    assert proxy.wait() == 0
    during += [connect(address) for _ in range(20)]
    for client in during:
        client.send(pipeline("PING"))
    started(start_proxy, activator, "--listen", "fd:a", workers=workers)
    assert {client.reply() for client in during} == {b"+PONG\r\n"}


def test_a_socket_that_anyone_may_reach_needs_a_password_if_the_proxy_logs_in(
    start_proxy: StartProxy, activator: Activator, tmp_path: Path
) -> None:
    activator.tcp("a")
    config = tmp_path / "config.toml"
    config.write_text('[[listener]]\nbind = "fd:a"\n[upstream]\npassword = "secret"\n')
    proxy = started(start_proxy, activator, "--config", str(config), ready=False)
    proxy.expect(r"^cannot listen on fd:a, which is 127.0.0.1:\d+: it needs a password or password_file")
    assert proxy.wait() == 2


def test_without_systemd_the_error_says_so(start_proxy: StartProxy) -> None:
    proxy = start_proxy("--listen", "fd:a", ready=False)
    proxy.expect(r"^cannot listen on fd:a: no socket was passed to this process: start it by a systemd socket unit$")
    assert proxy.wait() == 2


def test_systemds_own_tool_passes_them(start_proxy: StartProxy, redis_server: RedisServer, tmp_path: Path) -> None:
    tool = shutil.which("systemd-socket-activate")
    if tool is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-socket-activate is not installed")
    port, path = free_port(), str(tmp_path / "s")
    sockets = ("-l", f"127.0.0.1:{port}", "-l", path, "--fdname=a:b")
    command = (tool, *sockets, sys.executable, "-m", "proxy", "serve")
    proxy = start_proxy("--listen", "fd:a", "--listen", "msgpack=fd:b", command=command, ready=False)
    proxy.expect("^(Listening on|Communication attempt|Execing) ")
    proxy.wait_for_line(f"Listening on {path} as 4")
    with client_of(("127.0.0.1", port)) as client:  # its connection starts the proxy
        assert client.set("flask_cache_a", '"foo"')
    with client_of(path) as client:
        assert client.get("flask_cache_a") == b"\xa3foo"
