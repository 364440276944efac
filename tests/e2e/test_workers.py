"""Several workers: one proxy to clients, operators and orchestrators, whatever becomes of one of them."""

import errno
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.e2e.admin import ask
from tests.e2e.conftest import StartProxy
from tests.e2e.proxy_process import DEADLINE, Address, ProxyProcess, children, is_running, wait_until
from tests.e2e.test_tls import client as tls_client
from tests.e2e.test_tls import listener as tls_listener
from tests.e2e.test_tls import new_authority, serial
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]
KEY = "flask_cache_k"
LARGE = json.dumps(["x" * 100] * 12_000)
"""A payload that a converter process encodes."""
GATE = """
import os, sys
if "proxy.workers.worker" in sys.orig_argv:
    open(os.environ["GATE"]).close()
"""
"""Holds a worker until somebody opens the named pipe for writing."""


class Workers:
    """A proxy with workers, two unless said otherwise, on a TCP port and a unix socket."""

    def __init__(self, start_proxy: StartProxy, home: Path) -> None:
        """Nothing runs yet."""
        self._start = start_proxy
        self.home = home
        self.unix = str(home / "proxy.sock")
        self.admin = str(home / "admin.sock")

    def start(self, *arguments: str, count: int = 2, env: dict[str, str] | None = None, **how: Any) -> ProxyProcess:
        """Warnings of the workers are errors too."""
        if not {"--listen", "--config"} & set(arguments):
            arguments += ("--listen", "json=127.0.0.1:0", "--listen", f"json=unix:{self.unix}")
        ours = {
            "FLASK_CACHE_PROXY_SERVER_WORKERS": str(count),
            "FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": str(DEADLINE),
            "FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{self.admin}",
            "PYTHONWARNINGS": "error",
        }
        return self._start(*arguments, env=ours | (env or {}), **how)

    def metrics(self) -> dict[str, float]:
        """By name and labels."""
        rows = ask(self.admin, "GET /metrics")[2].splitlines()
        return {name: float(value) for name, value in (row.rsplit(" ", 1) for row in rows if row[0] != "#")}

    def metric(self, name: str) -> float:
        """One of them. Without labels: their sum."""
        wanted = f"flask_cache_proxy_{name}"
        return sum(value for row, value in self.metrics().items() if row == wanted or row.startswith(f"{wanted}{{"))

    def readiness(self) -> tuple[int, str]:
        """The answer of /readyz."""
        return ask(self.admin, "GET /readyz")[::2]


@pytest.fixture
def workers(start_proxy: StartProxy, tmp_path: Path) -> Workers:
    return Workers(start_proxy, tmp_path)


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An environment in which all processes of a proxy run on that event loop."""
    if request.param == "uvloop":
        return {}
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "uvloop.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": str(blocked)}


def pids(proxy: ProxyProcess) -> set[int]:
    return set(proxy.running("proxy.workers.worker"))


def sockets(pid: int) -> int:
    """How many a process has open."""
    home = f"/proc/{pid}/fd"
    count = 0
    for descriptor in os.listdir(home):
        with suppress(FileNotFoundError):
            count += os.readlink(f"{home}/{descriptor}").startswith("socket:")
    return count


def spread(workers: "Workers", proxy: ProxyProcess, connect: Connect, count: int) -> list[Wire]:
    """So many clients, of which each worker has some. The kernel chooses the worker, so it may take several tries."""
    idle = {pid: sockets(pid) for pid in pids(proxy)}
    while True:
        clients = [connect(workers.unix) for _ in range(count)]
        assert {client("PING") for client in clients} == {b"+PONG\r\n"}
        if all(sockets(pid) > alone for pid, alone in idle.items()):
            return clients
        for client in clients:
            client.close()
        wait_until(lambda: workers.metric("clients") == 0, "the clients to be gone")


def is_closed(wire: Wire) -> bool:
    """Whether the other side has closed, without waiting."""
    readable, _, _ = select.select([wire.socket], [], [], 0)
    return bool(readable) and not wire.socket.recv(1, socket.MSG_PEEK)


def refuses(path: str) -> bool:
    """Whether nobody listens on a unix socket any more."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == errno.ECONNREFUSED


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


