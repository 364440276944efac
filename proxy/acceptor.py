"""Accepting clients from a socket that other workers may accept from too, one at a time.

Event loops accept all that has arrived at once, and the system wakes the same process first again and again: one worker
would end up with nearly all clients. Here each turn of the loop takes one, and a worker that is ahead of another leaves
it to that one for a moment.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

_log = logging.getLogger("proxy.acceptor")
_GIVE_WAY: Final = 0.002
"""Seconds that a client is left to another worker; far more than an idle one needs."""
_RETRY: Final = 1.0
"""Seconds between two attempts where the system has no resources for one more client."""


class Acceptor:
    """Accepts from one listening socket until closed."""

    def __init__(
        self, listening: socket.socket, accepted: Callable[[socket.socket], None], gives_way: Callable[[], bool]
    ) -> None:
        """`accepted` takes each client, non-blocking; `gives_way` says whether another worker should have the next."""
        self._listening = listening
        self._accepted = accepted
        self._gives_way = gives_way
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._loop.add_reader(listening, self._readable)

    def _readable(self) -> None:
        if self._gives_way():
            self._pause_for(_GIVE_WAY)
        else:
            self._accept()

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster, or the client has gone
        except OSError as error:
            _log.error("cannot accept a client: %s; trying again in %g s", os.strerror(error.errno or 0), _RETRY)
            self._pause_for(_RETRY)
            return
        client.setblocking(False)
        self._accepted(client)

    def _pause_for(self, seconds: float) -> None:
        if self._pause is None:
            self._loop.remove_reader(self._listening)
            self._pause = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening, self._readable)
        self._accept()

    def close(self) -> None:
        """Accept no more. The socket goes on listening where another process has it too."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
