"""What an event loop does not do for the socket of a client: notice that it is gone."""

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