class TestServing:
    def test_clients_spread_over_all_workers_on_tcp_and_unix_sockets(
        self, workers: Workers, loop: dict[str, str], connect: Connect, direct: redis.Redis
    ) -> None:
        proxy = workers.start(count=3, env=loop)
        before = {pid: sockets(pid) for pid in pids(proxy)}

        clients: list[Wire] = []

        def are_spread() -> bool:
            """A busy machine may run one worker only, for the moment in which the others could accept."""
            for client in clients:
                client.close()
            wait_until(lambda: workers.metric("clients") == 0, "the clients to be gone")
            clients[:] = [connect(address) for address in (proxy.json, workers.unix) * 6]
            assert {client("PING") for client in clients} == {b"+PONG\r\n"}
            return min(sockets(pid) - before[pid] for pid in before) >= 4

        wait_until(are_spread, "all workers to have clients")
        for number, client in enumerate(clients):
            assert client("SET", f"{KEY}{number}", f"[{number}]") == b"+OK\r\n"
        for number, client in enumerate(reversed(clients)):
            assert client("GET", f"{KEY}{number}") == b"$%d\r\n[%d]\r\n" % (len(str(number)) + 2, number)
        shares = [(sockets(pid) - before[pid]) / 2 for pid in before]  # a client, and its connection to Redis
        assert sum(shares) == len(clients)
        assert min(shares) >= 2, shares
        assert workers.metric("clients") == len(clients)
        assert workers.metric("workers") == 3

    def test_the_limit_of_clients_is_for_all_workers_together(self, workers: Workers, connect: Connect) -> None:
        workers.start(env={"FLASK_CACHE_PROXY_LIMITS_CLIENTS": "5"})
        clients = [connect(workers.unix) for _ in range(5)]
        assert [client("PING") for client in clients] == [b"+PONG\r\n"] * 5
        for _ in range(4):
            assert connect(workers.unix).until_closed() == b"-ERR max number of clients reached\r\n"
        assert workers.metric('rejected_clients_total{reason="max_clients"}') == 4
        clients.pop().close()

        def is_served() -> bool:
            with suppress(OSError):  # rejected already
                return connect(workers.unix)("PING") == b"+PONG\r\n"
            return False

        wait_until(is_served, "a place to be free")
        assert connect(workers.unix).until_closed() == b"-ERR max number of clients reached\r\n"

    def test_an_embedded_redis_is_one_for_all(self, workers: Workers, connect: Connect) -> None:
        proxy = workers.start("--upstream", "embedded")
        clients = [connect(workers.unix) for _ in range(4)]
        assert [client("INCR", "n") for client in clients] == [b":%d\r\n" % n for n in (1, 2, 3, 4)]
        (server,) = set(proxy.children()) - pids(proxy)
        proxy.stop()
        assert not is_running(server)

    def test_log_lines_say_which_worker(self, workers: Workers, connect: Connect, tmp_path: Path) -> None:
        proxy = workers.start("--upstream", f"unix://{tmp_path}/none.sock", "--log-format", "json")
        proxy.expect('"level": ')

        def told() -> set[int]:
            lines = [json.loads(line) for line in proxy.lines]
            return {line["worker"] for line in lines if "cannot reach Redis" in line["message"]}

        while told() != {1, 2}:  # the kernel chooses the worker
            assert connect(workers.unix).until_closed().startswith(b"-ERR flask-cache-proxy: cannot reach")
        proxy.terminate()
        assert proxy.wait() == 0
        lines = [json.loads(line) for line in proxy.lines]
        assert not [line for line in lines if "listening on" in line["message"] and "worker" in line]


