"""Requests whose command the table does not have, once the server has described the command."""

from itertools import islice

from proxy.commands import Reply
from proxy.policy import Policy
from proxy.session import error_texts, large_requests, topology
from proxy.session.counters import Tally
from proxy.session.effects import CommandInfo
from proxy.session.expected_replies import PASS, SHOWN
from proxy.session.outbox import Outbox
from proxy.session.refusals import Reason
from proxy.session.reporter import culprit
from proxy.session.state import Lookup, Steps


def take(outbox: Outbox, tally: Tally, policy: Policy, lookup: Lookup, info: CommandInfo) -> Steps:
    """Forward the request if the command is harmless or allowed, and no argument is a managed key. Else refuse it."""
    request, name = lookup
    _, found = yield from large_requests.map_keys(policy.match, islice(request.args, 1, None), policy.limits.turn_steps)
    tally.count_keys(found)
    if not found <= {None}:
        text = error_texts.unknown_on_managed(name.decode())
        outbox.refuse(Reason.NOT_KNOWN, text, culprit(found), name)
    elif info.is_harmless:
        outbox.send(request.raw, PASS)
    elif policy.guard.names(name):
        outbox.send_unknown(request.raw, PASS)
    else:
        text = error_texts.not_known_here(name.decode(), info.unknown_because)
        outbox.refuse(Reason.NOT_KNOWN, text, name=name)
    yield from large_requests.free(request.args)


def refuse_cluster(outbox: Outbox, lookup: Lookup, info: CommandInfo) -> None:
    """Answer a subcommand of CLUSTER that may write, as a server in standalone mode answers it.

    A harmless command is sent in its place, so that MULTI queues it and EXEC's array has the error.
    """
    if info.takes(len(lookup.request.args)):
        outbox.reporter.refused(Reason.CLUSTER, name=lookup.name)
        outbox.send(topology.STAND_IN, SHOWN[Reply.NODES])
    else:
        outbox.refuse(Reason.SYNTAX, error_texts.wrong_number(lookup.name), name=lookup.name)
