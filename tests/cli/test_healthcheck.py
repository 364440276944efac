"""`healthcheck`, against proxies that run, that do not, and that are none."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
import trustme

from proxy.cli import healthcheck
from proxy.config import TcpAddress
from tests.cli.conftest import Run
from tests.e2e.admin import ask
from tests.e2e.conftest import PrivateRedis, StartProxy, start_proxy
from tests.e2e.proxy_process import Address, ProxyProcess, wait_until
from tests.e2e.wire import Wire, request

__all__ = ["start_proxy"]

Answering = Callable[[bytes], str]


def bind_of(address: Address) -> str:
    """As a configuration has it."""
    return f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"


@pytest.fixture
def admin(tmp_path: Path) -> dict[str, str]:
    """The variable that gives a proxy an admin port."""
    return {"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{tmp_path / 'admin.sock'}"}


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Starts, on a TCP port, somebody who answers the first thing that is said with given bytes; "host:port"."""
    with ExitStack() as stack:

        def start(answer: bytes) -> str:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                client = listening.accept()[0]
                with client:
                    client.recv(4096)
                    client.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            return bind_of(("127.0.0.1", listening.getsockname()[1]))

        yield start


def block(proxy: ProxyProcess, direct: redis.Redis) -> Wire:
    """A client that keeps the proxy from ending."""
    client = Wire(proxy.json)
    client.send(request("BLPOP", "list", "0"))
    wait_until(lambda: any(one["cmd"] == "blpop" for one in direct.client_list()), "BLPOP")
    return client


class TestByTheAdminPort:
    def test_ready(self, run: Run, start_proxy: StartProxy, admin: dict[str, str]) -> None:
        start_proxy(env=admin)
        for options in ((), ("--live",), ("-u", "redis://127.0.0.1:1/0")):  # as serve was started; it asks Redis itself
            done = run("healthcheck", *options, env=admin)
            assert (done.status, done.out, done.err) == (0, b"", "")

    def test_draining_is_alive_but_not_ready(
        self, run: Run, start_proxy: StartProxy, admin: dict[str, str], direct: redis.Redis
    ) -> None:
        proxy = start_proxy(env=admin)
        with block(proxy, direct):
            ask(admin["FLASK_CACHE_PROXY_ADMIN_BIND"].removeprefix("unix:"), "POST /drain")
            proxy.wait_for_line("stopping")
            done = run("healthcheck", env=admin)
            assert (done.status, done.err) == (1, "flask-cache-proxy is not ready: draining\n")
            assert run("healthcheck", "--live", env=admin).status == 0

    def test_the_file_of_the_proxy_is_enough(self, run: Run, start_proxy: StartProxy, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text(
            f'[[listener]]\nbind = "unix:{tmp_path}/data.sock"\n[admin]\nbind = "unix:{tmp_path}/admin.sock"\n'
        )
        start_proxy("--config", str(file))
        assert run("healthcheck", "--config", str(file)).status == 0

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\nno worker is ready\n", "is not ready: no worker is ready"),
            (b"HTTP/1.0 404 Not Found\r\n\r\n", "sent an unexpected answer: HTTP/1.0 404 Not Found"),
            (b"SSH-2.0-OpenSSH\r\n", "sent an unexpected answer: SSH-2.0-OpenSSH"),
            (b"\x1b[2J", r"sent an unexpected answer: \x1b[2J"),
            (b"", "closed the connection without an answer"),
        ],
    )
    def test_any_other_answer_is_a_no(self, run: Run, answering: Answering, answer: bytes, says: str) -> None:
        done = run("healthcheck", env={"FLASK_CACHE_PROXY_ADMIN_BIND": answering(answer)})
        assert (done.status, done.err) == (1, f"flask-cache-proxy {says}\n")

    def test_silence_is_not_told_as_a_refused_connection(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.cli.healthcheck._TIMEOUT", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            done = run("healthcheck", env={"FLASK_CACHE_PROXY_ADMIN_BIND": address})
        assert (done.status, done.err) == (
            1,
            f"flask-cache-proxy does not answer at {address} in 0.1 s; its log tells if Redis does not answer\n",
        )

    def test_all_interfaces_are_asked_at_the_loopback(self, run: Run, answering: Answering) -> None:
        port = answering(b"HTTP/1.1 200 OK\r\n\r\nok\n").rpartition(":")[2]
        assert run("healthcheck", env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"0.0.0.0:{port}"}).status == 0


