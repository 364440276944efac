"""Rates from snapshots, with a clock of the test's own."""

import pytest

from proxy.observe.families import ACCEPTED, CLIENTS, COMMANDS
from proxy.observe.metrics import Snapshot
from proxy.observe.rates import INTERVAL, History


class Clock:
    """It stands still until somebody moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def numbers(commands: int, *, accepted: int = 0) -> Snapshot:
    return {
        (COMMANDS.name, ("GET",)): commands,
        (COMMANDS.name, ("SET",)): 2 * commands,
        (ACCEPTED.name, ()): accepted,
        (CLIENTS.name, ("1",)): 7,
    }


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(clock: Clock) -> History:
    return History(clock)


class TestTheLastMinute:
    def test_begins_with_the_start(self, history: History, clock: Clock) -> None:
        clock.now += 4
        window = history.last_minute(numbers(8, accepted=1))
        assert window.seconds == 4
        assert window.rate(COMMANDS) == 6
        assert window.rate(COMMANDS, "GET") == 2
        assert window.total(ACCEPTED) == 1

    def test_forgets_what_was_before_it(self, history: History, clock: Clock) -> None:
        for second in range(100):
            history.record(numbers(1000 * second))
            clock.now += INTERVAL
        window = history.last_minute(numbers(1000 * 100 + 70))
        assert window.seconds == 70
        assert window.total(COMMANDS, "GET") == 7070

    def test_knows_series_that_are_new(self, history: History, clock: Clock) -> None:
        history.record({})
        clock.now += 10
        assert history.last_minute(numbers(30)).rate(COMMANDS, "GET") == 3

    def test_has_no_rate_below_nothing(self, history: History, clock: Clock) -> None:
        """A worker that is killed may lose what it has counted last."""
        for _ in range(10):
            history.record(numbers(50))
        clock.now += 10
        assert history.last_minute(numbers(40)).rate(COMMANDS) == 0

    def test_has_no_gauges(self, history: History, clock: Clock) -> None:
        clock.now += 1
        assert history.last_minute(numbers(1)).total(CLIENTS) == 0

    def test_of_no_time_has_no_rate(self, history: History) -> None:
        assert history.last_minute(numbers(1)).rate(COMMANDS) == 0


def test_all_is_counted_since_the_start(history: History, clock: Clock) -> None:
    for _ in range(50):
        clock.now += INTERVAL
        history.record(numbers(1))
    window = history.since_start(numbers(100))
    assert window.seconds == 500
    assert window.total(COMMANDS) == 300
