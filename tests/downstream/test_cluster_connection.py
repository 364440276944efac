"""A connection on a cluster, between a scripted client and scripted nodes: dials, losses, backpressure, the end."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from proxy.downstream.cluster_connection import ClusterConnection
from proxy.downstream.watchdog import Deadline, Deadlines
from proxy.resp.encode import command
from proxy.session import SlotMap, key_slot
from tests.downstream.cluster_fakes import NODES, OK, SLOTS, A, B, C, FakeCluster, get, key_of
from tests.downstream.fakes import FakeClient, FakeRedis, FakeServer, settled
from tests.session.playbook import policy


class Net:
    """A connection between a fake client and fake nodes. Its home is the second node."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self.cluster = FakeCluster(self.server)
        self.client = FakeClient()
        self.connection = ClusterConnection(self.server, 0, policy(), None, 1, self.cluster, "proxy:1")

    async def opened(self) -> "Net":
        self.connection.connection_made(self.client)  # type: ignore[arg-type]
        await settled()
        return self

    def __getitem__(self, node: str) -> FakeRedis:
        return self.cluster.nodes[node]

    async def send(self, data: bytes) -> None:
        self.connection.data_received(data)
        await settled()


@pytest.fixture(autouse=True)
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """A warning that a test does not take out of the log fails it."""
    caplog.set_level(logging.WARNING)
    yield caplog
    assert not caplog.messages


async def test_nodes_are_dialed_on_demand() -> None:
    net = await Net().opened()
    assert net.cluster.dials == [B]
    await net.send(get(A) + get(B) + get(A))
    assert net.cluster.dials == [B, A]
    assert (net[A].sent, net[B].sent) == (get(A) * 2, get(B))


async def test_replies_wait_for_their_turn() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B) + get(C))
    net[C].says(b"$1\r\nc\r\n")
    net[B].says(b"$1\r\nb\r\n")
    assert net.client.sent == b""
    net[A].says(b"$1\r\na\r\n")
    await settled()
    assert net.client.sent == b"$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"


async def under_way() -> Net:
    """The next reads take the fast path."""
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[A].says(OK)
    net[B].says(OK)
    await settled()
    net[A].sent = net[B].sent = net.client.sent = b""
    net[A].writes = net[B].writes = net.client.writes = 0
    return net


async def test_the_pieces_of_a_turn_are_one_write() -> None:
    net = await under_way()
    net.connection.data_received(get(A) + get(B))
    net.connection.data_received(get(A))
    assert (net[A].writes, net[B].writes) == (0, 0)
    await settled()
    assert (net[A].sent, net[B].sent) == (get(A) * 2, get(B))
    assert (net[A].writes, net[B].writes) == (1, 1)
    net[A].says(b"+a\r\n")
    net[B].says(b"+b\r\n")
    net[A].says(b"+c\r\n")
    await settled()
    assert (net.client.sent, net.client.writes) == (b"+a\r\n+b\r\n+c\r\n", 1)


async def test_a_client_that_leaves_has_sent_its_commands() -> None:
    net = await under_way()
    net.connection.data_received(get(A) + get(B))
    net.connection.connection_lost(None)
    assert (net[A].sent, net[B].sent) == (get(A), get(B))
    assert net[A].finished
    assert net[B].finished


@pytest.mark.parametrize("end", ["eof_received", "close", "drain", "abort"])
async def test_an_end_keeps_the_replies_of_its_turn(end: str) -> None:
    net = await under_way()
    await net.send(get(A) + get(B))
    net[A].says(OK)
    assert net.client.sent == b""
    getattr(net.connection, end)()
    await settled()
    assert net.client.sent == OK


async def test_an_error_of_ours_comes_behind_the_replies_of_its_turn() -> None:
    net = await under_way()
    await net.send(get(A) + get(B))
    net[A].says(OK)
    net.connection.evict("too slow")
    assert net.client.sent.startswith(OK + b"-ERR flask-cache-proxy: too slow")


async def test_a_lane_that_is_lost_in_a_turn_gets_nothing_of_it() -> None:
    net = await under_way()
    net.connection.data_received(get(A))
    net[A].lose()
    await settled()
    assert net[A].sent == b""
    assert b"is not known\r\n" in net.client.sent


async def test_home_is_the_first_node_that_can_be_reached() -> None:
    net = Net()
    net.cluster.unreachable = {B, C}
    await net.opened()
    assert net.cluster.dials == [B, C, A]
    await net.send(command(b"PING"))
    assert net[A].sent == command(b"PING")


async def test_without_any_node_the_client_is_told(no_warnings: pytest.LogCaptureFixture) -> None:
    net = Net()
    net.cluster.unreachable = set(NODES)
    await net.opened()
    assert net.client.sent.startswith(b"-ERR flask-cache-proxy: cannot reach Redis at 10.0.0.2:7000")
    net.connection.connection_lost(None)
    await settled()
    assert net.server.closed_ == [net.connection]
    no_warnings.clear()


