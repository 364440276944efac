"""Whether Redis can be reached, as `/readyz` wants to know it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config import Settings, Upstream
from proxy.reach import Reach

Answering = Callable[..., Awaitable["Scripted"]]


class Scripted:
    """A Redis that answers one command after the other with given replies, and then nothing more."""

    def __init__(self, path: Path, replies: tuple[bytes, ...]) -> None:
        self.upstream = Upstream(url=f"unix://{path}")
        self.commands: list[bytes] = []
        self.dials = 0
        self.replies = replies

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dials += 1
        for reply in self.replies:
            self.commands.append(await reader.read(4096))
            writer.write(reply)
        await reader.read()
        writer.close()


@pytest.fixture
async def answering(tmp_path: Path) -> AsyncIterator[Answering]:
    """Starts one."""
    async with AsyncExitStack() as stack:

        async def start(*replies: bytes) -> Scripted:
            path = tmp_path / "redis.sock"
            scripted = Scripted(path, replies)
            server = await asyncio.start_unix_server(scripted.serve, path)
            stack.callback(server.close)
            return scripted

        yield start


def reach(upstream: Upstream) -> Reach:
    return Reach(lambda: Settings(upstream=upstream))


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (b"+PONG\r\n", ""),
        (b"-NOAUTH Authentication required.\r\n", ""),
        (b"-NOPERM this user has no permissions to run the 'ping' command\r\n", ""),
        (b"-LOADING Redis is loading\r\n", "Redis says: LOADING Redis is loading"),
        (b"-ERR max number of clients reached\r\n", "Redis says: ERR max number of clients reached"),
        (b"HTTP/1.1 400 Bad Request\r\n", "Protocol error"),
    ],
)
async def test_what_redis_answers(answering: Answering, reply: bytes, fault: str) -> None:
    scripted = await answering(reply)
    found = await reach(scripted.upstream).fault()
    assert found.startswith(fault)
    assert bool(found) == bool(fault)
    assert scripted.commands == [b"*1\r\n$4\r\nPING\r\n"]


async def test_it_begins_as_a_client_does(answering: Answering) -> None:
    scripted = await answering(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n")
    upstream = Upstream(url=f"{scripted.upstream.url}?db=3", username="me", password="secret")
    assert await reach(upstream).fault() == ""
    assert [command.split(b"\r\n")[2] for command in scripted.commands] == [b"AUTH", b"SELECT", b"PING"]


async def test_a_login_that_is_refused(answering: Answering) -> None:
    scripted = await answering(b"-WRONGPASS no\r\n")
    fault = await reach(Upstream(url=scripted.upstream.url, password="wrong")).fault()
    assert fault == "Redis refused the proxy's own login (upstream.username, upstream.password): WRONGPASS no"


async def test_nobody_there(tmp_path: Path) -> None:
    fault = await reach(Upstream(url=f"unix://{tmp_path}/none.sock")).fault()
    assert fault == f"cannot reach Redis at unix:{tmp_path}/none.sock: No such file or directory"


async def test_a_redis_that_hangs(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.reach._PATIENCE", 0.05)
    scripted = await answering(b"")
    assert (await reach(scripted.upstream).fault()).endswith("has not answered in 0.05 s")


async def test_a_certificate_that_is_not_there() -> None:
    assert "/no/such/ca" in await reach(Upstream(url="rediss://127.0.0.1:1", tls_ca="/no/such/ca")).fault()


async def test_no_sentinel() -> None:
    assert "mymaster" in await reach(Upstream(url="redis+sentinel://127.0.0.1:1/mymaster")).fault()


async def test_what_was_found_out_holds_a_moment_for_all(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("proxy.reach.monotonic", lambda: now)
    scripted = await answering(b"+PONG\r\n")
    asked = reach(scripted.upstream)
    assert await asyncio.gather(*(asked.fault() for _ in range(10))) == [""] * 10
    assert scripted.dials == 1
    scripted.replies = (b"-LOADING\r\n",)
    now += 1.9
    assert await asked.fault() == ""
    now += 0.1
    assert await asked.fault() == "Redis says: LOADING"
    assert scripted.dials == 2


async def test_the_settings_in_force_are_asked_about(answering: Answering, tmp_path: Path) -> None:
    scripted = await answering(b"+PONG\r\n")
    settings = Settings(upstream=Upstream(url=f"unix://{tmp_path}/none.sock"))
    assert await Reach(lambda: settings).fault()
    settings = Settings(upstream=scripted.upstream)
    assert await Reach(lambda: settings).fault() == ""
