"""Writes requests upstream and appends the entries of their replies, always in one step.

Our own replies are entries too. They send nothing to Redis, unless a MULTI may be open, or right behind CLIENT CACHING.
"""

from collections.abc import Iterable
from typing import Final

from proxy.codec import CodecError
from proxy.policy import Rule
from proxy.resp import encode
from proxy.session import error_texts
from proxy.session.counters import Tally
from proxy.session.expected_replies import Again, Entry, MustFail, Opening, Poison, Setup, StateChange, Step
from proxy.session.lane import Last, Ready
from proxy.session.refusals import Reason
from proxy.session.reporter import Reporter
from proxy.session.state import Conversation, Ended, Mark, NextTurn, Steps
from proxy.session.turn_budget import TurnBudget

POISON: Final = encode.command(b"GET")
"""Sent inside MULTI in place of a request that we answer. Redis refuses it, so EXEC aborts."""
PROBE: Final = Poison(b"")
"""The entry of a poison that follows another request. The client gets no reply for it."""
_STRANGERS_POISON: Final = encode.command(b"SELECT", b"x")
"""It fails as well. For an unauthenticated client the error is NOAUTH: every version of Redis checks that first."""
_REFUSAL_STEPS: Final = 9
"""Steps of the budget that a refusal costs more than a forwarded request."""
NO_RESP: Final = "protocol"
"""The name for the counters where the bytes exceed no limit."""
_AGAIN: Final = Again(error_texts.NOT_AGAIN)
_TOO_MUCH_QUEUED: Final = Poison(encode.error(error_texts.MULTI_IS_FULL))
STATE_CHANGES: Final = {step: StateChange(step) for step in Step}
_MULTI: Final = STATE_CHANGES[Step.MULTI]
_LEAVING: Final = (STATE_CHANGES[Step.EXEC], STATE_CHANGES[Step.DISCARD], STATE_CHANGES[Step.QUIT])


class Outbox:
    """See the module."""

    __slots__ = ("_budget", "_conversation", "_lane", "_tally", "pieces", "reporter")

    def __init__(self, conversation: Conversation, budget: TurnBudget, tally: Tally) -> None:
        """No request written."""
        self._conversation = conversation
        self._budget = budget
        self._tally = tally
        self.reporter = Reporter(conversation, tally)
        self._lane = conversation.home
        self.pieces = self._lane.out

    def send(self, raw: bytes, entry: Entry) -> bool:
        """Write a request and append its entry. False: MULTI is full, and a poison was written instead."""
        conversation = self._conversation
        is_full = bool(conversation.marks & Mark.IN_MULTI) and conversation.multi_is_full(self._budget.limits)
        is_refused = is_full and entry not in _LEAVING
        if is_refused:
            if not isinstance(entry, Poison | MustFail):  # those are reported already
                self.reporter.refused(Reason.MULTI_IS_FULL)
            raw, entry = POISON, _TOO_MUCH_QUEUED
        self.owe(raw, entry, delivered=not conversation.marks & Mark.SILENT or self.takes_reply())
        if entry is _MULTI:
            conversation.expect_multi()
        return not is_refused

    def send_unknown(self, raw: bytes, entry: Entry) -> None:
        """As `send`, for a command that the table does not have. It may be a renamed MULTI."""
        self._conversation.knows_all = False
        self.send(raw, entry)

    def owe(self, raw: bytes, entry: Entry, *, delivered: bool = True) -> None:
        """As `send`, where the caller decides whether the client gets the reply, and MULTI is never full."""
        self._conversation.owe(self._lane, entry, 1, delivered)
        self._conversation.pending_bytes += entry.size
        self.pieces.append(raw)

    def open(self, setup: Iterable[Opening], again: Iterable[bytes]) -> None:
        """Begin a second connection: with the proxy's own commands, and those that it has answered for the first."""
        for opening in setup:
            self.owe(opening.raw, Setup(opening.refused))
        for raw in again:
            self.owe(raw, _AGAIN)

    def takes_reply(self) -> bool:
        """Whether the client wants the reply to the next command. The call uses up a SKIP."""
        conversation = self._conversation
        skipped, conversation.skip_next = conversation.skip_next, False
        return not (conversation.muted or skipped)

    def write(self, count: int, args: Iterable[bytes], entry: Entry) -> Steps:
        """Write a request of `count` arguments in pieces, over several turns. No other request is read meanwhile."""
        pieces = encode.pieces(count, args)
        if self.send(next(pieces), entry):
            for piece in pieces:
                yield NextTurn
                self.pieces.append(piece)

    def _write_whole(self, count: int, args: Iterable[bytes], entry: Entry) -> Steps:
        """As `write`, but nothing is written before the last piece is made."""
        made: list[bytes] = []
        for piece in encode.pieces(count, args):
            if made:
                yield NextTurn
            made.append(piece)
        self.send(b"".join(made), entry)

    def refuse(self, reason: Reason, text: str, rule: Rule | None = None, name: bytes = b"") -> None:
        """Answer with an error of ours. `text` begins with the error code. `rule`, `name`: see `Reporter.refused`."""
        self.reporter.refused(reason, rule, name)
        self._answer(text)

    def refuse_payload(self, error: CodecError, text: str, rule: Rule | None) -> None:
        """As `refuse`, for a payload that cannot be encoded."""
        self.reporter.not_encoded(error, rule)
        self._answer(text)

    def deny(self, reason: Reason, reply: bytes) -> None:
        """Answer with one of Redis' errors about passwords."""
        self.reporter.refused(reason)
        self.reply(reply)

    def _answer(self, text: str) -> None:
        self._budget.requests -= _REFUSAL_STEPS
        reply = encode.error(text)
        if self._conversation.is_stranger and text.startswith(error_texts.OURS):
            may_be_queued = self._conversation.may_be_in_multi  # if Redis has forgotten its password since
            self.send(_STRANGERS_POISON, MustFail(b"-ERR ", reply))
            if may_be_queued:
                self.owe(POISON, PROBE)
        else:
            self.reply(reply)

    def reply(self, reply: bytes) -> None:
        """Answer with a reply of ours, in order. Where a MULTI may be open, a poison goes upstream, so EXEC aborts."""
        if self._conversation.needs_poison:
            self.send(POISON, Poison(reply))
        elif self.takes_reply():
            self._conversation.answer(Ready(reply))

    def end(self, reply: bytes, reason: str, met: str = NO_RESP) -> None:
        """End the conversation because of the client's bytes. `met`: the limit that they exceed, for the counters."""
        self._tally.ended[met] += 1
        self._conversation.answer(Last(reply if self.takes_reply() else b"", reason))
        self._conversation.wait = Ended()