class TestAWorkerThatEnds:
    def test_only_its_clients_notice_and_it_is_replaced(
        self, workers: Workers, loop: dict[str, str], connect: Connect, direct: redis.Redis
    ) -> None:
        proxy = workers.start(env={"FLASK_CACHE_PROXY_LIMITS_CLIENTS": "8"} | loop)
        clients = spread(workers, proxy, connect, 8)
        assert {client("SET", KEY, "[1]") for client in clients} == {b"+OK\r\n"}
        before, old = workers.metrics(), pids(proxy)
        proxy.expect(r"WARNING worker [12] was killed by SIGKILL; another is started in 0\.1 s$")
        kill(min(old))
        proxy.wait_for_line("was killed by SIGKILL")
        closed = [client for client in clients if is_closed(client)]
        assert 0 < len(closed) < len(clients)
        for client in set(clients) - set(closed):
            assert client("GET", KEY) == b"$3\r\n[1]\r\n"
        wait_until(lambda: workers.metric("workers") == 2, "another worker")
        assert len(pids(proxy) & old) == 1
        again = [connect(workers.unix) for _ in closed]
        assert {client("PING") for client in again} == {b"+PONG\r\n"}
        assert connect(workers.unix).until_closed() == b"-ERR max number of clients reached\r\n"
        assert {is_closed(client) for client in set(clients) - set(closed)} == {False}
        after = workers.metrics()
        assert {name for name in before if "_total" in name and after[name] < before[name]} == set()
        assert workers.metric("clients") == len(clients)
        accepted = "flask_cache_proxy_accepted_clients_total"
        assert after[accepted] == before[accepted] + len(again)
        assert after["flask_cache_proxy_worker_restarts_total"] == 1

    def test_one_that_is_told_to_stop_drains_first(
        self, workers: Workers, connect: Connect, direct: redis.Redis
    ) -> None:
        proxy = workers.start()
        clients = spread(workers, proxy, connect, 4)
        for client in clients:
            client.send(pipeline("BLPOP l 0"))
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 4, "BLPOP")
        proxy.expect("WARNING worker [12] ended normally")
        for _ in range(2):  # the second one is not "at once": systemd tells everyone, and so does the supervisor
            os.kill(min(pids(proxy)), signal.SIGTERM)
        proxy.wait_for_line(r"worker [12]: stopping: \d clients")
        direct.rpush("l", *"abcd")
        assert {client.reply()[:-3] for client in clients} == {b"*2\r\n$1\r\nl\r\n$1\r\n"}
        proxy.wait_for_line("ended normally")
        wait_until(lambda: workers.metric("workers") == 2, "another worker")

    def test_one_that_is_told_to_stop_until_it_has_ended_ends_normally(self, workers: Workers) -> None:
        proxy = workers.start()
        told = min(pids(proxy))
        proxy.expect("WARNING worker [12] ended normally")
        while told in pids(proxy):
            os.kill(told, signal.SIGTERM)
        proxy.wait_for_line("ended normally")
        wait_until(lambda: workers.metric("workers") == 2, "another worker")

    def test_one_that_hangs_is_replaced_and_what_it_counted_is_kept(self, workers: Workers, connect: Connect) -> None:
        proxy = workers.start(env={"FLASK_CACHE_PROXY_SERVER_WORKER_TIMEOUT": "2"})
        clients = [connect(workers.unix) for _ in range(4)]
        assert {client("PING") for client in clients} == {b"+PONG\r\n"}
        assert workers.metric("accepted_clients_total") == 4
        proxy.expect("WARNING worker [12] did not answer for 2 s and was killed; another is started in")
        hung = min(pids(proxy))
        os.kill(hung, signal.SIGSTOP)
        proxy.wait_for_line("did not answer")
        wait_until(lambda: workers.metric("workers") == 2, "another worker")
        assert hung not in pids(proxy)
        assert workers.metric("accepted_clients_total") == 4
        assert {client("PING") for client in clients if not is_closed(client)} == {b"+PONG\r\n"}

    def test_none_is_ready_while_none_can_start(self, workers: Workers, direct: redis.Redis) -> None:
        ours = new_authority(workers.home / "ours")
        certificate, key = ours.issue("proxy", "127.0.0.1")
        config = workers.home / "config.toml"
        config.write_text(tls_listener(certificate, key))
        proxy = workers.start("--config", str(config))
        os.rename(key, f"{key}.away")
        proxy.expect("was killed by SIGKILL")
        proxy.expect(rf"WARNING worker [12] cannot start: {key} cannot be read: No such file or directory; another is")
        for pid in pids(proxy):
            kill(pid)
        wait_until(lambda: "cannot start" in workers.readiness()[1], "the reason")
        status, reason = workers.readiness()
        assert status == 503
        assert re.fullmatch(r"no worker is ready: worker [12] cannot start \(the log says why\)\n", reason)
        assert ask(workers.admin, "GET /livez")[0] == 200
        os.rename(f"{key}.away", key)
        wait_until(lambda: workers.metric("workers") == 2, "both workers")
        assert workers.readiness() == (200, "ok\n")
        for number in range(4):
            with tls_client(proxy, ours) as producer:
                assert producer.set(f"{KEY}{number}", '"foo"')
                assert producer.get(f"{KEY}{number}") == b'"foo"'


