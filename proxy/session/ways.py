"""The way of requests to Redis: by a connection of the client's own, to the nodes of a cluster, or by a shared one."""

from typing import NamedTuple

from proxy.policy import Policy
from proxy.resp import RequestParser
from proxy.session.cluster import Cluster, Router
from proxy.session.counters import Tally
from proxy.session.fastpath.lane_requests import LaneRequests
from proxy.session.fastpath.requests import RequestPath
from proxy.session.fastpath.shared_requests import SharedRequests
from proxy.session.outbox import Outbox
from proxy.session.sharing import Sharing
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget


class Way(NamedTuple):
    """The parts of a request half that depend on the link."""

    parser: RequestParser
    outbox: Outbox
    path: RequestPath
    router: Router | Sharing | None = None
    """Answers and aims requests; None: there is one way, and each request may take it."""


def own_way(
    policy: Policy,
    conversation: Conversation,
    budget: TurnBudget,
    tally: Tally,
    parser: RequestParser | None = None,
) -> Way:
    """By a connection of the client's own. `parser`: that of the way before."""
    parser = parser or RequestParser(policy.limits.request)
    outbox = Outbox(conversation, budget, tally)
    return Way(parser, outbox, RequestPath(policy, parser, conversation, budget, tally, outbox))


def way_to_cluster(
    policy: Policy, conversation: Conversation, budget: TurnBudget, tally: Tally, cluster: Cluster
) -> Way:
    """To the nodes of a cluster."""
    parser = RequestParser(policy.limits.request)
    path = LaneRequests(policy, parser, conversation, budget, tally, cluster)
    return Way(parser, cluster.mailbox, path, cluster.router)


def shared_way(policy: Policy, conversation: Conversation, budget: TurnBudget, tally: Tally, sharing: Sharing) -> Way:
    """By a connection that clients share."""
    parser = RequestParser(policy.limits.request)
    path = SharedRequests(policy, parser, conversation, budget, tally, sharing)
    return Way(parser, sharing.outbox, path, sharing)
