"""Large requests that name no managed key pass before they are whole, wherever reads cut them."""

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from proxy.policy import As, Policy, SessionLimits
from proxy.resp.encode import bulk, command
from proxy.resp.limits import RequestLimits
from proxy.session.fastpath import reference
from proxy.session.fastpath.plan import table_spec
from proxy.session.fastpath.reference import ReferenceTable
from tests import effort
from tests.session.fastpath.long_way import go_the_long_way
from tests.session.playbook import Playbook, policy, rule

LARGE = b"v" * 700
ROOM = 1 << 30
SET = command(b"SET", b"n:a", LARGE)
HEAD = SET.index(LARGE)
EXPIRING = command(b"SET", b"n:a", LARGE, b"EX", b"60")
PUSH = command(b"RPUSH", b"n:list", b"1", LARGE, b"", LARGE, b"2")
GET = command(b"GET", b"n:a")
MANAGED = command(b"SET", b"m:a", LARGE)
ENCODED = command(b"SET", b"m:a", b"!" + LARGE)
PING = command(b"PING")
BEFORE = command(b"GET", b"n:b")
"""Inline commands are over behind it."""


def begun(**limits: object) -> Playbook:
    """A conversation whose first request has been answered."""
    played = Playbook(policy(limits=SessionLimits(**limits)))  # type: ignore[arg-type]
    played.sends(BEFORE).replies(b"$-1\r\n")
    played.upstream = played.client = b""
    return played


