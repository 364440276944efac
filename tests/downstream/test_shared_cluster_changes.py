"""A connection on shared lanes of a cluster that changes them: to another protocol, or to links of its own."""

import logging
from collections.abc import Callable, Iterator

import pytest

from proxy.downstream.shared_cluster_connection import SharedClusterConnection
from proxy.resp.encode import command
from proxy.session import Opening, SlotMap
from proxy.upstream.link import UpstreamError
from tests.downstream.cluster_fakes import MULTI, NO_RESP3, NODES, NULL, OK, SLOTS, A, B, C, get, key_of
from tests.downstream.cluster_fakes import SharedNet as Net
from tests.downstream.fakes import GREETINGS, settled

PING, HELLO_3, RESET = command(b"PING"), command(b"HELLO", b"3"), command(b"RESET")
WELCOME_3 = GREETINGS[3].replace(b":77", b":1")
SETUP = Opening(command(b"AUTH", b"secret"), "Redis refused the login")


@pytest.fixture(autouse=True)
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """A warning that a test does not take out of the log fails it."""
    caplog.set_level(logging.WARNING)
    yield caplog
    assert not caplog.messages


def blpop(node: str) -> bytes:
    return command(b"BLPOP", key_of(node), b"0")


# -- another protocol --------------------------------------------------------------------------------------


async def test_hello_3_moves_it_to_trunks_of_resp3() -> None:
    net = await Net().opened()
    await net.send(get(A) + HELLO_3 + get(A) + get(B))
    assert net.sharing.greeted == [(B, 2)]  # a reply is outstanding
    net[A].says(NULL)
    await settled()
    net.server.turn()
    await settled()
    assert net.sharing.greeted == [(B, 2), (B, 3)]
    assert net.client.sent == NULL + WELCOME_3
    old, new = net.places(A)
    assert (old.protocol, old.sent, old.is_closing) == (2, get(A), True)
    assert (new.protocol, new.sent) == (3, get(A))
    assert (net[B].protocol, net[B].sent) == (3, get(B))
    new.says(b"_\r\n")
    net[B].says(b"_\r\n")
    await settled()
    assert net.client.sent == NULL + WELCOME_3 + b"_\r\n" * 2
    await net.end()


async def test_a_refused_protocol_stays() -> None:
    net = await Net().opened()
    net.sharing.refuses = {B}
    await net.send(HELLO_3)
    assert net.client.sent == NO_RESP3
    await net.send(get(A))
    assert net[A].protocol == 2
    net[A].says(NULL)
    assert net.client.sent == NO_RESP3 + NULL
    await net.end()


async def test_reset_moves_it_back() -> None:
    net = await Net().opened()
    await net.send(HELLO_3)
    await net.send(get(A))
    net[A].says(b"_\r\n")
    await settled()
    await net.send(RESET)
    assert net.client.sent == WELCOME_3 + b"_\r\n" + b"+RESET\r\n"
    await net.send(get(A))
    assert [place.protocol for place in net.places(A)] == [3, 2]
    await net.end()


