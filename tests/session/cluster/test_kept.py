"""The requests that a lane keeps: usual ones together, and told apart when one of them is looked at."""

import pytest

from proxy.resp.encode import command
from proxy.session import key_slot
from proxy.session.cluster.kept import Kept, Sent
from proxy.session.expected_replies import PASS
from proxy.session.state import Conversation

GETS = [command(b"GET", b"k%d" % number) for number in range(4)]
SET = command(b"SET", b"{k1}x", b"*1\r\n$4\r\nPING\r\n", b"EX", b"60")
SLOTS = [key_slot(b"k%d" % number) for number in range(4)]


class Lane:
    """A conversation with one FIFO that keeps requests."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.kept = Kept(self.conversation)

    def write(self, *requests: bytes) -> "Lane":
        """Usual requests, in one piece."""
        raw = b"".join(requests)
        self.kept.append(PASS, len(requests))
        self.kept.requests.append(raw, len(requests), len(raw))
        self.conversation.pending_bytes += len(raw)
        return self

    def write_one(self, sent: Sent) -> "Lane":
        """Another request."""
        self.kept.append(PASS)
        self.kept.keep(sent)
        self.conversation.pending_bytes += len(sent.raw)
        return self


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_each_request_can_be_sent_again(lane: Lane) -> None:
    lane.write(GETS[0], SET, GETS[2])
    seen = []
    while lane.kept.size:
        seen.append(lane.kept.first_sent)
        lane.kept.take()
    assert seen == [Sent(GETS[0], SLOTS[0]), Sent(SET, SLOTS[1]), Sent(GETS[2], SLOTS[2])]
    assert lane.conversation.pending_bytes == 0


@pytest.mark.parametrize("taken", range(5))
def test_the_first_is_that_of_the_next_reply(lane: Lane, taken: int) -> None:
    other = Sent(SET, 7, is_trusted=False)
    lane.write(*GETS[:2]).write_one(other).write(*GETS[2:])
    lane.kept.take_runs(taken)
    order = [*map(Sent, GETS[:2], SLOTS[:2]), other, *map(Sent, GETS[2:], SLOTS[2:])]
    assert lane.kept.first_sent == order[taken]
    assert lane.kept.first_sent is lane.kept.first_sent
    lane.kept.take_runs(5 - taken)
    assert (lane.kept.size, lane.kept.taken, lane.conversation.pending_bytes) == (0, 5, 0)
    assert lane.kept.records(1) == []
    assert lane.kept.requests.pieces == []


def test_bytes_count_until_all_of_a_piece_are_answered(lane: Lane) -> None:
    lane.write(*GETS[:3])
    whole = lane.conversation.pending_bytes
    lane.kept.take_runs(2)
    assert lane.conversation.pending_bytes == whole
    assert lane.kept.first_sent.raw == GETS[2]
    assert lane.conversation.pending_bytes == len(GETS[2])


def test_the_requests_of_a_slot_are_found(lane: Lane) -> None:
    lane.write(GETS[1], SET, GETS[0]).write_one(Sent(GETS[1], SLOTS[1])).write_one(Sent(b""))
    assert [len([*lane.kept.of(slot)]) for slot in (SLOTS[1], SLOTS[0], SLOTS[2])] == [3, 1, 0]
    lane.kept.take()
    assert [*lane.kept.of(SLOTS[1])] == [Sent(SET, SLOTS[1]), Sent(GETS[1], SLOTS[1])]
