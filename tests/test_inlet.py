"""What comes in from one side."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.inlet import Backlog, Inlet


@given(steps=st.lists(st.binary(max_size=20) | st.integers(1, 30), max_size=30))
def test_what_goes_in_comes_out_in_order_piece_by_piece(steps: list[bytes | int]) -> None:
    backlog, waiting = Backlog(), b""
    for step in steps:
        if isinstance(step, bytes):
            backlog.add(step)
            waiting += step
        else:
            assert backlog.take(step) == waiting[:step]
            waiting = waiting[step:]
        assert backlog.size == len(waiting)
    backlog.clear()
    assert not backlog.size
    assert backlog.take(9) == b""


def test_what_has_been_taken_counts_until_it_is_let_go() -> None:
    backlog = Backlog()
    backlog.add(b"x" * 1000)
    backlog.take(999)
    assert (backlog.size, backlog.memory) == (1, 1000)
    backlog.add(b"y")
    assert (backlog.size, backlog.memory) == (2, 2)
    backlog.take(2)
    assert backlog.memory == 0


class Reading:
    """A transport, and whether it reads."""

    reads = True

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True


def test_little_passes_and_much_waits_and_so_does_all_that_comes_behind_it() -> None:
    inlet = Inlet(paused=False)
    assert inlet.passes(b"x" * 4096)
    assert not inlet.size
    assert not inlet.passes(b"x" * 4097)
    assert not inlet.passes(b"y")
    assert inlet.size == 4098


def test_nothing_passes_while_the_side_is_not_read() -> None:
    assert not Inlet(paused=True).passes(b"x")


def test_it_is_read_while_what_comes_can_be_used_and_not_too_much_waits() -> None:
    inlet, transport = Inlet(paused=False), Reading()
    assert not inlet.adjust(transport, takes=True)
    assert transport.reads
    inlet.adjust(transport, takes=False)
    assert not transport.reads
    inlet.adjust(transport, takes=True)
    assert transport.reads
    inlet.passes(b"x" * 100_000)
    inlet.adjust(transport, takes=True)
    assert not transport.reads
    inlet.take(50_000)
    inlet.adjust(transport, takes=True)
    assert transport.reads


def test_a_turn_is_asked_for_once() -> None:
    inlet = Inlet(paused=False)
    inlet.passes(b"x" * 5000)
    assert not inlet.adjust(None, takes=False)
    assert inlet.adjust(None, takes=True)
    assert not inlet.adjust(None, takes=True)
    inlet.due = False
    assert inlet.adjust(None, takes=True)
    inlet.due = False
    inlet.take(5000)
    assert not inlet.adjust(None, takes=True)
