"""The fast path for requests: takes all usual requests of a read at once, and writes them upstream in one piece.

It runs while no outstanding command may change the meaning of a request. The engine matches keys and encodes values,
as the plans say. The session gives the same result, one request at a time.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from proxy.engine import ENGINE
from proxy.policy import Policy, SessionLimits
from proxy.resp import Request, RequestParser, encode
from proxy.resp.request_parser import POSTPONED
from proxy.session import error_texts
from proxy.session.counters import Tally
from proxy.session.fastpath.flat import SMALL, FlatRequests, record
from proxy.session.fastpath.passing import Passing
from proxy.session.fastpath.plan import table_spec
from proxy.session.fastpath.reference import LONG, ReferenceTable, RequestTable
from proxy.session.large_requests import AT_ONCE
from proxy.session.outbox import Outbox
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget

_LONGEST: Final = 64 * 1024 + POSTPONED
"""Bytes of the longest read that is looked at at once: the most that the shell gives in one turn, with a beginning."""
_AVERAGE, _MOST_PASSED = (0, 1000) if ENGINE.is_native else (160, 64)
"""Least bytes of an argument, on average, and most requests that pass at once.

The reference takes a microsecond for each argument, so it leaves small ones to hiredis.
"""
_MOST_AHEAD: Final = 64
"""Most requests that are tried together with a first one. If the first is not usual, looking at them was in vain."""
_EMPTY: Final = b"$0\r\n"
"""The header of the empty argument that stands for a body that has passed."""
_RULE: Final = "rule"
"""The name for the counters where a reload ends the conversation."""


def table_of(policy: Policy, most_arguments: int = AT_ONCE) -> ReferenceTable:
    """The plans of a policy, which keeps them. `most_arguments`: of a request that they take."""
    kind = RequestTable, most_arguments
    table: ReferenceTable = policy.plans.get(kind) or policy.plans.setdefault(
        kind, RequestTable(table_spec(policy, most_arguments))
    )
    return table


def longest_of(limits: SessionLimits) -> int:
    """Bytes of the longest read that is looked at at once."""
    return min(_LONGEST, limits.request.arguments, limits.request.request_bytes)


class RequestPath:
    """See the module. It writes requests upstream, appends their entries, and counts them."""

    __slots__ = (
        "_ahead",
        "_budget",
        "_conversation",
        "_flat",
        "_outbox",
        "_parser",
        "_passing",
        "_pending",
        "_postponed",
        "_room",
        "_table",
        "_tally",
        "beginning",
        "rest_is_due",
    )
    most_arguments: ClassVar[int] = AT_ONCE
    """Arguments of the longest request that is taken."""
    passes_parts: ClassVar[bool] = True
    """A request may pass before it is whole."""

    def __init__(
        self,
        policy: Policy,
        parser: RequestParser,
        conversation: Conversation,
        budget: TurnBudget,
        tally: Tally,
        outbox: Outbox,
    ) -> None:
        """`parser`: gets the bytes that are not taken."""
        self._parser = parser
        self._conversation = conversation
        self._budget = budget
        self._tally = tally
        self._outbox = outbox
        self._ahead = 1
        self._passing = Passing()
        self._postponed = False  # the read begins with bytes that were postponed before
        self.beginning = b""
        """The beginning of a request, which is postponed: it is read together with the next read."""
        self.rest_is_due = False
        """The parser's next request is the rest of one whose beginning has passed: see `send_rest`."""
        self._flat = FlatRequests(conversation, tally)
        self.set_policy(policy)

    @property
    def take(self) -> Callable[[bytes], Any]:
        """Take a read. Returns the bytes for Redis, if all requests in it are usual. None: `take_other` must follow.

        The caller keeps the function, because the way to it takes longer than the call.
        """
        return self._flat.take

    @property
    def memory(self) -> int:
        """Bytes that the path holds."""
        return len(self.beginning) + len(self._passing.key)

    def set_policy(self, policy: Policy) -> bool:
        """Use the plans and limits of this policy from now on. False: the conversation ends, see `Passing`."""
        is_allowed = self._passing.is_allowed(policy)
        if not is_allowed:
            self._passing.end()
            self._outbox.end(encode.error(error_texts.NOW_MANAGED), error_texts.NOW_MANAGED, _RULE)
        limits = policy.limits
        self._table = table_of(policy, self.most_arguments)
        self._pending = limits.pending_commands
        self._room = limits.request.request_bytes
        self._flat.use(self._table, longest_of(limits), limits.turn_steps, self._pending, limits.inline_encode_bytes)
        return is_allowed

    def take_other(self, data: bytes) -> bytes | None:
        """Take what `take` has left of a read. Returns the bytes for Redis. None: the parser has the rest."""
        out, flat = self._flat.give(), self._flat
        if out is not None:
            return self._leave(out, data[flat.taken :], is_beginning=flat.is_cut)
        return self._leave(b"", data, is_beginning=True) if flat.is_cut else self._take_late(data)

    def _take(self, data: bytes) -> bytes | None:
        out = self._flat.take(data)
        return self.take_other(data) if out is None else out

    def _leave(self, out: bytes, data: bytes, *, is_beginning: bool, may_pass: bool = True) -> bytes | None:
        """Leave the rest of a read to the parser, unless it passes. `out`: the bytes for Redis before it.

        `is_beginning`: it has no whole request. `may_pass`: its head has not been looked at.
        """
        if out:
            self._postponed = False  # what was postponed before is among the requests that were taken
        end = self.pass_on(data) if may_pass and is_beginning and len(data) > LONG else 0
        if end == len(data):
            return out + data
        if is_beginning and not end and not self._postponed and self._parser.may_postpone(data):
            self.beginning = data
            self._set_dry(False)
            return out
        if out:
            self._outbox.pieces.append(out)
        if end:
            return self._take_behind(data, end)
        if is_beginning:
            self._parser.feed_cut(data)
        else:
            self._parser.feed(data)
        return None

    def _take_late(self, data: bytes) -> bytes | None:
        """Take a long read, or one behind a request that began in an earlier read."""
        conversation, parser, passing = self._conversation, self._parser, self._passing
        if passing.plan is None or self.rest_is_due:
            if self.beginning:
                return self._take_begun(data)
            if not parser.is_dry and not conversation.marks and conversation.flows:
                self.beginning = parser.take_beginning()
                if self.beginning:
                    return self._take_begun(data)
            if not parser.is_dry or conversation.marks or not conversation.flows or len(data) <= SMALL:
                parser.feed(data)
                return None
        end = self.pass_on(data)
        if end == len(data):
            return data
        if end or passing.plan is not None:
            return self._take_behind(data, end)
        out = self._flat.take(data, True)
        if out is not None:
            return out
        out, taken, is_cut = self._flat.give(), self._flat.taken, self._flat.is_cut
        return self._leave(out or b"", data[taken:], is_beginning=is_cut, may_pass=out is not None)

    def _take_begun(self, data: bytes) -> bytes | None:
        """Take a read behind a beginning that was postponed. It is postponed only once."""
        data, self._postponed = self.beginning + data, True
        self.beginning = b""
        self._set_dry(True)
        out = self._take(data)
        self._postponed = False
        return out

    def _take_behind(self, data: bytes, end: int) -> bytes | None:
        """Take the rest of a read behind the bytes that pass."""
        pieces, passing = self._outbox.pieces, self._passing
        if end:
            pieces.append(data[:end])
            self._postponed = False
        if passing.plan is not None and not self.rest_is_due:
            self._parser.adopt(passing.awaited, passing.size, in_body=passing.left > 0)
            self._set_dry(False)
            self.rest_is_due = True
        out = self._take(data[end:])
        if out is not None and len(pieces) == 1:
            return pieces.pop() + out
        if out:
            pieces.append(out)
        return None

    def _set_dry(self, is_dry: bool) -> None:
        self._parser.is_dry = self._conversation.is_dry = is_dry

    def pass_on(self, data: bytes) -> int:
        """Take the requests at the head of a read that pass as they stand. Returns the number of their bytes.

        The last of them may end in a later read. The caller writes the bytes upstream before all others.
        """
        conversation, passing, end = self._conversation, self._passing, 0
        if passing.plan is not None:
            if self.rest_is_due:
                return 0
            end = passing.go_on(data, self._room)
            if not passing.is_whole:
                return end
            self._end_passing()
            self._set_dry(True)
        if conversation.marks or not conversation.flows or not self._parser.is_dry:
            return end
        most = min(_MOST_PASSED, self._pending - conversation.owed.size - 1)
        passed = self._table.pass_on(data, end, most, _AVERAGE, self._room) if most > 0 else None
        if passed is None or (passed[3] is not None and not self.passes_parts):
            return end
        end, runs, firsts, cut = passed
        if runs:
            record(conversation, self._tally, firsts, runs, 0.0)
        if cut is not None:
            passing.begin(cut)
            self._set_dry(False)
        return end

    def send_rest(self, request: Request) -> None:
        """Write the rest of the request whose beginning has passed. The parser has read it as a request of its own."""
        raw = request.raw
        self._outbox.pieces.append(raw[len(_EMPTY) :] if self._passing.left else raw)
        self._end_passing()
        self.rest_is_due = False

    def _end_passing(self) -> None:
        """The request that passes is whole: append its entry."""
        plan = self._passing.end()
        if plan is not None:
            record(self._conversation, self._tally, [[]], [(plan, 1)], 0.0)

    def take_ready(self, request: Request) -> bool:
        """Take a request that the parser has returned, and usual ones behind it. False: the session must handle it."""
        budget, ready, chunk = self._budget, self._parser.ready, request.chunk
        if request.stop - request.start > _LONGEST:  # the proof would be one more pass over its bytes
            return False
        most = min(self._ahead, budget.requests, self._pending - self._conversation.owed.size - 1)
        requests = [request]
        for other in ready[: -most - 1 : -1] if most > 0 else ():
            if other.chunk is not chunk:
                break
            requests.append(other)
        commands = [each.args for each in requests]
        raw = chunk[request.start : requests[-1].stop]
        taken = self._write(commands, raw, max(0, budget.encode_bytes))
        if taken is None:
            self._ahead = 1
            return False
        count, size = taken
        self._ahead = min(2 * count, _MOST_AHEAD)
        budget.encode_bytes -= size
        budget.requests -= count - 1
        if count > 1:
            del ready[1 - count :]
        return True

    def _write(self, commands: list[list[bytes]], raw: bytes, room: int) -> tuple[int, int] | None:
        """Write the usual requests at the head of `raw`. Returns their number and that of their bytes."""
        taken = self._table.take(commands, raw, room)
        if taken is None:
            return None
        out, runs, size = taken
        record(self._conversation, self._tally, commands, runs, 0.0)
        self._outbox.pieces.append(out)
        return sum(count for _, count in runs), size
