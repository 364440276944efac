"""The order of a conversation with a cluster, while slots move and nodes die.

Theory. Two requests for one key must reach its node in order, though the map of slots may change between them. If a new
map were used at once, a later request would overtake one that is still to be redirected. So there are three rules:

  - *A conversation takes a new map only when nothing of its own is outstanding.* Until then, requests for one slot go
    to one lane, and the redirects of that lane are followed in its order.
  - Once a redirect or a lost lane was seen, nothing new is routed until what is outstanding is answered (`Following`).
    So a client that always has something outstanding gets the new map too.
  - A redirect is followed when its request is at the head of the client's FIFO. The reply to the request that is sent
    again is then the next that the client gets. If the lane of the other node owes replies already, they belong to
    later requests. Then the request takes a *detour*: another lane to that node, which is closed afterwards.

A redirect is followed only to a node of the cluster, and only for the slot that we computed. A script of a client may
answer with the bytes of a redirect. Then the proxy would give its password to a stranger. If the node is not in the
map, or a script may have made the reply, the request waits for a map that is fetched afterwards (`Undecided`). It
waits in a lane of its own, a room without a connection, so that nothing behind it moves.
"""

from typing import NamedTuple

from proxy.session.cluster.lanes import NodeLane
from proxy.session.slots import SlotMap
from proxy.session.state import Conversation, Settling


class Following(NamedTuple):
    """A redirect or a lost lane was seen. Nothing is routed until nothing is outstanding."""


class Undecided(NamedTuple):
    """As Following. Besides, the request at the head waits for a new map."""

    room: NodeLane
    """It owes the request."""
    lane: NodeLane
    """The lane that the redirect came on."""
    address: str
    """The node that the redirect names."""
    is_lasting: bool
    """The slot has moved (MOVED). False: only this request goes to the other node (ASK)."""


class Trouble:
    """See the module."""

    __slots__ = ("_conversation", "map", "slots_are_old", "state")

    def __init__(self, conversation: Conversation) -> None:
        """No trouble."""
        self._conversation = conversation
        self.state: Following | Undecided | None = None
        self.map: SlotMap | None = None
        """A new map that is not used yet."""
        self.slots_are_old = False
        """The caller does not know yet that the map has to be fetched."""

    def begin(self) -> None:
        """A redirect or a lost lane was seen."""
        if self.state is None:
            self.state = Following()
        self.hold_requests()

    def hold_requests(self) -> None:
        """Let no request be read while there is trouble. A request that waits for something else goes on first."""
        if self.state is not None and self._conversation.wait is None:
            self._conversation.wait = Settling()

    def end(self) -> None:
        """Nothing is outstanding."""
        self.state = None
        if type(self._conversation.wait) is Settling:
            self._conversation.wait = None
