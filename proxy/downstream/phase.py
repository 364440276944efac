"""The phases of a client's connection, as a table.

DIALING      The proxy dials Redis. The client is not read.
OPEN         Bytes go in both directions, as flow control allows.
HALF_CLOSED  The client has ended its sending side. It still gets its replies.
DRAINING     The proxy stops. It takes no further commands, and closes when no reply is outstanding.
CLOSING      No bytes are handled any more. When both sides have ended, the server forgets the connection.
"""

from enum import Enum, auto
from typing import Final


class Phase(Enum):
    """See the module."""

    DIALING = auto()
    OPEN = auto()
    HALF_CLOSED = auto()
    DRAINING = auto()
    CLOSING = auto()


class Event(Enum):
    """An event that can move a connection to another phase."""

    DIALED = auto()
    CLIENT_ENDS = auto()
    DRAIN = auto()
    CLOSE = auto()


_NEXT: Final = {
    (Phase.DIALING, Event.DIALED): Phase.OPEN,
    (Phase.DIALING, Event.CLIENT_ENDS): Phase.HALF_CLOSED,
    (Phase.DIALING, Event.DRAIN): Phase.DRAINING,
    (Phase.OPEN, Event.CLIENT_ENDS): Phase.HALF_CLOSED,
    (Phase.OPEN, Event.DRAIN): Phase.DRAINING,
    (Phase.DRAINING, Event.CLIENT_ENDS): Phase.HALF_CLOSED,
    **{(phase, Event.CLOSE): Phase.CLOSING for phase in Phase},
}
"""A pair that is missing leaves the phase unchanged. HALF_CLOSED and DRAIN, for example: the client sends no more."""


def after(phase: Phase, event: Event) -> Phase:
    """The phase after an event."""
    return _NEXT.get((phase, event), phase)
