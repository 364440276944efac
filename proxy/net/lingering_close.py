"""Lingering close: the client receives all outstanding bytes before its connection is closed, within limited time.

If a socket is closed while received bytes are unread, the kernel resets the connection. The client may then lose
bytes that we have sent. So we shut down our sending side first. Then we read and drop the client's bytes until the
client closes its side.
"""

import asyncio
from typing import Any, Final

_LINGER: Final = 1.0
"""Seconds in which the client must close its side, after it has received everything."""
_LINGER_IDLE: Final = 0.2
"""The same for a client without an outstanding request: only a request that is under way to us matters. A pool often
notices the end of an idle connection at its next use only, and a restart should not wait for that."""
_STUCK: Final = 60.0
"""Seconds without progress after which a client that does not read is aborted."""


def finish(transport: Any) -> bool:
    """Shut down our sending side once everything is sent.

    False if that is impossible: the connection is reset already, or it uses TLS, which closes both sides at once.
    """
    if not transport.can_write_eof():
        return False
    try:
        transport.write_eof()
    except OSError:  # asyncio calls shutdown() at once if nothing is unsent, and raises its error
        return False
    return True


class LingeringClose:
    """The closing of one client. See the module."""

    def __init__(self, client: Any, *, is_idle: bool = False) -> None:
        """`client`: the transport. Its protocol ignores all bytes from now on. `is_idle`: it awaits no reply."""
        self._client = client
        self._linger = _LINGER_IDLE if is_idle else _LINGER
        if finish(client):
            client.resume_reading()
        else:
            client.close()
        self._wait(client.get_write_buffer_size(), _STUCK)

    def _wait(self, unsent: int, patience: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._linger, self._look, unsent, patience - self._linger)

    def _look(self, unsent_before: int, patience: float) -> None:
        unsent = self._client.get_write_buffer_size()
        if unsent and (unsent < unsent_before or patience > 0):
            self._wait(unsent, _STUCK if unsent < unsent_before else patience)
        else:
            self._client.abort()

    def cancel(self) -> None:
        """Stop the timer: the client is gone."""
        self._timer.cancel()
