"""Trunks to the nodes of a cluster: for each node its own, made when needed, and closed when the node has left."""

import asyncio
import logging

import pytest

from proxy.resp.encode import command
from proxy.session import Opening
from proxy.upstream.link import Greeting, UpstreamError
from proxy.upstream.trunks import PasswordWantedError
from tests.upstream.fakes import GET, HELLO, NO_SETINFO, OK, NodeNet, settled

A, B, C = "a:1", "b:2", "c:3"
NO_HELLO = b"-ERR unknown command 'HELLO'\r\n"
NOAUTH = b"-NOAUTH HELLO must be called with the client already authenticated\r\n"
MISMATCH = "a:1 refuses RESP3, which another node speaks"


@pytest.fixture
async def net() -> NodeNet:
    return NodeNet()


class TestNodes:
    async def test_a_node_is_dialled_when_a_client_first_needs_it(self, net: NodeNet) -> None:
        assert dict(net.nodes.of) == {}
        await net.owner(A)
        assert list(net.nodes.of) == [A]
        assert [node for node, _ in net.trunks.by_node()] == [A]

    async def test_clients_share_the_trunk_of_a_node(self, net: NodeNet) -> None:
        a, b = await net.owner(A), await net.owner(A)
        a.ask()
        b.ask()
        await settled()
        assert [transport.requests for transport in net[A]] == [[GET + GET]]

    async def test_two_nodes_never_share_one(self, net: NodeNet) -> None:
        a, b = await net.owner(A), await net.owner(B)
        a.ask()
        b.ask()
        net[B][0].says(b"+b\r\n")
        net[A][0].says(b"+a\r\n")
        assert (a.got, b.got) == (b"+a\r\n", b"+b\r\n")
        assert (len(net[A]), len(net[B])) == (1, 1)

    async def test_each_node_has_so_many(self) -> None:
        net = NodeNet(size=2)
        owners = [await net.owner(node) for node in (A, A, A, B)]
        for _ in range(3):
            for owner in owners:
                owner.ask()
            await settled()
        assert (len(net[A]), len(net[B])) == (2, 1)

    async def test_the_proxy_logs_in_to_each_node(self, net: NodeNet) -> None:
        net.nodes.openings = (Opening(b"AUTH", "Redis refused the login"),)
        for node in (A, B):
            net.nodes.of[node].answers[2] = OK + HELLO[2] + NO_SETINFO
            await net.owner(node)
            assert net[node][0].sent[0].startswith(b"AUTH" + command(b"HELLO", b"2"))

    async def test_a_trunk_that_ends_costs_only_the_clients_of_its_node(
        self, net: NodeNet, caplog: pytest.LogCaptureFixture
    ) -> None:
        a, b = await net.owner(A), await net.owner(B)
        a.ask()
        b.ask()
        await settled()
        net[A][0].lose()
        await settled()
        assert (a.lost, b.lost) == (1, 0)
        assert caplog.messages == [
            "a shared connection to Redis at a:1 ended (Redis closed it), with requests of 1 clients"
        ]

    async def test_a_node_that_cannot_be_dialled_costs_the_others_nothing(self, net: NodeNet) -> None:
        net.nodes.of[A].fault = "cannot reach Redis at a:1"
        with pytest.raises(UpstreamError, match="cannot reach Redis at a:1"):
            await net.owner(A)
        with pytest.raises(UpstreamError, match="cannot reach Redis at a:1"):
            await net.trunks.greeting(A)
        await net.owner(B)
        net.nodes.of[A].fault = ""
        await net.owner(A)

    async def test_a_node_that_closes_before_it_answers_is_named(self, net: NodeNet) -> None:
        net.nodes.of[A].answers[2] = b""
        waiting = asyncio.ensure_future(net.owner(A))
        await settled()
        net[A][0].lose()
        with pytest.raises(UpstreamError, match="Redis at a:1 closed the connection before it answered"):
            await waiting

    async def test_a_node_that_does_not_answer_is_named(self, net: NodeNet) -> None:
        net.nodes.of[A].answers[2] = b""
        net.nodes.timeout = 0.001  # type: ignore[misc]
        with pytest.raises(UpstreamError, match=r"Redis at a:1 has not answered in 0\.001 s"):
            await net.owner(A)

    async def test_a_password_that_the_proxy_lacks_says_what_to_do(self, net: NodeNet) -> None:
        net.nodes.of[A].answers[2] = NOAUTH + NO_SETINFO
        for asked in (net.owner(A), net.trunks.greeting(A)):
            with pytest.raises(UpstreamError) as caught:
                await asked
            assert str(caught.value) == str(PasswordWantedError(A))
        assert all(transport.aborted for transport in net[A])


