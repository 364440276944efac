"""What systemd does for a service with sockets: it keeps them open, and passes them to each process of the service."""

import fcntl
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.proxy_process import Address

_HIGH = 400
"""Where the descriptors are while the process starts; nothing else is there."""
_EXEC = """
import os, sys
count, *command = sys.argv[1:]
for number in range(int(count)):
    os.dup2(400 + number, 3 + number)
    os.close(400 + number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(command[0], command)
"""
SERVE = (sys.executable, "-W", "error", "-m", "proxy", "serve")


class Activator:
    """Sockets by name. Use it as a context: they are closed at its end."""

    def __init__(self) -> None:
        self._named: list[tuple[str, socket.socket]] = []
        self._passed: list[int] = []

    def __enter__(self) -> "Activator":
        return self

    def __exit__(self, *_: object) -> None:
        for _name, each in self._named:
            each.close()
        self._named.clear()
        self._keep_none()

    def tcp(self, name: str, host: str = "127.0.0.1") -> Address:
        """Open a socket; its address."""
        opened = socket.create_server((host, 0), backlog=128)
        self._named.append((name, opened))
        found: tuple[str, int] = opened.getsockname()[:2]
        return found

    def unix(self, name: str, path: Path, mode: int = 0o660) -> Address:
        """Open a socket with a file; its path."""
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(str(path))
        path.chmod(mode)
        opened.listen(128)
        self._named.append((name, opened))
        return str(path)

    def how(self, command: Sequence[str] = SERVE) -> dict[str, Any]:
        """The arguments for `ProxyProcess`, with which it gets the sockets."""
        self._keep_none()
        for number, (_, each) in enumerate(self._named, _HIGH):
            self._passed.append(fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, number))
        assert self._passed == [*range(_HIGH, _HIGH + len(self._named))]
        env: Mapping[str, str] = {
            "LISTEN_FDS": str(len(self._named)),
            "LISTEN_FDNAMES": ":".join(name for name, _ in self._named),
        }
        wrapped = (sys.executable, "-c", _EXEC, str(len(self._named)), *command)
        return {"command": wrapped, "env": env, "pass_fds": tuple(self._passed)}

    def _keep_none(self) -> None:
        """Close the copies that were passed."""
        for number in self._passed:
            os.close(number)
        self._passed.clear()
