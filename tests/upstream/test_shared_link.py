"""A client's place on a trunk: what is sent, what is kept, who is closed, and how it ends."""

import asyncio
import logging

import pytest

from proxy.resp.encode import command
from proxy.upstream.link import SharedPlace
from proxy.upstream.trunk import FORGIVES, HALVINGS, PATIENCE
from tests.upstream.fakes import GET, OK, Net, Owner, settled

MIB = 1024 * 1024
PING = command(b"PING")


@pytest.fixture
async def net() -> Net:
    return Net()


def fails() -> None:
    raise ValueError


async def test_it_is_a_place_for_a_connection(net: Net) -> None:
    place: SharedPlace = (await net.owner()).link  # as the type checker sees it
    assert (place.protocol, place.is_head, place.is_closing) == (2, False, False)


class TestWriting:
    async def test_requests_of_a_turn_leave_in_one_write(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.ask(GET)
        b.ask(PING, GET)
        a.ask(PING)
        assert net[0].requests == []
        await settled()
        assert net[0].requests == [GET + PING + GET + PING]

    async def test_64_kib_leave_at_once(self, net: Net) -> None:
        a, b = await net.owners(2)
        large = command(b"SET", b"a", b"x" * 65_536)
        a.ask(PING)
        b.ask(large)
        assert net[0].requests == [PING + large]
        a.ask(PING)
        await settled()
        assert net[0].requests == [PING + large, PING]

    @pytest.mark.parametrize(
        ("data", "owed"),
        [(GET, 2), (GET, 0), (GET + PING, 1), (GET[:-1], 1), (GET + b"*", 1), (b"", 1), (b"PING\r\n", 1)],
    )
    async def test_bytes_that_are_not_as_many_whole_requests_end_only_that_client(
        self, net: Net, data: bytes, owed: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        a, b = await net.owners(2)
        b.ask()
        if owed:
            a.owed.append(None, owed)
        a.link.write(data)
        assert a.lost == 0
        await settled()
        assert (a.lost, b.lost) == (1, 0)
        assert net[0].requests == [GET]
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "a defect" in caplog.text

    async def test_no_request_is_no_write(self, net: Net) -> None:
        a = await net.owner()
        a.link.write(b"")
        await settled()
        assert (net[0].requests, a.link.is_closing) == ([], False)

    async def test_replies_that_the_session_has_taken_count_as_asked(self, net: Net) -> None:
        a = await net.owner()
        a.ask(GET, GET)
        net[0].says(OK)
        a.owed.take()
        a.ask(PING)
        net[0].says(OK + OK)
        assert (a.got, a.link.outstanding) == (OK * 3, 0)

    async def test_nothing_is_sent_after_the_end(self, net: Net) -> None:
        a, b = await net.owners(2)
        b.ask()
        a.link.close()
        a.ask()
        b.link.finish()
        b.ask()
        await settled()
        assert net[0].requests == [GET]


class TestReplies:
    async def test_each_client_gets_its_own(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.ask(GET, GET)
        b.ask()
        a.ask()
        net[0].says(b":1\r\n:2\r\n:3\r\n:4\r\n")
        assert (a.parts, b.parts) == ([b":1\r\n:2\r\n", b":4\r\n"], [b":3\r\n"])

    async def test_a_large_reply_comes_in_parts(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.ask()
        b.ask()
        net[0].says(b"$6\r\nabc")
        assert (a.got, a.link.outstanding) == (b"$6\r\nabc", 1)
        net[0].says(b"def\r\n:1\r\n")
        assert (a.got, a.link.outstanding, b.got) == (b"$6\r\nabcdef\r\n", 0, b":1\r\n")

    async def test_the_client_at_the_head_is_known(self, net: Net) -> None:
        a, b = await net.owners(2)
        assert (a.link.is_head, b.link.is_head) == (False, False)
        a.ask()
        b.ask()
        assert (a.link.is_head, b.link.is_head) == (True, False)
        net[0].says(OK)
        assert (a.link.is_head, b.link.is_head) == (False, True)

    async def test_a_client_may_ask_while_it_gets_a_reply(self, net: Net) -> None:
        a = await net.owner()
        a.on_part = lambda: a.ask(PING) if len(a.parts) == 1 else None
        a.ask()
        await settled()
        net[0].says(OK)
        await settled()
        assert net[0].requests == [GET, PING]
        net[0].says(OK)
        assert a.parts == [OK, OK]

    async def test_a_client_that_fails_ends_alone(self, net: Net, caplog: pytest.LogCaptureFixture) -> None:
        a, b = await net.owners(2)

        a.on_part = fails
        a.ask(GET, GET)
        b.ask()
        net[0].says(OK * 3)
        await settled()
        assert (a.lost, b.lost, b.got) == (1, 0, OK)
        assert "ValueError" in caplog.text


class TestPausing:
    async def test_replies_are_kept_while_paused(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.link.pause()
        a.ask(GET, GET)
        b.ask()
        net[0].says(OK * 3)
        assert (a.got, b.got, a.link.unsent) == (b"", OK, 2 * len(OK))
        a.link.resume()
        assert a.got == b""  # not from inside `resume`
        await settled()
        assert (a.got, a.link.unsent) == (OK * 2, 0)

    async def test_later_replies_wait_behind_those_that_are_kept(self, net: Net) -> None:
        a = await net.owner()
        a.link.pause()
        a.ask(GET, GET)
        net[0].says(b":1\r\n")
        a.link.resume()
        net[0].says(b":2\r\n")
        assert a.got == b""
        await settled()
        assert a.got == b":1\r\n:2\r\n"

    async def test_kept_replies_come_in_turns_and_stop_when_it_pauses_again(self, net: Net) -> None:
        a = await net.owner()
        reply = b"$%d\r\n%b\r\n" % (MIB - 100, b"x" * (MIB - 100))
        a.link.pause()
        a.ask()
        net[0].says(reply)
        a.on_part = a.link.pause
        a.link.resume()
        await settled()
        assert len(a.parts) == 1
        assert a.got == reply[: len(a.got)] != reply
        a.link.resume()
        await settled()
        assert (a.got, len(a.parts)) == (reply, 2)

    async def test_a_pause_before_the_turn_keeps_them(self, net: Net) -> None:
        a = await net.owner()
        a.link.pause()
        a.ask()
        net[0].says(OK)
        a.link.resume()
        a.link.pause()
        await settled()
        assert a.got == b""
        a.link.resume()
        await settled()
        assert a.got == OK

    async def test_a_client_that_fails_at_kept_replies_ends(self, net: Net, caplog: pytest.LogCaptureFixture) -> None:
        a = await net.owner()
        a.link.pause()
        a.ask()
        net[0].says(OK)
        a.on_part = fails
        a.link.resume()
        await settled()
        assert (a.lost, a.link.is_closing) == (1, True)
        assert "ValueError" in caplog.text

    async def test_a_client_that_does_not_read_is_closed(self, net: Net, caplog: pytest.LogCaptureFixture) -> None:
        a, b = await net.owners(2)
        a.link.pause()
        reply = b"$500000\r\n%b\r\n" % (b"x" * 500_000)
        a.ask(GET, GET, GET)
        b.ask()
        net[0].says(reply * 2)
        assert a.evicted == []
        net[0].says(reply)
        assert len(a.evicted) == 1
        assert a.evicted[0].endswith("([limits] buffered_bytes)")
        assert caplog.messages == [f"[7] {a.evicted[0]}"]
        net[0].says(OK)
        await settled()
        assert (a.lost, a.got, b.got, b.lost) == (1, b"", OK, 0)
        assert net.trunks.counts.evictions == 1

    async def test_buffered_bytes_say_how_much_is_kept(self, net: Net) -> None:
        net.trunks.keep(3 * MIB)
        a = await net.owner()
        a.link.pause()
        a.ask(*[GET] * 4)
        reply = b"$%d\r\n%b\r\n" % (MIB - 20, b"x" * (MIB - 20))
        net[0].says(reply * 3)
        assert a.evicted == []
        net[0].says(reply)
        assert len(a.evicted) == 1


class Clock:
    """The time of the loop, under the test's control. Timers run when it passes them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now)

    async def passes(self, seconds: float) -> None:
        self._now += seconds
        await settled()


LARGE = b"$%d\r\n" % (10 * MIB)


class TestHolding:
    async def held(self, net: Net) -> tuple[Owner, Owner]:
        """Two clients. The first one has paused within a large reply, and the trunk waits for it."""
        a, b = await net.owners(2)
        a.ask()
        b.ask()
        a.link.pause()
        net[0].says(LARGE + b"x" * MIB)
        return a, b

    async def test_a_large_reply_holds_the_trunk(self, net: Net) -> None:
        a, b = await self.held(net)
        assert not net[0].reads
        assert (a.evicted, b.lost) == ([], 0)

    async def test_a_reply_that_others_are_before_does_not(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.ask(GET, GET)
        b.ask()
        a.link.pause()
        net[0].says((b"$700000\r\n%b\r\n" % (b"x" * 700_000)) * 2)
        assert net[0].reads
        assert len(a.evicted) == 1

    async def test_the_end_of_a_large_reply_closes_nobody(self, net: Net) -> None:
        net.trunks.keep(2 * MIB)
        a, b = await net.owners(2)
        a.ask()
        b.ask()
        a.link.pause()
        reply = b"$%d\r\n%b\r\n" % (2 * MIB, b"x" * 2 * MIB)
        net[0].says(reply[: 2 * MIB - 1000])
        net[0].says(reply[2 * MIB - 1000 :] + OK)
        assert (a.evicted, b.got) == ([], OK)
        a.link.resume()
        await settled()
        assert a.got == reply

    async def test_reading_goes_on_once_the_client_takes_it(self, net: Net) -> None:
        a, b = await self.held(net)
        a.link.resume()
        await settled()
        assert net[0].reads
        net[0].says(b"x" * 9 * MIB + b"\r\n" + OK)
        assert (len(a.got), b.got, a.evicted) == (len(LARGE) + 10 * MIB + 2, OK, [])

    async def test_a_turn_may_bring_more_than_the_client_takes_in_one(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.ask()
        b.ask()
        a.link.pause()
        net[0].says(LARGE + b"x" * (MIB - 1000))
        a.link.resume()
        net[0].says(b"x" * 8 * MIB)
        assert not net[0].reads
        a.link.pause()
        a.link.resume()
        await settled()
        net[0].says(b"x" * (MIB + 1000) + b"\r\n" + OK)
        await settled()
        assert (len(a.got), b.got, a.evicted) == (len(LARGE) + 10 * MIB + 2, OK, [])

    async def test_it_ends_after_a_second(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock(monkeypatch)
        a, b = await self.held(net)
        await clock.passes(PATIENCE + 0.1)
        assert net[0].reads
        assert a.lost == 1
        assert "[upstream] connections" in a.evicted[0]
        net[0].says(b"x" * 9 * MIB + b"\r\n" + OK)
        assert (b.got, b.lost) == (OK, 0)
        assert net.trunks.counts.evictions == 1

    async def test_the_second_is_for_all_holds_together(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock(monkeypatch)
        a, _ = await self.held(net)
        for _ in range(2):
            await clock.passes(PATIENCE * 0.45)
            assert a.evicted == []
            a.link.resume()
            await settled()
            a.link.pause()
            net[0].says(b"x" * (MIB + 1))
            assert not net[0].reads
        await clock.passes(PATIENCE * 0.15)
        assert len(a.evicted) == 1

    async def may_hold(self, net: Net, clock: Clock, seconds: float) -> None:
        """A client holds the trunk for about so long, and is closed then. Then Redis sends the rest."""
        a, b = await self.held(net)
        await clock.passes(seconds * 0.95)
        assert (a.evicted, b.got) == ([], b"")
        await clock.passes(seconds * 0.25)
        assert f"for {seconds * 1.2:.2g} s" in a.evicted[0]
        net[0].says(b"x" * 9 * MIB + b"\r\n" + OK)
        assert b.got == OK

    async def test_each_that_is_closed_halves_the_time_of_the_next(
        self, net: Net, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        for halvings in (0, 1, 2, 3, 4, 4, 4):
            await self.may_hold(net, clock, PATIENCE / 2**halvings)

    @pytest.mark.parametrize("halvings", range(1, HALVINGS + 1))
    async def test_the_time_comes_back(self, net: Net, monkeypatch: pytest.MonkeyPatch, halvings: int) -> None:
        clock = Clock(monkeypatch)
        for number in range(halvings):
            await self.may_hold(net, clock, PATIENCE / 2**number)
        await clock.passes((halvings - 1) * FORGIVES)
        await self.may_hold(net, clock, PATIENCE / 2)
        await clock.passes(3 * FORGIVES)
        await self.may_hold(net, clock, PATIENCE)

    async def test_who_takes_it_in_time_costs_the_next_nothing(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock(monkeypatch)
        for _ in range(3):
            a, b = await self.held(net)
            await clock.passes(PATIENCE - 0.1)
            a.link.resume()
            await settled()
            net[0].says(b"x" * 9 * MIB + b"\r\n" + OK)
            assert (a.evicted, b.got) == ([], OK)

    async def test_time_for_which_the_proxy_is_behind_does_not_count(
        self, net: Net, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        a, b = await net.owners(2)
        a.is_unread = False
        a.ask()
        b.ask()
        a.link.pause()
        net[0].says(LARGE + b"x" * MIB)
        for _ in range(10):
            await clock.passes(PATIENCE)
        assert (net[0].reads, a.evicted, a.link.held) == (False, [], 0)
        a.is_unread = True
        await clock.passes(PATIENCE / 2)  # it is seen at the end of this
        for _ in range(9):
            await clock.passes(PATIENCE / 10)
        assert a.evicted == []
        await clock.passes(PATIENCE / 5)
        assert (net[0].reads, len(a.evicted)) == (True, 1)

    async def test_small_replies_hold_it_while_the_proxy_is_behind(self, net: Net) -> None:
        a, b = await net.owners(2)
        a.is_unread = False
        a.link.pause()
        a.ask(*[GET] * 4)
        b.ask()
        reply = b"$500000\r\n%b\r\n" % (b"x" * 500_000)
        net[0].says(reply * 3 + b"$500000\r\n")
        assert (net[0].reads, a.evicted) == (False, [])
        a.link.resume()
        await settled()
        assert net[0].reads
        net[0].says(reply[9:] + OK)
        assert (a.got, b.got, a.evicted) == (reply * 4, OK, [])

    async def test_a_client_with_nothing_outstanding_begins_anew(
        self, net: Net, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        a, _ = await self.held(net)
        await clock.passes(PATIENCE * 0.9)
        a.link.resume()
        await settled()
        net[0].says(b"x" * 9 * MIB + b"\r\n" + OK)
        a.ask()
        assert a.link.held == 0

    async def test_a_client_that_leaves_lets_go(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock(monkeypatch)
        a, _ = await self.held(net)
        a.link.abort()
        assert net[0].reads
        await clock.passes(PATIENCE + 1)
        assert (a.evicted, a.lost) == ([], 1)

    async def test_the_watchdog_does_not_count_it(self, net: Net) -> None:
        await self.held(net)
        for _ in range(5):
            net.trunks.check(2)
        assert not net[0].aborted

    async def test_a_trunk_that_ends_meanwhile_ends_it(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock(monkeypatch)
        a, b = await self.held(net)
        net[0].lose()
        await clock.passes(PATIENCE + 1)
        assert (a.lost, b.lost, a.evicted) == (1, 1, [])


class TestFullness:
    async def test_all_links_of_a_full_trunk_are_told(self, net: Net) -> None:
        a, b = await net.owners(2)
        net[0].trunk.pause_writing()
        net[0].trunk.resume_writing()
        assert a.full == b.full == [True, False]

    async def test_a_link_is_told_when_it_comes_to_one(self) -> None:
        net = Net(size=2)
        a, b = await net.owners(2)
        a.ask()
        b.ask()  # both are busy, so there is a second one
        await settled()
        assert len(net.dialer.transports) == 2
        net[0].trunk.pause_writing()
        net[1].trunk.pause_writing()
        assert a.full == b.full == [True]
        net[0].says(OK * 2)
        net[1].trunk.resume_writing()
        a.ask()
        assert a.full == [True, False]

    async def test_a_full_trunk_is_avoided(self) -> None:
        net = Net(size=2)
        a, b, c = await net.owners(3)
        a.ask()
        b.ask()
        await settled()
        net[1].trunk.pause_writing()
        c.ask()
        await settled()
        assert b"".join(net[0].requests) == GET * 3

    async def test_a_trunk_that_ends_is_not_full_any_more(self, net: Net) -> None:
        a = await net.owner()
        net[0].trunk.pause_writing()
        net[0].lose()
        assert (a.full, a.lost) == ([True, False], 0)


class TestTheEnd:
    @pytest.mark.parametrize("way", ["close", "abort"])
    async def test_what_it_is_owed_is_dropped(self, net: Net, way: str) -> None:
        a, b = await net.owners(2)
        a.ask(GET, GET)
        b.ask()
        getattr(a.link, way)()
        assert (a.link.is_closing, a.lost) == (True, 0)  # not from inside
        await settled()
        assert a.lost == 1
        assert net[0].requests == [GET * 3]
        net[0].says(b"$3\r\nab")
        net[0].says(b"c\r\n" + OK * 2)
        assert (a.got, b.got) == (b"", OK)

    async def test_what_was_kept_is_dropped_too(self, net: Net) -> None:
        a = await net.owner()
        a.link.pause()
        a.ask()
        net[0].says(OK)
        a.link.abort()
        assert a.link.unsent == 0
        a.link.resume()
        await settled()
        assert (a.got, a.lost) == (b"", 1)

    async def test_the_end_is_told_once(self, net: Net) -> None:
        a = await net.owner()
        a.ask()
        a.link.close()
        a.link.abort()
        assert a.link.finish()
        net[0].lose()
        await settled()
        a.link.abort()
        await settled()
        assert a.lost == 1

    async def test_who_finishes_gets_what_is_owed(self, net: Net) -> None:
        a = await net.owner()
        a.ask(GET, GET)
        assert a.link.finish()
        assert not a.link.is_closing
        net[0].says(OK)
        await settled()
        assert (a.got, a.lost) == (OK, 0)
        net[0].says(OK)
        await settled()
        assert (a.got, a.lost) == (OK * 2, 1)

    async def test_who_finishes_gets_what_is_kept(self, net: Net) -> None:
        a = await net.owner()
        a.ask()
        a.link.pause()
        a.link.finish()
        net[0].says(OK)
        await settled()
        assert (a.got, a.lost) == (b"", 0)
        a.link.resume()
        await settled()
        assert (a.got, a.lost) == (OK, 1)

    async def test_who_finishes_and_is_owed_nothing_ends(self, net: Net) -> None:
        a = await net.owner()
        a.link.finish()
        assert a.lost == 0
        await settled()
        assert a.lost == 1

    async def test_who_finishes_may_abort(self, net: Net) -> None:
        a = await net.owner()
        a.ask()
        a.link.finish()
        a.link.abort()
        await settled()
        assert a.lost == 1


class TestLosing:
    async def test_only_who_has_something_outstanding_loses_a_trunk(
        self, net: Net, caplog: pytest.LogCaptureFixture
    ) -> None:
        a, b, c, d = await net.owners(4)
        for owner in (a, b, d):
            owner.ask()
        net[0].says(OK)
        d.link.close()
        net[0].lose(ConnectionResetError("reset"))
        await settled()
        assert [owner.lost for owner in (a, b, c, d)] == [0, 1, 0, 1]
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
            "a shared connection to Redis at redis:6379 ended (reset), with requests of 1 clients"
        ]
        assert (net.trunks.counts.deaths, net.trunks.open()) == (1, {2: 0, 3: 0})

    async def test_kept_replies_come_before_the_end(self, net: Net) -> None:
        a, b = await net.owners(2)
        for owner in (a, b):
            owner.link.pause()
        a.ask(GET, GET)
        b.ask()
        a.ask()
        net[0].says(b":1\r\n:2\r\n:3\r\n")
        net[0].lose()
        await settled()
        assert (a.got, a.lost) == (b":1\r\n:2\r\n", 1)
        assert (b.got, b.lost) == (b"", 0)  # it has lost nothing
        b.link.resume()
        await settled()
        assert b.got == b":3\r\n"

    async def test_an_idle_end_is_no_warning(self, net: Net, caplog: pytest.LogCaptureFixture) -> None:
        a = await net.owner()
        net[0].lose()
        await settled()
        assert (a.lost, caplog.records) == (0, [])

    async def test_a_reply_that_nobody_is_owed_ends_the_trunk(self, net: Net) -> None:
        a = await net.owner()
        a.ask()
        net[0].says(b":1\r\n:2\r\n")
        assert net[0].aborted
        await settled()
        assert (a.got, a.lost) == (b":1\r\n", 0)  # it had its reply

    @pytest.mark.parametrize(
        ("odd", "fault"),
        [
            (b">1\r\n+a\r\n", "a push"),
            (b"|1\r\n+a\r\n+b\r\n:1\r\n", "an attribute"),
            (b"+a\n", "a line without its CR"),
        ],
    )
    async def test_a_doubt_ends_the_trunk(
        self, net: Net, odd: bytes, fault: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        a, b = await net.owners(2)
        a.ask()
        b.ask()
        net[0].says(OK + odd)
        assert net[0].aborted
        net[0].says(OK)  # too late
        await settled()
        assert (a.got, a.lost) == (OK, 0)
        assert (b.got, b.lost) == (b"", 1)
        assert f"ended (Redis sent {fault}), with requests of 1 clients" in caplog.text

    async def test_the_watchdog_ends_a_silent_trunk(self, net: Net) -> None:
        a, b = await net.owners(2)
        net.trunks.check(2)
        a.ask()
        net.trunks.check(2)
        assert not net[0].aborted
        net.trunks.check(2)
        assert net[0].aborted
        await settled()
        assert (a.lost, b.lost) == (1, 0)

    async def test_the_watchdog_spares_a_trunk_that_speaks_or_owes_nothing(self, net: Net) -> None:
        a = await net.owner()
        for _ in range(5):
            net.trunks.check(2)
        a.ask(GET, GET)
        for _ in range(5):
            net.trunks.check(2)
            net[0].says(b"$100\r\n" if not a.got else b"x")
        assert not net[0].aborted
        for _ in range(5):
            net.trunks.check(0)
        assert not net[0].aborted
