"""The shell: listeners, connections, signals, drain. Everything here is wiring; what is decided, a session decides."""

import asyncio
import logging
import os
import signal
import socket
import stat
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast
from weakref import WeakSet

import msgspec

from proxy import __version__, logs
from proxy.admin import OK, Answer, Routes, unavailable
from proxy.admin import serve as serve_admin
from proxy.admin import serve_unix as serve_admin_unix
from proxy.assembly import gates_for, policy_for
from proxy.config import Address, ConfigError, Listener, Settings, TcpAddress, UnixAddress
from proxy.connection import Connection, UpstreamSide
from proxy.converter import Converter
from proxy.metrics import Metrics
from proxy.passwords import PasswordError
from proxy.policy import Policy
from proxy.resp import writers
from proxy.sentinel import Master, MasterError
from proxy.session import CommandInfo, Conversion, Converted, Opening
from proxy.tls import ServerTls, TlsError
from proxy.upstream import Upstream

_log = logging.getLogger("proxy.server")
_BACKLOG: Final = 4096
_FIXED: Final = ("listener", "upstream", "admin", "server")
"""Sections that a reload leaves as they were at the start."""
_HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds that a client may take for its TLS handshake."""
_FOLLOW: Final = 1.0
"""Seconds between two questions to the sentinels."""
_ABORT_TIMEOUT: Final = 1.0
"""Seconds that aborted connections have to be gone; they take one turn of the loop."""
_TOO_MANY: Final = writers.error("ERR max number of clients reached")


class ListenError(Exception):
    """An address cannot be listened on. `str()` names it and says why."""


class Server:
    """One process of the proxy."""

    def __init__(self, settings: Settings, upstream: Upstream, reread: Callable[[], Settings]) -> None:
        """`upstream`: where the settings' target is (an embedded Redis has its own place).

        `reread` reads the settings anew, for HUP; it may raise ConfigError. Raises TlsError and PasswordError.
        """
        self._settings = settings
        self._upstream = upstream
        self._reread = reread
        self._policies = _policies(settings)
        self._converter = Converter()
        self._tls = [_server_tls(listener) for listener in settings.listener]
        self._gates = gates_for(settings)
        self._servers: list[asyncio.Server] = []
        self._admin: asyncio.Server | None = None
        self._unix_paths: list[tuple[str, int]] = []
        self._connections: set[Connection] = set()
        # Accepted, but not connected yet. Of those whose TLS handshake fails we are not told: they just go.
        self._arriving: WeakSet[Connection] = WeakSet()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._all_gone = asyncio.Event()
        self._ready = False
        self.metrics = Metrics(__version__)
        self.buffered_bytes = settings.limits.buffered_bytes
        self.addresses: list[Address] = []
        """Where the listeners are, in the order of the settings, a port 0 resolved."""

    # -- life ------------------------------------------------------------------------------------------

    async def run(self, started: Callable[["Server"], None] = lambda _: None) -> None:
        """Listen until told to stop, then drain. Raises ListenError; `started` is called once all listen."""
        try:
            for number in range(len(self._settings.listener)):
                await self._listen(number)
            await self._listen_admin()
            self._handle_signals()
            if isinstance(self._upstream.place, Master):
                self.start(self._follow(self._upstream.place), "follow the master")
            self._ready = True
            started(self)
            await self._stop.wait()
            await self._drain()
        finally:
            await self._end()

    def stop(self) -> None:
        """Drain, then end. The second time: end now."""
        if self._stop.is_set():
            self._now.set()
        self._stop.set()

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def reload(self) -> None:
        """Take rules, guard, limits, log and the content of certificate files anew; what is under way keeps its rule.

        An invalid configuration changes nothing. Listeners, upstream and admin port stay as they are.
        """
        try:
            settings = self._reread()
            # Listeners stay as they are, but for what is in their files.
            gates = gates_for(msgspec.structs.replace(settings, listener=self._settings.listener))
            contexts = [(tls, tls.fresh()) for tls in self._tls if tls is not None]
            self._upstream.reload_tls()
        except (ConfigError, TlsError, PasswordError) as error:
            _log.error("nothing was reloaded, the configuration is invalid: %s", error)
            return
        self._gates = gates
        for tls, context in contexts:
            tls.use(context)
        fixed = [name for name in _FIXED if getattr(settings, name) != getattr(self._settings, name)]
        if fixed:
            _log.warning("a change of %s takes effect with the next start", ", ".join(fixed))
        self._settings, self._policies = settings, _policies(settings)
        for connection in self._connections:
            connection.set_policy(self._policies[connection.payload])
        logs.configure(settings.log.level, settings.log.format)
        _log.info("reloaded: %d rules", len(settings.rule))

    async def _follow(self, master: Master) -> None:
        """Close the clients of a master that is none any more: it may be alive, and take writes that will be lost."""
        known: TcpAddress | None = None
        while True:
            with suppress(MasterError):  # an election
                address = await master.locate()
                if known is not None and address != known:
                    _log.warning("%s is now at %s: closing %d clients", master, address, len(self._connections))
                    self._upstream.close()
                    for connection in tuple(self._connections):
                        connection.close()
                known = address
            await asyncio.sleep(_FOLLOW)

    async def _drain(self) -> None:
        """Stop accepting; let each client finish at a command boundary, until the deadline or a second signal."""
        self._ready = False
        timeout = self._settings.server.drain_timeout
        _log.info("stopping: %d clients have %g s to finish", len(self._connections), timeout)
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.drain()
        if self._connections:
            waits = [asyncio.ensure_future(event.wait()) for event in (self._all_gone, self._now)]
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _end(self) -> None:
        for server in (*self._servers, *([self._admin] if self._admin else [])):
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in (*self._connections, *self._arriving):
            connection.abort()
        if self._connections:  # uvloop fails to close with transports open
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), _ABORT_TIMEOUT)
        await self._converter.close()
        self._upstream.close()
        if isinstance(self._upstream.place, Master):
            await self._upstream.place.close()
        for path, inode in self._unix_paths:
            _unlink(path, inode)
        if self.addresses:
            _log.info("stopped")

    # -- listeners -------------------------------------------------------------------------------------

    async def _listen(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        listener, tls = self._settings.listener[number], self._tls[number]
        address = listener.address
        accept = self._acceptor(listener.payload, number)
        how: Any = {"backlog": _BACKLOG}
        if tls is not None:
            how |= {"ssl": tls.context, "ssl_handshake_timeout": _HANDSHAKE_TIMEOUT}
        try:
            if isinstance(address, TcpAddress):
                server = await loop.create_server(accept, address.host, address.port, **how)
                port = server.sockets[0].getsockname()[1]
                address = TcpAddress(address.host, port)
            else:
                _make_way(address.path)
                server = await loop.create_unix_server(accept, sock=_unix_socket(address.path, listener.mode), **how)
                self._unix_paths.append((address.path, os.stat(address.path).st_ino))
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {_reason(error)}") from None
        self._servers.append(server)
        self.addresses.append(address)
        _log.info("listening on %s for %s clients%s", address, listener.payload, " over TLS" if tls else "")

    def _acceptor(self, payload: str, listener: int) -> Callable[[], asyncio.Protocol]:
        def accept() -> asyncio.Protocol:
            if len(self._connections) + len(self._arriving) >= self._settings.limits.clients:
                self.metrics.rejected["max_clients"] += 1
                return _TurnedAway()
            self.metrics.clients_total += 1
            policy, gate = self._policies[payload], self._gates[listener]
            connection = Connection(self, payload, policy, gate, self.metrics.clients_total)
            self._arriving.add(connection)
            return connection

        return accept

    async def _listen_admin(self) -> None:
        address = self._settings.admin.address
        if address is None:
            return
        routes: Routes = {
            ("GET", "/livez"): lambda: OK,
            ("GET", "/startup"): lambda: OK,
            ("GET", "/readyz"): self._readiness,
            ("GET", "/metrics"): lambda: Answer("200 OK", self.metrics.exposition(), "text/plain; version=0.0.4"),
            ("POST", "/drain"): self._ask_to_stop,
        }
        try:
            if isinstance(address, UnixAddress):
                _make_way(address.path)
                self._admin = await serve_admin_unix(routes, address.path)
                self._unix_paths.append((address.path, os.stat(address.path).st_ino))
            else:
                self._admin = await serve_admin(routes, address.host, address.port)
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {_reason(error)}") from None

    def _readiness(self) -> Answer:
        return OK if self._ready else unavailable("draining")

    def _ask_to_stop(self) -> Answer:
        self._stop.set()
        return Answer("202 Accepted", b"draining\n")

    # -- what a connection asks for --------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A client is there, its TLS handshake done."""
        self._arriving.discard(connection)
        self._connections.add(connection)
        self._all_gone.clear()
        self.metrics.clients += 1
        if self._stop.is_set():
            connection.drain()

    def opening(self) -> tuple[Opening, ...]:
        """What begins each conversation. Raises UpstreamError."""
        return self._upstream.opening()

    async def dial(self, factory: Callable[[], UpstreamSide]) -> UpstreamSide:
        """Connect to Redis. Raises UpstreamError."""
        return await self._upstream.connect(factory)

    async def convert(self, conversion: Conversion) -> list[Converted]:
        """Convert in the converter process."""
        return await self._converter.convert(conversion)

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """What Redis says of a command."""
        return await self._upstream.command_info(name)

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Run a task, keep it until it ends, and log what it should not have raised."""
        task = asyncio.get_running_loop().create_task(cast("Coroutine[Any, Any, None]", work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("%s failed", task.get_name(), exc_info=task.exception())

    def closed(self, connection: Connection) -> None:
        """A client is gone, and so is its upstream."""
        if connection in self._connections:
            self._connections.discard(connection)
            self.metrics.clients -= 1
            if not self._connections:
                self._all_gone.set()


def _reason(error: OSError) -> str:
    """The system's words: event loops put their own around them."""
    return os.strerror(error.errno) if error.errno else error.strerror or str(error)


def _policies(settings: Settings) -> dict[str, Policy]:
    return {payload: policy_for(settings, payload) for payload in ("json", "msgpack")}


class _TurnedAway(asyncio.Protocol):
    """A client too many: told so in Redis' words, as Redis does."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.WriteTransport", transport).write(_TOO_MANY)
        transport.close()


def _server_tls(listener: Listener) -> ServerTls | None:
    """Raises TlsError."""
    if listener.tls_cert is None or listener.tls_key is None:
        return None
    return ServerTls(listener.tls_cert, listener.tls_key, listener.tls_client_ca)


def _unix_socket(path: str, mode: str | None) -> socket.socket:
    """A bound socket; nobody can connect before it has its mode, because nothing listens on it yet. Raises OSError."""
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(path)
        if mode is not None:
            os.chmod(path, int(mode, 8))
    except OSError:
        bound.close()
        raise
    return bound


def _make_way(path: str) -> None:
    """Remove a socket that nobody listens on any more; asyncio would take over a live one without a word."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(None, "there is a file of that name that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
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
