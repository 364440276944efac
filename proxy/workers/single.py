"""One server in this process, without a supervisor. This is the default."""

from collections.abc import Callable

from proxy.config import ConfigError, Settings
from proxy.config.passwords import PasswordError
from proxy.net.listeners import Listeners
from proxy.net.tls import TlsError
from proxy.observe import admin
from proxy.observe.metrics import Snapshot
from proxy.observe.refusals import Refused
from proxy.server.client_slots import alone
from proxy.server.readiness import Readiness
from proxy.server.server import Server
from proxy.server.survey import Survey
from proxy.workers import reload, reload_metrics


class SoleServer:
    """A server with an admin port, which reads its configuration itself on a reload."""

    def __init__(self, settings: Settings, listeners: Listeners, reread: Callable[[], Settings]) -> None:
        """`reread` reads the settings for a reload and may raise ConfigError. Raises TlsError, PasswordError."""
        self._settings = settings
        self._listeners = listeners
        self._reread = reread
        self._server = Server(settings, [place.sockets for place in listeners.clients], alone())
        self._readiness = Readiness(lambda: self._settings)
        reload_metrics.loaded(self._server.metrics, settings)
        self._server.tally.on_mode = self._readiness.record_mode
        addresses = [place.address for place in listeners.clients]
        self._survey = Survey(self._server.start, settings.listener, addresses)
        self._is_started = False

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until `stop` or `drain`. `started` is called when clients are accepted."""
        port = await admin.serve(self, self._readiness, self._listeners.admin)

        def ready() -> None:
            self._is_started = True
            self._survey.begin(self._settings)
            started()
            self._server.start(self._readiness.look(), "look at Redis' mode")

        try:
            await self._server.run(ready)
        finally:
            await port.close()

    def stop(self) -> None:
        """First call: drain, then end. Second call: end at once."""
        if self._server.is_draining():
            self._server.end_now()
        else:
            self._server.drain()

    def drain(self) -> None:
        """See `admin.Subject`."""
        self._server.drain()

    def reload(self) -> None:
        """Read and apply the configuration. An invalid one changes nothing."""
        try:
            read = self._reread()
            settings = reload.merged(self._settings, read)
            take = self._server.prepare(settings)
        except (ConfigError, TlsError, PasswordError) as error:
            reload_metrics.refused(self._server.metrics)
            reload.refuse(reload.invalid(error))
            return
        take()
        reload_metrics.loaded(self._server.metrics, settings)
        reload.report(self._settings, read)
        self._settings = settings
        self._survey.begin(settings)

    def is_started(self) -> bool:
        """See `admin.Subject`."""
        return self._is_started

    def why_not_ready(self) -> str:
        """See `admin.Subject`."""
        if self._server.is_draining():
            return "draining"
        return "" if self._is_started else "starting"

    @property
    def settings(self) -> Settings:
        """See `admin.Subject`."""
        return self._settings

    async def numbers(self) -> Snapshot:
        """See `admin.Subject`."""
        return self._server.numbers()

    def last_refusals(self) -> tuple[Refused, ...]:
        """See `admin.Subject`."""
        return self._server.refusals.last.snapshot()
