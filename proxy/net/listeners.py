"""Bind the configured addresses, before the event loop and the workers start. Unlink our unix sockets at the end.

Sockets that systemd passes (`fd:NAME`) are taken as they are. They get the checks that need their real addresses.

An address on which another process listens is an error. So is a path of a file that is not a socket.
"""

import errno
import logging
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, Self

from proxy.config import Address, Listener, ListenerAddress, PassedAddress, Settings, TcpAddress, UnixAddress, leads_to
from proxy.config.cross_checks import unguarded
from proxy.net.activation import ActivationError, PassedSockets

_log = logging.getLogger("proxy.listeners")
_BACKLOG: Final = 4096
_PROBE_TIMEOUT: Final = 1.0
"""Seconds that another listener on a unix socket may take to accept."""
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors for an address that the name has but this machine does not: ::1 on a machine without IPv6."""


class ListenError(Exception):
    """The proxy cannot listen on an address. `str()` gives the address and the reason."""


class Place(NamedTuple):
    """An address and its listening sockets. There are several if the host name or systemd has several addresses."""

    address: ListenerAddress
    """Port 0 is replaced by the port that the system chose."""
    sockets: tuple[socket.socket, ...]


class Listeners:
    """A context manager: entering binds all addresses of a configuration, leaving closes them."""

    def __init__(self, settings: Settings, passed: PassedSockets | None = None) -> None:
        """`passed`: the sockets of systemd. Each of them needs a listener."""
        self._settings = settings
        self._passed = passed or PassedSockets()
        self._stack = ExitStack()
        self.clients: list[Place] = []
        """In the order of the settings."""
        self.admin: Place | None = None

    def __enter__(self) -> Self:
        """Bind and listen. If it raises ListenError, nothing stays bound."""
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._stack.callback(self._passed.close)
            for listener in self._settings.listener:
                address = listener.address
                if isinstance(address, PassedAddress):
                    self.clients.append(self._take(address, listener))
                    continue
                place = self._open(address, listener.mode)
                self.clients.append(place)
                _log.info("listening on %s for %s clients%s", place.address, listener.form, _over_tls(listener))
            if self._passed.names:
                raise ListenError(
                    f'systemd passes sockets that no listener takes: {self._passed.names}; set bind = "fd:NAME"'
                )
            if self._settings.admin.address is not None:
                self.admin = self._open(self._settings.admin.address, None)
                _log.info("listening on %s for the admin port", self.admin.address)
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def close_clients(self) -> None:
        """Close the client sockets in this process. Workers keep theirs."""
        for place in self.clients:
            for each in place.sockets:
                each.close()

    def _take(self, address: PassedAddress, listener: Listener) -> Place:
        """The sockets that systemd passes for a listener. Only systemd unlinks them."""
        try:
            sockets = self._passed.take(address.name)
        except ActivationError as error:
            raise ListenError(f"cannot listen on {address}: {error}") from None
        for each in sockets:
            self._stack.callback(each.close)
        for each in sockets:
            real = _real_address(each)
            if fault := _fault(self._settings, listener, real):
                raise ListenError(f"cannot listen on {address}, which is {real}: {fault}")
            _log.info("listening on %s for %s clients%s (%s)", real, listener.form, _over_tls(listener), address)
            if _needs_guard(self._settings, listener) and _is_open_to_all(real):
                _log.warning(
                    "every user of this machine may connect to %s, and the proxy logs in to Redis itself: set "
                    "SocketMode= and SocketGroup= in the socket unit",
                    real,
                )
        return Place(address, sockets)

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


def _over_tls(listener: Listener) -> str:
    return " over TLS" if listener.tls_cert else ""


def _real_address(passed: socket.socket) -> Address:
    """The address of a socket that was passed. An abstract unix socket, which has no file, begins with an @."""
    name = passed.getsockname()
    if passed.family == socket.AF_UNIX:
        return UnixAddress(name if isinstance(name, str) else "@" + name[1:].decode(errors="replace"))
    return TcpAddress(name[0], name[1])


def _has_file(address: Address) -> bool:
    """True for a unix socket with a file, whose mode limits access. An abstract one is open to all users."""
    return isinstance(address, UnixAddress) and address.path.startswith("/")


def _needs_guard(settings: Settings, listener: Listener) -> bool:
    return settings.upstream.logs_in and listener.password is None and listener.password_file is None


def _fault(settings: Settings, listener: Listener, real: Address) -> str:
    """The fault of a socket that was passed, by its real address. Empty: it has none."""
    if _needs_guard(settings, listener) and not _has_file(real):
        return f"it {unguarded()}"
    if listener.tls_cert and isinstance(real, UnixAddress):
        return "tls_cert is for TCP, and this is a unix socket"
    if leads_to(settings.upstream.target, real):
        return "it is upstream.url too: the proxy would connect to itself"
    return ""


def _is_open_to_all(address: Address) -> bool:
    try:
        return isinstance(address, UnixAddress) and bool(os.stat(address.path).st_mode & stat.S_IWOTH)
    except OSError:
        return False


def _reason(error: OSError, address: Address) -> str:
    """The text for an error: our own for a missing directory and for an address in use, otherwise the system's."""
    if error.errno == errno.ENOENT and isinstance(address, UnixAddress):
        return f"there is no directory {os.path.dirname(address.path)}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{os.strerror(error.errno)}. Is another flask-cache-proxy or Redis running there? Choose another address"
        )
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _tcp_sockets(address: TcpAddress) -> tuple[socket.socket, ...]:
    """Sockets for all addresses of the host name that this machine has, with the same port. Raises OSError."""
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
    # asyncio sets TCP_NODELAY only if the socket names its protocol.
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
    """Bind, set the file's mode, then listen. So no client connects before the mode is set. Raises OSError."""
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
    """Remove a stale socket file. Raises OSError if a process listens on it, or if the file is not a socket."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(None, "the path is a file that is not a socket; choose another path or remove it")
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
    """Remove our socket file, unless another process has replaced it."""
    try:
        if os.stat(path).st_ino == inode:
            Path(path).unlink()
    except FileNotFoundError:
        pass
