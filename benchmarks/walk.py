"""The way of one small command through the code: entered functions, files, and changes from file to file.

The proxy runs in this process with a real Redis. A client in a thread sends managed SETs, one at a time.
`sys.setprofile` records the functions of `proxy/` that the loop's thread enters. The native engine does not count.
Each event begins with a callback: `data_received` of the client, or `link_received` of Redis.
"""

import asyncio
import socket
import sys
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, Final, NamedTuple

from benchmarks import peers
from proxy.config import Flags, load
from proxy.net.listeners import Listeners
from proxy.resp.encode import command
from proxy.workers.single import SoleServer

_SET: Final = command(b"SET", b"flask_cache_walk", b'{"name":"tea","price":1.5}', b"EX", b"60")
_WARM: Final = 20
_ROOT: Final = str(peers.ROOT / "proxy") + "/"
_TIMEOUT: Final = 10.0


class Step(NamedTuple):
    """A function that was entered."""

    file: str
    function: str


class Walk(NamedTuple):
    """The functions that one event entered, in order."""

    steps: list[Step]

    @property
    def functions(self) -> int:
        """Different functions."""
        return len(set(self.steps))

    @property
    def files(self) -> int:
        """Different files."""
        return len({step.file for step in self.steps})

    @property
    def changes(self) -> int:
        """Calls that came to another file than the one before."""
        return sum(one.file != other.file for one, other in zip(self.steps, self.steps[1:], strict=False))


def run(home: Path) -> tuple[Walk, Walk]:
    """The walk of a request, and that of its reply. Raises Missing."""
    with peers.redis(home) as redis:
        flags = Flags(listen=("127.0.0.1:0",), upstream=f"redis://127.0.0.1:{redis.port}/0", log_level="error")
        settings = load(None, {}, flags)
        with Listeners(settings) as listeners:
            server = SoleServer(settings, listeners, lambda: settings)
            address = listeners.clients[0].sockets[0].getsockname()
            steps: list[Step] = []
            asyncio.run(_serve(server, address, steps))
    starts = [at for at, step in enumerate(steps) if step.function in ("data_received", "link_received")]
    request, reply = (Walk(steps[start:stop]) for start, stop in zip(starts, [*starts[1:], None], strict=True))
    return request, reply


async def _serve(server: SoleServer, address: Any, steps: list[Step]) -> None:
    """Run the proxy until the client is done."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    heard: list[bytes] = []

    def record(on: bool) -> None:
        sys.setprofile((lambda frame, event, _: _note(steps, frame, event)) if on else None)

    def client() -> None:
        try:
            with socket.create_connection(address, _TIMEOUT) as connection:
                heard.extend(_ask(connection) for _ in range(_WARM))
                asyncio.run_coroutine_threadsafe(_call(record, True), loop).result(_TIMEOUT)
                heard.append(_ask(connection))
                asyncio.run_coroutine_threadsafe(_call(record, False), loop).result(_TIMEOUT)
        finally:
            loop.call_soon_threadsafe(done.set)

    thread = Thread(target=client, name="client")
    serving = asyncio.ensure_future(server.run(thread.start))
    await done.wait()
    server.stop()
    await serving
    thread.join()
    if heard != [b"+OK\r\n"] * (_WARM + 1):
        raise RuntimeError(f"the proxy answered {heard[-1:]!r}")


async def _call(record: Any, on: bool) -> None:
    record(on)


def _ask(connection: socket.socket) -> bytes:
    connection.sendall(_SET)
    return connection.recv(64)


def _note(steps: list[Step], frame: FrameType, event: str) -> None:
    if event == "call" and frame.f_code.co_filename.startswith(_ROOT):
        steps.append(Step(frame.f_code.co_filename[len(_ROOT) :], frame.f_code.co_name))