class TestTheStart:
    @pytest.fixture
    def gate(self, tmp_path: Path) -> Iterator[Path]:
        """Workers wait at it."""
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "sitecustomize.py").write_text(GATE)
        os.mkfifo(tmp_path / "gate")
        return tmp_path / "gate"

    def start_held(self, workers: Workers, gate: Path) -> ProxyProcess:
        env = {"PYTHONPATH": str(gate.parent / "site"), "GATE": str(gate)}
        proxy = workers.start(env=env, ready=False)
        proxy.wait_for_line("listening on unix")
        wait_until(lambda: Path(workers.admin).exists() and len(pids(proxy)) == 2, "the workers to be started")
        return proxy

    def test_not_ready_before_all_workers_are(self, workers: Workers, gate: Path, connect: Connect) -> None:
        proxy = self.start_held(workers, gate)
        reason = "starting: 0 of 2 workers have been ready\n"
        assert workers.readiness() == (503, reason)
        assert ask(workers.admin, "GET /startup")[::2] == (503, reason)
        assert ask(workers.admin, "GET /livez")[::2] == (200, "ok\n")
        early = connect(workers.unix)
        early.send(pipeline("PING"))
        with gate.open("w"):
            proxy.wait_for_line(r"is ready \(pid \d+, \w+ loop, \w+ engine, 2 workers\)")
        assert early.reply() == b"+PONG\r\n"
        assert workers.readiness() == (200, "ok\n")
        assert ask(workers.admin, "GET /startup")[0] == 200

    def test_it_can_be_stopped_before_it_is_over(self, workers: Workers, gate: Path) -> None:
        proxy = self.start_held(workers, gate)
        proxy.terminate()
        assert proxy.wait() == 0

    def test_a_worker_that_dies_during_the_start_is_the_end_of_it(self, workers: Workers, gate: Path) -> None:
        proxy = self.start_held(workers, gate)
        proxy.expect("^worker [12] was killed by SIGKILL$")
        kill(min(pids(proxy)))
        assert proxy.wait() == 2
        assert not Path(workers.unix).exists()

    def test_a_worker_that_cannot_start_says_why_once(self, workers: Workers) -> None:
        config = workers.home / "config.toml"
        config.write_text(tls_listener("/none.crt", "/none.key"))
        proxy = workers.start("--config", str(config), ready=False)
        proxy.expect("^worker [12] cannot start: /none.crt cannot be read: No such file or directory$")
        assert proxy.wait() == 2
        assert len([line for line in proxy.lines if "none.crt" in line]) == 1

    def test_a_port_in_use_is_one_clear_error(self, workers: Workers) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            proxy = workers.start("--listen", f"unix:{workers.unix}", "--listen", address, ready=False)
            proxy.expect(f"^cannot listen on {address}: Address already in use")
            assert proxy.wait() == 2
        assert len(proxy.lines) == 2  # the first listener's, and this
        assert not Path(workers.unix).exists()


class TestTheEnd:
    def test_all_workers_drain(
        self, workers: Workers, loop: dict[str, str], connect: Connect, direct: redis.Redis
    ) -> None:
        proxy = workers.start(env=loop)
        clients, idle = [connect(workers.unix) for _ in range(4)], [connect(proxy.json) for _ in range(4)]
        assert {client("PING") for client in idle} == {b"+PONG\r\n"}
        for client in clients:
            client.send(pipeline("INCR n", "BLPOP l 0") + request("SET", KEY, "[1]") + pipeline(f"GET {KEY}"))
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 4, "BLPOP")
        proxy.terminate()
        assert {client.until_closed() for client in idle} == {b""}
        wait_until(lambda: refuses(workers.unix), "the last worker to have stopped listening")
        assert workers.readiness() == (503, "draining\n")
        assert ask(workers.admin, "GET /livez")[::2] == (200, "ok\n")
        direct.rpush("l", *"xxxx")
        wanted = b"\r\n*2\r\n$1\r\nl\r\n$1\r\nx\r\n+OK\r\n$3\r\n[1]\r\n"
        assert sorted(client.until_closed() for client in clients) == [b":%d" % n + wanted for n in (1, 2, 3, 4)]
        assert proxy.wait() == 0
        assert proxy.lines[-1].endswith(" INFO    stopped")
        assert not Path(workers.unix).exists()
        assert not Path(workers.admin).exists()

    def test_the_drain_timeout_is_the_end_of_all(self, workers: Workers, connect: Connect, direct: redis.Redis) -> None:
        proxy = workers.start(env={"FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": "0.2"})
        clients = [connect(workers.unix) for _ in range(2)]
        for client in clients:
            client.send(pipeline("BLPOP l 0"))
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 2, "BLPOP")
        proxy.terminate()
        assert proxy.wait() == 0
        assert {client.until_closed() for client in clients} == {b""}

    def test_a_second_signal_ends_all_at_once_even_one_that_hangs(
        self, workers: Workers, connect: Connect, direct: redis.Redis
    ) -> None:
        proxy = workers.start(env={"FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": "600"})
        clients = [connect(workers.unix) for _ in range(4)]
        for client in clients:
            client.send(pipeline("BLPOP l 0"))
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 4, "BLPOP")
        assert workers.metric("clients") == 4
        os.kill(min(pids(proxy)), signal.SIGSTOP)
        assert workers.metric("clients") == 4  # as far as is known
        proxy.terminate()
        proxy.wait_for_line("INFO    stopping: 4 clients have 600 s to finish")
        proxy.terminate()
        assert proxy.wait() == 0
        assert {client.until_closed() for client in clients} == {b""}

    def test_no_process_outlives_a_supervisor_that_was_killed(
        self, workers: Workers, connect: Connect, direct: redis.Redis
    ) -> None:
        proxy = workers.start()
        client, other = connect(workers.unix), connect(workers.unix)
        assert client("SET", KEY, LARGE) == b"+OK\r\n"
        left = [*pids(proxy), *proxy.running("proxy.server.converter")]
        assert len(left) == 3
        other.send(pipeline("BLPOP l 0", "PING"))
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 1, "BLPOP")
        proxy.expect("ERROR   worker [12]: the supervisor has ended: stopping")
        kill(proxy.pid)
        assert client.until_closed() == b""
        direct.rpush("l", "x")
        assert other.until_closed() == b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n+PONG\r\n"
        assert proxy.wait() == -signal.SIGKILL
        wait_until(lambda: not any(map(is_running, left)), "the workers to end")
        workers.start()
        assert connect(workers.unix)("PING") == b"+PONG\r\n"


