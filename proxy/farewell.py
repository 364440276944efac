"""The end of a client: it gets what it has coming, and the time to read it. Not more than that.

To close with bytes of the client unread would reset the connection, and a reset overtakes what is still on its way
to the client: so our direction ends first, and what it still sends is read and dropped until it ends the other.
"""

import asyncio
from typing import Any, Final

_LINGER: Final = 1.0
"""Seconds that a client has to close its own side, once it has all that it had coming."""
_STUCK: Final = 60.0
"""Seconds that a client may take nothing of what it has coming."""


def finish(transport: Any) -> bool:
    """End our direction, once all is sent; False: it is reset already, or TLS, which ends both directions at once."""
    if not transport.can_write_eof():
        return False
    try:
        transport.write_eof()
    except OSError:  # asyncio shuts the socket down at once, and lets its error pass
        return False
    return True


class Farewell:
    """The end of one client."""

    def __init__(self, client: Any) -> None:
        """`client`: the transport. Its protocol ignores what it receives from now on."""
        self._client = client
        if finish(client):
            client.resume_reading()
        else:
            client.close()
        self._wait(client.get_write_buffer_size(), _STUCK)

    def _wait(self, unsent: int, patience: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LINGER, self._look, unsent, patience - _LINGER)

    def _look(self, unsent_before: int, patience: float) -> None:
        unsent = self._client.get_write_buffer_size()
        if unsent and (unsent < unsent_before or patience > 0):
            self._wait(unsent, _STUCK if unsent < unsent_before else patience)
        else:
            self._client.abort()

    def cancel(self) -> None:
        """The client is gone."""
        self._timer.cancel()
