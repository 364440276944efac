"""Answers of sentinels about a master, and of other servers in their place. A failover is in tests/e2e."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config import SentinelTarget, TcpAddress
from proxy.resp.encode import command
from proxy.upstream.login import Login
from proxy.upstream.sentinel import Master, MasterError

Starting = Callable[..., Awaitable[TcpAddress]]


def state(ip: str = "127.0.0.1", port: str = "6379", flags: str = "master") -> bytes:
    """A sentinel's answer."""
    words = ["name", "cache", "ip", ip, "port", port, "runid", "x", "flags", flags, "num-slaves", "1"]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


@pytest.fixture
async def sentinel() -> AsyncIterator[Starting]:
    """Starts one that gives the same answer to every question; an empty one: none."""
    async with AsyncExitStack() as stack:

        async def start(answer: bytes, asked: list[bytes] | None = None) -> TcpAddress:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                while question := await reader.read(4096):
                    if asked is not None:
                        asked.append(question)
                    writer.write(answer)
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            stack.callback(server.close)
            return TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1])

        yield start


def master(*sentinels: TcpAddress, timeout: float = 20) -> Master:
    return Master(SentinelTarget(sentinels, "cache", 0), timeout)


async def test_the_first_that_knows_is_asked_first_from_then_on(sentinel: Starting) -> None:
    asked: list[bytes] = []
    ignorant = await sentinel(b"-ERR No such master with that name\r\n", asked)
    follows = master(ignorant, await sentinel(state("10.0.0.7", "6380")))
    assert [await follows.locate() for _ in range(3)] == [TcpAddress("10.0.0.7", 6380)] * 3
    assert asked == [b"*3\r\n$8\r\nSENTINEL\r\n$6\r\nMASTER\r\n$5\r\ncache\r\n"]
    await follows.end()


async def test_many_may_ask_at_once(sentinel: Starting) -> None:
    follows = master(await sentinel(state()))
    assert set(await asyncio.gather(*(follows.locate() for _ in range(20)))) == {TcpAddress("127.0.0.1", 6379)}
    await follows.end()


async def test_many_who_ask_at_once_take_one_connection(sentinel: Starting) -> None:
    asked: list[bytes] = []
    follows = master(await sentinel(state(), asked))
    for _ in range(3):
        await asyncio.gather(*(follows.locate() for _ in range(100)))
    assert asked == [QUESTION] * 3
    await follows.end()


async def test_it_tells_when_the_answer_is_another_one(
    guarded: Callable[[dict[bytes, bytes]], Awaitable[TcpAddress]],
) -> None:
    answers = {QUESTION: state(port="1")}
    follows = master(await guarded(answers))
    for port, moved in (("1", False), ("1", False), ("2", True), ("2", False), ("1", True)):
        answers[QUESTION] = state(port=port)
        await follows.locate()
        assert follows.moved.is_set() is moved
        follows.moved.clear()
    await follows.end()


