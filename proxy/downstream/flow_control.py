"""Flow control: decides which side is read and whose bytes are handled. Backpressure works in both directions.

The client is not read while Redis does not read, while the client does not read its replies, or while the session
waits. Redis is not read while the client does not read, or while the session converts a reply.
"""

from proxy.downstream.receive_buffer import ReceiveBuffer
from proxy.session import Session


class FlowControl:
    """The receive buffers of both sides, and flags for full write buffers."""

    __slots__ = ("client", "client_full", "link", "link_full")

    def __init__(self) -> None:
        """The client is paused until the link is ready."""
        self.client = ReceiveBuffer(paused=True)
        self.link = ReceiveBuffer(paused=False)
        self.client_full = False
        """The write buffer to the client is full."""
        self.link_full = False
        """The write buffer to Redis is full."""

    @property
    def is_free(self) -> bool:
        """True if both sides are read, no bytes wait and no write buffer is full. This is the usual case."""
        client, link = self.client, self.link
        return not (client.paused or link.paused or client.size or link.size or self.client_full or self.link_full)

    def takes_client(self, session: Session) -> bool:
        """True if the session can handle more of the client's bytes."""
        return not (self.link_full or self.client_full) and session.wants_client

    def takes_link(self, session: Session) -> bool:
        """True if the session can handle more of Redis' bytes."""
        return not self.client_full and session.wants_upstream

    @property
    def paused(self) -> list[str]:
        """The names of the sides that are not read: "client", "upstream"."""
        return [name for name, side in (("client", self.client), ("upstream", self.link)) if side.paused]

    @property
    def memory(self) -> int:
        """Bytes in both receive buffers."""
        return self.client.memory + self.link.memory

    def clear(self) -> None:
        """Drop the bytes in both receive buffers."""
        self.client.clear()
        self.link.clear()