class TestReload:
    def hup(self, proxy: ProxyProcess, config: Path, text: str, answer: str) -> None:
        config.write_text(text)
        seen = len(proxy.lines)
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line(answer, seen)

    def test_a_valid_configuration_holds_in_all_workers_and_drops_nobody(
        self, workers: Workers, connect: Connect, direct: redis.Redis
    ) -> None:
        config = workers.home / "config.toml"
        config.write_text('[[rule]]\nkeys = "a:*"\n')
        proxy = workers.start("--config", str(config), "--listen", f"unix:{workers.unix}")
        clients = [connect(workers.unix) for _ in range(6)]
        assert {client("SET", "b:1", "[1]") for client in clients} == {b"+OK\r\n"}
        assert direct.get("b:1") == b"[1]"
        self.hup(proxy, config, '[[rule]]\nkeys = "b:*"\n', "INFO    reloaded: 1 rules")
        for number, client in enumerate(clients):
            assert client("SET", f"b:{number}", "[1]") == b"+OK\r\n"
            assert direct.get(f"b:{number}")[:1] == b"!"
        assert len([line for line in proxy.lines if "reloaded" in line]) == 1

        proxy.expect("was killed by SIGKILL")  # later workers have the new ones too
        kill(min(pids(proxy)))
        wait_until(lambda: workers.metrics().get("flask_cache_proxy_worker_restarts_total") == 1, "its end")
        wait_until(lambda: workers.metric("workers") == 2, "another worker")
        later = [connect(workers.unix) for _ in range(4)]
        for number, client in enumerate(later):
            assert client("SET", f"b:later{number}", "[1]") == b"+OK\r\n"
            assert direct.get(f"b:later{number}")[:1] == b"!"

    def test_an_invalid_one_changes_nothing_and_says_so_once(
        self, workers: Workers, connect: Connect, direct: redis.Redis
    ) -> None:
        ours, config = new_authority(workers.home / "ours"), workers.home / "config.toml"
        certificate, key = ours.issue("proxy", "127.0.0.1")
        rules = '[[rule]]\nkeys = "{}"\n[[listener]]\n' + f'bind = "unix:{workers.unix}"\n'
        config.write_text(tls_listener(certificate, key) + rules.format("a:*"))
        proxy = workers.start("--config", str(config))
        clients = [connect(workers.unix) for _ in range(4)]
        proxy.expect("nothing was reloaded, the configuration is invalid")
        self.hup(proxy, config, "[limits]\ndepth = 'x'\n", r"ERROR   nothing was reloaded.*limits\.depth")
        Path(key).write_text("no key")  # the supervisor does not check it
        self.hup(
            proxy,
            config,
            tls_listener(certificate, key) + rules.format("b:*"),
            "ERROR   nothing was reloaded.*are not a certificate and its private key",
        )
        assert len([line for line in proxy.lines if "nothing was reloaded" in line]) == 2
        for number, client in enumerate(clients):
            assert client("SET", f"b:{number}", "[1]") == b"+OK\r\n"
            assert direct.get(f"b:{number}") == b"[1]"
        ours.issue("proxy", "127.0.0.1")
        before = {serial(proxy, ours) for _ in range(8)}
        config.write_text(tls_listener(certificate, key) + rules.format("b:*"))
        self.hup(proxy, config, config.read_text(), "INFO    reloaded")
        assert before.isdisjoint({serial(proxy, ours) for _ in range(8)})


