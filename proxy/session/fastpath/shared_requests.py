"""The fast path for requests to a shared connection: as `requests`, but only whole requests, and no large ones."""

from proxy.commands import Pin, find
from proxy.policy import Policy
from proxy.resp import Request, RequestParser
from proxy.session.counters import Tally
from proxy.session.fastpath.requests import RequestPath
from proxy.session.sharing import MOST_ARGUMENTS, MOST_BYTES, Sharing, is_large
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget


class SharedRequests(RequestPath):
    """See the module. Every request with a plan travels: its command is straight."""

    __slots__ = ("_shared_outbox",)
    most_arguments = MOST_ARGUMENTS
    passes_parts = False

    def __init__(
        self,
        policy: Policy,
        parser: RequestParser,
        conversation: Conversation,
        budget: TurnBudget,
        tally: Tally,
        sharing: Sharing,
    ) -> None:
        """`parser`: gets the bytes that are not taken."""
        super().__init__(policy, parser, conversation, budget, tally, sharing.outbox)
        self._shared_outbox = sharing.outbox

    def pass_on(self, data: bytes) -> int:
        """See RequestPath. If a read ends in the middle of a request, nothing of it passes."""
        return super().pass_on(data) if len(data) <= MOST_BYTES else 0

    def take_ready(self, request: Request) -> bool:
        """See RequestPath. A large request waits for a connection of the client's own."""
        outbox = self._shared_outbox
        outbox.aim_freely()
        if not is_large(request):
            return super().take_ready(request)
        outbox.reporter.command = row = find(request.args)
        self._tally.commands[row] += 1
        outbox.pin(request, Pin.LARGE)
        return True