class TestWithoutAnAdminPort:
    @pytest.fixture
    def bind(self, tmp_path: Path) -> str:
        return f"unix:{tmp_path / 'data.sock'}"

    def test_pong_is_ready(self, run: Run, start_proxy: StartProxy, bind: str) -> None:
        start_proxy("--listen", bind)
        assert run("healthcheck", "--listen", bind).status == 0

    def test_over_tcp_too(self, run: Run, start_proxy: StartProxy) -> None:
        assert run("healthcheck", "--listen", bind_of(start_proxy().json)).status == 0

    def test_no_redis_is_alive_but_not_ready(
        self, run: Run, start_proxy: StartProxy, bind: str, tmp_path: Path
    ) -> None:
        start_proxy("--listen", bind, "--upstream", f"unix://{tmp_path}/none.sock").expect("cannot reach Redis")
        done = run("healthcheck", "--listen", bind)
        assert done.status == 1
        assert "is not ready: ERR flask-cache-proxy: cannot reach Redis at" in done.err
        assert len(done.err.splitlines()) == 1
        assert run("healthcheck", "--listen", bind, "--live").status == 0

    def test_to_be_asked_for_a_password_is_ready(self, run: Run, answering: Answering) -> None:
        for options in ((), ("--live",)):
            bind = answering(b"-NOAUTH Authentication required.\r\n")
            assert run("healthcheck", "--listen", bind, *options).status == 0

    def test_what_is_no_redis_is_no_proxy(self, run: Run, answering: Answering) -> None:
        done = run("healthcheck", "--listen", answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        assert (done.status, done.err) == (1, "flask-cache-proxy sent an unexpected answer: HTTP/1.1 400 Bad Request\n")

    def test_a_listener_with_tls(self, run: Run, start_proxy: StartProxy, tmp_path: Path) -> None:
        issued = trustme.CA().issue_cert("cache.example")
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "tls.pem")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            bind = bind_of(probe.getsockname())
        file = tmp_path / "config.toml"
        tls = f'tls_cert = "{tmp_path}/tls.pem"\ntls_key = "{tmp_path}/tls.pem"\n'
        file.write_text(f'[[listener]]\nbind = "{bind}"\n{tls}')
        start_proxy("--config", str(file))
        assert run("healthcheck", "--config", str(file)).status == 0
        file.write_text(f'[[listener]]\nbind = "{bind}"\n{tls}tls_client_ca = "{tmp_path}/tls.pem"\n')
        done = run("healthcheck", "--config", str(file))
        assert (done.status, "set admin.bind" in done.err) == (1, True)


class TestWait:
    def test_until_the_proxy_is_ready(
        self, start_proxy: StartProxy, tmp_path: Path, private_redis: PrivateRedis
    ) -> None:
        """First nobody listens. Then the proxy runs without its Redis. Then there is one."""
        bind = f"unix:{tmp_path}/data.sock"
        command = [sys.executable, "-m", "proxy", "healthcheck", "--listen", bind, "--wait", "2m"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as waiting:
            proxy = start_proxy("--listen", bind, "--upstream", f"unix://{private_redis.unix}")
            proxy.expect("cannot reach Redis")
            proxy.wait_for_line("cannot reach Redis")  # the first answer to the check
            assert waiting.poll() is None
            private_redis.start()
            assert waiting.communicate()[0] == b""
        assert waiting.returncode == 0

    def test_but_not_longer(self, run: Run, tmp_path: Path) -> None:
        done = run("healthcheck", "--listen", f"unix:{tmp_path}/none.sock", "--wait", "300ms")
        assert (done.status, "cannot be reached" in done.err, len(done.err.splitlines())) == (1, True, 1)

    def test_a_duration_is_checked(self, run: Run) -> None:
        done = run("healthcheck", "--wait", "soon")
        assert (done.status, "30s, 5m" in done.err) == (2, True)

    def test_a_bad_configuration_does_not_wait(self, run: Run) -> None:
        assert run("healthcheck", "--wait", "1d", env={"FLASK_CACHE_PROXY_LIMITS_DEPTH": "deep"}).status == 1
        assert "set a port" in run("healthcheck", "--wait", "1d", "--listen", "127.0.0.1:0").err


def test_nobody_there(run: Run, tmp_path: Path) -> None:
    done = run("healthcheck", "--listen", f"unix:{tmp_path}/none.sock")
    assert done.status == 1
    assert done.err == f"flask-cache-proxy cannot be reached at unix:{tmp_path}/none.sock: No such file or directory\n"


def test_a_port_that_the_system_chose_cannot_be_asked(run: Run) -> None:
    done = run("healthcheck", "--listen", "127.0.0.1:0")
    assert (done.status, "set a port" in done.err) == (1, True)


def test_a_socket_of_systemd_is_asked_by_the_admin_port_only(run: Run) -> None:
    done = run("healthcheck", "--listen", "fd:json")
    assert (done.status, "at fd:json: only systemd knows its address; set admin.bind" in done.err) == (1, True)


def test_a_bad_configuration_is_a_no_in_one_line(run: Run) -> None:
    wrong = {"FLASK_CACHE_PROXY_LIMITS_DEPTH": "deep", "FLASK_CACHE_PROXY_LIMITS_NODES": "0"}
    done = run("healthcheck", env=wrong)
    assert (done.status, len(done.err.splitlines())) == (1, 1)
    assert "limits.depth" in done.err
    assert "limits.nodes" in done.err


def test_an_answer_in_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0

    class Dripping(socket.socket):
        """It has a byte for everyone who waits for a second."""

        def recv(self, *_: object) -> bytes:
            nonlocal now
            waited = min(1.0, self.gettimeout() or 0.0)
            now += waited
            if waited < 1.0:
                raise TimeoutError("timed out")
            return b"+"

        def sendall(self, *_: object) -> None:
            pass

    monkeypatch.setattr(healthcheck, "_dialled", lambda _: Dripping())
    monkeypatch.setattr(healthcheck, "time", SimpleNamespace(monotonic=lambda: now))
    with pytest.raises(TimeoutError):
        healthcheck._answer(TcpAddress("127.0.0.1", 6380), b"PING\r\n", b"\r\n")
    assert now < 1000.0 + 2 * healthcheck._TIMEOUT
