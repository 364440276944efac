"""A connection, phase by phase and event by event, between a scripted client and a scripted link."""

import logging
from collections.abc import Iterator

import pytest

from proxy.downstream.phase import Event, Phase, after
from proxy.downstream.watchdog import Deadline, Deadlines
from proxy.policy import SessionLimits
from proxy.resp.encode import command
from proxy.session import CommandInfo
from tests.downstream.fakes import Pair, settled
from tests.session.playbook import policy, rule

PING, PONG = command(b"PING"), b"+PONG\r\n"
ASKED, NULL = command(b"GET", b"n:a"), b"$-1\r\n"
"""Behind it, inline commands are over."""
BLOCKED = command(b"BLPOP", b"list", b"0")
NO_DEADLINES = Deadlines(None, None)


@pytest.fixture(autouse=True)
def no_warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """A warning that a test does not take out of the log fails it."""
    caplog.set_level(logging.WARNING)
    yield caplog
    assert not caplog.messages


async def opened(**how: bool) -> Pair:
    return await Pair(policy(), **how).dialed()


# -- the table -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase)
def test_closing_is_reached_from_every_phase_and_never_left(phase: Phase) -> None:
    assert after(phase, Event.CLOSE) is Phase.CLOSING
    assert {after(Phase.CLOSING, event) for event in Event} == {Phase.CLOSING}


def test_a_half_closed_client_stays_half_closed() -> None:
    assert {after(Phase.HALF_CLOSED, event) for event in (Event.DIALED, Event.DRAIN, Event.CLIENT_ENDS)} == {
        Phase.HALF_CLOSED
    }


# -- dialing ---------------------------------------------------------------------------------------------


async def test_a_client_is_not_read_before_redis_is_there() -> None:
    pair = Pair(policy())
    assert not pair.client.reads
    await pair.dialed()
    assert pair.client.reads
    pair.send(PING)
    assert pair.redis.sent == PING


async def test_bytes_that_come_during_the_dial_wait() -> None:
    pair = Pair(policy())
    pair.client.reads = True  # as uvloop does behind connection_made
    pair.send(PING)
    assert not pair.client.reads
    await pair.dialed()
    pair.server.turn()
    assert pair.redis.sent == PING


