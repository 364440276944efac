"""`healthcheck`: checks a proxy on this machine, for a container's HEALTHCHECK and for probes that run a command.

It asks the admin port. If there is no admin port, it sends PING to the first listener like a client.
"""

import os
import re
import socket
import ssl
import time
from pathlib import Path
from typing import Final

import click

from proxy.cli.duration import DURATION
from proxy.cli.options import NO, config_option, fail, listen_option, upstream_option, with_defaults
from proxy.config import ConfigError, Flags, Listener, ListenerAddress, PassedAddress, Settings, TcpAddress, load
from proxy.resp.encode import command

_TIMEOUT: Final = 3.0
"""Seconds for each step of the proxy: to accept, and to answer."""
_SHORTEST: Final = 0.001
"""Seconds. A timeout of 0 would not wait at all, with another error."""
_PAUSE: Final = 0.1
"""Seconds between two checks of `--wait`."""
_LONGEST: Final = 4096
"""Bytes of an answer that are read at most."""
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (the address to dial if a listener is bound to all interfaces)
_READY: Final = re.compile(rb"\+PONG|-NOAUTH ")
"""The answers of a ready proxy to PING. A proxy that requires a password is ready too."""


class _ImpossibleError(OSError):
    """A listener of this configuration cannot be checked, so `--wait` must not wait."""


@click.command(short_help="Check whether a proxy on this machine is ready.")
@config_option
@listen_option
@upstream_option
@click.option("--live", is_flag=True, help="Check only that the proxy runs (/livez), not that Redis answers.")
@click.option(
    "--wait",
    type=DURATION,
    default=0,
    metavar="DURATION",
    help="Check again until the proxy is ready, for at most this time: 30s, 5m, or seconds. Use it to start something "
    "after the proxy.",
)
def healthcheck(config: Path | None, listen: tuple[str, ...], upstream: str | None, live: bool, wait: float) -> None:
    """Check whether the proxy of this configuration is ready for clients (/readyz).

    Exit status: 0 if it is ready. 1 if it is not; then one line gives the reason.

    The check asks the admin port (admin.bind). Without one, it sends PING to the first listener. PONG means ready, and
    so does an error that asks for a password. With --live any answer is enough. Use the configuration, the
    environment and these flags of serve. The proxy asks Redis itself, so --upstream changes nothing here.
    """
    try:
        flags = with_defaults(Flags(listen=listen, upstream=upstream))
        settings = load(config, os.environ, flags, serves=False)
    except ConfigError as error:
        fail("; ".join(error.errors), NO)  # not 2: Docker reserves it
    if fault := _lasting_fault(settings, live, wait):
        fail(f"flask-cache-proxy {fault}", NO)


def _lasting_fault(settings: Settings, live: bool, wait: float) -> str:
    """The fault that is left after this many seconds, as `_fault` gives it. Returns at once if there is no fault."""
    deadline = time.monotonic() + wait
    while (fault := _fault(settings, live)) and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(_PAUSE, left))
    return fault


def _fault(settings: Settings, live: bool) -> str:
    """The fault, to follow "flask-cache-proxy" in a sentence. Empty if the proxy is ready."""
    address, first = settings.admin.address, settings.listener[0]
    try:
        if address is None:
            return _fault_of_pong(_answer(first.address, command(b"PING"), b"\r\n", first), live)
        path = "/livez" if live else "/readyz"
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        return _fault_of_http(_answer(address, request, None))
    except TimeoutError:
        return (
            f"does not answer at {address or first.address} in {_TIMEOUT:g} s; its log tells if Redis does not answer"
        )
    except OSError as error:
        fault = f"cannot be reached at {address or first.address}: {error.strerror or error}"
        if isinstance(error, _ImpossibleError):
            fail(f"flask-cache-proxy {fault}", NO)
        return fault


def _answer(address: ListenerAddress, request: bytes, end: bytes | None, listener: Listener | None = None) -> bytes:
    """Send a request and return the answer: up to `end`, or until the proxy closes. Raises OSError."""
    with _dialled(address) as plain, _secured(plain, listener) as connection:
        connection.sendall(request)
        received = b""
        deadline = time.monotonic() + _TIMEOUT
        while len(received) < _LONGEST and not (end and end in received):
            # A server may send a byte now and then, for ever.
            connection.settimeout(max(deadline - time.monotonic(), _SHORTEST))
            if not (more := connection.recv(_LONGEST)):
                break
            received += more
    return received


def _dialled(address: ListenerAddress) -> socket.socket:
    """Raises OSError."""
    if isinstance(address, PassedAddress):
        raise _ImpossibleError(
            "only systemd knows its address; set admin.bind, so that healthcheck can ask the admin port"
        )
    if isinstance(address, TcpAddress):
        if not address.port:
            raise _ImpossibleError("with port 0 the system chooses the port, so it is not known here; set a port")
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
    """Begin TLS if the listener has it. Raises OSError.

    The certificate is not checked: the question is only whether the proxy answers, and no secret is sent.
    """
    if listener is None or listener.tls_cert is None:
        return connection
    if listener.tls_client_ca is not None:
        raise _ImpossibleError(
            "its clients need a certificate; set admin.bind, so that healthcheck can ask the admin port"
        )
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
    return f"sent an unexpected answer: {_words(answer)}" if answer else "closed the connection without an answer"


def _words(answer: bytes) -> str:
    """The first line of an answer."""
    return answer.strip().partition(b"\r\n")[0].decode(errors="replace").strip()
