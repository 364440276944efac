"""A link: the interface through which a client's connection uses Redis. `downstream` imports only this of `upstream`.

A link takes bytes, and calls its owner with bytes. The interface does not say which connection carries them.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from proxy.net.lingering_close import finish

BUFFER: Final = 1024 * 1024
"""Unsent bytes from which on the link is full."""


class UpstreamError(Exception):
    """Redis cannot be reached. `str()` is a text for clients, with the address and the reason."""


class Receiver(Protocol):
    """A callback for the bytes of each read."""

    def __call__(self, data: bytes) -> None:
        """Take the bytes of one read."""


class LinkOwner(Protocol):
    """The connection that a link belongs to."""

    def link_made(self) -> None:
        """The link is connected. `link_lost` will follow."""

    def link_received(self, data: bytes) -> None:
        """Redis has sent bytes."""

    def link_full(self, full: bool) -> None:
        """The write buffer has become full, or has room again."""

    def link_lost(self) -> None:
        """Redis has closed, or the link was aborted."""


class Link(Protocol):
    """The operations of a link."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """Send bytes. It may be an attribute, which costs one call less."""

    @property
    def is_closing(self) -> bool:
        """True after `close`, `abort` or the loss of the link."""

    @property
    def unsent(self) -> int:
        """Bytes in the write buffer."""

    def pause(self) -> None:
        """Stop reading from Redis."""

    def resume(self) -> None:
        """Continue reading from Redis."""

    def finish(self) -> bool:
        """Shut down the sending side once everything is sent. False if that is impossible (see lingering_close)."""

    def close(self) -> None:
        """Close once everything is sent."""

    def abort(self) -> None:
        """Close at once. Unsent bytes are dropped."""


class Greeting(NamedTuple):
    """The answers of Redis when a shared connection was opened."""

    hello: bytes
    """The raw reply to HELLO. It may be an error."""
    knows_setinfo: bool
    """The server has CLIENT SETINFO."""


READS_SLOWLY: Final = "you read a large reply too slowly"
"""See `SharedOwner.lateness`."""


class SharedOwner(LinkOwner, Protocol):
    """The connection that a link belongs to, if clients share connections to Redis."""

    number: int
    """It identifies the connection in the log."""

    @property
    def is_unread(self) -> bool:
        """True if the client does not take what was sent to it. Else the proxy itself is behind if a link is paused."""

    @property
    def lateness(self) -> str:
        """Why a large reply is not taken, as a clause for the client's error."""

    def evict(self, text: str) -> None:
        """Close the client at once, with the error `text` if the client can get it without delay.

        The client does not read its replies. The link is closed, and `place_lost` follows.
        """

    def place_lost(self) -> None:
        """The shared link has ended. In place of `link_lost`, because the owner may have an own link already."""


class SharedPlace(Link, Protocol):
    """A link on connections that several clients share. `write` takes whole requests, with one reply each."""

    protocol: int
    """The version of RESP there, 2 or 3."""
    greeting: bytes
    """The raw reply to HELLO, which may be an error."""
    knows_setinfo: bool
    """The server has CLIENT SETINFO."""

    @property
    def is_head(self) -> bool:
        """True if the next reply on the connection is this client's. Else the replies to others delay it."""

    def leave(self) -> None:
        """Close, with nothing outstanding. The owner has another link now, and hears no more of this one."""


class OwnLink(asyncio.Protocol):
    """A link with a connection of its own, which no other client uses."""

    __slots__ = ("_owner", "_transport", "data_received", "write")

    data_received: Receiver
    write: Callable[[bytes], None]

    def __init__(self, owner: LinkOwner) -> None:
        self._owner = owner
        self._transport: Any = None
        self.data_received = owner.link_received  # a method here would add a call to each read

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The dial has succeeded."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=BUFFER, low=BUFFER // 4)
        self.write = self._transport.write
        self._owner.link_made()

    def pause_writing(self) -> None:
        """See LinkOwner.link_full."""
        self._owner.link_full(True)

    def resume_writing(self) -> None:
        """See LinkOwner.link_full."""
        self._owner.link_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """See LinkOwner.link_lost."""
        self._transport = None
        self._owner.link_lost()

    @property
    def is_closing(self) -> bool:
        """See Link."""
        return self._transport is None or bool(self._transport.is_closing())

    @property
    def unsent(self) -> int:
        """See Link."""
        return 0 if self._transport is None else int(self._transport.get_write_buffer_size())

    def pause(self) -> None:
        """See Link."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """See Link."""
        if self._transport is not None:
            self._transport.resume_reading()

    def finish(self) -> bool:
        """See Link."""
        return self._transport is not None and finish(self._transport)

    def close(self) -> None:
        """See Link."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """See Link."""
        if self._transport is not None:
            self._transport.abort()
