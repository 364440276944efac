"""The delay of a bystander's small commands beside clients that do not read, or read slowly, or leave.

With shared connections all of them are on the bystander's connection to Redis. The same loads are measured with a
connection for each client, and straight on Redis, in turn. The bystander sends at a fixed rate, whatever is
outstanding. A command's clock starts when it is due, so a stall counts for all commands that were due meanwhile.
"""

import multiprocessing
import select
import socket
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final, NamedTuple

from benchmarks import peers
from benchmarks.fairness import texts
from benchmarks.figures import interleaved, percentile, spread
from benchmarks.peers import Server
from benchmarks.proxied import Client
from proxy.resp.encode import command

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_SMALL: Final = b"flask_cache_small"
_RAW: Final = b"other_large"
_MANAGED: Final = b"flask_cache_large"
_LINES: Final = b"other_line"
_PAGES: Final = b"other_page"
_VALUES: Final[dict[bytes, Callable[[], bytes]]] = {
    _SMALL: lambda: b'{"small":true}',
    _RAW: lambda: b"x" * (8 * _MIB),
    _MANAGED: texts(8 * _MIB),
    _LINES: lambda: b"x" * _KIB,
    _PAGES: lambda: b"x" * (100 * _KIB),
}
"""What is stored, by key."""
_PROBE: Final = command(b"PING")
_TICK: Final = 0.02
"""Seconds between two reads of a slow client."""
_RECEIVE_BUFFER: Final = 64 * _KIB
RATE: Final = 500
"""The bystander's commands in a second."""
_FIRST: Final = 3.0
"""Seconds at first that are told apart: the first clients that hold a shared connection may do so for longest."""
SHARED: Final = "shared"
WAYS: Final = (SHARED, "per-client", "Redis")
"""To Redis: a proxy with one connection for all clients, one with a connection for each, and no proxy."""


class Load(NamedTuple):
    """What the other client does, again and again."""

    name: str
    key: bytes = b""
    """It asks for this value. Without it, there is no other client."""
    ahead: int = 8
    """So many replies are owed to it at any time. 8 of 8 MB are more than both buffers of the proxy take."""
    pace: int = 0
    """The bytes that it reads in a second."""
    visits: int = 0
    """It reads nothing, and leaves so many times a second."""


LOADS: Final = (
    Load("nobody"),
    Load("reads 8 MB values as they come", _RAW, ahead=1, pace=64 * _MIB),
    Load("never reads 8 MB values", _RAW),
    Load("never reads 8 MB values, managed", _MANAGED),
    Load("reads 8 MB values slowly", _RAW, pace=4 * _MIB),
    Load("reads 8 MB values slowly, managed", _MANAGED, pace=4 * _MIB),
    Load("reads 20,000 small values slowly", _LINES, ahead=20_000, pace=_MIB),
    Load("leaves with 50 replies of 100 KB owed", _PAGES, ahead=50, visits=20),
)


class Counts(NamedTuple):
    """What has happened to the other client."""

    asked: int
    """Requests that it has sent."""
    read: int
    """Bytes that it has read."""
    closed: int
    """How often its connection was closed. It connects again."""


# -- the servers ------------------------------------------------------------------------------------------


def settings() -> dict[str, Any]:
    """What is the same in each run. The engine of the proxies is the native one, if it runs here."""
    return {"engine": peers.Checkout().engines()[0], "trunks": peers.TRUNKS, "rate": RATE}


@contextmanager
def servers() -> Iterator[dict[str, Server]]:
    """By way, all at one Redis, which has the values. Raises Missing, StartError."""
    with ExitStack() as stack:
        home = stack.enter_context(peers.directory())
        redis = stack.enter_context(peers.redis(home))
        shared, alone = (
            stack.enter_context(peers.proxy(home, redis, settings()["engine"], trunks=trunks))
            for trunks in (peers.TRUNKS, 0)
        )
        with Client(alone.port) as client:
            for key, value in _VALUES.items():
                client.exchange(command(b"SET", key, value()), len(b"+OK\r\n"))
        yield dict(zip(WAYS, (shared, alone, redis), strict=True))


# -- the other client -------------------------------------------------------------------------------------


@contextmanager
def working(server: Server, load: Load) -> Iterator["Working"]:
    """The other client at work."""
    counts = multiprocessing.Array("q", len(Counts._fields))
    if not load.key:
        yield Working(counts)
        return
    began = multiprocessing.Event()
    worker = multiprocessing.Process(target=_work, args=(server.port, load, counts, began), daemon=True)
    worker.start()
    try:
        began.wait()
        yield Working(counts)
    finally:
        worker.terminate()
        worker.join()


class Working:
    """The other client, as the benchmark sees it."""

    def __init__(self, counts: Any) -> None:
        """`counts`: shared with its process."""
        self._counts = counts

    def counts(self) -> Counts:
        """So far."""
        return Counts(*self._counts)