async def test_whoever_leaves_costs_the_others_no_answer(sentinel: Starting) -> None:
    follows = master(await sentinel(state()))
    first, second = (asyncio.ensure_future(follows.locate()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == TcpAddress("127.0.0.1", 6379)
    await follows.end()


async def test_an_error_that_nobody_waits_for_any_more_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    follows = master(TcpAddress("127.0.0.1", 1))
    asking = asyncio.ensure_future(follows.locate())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(MasterError):
        await follows.locate()
    assert caplog.messages == []


async def test_a_defect_is_told_to_all_who_asked(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("proxy"), "propagate", True)  # another test may have changed it
    follows = master(TcpAddress("127.0.0.1", 1))
    monkeypatch.setattr(follows, "_locate", lambda: asyncio.sleep("no coroutine"))  # type: ignore[arg-type]
    ends = await asyncio.gather(*(follows.locate() for _ in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [TypeError] * 3
    assert caplog.messages == ["ask the sentinels failed"]


@pytest.mark.parametrize("turns", [1, 2, 5, 50])
async def test_the_end_takes_a_question_that_is_under_way(sentinel: Starting, turns: int) -> None:
    follows = master(await sentinel(b""))
    asking = asyncio.ensure_future(follows.locate())
    for _ in range(turns):
        await asyncio.sleep(0)
    await follows.end()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize(
    "answer",
    [
        state(flags="s_down,master"),
        state(flags="o_down,s_down,master,disconnected"),
        state(flags="slave"),
        state(flags=""),
        state(port="65536"),
        state(port="6379x"),
        state(port=""),
        state(ip=""),
        state(ip="a\0b"),
        b"*-1\r\n",
        b"*0\r\n",
        b"*3\r\n+ip\r\n+a\r\n+port\r\n",
        b"*2\r\n*1\r\n+ip\r\n+a\r\n",
        b"*1\r\n:5\r\n",
        b":5\r\n",
        b"+OK\r\n",
        b"$-1\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"*100000000\r\n" * 7,
        b"$100000000\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
    ids=lambda answer: repr(answer[-40:]),
)
async def test_what_is_no_master_that_is_up_is_none(sentinel: Starting, answer: bytes) -> None:
    follows = master(await sentinel(answer))
    for _ in range(2):
        with pytest.raises(MasterError, match="no sentinel knows a master cache that is up"):
            await follows.locate()
    await follows.end()


async def test_one_that_does_not_answer_leaves_time_for_the_next(sentinel: Starting) -> None:
    follows = master(await sentinel(b""), await sentinel(state()), timeout=1)
    assert await follows.locate() == TcpAddress("127.0.0.1", 6379)
    await follows.end()


async def test_nobody_there(sentinel: Starting) -> None:
    with pytest.raises(MasterError):
        await master(TcpAddress("127.0.0.1", 1), TcpAddress("a..b", 1)).locate()


def login(password: str | None = "secret", file: str | None = None, username: str | None = None) -> Login:
    return Login(username, password, file)


@pytest.fixture
async def guarded() -> AsyncIterator[Callable[[dict[bytes, bytes]], Awaitable[TcpAddress]]]:
    """Starts a sentinel that answers each request as told. It may be told something else later."""
    async with AsyncExitStack() as stack:

        async def start(answers: dict[bytes, bytes]) -> TcpAddress:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                while question := await reader.read(4096):
                    writer.write(answers[question])
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            stack.callback(server.close)
            return TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1])

        yield start


QUESTION = command(b"SENTINEL", b"MASTER", b"cache")


@pytest.mark.parametrize("username", [None, "looker"])
async def test_the_login_comes_first_on_each_connection_and_reads_its_file_each_time(
    sentinel: Starting, tmp_path: Path, username: str | None
) -> None:
    asked: list[bytes] = []
    file = tmp_path / "password"
    file.write_text("old\n")
    place = await sentinel(b"+OK\r\n", asked)
    follows = Master(SentinelTarget((place,), "cache", 0), 20, login(None, str(file), username))
    user = () if username is None else (username.encode(),)
    for password in (b"old", b"new"):
        file.write_bytes(password)
        with pytest.raises(MasterError):
            await follows.locate()
        await follows.end()
        assert asked == [command(b"AUTH", *user, password), QUESTION]
        asked.clear()


async def test_a_sentinel_that_refuses_the_login_is_named_and_the_next_is_asked(
    guarded: Callable[[dict[bytes, bytes]], Awaitable[TcpAddress]],
) -> None:
    auth = command(b"AUTH", b"secret")
    strict = await guarded({auth: b"-WRONGPASS no \x1b[31m" + b"x" * 1000 + b"\r\n"})
    target = SentinelTarget((strict,), "cache", 0)
    follows = Master(target, 20, login())
    with pytest.raises(MasterError) as caught:
        await follows.locate()
    assert str(caught.value).startswith(
        f"no sentinel knows a master cache that is up; the sentinel at {strict} refuses the proxy "
        "(upstream.sentinel_username, upstream.sentinel_password): WRONGPASS no \\x1b[31mxxx"
    )
    assert len(str(caught.value)) < 400
    kind = await guarded({auth: b"+OK\r\n", QUESTION: state()})
    follows = Master(SentinelTarget((strict, kind), "cache", 0), 20, login())
    assert await follows.locate() == TcpAddress("127.0.0.1", 6379)
    await follows.end()


@pytest.mark.parametrize("error", ["NOAUTH Authentication required.", "NOPERM this user has no permissions"])
async def test_a_sentinel_that_lets_the_proxy_ask_no_more_is_logged_in_to_again(
    guarded: Callable[[dict[bytes, bytes]], Awaitable[TcpAddress]], error: str
) -> None:
    answers = {command(b"AUTH", b"secret"): b"+OK\r\n", QUESTION: b"-%s\r\n" % error.encode()}
    follows = Master(SentinelTarget((await guarded(answers),), "cache", 0), 20, login())
    with pytest.raises(MasterError, match=f"refuses the proxy .*: {error}"):
        await follows.locate()
    answers[QUESTION] = state()
    assert await follows.locate() == TcpAddress("127.0.0.1", 6379)
    await follows.end()


async def test_a_password_file_that_is_missing_is_logged_once_and_clients_do_not_see_its_path(
    sentinel: Starting, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("proxy"), "propagate", True)  # another test may have changed it
    place = await sentinel(state())
    follows = Master(SentinelTarget((place,), "cache", 0), 20, login(None, "/no/such/file"))
    for _ in range(3):
        with pytest.raises(
            MasterError, match=r"^the proxy cannot log in to the sentinels: it has no password, and its"
        ):
            await follows.locate()
    assert caplog.messages == ["the password file /no/such/file cannot be read: No such file or directory"]
