"""A worker that does not answer. What answers and what ends takes real processes: tests/e2e/test_workers.py."""

import asyncio
import socket
from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from proxy.child import Child
from proxy.config import Settings


@pytest_asyncio.fixture
async def silent() -> AsyncIterator[Child]:
    """A process that has a channel and says nothing."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec("sleep", "600")
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        child = Child(process, reader, writer)
        yield child
        child.kill()
        await process.wait()
        writer.close()
        await writer.wait_closed()


async def test_new_settings_are_refused(silent: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.child._RELOAD_TIMEOUT", 0.01)
    assert await silent.prepare(Settings()) == f"worker process {silent.pid} does not answer"
    await silent.commit()


async def test_its_numbers_stay_as_they_were(silent: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.child._METRICS_TIMEOUT", 0.01)
    silent.metrics = {"clients": 3}
    await silent.refresh_metrics()
    assert silent.metrics == {"clients": 3}


async def test_one_that_has_ended_meanwhile_is_no_reason_to_refuse(silent: Child) -> None:
    preparing = asyncio.ensure_future(silent.prepare(Settings()))
    ending = asyncio.ensure_future(silent.ended(lambda: None))
    await asyncio.sleep(0)
    silent.kill()
    silent._reader.feed_eof()
    assert await preparing == ""
    assert await ending == "was killed by SIGKILL"


class TestThePulse:
    @pytest.fixture(autouse=True)
    def fast(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.child._METRICS_TIMEOUT", 0.01)
        monkeypatch.setattr("proxy.child._PULSE", 0.01)

    async def test_one_that_hangs_is_killed(self, silent: Child) -> None:
        silent.is_ready = True
        await silent.feel_pulse(0.05)
        silent._reader.feed_eof()
        assert await silent.ended(lambda: None) == "has not answered for 0.05 s and was killed"

    async def test_one_that_is_starting_may_take_its_time(self, silent: Child, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.outlives_many_questions(silent, 0.05, monkeypatch)

    async def test_zero_is_endless_patience(self, silent: Child, monkeypatch: pytest.MonkeyPatch) -> None:
        silent.is_ready = True
        await self.outlives_many_questions(silent, 0, monkeypatch)

    async def outlives_many_questions(self, silent: Child, patience: float, monkeypatch: pytest.MonkeyPatch) -> None:
        questions, enough = count(1), asyncio.Event()

        async def unanswered() -> bool:
            if next(questions) == 20:
                enough.set()
            return False

        monkeypatch.setattr(silent, "refresh_metrics", unanswered)
        pulse = asyncio.ensure_future(silent.feel_pulse(patience))
        await asyncio.wait((pulse, asyncio.ensure_future(enough.wait())), return_when=asyncio.FIRST_COMPLETED)
        assert not pulse.done()
        pulse.cancel()