def _work(port: int, load: Load, counts: Any, began: Any) -> None:
    request = command(b"GET", load.key)
    with Client(port) as client:
        size = client.reply_size(request)
    while True:
        try:
            with Client(port, receive_buffer=_RECEIVE_BUFFER) as client:
                began.set()
                if load.visits:
                    _visit(client, request, load, counts)
                else:
                    _Reader(client.socket, request, size, load, counts).run()
        except ConnectionError:
            counts[2] += 1
        else:
            time.sleep(1 / load.visits)


def _visit(client: Client, request: bytes, load: Load, counts: Any) -> None:
    """Ask, and leave once the first byte is there: Redis owes the others."""
    client.socket.sendall(request * load.ahead)
    counts[0] += load.ahead
    counts[1] += client.some(1)


class _Reader:
    """A client that has the same number of requests outstanding at any time. It never waits to send."""

    def __init__(self, connection: socket.socket, request: bytes, size: int, load: Load, counts: Any) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._request = request
        self._size = size
        self._load = load
        self._counts = counts
        self._unsent = bytearray()
        self._unread = 0

    def run(self) -> None:
        """Until the connection is closed. Raises ConnectionError."""
        while True:
            self._ask()
            self._read(int(self._load.pace * _TICK))
            # The kernel tells of a reset to whoever sends. Who does not read does not notice it otherwise.
            self._unsent += _PROBE
            time.sleep(_TICK)

    def _ask(self) -> None:
        more = self._load.ahead - -(-self._unread // self._size)
        if more > 0:
            self._unsent += self._request * more
            self._unread += self._size * more
            self._counts[0] += more
        with suppress(BlockingIOError):
            del self._unsent[: self._socket.send(self._unsent)]

    def _read(self, most: int) -> None:
        with suppress(BlockingIOError):
            while most > 0:
                data = self._socket.recv(most)
                if not data:
                    raise ConnectionError("closed")
                most -= len(data)
                self._unread -= len(data)
                self._counts[1] += len(data)


# -- the bystander ----------------------------------------------------------------------------------------


class Run(NamedTuple):
    """The bystander's waits in seconds, and what happened to the other client."""

    first: list[float]
    """While the other client begins. The counts are without it."""
    waits: list[float]
    counts: Counts


def measure(load: Load, ways: dict[str, Server], rounds: int, seconds: float) -> Iterator[dict[str, Any] | None]:
    """None before each run, the ways in turn; at last a row for each way."""
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    for _, way in interleaved([*ways], rounds):
        yield None
        runs[way].append(_run(ways[way], load, seconds))
    for way, found in runs.items():
        yield _row(load, way, found, rounds * seconds)


def _run(server: Server, load: Load, seconds: float) -> Run:
    request = command(b"GET", _SMALL)
    with Client(server.port) as bystander:
        size = bystander.reply_size(request)
        with working(server, load) as other:
            first = waits(bystander, request, size, _FIRST)
            before = other.counts()
            later = waits(bystander, request, size, seconds)
            return Run(first, later, Counts(*(now - was for now, was in zip(other.counts(), before, strict=True))))


def waits(client: Client, request: bytes, size: int, seconds: float) -> list[float]:
    """For each command: the seconds from when it was due until its reply. It is sent then, whatever is outstanding."""
    start = time.perf_counter()
    due = [start + number / RATE for number in range(max(1, int(RATE * seconds)))]
    found: list[float] = []
    sent = received = 0
    while len(found) < len(due):
        now = time.perf_counter()
        ready = bisect(due, now)
        client.socket.sendall(request * (ready - sent))
        sent = ready
        left = due[sent] - now if sent < len(due) else None
        if select.select([client.socket], [], [], left)[0]:
            received += client.some()
            now = time.perf_counter()
            found += [now - when for when in due[len(found) : received // size]]
    return found


def _row(load: Load, way: str, runs: Sequence[Run], seconds: float) -> dict[str, Any]:
    """The percentiles are those of all rounds together. `p99_rounds_ms` has the median and quartiles of the rounds."""
    each = [sorted(run.waits) for run in runs]
    together = sorted(wait for one in each for wait in one)
    counts = Counts(*(sum(numbers) for numbers in zip(*(run.counts for run in runs), strict=True)))
    shares = (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1.0))
    return {
        "load": load.name,
        "connections": way,
        "commands": len(together),
        **{name: _ms(together, share) for name, share in shares},
        "p99_rounds_ms": spread([_ms(one, 0.99) for one in each]).rounded(2),
        "first_max_ms": _ms(sorted(wait for run in runs for wait in run.first), 1.0),
        "asked": counts.asked,
        "mib_read": round(counts.read / _MIB, 1),
        "closed": counts.closed,
        "closed_per_second": round(counts.closed / seconds, 2),
    }


def _ms(ordered: Sequence[float], share: float) -> float:
    return round(percentile(ordered, share) * 1000, 2)


def sentence(row: dict[str, Any]) -> str:
    """A row for people."""
    names = {"p50_ms": "p50", "p99_ms": "p99", "p999_ms": "p99.9", "max_ms": "max", "first_max_ms": "at first"}
    waited = "  ".join(f"{word} {row[name]:7.2f}" for name, word in names.items())
    return (
        f"  {row['connections']:10}  {waited} ms  closed {row['closed_per_second']:5.2f}/s"
        f"  {row['mib_read']:7.1f} MiB read"
    )
