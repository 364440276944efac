"""Whether Redis can be reached, as `/readyz` wants to know it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.config import Settings, Upstream
from proxy.server.readiness import Readiness

Answering = Callable[..., Awaitable["Scripted"]]
_HELLO = b"*4\r\n$6\r\nserver\r\n$4\r\nmode\r\n$4\r\nmode\r\n$%d\r\n%b\r\n"
STANDALONE = _HELLO % (10, b"standalone")
CLUSTER = _HELLO % (7, b"cluster")
NO_HELLO = b"-ERR unknown command 'HELLO'\r\n"
NO_INFO = b"-NOPERM this user has no permissions to run the 'info' command\r\n"
IN_CLUSTER_MODE = (
    " runs in cluster mode: commands that it redirects to another node fail. Set upstream.url to"
    " redis-cluster://host:port (rediss-cluster:// with TLS)"
)


class Scripted:
    """A Redis that answers one command after the other with given replies, and then nothing more."""

    def __init__(self, path: Path, replies: tuple[bytes, ...]) -> None:
        self.path = path
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


def reach(upstream: Upstream) -> Readiness:
    return Readiness(lambda: Settings(upstream=upstream))


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (b"-NOAUTH Authentication required.\r\n", ""),
        (b"-NOPERM this user has no permissions to run the 'ping' command\r\n", ""),
        (b"-LOADING Redis is loading\r\n", "Redis says: LOADING Redis is loading"),
        (b"-ERR max number of clients reached\r\n", "Redis says: ERR max number of clients reached"),
        (b"HTTP/1.1 400 Bad Request\r\n", "it sent an answer of an unknown type"),
        (b":5\r\n", "the server at "),
        (b"*1\r\n+PONG\r\n", "the server at "),
        (b"$-1\r\n", "the server at "),
        (b"*100000000\r\n" * 7, "it sent an answer of more than "),
        (b"+PONG\r\n+PONG\r\n", "it sent an answer without a request"),
    ],
)
async def test_what_redis_answers(answering: Answering, reply: bytes, fault: str) -> None:
    scripted = await answering(reply)
    found = await reach(scripted.upstream).fault()
    assert found.startswith(fault)
    assert bool(found) == bool(fault)
    assert scripted.commands == [b"*1\r\n$4\r\nPING\r\n"]


@pytest.mark.parametrize(
    ("hello", "fault"),
    [
        (STANDALONE, ""),
        (CLUSTER, "Redis at unix:{path}" + IN_CLUSTER_MODE),
        (b"-ERR unknown command 'HELLO'\r\n", ""),
        (b"-NOPERM this user has no permissions to run the 'hello' command\r\n", ""),
        (b"*0\r\n", ""),
        (b"*1\r\n$4\r\nmode\r\n", ""),
    ],
)
async def test_its_mode(answering: Answering, hello: bytes, fault: str) -> None:
    scripted = await answering(b"+PONG\r\n", hello, NO_INFO)
    assert await reach(scripted.upstream).fault() == fault.format(path=scripted.path)
    assert scripted.commands[:2] == [b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$5\r\nHELLO\r\n"]
    assert scripted.commands[2:] in ([], [b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"])


def hello(server: str, version: str) -> bytes:
    """HELLO's answer, its first fields."""
    words = [word.encode() for word in ("server", server, "version", version, "proto", "2")]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def info(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    ("replies", "server"),
    [
        ((hello("redis", "7.0.15"),), "redis 7.0.15"),
        ((hello("valkey", "9.1.0"),), "valkey 9.1.0"),
        ((hello("\u202ered\x1b", "x" * 100),), f"\\u202ered\\x1b {'x' * 32}"),
        ((NO_HELLO, info("# Server\r\nredis_version:5.0.14\r\nos:Linux\r\n")), "redis 5.0.14"),
        ((NO_HELLO, info("redis_version:\r\nos:Linux\r\n")), ""),
        ((NO_HELLO, NO_INFO), ""),
        ((b"*4\r\n$6\r\nserver\r\n:1\r\n$7\r\nversion\r\n*0\r\n",), ""),
    ],
    ids=["redis", "valkey", "hostile", "before-6", "odd", "unknown", "odd-types"],
)
async def test_its_name_and_version(answering: Answering, replies: tuple[bytes, ...], server: str) -> None:
    scripted = await answering(b"+PONG\r\n", *replies)
    asked = reach(scripted.upstream)
    assert asked.server == ""
    assert await asked.fault() == ""
    assert asked.server == server


