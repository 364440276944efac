"""A proxy in front of a Redis of its own, for a benchmark, and raw connections to it."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Self

from benchmarks.processes import leashed
from proxy.upstream.embedded import EmbeddedRedis

FRAMES = b"flask_cache_frame"
"""How the keys begin whose rule has raised limits."""
FRAME_LIMITS = {"nodes": 1_000_000, "decoded_bytes": 64 * 1024 * 1024}
_RULES = f"""
[[rule]]
keys = "{FRAMES.decode()}*"
nodes = {FRAME_LIMITS["nodes"]}
decoded_bytes = {FRAME_LIMITS["decoded_bytes"]}
[[rule]]
keys = "flask_cache_*"
"""
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+) for (\w+) clients")


class Proxied:
    """A running proxy."""

    def __init__(self, process: "subprocess.Popen[str]", ports: Mapping[str, int], redis: EmbeddedRedis) -> None:
        """`ports`: by payload format; `plain` for plain JSON."""
        self.ports = ports
        self.redis = redis
        self._process = process

    def cpu_seconds(self) -> float:
        """Processor time that the proxy has used, its converter not included."""
        times = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Its memory, that of its converter not included."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def proxied() -> Iterator[Proxied]:
    """Start both, and end both."""
    with EmbeddedRedis() as redis, NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(_RULES)
        config.flush()
        listen = [f"--listen={form}=127.0.0.1:0" for form in ("json", "msgpack", "plain")]
        settings = ["--config", config.name, "--upstream", f"unix://{redis.path}"]
        process = subprocess.Popen(
            leashed([sys.executable, "-m", "proxy", "serve", *listen, *settings]),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        ports = {}
        for line in process.stderr:
            if found := _LISTENING.search(line):
                ports[found[2]] = int(found[1])
            if " is ready " in line:
                break
        try:
            yield Proxied(process, ports, redis)
        finally:
            process.terminate()
            process.communicate()


class Client:
    """One connection that sends raw requests and counts replies' bytes."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        """Connect. `receive_buffer`: bytes, for the kernel; 0: as the kernel chooses."""
        self.socket = socket.socket()
        if receive_buffer:  # before it connects: the first segments tell its size
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        """Connected."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.socket.close()

    def exchange(self, request: bytes, size: int) -> None:
        """Send a request, and read so many bytes of replies."""
        self.socket.sendall(request)
        self.take(size)

    def take(self, size: int) -> None:
        """Read so many bytes. Raises ConnectionError if there are fewer."""
        while size > 0:
            size -= self.some(size)

    def some(self, most: int = 1 << 20) -> int:
        """Read what is there, at most so many bytes; returns how many. Raises ConnectionError if there are none."""
        data = self.socket.recv(min(most, 1 << 20))
        if not data:
            raise ConnectionError("the proxy closed the connection")
        return len(data)

    def reply_size(self, request: bytes) -> int:
        """How long the reply to a request is, which ends with the reply to a PING behind it."""
        ping = b"*1\r\n$4\r\nPING\r\n"
        pong = b"+PONG\r\n"
        self.socket.sendall(request + ping)
        came = bytearray()
        while not came.endswith(pong):
            came += self.socket.recv(1 << 20)
        return len(came) - len(pong)
