"""Whether Redis can be reached, for `/readyz`: found out when somebody wants to know, by doing what a client would."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import hiredis

from proxy.assembly import upstream_for
from proxy.config import Settings
from proxy.sentinel import Master
from proxy.tls import TlsError
from proxy.upstream import Upstream, UpstreamError

_LATELY: Final = 2.0
"""Seconds that what was found out holds, however many ask."""
_PATIENCE: Final = 2.0
"""Seconds that Redis may take; whoever asks does not wait much longer."""
_THERE: Final = ("NOAUTH", "NOPERM")
"""Errors of a Redis that serves clients: this one has not shown a password, or may not PING."""


class Reach:
    """The Redis of the settings in force. Nothing of it outlives a question, so that there is nothing to reload."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        """`settings`: those in force."""
        self._settings = settings
        self._asking = asyncio.Lock()
        self._asked: float | None = None
        self._fault = ""

    async def fault(self) -> str:
        """Why a client could not be served now; empty: Redis answers, or did a moment ago."""
        async with self._asking:
            if self._asked is None or monotonic() - self._asked >= _LATELY:
                self._fault = await self._ask()
                self._asked = monotonic()
            return self._fault

    async def _ask(self) -> str:
        try:
            upstream = upstream_for(self._settings())
        except TlsError as error:
            return str(error)
        try:
            async with asyncio.timeout(_PATIENCE):
                reply = await upstream.ping()
        except TimeoutError:
            return f"Redis at {upstream.place} has not answered in {_PATIENCE:g} s"
        except (UpstreamError, OSError, hiredis.HiredisError) as error:
            return str(error)
        finally:
            await _close(upstream)
        refused = isinstance(reply, hiredis.ReplyError) and not str(reply).startswith(_THERE)
        return f"Redis says: {reply}" if refused else ""


async def _close(upstream: Upstream) -> None:
    if isinstance(upstream.place, Master):
        await upstream.place.close()
