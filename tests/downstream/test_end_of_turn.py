"""Writes at the end of a turn: in order, and none is lost because another one fails."""

import asyncio

from proxy.downstream.end_of_turn import EndOfTurn
from tests.downstream.fakes import settled


async def test_writes_come_in_order_and_once() -> None:
    end, done = EndOfTurn(), list[int]()
    for number in range(3):
        end.add(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == []
    await settled()
    assert done == [0, 1, 2]
    end.add(lambda: done.append(3))
    await settled()
    assert done == [0, 1, 2, 3]


async def test_a_failed_write_leaves_the_others() -> None:
    end, done, errors = EndOfTurn(), list[str](), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))

    def fail() -> None:
        raise RuntimeError("closed")

    end.add(fail)
    end.add(lambda: done.append("other"))
    await settled()
    assert done == ["other"]
    assert [str(error) for error in errors] == ["closed"]
