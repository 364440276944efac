"""What a bystander's small commands wait for while others have large values transcoded.

The bystander reads a small value again and again; the others, in processes of their own, do nothing but large reads
and writes. What counts is how much longer the bystander waits than while nobody else is there.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgpack

from benchmarks import worst_values
from benchmarks.proxied import Client, Proxied
from proxy.resp.writers import command

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_KEY: Final = b"flask_cache_large"
_WARM_UP: Final = 0.3


class Load(NamedTuple):
    """What the others do."""

    name: str
    clients: int
    format: str = "json"
    payload: Callable[[], bytes] | None = None
    """None: nobody is there."""
    write: bool = True
    pipeline: int = 1


def rows(size: int) -> list[dict[str, Any]]:
    """A value as caches hold it, whose JSON takes about `size` bytes."""
    one = {"id": 12345, "name": "row 12345", "price": 1234.5, "tags": ["a", "b"], "ok": True, "note": None}
    return [one] * max(1, size // len(json.dumps(one, separators=(",", ":")) + ","))


def _json(size: int) -> Callable[[], bytes]:
    return lambda: json.dumps(rows(size), separators=(",", ":")).encode()


def _msgpack(size: int) -> Callable[[], bytes]:
    return lambda: msgpack.packb(rows(size * 3 // 2))


def _texts(size: int) -> Callable[[], bytes]:
    """Few nodes for many bytes: what is rich in nodes is over that limit before it has 8 MB."""
    return lambda: json.dumps(["x" * 1000] * (size // 1003 - 1), separators=(",", ":")).encode()


def _hostile(size: int) -> Callable[[], bytes]:
    """The worst of the patterns in `hostile`, as much as fits."""
    flood = worst_values.msgpack_flood('{"py/dict":[[1,1]]}', 1)[5:]
    return lambda: worst_values.msgpack_flood('{"py/dict":[[1,1]]}', size // len(flood) - 1)


LOADS: Final = (
    Load("nobody", 0),
    Load("SET of 100 KB", 4, payload=_json(100 * _KIB)),
    Load("GET of 100 KB", 4, payload=_json(100 * _KIB), write=False),
    Load("SET of 1 MB", 4, payload=_json(_MIB)),
    Load("GET of 1 MB", 4, payload=_json(_MIB), write=False),
    Load("SET of 8 MB", 2, payload=_texts(8 * _MIB)),
    Load("GET of 8 MB", 2, payload=_texts(8 * _MIB), write=False),
    Load("SET of 60 KB", 16, payload=_json(60 * _KIB)),
    Load("SET of 60 KB, msgpack", 16, "msgpack", _msgpack(60 * _KIB)),
    Load("GET of 12 KB", 16, payload=_json(12 * _KIB), write=False),
    Load("GET of 12 KB, msgpack", 16, "msgpack", _msgpack(12 * _KIB), write=False),
    Load("SET of 2 KB, 32 at once", 16, payload=_json(2 * _KIB), pipeline=32),
    Load("GET of 2 KB, 32 at once", 16, payload=_json(2 * _KIB), write=False, pipeline=32),
    Load("SET of 60 KB, hostile", 4, "msgpack", _hostile(60 * _KIB)),
)


def measure(proxy: Proxied, load: Load, seconds: float) -> dict[str, Any]:
    """What the bystander waited for, in milliseconds, and how many large values passed meanwhile."""
    small = b"flask_cache_small"
    request = command(b"GET", small)
    with Client(proxy.ports["json"]) as bystander, _working(proxy, load) as count:
        bystander.exchange(command(b"SET", small, b'{"small":true}'), len(b"+OK\r\n"))
        size = bystander.reply_size(request)
        _wait(bystander, request, size, _WARM_UP)
        before, cpu = count(), proxy.cpu_seconds()
        waits = _wait(bystander, request, size, seconds)
        values, cpu = count() - before, proxy.cpu_seconds() - cpu
    waits.sort()
    return {
        "load": load.name,
        "clients": load.clients,
        "commands": len(waits),
        **{name: _at(waits, share) for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))},
        "max_ms": _at(waits, 1),
        "values_per_second": round(values * load.pipeline / seconds),
        "cpu": round(cpu / seconds, 2),
    }


def _wait(client: Client, request: bytes, size: int, seconds: float) -> list[float]:
    """Seconds that each of as many commands took as there was time for."""
    waits = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        client.exchange(request, size)
        waits.append(time.perf_counter() - start)
    return waits


def _at(waits: Sequence[float], share: float) -> float:
    return round(waits[min(len(waits) - 1, int(len(waits) * share))] * 1000, 2)


@contextmanager
def _working(proxy: Proxied, load: Load) -> Iterator[Callable[[], int]]:
    """The others at work; yields how many values have passed so far."""
    if load.payload is None:
        yield lambda: 0
        return
    counter = multiprocessing.Value("q", 0)
    started = multiprocessing.Barrier(load.clients + 1)
    workers = [
        multiprocessing.Process(target=_work, args=(proxy.ports[load.format], load, number, counter, started))
        for number in range(load.clients)
    ]
    for worker in workers:
        worker.start()
    started.wait()
    try:
        yield lambda: int(counter.value)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _work(port: int, load: Load, number: int, counter: Any, started: Any) -> None:
    assert load.payload is not None
    client = Client(port)
    key = b"%b.%d" % (_KEY, number)
    write = command(b"SET", key, load.payload())
    client.exchange(write, len(b"+OK\r\n"))
    request = (write if load.write else command(b"GET", key)) * load.pipeline
    size = client.reply_size(request)
    started.wait()
    while True:
        client.exchange(request, size)
        with counter.get_lock():
            counter.value += 1
