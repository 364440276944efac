"""`healthcheck`: how a proxy that runs here is, for a container's HEALTHCHECK and probes that run a command.

It asks the admin port. Without one it is a client: PING, and what comes back. A socket and a few bytes, no more.
"""

import os
import re
import socket
import ssl
from pathlib import Path
from typing import Final

import click

from proxy.cli.options import NO, config_option, fail, listen_option
from proxy.config import Address, ConfigError, Flags, Listener, Settings, TcpAddress, load
from proxy.resp.writers import command

_TIMEOUT: Final = 3.0
"""Seconds that the proxy may take for each step: to accept, to answer."""
_LONGEST: Final = 4096
"""Bytes of an answer that are looked at."""
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where to dial what is bound to all interfaces)
_READY: Final = re.compile(rb"\+PONG|-NOAUTH ")
"""What a ready proxy answers to PING; whoever asks for a password is there."""


@click.command(short_help="Ask a proxy that runs here how it is.")
@config_option
@listen_option
@click.option("--live", is_flag=True, help="Only whether it runs (/livez), whatever becomes of Redis.")
def healthcheck(config: Path | None, listen: tuple[str, ...], live: bool) -> None:
    """Ask the proxy of this configuration whether clients may come (/readyz): 0 yes; 1 no, and a line that says why.

    It asks the admin port (admin.bind). Without one, it sends PING to the first listener: ready is PONG, or to be asked
    for a password; --live takes any answer. Give it the configuration and the environment that serve has.
    """
    try:
        settings = load(config, os.environ, Flags(listen=listen), serves=False)  # of serve's flags it may know none
    except ConfigError as error:
        fail("; ".join(error.errors), NO)  # not 2, which Docker reserves
    if fault := _fault(settings, live):
        fail(f"flask-cache-proxy {fault}", NO)


def _fault(settings: Settings, live: bool) -> str:
    """What is wrong, for "flask-cache-proxy ..."; empty: nothing."""
    address, first = settings.admin.address, settings.listener[0]
    try:
        if address is None:
            return _fault_of_pong(_answer(first.address, command(b"PING"), b"\r\n", first), live)
        path = "/livez" if live else "/readyz"
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        return _fault_of_http(_answer(address, request, None))
    except OSError as error:
        return f"cannot be asked at {address or first.address}: {error.strerror or error}"


def _answer(address: Address, request: bytes, end: bytes | None, listener: Listener | None = None) -> bytes:
    """What comes back, up to `end`, else until the proxy closes. Raises OSError."""
    with _dialled(address) as plain, _secured(plain, listener) as connection:
        connection.sendall(request)
        received = b""
        while len(received) < _LONGEST and not (end and end in received):
            if not (more := connection.recv(_LONGEST)):
                break
            received += more
    return received


def _dialled(address: Address) -> socket.socket:
    """Raises OSError."""
    if isinstance(address, TcpAddress):
        if not address.port:
            raise OSError("port 0 leaves the choice to the system, and nobody knows it; name a port")
        return socket.create_connection((_LOOPBACK.get(address.host, address.host), address.port), _TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_TIMEOUT)
    try:
        connection.connect(address.path)
    except OSError:
        connection.close()
        raise
    return connection


def _secured(connection: socket.socket, listener: Listener | None) -> socket.socket:
    """TLS, where the listener has it. Raises OSError.

    Whose certificate it is does not matter: what is asked is whether anybody answers here, and no secret is told.
    """
    if listener is None or listener.tls_cert is None:
        return connection
    if listener.tls_client_ca is not None:
        raise OSError("its clients need a certificate; set admin.bind, for a port of health's own")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def _fault_of_http(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200 "):
        return ""
    return f"is not ready: {_words(body)}" if head.startswith(b"HTTP/1.1 503 ") else _odd(answer)


def _fault_of_pong(answer: bytes, live: bool) -> str:
    if _READY.match(answer) or (live and answer):
        return ""
    return f"is not ready: {_words(answer[1:])}" if answer.startswith(b"-") else _odd(answer)


def _odd(answer: bytes) -> str:
    return f"gave an odd answer: {_words(answer)}" if answer else "closed the connection without an answer"


def _words(answer: bytes) -> str:
    """The first line of an answer."""
    return answer.strip().partition(b"\r\n")[0].decode(errors="replace").strip()
