"""TLS on both sides, with certificates made here: who is let in, who is believed, and new files on HUP."""

import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
import trustme
from click.testing import CliRunner
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy.cli import main
from tests import servers
from tests.e2e.admin import ask, metric
from tests.e2e.conftest import PrivateRedis, RedisServer, StartProxy
from tests.e2e.proxy_process import ProxyProcess, wait_until
from tests.e2e.wire import Wire, request

STORED = b"!\x80\x04\x95\x07\0\0\0\0\0\0\0\x8c\x03foo\x94."


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority, a certificate for 127.0.0.1 and one for a client, as files."""

    home: Path
    authority: trustme.CA

    @property
    def ca(self) -> str:
        return str(self.home / "ca.crt")

    def issue(self, name: str, identity: str) -> tuple[str, str]:
        """Write (or overwrite) a certificate and its key; returns both paths."""
        issued = self.authority.issue_cert(identity)
        key, certificate = self.home / f"{name}.key", self.home / f"{name}.crt"
        issued.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return str(certificate), str(key)


def new_authority(home: Path) -> Certificates:
    home.mkdir()
    made = Certificates(home, trustme.CA())
    made.authority.cert_pem.write_to_path(made.ca)
    return made


@pytest.fixture
def ours(tmp_path: Path) -> Certificates:
    return new_authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Certificates:
    """Another authority's, whom nobody trusts."""
    return new_authority(tmp_path / "theirs")


def listener(certificate: str, key: str, more: str = "") -> str:
    return f'[[listener]]\nbind = "127.0.0.1:0"\ntls_cert = "{certificate}"\ntls_key = "{key}"\n{more}'


class StartTls(Protocol):
    """Starts a proxy from the text of a configuration."""

    def __call__(self, text: str) -> ProxyProcess:
        """Upstream the session's Redis."""


@pytest.fixture
def start_tls(start_proxy: StartProxy, tmp_path: Path) -> StartTls:
    def start(text: str) -> ProxyProcess:
        file = tmp_path / "config.toml"
        file.write_text(text)
        return start_proxy("--config", str(file))

    return start


def client(proxy: ProxyProcess, certificates: Certificates, **options: Any) -> redis.Redis:
    host, port = proxy.json
    once = Retry(NoBackoff(), 0)
    return redis.Redis(str(host), int(port), ssl=True, ssl_ca_certs=certificates.ca, retry=once, **options)


