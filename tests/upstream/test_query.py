"""Questions of our own, and servers that answer them oddly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config import TcpAddress, UnixAddress
from proxy.resp.encode import command
from proxy.upstream.dialer import Upstream
from proxy.upstream.link import OwnLink, UpstreamError
from proxy.upstream.query import Query

Answering = Callable[..., Awaitable["Server"]]


class Server:
    """Answers each question on each connection with the next of its answers; None: it closes."""

    def __init__(self, path: Path, answers: list[bytes | None]) -> None:
        self.path = path
        self.answers = answers
        self.asked: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while question := await reader.read(4096):
            self.asked.append(question)
            answer = self.answers.pop(0) if self.answers else b""
            if answer is None:
                break
            writer.write(answer)
        writer.close()


@pytest.fixture
async def answering(tmp_path: Path) -> AsyncIterator[Answering]:
    """Starts one."""
    async with AsyncExitStack() as stack:

        async def start(*answers: bytes | None) -> Server:
            server = Server(tmp_path / "redis.sock", list(answers))
            stack.callback((await asyncio.start_unix_server(server.serve, server.path)).close)
            return server

        yield start


def upstream(server: Server, timeout: float = 20) -> Upstream:
    return Upstream(UnixAddress(str(server.path)), 0, timeout)


async def asked(server: Server) -> Query:
    _, query = await asyncio.get_running_loop().create_unix_connection(Query, str(server.path))
    return query


async def test_one_question_after_the_other(answering: Answering) -> None:
    query = await asked(await answering(b"+PONG\r\n", b"*2\r\n:1\r\n$-1\r\n"))
    assert [await query.ask(b"PING\r\n"), await query.ask(b"X\r\n")] == ["PONG", [1, None]]
    query.close()


@pytest.mark.parametrize("answer", [None, b"*100000000\r\n" * 7, b"%1\r\n+a\r\n+b\r\n", b"+a\r\n+b\r\n", b"+a\r\n:"])
async def test_what_is_no_answer_ends_it(answering: Answering, answer: bytes | None) -> None:
    query = await asked(await answering(answer))
    if answer == b"+a\r\n:":
        assert await query.ask(b"X\r\n") == "a"
    else:
        with pytest.raises(OSError, match=r"it sent an answer|Redis closed"):
            await query.ask(b"X\r\n")
        assert query.lost
        with pytest.raises(OSError, match="Redis closed the connection"):
            await query.ask(b"X\r\n")
    query.close()


async def test_the_answer_to_a_question_that_was_given_up_answers_no_other(answering: Answering) -> None:
    query = await asked(await answering(b""))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await query.ask(b"X\r\n")
    assert query.lost


class Client:
    """An owner for a dialed link, which does nothing."""

    def link_made(self) -> None: ...
    def link_received(self, data: bytes) -> None: ...
    def link_full(self, full: bool) -> None: ...
    def link_lost(self) -> None: ...


PING = command(b"PING")
NOAUTH = b"-NOAUTH Authentication required.\r\n"


async def dialled(asking: Upstream) -> tuple[bool, OwnLink]:
    link = OwnLink(Client())
    return await asking.dial(link), link


@pytest.mark.parametrize(
    ("answer", "wants"),
    [
        (b"+PONG\r\n", False),
        (NOAUTH, True),
        (b"-NOPERM no\r\n", False),
        (b"-LOADING Redis is loading\r\n", False),
        (b":5\r\n", False),
        (b"*1\r\n+NOAUTH\r\n", False),
    ],
)
async def test_whether_a_password_is_wanted_is_asked_once(answering: Answering, answer: bytes, wants: bool) -> None:
    server = await answering(answer)
    asking = upstream(server)
    links = await asyncio.gather(*(dialled(asking) for _ in range(10)))
    links.append(await dialled(asking))
    assert {wanted for wanted, _ in links} == {wants}
    assert server.asked == [PING]
    for _, link in links:
        link.abort()


async def test_it_is_asked_again_when_the_connection_that_tells_is_gone(answering: Answering) -> None:
    server = await answering(NOAUTH, b"+PONG\r\n")
    asking = upstream(server)
    wanted, first = await dialled(asking)
    assert wanted
    first.abort()
    wanted, second = await dialled(asking)
    assert not wanted
    assert server.asked == [PING, PING]
    second.abort()


async def test_where_it_cannot_be_asked_a_client_is_served_all_the_same(answering: Answering) -> None:
    server = await answering(None, b"%1\r\n", NOAUTH, None)
    asking = upstream(server)
    links = [await dialled(asking) for _ in range(4)]
    assert [wanted for wanted, _ in links] == [False, False, True, True]
    for _, link in links:
        link.abort()
    wanted, link = await dialled(asking)
    assert wanted  # as it said before
    link.abort()


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="cannot reach Redis at unix:"):
        await dialled(upstream(Server(tmp_path / "none.sock", [])))


async def test_a_host_that_is_no_name() -> None:
    with pytest.raises(UpstreamError, match=r"cannot reach Redis at a\.\.b:1: "):
        await dialled(Upstream(TcpAddress("a..b", 1), 0, 20))


async def test_a_redis_that_does_not_answer_is_not_waited_for_by_one_after_the_other(answering: Answering) -> None:
    server = await answering(b"", b"+PONG\r\n")
    asking = upstream(server, timeout=0.05)
    infos = await asyncio.gather(*(asking.command_info(b"X%d" % number) for number in range(50)))
    assert {info and info.unknown_because for info in infos} == {"no answer in 0.05 s"}
    assert server.connections == 1
    asking.close()