class TestGreeting:
    async def test_it_is_that_of_the_node(self, net: NodeNet) -> None:
        net.nodes.of[B].answers[3] = HELLO[3] + OK
        assert await net.trunks.greeting(A) == Greeting(HELLO[2], knows_setinfo=False)
        assert await net.trunks.greeting(B, 3) == Greeting(HELLO[3], knows_setinfo=True)

    async def test_it_opens_the_trunk_that_the_first_client_takes(self, net: NodeNet) -> None:
        await net.trunks.greeting(A)
        await net.owner(A)
        assert len(net[A]) == 1

    async def test_a_refusal_of_the_protocol_is_one(self, net: NodeNet) -> None:
        net.nodes.of[A].answers[3] = NO_HELLO + NO_SETINFO
        assert (await net.trunks.greeting(A, 3)).hello == NO_HELLO
        assert net.trunks.open() == {2: 0, 3: 0}

    async def test_a_link_of_a_refused_protocol_is_an_error_and_no_place(self, net: NodeNet) -> None:
        net.nodes.of[A].answers[3] = NO_HELLO + NO_SETINFO
        with pytest.raises(UpstreamError) as caught:
            await net.owner(A, 3)
        assert str(caught.value) == MISMATCH
        net.trunks.forget(())
        assert list(net.trunks.by_node()) == []  # nobody had a place
        await settled()


class TestForgetting:
    async def test_unused_trunks_of_nodes_that_have_left_are_closed(self, net: NodeNet) -> None:
        for node in (A, B):
            (await net.owner(node)).link.leave()
        net.trunks.forget((B, C))
        assert (net[A][0].aborted, net[B][0].aborted) == (True, False)
        assert [node for node, _ in net.trunks.by_node()] == [B]
        await settled()
        assert net.trunks.counts.deaths == 0

    async def test_trunks_that_clients_use_stay(self, net: NodeNet) -> None:
        a = await net.owner(A)
        net.trunks.forget((B,))
        a.ask()
        await settled()
        assert net[A][0].requests == [GET]
        a.link.leave()
        net.trunks.forget((B,))
        assert net[A][0].aborted

    async def test_a_client_that_finishes_still_uses_them(self, net: NodeNet) -> None:
        a = await net.owner(A)
        a.ask()
        a.link.finish()
        net.trunks.forget(())
        assert not net[A][0].aborted
        net[A][0].says(OK)
        assert a.got == OK
        net.trunks.forget(())
        assert net[A][0].aborted
        await settled()

    async def test_trunks_that_are_dialled_stay(self, net: NodeNet) -> None:
        net.nodes.of[A].held = asyncio.Event()
        waiting = asyncio.ensure_future(net.owner(A))
        await settled()
        net.trunks.forget(())
        net.nodes.of[A].held.set()
        (await waiting).ask()
        await settled()
        assert net[A][0].requests == [GET]

    async def test_trunks_that_a_client_is_about_to_use_stay(self, net: NodeNet) -> None:
        """The dial has ended, and the client has not been told yet."""
        waiting = asyncio.ensure_future(net.owner(A))
        for _ in range(20):
            await asyncio.sleep(0)
            if net.trunks.open()[2]:
                break
        assert not waiting.done()
        net.trunks.forget(())
        assert (await waiting).link.protocol == 2
        assert [node for node, _ in net.trunks.by_node()] == [A]
        assert len(net[A]) == 1

    async def test_a_node_that_comes_back_is_dialled_again(self, net: NodeNet) -> None:
        (await net.owner(A)).link.leave()
        net.trunks.forget(())
        a = await net.owner(A)
        a.ask()
        await settled()
        assert net[A][1].requests == [GET]


