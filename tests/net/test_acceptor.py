"""Accepting, one client at a time, and giving way."""

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.net.acceptor import Acceptor


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        made.listen()
        yield made


class Accepted:
    """The clients that one acceptor has accepted."""

    def __init__(self) -> None:
        self.clients: list[socket.socket] = []
        self.news = asyncio.Event()
        self.gives_way = False

    def __call__(self, client: socket.socket) -> None:
        assert not client.getblocking()
        self.clients.append(client)
        self.news.set()


Accept = Callable[[], Accepted]


@pytest_asyncio.fixture
async def accept(listening: socket.socket) -> AsyncIterator[Accept]:
    """Starts acceptors, each as if it had the listening socket from its parent."""
    acceptors: list[Acceptor] = []
    every: list[Accepted] = []

    def start() -> Accepted:
        every.append(accepted := Accepted())
        acceptors.append(Acceptor(listening.dup(), accepted, lambda: accepted.gives_way))
        return accepted

    yield start
    for acceptor in acceptors:
        acceptor.close()
    for accepted in every:
        for client in accepted.clients:
            client.close()


def connected(listening: socket.socket) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(listening.getsockname())
    return client


async def test_one_that_is_fuller_leaves_clients_to_the_others(listening: socket.socket, accept: Accept) -> None:
    full, other = accept(), accept()
    full.gives_way = True
    with connected(listening):
        await other.news.wait()
        assert full.clients == []


async def test_a_client_that_the_others_do_not_take_is_taken_after_all(
    listening: socket.socket, accept: Accept
) -> None:
    full = accept()
    full.gives_way = True
    with connected(listening), connected(listening):
        while len(full.clients) < 2:
            full.news.clear()
            await full.news.wait()


async def test_each_turn_of_the_loop_takes_one(listening: socket.socket, accept: Accept) -> None:
    with connected(listening), connected(listening):
        first, second = accept(), accept()
        await asyncio.gather(first.news.wait(), second.news.wait())
        assert len(first.clients) == len(second.clients) == 1


class Said(logging.Filter):
    """Tells of the first line of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.event = asyncio.Event()

    def filter(self, _record: logging.LogRecord) -> bool:
        self.event.set()
        return True


async def test_running_out_of_file_descriptors_is_said_and_survived(
    listening: socket.socket, accept: Accept, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.net.acceptor._RETRY", 0.01)
    accepted = accept()
    said = Said()
    caplog.handler.addFilter(said)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connected(listening):
        with socket.socket() as highest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
            try:
                await said.event.wait()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await accepted.news.wait()
    caplog.handler.removeFilter(said)
    assert caplog.messages[0] == "cannot accept a client: Too many open files; trying again in 0.01 s"
