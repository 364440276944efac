"""Scripts of a conversation with a cluster: bytes of the client and of each lane, and the output. No sockets."""

from collections.abc import Callable
from functools import cache

from proxy.policy import Policy
from proxy.resp import count_commands
from proxy.resp.encode import command
from proxy.session import (
    CommandInfo,
    Conversion,
    Effects,
    Gate,
    Opening,
    Relink,
    Session,
    Shared,
    SlotMap,
    Tally,
    key_slot,
)
from proxy.session.refusals import Report
from tests.session.playbook import policy

A, B, C = NODES = ("10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000")


def slots(
    *, moved: dict[int, str] | None = None, nodes: tuple[str, ...] = NODES, others: tuple[str, ...] = ()
) -> SlotMap:
    """The nodes share the slots evenly, in thirds for three. `moved`: slots that another node has."""
    owners = [min(slot * len(nodes) // 16384, len(nodes) - 1) for slot in range(16384)]
    for slot, node in (moved or {}).items():
        owners[slot] = nodes.index(node)
    return SlotMap(nodes, tuple(owners), frozenset(others))


@cache
def key_of(node: str, number: int = 0, *, managed: bool = False) -> bytes:
    """The `number`th key of a node in the usual map."""
    prefix = b"m:" if managed else b"k"
    usual = slots()
    found = [key for i in range(200) if usual.owner(key_slot(key := prefix + b"%d" % i)) == node]
    return found[number]


class Script:
    """Drives a session on a cluster. `cut` cuts all input into pieces. The output must not depend on it."""

    def __init__(
        self,
        with_policy: Policy | None = None,
        *,
        setup: tuple[bytes, ...] = (),
        gate: Gate | None = None,
        first: SlotMap | None = None,
        home: str = A,
        announce: str = "proxy:6379",
        dials_at_once: bool = True,
        shared: Shared | None = None,
        cut: Callable[[bytes], list[bytes]] = lambda data: [data],
    ) -> None:
        self.tally = Tally()
        self.session = Session(with_policy or policy(), gate, self.tally)
        self._cut = cut
        self._dials_at_once = dials_at_once
        self.addresses = {} if shared else {0: home}
        self.relinks: list[Relink] = []
        self._is_shared = shared is not None
        self._requests: dict[int, int] = {}
        self.sent: dict[int, bytes] = {}
        self.dialled: list[str] = []
        self.hung_up: list[int] = []
        self.paused: set[int] = set()
        self.client = b""
        self.closed: str | None = None
        self.asks_for_map = 0
        self.wants_turn = False
        self.reports: list[Report] = []
        self.conversions: list[Conversion] = []
        openings = tuple(Opening(raw, "refused by a node") for raw in setup)
        start = self.session.start(openings, slots=first or slots(), home=home, announce=announce, shared=shared)
        self.take(start)

    def take(self, effects: Effects) -> None:
        for dial in effects.dials:
            assert dial.lane not in self.addresses
            self.addresses[dial.lane] = dial.address
            self.dialled.append(dial.address)
        for lane, data in [(0, effects.upstream), *effects.lanes]:
            if data:
                self.sent[lane] = self.sent.get(lane, b"") + data
                self._check_count(lane, data)
        self.relinks += [effects.relink] if effects.relink else []
        self.client += effects.client
        self.hung_up += effects.hang_ups
        self.paused |= set(effects.pauses)
        self.paused -= set(effects.resumes)
        self.asks_for_map += effects.slots_are_old
        self.wants_turn = effects.wants_turn
        self.reports += effects.reports
        self.conversions += effects.conversions
        if effects.close is not None:
            self.closed = effects.close.reason
        if self._dials_at_once:
            for dial in effects.dials:
                self.take(self.session.lane_ready(dial.lane))

    def _check_count(self, lane: int, data: bytes) -> None:
        """On a shared link, each write is as many whole requests as there are new replies to expect."""
        if self._is_shared and self.session.is_shared:
            owed = self.session.owed_on(lane)
            before, self._requests[lane] = self._requests.get(lane, 0), owed.taken + owed.size
            assert count_commands(data) == self._requests[lane] - before

    def asks_for(self, protocol: int, pin: str = "") -> "Script":
        """Exactly these links are asked for, with nothing outstanding, and no request is written before."""
        assert self.relinks == [Relink(protocol, pin)]
        assert not self.session.pending
        assert not self.session.wants_client
        self.relinks.clear()
        return self

    def is_pinned(self, *setup: bytes) -> "Script":
        """The client has own links from now on."""
        self.take(self.session.relinked(tuple(Opening(raw, "refused by a node") for raw in setup)))
        assert not self.session.is_shared
        return self

    def is_linked(self, hello: bytes) -> "Script":
        """The links are of the other protocol from now on."""
        self.take(self.session.relinked(greeting=hello))
        assert self.session.is_shared
        return self

    def lane(self, node: str | int) -> int:
        """The newest lane to a node."""
        return node if isinstance(node, int) else max(n for n, at in self.addresses.items() if at == node)

    def sends(self, *requests: bytes) -> "Script":
        for piece in self._cut(b"".join(requests)):
            self.take(self.session.from_client(piece))
        return self

    def command(self, *args: bytes) -> "Script":
        return self.sends(command(*args))

    def replies(self, node: str | int, data: bytes) -> "Script":
        for piece in self._cut(data):
            self.take(self.session.from_upstream(piece, self.lane(node)))
        return self

    def is_ready(self, node: str | int) -> "Script":
        self.take(self.session.lane_ready(self.lane(node)))
        return self

    def loses(self, node: str | int) -> "Script":
        self.take(self.session.lane_lost(self.lane(node)))
        return self

    def fails(self, node: str | int, text: str = "cannot connect") -> "Script":
        self.take(self.session.lane_failed(self.lane(node), text))
        return self

    def learns(self, new: SlotMap, *, asked: bool = True) -> "Script":
        self.take(self.session.new_slots(new, asked=asked))
        return self

    def finds(self, *flags: str, first_key: int = 1) -> "Script":
        self.take(self.session.looked_up(CommandInfo(frozenset(flags), "", first_key, frozenset({"@read"}))))
        return self

    def takes_turns(self) -> "Script":
        while self.wants_turn:
            self.take(self.session.take_turn())
        return self

    def to(self, node: str | int, *requests: bytes) -> "Script":
        """Exactly these bytes went to the newest lane of a node since the last check."""
        assert self.sent.pop(self.lane(node), b"") == b"".join(requests)
        return self

    def to_client(self, *replies: bytes) -> "Script":
        """Exactly these bytes went to the client since the last check."""
        assert self.client == b"".join(replies)
        self.client = b""
        return self

    def is_quiet(self, *remembered: bytes) -> "Script":
        """Nothing else went anywhere, and nothing is owed or kept but commands for later lanes."""
        assert not self.sent
        assert self.client == b""
        assert self.closed is None
        assert self.session.is_idle
        assert self.session.memory == len(b"".join(remembered))
        return self
