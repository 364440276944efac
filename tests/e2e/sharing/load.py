"""Clients under load that know each reply in advance: so they notice a reply that is another client's, and a hang."""

import threading
from collections.abc import Callable
from itertools import count
from typing import Final, Self

from tests.e2e.proxy_process import DEADLINE, Address, wait_until
from tests.e2e.wire import Wire, request

_BATCH: Final = 5
_ALLOWED: Final = (
    *(b"-ERR flask-cache-proxy: ", b"-ERR max number of clients "),
    *(b"-READONLY ", b"-LOADING ", b"-MASTERDOWN ", b"-NOREPLICAS ", b"-OOM "),
)
"""Errors that are no fault: of the proxy, and of a Redis that is not ready."""
_WAIT: Final = 0.01
"""Seconds from the end of a connection to the next one."""


class Load:
    """Use it as a context. Each client connects again whenever it is closed."""

    def __init__(self, address: Callable[[], Address], clients: int = 12) -> None:
        """`address`: of the proxy."""
        self._address = address
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        self.served = [0] * clients
        """Batches whose replies have all come, by client."""
        self.closed = [0] * clients
        """Connections that were closed with replies outstanding, by client."""
        self.faults: list[str] = []
        """Replies that were another's, and replies that never came."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(DEADLINE)
        assert self.faults == []

    def goes_on(self) -> None:
        """Wait until each client has been served again."""
        before = list(self.served)
        wait_until(
            lambda: self.faults or all(now > was + 1 for now, was in zip(self.served, before, strict=True)),
            "each client to be served",
        )
        assert self.faults == []

    def _run(self, number: int) -> None:
        numbers = count()
        while not self._stop.is_set():
            try:
                with Wire(self._address()) as client:
                    if number % 3 == 0:
                        client("HELLO", "3")
                    while not self._stop.is_set() and self._is_served(client, number, next(numbers)):
                        self.served[number] += 1
            except TimeoutError:
                self.faults.append(f"client {number} hangs")
            except (OSError, AssertionError):  # it was closed
                pass
            self.closed[number] += 1
            self._stop.wait(_WAIT)

    def _is_served(self, client: Wire, number: int, turn: int) -> bool:
        """False: the client got an error, which may come before the end of its connection."""
        key = f"load-{number}"
        asked = [(request("SET", key, f"{number}:{turn}:{each}"), b"+OK\r\n") for each in range(_BATCH)]
        asked += [
            (request("ECHO", f"{number}:{turn}:{each}"), _bulk(f"{number}:{turn}:{each}")) for each in range(_BATCH)
        ]
        client.send(b"".join(each for each, _ in asked))
        for _, reply in asked:
            came = client.reply()
            if came != reply:
                if not came.startswith(_ALLOWED):
                    self.faults.append(f"client {number} got {came!r} for {reply!r}")
                return False
        return True


def _bulk(text: str) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text.encode())
