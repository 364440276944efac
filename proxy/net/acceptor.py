"""Accept clients from a socket that the workers share, so that all workers get about the same number.

An event loop accepts every waiting client at once, and the kernel tends to wake the same process first. One worker
would get nearly all clients. So an acceptor takes one client in each iteration of the loop. A worker that has more
clients than another one waits for a moment first, and lets the other one accept.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

_log = logging.getLogger("proxy.acceptor")
_GIVE_WAY: Final = 0.002
"""Seconds for which another worker may take the client. An idle worker needs far less."""
_RETRY: Final = 1.0
"""Seconds until the next attempt, if the system lacks resources for one more client."""


class Acceptor:
    """Accepts from one listening socket until closed."""

    def __init__(
        self, listening: socket.socket, accepted: Callable[[socket.socket], None], gives_way: Callable[[], bool]
    ) -> None:
        """`accepted` gets each client's socket, non-blocking. `gives_way`: true if another worker should accept."""
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
        """Stop accepting. The socket still listens in the other processes that have it."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
