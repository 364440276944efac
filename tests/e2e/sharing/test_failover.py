"""Shared connections to a Redis behind Sentinel: a failover under load, and a master whose machine is gone."""

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.e2e.admin import metric
from tests.e2e.conftest import PrivateRedis, StartProxy
from tests.e2e.proxy_process import Address, wait_until
from tests.e2e.sharing.conftest import TRUNKS, Sharing, environment
from tests.e2e.sharing.load import Load
from tests.e2e.test_sentinel import Group
from tests.e2e.wire import Wire, request

LOGGED = (
    "is now at|a shared connection|Redis closed with|cannot reach Redis|no sentinel knows"
    "|closed the connection before it answered"
)


SELDOM_ASKS = (
    *(sys.executable, "-W", "error", "-c"),
    "import proxy.server.server as server; server._FOLLOW = 3600.0; from proxy.cli import main; main()",
    "serve",
)
"""A proxy that hears of a new master from its dials only."""


class Sentinel:
    """A sentinel that names the master that the test wants."""

    def __init__(self) -> None:
        """Listens."""
        self.master: Address = ""
        self.asked = 0
        """Questions that it has answered."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """For `upstream.url`."""
        return f"redis+sentinel://127.0.0.1:{self._listener.getsockname()[1]}/cache"

    def is_heard(self) -> None:
        """Wait until the proxy has asked, and had the answer."""
        before = self.asked
        wait_until(lambda: self.asked > before + 1, "the proxy to ask")

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while connection.recv(4096):
                host, port = self.master
                connection.sendall(request("ip", host, "port", str(port), "flags", "master"))
                self.asked += 1

    def close(self) -> None:
        """It is gone."""
        for each in (self._listener, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Server(PrivateRedis):
    """A Redis with a port."""

    def __init__(self, home: Path) -> None:
        """Starts it."""
        home.mkdir()
        super().__init__(home)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.address: tuple[str, int] = probe.getsockname()
        self.start("--port", str(self.address[1]))

    def writes(self) -> int:
        """SETs that it has executed."""
        with Wire(self.unix) as wire:
            found = [line for line in wire("INFO", "commandstats").splitlines() if line.startswith(b"cmdstat_set:")]
        return int(found[0].split(b"=")[1].split(b",")[0]) if found else 0

    def clients(self) -> int:
        """Connections, without the one that asks."""
        with Wire(self.unix) as wire:
            return wire("CLIENT", "LIST").count(b" cmd=") - 1


@pytest.fixture
def sentinel() -> Iterator[Sentinel]:
    made = Sentinel()
    yield made
    made.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """Two of them."""
    with ExitStack() as stack:
        made = []
        for name in ("old", "new"):
            made.append(Server(tmp_path / name))
            stack.callback(made[-1].kill)
        yield made


@pytest.fixture
def machine_that_is_gone() -> Iterator[Address]:
    """An address that answers no dial, as that of a machine without power."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # they fill its backlog
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failover_under_load_moves_all_clients_and_mixes_up_none(
    start_proxy: StartProxy, sentinel: Sentinel, servers: list[Server], tmp_path: Path, workers: int
) -> None:
    old, new = servers
    sentinel.master = old.address
    admin = str(tmp_path / "admin.sock")
    env = {**environment(admin), "FLASK_CACHE_PROXY_SERVER_WORKERS": str(workers)}
    proxy = start_proxy("--upstream", sentinel.url, env=env)
    own = Sharing(old, proxy, admin)
    proxy.expect(LOGGED)
    with Load(lambda: proxy.json) as load:
        load.goes_on()
        for before, after in [(old, new), (new, old), (old, new)]:
            seen = len(proxy.lines)
            sentinel.master = after.address
            for _ in range(workers):
                proxy.wait_for_line("is now at", seen)
            wait_until(lambda: before.clients() == 0, "the proxy to leave the old master")  # noqa: B023
            written = before.writes()
            load.goes_on()
            assert before.writes() == written
            assert before.clients() == 0
        assert 1 <= own.number("upstream_trunks") <= 2 * TRUNKS * workers
    wait_until(lambda: own.number("clients") == 0, "all clients to leave")
    trunks = own.number("upstream_trunks")
    wait_until(lambda: own.number("upstream_connections") == trunks, "their connections to end")
    assert new.clients() == trunks
    wait_until(lambda: own.number("pending_replies") == 0, "the gauge to follow")


