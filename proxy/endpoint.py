"""What an event loop does not do for a client by itself: notice that it is gone, and hold little of what TLS reads."""

import select
import socket
from typing import Any


def keep_alive(transport: Any) -> None:
    """Let the system find out about clients whose machine has vanished."""
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def has_hung_up(transport: Any, *, half: bool) -> bool:
    """Whether the peer has closed (`half`: or will send no more), though unread bytes may stand before that."""
    connected = transport.get_extra_info("socket")
    if connected is None or connected.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(connected.fileno(), select.POLLRDHUP)
    wanted = select.POLLHUP | select.POLLERR | (select.POLLRDHUP if half else 0)
    return any(events & wanted for _, events in poll.poll(0))


def limit_decrypted(transport: Any, size: int) -> None:
    """Let TLS read no more ahead than so many bytes, while nobody takes them; by itself it takes half a megabyte."""
    if hasattr(transport, "set_read_buffer_limits"):
        transport.set_read_buffer_limits(high=size)


def decrypted(transport: Any) -> int:
    """Bytes that TLS holds, which nobody has taken yet."""
    size: int = transport.get_read_buffer_size() if hasattr(transport, "get_read_buffer_size") else 0
    return size
