"""Socket functions that asyncio's transports lack."""

import os
import socket
import ssl
from typing import Any

import pytest

from proxy.net.sockets import client_address, decrypted, has_hung_up, limit_decrypted


class Over:
    """A transport over a socket."""

    def __init__(self, own: socket.socket | None) -> None:
        self._socket = own

    def get_extra_info(self, name: str) -> Any:
        assert name == "socket"
        return self._socket


class Tls(Over):
    """One that decrypts."""

    limit = 0

    def set_read_buffer_limits(self, high: int) -> None:
        self.limit = high

    def get_read_buffer_size(self) -> int:
        return 5


@pytest.mark.parametrize("unread", [b"", b"unread"])
def test_a_peer_that_has_closed_has_hung_up_though_it_may_have_sent_something_before(unread: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(unread)
        assert not has_hung_up(Over(ours), half=True)
        theirs.shutdown(socket.SHUT_WR)
        assert has_hung_up(Over(ours), half=True)
        assert not has_hung_up(Over(ours), half=False)
        theirs.close()
        assert has_hung_up(Over(ours), half=False)


def test_what_has_no_socket_any_more_is_left_to_the_event_loop() -> None:
    closed = socket.socket()
    closed.close()
    assert not has_hung_up(Over(None), half=True)
    assert not has_hung_up(Over(closed), half=True)


def test_only_tls_holds_what_nobody_has_taken() -> None:
    tls, plain = Tls(None), Over(None)
    for transport in (tls, plain):
        limit_decrypted(transport, 64)
    assert tls.limit == 64
    assert decrypted(tls) == 5
    assert decrypted(plain) == 0


def test_both_event_loops_have_what_it_takes() -> None:
    from asyncio.sslproto import _SSLProtocolTransport

    from uvloop.loop import _SSLProtocolTransport as UvloopTransport

    for kind in (_SSLProtocolTransport, UvloopTransport):
        assert hasattr(kind, "set_read_buffer_limits"), (kind, ssl.OPENSSL_VERSION)
        assert hasattr(kind, "get_read_buffer_size")


class Named:
    """A transport with a name of its peer."""

    def __init__(self, peer: object, own: socket.socket | None = None) -> None:
        self._facts = {"peername": peer, "socket": own}

    def get_extra_info(self, name: str) -> object:
        return self._facts[name]


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        (("10.0.0.1", 4242), "10.0.0.1:4242"),
        (("::1", 4242, 0, 0), "[::1]:4242"),
        (("fe80::1%eth0", 4242, 0, 2), "[fe80::1%eth0]:4242"),
        (None, "?"),
        ("", "?"),
    ],
    ids=["IPv4", "IPv6", "with a zone", "gone", "without a name"],
)
def test_a_client_has_an_address(peer: object, shown: str) -> None:
    assert client_address(Named(peer)) == shown


def test_a_client_on_a_unix_socket_has_a_process() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert client_address(Named("", ours)) == f"unix pid {os.getpid()} uid {os.getuid()}"
    assert client_address(Named("", ours)) == "unix"
