"""Several lanes of one conversation: replies keep the client's order, in whatever order bytes come. See `state`."""

import random
from collections import deque

import pytest

from proxy.commands import COMMANDS
from proxy.policy import SessionLimits
from proxy.resp.encode import bulk
from proxy.session.counters import Tally
from proxy.session.expected_replies import PASS, Decode, Each
from proxy.session.lane import Lane, Ready
from proxy.session.replies import ReplyHalf
from proxy.session.runs import Runs
from proxy.session.state import Conversation
from proxy.session.turn_budget import TurnBudget
from tests import effort
from tests.session.playbook import rule

DECODE = Decode(rule(), COMMANDS[b"GET"])
EACH = Each((DECODE, PASS))
REPLIES = (
    (PASS, b"+OK\r\n", b"+OK\r\n"),
    (PASS, b"-ERR no\r\n", b"-ERR no\r\n"),
    (PASS, bulk(b"x" * 40), bulk(b"x" * 40)),
    (DECODE, bulk(b"!value"), bulk(b"value")),
    (DECODE, b"$-1\r\n", b"$-1\r\n"),
    (EACH, b"*2\r\n" + bulk(b"!v") + bulk(b"!v"), b"*2\r\n" + bulk(b"v") + bulk(b"!v")),
)
"""Entries, each with Redis' reply and the client's reply."""


class Talk:
    """A reply half with two lanes, and a simple model of it."""

    def __init__(self) -> None:
        self.budget = TurnBudget(SessionLimits())
        self.conversation = Conversation()
        self.half = ReplyHalf(self.budget, self.conversation, Tally())
        self.lanes = (self.conversation.home, Lane())
        self.sent = dict.fromkeys(self.lanes, b"")
        """Bytes that have not come from Redis yet."""
        self.left: deque[tuple[Lane | None, int, bytes]] = deque()
        """In the client's order: the lane, the end of the reply in its stream, and the client's bytes."""
        self.ends = dict.fromkeys(self.lanes, 0)
        self.fed = dict.fromkeys(self.lanes, 0)
        self.whole = b""

    def ask(self, lane: Lane, at: int, *, delivered: bool) -> None:
        entry, reply, shown = REPLIES[at]
        self.conversation.owe(lane, entry, delivered=delivered)
        self.conversation.pending_bytes += entry.size
        self.sent[lane] += reply
        self.ends[lane] += len(reply)
        self.left.append((lane, self.ends[lane], shown if delivered else b""))

    def answer(self, reply: bytes) -> None:
        self.conversation.answer(Ready(reply))
        self.left.append((None, 0, reply))

    def feed(self, lane: Lane, size: int) -> None:
        piece, self.sent[lane] = self.sent[lane][:size], self.sent[lane][size:]
        lane.framer.feed(piece)
        self.fed[lane] += len(piece)

    def moves(self) -> None:
        """The output has all replies that are whole in the client's order, and no reply out of order."""
        self.budget.renew()
        self.half.advance()
        while self.left and (self.left[0][0] is None or self.fed[self.left[0][0]] >= self.left[0][1]):
            self.whole += self.left.popleft()[2]
        out = b"".join(self.half.out)
        following = b"".join(shown for _, _, shown in self.left)
        assert out.startswith(self.whole)
        assert (self.whole + following).startswith(out)
        assert self.conversation.owed.size == len(self.left)


@pytest.mark.parametrize("seed", range(effort.cases(100)))
def test_the_clients_order_holds_whatever_comes_first(seed: int) -> None:
    chance, talk = random.Random(seed), Talk()
    for _ in range(chance.randrange(1, 60)):
        for _ in range(chance.choice((1, 1, 3))):
            if chance.random() < 0.2:
                talk.answer(b"-ERR ours\r\n")
            else:
                talk.ask(chance.choice(talk.lanes), chance.randrange(len(REPLIES)), delivered=chance.random() < 0.8)
        if chance.random() < 0.7:
            talk.feed(chance.choice(talk.lanes), chance.randrange(60))
        talk.moves()
    for lane in chance.sample(talk.lanes, 2):
        talk.feed(lane, 100_000)
        talk.moves()
    assert not talk.left
    assert talk.conversation.memory == 0
    assert not any(lane.owed.size or lane.framer.buffered for lane in talk.lanes)


def test_a_lane_that_is_not_at_the_head_is_only_fed() -> None:
    talk = Talk()
    home, other = talk.lanes
    talk.ask(home, 0, delivered=True)
    talk.ask(other, 2, delivered=True)
    talk.feed(other, 1000)
    talk.moves()
    assert other.framer.buffered == len(bulk(b"x" * 40))
    assert not other.framer.forwarding
    talk.feed(home, 1000)
    talk.moves()
    assert talk.whole == b"+OK\r\n" + bulk(b"x" * 40)


def test_a_push_that_has_begun_is_whole_before_another_lane_is_looked_at() -> None:
    talk = Talk()
    home, other = talk.lanes
    push = b">2\r\n+a\r\n+b\r\n"
    home.framer.feed(push[:6])
    talk.budget.renew()
    talk.half.advance()
    talk.ask(other, 0, delivered=True)
    talk.feed(other, 5)
    talk.half.advance()
    home.framer.feed(push[6:])
    talk.half.advance()
    assert b"".join(talk.half.out) == push + b"+OK\r\n"


class TestRuns:
    def test_it_is_a_fifo(self) -> None:
        chance = random.Random(1)
        runs, model = Runs[str](), list[str]()
        for _ in range(2000):
            if chance.random() < 0.5:
                item, count = chance.choice("ab"), chance.randrange(1, 4)
                runs.append(item, count)
                model += item * count
            elif runs.size:
                count = chance.randrange(1, runs.first_count + 1)
                assert {runs.first} == set(model[:count])
                runs.take(count)
                del model[:count]
            assert runs.size == len(model)
            assert [item for item, count in runs.records(9999) for _ in range(count)] == model
            assert not model or (runs.first, runs.last) == (model[0], model[-1])

    def test_alike_items_in_a_row_are_one_record(self) -> None:
        runs = Runs[str]()
        for item in "aaabba":
            runs.append(item)
        assert runs.records(9) == [("a", 3), ("b", 2), ("a", 1)]
        assert runs.records(2) == [("a", 3), ("b", 2)]
