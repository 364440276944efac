"""A connection that shares its link, on real trunks to a fake Redis: the events that meet while a link changes."""

from typing import Any

import pytest

from proxy.downstream.shared_connection import SharedConnection
from proxy.resp.encode import command
from proxy.session.runs import Runs
from proxy.upstream.link import OwnLink, SharedOwner, SharedPlace, UpstreamError
from tests.downstream.fakes import FakeClient, FakeRedis, FakeServer
from tests.session.playbook import policy
from tests.upstream.fakes import Net, settled

GET, MULTI = command(b"GET", b"n:a"), command(b"MULTI")
HELLO_3 = command(b"HELLO", b"3")
OK = b"+OK\r\n"


class Sharing:
    """The shared links of a process, on trunks of a fake Redis."""

    database = 0

    def __init__(self) -> None:
        self.net = Net()
        self.pins: list[str] = []

    async def link(self, owner: SharedOwner, owed: Runs[Any], protocol: int = 2) -> SharedPlace:
        return await self.net.trunks.link(owner, owed, protocol)

    def pinned(self, _number: int, reason: str) -> None:
        self.pins.append(reason)

    def unpinned(self, reason: str) -> None:
        self.pins.remove(reason)


class Pair:
    """A connection on shared links, and its client."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.sharing = Sharing()
        self.client = FakeClient()
        self.connection = SharedConnection(self.server, 0, policy(), None, 1, self.sharing)
        self.connection.connection_made(self.client)  # type: ignore[arg-type]

    async def sends(self, *requests: bytes) -> None:
        self.connection.data_received(b"".join(requests))
        await settled()

    async def gets_own_link(self) -> FakeRedis:
        self.server.dialing.set_result(None)
        await settled()
        return self.server.links[0]


async def opened() -> Pair:
    pair = Pair()
    await settled()
    return pair


async def test_a_pin_is_counted_until_its_connection_ends() -> None:
    pair = await opened()
    await pair.sends(MULTI)
    redis = await pair.gets_own_link()
    assert redis.sent == MULTI
    assert pair.sharing.pins == ["transaction"]
    redis.lose()
    assert pair.sharing.pins == []
    assert pair.client.is_leaving


async def test_an_own_link_that_redis_closes_at_once_is_no_pin() -> None:
    pair = await opened()

    async def dial(link: OwnLink) -> bool:
        redis = FakeRedis(link)
        link.connection_made(redis)  # type: ignore[arg-type]
        redis.lose()
        return False

    pair.server.dial = dial  # type: ignore[method-assign]
    await pair.sends(MULTI)
    assert pair.client.is_leaving
    assert pair.sharing.pins == []
    pair.connection.connection_lost(None)
    assert pair.server.closed_ == [pair.connection]


async def test_a_client_that_leaves_during_its_second_change_is_forgotten_once() -> None:
    pair = await opened()
    await pair.sends(HELLO_3, MULTI)
    pair.connection.connection_lost(None)
    await settled()
    assert pair.server.closed_ == []
    redis = await pair.gets_own_link()
    assert redis.closed
    redis.lose()
    assert pair.server.closed_ == [pair.connection]
    assert pair.sharing.pins == []


async def test_an_own_link_is_not_read_while_the_client_does_not_read() -> None:
    pair = await opened()
    await pair.sends(GET)
    pair.sharing.net[0].says(b"$1\r\nx\r\n")
    await pair.sends(MULTI)
    pair.connection.pause_writing()
    redis = await pair.gets_own_link()
    assert not redis.reads
    pair.connection.resume_writing()
    assert redis.reads


async def test_a_drain_during_a_change_waits_for_the_reply_of_its_request() -> None:
    pair = await opened()
    await pair.sends(MULTI)
    pair.connection.drain()
    assert not pair.client.is_leaving
    redis = await pair.gets_own_link()
    assert redis.sent == MULTI
    redis.says(OK)
    assert pair.client.sent == OK
    assert pair.client.is_leaving


async def test_a_client_that_sends_no_more_during_a_change_gets_its_replies() -> None:
    pair = await opened()
    await pair.sends(MULTI, GET)
    assert pair.connection.eof_received()
    redis = await pair.gets_own_link()
    assert redis.sent == MULTI + GET
    redis.says(OK + b"+QUEUED\r\n")
    assert pair.client.sent == OK + b"+QUEUED\r\n"
    assert pair.client.is_leaving


async def test_a_trunk_that_ends_during_a_change_does_not_matter() -> None:
    pair = await opened()
    await pair.sends(MULTI)
    pair.sharing.net[0].lose()
    await settled()
    redis = await pair.gets_own_link()
    redis.says(OK)
    assert pair.client.sent == OK
    assert not pair.client.is_leaving


async def test_a_change_that_fails_is_said_to_the_client(caplog: pytest.LogCaptureFixture) -> None:
    pair = await opened()
    await pair.sends(MULTI)
    pair.server.dialing.set_exception(UpstreamError("cannot reach Redis"))
    await settled()
    assert pair.client.sent == b"-ERR flask-cache-proxy: cannot reach Redis\r\n"
    assert pair.client.is_leaving
    assert pair.sharing.pins == []
    pair.connection.connection_lost(None)
    await settled()
    assert pair.server.closed_ == [pair.connection]
    assert caplog.messages == ["[1] cannot reach Redis"]
