"""Binding: addresses to sockets that listen, before any event loop or worker is there. Unlinks its unix sockets.

It never takes over an address that somebody listens on, nor a file that is no socket.
"""

import errno
import logging
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, Self

from proxy.config import Address, Settings, TcpAddress, UnixAddress

_log = logging.getLogger("proxy.listeners")
_BACKLOG: Final = 4096
_PROBE_TIMEOUT: Final = 1.0
"""Seconds that whoever listens on a unix socket may take to accept."""
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""An address of a name that this machine does not have: ::1 where there is no IPv6."""


class ListenError(Exception):
    """An address cannot be listened on. `str()` names it and says why."""


class Place(NamedTuple):
    """An address and the sockets that listen there: several where a host name has several addresses."""

    address: Address
    """A port 0 resolved."""
    sockets: tuple[socket.socket, ...]


class Listeners:
    """All places of a configuration; leaving the context closes them."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is bound yet."""
        self._settings = settings
        self._stack = ExitStack()
        self.clients: list[Place] = []
        """In the order of the settings."""
        self.admin: Place | None = None

    def __enter__(self) -> Self:
        """Bind and listen. Raises ListenError, and then nothing is bound."""
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            for listener in self._settings.listener:
                place = self._open(listener.address, listener.mode)
                self.clients.append(place)
                tls = " over TLS" if listener.tls_cert else ""
                _log.info("listening on %s for %s clients%s", place.address, listener.payload, tls)
            if self._settings.admin.address is not None:
                self.admin = self._open(self._settings.admin.address, None)
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def close_clients(self) -> None:
        """Stop listening for clients, as far as this process is concerned."""
        for place in self.clients:
            for each in place.sockets:
                each.close()

    def _open(self, address: Address, mode: str | None) -> Place:
        try:
            if isinstance(address, TcpAddress):
                sockets = _tcp_sockets(address)
                address = TcpAddress(address.host, sockets[0].getsockname()[1])
            else:
                _make_way(address.path)
                sockets = (_unix_socket(address.path, mode),)
                self._stack.callback(_unlink, address.path, os.stat(address.path).st_ino)
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {_reason(error, address)}") from None
        for each in sockets:
            self._stack.callback(each.close)
        return Place(address, sockets)


def _reason(error: OSError, address: Address) -> str:
    """The system's words, where they tell what is wrong."""
    if error.errno == errno.ENOENT and isinstance(address, UnixAddress):
        return f"there is no directory {os.path.dirname(address.path)}"
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _tcp_sockets(address: TcpAddress) -> tuple[socket.socket, ...]:
    """A socket for each address that the host has here, on one port. Raises OSError."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    port = address.port
    missing: OSError | None = None
    sockets: list[socket.socket] = []
    with ExitStack() as undo:
        for family, _, _, _, place in dict.fromkeys(found):
            try:
                bound = _bound(family, (place[0], port, *place[2:]))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
                continue
            undo.callback(bound.close)
            sockets.append(bound)
            port = bound.getsockname()[1]
            bound.listen(_BACKLOG)
        if missing is not None and not sockets:
            raise missing
        undo.pop_all()
    return tuple(sockets)


def _bound(family: int, place: tuple[object, ...]) -> socket.socket:
    # The protocol is said because asyncio sets TCP_NODELAY only where it is.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(place)
    except OSError:
        bound.close()
        raise
    return bound


def _unix_socket(path: str, mode: str | None) -> socket.socket:
    """Nobody can connect before it has its mode, because nothing listens on it until then. Raises OSError."""
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(path)
        if mode is not None:
            os.chmod(path, int(mode, 8))
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _make_way(path: str) -> None:
    """Remove a socket that nobody listens on any more. Raises OSError if somebody does, or if it is none."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(None, "there is a file of that name that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PROBE_TIMEOUT)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            Path(path).unlink(missing_ok=True)
            return
        except OSError:
            pass
    raise FileExistsError(None, "another process listens on it")


def _unlink(path: str, inode: int) -> None:
    """Remove a socket of ours, unless somebody has put another in its place."""
    try:
        if os.stat(path).st_ino == inode:
            Path(path).unlink()
    except FileNotFoundError:
        pass
