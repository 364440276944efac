"""A bystander is measured beside clients that read slowly, and these are what they are said to be."""

import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks import slow_readers
from benchmarks.peers import Server
from benchmarks.proxied import Client
from benchmarks.slow_readers import LOADS, SHARED, WAYS, Load
from tests.e2e.proxy_process import wait_until

OTHERS = [load for load in LOADS if load.key]
CLOSED = {
    "never reads 8 MB values",
    "never reads 8 MB values, managed",
    "reads 8 MB values slowly",
    "reads 8 MB values slowly, managed",
}
"""Who holds a shared connection for too long."""


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    with slow_readers.servers() as running:
        yield running


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("load", OTHERS, ids=lambda load: load.name)
def test_every_load_asks_and_reads_as_it_says(servers: dict[str, Server], load: Load, way: str) -> None:
    with slow_readers.working(servers[way], load) as other:
        wait_until(lambda: other.counts().asked >= load.ahead, "it to ask")
        if load.pace:
            wait_until(lambda: other.counts().read > 100_000, "it to read")
        if load.visits:
            wait_until(lambda: other.counts().asked >= 3 * load.ahead, "it to come again")
        counts = other.counts()
    assert (counts.read > 0) is (load.pace > 0 or load.visits > 0)
    assert counts.closed == 0 or (way == SHARED and load.name in CLOSED)


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_who_is_closed_comes_again_and_is_closed_again(servers: dict[str, Server], name: str) -> None:
    (load,) = [load for load in LOADS if load.name == name]
    with slow_readers.working(servers[SHARED], load) as other:
        wait_until(lambda: other.counts().closed >= 2, "it to be closed twice")
        assert other.counts().asked >= 2 * load.ahead


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_readers, "_FIRST", 0.02)


@pytest.mark.usefixtures("short")
def test_the_ways_are_measured_in_turn_and_each_has_a_row(servers: dict[str, Server]) -> None:
    (load,) = [load for load in LOADS if load.visits]
    *runs, shared, alone, straight = slow_readers.measure(load, servers, rounds=2, seconds=0.1)
    assert runs == [None] * 6
    for way, row in zip(WAYS, (shared, alone, straight), strict=True):
        assert row is not None
        assert (row["load"], row["connections"], row["closed"]) == (load.name, way, 0)
        assert row["commands"] == 2 * int(0.1 * slow_readers.RATE)
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"] <= row["max_ms"]
        assert row["p99_rounds_ms"][0] <= row["max_ms"]
        assert row["first_max_ms"] > 0
        assert row["asked"] > 0


@pytest.mark.usefixtures("short")
def test_nobody_is_a_load_too(servers: dict[str, Server]) -> None:
    *_, row = slow_readers.measure(LOADS[0], servers, rounds=1, seconds=0.01)
    assert row is not None
    assert (row["asked"], row["mib_read"], row["closed"], row["commands"]) == (0, 0, 0, 5)


def test_a_stall_counts_for_all_commands_that_were_due_meanwhile() -> None:
    request, reply, count = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", 5

    def answers_at_last() -> None:
        connection, _ = listener.accept()
        with connection:
            asked = b""
            while len(asked) < count * len(request):
                asked += connection.recv(4096)
            connection.sendall(reply * count)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answers_at_last)
        thread.start()
        with Client(listener.getsockname()[1]) as client:
            waits = slow_readers.waits(client, request, len(reply), count / slow_readers.RATE)
        thread.join()
    assert len(waits) == count
    assert waits == sorted(waits, reverse=True)
    assert waits[0] - waits[-1] == pytest.approx((count - 1) / slow_readers.RATE)
