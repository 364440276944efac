"""A Redis that says what a test wants: for what Redis 7.0 never says, and for what no Redis should."""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

import hiredis


class ScriptedRedis:
    """Answers each request by its words, written as one line; every line that it does not know with `+OK`."""

    def __init__(self, home: Path, answers: Mapping[str, bytes]) -> None:
        """Listens, on a unix socket under `home`."""
        self.unix = str(home / "scripted.sock")
        self._answers = answers
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.unix)
        self._listener.listen()
        threading.Thread(target=self._accept, name="scripted Redis", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = hiredis.Reader(notEnoughData=Ellipsis)
        with connection, suppress(OSError):
            while data := connection.recv(1 << 16):
                reader.feed(data)
                while (words := reader.gets()) is not Ellipsis:
                    line = b" ".join(words).decode()
                    connection.sendall(self._answers.get(line, b"+OK\r\n"))
                    if line == "QUIT":
                        return
