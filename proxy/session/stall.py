"""Why the request half reads nothing for now."""

from enum import Enum, auto


class Stall(Enum):
    """See the module."""

    BARRIER = auto()
    """Until no reply is outstanding."""
    ENCODING = auto()
    """Values of the request at hand, elsewhere or in turns of the event loop."""
    TURN = auto()
    """Until the next turn of the event loop: this one has done enough."""
    LOOKUP = auto()
    ENDED = auto()
    """Nothing more is read: QUIT, a protocol error."""