class TestBeginnings:
    def test_a_beginning_passes_with_its_read_and_the_rest_with_later_ones(self) -> None:
        played = begun()
        for start, stop in ((0, 600), (600, 650), (650, len(SET))):
            played.sends(SET[start:stop]).to_upstream(SET[start:stop])

    @pytest.mark.parametrize("head", range(HEAD), ids=str)
    def test_it_does_not_before_its_key_and_its_size_are_known(self, head: int) -> None:
        begun().sends(SET[:head]).to_upstream(b"").sends(SET[head:]).to_upstream(SET)

    def test_no_reply_is_owed_before_it_is_whole(self) -> None:
        played = begun().sends(SET[:-1])
        assert played.session.is_idle
        assert played.tally.untouched == 1
        played.sends(SET[-1:])
        assert played.session.pending == 1
        assert played.tally.untouched == 2
        assert played.session.asked == "SET"
        played.replies(b"+OK\r\n").to_client(b"+OK\r\n")

    def test_it_holds_no_memory_but_its_key(self) -> None:
        played = begun()
        memory = played.session.memory
        played.sends(SET[:600])
        assert played.session.memory == memory + len(b"n:a")
        played.sends(SET[600:] + GET[:9])
        assert played.session.memory == memory + 9 + 2 * 16

    def test_the_first_request_waits_until_it_is_whole(self) -> None:
        Playbook().sends(SET[:-1]).to_upstream(b"").sends(SET[-1:]).to_upstream(SET)

    @pytest.mark.parametrize("request_", [MANAGED, command(b"SET", b"n:a", b"v" * 9), command(b"MSET", b"n", LARGE)])
    def test_others_wait_until_they_are_whole(self, request_: bytes) -> None:
        played = begun().sends(request_[:-1]).to_upstream(b"")
        played.sends(request_[-1:])
        assert played.upstream

    @pytest.mark.parametrize("cut", [5000, 9000])
    def test_no_byte_of_one_with_too_many_arguments_passes(self, cut: int) -> None:
        many = command(b"RPUSH", b"n:list", LARGE, *[b"v" * 9] * 500)
        played = begun(request=RequestLimits(arguments=503)).sends(many[:cut]).sends(many[cut:]).to_upstream(many)
        assert not played.closed
        played = begun(request=RequestLimits(arguments=502)).sends(many[:cut]).to_upstream(b"")
        assert b"a request of 503 arguments is over the limit of 502" in played.client
        assert played.closed

    def test_inside_multi_they_wait(self) -> None:
        played = begun().command(b"MULTI").replies(b"+OK\r\n")
        played.upstream = b""
        played.sends(SET[:-1]).to_upstream(b"").sends(SET[-1:]).to_upstream(SET)

    def test_a_multi_may_open_while_one_passes(self) -> None:
        played = begun().sends(command(b"MULTI") + SET[:600]).replies(b"+OK\r\n").sends(SET[600:])
        played.to_upstream(command(b"MULTI") + SET).replies(b"+QUEUED\r\n").command(b"EXEC")
        played.replies(b"*1\r\n+OK\r\n").to_client(b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n")

    def test_redis_may_refuse_one_before_it_is_whole(self) -> None:
        error = b"-ERR Protocol error: invalid bulk length\r\n"
        played = begun().sends(SET[:600]).replies(error).to_client(error)
        assert played.closed is not None

    def test_it_stays_of_its_policy(self) -> None:
        played = begun().sends(SET[:600])
        played.reloads(policy(limits=SessionLimits(request=RequestLimits(request_bytes=650))))
        played.sends(SET[600:]).to_upstream(SET)
        assert played.session.pending == 1

    def test_what_follows_takes_its_usual_way(self) -> None:
        played = begun().sends(SET[:600])
        played.sends(SET[600:] + MANAGED + GET + PING).to_upstream(SET + ENCODED + GET + PING)
        played.replies(b"+OK\r\n+OK\r\n$2\r\nab\r\n+PONG\r\n").to_client(b"+OK\r\n+OK\r\n$2\r\nab\r\n+PONG\r\n")


UNDER_A_RULE = policy(rule(b"n:*"))
ERROR = b"-ERR flask-cache-proxy: a reload has given the key of this request a rule while it came; send it again\r\n"


class TestAReloadThatManagesTheKey:
    """Otherwise a client could write bytes under a managed key, at a time that it chooses."""

    @pytest.mark.parametrize("cut", [600, HEAD + len(LARGE), len(SET) - 1])
    def test_ends_the_conversation(self, cut: int) -> None:
        played = begun().sends(SET[:cut])
        played.reloads(UNDER_A_RULE).to_client(ERROR)
        assert played.closed == ERROR[1:-2].decode()
        assert not played.redis_fails
        assert played.tally.ended == {"rule": 1}
        played.sends(SET[cut:])
        assert len(played.upstream) <= cut

    def test_ends_it_behind_all_replies(self) -> None:
        played = begun().sends(GET + SET[:600]).reloads(UNDER_A_RULE).reloads(UNDER_A_RULE).to_client(b"")
        assert not played.session.wants_client
        assert played.tally.ended == {"rule": 1}
        played.replies(b"$1\r\na\r\n").to_client(b"$1\r\na\r\n" + ERROR)
        assert played.closed

    @pytest.mark.parametrize("treats_as", [As.VALUE, As.READ_ONLY])
    def test_ends_it_before_the_rest_goes_upstream(self, treats_as: As) -> None:
        """The rest waits for replies, because the limit of outstanding ones has been reached meanwhile."""
        played = begun().sends(GET + SET[:600])
        played.reloads(policy(limits=SessionLimits(pending_commands=1)))
        played.sends(SET[600:-1]).sends(SET[-1:]).to_upstream(GET + SET[:-2])
        played.reloads(policy(rule(b"n:*", treats_as=treats_as))).replies(b"$1\r\na\r\n")
        played.to_upstream(b"").to_client(b"$1\r\na\r\n" + ERROR)
        assert played.closed

    @pytest.mark.parametrize("now", [policy(rule(b"n:*", treats_as=As.UNTOUCHED)), policy(rule(b"other:*"))])
    def test_is_not_one_that_leaves_the_key_alone(self, now: Policy) -> None:
        played = begun().sends(SET[:600]).reloads(now).sends(SET[600:]).to_upstream(SET)
        played.replies(b"+OK\r\n").to_client(b"+OK\r\n")
        assert played.closed is None

    def test_comes_too_late_for_a_request_that_is_whole(self) -> None:
        played = begun().sends(SET[:600]).sends(SET[600:]).reloads(UNDER_A_RULE).to_upstream(SET)
        played.replies(b"+OK\r\n").to_client(b"+OK\r\n")
        assert played.closed is None


STREAMS = {
    "alike": SET * 3,
    "with an expiry": EXPIRING + SET,
    "several values": PUSH * 2 + SET,
    "mixed": GET + SET + GET + MANAGED + EXPIRING + GET,
    "a barrier": SET + command(b"SUBSCRIBE", b"c") + SET,
}
MALFORMED = {
    "no CRLF behind the value": SET[:-2] + b"xx",
    "no LF behind the value": SET[:-1] + b"x",
    "no LF behind a value that is not the last": EXPIRING[: len(EXPIRING) - 20] + b"x" * 30,
    "a bad header behind a value": EXPIRING[: EXPIRING.index(b"$2\r\nEX")] + b"$x\r\n",
    "no header behind a value": EXPIRING[: EXPIRING.index(b"$2\r\nEX")] + b"+OK\r\n",
    "too long": command(b"SET", b"n:a", b"v" * 3000),
    "too long with its last argument": command(b"RPUSH", b"n:a", b"v" * 1200, b"v" * 1200),
    "a number with a plus": SET.replace(b"$700", b"$+700"),
    "no command": SET + b"-\r\n",
}


def told(played: Playbook) -> object:
    """All that an end can show."""
    session, tally = played.session, played.tally
    counts = dict(tally.commands), tally.managed, tally.untouched, dict(tally.ended)
    return played.client, played.closed, session.pending, session.wants_client, session.asked, counts


def conversation(reads: list[bytes]) -> Playbook:
    played = begun(request=RequestLimits(request_bytes=2000))
    for data in reads:
        if played.closed is None:
            played.sends(data)
    return played.takes_turns()


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[bytes]], Playbook]:
    """The conversation without the fast path."""

    def run(reads: list[bytes]) -> Playbook:
        with monkeypatch.context() as patch:
            go_the_long_way(patch)
            return conversation(reads)

    return run