@pytest.mark.parametrize("failure", ["killed", "frozen"])
def test_a_failover_of_real_sentinels_under_load_hangs_nobody(
    start_proxy: StartProxy, redis_executable: str, tmp_path: Path, failure: str
) -> None:
    with ExitStack() as stack:
        group = Group(redis_executable, tmp_path, stack)
        admin = str(tmp_path / "admin.sock")
        proxy = start_proxy("--upstream", group.url, env=environment(admin))
        proxy.expect(LOGGED)
        with Load(lambda: proxy.json) as load:
            load.goes_on()
            process = group.processes[group.master]
            process.send_signal(signal.SIGKILL if failure == "killed" else signal.SIGSTOP)
            proxy.wait_for_line(f"is now at 127.0.0.1:{group.replica}")
            load.goes_on()
        with Wire(("127.0.0.1", group.replica)) as promoted:
            assert promoted("ROLE").startswith(b"*3\r\n$6\r\nmaster")
            assert promoted("SELECT", "2") == b"+OK\r\n"
            assert promoted("GET", "load-0") != b"$-1\r\n"
        assert metric(admin, "upstream_trunks") <= 2 * TRUNKS
        proxy.stop()  # before the servers end


@pytest.mark.parametrize("connections", ["per-client", "2"])
def test_what_a_dial_hears_of_a_new_master_holds_for_all_clients_at_once(
    start_proxy: StartProxy, sentinel: Sentinel, servers: list[Server], tmp_path: Path, connections: str
) -> None:
    """Else one client could be served by both masters, on one shared connection each."""
    old, new = servers
    sentinel.master = old.address
    env = environment(str(tmp_path / "admin.sock"), connections)
    proxy = start_proxy("--upstream", sentinel.url, env=env, command=SELDOM_ASKS)
    proxy.expect(LOGGED)
    with Wire(proxy.json) as idle, Wire(proxy.json) as pinned:
        assert idle("SET", "a", "1") == b"+OK\r\n"
        assert pinned("WATCH", "a") == b"+OK\r\n"
        sentinel.master = new.address
        with Wire(proxy.json) as dials:
            dials.send(request("WATCH", "a"))
            assert dials.until_closed() in (b"", b"+OK\r\n")
        assert idle.until_closed() == pinned.until_closed() == b""
    wait_until(lambda: old.clients() == 0, "the proxy to leave the old master")
    with Wire(proxy.json) as client:
        assert client("SET", "a", "2") == b"+OK\r\n"
    assert (old.writes(), new.writes()) == (1, 1)


def test_nobody_waits_for_a_master_whose_machine_is_gone(
    start_proxy: StartProxy,
    sentinel: Sentinel,
    servers: list[Server],
    machine_that_is_gone: Address,
    tmp_path: Path,
) -> None:
    sentinel.master = machine_that_is_gone
    env = {**environment(str(tmp_path / "admin.sock")), "FLASK_CACHE_PROXY_LIMITS_CONNECT_TIMEOUT": "3600"}
    proxy = start_proxy("--upstream", sentinel.url, env=env)
    proxy.expect(LOGGED)
    sentinel.is_heard()
    with Wire(proxy.json) as waiting:
        waiting.send(request("PING"))
        sentinel.is_heard()
        sentinel.master = servers[1].address
        assert waiting.until_closed() == b""
    with Wire(proxy.json) as client:
        assert client("PING") == b"+PONG\r\n"
