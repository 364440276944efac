"""The way of requests to Redis: by a connection of the client's own, to the nodes of a cluster, or by a shared one."""

from typing import NamedTuple

from proxy.policy import Policy
from proxy.resp import RequestParser
from proxy.session.cluster import Cluster, Mailbox, Router
from proxy.session.counters import Tally
from proxy.session.fastpath.lane_requests import LaneRequests
from proxy.session.fastpath.requests import RequestPath
from proxy.session.fastpath.shared_requests import SharedLaneRequests, SharedRequests
from proxy.session.outbox import Outbox
from proxy.session.sharing import SharedMailbox, SharedOutbox, SharedRouter, Sharing
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget


class Way(NamedTuple):
    """The parts of a request half that depend on the link."""

    parser: RequestParser
    outbox: Outbox
    path: RequestPath
    router: Router | Sharing | SharedRouter | None = None
    """Answers and aims requests; None: there is one way, and each request may take it."""


def way_of(
    policy: Policy,
    conversation: Conversation,
    budget: TurnBudget,
    tally: Tally,
    cluster: Cluster | None,
    sharing: Sharing | None,
    parser: RequestParser | None,
) -> Way:
    """The way for such links. `parser`: that of the way before; it has requests that wait."""
    parser = parser or RequestParser(policy.limits.request)
    parts = conversation, budget, tally
    common = policy, parser, *parts
    if sharing is None:
        if cluster is None:
            outbox = Outbox(*parts)
            return Way(parser, outbox, RequestPath(*common, outbox))
        cluster.use(Mailbox(*parts, cluster.lanes, cluster.trouble))
        return Way(parser, cluster.mailbox, LaneRequests(*common, cluster), cluster.router)
    change = sharing.change
    if cluster is None:
        sharing.outbox = SharedOutbox(*parts, change)
        return Way(parser, sharing.outbox, SharedRequests(*common, sharing.outbox, change), sharing)
    sharing.outbox = mailbox = SharedMailbox(*parts, cluster.lanes, cluster.trouble, change)
    cluster.use(mailbox)
    path = SharedLaneRequests(*common, cluster, change)
    return Way(parser, mailbox, path, SharedRouter(sharing, cluster.router))
