"""The one ticker: when time is up, and who must go when memory is short."""

import asyncio
import logging

import pytest

from proxy.config import Limits
from proxy.downstream.watchdog import Deadline, Deadlines, Watch
from proxy.observe.families import CLOSED
from proxy.observe.metrics import Metrics

MIB = 1024 * 1024


class Seen:
    """A connection that holds so much, and remembers what happened to it."""

    def __init__(self, number: int, memory: int = 0) -> None:
        self.number = number
        self.memory = memory
        self.is_admitted = True
        self.pending = memory % 7
        self.paused = ["client"] if memory else []
        self.checks: list[Deadlines] = []
        self.evicted = ""
        self.looked = asyncio.Event()
        self.gone = asyncio.Event()

    def check(self, deadlines: Deadlines) -> None:
        self.checks.append(deadlines)
        self.looked.set()

    def evict(self, text: str) -> None:
        self.evicted = text
        self.memory = 0
        self.gone.set()


def watching(connections: list[Seen], **limits: float) -> tuple[Watch, Metrics]:
    metrics = Metrics()
    return Watch(connections, Limits(**limits), metrics), metrics  # type: ignore[arg-type]


async def looked_at(**limits: float) -> Deadlines:
    """The deadlines of one look."""
    seen = Seen(1)
    watch, _ = watching([seen], **limits)
    running = asyncio.create_task(watch.run())
    await seen.looked.wait()
    running.cancel()
    return seen.checks[0]


async def test_checks_are_frequent_enough_for_the_shortest_deadline() -> None:
    deadlines = await looked_at(reply_timeout=0.02, first_command_timeout=0.04)
    assert deadlines == Deadlines(
        Deadline(5, "reply_timeout", "Redis has not answered for 0.02 s ([limits] reply_timeout)"),
        Deadline(9, "first_command_timeout", "no command came in 0.04 s ([limits] first_command_timeout)"),
    )


async def test_a_deadline_of_0_is_none() -> None:
    assert await looked_at(reply_timeout=0, first_command_timeout=0.02) == Deadlines(
        None, Deadline(5, "first_command_timeout", "no command came in 0.02 s ([limits] first_command_timeout)")
    )


async def test_every_connection_is_checked_though_they_come_and_go() -> None:
    connections = [Seen(number) for number in range(1_000)]
    late = Seen(1_000)

    def check(deadlines: Deadlines) -> None:
        connections.append(late)
        connections.pop(500)

    connections[0].check = check  # type: ignore[method-assign]
    watch, _ = watching(connections, reply_timeout=0.02)
    running = asyncio.create_task(watch.run())
    await late.looked.wait()
    running.cancel()
    assert all(seen.checks for seen in connections[1:])


@pytest.mark.parametrize(
    ("memory", "evicted"),
    [
        ([4, 4, 4], []),
        ([4, 4, 5], [2]),
        ([1, 6, 2, 6], [1]),
        ([12, 1, 1], [0]),
        ([7, 8, 9, 1], [2, 1]),
        ([13], [0]),
    ],
)
def test_whoever_holds_most_must_go_until_the_rest_is_within_the_limit(
    memory: list[int], evicted: list[int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("proxy"), "propagate", True)  # another test may have changed it
    connections = [Seen(number, size * MIB) for number, size in enumerate(memory)]
    watch, metrics = watching(connections, total_buffered_bytes=12 * MIB)
    with caplog.at_level(logging.WARNING, logger="proxy.watch"):
        watch.sum_up()
    assert {seen.number for seen in connections if seen.evicted} == set(evicted)
    assert metrics.get(CLOSED, "total_buffered_bytes") == len(evicted) == len(caplog.records)
    for number in evicted:
        assert connections[number].evicted == (
            "closed, because the buffers of all clients are over the limit of 12582912 bytes and yours were the largest"
            " ([limits] total_buffered_bytes)"
        )


def test_those_without_the_password_go_first() -> None:
    connections = [Seen(number, size * MIB) for number, size in enumerate([6, 4, 4])]
    connections[1].is_admitted = False
    watch, _ = watching(connections, total_buffered_bytes=12 * MIB)
    watch.sum_up()
    assert [bool(seen.evicted) for seen in connections] == [False, True, False]


def test_memory_is_counted_when_a_quarter_of_the_limit_has_come_in() -> None:
    seen = Seen(1, 9 * MIB)
    watch, metrics = watching([seen], total_buffered_bytes=8 * MIB)
    assert watch.allowance == 2 * MIB
    metrics.traffic.unwatched = 2 * MIB + 1
    watch.sum_up()
    assert seen.evicted
    assert metrics.traffic.unwatched == 0


async def test_it_is_counted_with_every_look_too() -> None:
    seen = Seen(1, 9 * MIB)
    watch, _ = watching([seen], total_buffered_bytes=8 * MIB, reply_timeout=0.02)
    running = asyncio.create_task(watch.run())
    await seen.gone.wait()
    running.cancel()
