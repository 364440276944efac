"""A client that pipelines raw commands, for what redis-benchmark cannot send: values with a NUL in them, and mixes.

It knows how long its replies are and counts bytes, nothing else, so that it stays ahead of what it measures. Each
client sends the same commands again and again.
"""

import selectors
import socket
import time
from collections.abc import Sequence

from benchmarks.figures import percentile
from benchmarks.proxied import Client
from benchmarks.redis_benchmark import Outcome


def run(port: int, commands: Sequence[bytes], requests: int, *, clients: int, pipeline: int) -> Outcome:
    """Send packed commands in turn, `pipeline` at once by each client; the times are those of such a batch."""
    batches = [Batch(port, commands, pipeline, number) for number in range(clients)]
    started = time.perf_counter()
    try:
        with selectors.DefaultSelector() as selector:
            for batch in batches:
                selector.register(batch.client.socket, selectors.EVENT_READ, batch)
                batch.send()
            left = max(0, requests - clients * pipeline)
            going = clients
            while going:
                for key, _ in selector.select():
                    batch = key.data
                    if not batch.receive():
                        continue
                    if left > 0:
                        left -= pipeline
                        batch.send()
                    else:
                        going -= 1
        seconds = time.perf_counter() - started
    finally:
        for batch in batches:
            batch.client.socket.close()
    waits = sorted(wait * 1000 for batch in batches for wait in batch.waits)
    return Outcome(
        per_second=len(waits) * pipeline / seconds,
        average_ms=sum(waits) / len(waits),
        minimum_ms=waits[0],
        p50_ms=percentile(waits, 0.5),
        p95_ms=percentile(waits, 0.95),
        p99_ms=percentile(waits, 0.99),
        maximum_ms=waits[-1],
    )


class Batch:
    """One client, and the commands that it sends at once, again and again."""

    def __init__(self, port: int, commands: Sequence[bytes], pipeline: int, number: int) -> None:
        """Connect, and learn how long the replies are. `number`: where in the commands to begin."""
        self.client = Client(port)
        self.waits: list[float] = []
        self._data = b"".join(commands[(number * pipeline + at) % len(commands)] for at in range(pipeline))
        self._size = self.client.reply_size(self._data)
        self._left = 0
        self._began = 0.0

    def send(self) -> None:
        """Send them all, whatever has to be read meanwhile."""
        self._left, self._began = self._size, time.perf_counter()
        rest = memoryview(self._data)
        while rest:
            try:
                rest = rest[self.client.socket.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._take()

    def receive(self) -> bool:
        """Read what there is; whether that was all."""
        self._take()
        if self._left == 0:
            self.waits.append(time.perf_counter() - self._began)
        return self._left == 0

    def _take(self) -> None:
        data = self.client.socket.recv(min(self._left, 1 << 20))
        if not data:
            raise ConnectionError("the server closed the connection")
        self._left -= len(data)
