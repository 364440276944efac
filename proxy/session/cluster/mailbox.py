"""The outbox of a conversation with a cluster: writes each request on the lanes of its route.

Contract: as for the outbox. While there is trouble, it holds the requests that it is given, and writes them once
nothing is outstanding. There is one at most, or the parts of one, because no other request is read meanwhile.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from proxy.resp import encode
from proxy.session import error_texts
from proxy.session.cluster.entries import Echo, First, Page, Part, Slice, Stream, Streamed, Watched
from proxy.session.cluster.gather import ACCEPTED, Gather, How, Verdict, arguments, each_argument
from proxy.session.cluster.kept import Sent
from proxy.session.cluster.lanes import Lanes, Mail, NodeLane
from proxy.session.cluster.routes import (
    HOME,
    Route,
    ToEvery,
    ToHome,
    ToMasters,
    ToReset,
    ToRuns,
    ToScan,
    ToSlot,
    ToStream,
    ToUnwatch,
    ToWatch,
    kind_of,
)
from proxy.session.cluster.runs_of_keys import Run, by_slot, in_turns, run_ends
from proxy.session.cluster.transaction import Transaction
from proxy.session.cluster.trouble import Trouble
from proxy.session.counters import Tally
from proxy.session.expected_replies import PASS, Each, Entry, Opening, Poison, Setup, Step
from proxy.session.lane import Header, Ready
from proxy.session.outbox import STATE_CHANGES, Outbox
from proxy.session.state import Barrier, Conversation, NextTurn, Steps, Work
from proxy.session.turn_budget import TurnBudget

_NEVER_QUEUED: Final = (STATE_CHANGES[Step.QUIT], STATE_CHANGES[Step.RESET])
_MOST_PARTS: Final = 65_536
"""Parts of one request. Each takes some 500 bytes of memory."""


class _Remembered(NamedTuple):
    """A command of the client that every lane must get."""

    kind: bytes
    raw: bytes
    verdict: Verdict


class Mailbox(Outbox):
    """See the module."""

    __slots__ = ("_held", "_lanes", "_remembered", "_route", "_setup", "_trouble", "transaction")

    def __init__(
        self, conversation: Conversation, budget: TurnBudget, tally: Tally, lanes: Lanes, trouble: Trouble
    ) -> None:
        """No request written."""
        super().__init__(conversation, budget, tally)
        self._lanes = lanes
        if lanes.home.number:
            self.pieces = []  # the bytes of lane 0 only leave by this way
        self._trouble = trouble
        self._route: Route = HOME
        self._held: list[tuple[Route, bytes, Entry, bool]] = []
        self._remembered: list[_Remembered] = []
        self._setup: tuple[Opening, ...] = ()
        self.transaction = Transaction(conversation, lanes)
        lanes.openings = self._openings

    @property
    def memory(self) -> int:
        """Bytes of requests that are held, and of commands that later lanes will get."""
        return sum(len(each[1]) for each in self._held) + sum(len(each.raw) for each in self._remembered)

    def open(self, setup: Iterable[Opening], again: Iterable[bytes] = ()) -> None:
        """Let each lane that is opened from now on begin with these commands. See Outbox."""
        self._setup = tuple(setup)
        self._remembered = [_Remembered(kind_of(arguments(raw)), raw, ACCEPTED) for raw in again]

    def aim(self, route: Route) -> None:
        """Say where the next request goes."""
        self._route = route

    # -- as the outbox ---------------------------------------------------------------------------------

    def owe(self, raw: bytes, entry: Entry, *, delivered: bool = True) -> None:
        """See Outbox."""
        route, self._route = self._route, HOME
        if isinstance(entry, Poison) and not self.transaction.is_open:
            route = HOME  # it only stands for a request
        self._write(route, raw, entry, delivered)

    def write(self, count: int, args: Iterable[bytes], entry: Entry) -> Steps:
        """See Outbox. The request is kept until its reply comes, so it is made in pieces and written at once."""
        return self._write_whole(count, args, entry)

    def _write(self, route: Route, raw: bytes, entry: Entry, delivered: bool) -> None:
        if self._trouble.state is not None:
            self._held.append((route, raw, entry, delivered))
        elif self.transaction.is_open and entry not in _NEVER_QUEUED:
            self.transaction.write(raw, entry, route.slot, delivered)
        else:
            _WRITE[type(route)](self, route, raw, entry, delivered)

    def release(self) -> bool:
        """Write the requests that were held. False: there are none."""
        held, self._held = self._held, []
        for each in held:
            self._write(*each)
        return bool(held)

    # -- one lane --------------------------------------------------------------------------------------

    def _to_home(self, _route: ToHome, raw: bytes, entry: Entry, delivered: bool) -> None:
        self._lanes.put(self._lanes.home, Mail(raw, entry, Sent(raw), delivered))

    def _to_slot(self, route: ToSlot, raw: bytes, entry: Entry, delivered: bool) -> None:
        lane = self._lanes.of_slot(route.slot)
        self._lanes.put(lane, Mail(raw, entry, Sent(raw, route.slot, route.is_trusted), delivered))

    def _to_scan(self, route: ToScan, raw: bytes, _entry: Entry, delivered: bool) -> None:
        ids = self._lanes.slots.ids
        if route.node not in ids:  # the map has changed meanwhile
            self._conversation.answer(Ready(encode.error(error_texts.FOREIGN_CURSOR) if delivered else b""))
            return
        lane = self._lanes.of_masters()[ids.index(route.node)]
        args = arguments(raw)
        args[1] = route.cursor
        page = Page(route.node, min((other for other in ids if other > route.node), default=0))
        self._lanes.put(lane, Mail(encode.command(*args), page, Sent(b""), delivered))

    def _to_watch(self, route: ToWatch, raw: bytes, _entry: Entry, delivered: bool) -> None:
        transaction = self.transaction
        before = transaction.lane
        lane = transaction.lane = before or self._lanes.of_slot(route.slot)
        transaction.slot = transaction.slot if before else route.slot
        entry = Watched(Verdict(self._on_watch(before)), before is None)
        self._lanes.put(lane, Mail(raw, entry, Sent(raw, route.slot), delivered))
        self._conversation.wait = Barrier()  # a redirect of it changes the transaction's lane

    def _on_watch(self, before: NodeLane | None) -> Callable[[bool], None]:
        def settle(is_accepted: bool) -> None:
            if not is_accepted:
                self.transaction.lane = before

        return settle

    def _to_unwatch(self, _route: ToUnwatch, raw: bytes, entry: Entry, delivered: bool) -> None:
        lane, self.transaction.lane = self.transaction.lane or self._lanes.home, None
        self._lanes.put(lane, Mail(raw, entry, Sent(raw), delivered))

    def _to_reset(self, _route: ToReset, raw: bytes, entry: Entry, delivered: bool) -> None:
        """RESET waits until nothing is outstanding, so the other lanes can be closed."""
        for lane in list(self._lanes.by_number.values()):
            if lane is not self._lanes.home:
                self._lanes.close(lane)
        self._remembered.clear()
        self.transaction.close()
        self._lanes.put(self._lanes.home, Mail(raw, entry, Sent(raw), delivered))

    # -- several lanes ---------------------------------------------------------------------------------

    def _to_masters(self, route: ToMasters, raw: bytes, _entry: Entry, delivered: bool) -> None:
        lanes = self._lanes.of_masters()
        part = Part(Gather(route.how, len(lanes)))
        for lane in lanes:
            self._lanes.put(lane, Mail(raw, part, Sent(b""), delivered))

    def _to_stream(self, _route: ToStream, raw: bytes, _entry: Entry, delivered: bool) -> None:
        home = self._lanes.home  # goes first: its pushes move only at the head, and they may be before its array
        lanes = sorted(self._lanes.of_masters(), key=lambda lane: lane is not home)
        for lane in lanes:  # the first array needs the headers of all, so no other reply may come between
            self._lanes.open(lane)
        streamed = Streamed(Stream(lanes))
        for lane in lanes:
            self._lanes.put(lane, Mail(raw, streamed, Sent(b""), delivered))

    def _to_every(self, route: ToEvery, raw: bytes, entry: Entry, delivered: bool) -> None:
        remembered = _Remembered(route.kind, raw, Verdict(lambda is_accepted: self._forget(remembered, is_accepted)))
        home = self._lanes.home
        self._lanes.put(home, Mail(raw, First(entry, remembered.verdict), Sent(raw), delivered))
        for lane in tuple(self._lanes.by_number.values()):
            if lane is not home:
                self._lanes.put(lane, Mail(raw, Echo(remembered.verdict)))
        self._remembered.append(remembered)

    def _forget(self, remembered: _Remembered, is_accepted: bool) -> None:
        """Forget a command that home has refused, or those that an accepted one replaces."""
        if remembered not in self._remembered:
            return  # after a RESET
        at = self._remembered.index(remembered)
        kept = [other for other in self._remembered[:at] if not is_accepted or other.kind != remembered.kind]
        self._remembered = kept + self._remembered[at if is_accepted else at + 1 :]

    def _openings(self) -> list[Mail]:
        ours = [Mail(opening.raw, Setup(opening.refused)) for opening in self._setup]
        return ours + [Mail(each.raw, Echo(each.verdict)) for each in self._remembered]

    # -- in parts --------------------------------------------------------------------------------------

    def _to_runs(self, route: ToRuns, raw: bytes, entry: Entry, delivered: bool) -> None:
        """Write the parts now, or over several turns if there are many keys."""
        steps = self._in_parts(route.how, raw, entry, delivered)
        kind = next(steps, None)
        if kind is not None:
            self._conversation.wait = kind(Work(steps, 2 * len(raw)))
            self._budget.wants_turn = True

    def _in_parts(self, how: How | None, raw: bytes, entry: Entry, delivered: bool) -> Steps:
        most = self._budget.limits.turn_steps
        args = yield from in_turns(each_argument(raw), most)
        runs = [run for run in (yield from in_turns(run_ends(args), most)) if run is not None]
        if how is How.SUM and len(runs) > _MOST_PARTS:  # order does not matter to a sum
            args, runs = yield from by_slot(args, runs, most)
        if len(runs) == 1:
            self._write(ToSlot(runs[0].slot), raw, entry, delivered)
        elif len(runs) > _MOST_PARTS:
            self._conversation.answer(Ready(encode.error(error_texts.TOO_MANY_PARTS) if delivered else b""))
        else:
            made = self._parts(how, args, runs, entry, delivered)
            for number, (run, part) in enumerate(zip(runs, made, strict=True), 1):
                self._write(ToSlot(run.slot), run.request(args), part, delivered)
                if number % most == 0:
                    yield NextTurn

    def _parts(
        self, how: How | None, args: list[bytes], runs: Sequence[Run], entry: Entry, delivered: bool
    ) -> Sequence[Entry]:
        if how is not None:
            return [Part(Gather(how, len(runs)))] * len(runs)
        if delivered:
            self._conversation.answer(Header(b"*%d\r\n" % (len(args) - 1)))
        return slices(entry, runs)


def slices(entry: Entry, runs: Sequence[Run], ends_array: bool = True) -> list[Entry]:
    """The entries of the parts of an MGET. `ends_array`: the last of them has the last elements of the array."""
    whole: Sequence[Entry] | None = None
    if isinstance(entry, Each | Slice):
        whole = entry.entries
    made: list[Entry] = []
    for number, run in enumerate(runs, 1):
        own = [PASS] * (run.stop - run.start) if whole is None else whole[run.start - 1 : run.stop - 1]
        made.append(Slice(own, ends_array and number == len(runs)))
    return made


_WRITE: Final[dict[type[Any], Callable[[Mailbox, Any, bytes, Entry, bool], None]]] = {
    ToHome: Mailbox._to_home,
    ToSlot: Mailbox._to_slot,
    ToRuns: Mailbox._to_runs,
    ToMasters: Mailbox._to_masters,
    ToStream: Mailbox._to_stream,
    ToScan: Mailbox._to_scan,
    ToEvery: Mailbox._to_every,
    ToReset: Mailbox._to_reset,
    ToWatch: Mailbox._to_watch,
    ToUnwatch: Mailbox._to_unwatch,
}
