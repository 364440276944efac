"""Random interleavings of lanes, moving slots and maps: each reply is that of one Redis, in the client's order."""

import random

from hypothesis import given
from hypothesis import strategies as st

from proxy.resp import ReplyFramer
from proxy.resp.encode import command
from proxy.session import Shared, SlotMap, key_slot
from tests.session.cluster.fake_cluster import COMMANDS, OK, Connection, Data, FakeCluster
from tests.session.cluster.script import A, B, C, Script, slots
from tests.session.sharing.script import NUMBER, greeting

D = "10.0.0.4:7000"
"""A node that has no slot at first."""
MANAGED = [b"m:%d" % number for number in range(6)]
KEYS = [b"k%d" % number for number in range(8)] + [b"{t}%d" % number for number in range(4)]


class Talk:
    """A client, a session and a cluster. Bytes wait on each way until they are moved."""

    def __init__(self, chance: random.Random, shared: Shared | None = None) -> None:
        self.chance = chance
        first = slots(others=(D,))
        self.cluster = FakeCluster(first)
        self.script = Script(first=first, dials_at_once=False, shared=shared)
        self.connections: dict[int, Connection] = {}
        self.to_dial: set[int] = set()
        self.model: Data = {}
        self.expected = b""
        self.fetching: list[SlotMap] = []
        self.asked = 0
        self.number = 0
        self.is_split = False
        self.remembered = 0
        """Bytes of commands that later lanes will get."""
        self.been: dict[int, set[str]] = {}
        """The nodes of each slot. None has it twice: a request that still waits there would be done too early."""

    # -- the client ------------------------------------------------------------------------------------

    @property
    def shown(self) -> bytes:
        """The replies that the client has got."""
        return self.script.client

    def request(self, *, is_first: bool) -> list[bytes]:
        chance = self.chance
        self.number += 1
        some = [chance.choice(KEYS) for _ in range(chance.randrange(1, 5))]
        if not is_first or self.shown != self.expected:  # with TRYAGAIN, a later command of the slot would come first
            some = [some[0], *(key for key in some[1:] if not key.startswith(b"{"))]
            some = [key for key in some if not self.is_split or not key.startswith(b"{")] or [KEYS[0]]
        else:
            self.is_split = False
        self.is_split = self.is_split or len({key for key in some if key.startswith(b"{")}) > 1
        token = b"<%d>" % self.number
        any_ = some[1:] + [chance.choice(MANAGED) for _ in range(2)]
        chance.shuffle(any_)
        return chance.choice(
            [
                [b"SET", some[0], token],
                [b"APPEND", some[0], token],
                [b"APPEND", some[0], token],
                [b"SET", chance.choice(MANAGED), token],
                [b"GET", some[0]],
                *([b"GET", chance.choice(MANAGED)] for _ in range(3)),
                [b"DEL", *any_],
                [b"EXISTS", *any_],
                [b"MGET", *any_],
                [b"MSET", *(arg for key in any_ for arg in (key, token))],
                [b"ECHO", token],
            ]
        )

    def sends(self) -> None:
        requests = [self.request(is_first=not at) for at in range(self.chance.choice((1, 1, 3, 8)))]
        for args in requests:
            self.expected += COMMANDS[args[0]][0](self.model, args)
        self.script.sends(*(command(*args) for args in requests))

    # -- the lanes -------------------------------------------------------------------------------------

    def lanes(self) -> list[int]:
        return [lane for lane in self.script.addresses if lane not in self.script.hung_up]

    def connects(self) -> None:
        for lane in self.lanes():
            if lane not in self.connections and (lane == 0 or self.chance.random() < 0.5):
                self.connections[lane] = Connection(self.cluster.nodes[self.script.addresses[lane]])
                if lane:
                    self.script.is_ready(lane)

    def delivers(self) -> None:
        """A node gets some bytes."""
        lane = self.chance.choice(self.lanes() or [0])
        data = self.script.sent.get(lane, b"")
        if lane in self.connections and data:
            size = self.chance.choice((1, 20, 200, len(data)))
            self.connections[lane].takes(data[:size])
            self.script.sent[lane] = data[size:]

    def answers(self) -> None:
        """The session gets some bytes of a node."""
        lane = self.chance.choice(self.lanes() or [0])
        connection = self.connections.get(lane)
        if connection is not None and connection.replies and lane not in self.script.paused:
            size = self.chance.choice((1, 7, 60, len(connection.replies)))
            data, connection.replies = connection.replies[:size], connection.replies[size:]
            self.script.replies(lane, data)

    # -- the cluster -----------------------------------------------------------------------------------

    def changes(self) -> None:
        slot = key_slot(self.chance.choice(KEYS + MANAGED))
        step = self.chance.randrange(4)
        if step == 0:
            self.been.setdefault(slot, {self.cluster.owners[slot]})
            target = self.chance.choice((A, B, C, D))
            if target not in self.been[slot] and slot not in self.cluster.nodes[self.cluster.owners[slot]].leaving:
                self.been[slot].add(target)
                self.cluster.begins_to_move(slot, target)
        elif step < 3:
            self.cluster.moves_a_key(slot)
        else:
            self.cluster.ends_to_move(slot)

    def fetches(self) -> None:
        """A map is fetched, and told later. Maps come in order."""
        if self.script.asks_for_map > self.asked and self.chance.random() < 0.5:
            self.asked = self.script.asks_for_map
            self.script.learns(self.cluster.map())
        elif self.chance.random() < 0.1:
            self.fetching.append(self.cluster.map())
        elif self.fetching and self.chance.random() < 0.1:
            self.script.learns(self.fetching.pop(0), asked=False)

    # -- the whole -------------------------------------------------------------------------------------

    def runs(self, steps: int) -> None:
        actions = [self.sends, self.connects, self.changes, self.fetches] + [self.delivers, self.answers] * 4
        for _ in range(steps):
            self.chance.choice(actions)()
            assert self.expected.startswith(self.shown)
        for _ in range(20_000):
            for action in (self.connects, self.delivers, self.answers, self.delivers, self.answers, self.fetches):
                action()
            is_all = not any(connection.replies for connection in self.connections.values())
            if is_all and self.shown == self.expected and self.script.session.is_idle:
                break

    def is_right(self) -> None:
        assert self.shown == self.expected
        assert self.cluster.data == {
            key: b"!" + value if key in MANAGED else value for key, value in self.model.items()
        }
        assert self.script.closed is None
        assert self.script.session.is_idle
        assert self.script.session.memory == self.remembered
        assert not any(connection.replies for connection in self.connections.values())


