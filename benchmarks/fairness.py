"""The delay of a bystander's small commands while other clients use large values.

The bystander reads a small value again and again. The others are processes that only read and write large values, or
send requests with very many keys. The result is the bystander's additional waiting time.
"""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgpack
import redis

from benchmarks import worst_frames, worst_values
from benchmarks.proxied import FRAMES, Client, Proxied
from proxy.resp.encode import command

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_KEY: Final = b"flask_cache_large"
_WARM_UP: Final = 0.3


class Load(NamedTuple):
    """The load of the other clients."""

    name: str
    clients: int
    format: str = "json"
    """Of the listener: `plain` is one of plain JSON."""
    payload: Callable[[], bytes] | None = None
    write: bool = True
    request: Callable[[], bytes] | None = None
    """Commands to send instead of a SET or GET of the payload. Without both there are no other clients."""
    pipeline: int = 1
    stored: Callable[[], bytes] | None = None
    """A value that is stored past the proxy, as apps store it, and read. Its rule has raised limits."""


def rows(size: int) -> list[dict[str, Any]]:
    """A value as caches hold it, whose JSON takes about `size` bytes."""
    one = {"id": 12345, "name": "row 12345", "price": 1234.5, "tags": ["a", "b"], "ok": True, "note": None}
    return [one] * max(1, size // len(json.dumps(one, separators=(",", ":")) + ","))


def _json(size: int) -> Callable[[], bytes]:
    return lambda: json.dumps(rows(size), separators=(",", ":")).encode()


def _msgpack(size: int) -> Callable[[], bytes]:
    return lambda: msgpack.packb(rows(size * 3 // 2))


def texts(size: int) -> Callable[[], bytes]:
    """Few nodes for many bytes: what is rich in nodes is over that limit before it has 8 MB."""
    return lambda: json.dumps(["x" * 1000] * (size // 1003 - 1), separators=(",", ":")).encode()


def _hostile(size: int) -> Callable[[], bytes]:
    """The worst of the patterns in `hostile`, as much as fits."""
    flood = worst_values.msgpack_flood('{"py/dict":[[1,1]]}', 1)[5:]
    return lambda: worst_values.msgpack_flood('{"py/dict":[[1,1]]}', size // len(flood) - 1)


def _frame() -> bytes:
    return worst_frames.usual(60_000)


def _keys(name: bytes, prefix: bytes, *value: bytes) -> Callable[[], bytes]:
    """A command on 200,000 keys."""
    return lambda: command(name, *(part for number in range(200_000) for part in (b"%b%d" % (prefix, number), *value)))


LOADS: Final = (
    Load("nobody", 0),
    Load("SET of 100 KB", 4, payload=_json(100 * _KIB)),
    Load("GET of 100 KB", 4, payload=_json(100 * _KIB), write=False),
    Load("SET of 1 MB", 4, payload=_json(_MIB)),
    Load("GET of 1 MB", 4, payload=_json(_MIB), write=False),
    Load("SET of 8 MB", 2, payload=texts(8 * _MIB)),
    Load("GET of 8 MB", 2, payload=texts(8 * _MIB), write=False),
    Load("SET of 60 KB", 16, payload=_json(60 * _KIB)),
    Load("SET of 60 KB, msgpack", 16, "msgpack", _msgpack(60 * _KIB)),
    Load("GET of 12 KB", 16, payload=_json(12 * _KIB), write=False),
    Load("GET of 12 KB, msgpack", 16, "msgpack", _msgpack(12 * _KIB), write=False),
    Load("SET of 2 KB, 32 at once", 16, payload=_json(2 * _KIB), pipeline=32),
    Load("GET of 2 KB, 32 at once", 16, payload=_json(2 * _KIB), write=False, pipeline=32),
    Load("SET of 60 KB, hostile", 4, "msgpack", _hostile(60 * _KIB)),
    Load("GET of a frame of 60,000 x 4", 4, stored=_frame),
    Load("GET of a frame of 60,000 x 4, plain", 4, "plain", stored=_frame),
    Load("GET of a frame of 60,000 x 4, msgpack", 4, "msgpack", stored=_frame),
    Load("MSET of 200,000", 1, request=_keys(b"MSET", b"flask_cache_", b"1")),
    Load("MGET of 200,000", 1, request=_keys(b"MGET", b"flask_cache_")),
    Load("EXISTS of 200,000, unmanaged", 1, request=_keys(b"EXISTS", b"other_")),
    Load("EXISTS of a key of 20 MB", 1, request=lambda: command(b"EXISTS", b"other_" + b"x" * (20 * _MIB))),
)


def measure(proxy: Proxied, load: Load, seconds: float) -> dict[str, Any]:
    """The bystander's waiting times in milliseconds, and the number of large values in the same time."""
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
    if not load.clients:
        yield lambda: 0
        return
    counter = multiprocessing.Value("q", 0)
    started = multiprocessing.Barrier(load.clients + 1)
    if load.stored is not None:
        with redis.Redis(unix_socket_path=str(proxy.redis.path)) as direct:
            direct.mset(dict.fromkeys((_key(load, number) for number in range(load.clients)), load.stored()))
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
    client = Client(port)
    request = _request(client, load, _key(load, number)) * load.pipeline
    size = client.reply_size(request)
    started.wait()
    while True:
        client.exchange(request, size)
        with counter.get_lock():
            counter.value += 1


def _key(load: Load, number: int) -> bytes:
    return b"%b.%d" % (_KEY if load.stored is None else FRAMES, number)


def _request(client: Client, load: Load, key: bytes) -> bytes:
    if load.request is not None:
        return load.request()
    if load.stored is not None:
        return command(b"GET", key)
    assert load.payload is not None
    write = command(b"SET", key, load.payload())
    client.exchange(write, len(b"+OK\r\n"))
    return write if load.write else command(b"GET", key)
