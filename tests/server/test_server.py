"""A server in this process, with real clients and a real Redis: what a reload leaves behind."""

import asyncio
import gc
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import redis.asyncio

from proxy.codec import Transcoder
from proxy.config import Listener, Rule, Settings, Upstream
from proxy.net.listeners import Listeners
from proxy.observe.exposition import exposition
from proxy.observe.families import LOOP_LAG_SECONDS, TRANSCODED
from proxy.observe.metrics import Count, Histogram, Snapshot, lasting
from proxy.policy import Policy
from proxy.policy import Rule as PolicyRule
from proxy.resp.encode import command
from proxy.server.client_slots import alone
from proxy.server.server import Server
from proxy.session import Gate, Session
from proxy.session.expected_replies import Entry
from proxy.session.fastpath.plan import Plan
from tests.conftest import RedisServer
from tests.e2e.proxy_process import DEADLINE
from tests.e2e.test_tls import new_authority

RELOADS = 200
KEPT = (Policy, PolicyRule, Transcoder, Plan, Entry, Gate, Session, Count, Histogram, ssl.SSLContext)
"""The objects that each reload creates or looks up."""


def census() -> Counter[str]:
    """How many of these are alive."""
    gc.collect()
    alive = Counter[str]()
    for one in gc.get_objects():
        alive.update(kind.__name__ for kind in KEPT if isinstance(one, kind))
    return alive


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """A server that accepts, until the end of the block."""
    with Listeners(settings) as listeners:
        server = Server(settings, [place.sockets for place in listeners.clients], alone())
        started = asyncio.Event()
        run = asyncio.create_task(server.run(started.set))
        try:
            async with asyncio.timeout(DEADLINE):
                await started.wait()
            yield server
        finally:
            server.end_now()
            await run


def reload(server: Server, settings: Settings) -> None:
    """As a HUP does it."""
    server.prepare(settings)()


def counted(server: Server) -> Snapshot:
    """The numbers that may only grow."""
    return lasting(server.numbers())


async def many_reloads(server: Server, settings: Callable[[int], Settings], use: redis.asyncio.Redis) -> None:
    """Each one's rules are used, and no counter goes backwards."""
    before = counted(server)
    for number in range(RELOADS):
        reload(server, settings(number))
        await use.set("flask_cache_a", "[1]")
        assert await use.mget("flask_cache_a", "other") == [b"[1]", None]
        now = counted(server)
        assert not [name for name, count in before.items() if now.get(name, -1) < count]
        before = now


async def test_reloads_leave_nothing_behind(redis_server: RedisServer, tmp_path: Path) -> None:
    certificate, key = new_authority(tmp_path / "tls").issue("proxy", "127.0.0.1")
    doors = (
        Listener(bind=f"unix:{tmp_path / 'sock'}", password="sesame"),
        Listener(bind="127.0.0.1:0", tls_cert=certificate, tls_key=key),
    )

    def settings(number: int) -> Settings:
        """The same rule, and one that no other reload has."""
        rules = (Rule(keys="flask_cache_*"), Rule(keys=f"r{number}:*"))
        return Settings(listener=doors, rule=rules, upstream=Upstream(url=f"unix://{redis_server.unix}"))

    async with running(settings(0)) as server:
        server.metrics.histogram(LOOP_LAG_SECONDS).observe(0.0)  # the text contains it from now on
        client = redis.asyncio.Redis(unix_socket_path=str(tmp_path / "sock"), password="sesame")
        async with client:
            await many_reloads(server, settings, client)
            few, size = census(), len(exposition(server.numbers()))
            await many_reloads(server, settings, client)
            grown = census() - few
            assert all(count < RELOADS // 10 for count in grown.values()), grown  # a connection may end a moment later
            assert len(exposition(server.numbers())) < size + 500  # more digits
        labels = [labels for name, labels in server.numbers() if name == TRANSCODED.name and "flask_cache_*" in labels]
        assert len(labels) == 2  # one for each direction: a reload goes on with them


async def test_a_counter_outlives_the_rule_that_it_is_about(redis_server: RedisServer, tmp_path: Path) -> None:
    door = Listener(bind=f"unix:{tmp_path / 'sock'}")

    def settings(rule: str) -> Settings:
        return Settings(listener=(door,), rule=(Rule(keys=rule),), upstream=Upstream(url=f"unix://{redis_server.unix}"))

    client = redis.asyncio.Redis(unix_socket_path=str(tmp_path / "sock"))
    async with running(settings("flask_cache_*")) as server, client:
        await client.set("flask_cache_a", "[1]")
        reload(server, settings("x:*"))
        gc.collect()
        await client.set("flask_cache_a", "[1]")
        assert counted(server)[TRANSCODED.name, ("encode", "json", "flask_cache_*")] == 1
        reload(server, settings("flask_cache_*"))
        await client.set("flask_cache_a", "[1]")
        assert counted(server)[TRANSCODED.name, ("encode", "json", "flask_cache_*")] == 2


async def test_a_client_in_its_handshake_meets_the_new_password(redis_server: RedisServer, tmp_path: Path) -> None:
    ours, password = new_authority(tmp_path / "tls"), tmp_path / "password"
    password.write_text("old")
    certificate, key = ours.issue("proxy", "127.0.0.1")
    door = Listener(bind="127.0.0.1:0", tls_cert=certificate, tls_key=key, password_file=str(password))
    settings = Settings(listener=(door,), upstream=Upstream(url=f"unix://{redis_server.unix}"))
    async with running(settings) as server:
        host, port = server._admission.doors[0].sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(DEADLINE):
            while not server._admission._arriving:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0)
            password.write_text("new")
            reload(server, settings)
            await writer.start_tls(ssl.create_default_context(cafile=ours.ca), server_hostname="127.0.0.1")
            for word, reply in ((b"old", b"-WRONGPASS"), (b"new", b"+OK")):
                writer.write(command(b"AUTH", word))
                assert (await reader.readline()).startswith(reply)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