async def test_without_a_map_the_client_is_told(no_warnings: pytest.LogCaptureFixture) -> None:
    net = Net()
    net.cluster.map = None
    await net.opened()
    assert net.client.sent == b"-ERR flask-cache-proxy: no node tells its slots\r\n"
    no_warnings.clear()


async def test_a_node_that_cannot_be_reached_costs_only_its_commands() -> None:
    net = await Net().opened()
    net.cluster.unreachable = {A}
    await net.send(get(B) + get(A) + get(B))
    net[B].says(b"$1\r\nb\r\n")
    assert net.client.sent.startswith(b"$1\r\nb\r\n-ERR flask-cache-proxy: cannot reach Redis at 10.0.0.1:7000")
    assert net.cluster.asking == [net.connection]
    assert not net.client.closing


async def test_a_lost_lane_costs_only_its_commands() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[A].lose()
    net[B].says(b"$1\r\nb\r\n")
    assert b"is not known\r\n$1\r\nb\r\n" in net.client.sent
    assert net.cluster.asking == [net.connection]
    net.connection.new_slots(SlotMap(NODES, SLOTS.owners, version=2), asked=True)
    await net.send(get(A))
    assert net.cluster.dials == [B, A, A]


async def test_the_last_bytes_of_a_lost_lane_count() -> None:
    net = await Net().opened()
    await net.send(get(A))
    value = b"$%d\r\n%s\r\n" % (100_000, b"x" * 100_000)
    net[A].says(value)  # too much for one turn
    net[A].lose()
    assert net.client.sent == b""
    for _ in range(5):
        net.server.turn()
    assert net.client.sent == value
    await net.send(get(B))
    net[B].says(b"$-1\r\n")
    await settled()
    assert net.client.sent == value + b"$-1\r\n"


async def test_home_may_be_lost_too() -> None:
    net = await Net().opened()
    net[B].lose()
    await net.send(get(A))
    net[A].says(b"$1\r\na\r\n")
    await settled()
    assert net.client.sent == b"$1\r\na\r\n"
    await net.send(command(b"PING"))
    assert len(net.cluster.dials) >= 2
    assert not net.client.closing


async def test_a_lane_that_is_not_at_the_head_is_paused() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[B].says(b"$1000000\r\n")
    for _ in range(40):
        net[B].says(b"x" * 4000)
    assert not net[B].reads
    assert net[A].reads
    net[A].says(b"$-1\r\n")
    for _ in range(5):
        net.server.turn()
    assert net[B].reads


async def test_a_client_that_does_not_read_pauses_all_lanes() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net.connection.pause_writing()
    assert not any(side.reads for side in (net[A], net[B], net.client))
    net.connection.resume_writing()
    assert net[A].reads
    assert net[B].reads
    assert net.client.reads


async def test_a_lane_that_comes_while_the_client_does_not_read_is_paused() -> None:
    net = await Net().opened()
    net.cluster.held[A] = asyncio.get_running_loop().create_future()
    await net.send(get(A))
    net.connection.pause_writing()
    net.cluster.held.pop(A).set_result(None)
    await settled()
    assert net[A].sent == get(A)
    assert not net[A].reads
    net.connection.resume_writing()
    assert net[A].reads


async def test_a_node_that_does_not_read_pauses_the_client() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].is_full(True)
    net[B].is_full(True)
    assert not net.client.reads
    net[A].is_full(False)
    assert not net.client.reads
    net[B].is_full(False)
    assert net.client.reads


async def test_a_full_lane_that_is_lost_pauses_nobody() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].is_full(True)
    assert not net.client.reads
    net[A].lose()
    assert net.client.reads


async def test_a_client_that_leaves_ends_all_lanes() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net.connection.connection_lost(None)
    assert net[A].finished
    assert net[B].finished
    assert net.server.closed_ == []
    net[A].lose()
    net[B].lose()
    await settled()
    assert net.server.closed_ == [net.connection]
    assert net.cluster.open == 0


async def test_a_client_that_leaves_unread_replies_is_forgotten() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net.connection.pause_writing()
    net[A].says(b"$5\r\nhello\r\n")
    net.connection.connection_lost(None)
    net[A].lose()
    net[B].lose()
    await settled()
    assert net.server.closed_ == [net.connection]
    assert net.cluster.open == 0


async def test_a_client_that_leaves_lets_nodes_send_what_was_not_its_turn() -> None:
    net = await Net().opened()
    await net.send(get(B) + get(A))
    for _ in range(40):
        net[A].says(b"$1000000\r\n" + b"x" * 4000)
    assert not net[A].reads
    net.connection.connection_lost(None)
    assert net[A].reads


async def test_a_client_that_gives_up_waiting_makes_the_map_old() -> None:
    net = await Net().opened()
    net.connection.connection_lost(None)
    assert net.cluster.asking == []
    net = await Net().opened()
    await net.send(get(A))
    net.connection.connection_lost(None)
    assert net.cluster.asking == [net.connection]


