"""Readiness for `/readyz`: on demand, the proxy connects to Redis as it does for a client, and sends PING.

A Redis in cluster mode is not ready, unless `upstream.url` names a cluster. If the proxy itself cannot see the mode, a
client's HELLO tells it.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from proxy.assembly import upstream_for
from proxy.config import ClusterTarget, Settings
from proxy.net.tls import TlsError
from proxy.resp import ErrorAnswer
from proxy.upstream.dialer import ClusterModeError, HungUpError
from proxy.upstream.link import UpstreamError
from proxy.upstream.trunks import PasswordWantedError

_log = logging.getLogger("proxy.reach")
_MAX_AGE: Final = 2.0
"""Seconds for which one result answers all requests."""
_TIMEOUT: Final = 2.0
"""Seconds for Redis to answer."""
_HEALTHY_ERRORS: Final = ("NOAUTH", "NOPERM")
"""Errors that a working Redis may send: the proxy has no password, or its user may not PING."""


class Readiness:
    """Checks the Redis of the current settings, each time on a new connection."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        """`settings` returns the current settings."""
        self._settings = settings
        self._asking = asyncio.Lock()
        self._asked: float | None = None
        self._fault = ""
        self._clients_hear_cluster = False
        self._has_warned = False
        self.server = ""
        """The name and version of Redis, as it told the last check. Empty if they are not known."""

    async def fault(self) -> str:
        """The reason why clients cannot be served now; empty if Redis answers, or did so a moment ago."""
        async with self._asking:
            if self._asked is None or monotonic() - self._asked >= _MAX_AGE:
                self._fault = await self._ask()
                self._asked = monotonic()
            return self._fault

    async def look(self) -> None:
        """At the start: warn if Redis runs in cluster mode, hangs up, or requires a password that the proxy lacks.

        Without a connection there is no warning.
        """
        await self._ask()

    def record_mode(self, in_cluster_mode: bool) -> None:
        """A reply of Redis to a client shows whether cluster mode is on. A cluster may, of course, be one."""
        if isinstance(self._settings().upstream.target, ClusterTarget):
            return
        self._clients_hear_cluster = in_cluster_mode
        if in_cluster_mode:
            self._asked = None
            self._warn(ClusterModeError(self._settings().upstream.url))

    def _warn(self, error: UpstreamError) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning("%s", error)

    async def _ask(self) -> str:
        try:
            upstream = upstream_for(self._settings())
        except TlsError as error:
            _log.error("%s", error)  # not for the admin port, because it has the path of the key
            return "a certificate or key of [upstream] cannot be used, and the proxy's log says why"
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await upstream.ping()
        except TimeoutError:
            return f"Redis at {upstream.place} has not answered in {_TIMEOUT:g} s"
        except (ClusterModeError, HungUpError, PasswordWantedError) as error:
            self._warn(error)
            return str(error)
        except (UpstreamError, OSError) as error:
            return str(error)
        finally:
            self.server = upstream.server
            await upstream.end()
        if isinstance(answer, ErrorAnswer):
            if not answer.text.startswith(_HEALTHY_ERRORS):
                return f"Redis says: {answer.text}"
        elif answer != "PONG":
            return f"the server at {upstream.place} is not a Redis: it does not answer PING with PONG"
        return str(ClusterModeError(upstream.place)) if self._clients_hear_cluster else ""
