"""Sockets that systemd opens before the start and passes to the process, as sd_listen_fds(3) describes it.

They are named: FileDescriptorName= in the socket unit. Several sockets may share a name. systemd keeps them open, so
clients wait in their queues while the proxy restarts.
"""

import os
import re
import socket
from collections.abc import Iterable, MutableMapping
from itertools import chain
from typing import Final

_FIRST: Final = 3
"""The number of the first descriptor. The others follow it."""
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_UNNAMED: Final = "unknown"
"""systemd's name for sockets without one."""
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class ActivationError(Exception):
    """The sockets that were passed cannot be used. `str()` gives the reason."""


class PassedSockets:
    """The sockets that were passed, by name. Each name can be taken once."""

    def __init__(self, named: Iterable[tuple[str, socket.socket]] = (), absent: str = "") -> None:
        """`absent`: the reason if there are no sockets."""
        self._absent = absent or "no socket was passed to this process: start it by a systemd socket unit"
        self._sockets: dict[str, list[socket.socket]] = {}
        for name, each in named:
            self._sockets.setdefault(name, []).append(each)

    @property
    def names(self) -> str:
        """The names that are left, for messages."""
        return ", ".join(self._sockets)

    def close(self) -> None:
        """Close the sockets that were not taken."""
        for each in chain.from_iterable(self._sockets.values()):
            each.close()

    def take(self, name: str) -> tuple[socket.socket, ...]:
        """The sockets with this name. Raises ActivationError."""
        if name in self._sockets:
            return tuple(self._sockets.pop(name))
        there = f"no socket with this name was passed; FileDescriptorName= is set for: {self.names}"
        raise ActivationError(there if self._sockets else self._absent)


def passed_sockets(environ: MutableMapping[str, str], pid: int) -> PassedSockets:
    """The sockets that were passed to the process `pid`. Raises ActivationError.

    Children do not inherit the sockets. The variables are removed, because they are not for children either.
    """
    for_whom, count = environ.get("LISTEN_PID", ""), environ.get("LISTEN_FDS", "")
    if for_whom != str(pid):
        other = f"the sockets were passed to process {for_whom}, and this is {pid}: a wrapper must exec the proxy"
        return PassedSockets(absent=other if for_whom.isdecimal() else "")
    names = environ.get("LISTEN_FDNAMES")
    for variable in _VARIABLES:
        environ.pop(variable, None)
    if not re.fullmatch(r"[0-9]{1,4}", count):
        raise ActivationError(f"LISTEN_FDS must be a number of sockets, got {count[:20]!r}")
    descriptors = range(_FIRST, _FIRST + int(count))
    given = [_UNNAMED] * len(descriptors) if names is None else names.split(":") if names else []
    if len(given) != len(descriptors):
        raise ActivationError(f"LISTEN_FDS is {count}, but LISTEN_FDNAMES has {len(given)} names")
    return PassedSockets([(name, _socket(name, number)) for name, number in zip(given, descriptors, strict=True)])


def _socket(name: str, number: int) -> socket.socket:
    """The listening socket with this descriptor. Raises ActivationError."""
    fault = f"the socket {name} that was passed (descriptor {number})"
    try:
        os.set_inheritable(number, False)
        passed = socket.socket(fileno=number)
    except OSError as error:
        raise ActivationError(f"{fault} is not a socket: {os.strerror(error.errno or 0)}") from None
    if passed.family not in _FAMILIES or passed.type != socket.SOCK_STREAM:
        passed.close()
        raise ActivationError(f"{fault} is neither a TCP nor a unix stream socket: set it with ListenStream=")
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        passed.close()
        raise ActivationError(f"{fault} does not listen: the socket unit needs Accept=no")
    return passed
