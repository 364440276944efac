"""The line in which large pieces of work wait."""

import asyncio

import pytest

from proxy.server import work_queue
from proxy.server.work_queue import WorkQueue


class Clock:
    """Time that passes when somebody works."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(work_queue, "time", clock)
    return clock


async def done_by_turn(clock: Clock, pieces: int, seconds: float) -> list[list[int]]:
    """Which pieces were done in which turn of the loop, where each takes so long."""
    line, finished = WorkQueue(), asyncio.Event()
    by_turn: list[list[int]] = [[]]

    def work(number: int) -> None:
        clock.now += seconds
        by_turn[-1].append(number)
        if number == pieces - 1:
            finished.set()

    for number in range(pieces):
        line.wait(lambda number=number: work(number))  # type: ignore[misc]
    assert by_turn == [[]], "nothing is done at once"
    while not finished.is_set():
        by_turn.append([])
        await asyncio.sleep(0)
    return [turn for turn in by_turn if turn]


async def test_a_turn_ends_with_the_piece_that_uses_up_its_millisecond(clock: Clock) -> None:
    assert await done_by_turn(clock, 5, 0.0004) == [[0, 1, 2], [3, 4]]


async def test_a_long_piece_has_a_turn_of_its_own(clock: Clock) -> None:
    assert await done_by_turn(clock, 3, 0.5) == [[0], [1], [2]]


async def test_what_takes_no_time_is_done_in_order_in_one_turn(clock: Clock) -> None:
    assert await done_by_turn(clock, 100, 0) == [list(range(100))]


async def test_who_comes_again_stands_at_the_end(clock: Clock) -> None:
    line, seen, finished = WorkQueue(), list[str](), asyncio.Event()

    def work(name: str, times: int) -> None:
        seen.append(name)
        if times > 1:
            line.wait(lambda: work(name, times - 1))
        elif name == "b":
            finished.set()

    line.wait(lambda: work("a", 3))
    line.wait(lambda: work("b", 3))
    await finished.wait()
    assert seen == ["a", "b"] * 3


async def test_a_piece_that_fails_keeps_nobody_waiting() -> None:
    line, finished = WorkQueue(), asyncio.Event()
    failures = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context["exception"]))

    def fail() -> None:
        raise LookupError

    line.wait(fail)
    line.wait(finished.set)
    await finished.wait()
    assert [type(failure) for failure in failures] == [LookupError]