@given(st.integers(min_value=0))
def test_a_cluster_whose_slots_move_answers_like_one_redis(seed: int) -> None:
    talk = Talk(random.Random(seed))
    talk.runs(300)
    talk.is_right()


class Sharer(Talk):
    """Its lanes are shared. Now and then it changes its protocol. It may need own ones in the middle."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance, Shared(greeting(2, mode=b"cluster"), True, 0, NUMBER))
        self.pins_at = chance.choice((0, 5, 10**9))
        self.is_pinned = False
        """A transaction was sent. What follows is on its own lanes."""

    def sends(self) -> None:
        kind = self.chance.random()
        if kind < 0.1:
            protocol = self.chance.choice((2, 3))
            if self.is_pinned:
                self.remembered = len(HELLO)
            self.expected += b"%0\r\n" if self.is_pinned else greeting(protocol, NUMBER, b"cluster")
            self.script.command(b"HELLO", b"%d" % protocol)
        elif kind < 0.3 and self.number > self.pins_at:
            self.is_pinned = True
            self.expected += OK + b"*0\r\n"
            self.script.command(b"MULTI").command(b"EXEC")
        else:
            super().sends()

    def connects(self) -> None:
        """The shell changes the links when it is asked to."""
        super().connects()
        relinks, self.script.relinks = self.script.relinks, []
        for relink in relinks:
            if relink.pin:
                self.script.is_pinned()
                self.remembered += len(HELLO) if relink.protocol == 3 and not self.remembered else 0
            else:
                self.script.is_linked(greeting(relink.protocol, mode=b"cluster"))


@given(st.integers(min_value=0))
def test_shared_lanes_answer_like_one_redis(seed: int) -> None:
    talk = Sharer(random.Random(seed))
    talk.runs(300)
    talk.is_right()


HELLO = command(b"HELLO", b"3")
SUBSCRIBED = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"


class Subscriber(Talk):
    """Home sends messages between its replies. They come in any pieces, too."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.script.sends(HELLO).replies(0, b"%0\r\n").command(b"SUBSCRIBE", b"c").replies(0, SUBSCRIBED)
        self.script.to_client(b"%0\r\n", SUBSCRIBED).sent.clear()
        self.remembered = len(HELLO)
        self.messages: list[bytes] = []
        self.framer = ReplyFramer()
        self.pieces: list[bytes] = []
        self.replies = b""
        self.got: list[bytes] = []

    @property
    def shown(self) -> bytes:
        """Only whole ones."""
        self.framer.feed(self.script.client)
        self.script.client = b""
        while self.framer.kind() and self.framer.forward(self.pieces):
            value = b"".join(self.pieces)
            self.pieces.clear()
            if value.startswith(b">"):
                self.got.append(value)
            else:
                self.replies += value
        return self.replies

    def answers(self) -> None:
        if 0 in self.connections and self.chance.random() < 0.1 and len(self.messages) < 100:
            self.messages.append(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n:%d\r\n" % len(self.messages))
            self.connections[0].replies += self.messages[-1]
        super().answers()

    def is_right(self) -> None:
        super().is_right()
        assert self.got == self.messages


@given(st.integers(min_value=0))
def test_messages_move_between_replies(seed: int) -> None:
    talk = Subscriber(random.Random(seed))
    talk.runs(300)
    talk.is_right()
