"""A connection on shared lanes of a cluster, between a scripted client and scripted places: dials, flow, the end."""

import logging
from collections.abc import Callable, Iterator

import pytest

from proxy.downstream.shared_cluster_connection import SharedClusterConnection
from proxy.downstream.watchdog import Deadline, Deadlines
from proxy.resp.encode import command
from proxy.session import SlotMap, key_slot
from tests.downstream.cluster_fakes import NODES, NULL, SLOTS, A, B, C, get, key_of
from tests.downstream.cluster_fakes import SharedNet as Net
from tests.downstream.fakes import settled

PING = command(b"PING")
OVERDUE = Deadlines(Deadline(1, "reply_timeout", "Redis has not answered"), None)


@pytest.fixture(autouse=True)
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """A warning that a test does not take out of the log fails it."""
    caplog.set_level(logging.WARNING)
    yield caplog
    assert not caplog.messages


# -- places on trunks --------------------------------------------------------------------------------------


async def test_it_begins_without_a_lane() -> None:
    net = await Net().opened()
    assert net.sharing.greeted == [(B, 2)]
    assert net.sharing.all == []
    assert net.cluster.dials == []
    assert net.client.reads
    await net.hang_up()
    assert net.is_forgotten


async def test_a_request_takes_a_place_on_the_trunks_to_its_node() -> None:
    net = await Net().opened()
    await net.send(get(A) + PING + get(A))
    assert [node for node, _ in net.sharing.all] == [A, B]
    assert (net[A].sent, net[B].sent) == (get(A) * 2, PING)
    assert net[A].protocol == 2
    net[A].says(b"$1\r\na\r\n")
    net[B].says(b"+PONG\r\n")
    net[A].says(b"$1\r\nb\r\n")
    await settled()
    assert net.client.sent == b"$1\r\na\r\n+PONG\r\n$1\r\nb\r\n"
    assert net.cluster.dials == []
    await net.send(get(A))
    assert len(net.places(A)) == 1
    await net.end()


async def test_replies_wait_for_their_turn() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B) + get(C))
    net[C].says(b"$1\r\nc\r\n")
    net[B].says(b"$1\r\nb\r\n")
    assert net.client.sent == b""
    net[A].says(b"$1\r\na\r\n")
    await settled()
    assert net.client.sent == b"$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"
    await net.end()


async def test_requests_wait_while_a_place_is_awaited() -> None:
    net = await Net().opened()
    net.hold(A)
    await net.send(get(A) + get(B))
    await net.send(get(A))
    assert net.sharing.all[0][0] == B
    assert net[B].sent == get(B)
    await net.release(A)
    assert net[A].sent == get(A) * 2
    await net.end()


async def test_home_is_the_first_node_that_can_be_reached() -> None:
    net = Net()
    net.sharing.unreachable = {B, C}
    await net.opened()
    assert net.sharing.greeted == [(B, 2), (C, 2), (A, 2)]
    await net.send(PING)
    assert net[A].sent == PING
    await net.end()


async def test_without_any_node_the_client_is_told(no_warnings: pytest.LogCaptureFixture) -> None:
    net = Net()
    net.sharing.unreachable = set(NODES)
    await net.opened()
    assert net.client.sent == b"-ERR flask-cache-proxy: cannot reach Redis at 10.0.0.2:7000: refused\r\n"
    await net.hang_up()
    assert net.is_forgotten
    no_warnings.clear()


async def test_without_a_map_the_client_is_told(no_warnings: pytest.LogCaptureFixture) -> None:
    net = Net()
    net.cluster.map = None
    await net.opened()
    assert net.client.sent == b"-ERR flask-cache-proxy: no node tells its slots\r\n"
    await net.hang_up()
    assert net.is_forgotten
    no_warnings.clear()


async def test_a_map_that_changes_during_the_greeting_is_used() -> None:
    net = Net()
    net.hold(B)
    await net.opened()
    net.cluster.map = SlotMap((A, C), tuple(slot % 2 for slot in range(16384)), version=2)
    await net.release(B)
    await net.send(PING)
    assert [node for node, _ in net.sharing.all] == [A]
    await net.end()


