"""Binding: what is opened, what is refused, and what is left behind."""

import asyncio
import logging
import re
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from proxy.config import Admin, Listener, Settings, TcpAddress, Upstream
from proxy.net.activation import PassedSockets
from proxy.net.listeners import ListenError, Listeners

Found = list[tuple[Any, ...]]


def settings(*binds: str, **more: Any) -> Settings:
    return Settings(listener=tuple(Listener(bind=bind) for bind in binds), **more)


def resolved(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Make every name resolve to these addresses."""

    def getaddrinfo(_host: str, port: int, **_: object) -> Found:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except OSError:
        return False
    return True


def test_every_address_of_a_name_is_listened_on_and_all_on_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved(monkeypatch, "127.0.0.1", "127.0.0.2", "127.0.0.1")
    with Listeners(settings("proxy.example:0")) as listeners:
        (place,) = listeners.clients
        monkeypatch.undo()
        assert isinstance(place.address, TcpAddress)
        assert len(place.sockets) == 2
        assert place.address.port
        assert connects("127.0.0.1", place.address.port)
        assert connects("127.0.0.2", place.address.port)
        listeners.close_clients()
        assert not connects("127.0.0.1", place.address.port)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_small_replies_are_not_held_back(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def delays(accepted: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
        try:
            option = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            return not option
        finally:
            transport.abort()
            await asyncio.sleep(0)

    with Listeners(settings("127.0.0.1:0")) as listeners:
        (bound,) = listeners.clients[0].sockets
        with socket.create_connection(bound.getsockname()), asyncio.Runner(loop_factory=new_loop) as runner:
            accepted, _ = bound.accept()
            accepted.setblocking(False)
            assert not runner.run(delays(accepted))


def test_an_address_of_a_name_that_this_machine_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved(monkeypatch, "192.0.2.1", "127.0.0.1")
    with Listeners(settings("proxy.example:0")) as listeners:
        assert len(listeners.clients[0].sockets) == 1
    resolved(monkeypatch, "192.0.2.1")
    with (
        pytest.raises(ListenError, match=r"proxy.example:0: Cannot assign requested address$"),
        Listeners(settings("proxy.example:0")),
    ):
        pass


def test_a_name_that_does_not_resolve_is_said_in_the_systems_words() -> None:
    with pytest.raises(ListenError) as caught, Listeners(settings("no-such-host.invalid:1")):
        pass
    assert re.fullmatch(r"cannot listen on no-such-host.invalid:1: [A-Z][a-z ]+", str(caught.value))
    assert "Unknown" not in str(caught.value)


def test_ipv6_and_ipv4_may_have_one_port() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    with Listeners(settings("127.0.0.1:0")) as first:
        address = first.clients[0].address
        assert isinstance(address, TcpAddress)
        try:
            with Listeners(settings(f"[::]:{address.port}")) as second:
                assert str(second.clients[0].address) == f"[::]:{address.port}"
        except ListenError as error:
            pytest.skip(str(error))


def test_where_one_cannot_be_opened_none_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ListenError), Listeners(settings(f"unix:{tmp_path}/s", "127.0.0.1:0", f"unix:{tmp_path}/file")):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_the_log_says_where_clients_may_connect_and_the_end_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    listener = Listener(bind=f"unix:{tmp_path}/s", payload="msgpack", mode="0600")
    with Listeners(Settings(listener=(listener,), admin=Admin(bind=f"unix:{tmp_path}/a"))) as listeners:
        assert listeners.admin is not None
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
        assert {path.name for path in tmp_path.iterdir()} == {"s", "a"}
    assert caplog.messages == [
        f"listening on unix:{tmp_path}/s for msgpack clients",
        f"listening on unix:{tmp_path}/a for the admin port",
    ]
    assert list(tmp_path.iterdir()) == []


class TestSocketsOfSystemd:
    """They are passed by name, and checked by their real addresses."""

    LOGIN: Any = {"upstream": Upstream(url="redis://127.0.0.1:1", password="secret")}  # noqa: RUF012

    @pytest.fixture
    def tcp(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as made:
            yield made

    @pytest.fixture
    def unix(self, tmp_path: Path) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(tmp_path / "s"))
            made.listen()
            (tmp_path / "s").chmod(0o660)
            yield made

    @pytest.fixture
    def abstract(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("")  # the system chooses a name
            made.listen()
            yield made

    def refusal(self, wanted: Settings, *named: tuple[str, socket.socket]) -> str:
        with pytest.raises(ListenError) as caught, Listeners(wanted, PassedSockets(named)):
            pass
        return str(caught.value)

    def test_are_served_beside_our_own_and_stay_systemds(
        self, tcp: socket.socket, unix: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        port = tcp.getsockname()[1]
        passed = PassedSockets([("a", tcp.dup()), ("a", unix.dup())])
        with Listeners(settings("127.0.0.1:0", "fd:a"), passed) as listeners:
            own, theirs = listeners.clients
            assert [len(own.sockets), len(theirs.sockets)] == [1, 2]
            assert str(theirs.address) == "fd:a"
        assert caplog.messages[1:] == [
            f"listening on 127.0.0.1:{port} for json clients (fd:a)",
            f"listening on unix:{tmp_path}/s for json clients (fd:a)",
        ]
        assert connects("127.0.0.1", port)
        assert (tmp_path / "s").is_socket()

    def test_that_are_missing_or_left_over_are_named(self, tcp: socket.socket) -> None:
        assert self.refusal(settings("fd:json")) == (
            "cannot listen on fd:json: no socket was passed to this process: start it by a systemd socket unit"
        )
        assert self.refusal(settings("fd:json"), ("other", tcp.dup())) == (
            "cannot listen on fd:json: no socket with this name was passed; FileDescriptorName= is set for: other"
        )
        assert self.refusal(settings("127.0.0.1:0"), ("other", tcp.dup())) == (
            'systemd passes sockets that no listener takes: other; set bind = "fd:NAME"'
        )

    def test_of_tcp_need_a_password_if_the_proxy_logs_in(self, tcp: socket.socket) -> None:
        port = tcp.getsockname()[1]
        said = self.refusal(settings("fd:a", **self.LOGIN), ("a", tcp.dup()))
        assert said.startswith(
            f"cannot listen on fd:a, which is 127.0.0.1:{port}: it needs a password or password_file"
        )
        guarded = Listener(bind="fd:a", password="other")
        with Listeners(Settings(listener=(guarded,), **self.LOGIN), PassedSockets([("a", tcp.dup())])):
            pass

    def test_of_a_unix_socket_with_a_file_need_none(
        self, unix: socket.socket, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Listeners(settings("fd:a", **self.LOGIN), PassedSockets([("a", unix.dup())])):
            assert caplog.messages == []

    def test_one_that_every_user_may_reach_is_warned_of(
        self, unix: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "s").chmod(0o666)  # systemd's default
        with Listeners(settings("fd:a", **self.LOGIN), PassedSockets([("a", unix.dup())])):
            (said,) = caplog.messages
        assert said.startswith(f"every user of this machine may connect to unix:{tmp_path}/s")

    def test_an_abstract_one_needs_a_password_because_no_file_guards_it(self, abstract: socket.socket) -> None:
        said = self.refusal(settings("fd:a", **self.LOGIN), ("a", abstract.dup()))
        assert re.match(r"cannot listen on fd:a, which is unix:@\w+: it needs a password", said)

    def test_that_are_redis_itself_are_refused(self, tcp: socket.socket) -> None:
        port = tcp.getsockname()[1]
        said = self.refusal(settings("fd:a", upstream=Upstream(url=f"redis://localhost:{port}")), ("a", tcp.dup()))
        assert said.endswith("it is upstream.url too: the proxy would connect to itself")

    def test_tls_is_for_tcp(self, unix: socket.socket) -> None:
        listener = Listener(bind="fd:a", tls_cert="a", tls_key="b")
        said = self.refusal(Settings(listener=(listener,)), ("a", unix.dup()))
        assert said.endswith("tls_cert is for TCP, and this is a unix socket")