async def test_a_dial_that_fails_is_said_to_the_client(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = await Pair(policy()).dialed("cannot reach Redis")
    assert pair.client.sent == b"-ERR flask-cache-proxy: cannot reach Redis\r\n"
    assert pair.client.ended
    pair.hang_up()
    assert pair.server.closed_ == [pair.connection]
    assert no_warnings.messages == ["[1] cannot reach Redis"]
    no_warnings.clear()


async def test_a_dial_that_fails_behind_a_client_that_left_is_no_error(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = Pair(policy())
    pair.hang_up()
    assert not pair.server.closed_  # the dial is under way
    await pair.dialed("cannot reach Redis")
    assert (pair.client.sent, pair.server.closed_) == (b"", [pair.connection])
    no_warnings.clear()


async def test_a_link_that_comes_behind_a_client_that_left_is_closed() -> None:
    pair = Pair(policy())
    pair.hang_up()
    await pair.dialed()
    assert pair.redis.closed
    assert not pair.server.closed_
    pair.redis.lose()
    assert pair.server.closed_ == [pair.connection]


async def test_draining_while_dialing_closes_at_once() -> None:
    pair = Pair(policy())
    pair.connection.drain()
    assert pair.client.ended
    await pair.dialed()
    assert pair.redis.closed


async def test_a_dial_that_fails_while_draining_says_no_more(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = Pair(policy())
    pair.connection.drain()
    pair.hang_up()
    await pair.dialed("cannot reach Redis")
    assert (pair.client.sent, pair.server.closed_) == (b"", [pair.connection])
    no_warnings.clear()


async def test_a_dial_that_fails_behind_the_end_of_our_side_says_no_more(no_warnings: pytest.LogCaptureFixture) -> None:
    """The client has not hung up yet. Nothing can be written behind the end of a stream."""
    pair = Pair(policy())
    pair.connection.drain()
    assert pair.client.ended
    await pair.dialed("cannot reach Redis")
    assert (pair.client.sent, pair.client.aborted) == (b"", False)
    pair.hang_up()
    assert pair.server.closed_ == [pair.connection]
    no_warnings.clear()


async def test_what_redis_says_at_once_is_delivered(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = await opened()
    pair.answer(b"-ERR max number of clients reached\r\n")
    assert pair.client.sent == b"-ERR max number of clients reached\r\n"
    no_warnings.clear()


async def test_a_client_that_was_aborted_before_it_was_made_is_not_opened() -> None:
    pair = Pair(policy())
    early = type(pair.connection)(pair.server, 0, policy(), None, 2)
    early.abort()
    early.connection_made(pair.client)  # type: ignore[arg-type]
    assert pair.client.aborted
    assert early not in pair.server.opened_


# -- open ------------------------------------------------------------------------------------------------


async def test_large_requests_of_no_rule_pass_with_their_read_also_cut_ones() -> None:
    pair = await opened()
    pair.send(ASKED)
    pair.answer(NULL)
    sent, request = ASKED, command(b"SET", b"n:a", b"v" * 10_000)
    for read in (request[:9000], request[9000:] + request[:2000], request[2000:]):
        pair.send(read)
        sent += read
        assert pair.redis.sent == sent
    pair.answer(b"+OK\r\n+OK\r\n")
    assert pair.client.sent == NULL + b"+OK\r\n+OK\r\n"


async def test_the_requests_behind_them_keep_their_order() -> None:
    pair = await opened()
    pair.send(ASKED)
    pair.answer(NULL)
    large, managed = command(b"SET", b"n:a", b"v" * 10_000), command(b"SET", b"m:a", b"v" * 10_000)
    pair.send(large + managed + large[:5000])
    assert pair.redis.sent == ASKED + large
    pair.server.turn()
    pair.send(large[5000:])
    pair.server.turn()
    assert pair.redis.sent == ASKED + large + command(b"SET", b"m:a", b"!" + b"v" * 10_000) + large


async def test_a_reply_before_the_request_is_whole_ends_the_conversation(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = await opened()
    pair.send(ASKED)
    pair.answer(NULL)
    pair.send(command(b"SET", b"n:a", b"v" * 10_000)[:9000])
    pair.answer(b"-ERR Protocol error: invalid bulk length\r\n")
    assert pair.client.sent == NULL + b"-ERR Protocol error: invalid bulk length\r\n"
    assert pair.redis.aborted
    no_warnings.clear()


async def test_a_client_that_leaves_inside_a_request_is_owed_nothing() -> None:
    pair = await opened()
    pair.send(ASKED)
    pair.answer(NULL)
    pair.send(command(b"SET", b"n:a", b"v" * 10_000)[:9000])
    assert pair.connection.pending == 0


async def test_a_reply_goes_to_the_client() -> None:
    pair = await opened()
    pair.send(PING)
    pair.answer(PONG)
    assert pair.client.sent == PONG


async def test_a_client_that_does_not_read_stops_redis_and_itself() -> None:
    pair = await opened()
    pair.connection.pause_writing()
    assert (pair.client.reads, pair.redis.reads) == (False, False)
    assert pair.connection.paused == ["client", "upstream"]
    pair.connection.resume_writing()
    assert (pair.client.reads, pair.redis.reads) == (True, True)


async def test_a_redis_that_does_not_read_stops_the_client_alone() -> None:
    pair = await opened()
    pair.redis.is_full(True)
    assert (pair.client.reads, pair.redis.reads) == (False, True)
    pair.redis.is_full(False)
    assert pair.client.reads


async def test_a_large_read_waits_for_its_turn() -> None:
    pair = await opened()
    pair.send(PING * 1000)
    assert not pair.redis.sent
    pair.server.turn()
    assert pair.redis.sent == PING * 1000


async def test_redis_lost_delivers_and_closes(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = await opened()
    pair.send(PING + PING)
    pair.answer(PONG)
    pair.redis.lose()
    assert pair.client.sent == PONG
    assert pair.client.ended
    assert no_warnings.messages == ["[1] Redis closed with 1 replies outstanding"]
    no_warnings.clear()


async def test_redis_lost_while_the_client_is_full_waits_for_the_client() -> None:
    pair = await opened()
    pair.send(PING)
    pair.connection.pause_writing()
    pair.answer(PONG)
    pair.redis.lose()
    assert not pair.client.is_leaving
    pair.connection.resume_writing()
    pair.server.turn()
    assert pair.client.sent == PONG
    pair.connection.close()
    assert pair.client.is_leaving


async def test_a_client_that_does_not_read_is_not_read_even_if_redis_hears_nothing_of_what_it_sends() -> None:
    pair = await opened()
    refused = command(b"EVAL", b"return 1", b"0")
    pair.send(refused)
    one = pair.client.sent
    assert one.startswith(b"-ERR flask-cache-proxy: EVAL is refused")
    pair.connection.pause_writing()
    assert not pair.client.reads
    pair.send(refused)
    assert (pair.client.sent, pair.redis.sent) == (one, b"")
    pair.connection.resume_writing()
    pair.server.turn()
    assert pair.client.reads
    assert (pair.client.sent, pair.redis.sent) == (one * 2, b"")


async def test_a_draining_connection_closes_once_a_refusal_has_had_its_turn() -> None:
    pair = await opened()
    pair.send(PING + command(b"EVAL", b"return 1", b"0"))
    pair.connection.drain()
    assert not pair.client.is_leaving
    pair.answer(PONG)
    assert pair.client.sent.startswith(PONG + b"-ERR flask-cache-proxy: EVAL is refused")
    assert pair.client.is_leaving


async def test_a_lookup_goes_on_when_it_is_answered() -> None:
    pair = await opened()
    pair.server.info = CommandInfo(frozenset())
    pair.send(command(b"NEWCMD", b"x"))
    assert not pair.redis.sent
    await settled()
    assert not pair.redis.sent
    assert pair.client.sent.startswith(b"-ERR flask-cache-proxy: NEWCMD is not known here")


async def test_a_client_that_leaves_during_a_lookup_takes_it_along() -> None:
    pair = await opened()
    pair.send(command(b"NEWCMD", b"x"))
    pair.hang_up()
    await settled()
    assert not pair.redis.sent
    pair.redis.lose()
    assert pair.server.closed_ == [pair.connection]


async def test_a_step_that_fails_aborts_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = await opened()
    pair.send(PING * 1000)
    monkeypatch.setattr(type(pair.connection._session), "from_client", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pair.server.turn()
    assert pair.client.aborted
    assert pair.redis.aborted


async def test_an_abort_inside_a_turn_ends_what_waits_behind_it() -> None:
    pair = await opened()
    pair.send(PING * 20_000)
    pair.server.turn()
    assert pair.server.turns
    pair.connection.abort()
    sent = pair.redis.sent
    pair.server.turn()
    assert pair.redis.sent == sent


# -- half closed -----------------------------------------------------------------------------------------


async def test_an_idle_client_that_ends_is_closed() -> None:
    pair = await opened()
    assert not pair.connection.eof_received()


async def test_a_half_closed_client_gets_its_replies_first() -> None:
    pair = await opened()
    pair.send(PING)
    assert pair.connection.eof_received()
    assert not pair.client.closing
    pair.answer(PONG)
    assert pair.client.sent == PONG
    assert pair.client.is_leaving


async def test_a_half_closed_client_that_blocks_is_ended_at_redis() -> None:
    pair = await opened()
    pair.send(BLOCKED)
    assert pair.connection.eof_received()
    assert pair.redis.finished
    pair.redis.lose()
    assert pair.client.is_leaving


async def test_a_half_closed_client_that_blocks_is_closed_where_redis_cannot_be_told() -> None:
    pair = await opened()
    pair.redis.can_finish = False
    pair.send(BLOCKED)
    assert pair.connection.eof_received()
    assert pair.client.is_leaving


async def test_tls_closes_both_directions_at_once() -> None:
    pair = await opened(tls=True)
    pair.send(PING)
    assert not pair.connection.eof_received()


async def test_a_half_closed_client_takes_no_further_command_when_the_proxy_drains() -> None:
    pair = await opened()
    pair.send(PING)
    pair.redis.is_full(True)
    pair.send(PING)  # waits, as Redis is full
    assert pair.connection.eof_received()
    pair.connection.drain()
    pair.redis.is_full(False)
    pair.server.turn()
    assert pair.redis.sent == PING
    pair.answer(PONG)
    assert pair.client.sent == PONG
    assert pair.client.is_leaving


async def test_a_half_closed_client_that_makes_no_progress_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.downstream.connection._PROGRESS", 0.0)
    pair = await opened()
    pair.send(PING)
    pair.connection.pause_writing()
    assert pair.connection.eof_received()
    await settled()
    assert pair.client.is_leaving


# -- draining --------------------------------------------------------------------------------------------


async def test_draining_closes_an_idle_client() -> None:
    pair = await opened()
    pair.connection.drain()
    assert pair.client.ended


async def test_draining_answers_what_was_taken_and_takes_no_more() -> None:
    pair = await opened()
    pair.send(PING)
    pair.connection.drain()
    assert not pair.client.reads
    assert not pair.client.ended
    pair.answer(PONG)
    assert pair.client.sent == PONG
    assert pair.client.ended


# -- closing ---------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_has_its_commands_done() -> None:
    pair = await opened()
    pair.send(PING)
    pair.hang_up()
    assert pair.redis.finished
    assert not pair.server.closed_
    pair.redis.lose()
    assert pair.server.closed_ == [pair.connection]


async def test_a_client_that_leaves_a_link_which_cannot_be_finished_closes_it() -> None:
    pair = await opened()
    pair.redis.can_finish = False
    pair.hang_up()
    assert pair.redis.closed


async def test_nothing_is_handled_behind_the_end() -> None:
    pair = await opened()
    pair.connection.abort()
    pair.send(PING)
    pair.answer(PONG)
    assert (pair.redis.sent, pair.client.sent) == (b"", b"")


async def test_an_evicted_client_is_told_why_if_it_reads() -> None:
    pair = await opened()
    pair.connection.evict("too much")
    assert pair.client.sent == b"-ERR flask-cache-proxy: too much\r\n"
    other = await opened()
    other.client.unread = 1
    other.connection.evict("too much")
    assert (other.client.sent, other.client.aborted) == (b"", True)


# -- deadlines -------------------------------------------------------------------------------------------


async def test_a_reply_that_does_not_come_ends_the_connection(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = await opened()
    pair.send(PING)
    deadlines = Deadlines(Deadline(2, "reply_timeout", "Redis is late"), None)
    pair.connection.check(deadlines)
    assert not pair.client.sent
    pair.connection.check(deadlines)
    assert pair.client.sent == b"-ERR flask-cache-proxy: Redis is late\r\n"
    assert no_warnings.messages == ["[1] Redis is late"]
    no_warnings.clear()


async def test_a_client_that_never_speaks_is_ended_but_not_while_dialing(
    no_warnings: pytest.LogCaptureFixture,
) -> None:
    pair = Pair(policy())
    deadlines = Deadlines(None, Deadline(1, "first_command_timeout", "no command came"))
    pair.connection.check(deadlines)
    assert not pair.client.sent
    await pair.dialed()
    pair.connection.check(deadlines)
    assert pair.client.sent == b"-ERR flask-cache-proxy: no command came\r\n"
    no_warnings.clear()


async def test_what_it_holds_is_counted() -> None:
    pair = await opened()
    before = pair.connection.memory
    pair.send(PING * 10_000)
    pair.redis.unsent = pair.client.unread = 1000
    assert pair.connection.memory >= before + len(PING) * 10_000 + 2000
    assert pair.connection.pending == 0


async def test_limits_that_change_hold_from_the_next_request_on() -> None:
    pair = await opened()
    pair.connection.set_policy(policy(limits=SessionLimits(pending_commands=1)), None)
    pair.send(PING + PING)
    assert pair.redis.sent == PING


async def test_a_rule_for_the_key_of_a_request_that_passes_closes(no_warnings: pytest.LogCaptureFixture) -> None:
    pair = await opened()
    pair.send(ASKED)
    pair.redis.says(NULL)
    pair.send(command(b"SET", b"n:a", b"v" * 10_000)[:5000])
    pair.connection.set_policy(policy(rule(b"other:*")), None)
    assert not pair.client.is_leaving
    pair.connection.set_policy(policy(rule(b"n:*")), None)
    assert b"a reload has given the key of this request a rule" in pair.client.sent
    assert pair.client.is_leaving
    assert pair.redis.aborted


# -- refusals --------------------------------------------------------------------------------------------


async def test_the_log_of_refusals_gets_each_with_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "proxy.refusals")
    pair = await opened()
    pair.send(PING + command(b"SYNC") + command(b"SET", b"m:secret", b"bad"))
    assert [row.command for row in pair.server.refusals.last.snapshot()] == ["SET", "SYNC"]
    assert [message.split(":")[0] for message in caplog.messages] == [
        "[1] refused SYNC of ?",
        "[1] refused SET of ? under m",
    ]
    assert "secret" not in caplog.text
    caplog.clear()