def serial(proxy: ProxyProcess, certificates: Certificates) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=certificates.ca)
    with (
        socket.create_connection(proxy.json) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return shown


def test_clients_speak_tls_and_read_and_write_as_ever(
    start_tls: StartTls, ours: Certificates, direct: redis.Redis
) -> None:
    proxy = start_tls(listener(*ours.issue("proxy", "127.0.0.1")))
    for protocol in (2, 3):
        with client(proxy, ours, protocol=protocol) as producer:
            producer.set("flask_cache_a", '"foo"')
            assert direct.get("flask_cache_a") == STORED
            assert producer.get("flask_cache_a") == b'"foo"'
            large = b"x" * 5_000_000
            producer.set("other", large)
            assert producer.get("other") == large
            with producer.pipeline(transaction=True) as pipeline:
                for number in range(1000):
                    pipeline.set(f"flask_cache_{number}", str(number))
                assert all(pipeline.execute())


def test_a_plain_client_on_a_tls_port_is_not_served_and_harms_nobody(start_tls: StartTls, ours: Certificates) -> None:
    proxy = start_tls(listener(*ours.issue("proxy", "127.0.0.1")))
    with Wire(proxy.json) as plain:
        plain.send(b"PING\r\n" * 10)
        assert b"PONG" not in plain.until_closed()
    with client(proxy, ours) as producer:
        assert producer.ping()


def test_clients_need_a_certificate_where_one_is_asked_for(
    start_tls: StartTls, ours: Certificates, theirs: Certificates, tmp_path: Path
) -> None:
    bind = f'[admin]\nbind = "unix:{tmp_path}/admin.sock"\n'
    proxy = start_tls(listener(*ours.issue("proxy", "127.0.0.1"), f'tls_client_ca = "{ours.ca}"\n') + bind)
    certificate, key = ours.issue("client", "producer.example")
    with client(proxy, ours, ssl_certfile=certificate, ssl_keyfile=key) as producer:
        assert producer.ping()
    with client(proxy, ours) as stranger, pytest.raises(redis.ConnectionError):
        stranger.ping()
    certificate, key = theirs.issue("client", "producer.example")
    with (
        client(proxy, ours, ssl_certfile=certificate, ssl_keyfile=key) as impostor,
        pytest.raises(redis.ConnectionError),
    ):
        impostor.ping()
    wait_until(lambda: metric(f"{tmp_path}/admin.sock", "rejected_clients_total") == 2, "both to be counted")


def test_handshakes_that_fail_are_counted_and_do_not_use_up_the_places_of_clients(
    start_tls: StartTls, ours: Certificates, tmp_path: Path
) -> None:
    bind = f'[admin]\nbind = "unix:{tmp_path}/admin.sock"\n'
    proxy = start_tls(listener(*ours.issue("proxy", "127.0.0.1")) + "[limits]\nclients = 3\n" + bind)
    for _ in range(10):
        with Wire(proxy.json) as plain:
            plain.send(b"no handshake" * 100)
            plain.until_closed()
    with client(proxy, ours) as producer:
        assert producer.ping()
    assert metric(f"{tmp_path}/admin.sock", "rejected_clients_total") == 10


def test_a_new_certificate_is_shown_after_hup_and_open_connections_stay(
    start_tls: StartTls, ours: Certificates
) -> None:
    proxy = start_tls(listener(*ours.issue("proxy", "127.0.0.1")))
    before = serial(proxy, ours)
    with client(proxy, ours) as producer:
        assert producer.client_setname("mine")
        ours.issue("proxy", "127.0.0.1")
        assert serial(proxy, ours) == before
        seen = len(proxy.lines)
        proxy.process.send_signal(signal.SIGHUP)
        proxy.wait_for_line("reloaded", seen)
        assert serial(proxy, ours) != before
        assert producer.client_getname() == "mine"


def test_a_broken_certificate_changes_nothing_on_hup_and_says_so(start_tls: StartTls, ours: Certificates) -> None:
    certificate, key = ours.issue("proxy", "127.0.0.1")
    proxy = start_tls(listener(certificate, key))
    before = serial(proxy, ours)
    Path(certificate).write_text("no certificate")
    proxy.expect("nothing was reloaded")
    seen = len(proxy.lines)
    proxy.process.send_signal(signal.SIGHUP)
    line = proxy.wait_for_line("nothing was reloaded.*", seen)[0]
    assert certificate in line
    assert serial(proxy, ours) == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file"), ("nonsense", "are not a certificate and its private key")],
)
def test_a_start_without_a_good_certificate_names_the_file(
    start_proxy: StartProxy, ours: Certificates, tmp_path: Path, content: str | None, reason: str
) -> None:
    certificate, key = ours.issue("proxy", "127.0.0.1")
    Path(certificate).unlink()
    if content is not None:
        Path(certificate).write_text(content)
    file = tmp_path / "config.toml"
    file.write_text(listener(certificate, key))
    proxy = start_proxy("--config", str(file), ready=False)
    assert proxy.wait() == 2
    assert certificate in proxy.lines[-1]
    assert reason in proxy.lines[-1]
    proxy.expect(reason)


# -- Redis over TLS ------------------------------------------------------------------------------------


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    """The server on PATH: those in wheels are built without TLS."""
    own = PrivateRedis(tmp_path, servers.executable("path"))
    yield own
    own.kill()


