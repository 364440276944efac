"""The trunks of a process: how they are opened, who takes which, and what a failed dial costs."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from proxy.resp.encode import command
from proxy.session import Opening
from proxy.upstream.link import UpstreamError
from proxy.upstream.trunks import PasswordWantedError
from tests.upstream.fakes import GET, HELLO, NO_SETINFO, OK, Net, settled

SETINFO = command(b"CLIENT", b"SETINFO", b"LIB-NAME", b"flask-cache-proxy")
NO_HELLO = b"-ERR unknown command 'HELLO'\r\n"
NOAUTH = b"-NOAUTH HELLO must be called with the client already authenticated\r\n"
LOGIN = (Opening(b"AUTH", "Redis refused the login"), Opening(b"SELECT", "Redis refused the database"))


@pytest.fixture
async def net() -> Net:
    return Net()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class TestOpening:
    async def test_the_first_client_opens_a_trunk(self, net: Net) -> None:
        a = await net.owner()
        assert net[0].sent == [command(b"HELLO", b"2") + SETINFO]
        assert (a.link.greeting, a.link.knows_setinfo, a.link.protocol) == (HELLO[2], False, 2)
        assert net.trunks.open() == {2: 1, 3: 0}
        assert (net.trunks.counts.dials, net.trunks.counts.deaths) == (1, 0)

    async def test_later_clients_share_it(self, net: Net) -> None:
        await net.owners(5)
        assert len(net.dialer.transports) == 1

    async def test_clients_that_come_together_wait_for_one_dial(self, net: Net) -> None:
        await asyncio.gather(*(net.owner() for _ in range(5)))
        assert len(net.dialer.transports) == 1

    async def test_the_server_knows_setinfo(self, net: Net) -> None:
        net.dialer.answers[2] = HELLO[2] + OK
        assert (await net.owner()).link.knows_setinfo

    async def test_the_proxy_logs_in_first(self, net: Net) -> None:
        net.dialer.openings = LOGIN
        net.dialer.answers[2] = OK + OK + HELLO[2] + NO_SETINFO
        await net.owner()
        assert net[0].sent == [b"AUTHSELECT" + command(b"HELLO", b"2") + SETINFO]

    async def test_each_protocol_has_trunks_of_its_own(self, net: Net) -> None:
        a, b = await net.owner(2), await net.owner(3)
        assert net[1].sent == [command(b"HELLO", b"3") + SETINFO]
        assert (b.link.greeting, b.link.protocol) == (HELLO[3], 3)
        a.ask()
        b.ask()
        net[1].says(b"_\r\n")
        net[0].says(OK)
        assert (a.got, b.got) == (OK, b"_\r\n")

    async def test_an_old_server_without_hello_serves_resp2(self, net: Net) -> None:
        net.dialer.answers[2] = NO_HELLO + NO_SETINFO
        assert (await net.owner()).link.greeting == NO_HELLO

    async def test_resp3_that_is_refused_gives_a_link_of_resp2(self, net: Net) -> None:
        net.dialer.answers[3] = NO_HELLO + NO_SETINFO
        a, b = await net.owner(3), await net.owner(3)
        for owner in (a, b):
            assert (owner.link.greeting, owner.link.protocol) == (NO_HELLO, 2)
        a.ask()
        await settled()
        assert [transport.aborted for transport in net.dialer.transports] == [True, False]
        assert net[1].requests == [GET]
        assert (net.trunks.counts.deaths, net.trunks.counts.failures) == (0, 0)

    async def test_resp3_that_is_refused_is_tried_again_later(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        net.dialer.answers[3] = NO_HELLO + NO_SETINFO
        await net.owner(3)
        net.dialer.answers[3] = HELLO[3] + OK
        loop = asyncio.get_running_loop()
        now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now + 11)
        assert (await net.owner(3)).link.protocol == 3

    @pytest.mark.parametrize("answer", [NOAUTH + NO_SETINFO, NO_HELLO + b"-NOAUTH Authentication required.\r\n"])
    async def test_a_password_that_the_proxy_lacks_says_what_to_do(self, net: Net, answer: bytes) -> None:
        net.dialer.answers[2] = answer
        with pytest.raises(UpstreamError) as caught:
            await net.owner()
        assert str(caught.value) == str(PasswordWantedError("redis:6379"))
        assert 'upstream.connections = "per-client"' in str(caught.value)
        assert net[0].aborted

    @pytest.mark.parametrize(
        ("openings", "answer", "reason"),
        [
            (LOGIN, b"-WRONGPASS no\r\n" + NOAUTH * 3, "Redis refused the login: WRONGPASS no"),
            (LOGIN, OK + b"-ERR no db\r\n" + HELLO[2] + OK, "Redis refused the database: ERR no db"),
            (LOGIN, b"$2\r\nOK\r\n" + OK + HELLO[2] + OK, "Redis refused the login: Redis sent an unexpected answer"),
            ((), b">2\r\n$2\r\nid\r\n:1\r\n" + OK, "Redis at redis:6379 sent an unexpected answer to HELLO"),
            ((), b"$5\r\nhello\r\n" + OK, "Redis at redis:6379 sent an unexpected answer to HELLO"),
            ((), b"+OK\r\n" + OK, "Redis at redis:6379 sent an unexpected answer to HELLO"),
            ((), HELLO[2] * 2, "Redis at redis:6379 sent an unexpected answer to CLIENT SETINFO"),
            (LOGIN[1:], NOAUTH + HELLO[2] + OK, str(PasswordWantedError("redis:6379"))),
            ((), HELLO[2] + OK + OK, "the server at redis:6379 is not a Redis: it sent bytes behind its first replies"),
            ((), b"HTTP/1.1 400\r\n\r\n", "the server at redis:6379 is not a Redis: it sent a header without a number"),
            ((), b"x" * 70_000, "Redis hangs up"),
        ],
    )
    async def test_other_answers_fail_the_dial(
        self, net: Net, openings: tuple[Opening, ...], answer: bytes, reason: str
    ) -> None:
        net.dialer.openings, net.dialer.answers[2] = openings, answer
        with pytest.raises(UpstreamError) as caught:
            await net.owner()
        assert str(caught.value) == reason
        assert net[0].aborted
        assert net.trunks.open()[2] == 0
        assert net.trunks.counts.failures == 1

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (b"", "Redis hangs up"),
            (HELLO[2], "Redis at redis:6379 closed the connection before it answered"),
            (b"-ERR max number of clients reached\r\n", "Redis at redis:6379 says: ERR max number of clients reached"),
        ],
    )
    async def test_a_server_that_closes_fails_the_dial(self, net: Net, said: bytes, reason: str) -> None:
        net.dialer.answers[2] = said
        waiting = asyncio.ensure_future(net.owner())
        await settled()
        net[0].lose()
        with pytest.raises(UpstreamError) as caught:
            await waiting
        assert str(caught.value) == reason

    async def test_a_server_that_does_not_answer_fails_the_dial(self, net: Net) -> None:
        net.dialer.answers[2] = HELLO[2]
        net.dialer.timeout = 0.001
        with pytest.raises(UpstreamError, match=r"Redis at redis:6379 has not answered in 0\.001 s"):
            await net.owner()
        assert net[0].aborted

    async def test_a_defect_fails_the_dial(self, net: Net, caplog: pytest.LogCaptureFixture) -> None:
        net.dialer.openings = (None,)  # type: ignore[assignment]
        with pytest.raises(UpstreamError, match="a defect of the proxy"):
            await net.owner()
        assert "dial a shared connection failed" in caplog.text

    async def test_all_clients_that_wait_get_the_error(self, net: Net) -> None:
        net.dialer.fault = "cannot reach Redis"
        ends = await asyncio.gather(*(net.owner() for _ in range(3)), return_exceptions=True)
        assert [str(end) for end in ends] == ["cannot reach Redis"] * 3
        assert net.trunks.counts.dials == 1
        net.dialer.fault = ""
        await net.owner()

    async def test_a_client_that_leaves_before_costs_the_others_nothing(self, net: Net) -> None:
        net.dialer.held = asyncio.Event()
        first, second = (asyncio.ensure_future(net.owner()) for _ in range(2))
        await settled()
        first.cancel()
        await settled()
        net.dialer.held.set()
        assert (await second).link.protocol == 2


class TestChoice:
    async def test_a_busy_trunk_brings_another(self) -> None:
        net = Net(size=3)
        a, b, c = await net.owners(3)
        a.ask()
        b.ask()  # the first one is busy, and the only one
        await settled()
        c.ask()
        await settled()
        assert [transport.requests for transport in net.dialer.transports[:2]] == [[GET + GET], [GET]]

    async def test_there_are_never_more_than_so_many(self) -> None:
        net = Net(size=2)
        owners = await net.owners(10)
        for _ in range(3):
            for owner in owners:
                owner.ask()
            await settled()
        assert len(net.dialer.transports) == 2

    async def test_an_idle_client_takes_the_least_busy(self) -> None:
        net = Net(size=2)
        a, b, c = await net.owners(3)
        a.ask(GET, GET, GET)
        b.ask()
        await settled()
        c.ask(GET, GET)  # on the second one
        net[0].says(OK * 4)
        b.ask(GET, GET, GET)  # on the first one, which is idle
        a.ask()  # the second one owes fewer
        await settled()
        assert [b"".join(transport.requests) for transport in net.dialer.transports] == [GET * 7, GET * 3]

    async def test_a_client_with_something_outstanding_stays(self) -> None:
        net = Net(size=2)
        a, b = await net.owners(2)
        a.ask(GET, GET, GET)
        b.ask()
        await settled()
        a.ask()
        net[0].says(OK * 2)
        a.ask()
        await settled()
        assert net[1].requests == []

    async def test_dropped_replies_count_as_busy(self) -> None:
        net = Net(size=2)
        a, b = await net.owners(2)
        a.ask(GET, GET)
        b.ask()
        await settled()
        a.link.abort()
        c = await net.owner()
        c.ask()
        await settled()
        assert net[1].requests == [GET]


class TestDyingAndDialling:
    async def test_a_trunk_that_has_died_is_dialled_when_it_is_needed(self, net: Net) -> None:
        a, b = await net.owners(2)
        net[0].lose()
        await settled()
        assert len(net.dialer.transports) == 1
        a.ask()
        b.ask(GET, GET)
        await settled()
        assert net[1].requests == [GET * 3]
        net[1].says(OK * 3)
        assert (a.got, b.got, a.lost, b.lost) == (OK, OK * 2, 0, 0)

    async def test_requests_that_wait_are_lost_if_the_dial_fails(
        self, net: Net, caplog: pytest.LogCaptureFixture
    ) -> None:
        a, b, c = await net.owners(3)
        net[0].lose()
        net.dialer.fault = "cannot reach Redis"
        a.ask()
        c.ask()
        c.link.abort()
        await settled()
        assert [owner.lost for owner in (a, b, c)] == [1, 0, 1]
        assert warnings(caplog) == ["a shared connection: cannot reach Redis; it had requests of 1 clients"]
        net.dialer.fault = ""
        b.ask()
        await settled()
        assert net[1].requests == [GET]

    async def test_many_requests_that_wait_fill_the_trunk(self, net: Net) -> None:
        a, b = await net.owners(2)
        net[0].lose()
        net.dialer.held = asyncio.Event()
        large = command(b"SET", b"a", b"x" * 600_000)
        b.ask()
        a.ask(large)
        assert a.full == []
        a.ask(large)
        assert a.full == b.full == [True]
        net.dialer.held.set()
        await settled()
        assert a.full == b.full == [True, False]
        assert net[1].requests == [GET + large + large]

    async def test_all_clients_whose_requests_filled_it_are_lost(self, net: Net) -> None:
        a, b = await net.owners(2)
        net[0].lose()
        net.dialer.fault = "cannot reach Redis"
        b.ask()
        a.ask(*[command(b"SET", b"a", b"x" * 600_000)] * 2)
        await settled()
        assert (a.full, b.full, a.lost, b.lost) == ([True], [True], 1, 1)

    async def test_another_trunk_that_cannot_be_dialled_costs_no_client(self, caplog: pytest.LogCaptureFixture) -> None:
        net = Net(size=2)
        a, b = await net.owners(2)
        net.dialer.fault = "cannot reach Redis"
        for _ in range(3):
            a.ask()
            b.ask()
            await settled()
            net[0].says(OK * 2)
        assert (a.got, b.got) == (OK * 3, OK * 3)
        assert net.trunks.counts.dials == 2  # a further one has time
        assert warnings(caplog) == ["a shared connection: cannot reach Redis; it had requests of 0 clients"]

    async def test_the_greeting_is_that_of_the_last_dial(self, net: Net) -> None:
        await net.owner()
        net[0].lose()
        net.dialer.answers[2] = NO_HELLO + OK
        b = await net.owner()
        assert (b.link.greeting, b.link.knows_setinfo) == (NO_HELLO, True)

    async def test_a_server_that_has_moved_is_left(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.ask()
        net.trunks.drop()
        assert net[0].aborted
        await settled()
        assert (a.lost, b.lost) == (1, 0)
        b.ask()
        await settled()
        assert net[1].requests == [GET]

    async def test_a_server_that_moves_during_a_dial_is_left(self, net: Net) -> None:
        net.dialer.held = asyncio.Event()
        waiting = asyncio.ensure_future(net.owner())
        await settled()
        net.trunks.drop()
        net.dialer.held.set()
        with pytest.raises(UpstreamError, match="Redis hangs up"):
            await waiting
        assert net[0].aborted

    async def test_nobody_waits_for_the_dial_of_a_server_that_has_moved(self) -> None:
        """It may take as long as `limits.connect_timeout`: the old server's machine may be gone."""
        net = Net(size=2)
        idle = await net.owner()
        net[0].lose()
        net.dialer.held = asyncio.Event()
        waiting = asyncio.ensure_future(net.owner())  # dials the old server
        await settled()
        net.trunks.drop()
        old, net.dialer.held = net.dialer.held, None
        fresh = await net.owner()
        idle.ask()
        await settled()
        assert net[1].requests == [GET]
        net[1].says(OK)
        assert (idle.got, idle.lost) == (OK, 0)
        fresh.ask()
        idle.ask()
        await settled()
        assert len(net.dialer.transports) == 3  # the dial that has no end is none of the two
        old.set()
        with pytest.raises(UpstreamError, match="Redis hangs up"):
            await waiting
        assert [transport.aborted for transport in net.dialer.transports] == [True, False, False, True]
        assert net.trunks.open() == {2: 2, 3: 0}

    async def test_a_server_that_moves_as_it_answers_is_left(self, net: Net) -> None:
        net.dialer.answers[2] = b""
        waiting = asyncio.ensure_future(net.owner())
        await settled()
        net[0].says(HELLO[2] + OK)
        net.trunks.drop()
        with pytest.raises(UpstreamError, match="Redis at redis:6379 closed the connection"):
            await waiting
        await settled()
        assert net.trunks.open()[2] == 0
        net.dialer.answers[2] = HELLO[2] + OK
        await net.owner()
        assert net.trunks.open()[2] == 1


