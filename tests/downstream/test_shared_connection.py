"""A connection that shares its link, between a scripted client and scripted places on trunks, until it is pinned."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.downstream.shared_connection import SharedConnection
from proxy.downstream.watchdog import Deadline, Deadlines
from proxy.observe.families import UPSTREAMS
from proxy.resp.encode import command
from proxy.session.runs import Runs
from proxy.upstream.link import SharedOwner, UpstreamError
from tests.downstream.fakes import GREETINGS, FakeClient, FakePlace, FakeRedis, FakeServer, settled
from tests.session.playbook import policy

PING, PONG = command(b"PING"), b"+PONG\r\n"
MULTI = command(b"MULTI")
HELLO_3 = command(b"HELLO", b"3")
OVERDUE = Deadlines(Deadline(1, "reply_timeout", "Redis has not answered"), None)


class FakeSharing:
    """The services where clients share connections."""

    database = 0

    def __init__(self) -> None:
        self.places: list[FakePlace] = []
        self.dialing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.dialing.set_result(None)
        self.pins: list[str] = []

    async def link(self, owner: SharedOwner, owed: Runs[Any], protocol: int = 2) -> FakePlace:
        await self.dialing
        self.places.append(FakePlace(owner, protocol))
        return self.places[-1]

    def pinned(self, number: int, reason: str) -> None:
        assert number == 1
        self.pins.append(reason)

    def unpinned(self, reason: str) -> None:
        self.pins.remove(reason)


class Net:
    """A connection between a fake client and fake places."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.sharing = FakeSharing()
        self.client = FakeClient()
        self.connection = SharedConnection(self.server, 0, policy(), None, 1, self.sharing)

    async def opened(self) -> "Net":
        self.connection.connection_made(self.client)  # type: ignore[arg-type]
        await settled()
        return self

    async def pinned(self) -> "Net":
        """It has sent MULTI, and has its own link."""
        await self.opened()
        self.send(MULTI)
        await self.dialed()
        return self

    async def dialed(self, error: str = "") -> None:
        """The dial of its own link ends."""
        if error:
            self.server.dialing.set_exception(UpstreamError(error))
        else:
            self.server.dialing.set_result(None)
        await settled()

    @property
    def place(self) -> FakePlace:
        return self.sharing.places[-1]

    @property
    def redis(self) -> FakeRedis:
        return self.server.links[0]

    @property
    def is_forgotten(self) -> bool:
        return self.connection in self.server.closed_

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    async def hang_up(self) -> None:
        self.connection.connection_lost(None)
        await settled()


@pytest.fixture(autouse=True)
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """A warning that a test does not take out of the log fails it."""
    caplog.set_level(logging.WARNING)
    yield caplog
    assert not caplog.messages


# -- on a trunk --------------------------------------------------------------------------------------------


async def test_requests_and_replies_go_by_its_place() -> None:
    net = await Net().opened()
    net.send(PING * 2)
    assert net.place.sent == PING * 2
    net.place.says(PONG * 2)
    assert net.client.sent == PONG * 2
    assert not net.server.links
    await net.hang_up()
    assert net.is_forgotten


async def test_a_trunk_that_cannot_be_dialled_is_said_to_the_client(no_warnings: pytest.LogCaptureFixture) -> None:
    net = Net()
    net.sharing.dialing = asyncio.get_running_loop().create_future()
    net.sharing.dialing.set_exception(UpstreamError("cannot reach Redis"))
    await net.opened()
    assert net.client.sent == b"-ERR flask-cache-proxy: cannot reach Redis\r\n"
    await net.hang_up()
    assert net.is_forgotten
    no_warnings.clear()


async def test_a_trunk_that_ends_ends_it(no_warnings: pytest.LogCaptureFixture) -> None:
    net = await Net().opened()
    net.send(PING)
    net.place.close()
    await settled()
    assert net.client.is_leaving
    await net.hang_up()
    assert net.is_forgotten
    assert no_warnings.messages == ["[1] Redis closed with 1 replies outstanding"]
    no_warnings.clear()


