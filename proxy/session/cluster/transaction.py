"""A transaction of a client. It is on one node, that of the first key which WATCH or a queued command names.

Contract: MULTI is answered by us, when nothing is outstanding. So the request half knows for sure that it is open. It
is sent once the node is known. Commands without a key that come before are held, and answered with +QUEUED. They count
in `Conversation.queued_bytes`. If Redis refuses one of them later, EXEC aborts.
"""

from typing import Final

from proxy.resp import encode
from proxy.session.cluster.kept import NO_SLOT, Sent
from proxy.session.cluster.lanes import Lanes, Mail, NodeLane
from proxy.session.expected_replies import Entry, Poison, StateChange, Step
from proxy.session.lane import Ready
from proxy.session.outbox import POISON, PROBE, STATE_CHANGES
from proxy.session.state import Conversation

_MULTI: Final = encode.command(b"MULTI")
_QUEUED: Final = b"+QUEUED\r\n"
_OBJECT: Final = 64
"""Estimate of the bytes of a command that is held, without its own."""


class Transaction:
    """See the module."""

    __slots__ = ("_conversation", "_held", "_lanes", "is_open", "lane", "slot")

    def __init__(self, conversation: Conversation, lanes: Lanes) -> None:
        """No MULTI, no WATCH."""
        self._conversation = conversation
        self._lanes = lanes
        self._held: list[tuple[bytes, Entry]] = []
        self.is_open = False
        """A MULTI is open, as requests see it: EXEC and DISCARD have not been sent."""
        self.lane: NodeLane | None = None
        """The lane of the transaction, or of the keys that are watched for the next one; None: any lane will do."""
        self.slot = NO_SLOT
        """The slot that has chosen the lane."""

    @property
    def is_empty(self) -> bool:
        """No command has been queued, and no key is watched."""
        return self.lane is None and not self._held

    def takes(self, slot: int) -> bool:
        """Whether a key of this slot is on the lane of the transaction. A redirect may have led the lane elsewhere."""
        lane = self.lane
        return lane is None or slot == self.slot or self._lanes.slots.owner(slot) == lane.address

    def open(self) -> None:
        """MULTI was answered."""
        self.is_open = True
        self._conversation.in_multi = True
        if self.lane is not None:
            self._begin_on(self.lane)

    def close(self) -> None:
        """EXEC or DISCARD was sent, or the connection was reset."""
        self.is_open = False
        self.lane = None
        self._take_held()

    def write(self, raw: bytes, entry: Entry, slot: int, delivered: bool) -> None:
        """Queue a command, or send EXEC or DISCARD. `slot`: of its key; `NO_SLOT`: it names no key."""
        ends = isinstance(entry, StateChange) and entry.step in (Step.EXEC, Step.DISCARD)
        lane = self.lane
        if lane is None:
            if slot == NO_SLOT and not ends:
                self._hold(raw, entry, delivered)
                return
            lane = self._lanes.home if slot == NO_SLOT else self._lanes.of_slot(slot)
            self.slot = slot
            self._begin_on(lane)
        self._lanes.put(lane, Mail(raw, entry, Sent(raw, slot), delivered))
        if ends:
            self.close()

    def _begin_on(self, lane: NodeLane) -> None:
        self.lane = lane
        self._lanes.put(lane, Mail(_MULTI, STATE_CHANGES[Step.MULTI]))
        for raw, entry in self._take_held():
            self._lanes.put(lane, Mail(raw, entry))

    def _hold(self, raw: bytes, entry: Entry, delivered: bool) -> None:
        reply = _QUEUED
        if isinstance(entry, Poison):
            raw, entry, reply = POISON, PROBE, entry.reply
        if not (entry is PROBE and self._held and self._held[-1][1] is PROBE):  # one makes EXEC abort
            self._held.append((raw, entry))
            self._conversation.queued_bytes += _size(raw, entry)
        if delivered:
            self._conversation.answer(Ready(reply))

    def _take_held(self) -> list[tuple[bytes, Entry]]:
        held, self._held = self._held, []
        self._conversation.queued_bytes -= sum(_size(*each) for each in held)
        return held


def _size(raw: bytes, entry: Entry) -> int:
    return _OBJECT + len(raw) + entry.size