async def test_the_path_of_a_key_is_for_the_log_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was there at the start."""
    key = str(tmp_path / "none.key")
    fault = await reach(Upstream(url="rediss://redis", tls_cert=key, tls_key=key)).fault()
    assert fault == "a certificate or key of [upstream] cannot be used, and the proxy's log says why"
    assert [record.getMessage() for record in caplog.records] == [f"{key} cannot be read: No such file or directory"]


async def test_its_version_is_forgotten_when_it_is_gone(answering: Answering) -> None:
    scripted = await answering(b"-LOADING Redis is loading\r\n")
    asked = reach(scripted.upstream)
    asked.server = "redis 7"
    assert await asked.fault()
    assert asked.server == ""


async def test_a_client_hears_the_mode_that_the_proxy_may_not_ask_for(
    answering: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = await answering(b"-NOAUTH Authentication required.\r\n")
    asked = reach(scripted.upstream)
    assert await asked.fault() == ""
    asked.record_mode(True)
    assert (await asked.fault()).endswith(IN_CLUSTER_MODE)
    asked.record_mode(False)
    asked.record_mode(True)
    assert [record.getMessage() for record in caplog.records] == [f"Redis at {scripted.upstream.url}{IN_CLUSTER_MODE}"]


async def test_the_warning_comes_once(answering: Answering, caplog: pytest.LogCaptureFixture) -> None:
    scripted = await answering(b"+PONG\r\n", CLUSTER)
    asked = reach(scripted.upstream)
    await asked.look()
    assert await asked.fault()
    asked.record_mode(True)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("url", ["unix://{path}", "unix://{path}?db=2"])
async def test_a_password_that_shared_connections_lack(
    answering: Answering, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = await answering(b"-NOAUTH Authentication required.\r\n")
    readiness = reach(Upstream(url=url.format(path=scripted.path), connections=2))
    await readiness.look()
    fault = await readiness.fault()
    assert fault.startswith(f"Redis at unix:{scripted.path} requires a password, and clients share connections: set ")
    assert [record.message for record in caplog.records] == [fault]


async def test_it_begins_as_a_client_does(answering: Answering) -> None:
    scripted = await answering(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n", STANDALONE)
    upstream = Upstream(url=f"{scripted.upstream.url}?db=3", username="me", password="secret")
    assert await reach(upstream).fault() == ""
    assert [command.split(b"\r\n")[2] for command in scripted.commands] == [*(b"AUTH", b"SELECT", b"PING", b"HELLO")]


async def test_a_login_that_is_refused(answering: Answering) -> None:
    scripted = await answering(b"-WRONGPASS no\r\n")
    fault = await reach(Upstream(url=scripted.upstream.url, password="wrong")).fault()
    assert fault == "Redis refused the proxy's own login (upstream.username, upstream.password): WRONGPASS no"


@pytest.mark.parametrize("reply", [b":1\r\n", b"*1\r\n+OK\r\n", b"+PONG\r\n"])
async def test_a_login_with_an_odd_answer(answering: Answering, reply: bytes) -> None:
    scripted = await answering(reply)
    fault = await reach(Upstream(url=scripted.upstream.url, password="secret")).fault()
    assert fault.endswith("(upstream.username, upstream.password): Redis sent an unexpected answer")


async def test_nobody_there(tmp_path: Path) -> None:
    fault = await reach(Upstream(url=f"unix://{tmp_path}/none.sock")).fault()
    assert fault == f"cannot reach Redis at unix:{tmp_path}/none.sock: No such file or directory"


async def test_a_redis_that_hangs(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.server.readiness._TIMEOUT", 0.05)
    scripted = await answering(b"")
    assert (await reach(scripted.upstream).fault()).endswith("has not answered in 0.05 s")


async def test_no_sentinel() -> None:
    assert "mymaster" in await reach(Upstream(url="redis+sentinel://127.0.0.1:1/mymaster")).fault()


async def test_what_was_found_out_holds_a_moment_for_all(answering: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("proxy.server.readiness.monotonic", lambda: now)
    scripted = await answering(b"+PONG\r\n", STANDALONE)
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
    scripted = await answering(b"+PONG\r\n", STANDALONE)
    settings = Settings(upstream=Upstream(url=f"unix://{tmp_path}/none.sock"))
    assert await Readiness(lambda: settings).fault()
    settings = Settings(upstream=scripted.upstream)
    assert await Readiness(lambda: settings).fault() == ""
