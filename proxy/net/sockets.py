"""Socket functions that asyncio's transports lack: keepalive, hang-up detection, the size of TLS buffers."""

import select
import socket
import struct
from typing import Any, Final

_CREDENTIALS: Final = struct.Struct("3i")
"""Linux' `struct ucred`: process id, user id, group id."""


def keep_alive(transport: Any) -> None:
    """Turn on TCP keepalive, so that the system notices when a client's machine has vanished."""
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def has_hung_up(transport: Any, *, half: bool) -> bool:
    """True if the peer has closed the connection, even if unread bytes come first.

    `half`: also true if the peer has only shut down its sending side.
    """
    connected = transport.get_extra_info("socket")
    if connected is None or connected.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(connected.fileno(), select.POLLRDHUP)
    wanted = select.POLLHUP | select.POLLERR | (select.POLLRDHUP if half else 0)
    return any(events & wanted for _, events in poll.poll(0))


def limit_decrypted(transport: Any, size: int) -> None:
    """Limit the decrypted bytes that a paused TLS transport buffers. The default is about half a megabyte."""
    if hasattr(transport, "set_read_buffer_limits"):
        transport.set_read_buffer_limits(high=size)


def decrypted(transport: Any) -> int:
    """The number of decrypted bytes in the buffer of a TLS transport. 0 for other transports."""
    size: int = transport.get_read_buffer_size() if hasattr(transport, "get_read_buffer_size") else 0
    return size


def client_address(transport: Any) -> str:
    """The address of a client: `10.0.0.1:4242`, `[::1]:4242`, or `unix` with its process and user where known."""
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        host, port = peer[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connected = transport.get_extra_info("socket")
    if connected is None or connected.family != socket.AF_UNIX:
        return "?"
    return f"unix{_process(connected)}"


def local_address(transport: Any) -> str:
    """The address that a client came to, as `host:port`, for IPv6 without brackets. Empty for a unix socket."""
    own = transport.get_extra_info("sockname")
    return f"{own[0]}:{own[1]}" if isinstance(own, tuple) else ""


def _process(connected: Any) -> str:
    if not hasattr(socket, "SO_PEERCRED"):
        return ""
    try:
        raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return ""
    pid, user, _ = _CREDENTIALS.unpack(raw)
    return f" pid {pid} uid {user}"
