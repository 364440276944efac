"""Random losses while slots move: each request has one reply, no write is done twice, and none overtakes another."""

import random
import re

from hypothesis import given
from hypothesis import strategies as st

from tests.session.cluster.test_model import KEYS, Talk

_TOKEN = re.compile(rb"<(\d+)>")
_LINE = re.compile(rb"[^\n]*\n")


class Losses(Talk):
    """The client only appends. Connections break and dials fail, but never in the middle of a reply."""

    def __init__(self, chance: random.Random) -> None:
        self.gone: set[int] = set()
        super().__init__(chance)
        self.sent: list[tuple[bytes, bytes]] = []

    def sends(self) -> None:
        for _ in range(self.chance.choice((1, 1, 3, 8))):
            self.sent.append((self.chance.choice(KEYS), b"<%d>" % len(self.sent)))
            self.script.command(b"APPEND", *self.sent[-1])

    def answers(self) -> None:
        lane = self.chance.choice(self.lanes())
        connection = self.connections.get(lane)
        if connection is not None and (line := _LINE.match(connection.replies)) and lane not in self.script.paused:
            connection.replies = connection.replies[line.end() :]
            self.script.replies(lane, line[0])

    def lanes(self) -> list[int]:
        return [lane for lane in super().lanes() if lane not in self.gone]

    def breaks(self) -> None:
        """One of ten steps. The node may have done more than it could say."""
        if not self.lanes() or self.chance.random() < 0.9:
            return
        lane = self.chance.choice(self.lanes())
        self.gone.add(lane)
        if lane in self.connections:
            self.script.loses(lane)
        else:
            self.script.fails(lane)

    def runs(self, steps: int) -> None:
        actions = [self.sends, self.connects, self.changes, self.fetches, self.breaks] + [
            self.delivers,
            self.answers,
        ] * 4
        for _ in range(steps):
            if self.lanes() or self.script.session.is_idle:
                self.chance.choice(actions if self.lanes() else [self.sends])()
        for _ in range(5_000):
            if self.lanes():
                for action in (self.connects, self.delivers, self.answers, self.fetches):
                    action()
            if self.script.session.is_idle:
                break

    def is_right(self) -> None:
        assert self.script.closed is None
        assert self.script.session.is_idle
        assert self.script.session.memory == 0
        replies = _LINE.findall(self.script.client)
        assert len(replies) == len(self.sent)
        data = self.cluster.data
        for key in KEYS:
            done = [int(number) for number in _TOKEN.findall(data.get(key, b""))]
            assert done == sorted(set(done))
            known = {at for at, (its, _) in enumerate(self.sent) if its == key and replies[at].startswith(b":")}
            assert known <= set(done)
        assert all(reply.startswith((b":", b"-ERR flask-cache-proxy: ")) for reply in replies)


@given(st.integers(min_value=0))
def test_no_write_is_done_twice_and_none_overtakes(seed: int) -> None:
    talk = Losses(random.Random(seed))
    talk.runs(300)
    talk.is_right()


def test_the_script_can_lose() -> None:
    """The search above does lose connections, with requests on them."""
    chance = random.Random(1)
    lost = 0
    for _ in range(5):
        talk = Losses(chance)
        talk.runs(300)
        lost += talk.script.client.count(b"was lost")
    assert lost > 10
