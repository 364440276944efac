"""One server that is the whole proxy, which is what most need: no supervisor, no second process."""

from collections.abc import Callable

from proxy import admin, reload
from proxy.config import ConfigError, Settings
from proxy.listeners import Listeners
from proxy.metrics import processes
from proxy.passwords import PasswordError
from proxy.reach import Reach
from proxy.seats import alone
from proxy.server import Server
from proxy.tls import TlsError


class SoleServer:
    """A server with an admin port, and a configuration of its own to read."""

    def __init__(self, settings: Settings, listeners: Listeners, reread: Callable[[], Settings]) -> None:
        """`reread` reads the settings anew, for HUP; it may raise ConfigError. Raises TlsError, PasswordError."""
        self._settings = settings
        self._listeners = listeners
        self._reread = reread
        self._server = Server(settings, [place.sockets for place in listeners.clients], alone())
        self._is_started = False

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until told to stop, then drain. `started` is called once clients are accepted."""
        ports = await admin.serve(self, Reach(lambda: self._settings).fault, self._listeners.admin)

        def ready() -> None:
            self._is_started = True
            started()

        try:
            await self._server.run(ready)
        finally:
            for port in ports:
                port.close()

    def stop(self) -> None:
        """Drain, then end. The second time: end now."""
        if self._server.is_draining():
            self._server.end_now()
        else:
            self._server.drain()

    def drain(self) -> None:
        """Drain, then end."""
        self._server.drain()

    def reload(self) -> None:
        """Read the configuration anew. An invalid one changes nothing."""
        try:
            read = self._reread()
            settings = reload.merged(self._settings, read)
            take = self._server.prepare(settings)
        except (ConfigError, TlsError, PasswordError) as error:
            reload.refuse(reload.invalid(error))
            return
        take()
        reload.report(self._settings, read)
        self._settings = settings

    def is_started(self) -> bool:
        """Whether clients are accepted."""
        return self._is_started

    def why_not_ready(self) -> str:
        """Why no client should be sent here."""
        if self._server.is_draining():
            return "draining"
        return "" if self._is_started else "starting"

    async def exposition(self) -> bytes:
        """The metrics."""
        self._server.numbers()
        return self._server.metrics.exposition(processes())