@pytest.mark.parametrize("reply", [b"$1\r\nx\r\n", b"$50000\r\n" + b"x" * 50_000 + b"\r\n"])
async def test_a_node_that_hangs_is_noticed_while_others_speak(
    no_warnings: pytest.LogCaptureFixture, reply: bytes
) -> None:
    deadlines = Deadlines(Deadline(3, "reply_timeout", "Redis is late"), None)
    net = await Net().opened()
    await net.send(get(B) + get(A))
    net.connection.check(deadlines)
    net[B].says(reply)
    net.server.turn()
    await settled()
    for _ in range(3):
        assert net.client.sent == reply
        net.connection.check(deadlines)
        await net.send(get(B))
        net[B].says(reply)
        net.server.turn()
    net.connection.check(deadlines)
    assert net.client.sent == reply + b"-ERR flask-cache-proxy: Redis is late\r\n"
    no_warnings.clear()


async def test_a_client_that_leaves_cancels_a_dial() -> None:
    net = await Net().opened()
    net.cluster.held[A] = asyncio.get_running_loop().create_future()
    await net.send(get(A))
    net.connection.connection_lost(None)
    net[B].lose()
    await settled()
    assert net.server.closed_ == [net.connection]
    assert net.cluster.held[A].cancelled()


async def test_a_client_that_sends_no_more_gets_the_replies_of_all_lanes() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    assert net.connection.eof_received()
    net[A].says(b"$-1\r\n")
    assert not net.client.is_leaving
    net[B].says(b"$-1\r\n")
    assert net.client.sent == b"$-1\r\n" * 2
    assert net.client.is_leaving
    net.connection.connection_lost(None)
    for node in (A, B):
        assert net[node].aborted
        net[node].lose()
    await settled()
    assert net.server.closed_ == [net.connection]


async def test_lanes_that_are_dialed_get_the_commands_of_a_client_that_sends_no_more() -> None:
    net = await Net().opened()
    for node in (A, C):
        net.cluster.held[node] = asyncio.get_running_loop().create_future()
    blocking = command(b"BLPOP", key_of(A), b"0")
    await net.send(blocking + get(C))
    assert net.connection.eof_received()
    assert not net[B].finished
    net.cluster.held.pop(A).set_result(None)
    await settled()
    assert (net[A].sent, net[A].finished) == (blocking, False)
    net.cluster.held.pop(C).set_result(None)
    await settled()
    assert net[C].sent == get(C)
    assert all(net[node].finished for node in NODES)
    net[A].says(b"*-1\r\n")
    net[C].says(b"$-1\r\n")
    await settled()
    assert net.client.sent == b"*-1\r\n$-1\r\n"
    assert net.client.is_leaving
    net.connection.connection_lost(None)
    for node in NODES:
        net[node].lose()
    await settled()
    assert net.server.closed_ == [net.connection]


async def test_a_client_that_sends_no_more_gets_the_last_bytes_of_a_lost_lane() -> None:
    net = await Net().opened()
    await net.send(get(A) + command(b"BLPOP", key_of(B), b"0"))
    value = b"$%d\r\n%s\r\n" % (100_000, b"x" * 100_000)
    net[A].says(value)  # too much for one turn
    net[A].lose()
    assert net.connection.eof_received()
    for _ in range(5):
        net.server.turn()
    assert net.client.sent == value
    net[B].says(b"*-1\r\n")
    assert net.client.sent == value + b"*-1\r\n"
    assert net.client.is_leaving


async def test_draining_waits_for_all_lanes() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net.connection.drain()
    net[B].says(b"$-1\r\n")
    assert not net.client.is_leaving
    net[A].says(b"$-1\r\n")
    assert net.client.is_leaving
    for node in (A, B):
        net[node].lose()


async def test_all_buffers_count_as_memory() -> None:
    net = await Net().opened()
    before = net.connection.memory
    await net.send(get(A))
    net[A].unsent = 1_000_000
    assert net.connection.memory >= before + 1_000_000


async def test_a_map_that_cannot_be_fetched_is_told_to_the_session() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].says(b"-MOVED %d 10.9.9.9:1\r\n" % key_slot(key_of(A)))
    assert net.cluster.asking == [net.connection]
    assert net.client.sent == b""
    net.connection.no_slots()
    assert net.client.sent.startswith(b"-ERR flask-cache-proxy: ")


async def test_a_lane_that_a_dial_finds_dropped_is_closed() -> None:
    """RESET closes all lanes but home, and one of them is still being dialed."""
    net = await Net().opened()
    net.cluster.held[A] = asyncio.get_running_loop().create_future()
    net.cluster.unreachable = set()
    await net.send(get(A))
    net.connection.abort()
    await settled()
    assert net.cluster.held[A].cancelled()
    net.connection.connection_lost(None)
    net[B].lose()
    await settled()
    assert net.server.closed_ == [net.connection]