class TestTheEnd:
    async def test_it_waits_until_all_are_closed(self) -> None:
        net = Net(size=2)
        a, b, c = await net.owner(), await net.owner(), await net.owner(3)
        for owner in (a, b, c):
            owner.ask()
        await settled()
        assert len(net.dialer.transports) == 3
        await net.trunks.end()
        assert all(transport.lost for transport in net.dialer.transports)
        assert net.trunks.counts.deaths == 0

    async def test_a_dial_under_way_ends(self, net: Net) -> None:
        net.dialer.held = asyncio.Event()
        waiting = asyncio.ensure_future(net.owner())
        await settled()
        await net.trunks.end()
        with pytest.raises(UpstreamError):
            await waiting

    async def test_an_opening_under_way_ends(self, net: Net) -> None:
        net.dialer.answers[2] = b""
        waiting = asyncio.ensure_future(net.owner())
        await settled()
        await net.trunks.end()
        assert net[0].lost
        with pytest.raises(UpstreamError):
            await waiting

    @pytest.mark.parametrize("ends", ["by the end", "by an error"])
    async def test_it_does_not_wait_for_a_dial_that_ends_when_it_has_succeeded(
        self, net: Net, ends: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then uvloop closes the connection without a word."""
        connect, held = net.dialer.connect, asyncio.Event()

        async def connect_and_wait(factory: Callable[[], object]) -> None:
            await connect(factory)
            monkeypatch.setattr(net[0], "abort", lambda: None)
            await held.wait()
            raise UpstreamError("no answer in time")

        monkeypatch.setattr(net.dialer, "connect", connect_and_wait)
        waiting = asyncio.ensure_future(net.owner())
        await settled()
        if ends == "by an error":
            held.set()
            await asyncio.wait([waiting])
        await net.trunks.end()
        with pytest.raises(UpstreamError):
            await waiting
        assert net.trunks.open() == {2: 0, 3: 0}

    async def test_nothing_is_dialled_after_it(self, net: Net) -> None:
        a = await net.owner()
        await net.trunks.end()
        a.ask()
        await settled()
        assert len(net.dialer.transports) == 1
        with pytest.raises(UpstreamError):
            await net.owner()

    async def test_without_trunks_it_ends_at_once(self, net: Net) -> None:
        await net.trunks.end()
