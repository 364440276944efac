"""Counts refusals and failed conversions, and reports them to the caller of the session: who, which command, why."""

from collections.abc import Collection
from typing import Final

from proxy.codec import CodecError
from proxy.commands import Command
from proxy.policy import OVERSIZE, Rule
from proxy.session.counters import Tally
from proxy.session.refusals import Reason, Report, not_decoded, not_encoded
from proxy.session.state import Conversation

_OTHER: Final = "other"


class Reporter:
    """See the module. The reports are in `Conversation.reports`: at most one for each step of a turn's budget."""

    __slots__ = ("_conversation", "_tally", "command")

    def __init__(self, conversation: Conversation, tally: Tally) -> None:
        """No request yet."""
        self._conversation = conversation
        self._tally = tally
        self.command: Command | None = None
        """The command of the request that is being handled; None: the table does not have it."""

    def refused(self, reason: Reason, rule: Rule | None = None, name: bytes = b"") -> None:
        """The request is refused. `name`: of its command, if the server knows it and the table does not."""
        self._tally.refusals[self.command, reason] += 1
        self._report(reason, self.command, rule, name)

    def not_encoded(self, error: CodecError, rule: Rule | None) -> None:
        """The request is refused, because a payload cannot be encoded."""
        self._count("encode", error, rule)
        self.refused(not_encoded(error), rule)

    def not_decoded(self, error: CodecError, rule: Rule, command: Command) -> None:
        """A stored value cannot be decoded."""
        self._count("decode", error, rule)
        self._report(not_decoded(error), command, rule)

    def _count(self, direction: str, error: CodecError, rule: Rule | None) -> None:
        if rule is not None:
            self._tally.failures[direction, rule.transcoder.options.payload, rule.name, error.reason] += 1

    def _report(self, reason: Reason, command: Command | None, rule: Rule | None, name: bytes = b"") -> None:
        label = name.decode() if command is None else command.name.decode()
        conversation = self._conversation
        report = Report(reason, label or _OTHER, "" if rule is None else rule.name, conversation.client_name)
        conversation.reports.append(report)


def culprit(found: Collection[Rule | None]) -> Rule | None:
    """The rule to blame, of those that the keys of a request have; None if there are several."""
    rules = [rule for rule in found if rule is not None and rule is not OVERSIZE]
    return rules[0] if len(rules) == 1 else None