async def test_reset_moves_it_back_also_where_a_node_answers_no_hello(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link of RESP2 needs no greeting. The session takes it as RESP2 in any case."""
    net = await Net().opened()
    await net.send(HELLO_3)
    monkeypatch.setitem(GREETINGS, 2, b"-NOPERM no HELLO\r\n")
    await net.send(RESET)
    await net.send(get(A))
    assert net[A].protocol == 2
    await net.end()


async def test_a_node_that_refuses_the_protocol_of_the_others_costs_only_its_commands() -> None:
    net = await Net().opened()
    await net.send(HELLO_3)
    net.sharing.unreachable = {A}  # as NodeTrunks.link says it
    await net.send(get(A) + get(B))
    net[B].says(b"_\r\n")
    await settled()
    assert b"-ERR flask-cache-proxy: cannot reach Redis at 10.0.0.1:7000" in net.client.sent
    assert net.client.sent.endswith(b"_\r\n")
    await net.end()


async def test_a_full_trunk_that_it_leaves_holds_nobody_up() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].is_full(True)
    net[A].says(NULL)
    net[A].is_full(False)
    net.hold(B)
    await net.send(HELLO_3)
    net[A].is_full(True)
    assert not net.client.reads
    await net.release(B)
    assert net.client.reads
    await net.end()


async def test_a_change_that_no_node_answers_ends_the_client(no_warnings: pytest.LogCaptureFixture) -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].says(NULL)
    net.sharing.unreachable = set(NODES)
    await net.send(HELLO_3)
    assert net.client.sent == NULL + b"-ERR flask-cache-proxy: cannot reach Redis at 10.0.0.2:7000: refused\r\n"
    assert net.client.is_leaving
    no_warnings.clear()
    await net.hang_up()
    assert net.is_forgotten


async def test_a_trunk_that_ends_during_the_change_does_not_matter() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].says(NULL)
    net.hold(B)
    await net.send(HELLO_3 + get(A))
    net[A].lose()
    await settled()
    await net.release(B)
    net.server.turn()
    await settled()
    assert net.client.sent == NULL + WELCOME_3
    assert (net[A].protocol, net[A].sent) == (3, get(A))
    await net.end()


async def test_a_map_that_comes_during_the_change_is_used_after_it() -> None:
    net = await Net().opened()
    await net.send(get(A))
    net[A].says(NULL)
    net.hold(B)
    await net.send(HELLO_3 + get(A))
    net.connection.new_slots(SlotMap((C,), (0,) * 16384, version=2), asked=False)
    await net.release(B)
    net.server.turn()
    await settled()
    assert (net[C].protocol, net[C].sent) == (3, get(A))
    await net.end()


def leave(connection: SharedClusterConnection) -> None:
    connection.connection_lost(None)


@pytest.mark.parametrize("has_lanes", [True, False])
@pytest.mark.parametrize("end", [leave, SharedClusterConnection.abort, SharedClusterConnection.close])
@pytest.mark.parametrize("fails", [True, False])
async def test_a_client_that_leaves_during_the_change_is_forgotten_behind_it(
    end: Callable[[SharedClusterConnection], None], has_lanes: bool, fails: bool, no_warnings: pytest.LogCaptureFixture
) -> None:
    net = await Net().opened()
    if has_lanes:
        await net.send(get(A))
        net[A].says(NULL)
    sent = net.client.sent
    net.hold(B)
    await net.send(HELLO_3 + get(A))
    end(net.connection)
    if end is not leave:
        net.connection.connection_lost(None)
    await settled()
    assert not net.server.closed_
    for _, place in net.sharing.all:
        place.lose()
    await settled()
    assert not net.server.closed_
    if fails:
        net.sharing.unreachable = set(NODES)
    await net.release(B)
    assert net.is_forgotten
    assert net.client.sent == sent
    assert len(net.sharing.all) == has_lanes
    no_warnings.clear()


async def test_a_drain_during_the_change_waits_for_what_the_client_has_sent() -> None:
    net = await Net().opened()
    net.hold(B)
    await net.send(HELLO_3 + get(A))
    net.connection.drain()
    assert not net.client.is_leaving
    await net.release(B)
    net.server.turn()
    await settled()
    assert not net.client.is_leaving
    net[A].says(b"_\r\n")
    assert net.client.sent == WELCOME_3 + b"_\r\n"
    assert net.client.is_leaving
    await net.end()


async def test_a_client_that_sends_no_more_during_the_change_gets_its_replies() -> None:
    net = await Net().opened()
    net.hold(B)
    await net.send(HELLO_3 + get(A))
    assert net.connection.eof_received()
    await net.release(B)
    net.server.turn()
    await settled()
    assert not net.client.is_leaving
    net[A].says(b"_\r\n")
    assert net.client.sent == WELCOME_3 + b"_\r\n"
    assert net.client.is_leaving
    await net.end()


async def test_an_eviction_during_the_change_ends_the_client() -> None:
    net = await Net().opened()
    net.hold(B)
    await net.send(HELLO_3)
    net.connection.evict("too much memory")
    assert net.client.sent == b"-ERR flask-cache-proxy: too much memory\r\n"
    assert net.client.is_leaving
    await net.release(B)
    await net.end()


# -- links of its own --------------------------------------------------------------------------------------


async def test_a_pin_leaves_all_places_and_dials_own_links_with_the_setup_first() -> None:
    net = await Net().opened()
    net.server.openings = (SETUP,)
    await net.send(get(A) + get(B) + blpop(A) + get(B))
    assert net.cluster.dials == []
    net[A].says(NULL)
    assert net.sharing.pins == []
    net[B].says(NULL)
    await settled()
    net.server.turn()
    await settled()
    assert net.sharing.pins == ["blocking"]
    assert all(place.is_closing for _, place in net.sharing.all)
    assert len(net.sharing.all) == 2
    assert net.cluster.dials == [A, B]
    assert net.own(A).sent == SETUP.raw + blpop(A)
    assert net.own(B).sent == SETUP.raw + get(B)
    net.own(A).says(OK + b"*-1\r\n")
    net.own(B).says(OK + NULL)
    await settled()
    assert net.client.sent == NULL * 2 + b"*-1\r\n" + NULL
    await net.send(MULTI + get(C))
    assert net.sharing.pinned_in_all == 1
    assert net.cluster.dials == [A, B, C]
    await net.end()
    assert net.sharing.pinned_in_all == 1


async def test_a_pin_keeps_protocol_and_name() -> None:
    net = await Net().opened()
    await net.send(HELLO_3 + command(b"CLIENT", b"SETNAME", b"me"))
    net.server.turn()
    await settled()
    await net.send(blpop(A))
    assert net.own(A).sent == HELLO_3 + command(b"CLIENT", b"SETNAME", b"me") + blpop(A)
    await net.end()


async def test_a_transaction_is_on_an_own_link() -> None:
    net = await Net().pinned()
    assert net.sharing.pins == ["transaction"]
    await net.send(command(b"EXEC"))
    net.own(A).says(b"*1\r\n" + NULL)
    assert net.client.sent == b"*1\r\n" + NULL
    await net.end()


async def test_own_links_are_read_as_the_client_reads() -> None:
    net = await Net().pinned()
    net.connection.pause_writing()
    assert not net.own(A).reads
    net.connection.resume_writing()
    assert net.own(A).reads
    await net.end()


async def test_a_pin_while_the_client_does_not_read_comes_with_a_link_that_is_not_read() -> None:
    net = await Net().opened()
    net.connection.data_received(blpop(A))
    net.connection.pause_writing()
    await settled()
    assert not net.own(A).reads
    await net.end()


async def test_an_own_link_that_is_lost_costs_only_its_commands_and_no_pin() -> None:
    net = await Net().pinned(A)
    net.own(A).lose()
    await settled()
    assert net.sharing.pins == ["transaction"]
    assert net.cluster.asking == [net.connection]
    net.connection.new_slots(SlotMap(NODES, SLOTS.owners, version=2), asked=True)
    await net.send(command(b"DISCARD") + get(B))
    assert not net.client.is_leaving
    assert net.own(B).sent == get(B)
    await net.end()


async def test_an_own_link_that_cannot_be_dialed_costs_only_its_commands() -> None:
    net = await Net().opened()
    net.cluster.unreachable = {A}
    await net.send(blpop(A))
    assert net.client.sent.startswith(b"-ERR flask-cache-proxy: cannot reach Redis at 10.0.0.1:7000")
    assert net.sharing.pins == ["blocking"]
    assert not net.client.is_leaving
    await net.hang_up()
    assert net.is_forgotten


async def test_a_login_that_the_proxy_cannot_send_ends_the_client(
    no_warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = await Net().opened()

    def opening() -> tuple[Opening, ...]:
        raise UpstreamError("no password")

    monkeypatch.setattr(net.server, "opening", opening)
    await net.send(blpop(A))
    assert net.client.sent == b"-ERR flask-cache-proxy: no password\r\n"
    assert net.sharing.pinned_in_all == 0
    no_warnings.clear()
    await net.hang_up()
    assert net.is_forgotten


@pytest.mark.parametrize("end", [leave, SharedClusterConnection.abort, SharedClusterConnection.close])
async def test_every_end_of_a_pinned_client_ends_its_pin(end: Callable[[SharedClusterConnection], None]) -> None:
    net = await Net().pinned()
    end(net.connection)
    await settled()
    if end is not leave:
        await net.hang_up()
    assert net.sharing.pins == ["transaction"]  # the link is still closing
    net.own(A).lose()
    await settled()
    assert net.is_forgotten


@pytest.mark.parametrize("end", [leave, SharedClusterConnection.abort, SharedClusterConnection.close])
@pytest.mark.parametrize("has_lanes", [True, False])
async def test_a_client_that_leaves_as_it_is_pinned_is_no_pin_for_long(
    end: Callable[[SharedClusterConnection], None], has_lanes: bool
) -> None:
    net = await Net().opened()
    if has_lanes:
        await net.send(get(A))
        net[A].says(NULL)
    net.connection.data_received(blpop(A))
    end(net.connection)
    if end is not leave:
        net.connection.connection_lost(None)
    await settled()
    for _, place in net.sharing.all:
        place.lose()
    await settled()
    assert net.is_forgotten
    assert net.cluster.dials == []


async def test_a_client_that_leaves_while_an_own_link_is_dialed_is_forgotten() -> None:
    net = await Net().opened()
    net.hold(A)
    await net.send(blpop(A))
    assert net.sharing.pins == ["blocking"]
    await net.hang_up()
    assert net.is_forgotten


async def test_an_eviction_of_a_pinned_client_ends_its_pin() -> None:
    net = await Net().pinned()
    net.connection.evict("too much memory")
    assert net.client.sent == b"-ERR flask-cache-proxy: too much memory\r\n"
    await net.hang_up()
    net.own(A).lose()
    await settled()
    assert net.is_forgotten


async def test_a_drain_waits_for_the_replies_of_own_links() -> None:
    net = await Net().opened()
    net.hold(A)
    await net.send(MULTI + get(A))
    net.connection.drain()
    await net.release(A)
    net.server.turn()
    await settled()
    assert not net.client.is_leaving
    net.own(A).says(OK + b"+QUEUED\r\n")
    await settled()
    assert net.client.sent.startswith(OK)
    assert net.client.is_leaving
    await net.end()


async def test_a_client_that_sends_no_more_has_its_blocking_command_sent() -> None:
    net = await Net().opened()
    await net.send(get(A) + blpop(A))
    assert net.connection.eof_received()
    net[A].says(NULL)
    await settled()
    assert net.own(A).sent == blpop(A)
    assert net.own(A).finished
    net.own(A).says(b"*-1\r\n")
    await settled()
    assert net.client.sent == NULL + b"*-1\r\n"
    assert net.client.is_leaving
    await net.end()
