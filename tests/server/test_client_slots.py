"""The total of clients over several processes."""

import os
from collections.abc import Iterator

import pytest

from proxy.server.client_slots import SharedClientSlots, alone, shared_memory


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = shared_memory(3)
    yield descriptor
    os.close(descriptor)


def test_the_limit_is_for_all_together(memory: int) -> None:
    first, second = (SharedClientSlots.of(memory).of_worker(number) for number in (0, 2))
    assert [first.take(3), second.take(3), second.take(3)] == [True] * 3
    assert not first.take(3)
    assert not second.take(3)
    assert SharedClientSlots.of(memory).total == 3
    first.leave()
    assert second.take(3)
    assert not first.take(3)


def test_those_of_a_worker_that_has_ended_are_free(memory: int) -> None:
    parent = SharedClientSlots.of(memory)
    first, second = parent.of_worker(0), parent.of_worker(1)
    assert first.take(2)
    assert second.take(2)
    assert not second.take(2)
    parent.vacate(0)
    assert parent.total == 1
    assert second.take(2)


def test_a_worker_gives_way_to_one_that_has_two_clients_less_and_runs(memory: int) -> None:
    parent = SharedClientSlots.of(memory)
    first = parent.of_worker(0)
    assert first.take(9)
    assert first.take(9)
    assert not first.is_ahead()  # nobody else is there
    second = parent.of_worker(1)
    assert first.is_ahead()
    assert not second.is_ahead()
    assert second.take(9)
    assert not first.is_ahead()
    second.leave()
    assert first.is_ahead()
    parent.vacate(1)
    assert not first.is_ahead()


def test_one_process_has_all_for_itself() -> None:
    slots = alone()
    assert [slots.take(2), slots.take(2), slots.take(2)] == [True, True, False]
    assert not slots.is_ahead()
    slots.leave()
    assert slots.take(2)