def cuts(stream: bytes) -> Iterator[list[bytes]]:
    """The stream in two reads, cut anywhere but inside long values."""
    for at in range(1, len(stream)):
        if b"v" * 60 not in stream[max(0, at - 30) : at + 30]:
            yield [stream[:at], stream[at:]]


class TestEveryCut:
    @pytest.mark.parametrize("name", STREAMS)
    def test_of_two_reads(self, name: str, long_way: Callable[[list[bytes]], Playbook]) -> None:
        usual = long_way([STREAMS[name]])
        for reads in cuts(STREAMS[name]):
            played = conversation(reads)
            assert (told(played), played.upstream) == (told(usual), usual.upstream)

    @pytest.mark.parametrize("name", STREAMS)
    def test_of_bytes_one_by_one(self, name: str, long_way: Callable[[list[bytes]], Playbook]) -> None:
        usual = long_way([STREAMS[name]])
        played = conversation([STREAMS[name][at : at + 1] for at in range(len(STREAMS[name]))])
        assert (told(played), played.upstream) == (told(usual), usual.upstream)

    @pytest.mark.parametrize("name", MALFORMED)
    def test_of_a_malformed_stream(self, name: str, long_way: Callable[[list[bytes]], Playbook]) -> None:
        usual = long_way([MALFORMED[name]])
        assert usual.tally.ended
        for reads in cuts(MALFORMED[name]):
            played = conversation(reads)
            assert told(played) == told(usual)
            assert MALFORMED[name].startswith(played.upstream)
            assert played.upstream.startswith(usual.upstream)
            assert len(played.upstream) < len(usual.upstream + SET + EXPIRING)

    @pytest.mark.parametrize("seed", range(effort.cases(200)))
    def test_at_random(self, seed: int, long_way: Callable[[list[bytes]], Playbook]) -> None:
        chance = random.Random(seed)
        kinds = (SET, EXPIRING, PUSH, GET, MANAGED, PING, command(b"SET", b"m:b", b"1"), command(b"SET", b"n:b", b"1"))
        stream = b"".join(chance.choices(kinds, k=chance.randrange(1, 12)))
        if chance.random() < 0.2:
            at = chance.randrange(len(stream))
            stream = stream[:at] + chance.choice((b"", b"x", b"\r\n", b"$", b"$1\r\n")) + stream[at + 1 :]
        edges = sorted({0, len(stream), *(chance.randrange(len(stream)) for _ in range(chance.randrange(9)))})
        reads = [stream[start:stop] for start, stop in pairwise(edges)]
        played, usual = conversation(reads), long_way(reads)
        assert told(played) == told(usual)
        assert played.upstream.startswith(usual.upstream)
        assert played.closed is not None or len(played.upstream) - len(usual.upstream) < len(PUSH)


class TestTheReferenceLeavesSmallArguments:
    """It takes as long for an argument as hiredis for twenty."""

    LEAST = 160

    @pytest.fixture
    def table(self) -> ReferenceTable:
        return ReferenceTable(table_spec(policy()))

    def test_before_it_looks_at_them(self, table: ReferenceTable, monkeypatch: pytest.MonkeyPatch) -> None:
        def look(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(reference, "rest_from", look)
        many = command(b"RPUSH", b"n:list", LARGE, *[b"v" * 9] * 9000)
        assert table.pass_on(many, 0, 64, self.LEAST, ROOM) is None

    def test_behind_large_ones(self, table: ReferenceTable) -> None:
        passed = table.pass_on(SET * 3 + GET * 300, 0, 64, self.LEAST, ROOM)
        assert passed is not None
        end, runs, _, cut = passed
        assert len(SET) * 3 <= end < len(SET) * 3 + len(GET) * 10
        assert runs[0][1] == 3
        assert cut is None

    def test_of_many_requests_at_once(self, table: ReferenceTable) -> None:
        """A request whose arguments are many may be small while large ones follow."""
        assert table.pass_on(command(b"RPUSH", b"n:list", *[b""] * 20) + SET * 9, 0, 64, self.LEAST, ROOM) is None


def test_a_large_value_is_not_copied() -> None:
    read = SET + SET[:600]
    path = begun().session._requests.path
    assert path.pass_on(read) == len(read)
    assert path.take(SET[600:]) is None
    assert path.take_other(SET[600:]) == SET[600:]


def test_a_command_of_the_value_s_bytes_is_none() -> None:
    """The bytes of a value are never read as requests, wherever the value is cut."""
    value = (PING + MANAGED + bulk(b"x")) * 2
    request = command(b"SET", b"n:a", value)
    for at in range(request.index(value), len(request)):
        played = begun().sends(request[:at]).sends(request[at:])
        assert played.upstream == request
        assert played.session.pending == 1