async def test_a_node_that_cannot_be_reached_costs_only_its_commands() -> None:
    net = await Net().opened()
    net.sharing.unreachable = {A}
    await net.send(get(B) + get(A) + get(B))
    net[B].says(b"$1\r\nb\r\n")
    await settled()
    assert net.client.sent.startswith(b"$1\r\nb\r\n-ERR flask-cache-proxy: cannot reach Redis at 10.0.0.1:7000")
    assert net.cluster.asking == [net.connection]
    net[B].says(b"$1\r\nb\r\n")
    await settled()
    assert net.client.sent.endswith(b"$1\r\nb\r\n")
    assert not net.client.is_leaving
    net.sharing.unreachable = set()
    net.connection.no_slots()
    await net.send(get(A))
    assert net[A].sent == get(A)
    await net.end()


async def test_a_trunk_that_ends_costs_only_the_commands_on_it() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[A].lose()
    await settled()
    net[B].says(b"$1\r\nb\r\n")
    assert b"is not known\r\n$1\r\nb\r\n" in net.client.sent
    assert net.cluster.asking == [net.connection]
    net.connection.new_slots(SlotMap(NODES, SLOTS.owners, version=2), asked=True)
    await net.send(get(A))
    assert [place.sent for place in net.places(A)] == [get(A)] * 2
    assert not net.client.is_leaving
    await net.end()


async def test_the_last_bytes_of_a_trunk_count() -> None:
    net = await Net().opened()
    await net.send(get(A))
    value = b"$%d\r\n%s\r\n" % (100_000, b"x" * 100_000)
    net[A].says(value)  # too much for one turn
    net[A].lose()
    await settled()
    assert net.client.sent == b""
    for _ in range(5):
        net.server.turn()
    assert net.client.sent == value
    await net.send(get(A))
    assert len(net.places(A)) == 2
    await net.end()


# -- flow --------------------------------------------------------------------------------------------------


async def test_a_client_that_does_not_read_pauses_all_places() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net.connection.pause_writing()
    assert not any(side.reads for side in (net[A], net[B], net.client))
    net.connection.resume_writing()
    assert net[A].reads
    assert net[B].reads
    assert net.client.reads
    await net.end()


async def test_a_place_that_comes_while_the_client_does_not_read_is_paused() -> None:
    net = await Net().opened()
    net.hold(A)
    await net.send(get(A))
    net.connection.pause_writing()
    await net.release(A)
    assert not net[A].reads
    assert net[A].sent == get(A)
    net.connection.resume_writing()
    assert net[A].reads
    await net.end()


async def test_a_place_that_is_dialed_while_the_client_does_not_read_is_paused() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].says(b"-MOVED %d 10.9.9.9:1\r\n" % key_slot(key_of(A)))
    net.connection.pause_writing()
    net.connection.new_slots(SlotMap(("10.9.9.9:1",), (0,) * 16384, version=2), asked=True)
    await settled()
    assert net["10.9.9.9:1"].sent == get(A)
    assert not net["10.9.9.9:1"].reads
    net.connection.resume_writing()
    assert net["10.9.9.9:1"].reads
    await net.end()


async def test_an_own_link_that_comes_while_the_client_does_not_read_is_paused() -> None:
    net = await Net().opened()
    net.hold(A)
    await net.send(command(b"BLPOP", key_of(A), b"0"))
    net.connection.pause_writing()
    await net.release(A)
    assert not net.own(A).reads
    net.connection.resume_writing()
    assert net.own(A).reads
    await net.end()


async def test_a_place_that_is_not_at_its_turn_is_paused() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[B].says(b"$1000000\r\n")
    for _ in range(40):
        net[B].says(b"x" * 4000)
    assert (net[A].reads, net[B].reads) == (True, False)
    net[A].says(NULL)
    for _ in range(5):
        net.server.turn()
    assert net[B].reads
    await net.end()


async def test_no_place_is_paused_once_the_client_has_left() -> None:
    """It would hold up the trunk until the place is closed."""
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[B].says(b"$1000000\r\n")
    for _ in range(40):
        net[B].says(b"x" * 4000)
    net.connection.pause_writing()
    assert (net[A].reads, net[B].reads) == (False, False)
    await net.hang_up()
    assert (net[A].reads, net[B].reads) == (True, True)
    await net.end()


async def test_a_trunk_that_is_full_pauses_the_client() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[A].is_full(True)
    net[B].is_full(True)
    assert not net.client.reads
    net[A].is_full(False)
    assert not net.client.reads
    net.connection.new_slots(SlotMap((A, C), tuple(slot % 2 for slot in range(16384)), version=2), asked=False)
    net[A].says(NULL)
    net[B].says(NULL)  # it is not used any more
    await settled()
    assert net[B].is_closing
    assert net.client.reads
    await net.end()


