"""Many clients on two trunks of a real Redis: every client gets exactly its replies, whatever happens to the others."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
import redis

from proxy.config import TcpAddress, UnixAddress
from proxy.resp.encode import command
from proxy.upstream.dialer import Upstream
from proxy.upstream.link import UpstreamError
from proxy.upstream.login import Login
from proxy.upstream.trunks import Trunks
from tests.conftest import RedisServer
from tests.upstream.fakes import Owner

pytestmark = pytest.mark.usefixtures("each_server")

CLIENTS = 24
SIZES = (0, 1, 1, 10, 100, 3000, 70_000)


@pytest.fixture
async def upstream(redis_server: RedisServer) -> AsyncIterator[Upstream]:
    upstream = Upstream(UnixAddress(redis_server.unix), 3, 20)
    upstream.share(2, 1)
    yield upstream
    await upstream.end()


@pytest.fixture
def trunks(upstream: Upstream) -> Trunks:
    assert upstream.trunks is not None
    return upstream.trunks


class Client(Owner):
    """Asks for things whose replies only it can have, and knows these."""

    def __init__(self, number: int, protocol: int, rng: random.Random) -> None:
        super().__init__()
        self.number = number
        self.protocol = protocol
        self.wanted = b""
        self.has_all = asyncio.Event()
        self.on_part = self._look
        self._asked = 0
        self._rng = rng

    def _look(self) -> None:
        if len(self.got) >= len(self.wanted):
            self.has_all.set()

    def pair(self) -> tuple[bytes, bytes]:
        """A request, and its reply."""
        self._asked += 1
        tag = b"%d-%d:" % (self.number, self._asked)
        text = tag + b"x" * self._rng.choice(SIZES)
        bulk = b"$%d\r\n%b\r\n" % (len(text), text)
        match self._rng.randrange(6):
            case 0:
                return command(b"PING", text), bulk
            case 1:
                return command(b"GET", tag), b"$-1\r\n" if self.protocol == 2 else b"_\r\n"
            case 2:
                return command(b"MGET", tag), b"*1\r\n$-1\r\n" if self.protocol == 2 else b"*1\r\n_\r\n"
            case 3:
                return command(b"CONFIG", b"GET", tag), b"*0\r\n" if self.protocol == 2 else b"%0\r\n"
            case 4:
                return command(b"STRLEN", tag), b":0\r\n"
        return command(b"ECHO", text), bulk

    def ask_some(self) -> None:
        pairs = [self.pair() for _ in range(self._rng.choice((1, 1, 1, 2, 8)))]
        self.wanted += b"".join(reply for _, reply in pairs)
        self.has_all.clear()
        self.ask(*(request for request, _ in pairs))


async def clients(trunks: Trunks, rng: random.Random) -> list[Client]:
    made = [Client(number, 2 + number % 2, rng) for number in range(CLIENTS)]
    for client in made:
        client.link = await trunks.link(client, client.owed, client.protocol)
    return made


@pytest.mark.parametrize("seed", range(4))
async def test_each_client_gets_exactly_its_replies(trunks: Trunks, seed: int) -> None:
    rng = random.Random(seed)
    everyone = await clients(trunks, rng)
    leaving = set(everyone[:4])
    for _ in range(1500):
        client = rng.choice(everyone)
        match rng.randrange(12):
            case 0:
                client.link.pause()
            case 1 | 2:
                client.link.resume()
            case 3 if client in leaving and rng.random() < 0.05:
                client.link.abort()
            case 4 | 5:
                await asyncio.sleep(0)
            case _ if not client.link.is_closing and client.link.unsent < 500_000:
                client.ask_some()
    stayed = [client for client in everyone if not client.link.is_closing]
    for client in stayed:
        client.link.resume()
    async with asyncio.timeout(60):
        for client in stayed:
            if client.got != client.wanted:
                await client.has_all.wait()
    for client in everyone:
        assert client.wanted.startswith(client.got)
        assert client.got == client.wanted or client not in stayed
        assert client.evicted == []
    assert [client.link.outstanding for client in stayed] == [0] * len(stayed)
    assert trunks.open() == {2: 2, 3: 2}
    assert (trunks.counts.dials, trunks.counts.deaths) == (4, 0)


async def test_a_reply_of_any_size_passes(trunks: Trunks, redis_server: RedisServer) -> None:
    large, small = await clients(trunks, random.Random(1)), Client(99, 2, random.Random(1))
    small.link = await trunks.link(small, small.owed)
    text = b"x" * 8_000_000
    first = large[0]
    first.wanted = b"$%d\r\n%b\r\n" % (len(text), text)
    first.ask(command(b"ECHO", text))
    small.ask_some()
    async with asyncio.timeout(60):
        await first.has_all.wait()
        await small.has_all.wait()
    assert first.got == first.wanted
    assert small.got == small.wanted


async def test_a_large_reply_comes_at_its_clients_pace(trunks: Trunks) -> None:
    client, other, *_ = await clients(trunks, random.Random(1))
    text = b"x" * 8_000_000
    client.wanted = b"$%d\r\n%b\r\n" % (len(text), text)

    def rest() -> None:
        client.link.pause()
        asyncio.get_running_loop().call_soon(client.link.resume)
        client._look()

    client.on_part = rest
    client.ask(command(b"ECHO", text))
    other.ask_some()
    async with asyncio.timeout(60):
        await client.has_all.wait()
        await other.has_all.wait()
    assert client.got == client.wanted
    assert other.got == other.wanted
    assert client.evicted == []


async def test_killed_trunks_cost_only_those_who_wait(trunks: Trunks, redis_server: RedisServer) -> None:
    everyone = [client for client in await clients(trunks, random.Random(1)) if client.protocol == 2]
    waiting, *idle = everyone
    waiting.ask(command(b"BLPOP", b"nothing", b"0"))
    with closing(redis.Redis(unix_socket_path=redis_server.unix)) as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    async with asyncio.timeout(60):
        await waiting.gone.wait()
        idle[0].ask_some()
        await idle[0].has_all.wait()
    assert idle[0].got == idle[0].wanted
    assert [client.lost for client in idle] == [0] * len(idle)
    assert trunks.counts.deaths >= 1


async def test_a_server_that_has_moved_is_dialled_again(upstream: Upstream, trunks: Trunks) -> None:
    client, *_ = await clients(trunks, random.Random(1))
    upstream.leave()
    client.ask_some()
    async with asyncio.timeout(60):
        await client.has_all.wait()
    assert client.got == client.wanted
    assert trunks.counts.dials == 3


async def test_trunks_select_the_database(trunks: Trunks, redis_server: RedisServer) -> None:
    client, *_ = await clients(trunks, random.Random(1))
    client.wanted = b"+OK\r\n:1\r\n"
    client.ask(command(b"SET", b"trunks", b"1"), command(b"EXISTS", b"trunks"))
    async with asyncio.timeout(60):
        await client.has_all.wait()
    with closing(redis.Redis(unix_socket_path=redis_server.unix, db=3)) as other:
        assert other.getdel("trunks") == b"1"


async def test_a_server_that_hangs_up_may_speak_tls() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    upstream = Upstream(TcpAddress(*server.sockets[0].getsockname()), 0, 20)
    upstream.share(1, 1)
    assert upstream.trunks is not None
    owner = Owner()
    async with server:
        with pytest.raises(UpstreamError, match=r"hangs up before it answers\. Is it rediss:// \(TLS\)\?"):
            await upstream.trunks.link(owner, owner.owed)
        await upstream.end()


class TestPasswords:
    @pytest.fixture
    async def guarded(self, redis_server: RedisServer) -> AsyncIterator[RedisServer]:
        with closing(redis.Redis(unix_socket_path=redis_server.unix)) as admin:
            admin.config_set("requirepass", "secret")
            try:
                yield redis_server
            finally:
                admin.config_set("requirepass", "")

    async def test_the_proxy_has_none(self, guarded: RedisServer) -> None:
        upstream = Upstream(UnixAddress(guarded.unix), 0, 20)
        upstream.share(1, 1)
        assert upstream.trunks is not None
        owner = Owner()
        with pytest.raises(UpstreamError, match="requires a password, and clients share connections: set upstream"):
            await upstream.trunks.link(owner, owner.owed)
        await upstream.end()

    async def test_the_proxy_logs_in(self, guarded: RedisServer) -> None:
        upstream = Upstream(UnixAddress(guarded.unix), 0, 20, login=Login(None, "secret", None))
        upstream.share(1, 1)
        assert upstream.trunks is not None
        owner = Owner()
        assert (await upstream.trunks.link(owner, owner.owed)).greeting.startswith(b"*")
        await upstream.end()

    async def test_a_wrong_one_is_told(self, guarded: RedisServer) -> None:
        upstream = Upstream(UnixAddress(guarded.unix), 0, 20, login=Login(None, "wrong", None))
        upstream.share(1, 1)
        assert upstream.trunks is not None
        owner = Owner()
        with pytest.raises(UpstreamError, match=r"the proxy's own login \(.*\): WRONGPASS"):
            await upstream.trunks.link(owner, owner.owed)
        await upstream.end()
