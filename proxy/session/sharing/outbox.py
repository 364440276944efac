"""The outboxes of shared links: they write whole requests that travel, and nothing else.

Contract: as for the outbox, and the mailbox of a cluster. A request that does not travel is not written (see
`link_change`).
"""

from collections.abc import Iterable

from proxy.session.cluster.lanes import Lanes
from proxy.session.cluster.mailbox import Mailbox
from proxy.session.cluster.trouble import Trouble
from proxy.session.counters import Tally
from proxy.session.expected_replies import Entry
from proxy.session.outbox import Outbox
from proxy.session.sharing.link_change import LinkChange
from proxy.session.state import Conversation, Steps
from proxy.session.turn_budget import TurnBudget


class _Shared(Outbox):
    """The differences that both have."""

    __slots__ = ()
    _change: LinkChange

    def owe(self, raw: bytes, entry: Entry, *, delivered: bool = True) -> None:
        """See Outbox."""
        if not self._change.keeps(entry):
            super().owe(raw, entry, delivered=delivered)

    def reply(self, reply: bytes) -> None:
        """See Outbox."""
        super().reply(reply)
        self._change.aim_freely()


class SharedOutbox(_Shared):
    """For a plain Redis."""

    __slots__ = ("_change",)

    def __init__(self, conversation: Conversation, budget: TurnBudget, tally: Tally, change: LinkChange) -> None:
        """No request written."""
        super().__init__(conversation, budget, tally)
        self._change = change

    def write(self, count: int, args: Iterable[bytes], entry: Entry) -> Steps:
        """See Outbox. A part of a request would hold up the other clients, so it is written whole."""
        return self._write_whole(count, args, entry)


class SharedMailbox(_Shared, Mailbox):
    """For a cluster. A mailbox writes whole requests in any case."""

    __slots__ = ("_change",)

    def __init__(
        self,
        conversation: Conversation,
        budget: TurnBudget,
        tally: Tally,
        lanes: Lanes,
        trouble: Trouble,
        change: LinkChange,
    ) -> None:
        """No request written."""
        super().__init__(conversation, budget, tally, lanes, trouble)
        self._change = change