class TestOrchestrators:
    @pytest.mark.parametrize("count", [1, 2])
    def test_systemd_signals_every_process_and_still_clients_get_their_replies(
        self, workers: Workers, connect: Connect, direct: redis.Redis, count: int
    ) -> None:
        proxy = workers.start(count=count)
        clients: list[Wire] = []

        def all_convert() -> bool:
            clients.append(connect(workers.unix))
            assert clients[-1]("SET", KEY, LARGE) == b"+OK\r\n"
            return len(proxy.running("proxy.server.converter")) == count

        wait_until(all_convert, "every worker to have a client")  # a busy one leaves its share to the other
        converters = proxy.running("proxy.server.converter")
        group = [proxy.pid, *pids(proxy), *converters]
        assert len(group) == {1: 2, 2: 5}[count]
        for converter in converters:
            os.kill(converter, signal.SIGSTOP)
        for client in clients:
            client.send(request("SET", KEY, LARGE))
        begun = 'offloaded_conversions_total{half="requests"}'
        wait_until(lambda: workers.metric(begun) == 2 * len(clients), "the conversions to begin")
        for pid in reversed(group):
            os.kill(pid, signal.SIGTERM)
        proxy.wait_for_line("INFO    stopping")
        for converter in converters:
            os.kill(converter, signal.SIGCONT)
        assert {client.until_closed() for client in clients} == {b"+OK\r\n"}
        assert proxy.wait() == 0
        assert not any(map(is_running, group))

    @pytest.fixture
    def as_first_process(self) -> tuple[str, ...]:
        """The command line of a proxy that is process 1 of its container, as far as it can tell."""
        alone = ("unshare", "--pid", "--fork", "--kill-child")
        for namespace in (alone, ("unshare", "--user", "--map-root-user", *alone[1:])):
            with suppress(FileNotFoundError):
                if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0:
                    return (*namespace, sys.executable, "-W", "error", "-m", "proxy", "serve")
        pytest.skip("no new process namespaces here")

    @pytest.mark.parametrize("count", [1, 2])
    def test_kubernetes_ends_process_1_by_term_and_sees_it_drain(
        self, workers: Workers, as_first_process: tuple[str, ...], connect: Connect, direct: redis.Redis, count: int
    ) -> None:
        proxy = workers.start(count=count, command=as_first_process)
        proxy.wait_for_line(r"is ready \(pid 1,")
        assert workers.readiness() == (200, "ok\n")
        client = connect(workers.unix)
        client.send(pipeline("BLPOP l 0", "PING"))
        wait_until(lambda: direct.info("clients")["blocked_clients"] == 1, "BLPOP")
        (first,) = children(proxy.pid)
        os.kill(first, signal.SIGTERM)
        proxy.wait_for_line("INFO    stopping")
        assert workers.readiness() == (503, "draining\n")
        assert ask(workers.admin, "GET /livez")[::2] == (200, "ok\n")
        direct.rpush("l", "x")
        assert client.until_closed() == b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n+PONG\r\n"
        assert proxy.wait() == 0

    def test_process_1_leaves_no_zombies(
        self, workers: Workers, as_first_process: tuple[str, ...], connect: Connect, direct: redis.Redis
    ) -> None:
        proxy = workers.start(command=as_first_process)
        assert connect(workers.unix)("SET", KEY, LARGE) == b"+OK\r\n"
        (converter,) = proxy.running("proxy.server.converter")
        (worker,) = (pid for pid in pids(proxy) if converter in children(pid))
        proxy.expect("was killed by SIGKILL")
        kill(worker)
        wait_until(lambda: not Path(f"/proc/{converter}").exists(), "its converter to be gone, even as a zombie")
        (first,) = children(proxy.pid)
        os.kill(first, signal.SIGTERM)
        assert proxy.wait() == 0