async def test_its_reply_is_late_only_at_the_head_of_the_trunk(no_warnings: pytest.LogCaptureFixture) -> None:
    net = await Net().opened()
    net.send(PING)
    net.place.is_head = False
    net.connection.check(OVERDUE)
    net.connection.check(OVERDUE)
    assert not net.client.is_leaving
    net.place.is_head = True
    net.connection.check(OVERDUE)
    assert net.client.sent == b"-ERR flask-cache-proxy: Redis has not answered\r\n"
    no_warnings.clear()
    await net.hang_up()


async def test_one_that_is_told_to_close_leaves_its_place() -> None:
    net = await Net().opened()
    net.connection.close()
    await settled()
    assert net.place.is_closing
    await net.hang_up()
    assert net.is_forgotten


# -- another protocol --------------------------------------------------------------------------------------


async def test_hello_3_moves_it_to_a_trunk_of_resp3() -> None:
    net = await Net().opened()
    first = net.place
    net.send(HELLO_3 + PING)
    await settled()
    assert net.client.sent == GREETINGS[3].replace(b":77", b":1")
    assert (net.place.protocol, first.has_left) == (3, True)
    net.server.turn()
    assert (first.sent, net.place.sent) == (b"", PING)
    await net.hang_up()
    assert net.is_forgotten


async def test_a_trunk_that_was_full_holds_nobody_up_who_has_left_it() -> None:
    net = await Net().opened()
    net.place.is_full(True)
    assert not net.client.reads
    net.place.is_full(False)
    net.send(HELLO_3)
    net.place.is_full(True)
    await settled()
    assert net.client.reads
    net.send(PING)
    assert net.place.sent == PING
    await net.hang_up()


# -- a link of its own -------------------------------------------------------------------------------------


async def test_a_command_that_does_not_travel_waits_for_its_own_link() -> None:
    net = await Net().opened()
    net.send(PING + MULTI + PING)
    assert net.place.sent == PING
    net.place.says(PONG)
    assert (net.client.sent, net.sharing.pins) == (PONG, [])
    await net.dialed()
    net.server.turn()
    assert net.redis.sent == MULTI + PING
    assert net.place.has_left
    assert net.sharing.pins == ["transaction"]
    assert net.server.metrics.get(UPSTREAMS) == 1
    net.redis.says(b"+OK\r\n+QUEUED\r\n")
    assert net.client.sent == PONG + b"+OK\r\n+QUEUED\r\n"
    await net.hang_up()
    net.redis.lose()
    assert net.is_forgotten
    assert net.sharing.pins == []
    assert net.server.metrics.get(UPSTREAMS) == 0


async def test_its_own_link_that_cannot_be_dialled_ends_it(no_warnings: pytest.LogCaptureFixture) -> None:
    net = await Net().opened()
    net.send(MULTI)
    await net.dialed("cannot reach Redis")
    assert net.client.sent == b"-ERR flask-cache-proxy: cannot reach Redis\r\n"
    assert net.sharing.pins == []
    await net.hang_up()
    assert net.is_forgotten
    no_warnings.clear()


async def test_a_client_that_leaves_during_that_dial_is_forgotten_behind_it() -> None:
    net = await Net().opened()
    net.send(MULTI)
    await net.hang_up()
    assert not net.is_forgotten
    await net.dialed()
    assert net.redis.closed
    assert net.redis.sent == b""
    net.redis.lose()
    assert net.is_forgotten
    assert net.sharing.pins == []
    assert net.server.metrics.get(UPSTREAMS) == 0


async def test_one_that_drains_during_that_dial_gets_its_reply() -> None:
    net = await Net().opened()
    net.send(MULTI)
    net.connection.drain()
    assert not net.client.is_leaving
    await net.dialed()
    net.server.turn()
    assert net.redis.sent == MULTI
    net.redis.says(b"+OK\r\n")
    assert net.client.sent == b"+OK\r\n"
    assert net.client.is_leaving
    await net.hang_up()
    net.redis.lose()
    assert net.is_forgotten


async def test_redis_that_closes_the_own_link_ends_a_pinned_client(no_warnings: pytest.LogCaptureFixture) -> None:
    net = await Net().pinned()
    net.redis.lose()
    assert net.client.is_leaving
    assert net.sharing.pins == []
    await net.hang_up()
    assert net.is_forgotten
    assert no_warnings.messages == ["[1] Redis closed with 1 replies outstanding"]
    no_warnings.clear()
