"""A worker that does not answer. Workers that answer and end are real processes: tests/e2e/test_workers.py."""

import asyncio
import socket
from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from proxy.config import Settings
from proxy.net.ipc import framed
from proxy.observe.refusals import Refused
from proxy.workers.messages import MetricsAnswer
from proxy.workers.worker_handle import WorkerHandle


@pytest_asyncio.fixture
async def silent() -> AsyncIterator[WorkerHandle]:
    """A process with a channel that never sends a message."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec("sleep", "600")
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        child = WorkerHandle(process, reader, writer)
        yield child
        child.kill()
        await process.wait()
        writer.close()
        await writer.wait_closed()


async def test_new_settings_are_refused(silent: WorkerHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.workers.worker_handle._RELOAD_TIMEOUT", 0.01)
    assert await silent.prepare(Settings()) == f"worker process {silent.pid} does not answer"
    await silent.commit()


async def test_the_last_snapshot_stays(silent: WorkerHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.workers.worker_handle._METRICS_TIMEOUT", 0.01)
    silent.metrics = {("clients", ()): 3}
    await silent.refresh_metrics()
    assert silent.metrics == {("clients", ()): 3}


async def test_a_snapshot_brings_the_last_refusals(silent: WorkerHandle) -> None:
    rows = (Refused(2.0, "10.0.0.1:1", "a", "SYNC", "", "never"), Refused(1.0, "?", "", "GET", "r", "undecodable"))
    silent._reader.feed_data(framed(MetricsAnswer(1, {("clients", ()): 3}, rows)))
    silent._reader.feed_eof()
    silent.kill()
    await silent.ended(lambda: None, lambda _: None)
    assert silent.refusals == rows


async def test_one_that_has_ended_meanwhile_is_no_reason_to_refuse(silent: WorkerHandle) -> None:
    preparing = asyncio.ensure_future(silent.prepare(Settings()))
    ending = asyncio.ensure_future(silent.ended(lambda: None, lambda _: None))
    await asyncio.sleep(0)
    silent.kill()
    silent._reader.feed_eof()
    assert await preparing == ""
    assert await ending == "was killed by SIGKILL"


class TestHealthChecks:
    @pytest.fixture(autouse=True)
    def fast(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.workers.worker_handle._METRICS_TIMEOUT", 0.01)
        monkeypatch.setattr("proxy.workers.worker_handle._HEALTH_INTERVAL", 0.01)

    async def test_one_that_hangs_is_killed(self, silent: WorkerHandle) -> None:
        silent.is_ready = True
        await silent.check_health(0.05)
        silent._reader.feed_eof()
        assert await silent.ended(lambda: None, lambda _: None) == "did not answer for 0.05 s and was killed"

    async def test_a_starting_one_is_not_killed(self, silent: WorkerHandle, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.outlives_many_checks(silent, 0.05, monkeypatch)

    async def test_zero_means_no_timeout(self, silent: WorkerHandle, monkeypatch: pytest.MonkeyPatch) -> None:
        silent.is_ready = True
        await self.outlives_many_checks(silent, 0, monkeypatch)

    async def outlives_many_checks(self, silent: WorkerHandle, silence: float, monkeypatch: pytest.MonkeyPatch) -> None:
        questions, enough = count(1), asyncio.Event()

        async def unanswered() -> bool:
            if next(questions) == 20:
                enough.set()
            return False

        monkeypatch.setattr(silent, "refresh_metrics", unanswered)
        checking = asyncio.ensure_future(silent.check_health(silence))
        await asyncio.wait((checking, asyncio.ensure_future(enough.wait())), return_when=asyncio.FIRST_COMPLETED)
        assert not checking.done()
        checking.cancel()
