"""A dial to a node ends early when it has just succeeded. Then uvloop closes the connection without a word."""

import asyncio

import pytest

from proxy.upstream.link import OwnLink, UpstreamError
from tests.downstream.fakes import settled
from tests.downstream.test_cluster_connection import A, B, FakeCluster, Net, get

_dial = FakeCluster.dial


async def connected_and(net_of: FakeCluster, link: OwnLink, node: str) -> None:
    await _dial(net_of, link, node)
    if node == A:
        net_of.nodes[A].abort = lambda: None  # type: ignore[method-assign]
        await net_of.held["then"]


async def test_a_client_that_leaves_then_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCluster, "dial", connected_and)
    net = Net()
    net.cluster.held["then"] = asyncio.get_running_loop().create_future()
    await net.opened()
    await net.send(get(A))
    assert net.cluster.open == 2
    net.connection.connection_lost(None)
    net[B].lose()
    await settled()
    assert net.server.closed_ == [net.connection]
    assert net.cluster.open == 0


async def test_a_dial_that_takes_too_long_then_costs_its_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCluster, "dial", connected_and)
    net = Net()
    net.cluster.held["then"] = asyncio.get_running_loop().create_future()
    await net.opened()
    await net.send(get(A))
    net.cluster.held["then"].set_exception(UpstreamError("no answer"))
    await settled()
    assert net.client.sent.startswith(b"-ERR flask-cache-proxy: no answer")
    assert net.cluster.open == 1


async def test_a_first_dial_that_takes_too_long_then_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next node becomes the home."""
    dialled: list[str] = []

    async def connected_and_late(net_of: FakeCluster, link: OwnLink, node: str) -> None:
        await _dial(net_of, link, node)
        dialled.append(node)
        if len(dialled) == 1:
            net_of.nodes[node].abort = lambda: None  # type: ignore[method-assign]
            raise UpstreamError("no answer")

    monkeypatch.setattr(FakeCluster, "dial", connected_and_late)
    net = Net()
    await net.opened()
    assert len(dialled) == 2
    assert net.cluster.open == 1
    await net.send(b"*1\r\n$4\r\nPING\r\n")
    assert net[dialled[1]].sent == b"*1\r\n$4\r\nPING\r\n"