async def test_a_client_that_is_evicted_by_a_trunk_is_told_why(no_warnings: pytest.LogCaptureFixture) -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[B].evict("too slow")
    assert net.client.sent == b"-ERR flask-cache-proxy: too slow\r\n"
    assert net.client.is_leaving
    await settled()
    assert net[A].is_closing
    assert not net.is_forgotten
    await net.hang_up()
    assert net.is_forgotten
    no_warnings.clear()


async def test_a_client_that_does_not_read_is_evicted_at_once() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net.client.unread = 1
    net[A].evict("too slow")
    assert (net.client.sent, net.client.aborted) == (b"", True)
    await net.hang_up()
    assert net.is_forgotten


async def test_a_reply_is_late_only_at_the_head_of_its_trunk(no_warnings: pytest.LogCaptureFixture) -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[A].is_head = False
    for _ in range(3):
        net.connection.check(OVERDUE)
    assert not net.client.is_leaving
    net[A].is_head = True
    net[B].is_head = False  # it is not the turn of this lane
    net.connection.check(OVERDUE)
    assert net.client.sent == b"-ERR flask-cache-proxy: Redis has not answered\r\n"
    no_warnings.clear()
    await net.end()


# -- the end -----------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_is_forgotten_when_its_places_end() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    await net.hang_up()
    assert (net[A].finished, net[B].finished) == (True, True)
    net[A].says(NULL)  # for nobody
    net[A].lose()
    await settled()
    assert not net.is_forgotten
    net[B].lose()
    await settled()
    assert net.is_forgotten


@pytest.mark.parametrize("end", ["close", "abort", "drain"])
async def test_one_that_is_told_to_end_leaves_its_places(end: str) -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net[A].says(NULL)
    net[B].says(NULL)
    getattr(net.connection, end)()
    await settled()
    assert net[A].is_closing
    assert net[B].is_closing
    await net.hang_up()
    assert net.is_forgotten


@pytest.mark.parametrize("leave", [SharedClusterConnection.abort, lambda connection: connection.connection_lost(None)])
async def test_a_client_that_leaves_while_a_place_is_awaited_is_forgotten(
    leave: Callable[[SharedClusterConnection], None],
) -> None:
    net = await Net().opened()
    held = net.hold(A)
    await net.send(get(A))
    leave(net.connection)
    await settled()
    if not net.server.closed_:
        await net.hang_up()
    assert held.cancelled()
    assert net.is_forgotten
    assert net.sharing.all == []


@pytest.mark.parametrize("end", ["hang_up", "release"])
async def test_a_client_that_leaves_while_the_greeting_is_awaited_is_forgotten(end: str) -> None:
    net = Net()
    net.hold(B)
    await net.opened()
    net.connection.connection_lost(None)
    assert not net.is_forgotten
    await net.release(B)
    assert net.is_forgotten
    assert net.sharing.all == []


async def test_a_greeting_that_fails_behind_a_client_that_has_left_is_nothing(
    no_warnings: pytest.LogCaptureFixture,
) -> None:
    net = Net()
    held = net.hold(B)
    await net.opened()
    net.sharing.unreachable = {A, B, C}
    await net.hang_up()
    held.set_result(None)
    await settled()
    assert net.is_forgotten
    no_warnings.clear()


async def test_draining_waits_for_the_replies_of_all_places() -> None:
    net = await Net().opened()
    await net.send(get(A) + get(B))
    net.connection.drain()
    net[B].says(NULL)
    assert not net.client.is_leaving
    net[A].says(NULL)
    await settled()
    assert net.client.sent == NULL * 2
    assert net.client.is_leaving
    await net.end()


async def test_a_client_that_sends_no_more_gets_the_replies_of_all_places() -> None:
    net = await Net().opened()
    net.hold(A)
    await net.send(get(A) + get(B))
    assert net.connection.eof_received()
    await net.release(A)
    net[A].says(NULL)
    assert not net.client.is_leaving
    net[B].says(NULL)
    await settled()
    assert net.client.sent == NULL * 2
    assert net.client.is_leaving
    await net.end()


async def test_a_defect_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    net = await Net().opened()

    async def broken(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(net.sharing, "link", broken)
    await net.send(get(A))
    assert net.client.aborted
    await net.hang_up()
    assert net.is_forgotten


async def test_all_buffers_count_as_memory() -> None:
    net = await Net().opened()
    before = net.connection.memory
    await net.send(get(A))
    net[A].unsent = 1_000_000
    assert net.connection.memory >= before + 1_000_000
    await net.end()