@pytest.fixture
def tls_redis(private_redis: PrivateRedis, ours: Certificates, redis_server: RedisServer) -> int:
    """A Redis of the test's own that speaks TLS, and asks for certificates; its port."""
    certificate, key = ours.issue("redis", "127.0.0.1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = ("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", ours.ca)
    private_redis.start("--tls-port", str(port), *files)
    return int(port)


def env_of(certificates: Certificates, **more: str) -> dict[str, str]:
    certificate, key = certificates.issue("proxy-as-client", "proxy.example")
    given = {"tls_ca": certificates.ca, "tls_cert": certificate, "tls_key": key, **more}
    return {f"FLASK_CACHE_PROXY_UPSTREAM_{name}".upper(): value for name, value in given.items()}


def test_redis_is_reached_over_tls_with_a_certificate_of_our_own(
    start_proxy: StartProxy, private_redis: PrivateRedis, tls_redis: int, ours: Certificates
) -> None:
    proxy = start_proxy("--upstream", f"rediss://127.0.0.1:{tls_redis}/3", env=env_of(ours))
    with Wire(proxy.json) as wire, redis.Redis(unix_socket_path=private_redis.unix, db=3) as inside:
        assert wire("SET", "flask_cache_a", '"foo"') == b"+OK\r\n"
        assert inside.get("flask_cache_a") == STORED
        assert wire("NO-SUCH-COMMAND").startswith(b"-ERR unknown command")


def test_the_end_does_not_wait_for_a_hung_redis(
    start_proxy: StartProxy, private_redis: PrivateRedis, tls_redis: int, ours: Certificates
) -> None:
    """Redis does not end the TLS of the client's link, nor that of the proxy's own questions."""
    env = {**env_of(ours), "FLASK_CACHE_PROXY_SERVER_DRAIN_TIMEOUT": "0"}
    proxy = start_proxy("--upstream", f"rediss://127.0.0.1:{tls_redis}/0", env=env)
    with Wire(proxy.json) as wire:
        assert wire("NO-SUCH-COMMAND").startswith(b"-ERR unknown command")
        os.kill(private_redis.process.pid, signal.SIGSTOP)
        proxy.stop()


def test_what_a_client_asked_for_before_it_left_is_done_over_tls_too(
    start_proxy: StartProxy, private_redis: PrivateRedis, tls_redis: int, ours: Certificates
) -> None:
    proxy = start_proxy("--upstream", f"rediss://127.0.0.1:{tls_redis}/0", env=env_of(ours))
    with Wire(proxy.json) as wire:
        assert wire("PING") == b"+PONG\r\n"
        wire.send(request("CLIENT", "REPLY", "OFF"))  # unread replies would make the close a reset
        wire.send(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * 20_000)
    with redis.Redis(unix_socket_path=private_redis.unix) as inside:
        wait_until(lambda: inside.get("n") == b"20000", "all that was asked for to be done")
    wait_until(lambda: clients_of(private_redis) == 1, "the proxy to have read the replies")


def test_a_client_that_has_left_keeps_no_place(
    start_proxy: StartProxy, private_redis: PrivateRedis, tls_redis: int, ours: Certificates
) -> None:
    env = env_of(ours) | {"FLASK_CACHE_PROXY_LIMITS_CLIENTS": "3"}
    proxy = start_proxy("--upstream", f"rediss://127.0.0.1:{tls_redis}/0", env=env)
    for number in range(12):
        if number >= 3:  # at most two of those before it may still be on their way out
            wait_until(lambda: clients_of(private_redis) <= 3, "a place to be free")
        with Wire(proxy.json) as wire:
            assert wire("PING") == b"+PONG\r\n"


def clients_of(server: PrivateRedis) -> int:
    """Connections to a Redis, that of the question included."""
    with redis.Redis(unix_socket_path=server.unix) as inside:
        return len(inside.client_list())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tls_ca": "theirs"}, "its certificate is not trusted: "),
        ({"tls_server_name": "redis.example"}, "its certificate is not trusted: Hostname mismatch"),
    ],
)
def test_a_redis_that_cannot_prove_who_it_is_is_not_spoken_to(
    start_proxy: StartProxy,
    tls_redis: int,
    ours: Certificates,
    theirs: Certificates,
    change: dict[str, str],
    reason: str,
) -> None:
    env = env_of(ours, **{name: theirs.ca if value == "theirs" else value for name, value in change.items()})
    proxy = start_proxy("--upstream", f"rediss://127.0.0.1:{tls_redis}/0", env=env)
    proxy.expect("cannot reach Redis")
    with Wire(proxy.json) as wire:
        answer = wire.reply()
        assert answer.startswith(b"-ERR flask-cache-proxy: cannot reach Redis at 127.0.0.1")
        assert reason.encode() in answer


def test_a_redis_that_speaks_tls_and_is_called_without_it_is_guessed(
    start_proxy: StartProxy, private_redis: PrivateRedis, tls_redis: int, tmp_path: Path
) -> None:
    url = f"redis://127.0.0.1:{tls_redis}/0"
    said = f"Redis at 127.0.0.1:{tls_redis} hangs up before it answers. Is it rediss:// (TLS)?"
    env = {"FLASK_CACHE_PROXY_ADMIN_BIND": f"unix:{tmp_path / 'admin.sock'}"}
    proxy = start_proxy("--upstream", url, env=env)
    proxy.expect(re.escape(said))
    proxy.wait_for_line(re.escape(said))  # at the start
    with Wire(proxy.json) as wire:
        assert wire.reply() == f"-ERR flask-cache-proxy: {said}\r\n".encode()
    assert said in str(ask(str(tmp_path / "admin.sock"), "GET /readyz"))
    done = CliRunner().invoke(main, ["scan", "-u", url])
    assert done.exit_code == 3
    assert done.stderr.endswith("Is it rediss:// (TLS)?\n")


def test_a_redis_without_tls_that_is_called_with_it_is_guessed(
    start_proxy: StartProxy, redis_server: RedisServer
) -> None:
    """It waits for the end of a line, or sends an error, as the first bytes of the handshake have it."""
    url = f"rediss://127.0.0.1:{redis_server.port}/0"
    proxy = start_proxy("--upstream", url, env={"FLASK_CACHE_PROXY_LIMITS_CONNECT_TIMEOUT": "1"})
    proxy.expect("cannot reach Redis")
    with Wire(proxy.json) as wire:
        assert re.search(rb"[Dd]oes it speak TLS\? Without TLS, the url begins with redis://", wire.reply())


def test_there_is_no_silent_fallback_to_plain_text(start_proxy: StartProxy, redis_server: RedisServer) -> None:
    proxy = start_proxy("--upstream", f"rediss://127.0.0.1:{redis_server.port}/0")
    proxy.expect("cannot reach Redis")
    with Wire(proxy.json) as wire:
        assert b"cannot reach Redis" in wire.reply()
