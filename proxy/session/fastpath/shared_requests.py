"""The fast path for requests to shared connections: as `requests`, but only whole requests, and no large ones.

Every request with a plan travels: its command is straight.
"""

from proxy.commands import Pin, find
from proxy.policy import Policy
from proxy.resp import Request, RequestParser
from proxy.session.cluster import Cluster
from proxy.session.counters import Tally
from proxy.session.fastpath.lane_requests import LaneRequests
from proxy.session.fastpath.requests import RequestPath
from proxy.session.outbox import Outbox
from proxy.session.sharing import MOST_ARGUMENTS, MOST_BYTES, LinkChange, is_large
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget


class _Shared(RequestPath):
    """The differences that both have."""

    __slots__ = ()
    most_arguments = MOST_ARGUMENTS
    passes_parts = False
    _change: LinkChange

    def take_ready(self, request: Request) -> bool:
        """See RequestPath. A large request waits for a connection of the client's own."""
        change = self._change
        change.aim_freely()
        if not is_large(request):
            return super().take_ready(request)
        self._outbox.reporter.command = row = find(request.args)
        self._tally.commands[row] += 1
        change.pin(request, Pin.LARGE)
        return True


class SharedRequests(_Shared):
    """To a plain Redis."""

    __slots__ = ("_change",)

    def __init__(
        self,
        policy: Policy,
        parser: RequestParser,
        conversation: Conversation,
        budget: TurnBudget,
        tally: Tally,
        outbox: Outbox,
        change: LinkChange,
    ) -> None:
        """`parser`: gets the bytes that are not taken."""
        super().__init__(policy, parser, conversation, budget, tally, outbox)
        self._change = change

    def pass_on(self, data: bytes) -> int:
        """See RequestPath. If a read ends in the middle of a request, nothing of it passes."""
        return super().pass_on(data) if len(data) <= MOST_BYTES else 0


class SharedLaneRequests(_Shared, LaneRequests):
    """To the nodes of a cluster."""

    __slots__ = ("_change",)

    def __init__(
        self,
        policy: Policy,
        parser: RequestParser,
        conversation: Conversation,
        budget: TurnBudget,
        tally: Tally,
        cluster: Cluster,
        change: LinkChange,
    ) -> None:
        """`parser`: gets the bytes that are not taken."""
        super().__init__(policy, parser, conversation, budget, tally, cluster)
        self._change = change
