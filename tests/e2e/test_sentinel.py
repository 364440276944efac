"""Redis behind Sentinel: three sentinels, a master, a replica, and a failover that really happens."""

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.e2e.conftest import StartProxy, client_of
from tests.e2e.proxy_process import DEADLINE, Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire

NAME = "cache"
CONFIG = """
port {port}
dir {home}
sentinel monitor {name} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {name} 500
sentinel failover-timeout {name} 5000
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Group:
    """The servers of one master's name."""

    def __init__(self, executable: str, home: Path, stack: ExitStack) -> None:
        self._executable, self._home, self._stack = executable, home, stack
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.master = self._start()
        self.replica = self._start("--replicaof", "127.0.0.1", str(self.master))
        self.sentinels = [self._start_sentinel() for _ in range(3)]
        wait_until(self._is_whole, "the sentinels to know each other and the replica")

    def _run(self, port: int, *options: str) -> int:
        process = subprocess.Popen([self._executable, *options], stdout=subprocess.DEVNULL)
        self.processes[port] = process

        def end() -> None:
            process.kill()
            process.wait(DEADLINE)

        self._stack.callback(end)
        wait_until(lambda: self._answers(port), f"the server on port {port}")
        return port

    def _start(self, *options: str) -> int:
        port = free_port()
        home = self._home / str(port)
        home.mkdir()
        return self._run(port, "--port", str(port), "--dir", str(home), "--save", "", *options)

    def _start_sentinel(self) -> int:
        port = free_port()
        home = self._home / str(port)
        home.mkdir()
        config = home / "sentinel.conf"
        config.write_text(CONFIG.format(port=port, home=home, name=NAME, master=self.master))
        return self._run(port, str(config), "--sentinel")

    def _answers(self, port: int) -> bool:
        try:
            with Wire(("127.0.0.1", port)) as wire:
                return wire("PING").startswith(b"+PONG")
        except OSError:
            return False

    def _is_whole(self) -> bool:
        for port in self.sentinels:
            with redis.Redis(port=port, protocol=2) as sentinel:
                state = sentinel.sentinel_master(NAME)
                if state["num-other-sentinels"] != 2 or state["num-slaves"] != 1:
                    return False
        return True

    @property
    def url(self) -> str:
        places = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{places}/{NAME}/2"


@pytest.fixture
def group(redis_executable: str, tmp_path: Path) -> Iterator[Group]:
    with ExitStack() as stack:
        yield Group(redis_executable, tmp_path, stack)


@pytest.mark.parametrize("failure", ["killed", "frozen"])
def test_after_a_failover_old_clients_are_closed_and_new_ones_reach_the_new_master(
    group: Group, start_proxy: StartProxy, connect: Callable[[Address], Wire], failure: str
) -> None:
    proxy = start_proxy("--upstream", group.url)
    old = connect(proxy.json)
    assert old("SET", "flask_cache_a", '"foo"') == b"+OK\r\n"
    with redis.Redis(port=group.master, db=2) as master:
        assert master.get("flask_cache_a") == b"!\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03foo\x94."
        master.incr("replications")  # WAIT looks at the last write of its own connection
        assert master.wait(1, int(DEADLINE * 1000)) == 1
    proxy.expect("is now at")
    proxy.expect("Redis closed with|cannot reach Redis|no sentinel knows")
    process = group.processes[group.master]
    process.send_signal(signal.SIGKILL if failure == "killed" else signal.SIGSTOP)
    assert old.until_closed() == b""
    proxy.wait_for_line(f"the master {NAME} is now at 127.0.0.1:{group.replica}")
    wait_until(lambda: is_served(proxy), "the sentinels to agree that the new master is up")
    with client_of(proxy.json) as client:
        assert client.get("flask_cache_a") == b'"foo"'
        assert client.set("flask_cache_b", "1")
    with redis.Redis(port=group.replica, db=2) as promoted:
        assert promoted.get("flask_cache_b") == b"1"


def is_served(proxy: ProxyProcess) -> bool:
    """Whether a new client reaches a master. For a moment, a sentinel may still call the new one down."""
    try:
        with client_of(proxy.json) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def test_without_a_master_the_error_says_so(start_proxy: StartProxy) -> None:
    proxy = start_proxy("--upstream", f"redis+sentinel://127.0.0.1:{free_port()}/cache")
    proxy.expect("no sentinel knows a master cache that is up")
    with Wire(proxy.json) as wire:
        assert wire.until_closed() == b"-ERR flask-cache-proxy: no sentinel knows a master cache that is up\r\n"


class TestPasswords:
    """Sentinels that want one, and a Redis that wants another."""

    def ask_for_passwords(self, group: Group) -> None:
        for port in group.sentinels:
            with redis.Redis(port=port, protocol=2) as sentinel:
                sentinel.execute_command("ACL", "SETUSER", "looker", "on", ">sesame", "+sentinel|master")
                sentinel.execute_command("ACL", "SETUSER", "default", "off")

    def test_the_proxy_has_its_own_for_them(
        self, redis_7: None, group: Group, start_proxy: StartProxy, tmp_path: Path
    ) -> None:
        self.ask_for_passwords(group)
        file = tmp_path / "sentinel"
        file.write_text("sesame\n")
        login = {"USERNAME": "looker", "PASSWORD_FILE": str(file)}
        env = {f"FLASK_CACHE_PROXY_UPSTREAM_SENTINEL_{name}": text for name, text in login.items()}
        proxy = start_proxy("--upstream", group.url, env=env)
        with client_of(proxy.json) as client:
            assert client.set("flask_cache_a", '"foo"')
        with redis.Redis(port=group.master, db=2) as master:
            assert master.get("flask_cache_a") == b"!\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03foo\x94."

    def test_without_it_the_error_names_the_settings(
        self, redis_7: None, group: Group, start_proxy: StartProxy, tmp_path: Path
    ) -> None:
        self.ask_for_passwords(group)
        proxy = start_proxy("--upstream", group.url)
        proxy.expect("no sentinel knows a master cache that is up; the sentinel at .* refuses the proxy")
        with Wire(proxy.json) as wire:
            said = wire.until_closed()
        assert b"(upstream.sentinel_username, upstream.sentinel_password): NOAUTH Authentication required." in said