class TestAllTogether:
    async def test_counts_are_sums_also_of_nodes_that_have_left(self, net: NodeNet) -> None:
        net.nodes.of[C].fault = "cannot reach Redis"
        for node in (A, B):
            (await net.owner(node)).link.leave()
        with pytest.raises(UpstreamError):
            await net.owner(C)
        for _ in range(2):
            counts = net.trunks.counts
            assert (counts.dials, counts.failures, counts.deaths, counts.evictions) == (3, 1, 0, 0)
            net.trunks.forget(())
        await net.owner(A)
        assert net.trunks.counts.dials == 4

    async def test_a_client_that_does_not_read_is_counted(self, net: NodeNet, caplog: pytest.LogCaptureFixture) -> None:
        a = await net.owner(A)
        a.ask(GET, GET)
        a.link.pause()
        reply = b"$%d\r\n%s\r\n" % (900_000, b"x" * 900_000)
        net[A][0].says(reply + reply)
        assert len(a.evicted) == 1
        assert net.trunks.counts.evictions == 1
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        await settled()
        net.trunks.forget(())
        assert net.trunks.counts.evictions == 1

    async def test_open_ones_are_counted_by_protocol(self, net: NodeNet) -> None:
        assert net.trunks.open() == {2: 0, 3: 0}
        for node, protocol in ((A, 2), (B, 2), (B, 3)):
            await net.owner(node, protocol)
        assert net.trunks.open() == {2: 2, 3: 1}

    async def test_what_is_kept_for_a_client_changes_on_all_nodes(self, net: NodeNet) -> None:
        a = await net.owner(A)
        net.trunks.keep(4_000_000)
        b = await net.owner(B)
        reply = b"$%d\r\n%s\r\n" % (900_000, b"x" * 900_000)
        for node, owner in ((A, a), (B, b)):
            owner.ask(*[GET] * 4)
            owner.link.pause()
            net[node][0].says(reply * 4)
            assert owner.evicted == []
            owner.link.resume()
        await settled()
        assert a.got == b.got == reply * 4

    async def test_a_check_ends_the_trunks_that_are_silent(
        self, net: NodeNet, caplog: pytest.LogCaptureFixture
    ) -> None:
        a, b = await net.owner(A), await net.owner(B)
        a.ask()
        b.ask()
        await settled()
        net.trunks.check(2)
        net[B][0].says(OK)
        net.trunks.check(2)
        net.trunks.check(2)
        assert (net[A][0].aborted, net[B][0].aborted) == (True, False)
        await settled()
        assert (a.lost, b.lost) == (1, 0)
        assert net.trunks.counts.deaths == 1
        assert len(caplog.messages) == 1

    async def test_all_are_dropped(self, net: NodeNet) -> None:
        a, b = await net.owner(A), await net.owner(B)
        net.trunks.drop()
        assert net[A][0].aborted
        assert net[B][0].aborted
        await settled()
        a.ask()
        b.ask()
        await settled()
        assert net[A][1].requests == net[B][1].requests == [GET]


class TestTheEnd:
    async def test_all_are_closed(self, net: NodeNet) -> None:
        for node, protocol in ((A, 2), (B, 2), (B, 3)):
            (await net.owner(node, protocol)).ask()
        await settled()
        await net.trunks.end()
        assert all(transport.lost for node in (A, B) for transport in net[node])
        assert net.trunks.counts.deaths == 0

    async def test_nothing_is_dialled_after_it(self, net: NodeNet) -> None:
        await net.owner(A)
        await net.trunks.end()
        for asked in (net.owner(A), net.owner(B), net.trunks.greeting(A), net.trunks.greeting(B, 3)):
            with pytest.raises(UpstreamError, match="the proxy ends"):
                await asked
        assert (len(net[A]), len(net[B])) == (1, 0)

    async def test_those_who_wait_get_an_error(self, net: NodeNet) -> None:
        for node in (A, B):
            net.nodes.of[node].held = asyncio.Event()
        waiting = [asyncio.ensure_future(net.owner(A)), asyncio.ensure_future(net.trunks.greeting(B))]
        await settled()
        await net.trunks.end()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [UpstreamError] * 2

    async def test_without_trunks_it_ends_at_once(self, net: NodeNet) -> None:
        await net.trunks.end()
