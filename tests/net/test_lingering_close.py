"""The end of a client's side."""

import asyncio

import pytest

from proxy.net import lingering_close
from proxy.net.lingering_close import LingeringClose, finish
from tests.e2e.proxy_process import DEADLINE


class Transport:
    """A transport with the given number of unsent bytes at each check."""

    def __init__(self, *unsent: int, eof: bool = True, reset: bool = False) -> None:
        self._unsent = list(unsent)
        self._eof = eof
        self._reset = reset
        self.done: list[str] = []
        self.aborted = asyncio.Event()

    def can_write_eof(self) -> bool:
        return self._eof

    def write_eof(self) -> None:
        if self._reset:
            raise OSError
        self.done.append("eof")

    def resume_reading(self) -> None:
        self.done.append("read on")

    def close(self) -> None:
        self.done.append("close")

    def get_write_buffer_size(self) -> int:
        return self._unsent.pop(0) if len(self._unsent) > 1 else self._unsent[0]

    def abort(self) -> None:
        self.done.append("abort")
        self.aborted.set()


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "_LINGER", 0.001)
    monkeypatch.setattr(lingering_close, "_STUCK", 0.003)


async def test_our_direction_ends_and_the_client_has_time_to_end_its_own() -> None:
    client = Transport(0)
    LingeringClose(client)
    assert client.done == ["eof", "read on"]
    await client.aborted.wait()


async def test_an_idle_client_has_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering_close, "_LINGER", DEADLINE)
    monkeypatch.setattr(lingering_close, "_LINGER_IDLE", 0.001)
    client, busy = Transport(0), Transport(0)
    closing = LingeringClose(busy)
    LingeringClose(client, is_idle=True)
    assert client.done == ["eof", "read on"]
    await client.aborted.wait()
    assert not busy.aborted.is_set()
    closing.cancel()


async def test_a_client_that_takes_what_it_has_coming_is_waited_for() -> None:
    client = Transport(*range(100, -1, -1))
    LingeringClose(client)
    await client.aborted.wait()
    assert client.get_write_buffer_size() == 0


async def test_one_that_takes_nothing_is_not() -> None:
    client = Transport(100)
    LingeringClose(client)
    await client.aborted.wait()


async def test_tls_closes_both_directions() -> None:
    client = Transport(0, eof=False)
    LingeringClose(client).cancel()
    assert client.done == ["close"]


async def test_a_client_that_has_reset_the_connection_is_closed() -> None:
    client = Transport(0, reset=True)
    assert not finish(client)
    LingeringClose(client).cancel()
    assert client.done == ["close"]


async def test_it_ends_with_the_client() -> None:
    client, witness = Transport(0), Transport(0)
    LingeringClose(client).cancel()
    LingeringClose(witness)
    await witness.aborted.wait()
    assert "abort" not in client.done
