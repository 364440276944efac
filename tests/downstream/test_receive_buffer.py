"""The bytes received from one side."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.downstream.receive_buffer import Backlog, ReceiveBuffer


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


def test_little_passes_and_much_waits_and_so_does_all_that_comes_behind_it() -> None:
    buffer = ReceiveBuffer(paused=False)
    assert buffer.passes(b"x" * 4096)
    assert not buffer.size
    assert not buffer.passes(b"x" * 4097)
    assert not buffer.passes(b"y")
    assert buffer.size == 4098


def test_nothing_passes_while_the_side_is_not_read() -> None:
    assert not ReceiveBuffer(paused=True).passes(b"x")


def test_it_is_read_while_what_comes_can_be_used_and_not_too_much_waits() -> None:
    buffer = ReceiveBuffer(paused=False)
    assert (buffer.changes(takes=True), buffer.paused) == (False, False)
    assert (buffer.changes(takes=False), buffer.paused) == (True, True)
    assert (buffer.changes(takes=True), buffer.paused) == (True, False)
    buffer.passes(b"x" * 100_000)
    assert (buffer.changes(takes=True), buffer.paused) == (True, True)
    buffer.take(50_000)
    assert (buffer.changes(takes=True), buffer.paused) == (True, False)


def test_a_turn_is_asked_for_once() -> None:
    buffer = ReceiveBuffer(paused=False)
    buffer.passes(b"x" * 5000)
    assert not buffer.needs_turn(takes=False)
    assert buffer.needs_turn(takes=True)
    assert not buffer.needs_turn(takes=True)
    buffer.due = False
    assert buffer.needs_turn(takes=True)
    buffer.due = False
    buffer.take(5000)
    assert not buffer.needs_turn(takes=True)
