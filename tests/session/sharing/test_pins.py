"""Requests that do not travel: their client gets a connection of its own, and goes on there as any other client."""

import sys

import pytest

from proxy.policy import Guard, SessionLimits
from proxy.resp.encode import bulk, command
from proxy.session import Gate
from tests.session.playbook import policy
from tests.session.sharing.script import SETUP, Script, greeting

OK = b"+OK\r\n"
PING = command(b"PING")
PONG = b"+PONG\r\n"


def words(text: str) -> bytes:
    return command(*(word.encode() for word in text.split()))


PINS = {
    "transaction": ("MULTI", "EXEC", "DISCARD", "WATCH k", "UNWATCH"),
    "blocking": ("BLPOP k 0", "XREAD STREAMS k 0", "XREAD BLOCK 0 STREAMS k 0", "WAIT 0 0", "BZPOPMIN k 1"),
    "subscription": ("SUBSCRIBE c", "PSUBSCRIBE c*", "SSUBSCRIBE c", "UNSUBSCRIBE", "SUBSCRIBE"),
    "monitor": ("MONITOR",),
    "database": ("SELECT 1", "SELECT", "SELECT 00", "SELECT 0 0"),
    "tracking": ("CLIENT TRACKING ON", "CLIENT CACHING YES", "CLIENT TRACKINGINFO", "CLIENT GETREDIR"),
    "client": (
        "CLIENT REPLY OFF", "CLIENT NO-TOUCH ON", "CLIENT LIST", "CLIENT INFO", "CLIENT", "CLIENT ID 1",
        "CLIENT GETNAME x", "CLIENT SETNAME", "CLIENT SETNAME a b", "CLIENT SETINFO LIB-NAME", "CLIENT HELP",
        "CLIENT SETINFO NOSUCH a", "READONLY", "READWRITE", "ASKING", "RESET now",
    ),
    "script": ("EVAL_RO s 0", "SCRIPT LOAD s", "FUNCTION LIST", "FCALL_RO f 0"),
    "keyspace": ("KEYS x*", "SORT k", "SORT_RO k", "FLUSHDB", "FLUSHALL", "SWAPDB 0 1"),
    "login": ("HELLO 4", "HELLO x", "HELLO 3 NOSUCH", "HELLO 3 SETNAME", "AUTH p", "HELLO 3 AUTH u p"),
}  # fmt: skip


@pytest.mark.parametrize(("pin", "text"), [(pin, text) for pin, texts in PINS.items() for text in texts])
def test_it_waits_for_the_replies_and_goes_on_a_connection_of_its_own(pin: str, text: str) -> None:
    request = words(text)
    played = Script().sends(PING + request + PING).to_upstream(PING)
    assert not played.relinks
    played.replies(PONG).to_client(PONG).asks_for(2, pin)
    played.sends(PING).to_upstream(b"").is_pinned().to_upstream(SETUP)
    played.replies(OK).to_client(b"")
    assert played.upstream.startswith(command(b"CLIENT", b"REPLY", b"ON") if "REPLY" in text else request)


@pytest.mark.parametrize("name", [b"a b", b"\xc3\xa9", b"a\n", b"\x00", b"x" * 257])
def test_a_name_that_redis_may_refuse_is_for_redis(name: bytes) -> None:
    Script().command(b"CLIENT", b"SETNAME", name).asks_for(2, "client")
    Script().command(b"CLIENT", b"SETINFO", b"LIB-NAME", name).asks_for(2, "client")
    Script().command(b"HELLO", b"2", b"SETNAME", name).asks_for(2, "login")


def opened(played: Script) -> Script:
    """Behind a first request that ends inline commands, the fast path takes requests."""
    played.sends(words("GET k")).to_upstream(words("GET k")).replies(b"$-1\r\n").to_client(b"$-1\r\n")
    return played


class TestLarge:
    @pytest.mark.parametrize(
        "request_",
        [
            command(b"SET", b"k", b"x" * (1024 * 1024)),
            command(b"SET", b"m:a", b"x" * (1024 * 1024)),
            command(b"ECHO", b"x" * (1024 * 1024)),
            command(b"SADD", b"k", *[b"x"] * 999),
            command(b"DEL", *[b"x"] * 1000),
            command(b"NOSUCH", *[b"x"] * 1000),
            command(b"NOSUCH", *[b"x"] * 12_000),
        ],
        ids=["bytes", "managed", "no key", "arguments", "keys", "unknown", "many arguments of an unknown one"],
    )
    @pytest.mark.parametrize("is_first", [True, False])
    def test_a_large_request_pins(self, request_: bytes, is_first: bool) -> None:
        played = Script(policy(limits=SessionLimits(turn_steps=100_000)))
        if not is_first:
            played = opened(played)
        self.settles(played.sends(request_ + PING))
        self.settles(played.asks_for(2, "large").is_pinned(b""))
        stored = request_.replace(b"$1048576\r\nx", b"$1048577\r\n!x") if b"m:a" in request_ else request_
        played.to_upstream(stored + PING)

    def settles(self, played: Script) -> None:
        """The server knows unknown commands, the converter answers, and turns come."""
        while played.lookups or played.conversions or played.wants_turn:
            if played.lookups:
                played.lookups.clear()
                played.finds("readonly")
            played.converts().takes_turns()

    @pytest.mark.parametrize("name", [b"SADD", b"DEL"])
    def test_a_thousand_arguments_travel(self, name: bytes) -> None:
        request = command(name, b"k", *[b"x"] * 998)
        Script().sends(request).takes_turns().to_upstream(request)

    @pytest.mark.parametrize("key", [b"k", b"m:a"])
    def test_a_request_is_written_whole(self, key: bytes) -> None:
        request = command(b"SET", key, b"x" * 300_000)
        played = Script()
        for at in range(0, len(request), 70_000):
            assert not played.upstream
            played.sends(request[at : at + 70_000])
        while played.conversions or played.wants_turn:
            assert not played.upstream
            played.converts()
            if played.wants_turn:
                played._take(played.session.take_turn())
        stored = b"!" * (key == b"m:a") + b"x" * 300_000
        played.to_upstream(command(b"SET", key, stored)).replies(OK).to_client(OK).shares()

    def test_nothing_passes_before_it_is_whole(self) -> None:
        request = command(b"SET", b"k", b"x" * 100_000)
        played = opened(Script())
        assert played.session.pass_requests(request[:50_000]) == 0
        assert played.session.pass_requests(request + request[:50_000]) == 0
        assert played.session.pass_requests(request * 2) == 2 * len(request)
        assert played.session.pending == 2

    @pytest.mark.parametrize(
        "request_",
        [command(b"SET", b"k", b"x" * 1024 * 1024), command(b"SADD", b"k", *[b"x" * 100] * 999)],
        ids=["bytes", "arguments"],
    )
    def test_no_large_request_passes(self, request_: bytes) -> None:
        assert opened(Script()).session.pass_requests(request_) == 0

    def test_a_pinned_client_may_pass_parts(self) -> None:
        played = opened(pinned())
        request = command(b"SET", b"k", b"x" * 100_000)
        assert played.session.pass_requests(request[:50_000]) == 50_000
        assert played.session.pass_requests(request[50_000:]) == len(request) - 50_000


class TestRefusals:
    @pytest.mark.parametrize(
        "text",
        [
            "SHUTDOWN", "CONFIG SET a b", "EVAL s 0", "SYNC", "BLPOP m:a 0", "SORT m:a", "EVAL_RO s 1 m:a",
            "CLIENT KILL ID 1", "CLIENT MAINT_NOTIFICATIONS ON", "CLIENT CAPA redirect", "SCRIPT FLUSH",
            "CLUSTER FORGET!", "NO!SUCH", "SORT k BY m:*", "LPUSH m:a x",
        ],
    )  # fmt: skip
    def test_what_is_refused_pins_nobody(self, text: str) -> None:
        played = Script().sends(PING + words(text) + words("GET k")).to_upstream(PING + words("GET k"))
        played.replies(PONG + b"$-1\r\n")
        assert played.client.startswith(PONG + b"-")
        played.shares()

    def test_a_refusal_leaves_no_pin_to_the_next_request(self) -> None:
        played = Script().sends(words("BLPOP m:a 0"))
        for text in ("LPUSH k a", "EXPIRE k", "MGET a b", "PING", "COMMAND"):
            played.sends(words(text)).to_upstream(words(text)).replies(b"-ERR x\r\n")
        played.sends(command(b"RPUSH", b"k", b"x" * 100_000)).takes_turns()
        assert played.upstream
        assert not played.relinks

    def test_what_the_guard_lets_through_pins(self) -> None:
        allowed = policy(guard=Guard(allowed_commands=frozenset({b"CONFIG|SET"})))
        Script(allowed).sends(words("CONFIG SET a b")).asks_for(2, "admin")
        Script(policy(guard=Guard(allow_all_scripts=True))).sends(words("EVAL s 0")).asks_for(2, "script")

    def test_an_http_request_ends_as_ever(self) -> None:
        assert Script().sends(words("POST /")).closed


class TestUnknown:
    def test_a_command_that_the_server_knows_pins(self) -> None:
        played = Script().sends(words("NOSUCH a"))
        assert played.lookups == [b"NOSUCH"]
        played.finds("readonly").asks_for(2, "unknown").is_pinned(b"")
        assert played.lookups == [b"NOSUCH"] * 2
        played.finds("readonly").to_upstream(words("NOSUCH a"))

    def test_one_that_it_does_not_know_pins_too(self) -> None:
        played = Script().sends(words("NOSUCH a")).finds_nothing().asks_for(2, "unknown").is_pinned(b"")
        played.finds_nothing().to_upstream(words("NOSUCH a")).replies(b"-ERR unknown\r\n").to_client(
            b"-ERR unknown\r\n"
        )

    def test_sentinel_does_not_where_the_server_is_none(self) -> None:
        played = Script().sends(words("SENTINEL MASTERS") + PING).finds_nothing()
        played.to_upstream(words("SENTINEL MASTERS") + PING).replies(b"-ERR unknown\r\n" + PONG)
        played.to_client(b"-ERR unknown\r\n" + PONG).shares()

    def test_behind_it_all_is_as_before(self) -> None:
        played = Script().sends(words("SENTINEL MASTERS")).finds_nothing().replies(b"-ERR unknown\r\n")
        played.to_upstream(words("SENTINEL MASTERS")).to_client(b"-ERR unknown\r\n")
        played.sends(words("LPUSH m:a x") + words("CLIENT SETNAME a") + words("GET k")).to_upstream(words("GET k"))
        played.replies(b"$-1\r\n")
        assert played.client.startswith(b"-ERR flask-cache-proxy: LPUSH is refused")
        assert played.client.endswith(OK + b"$-1\r\n")
        played.shares()

    def test_sentinel_of_a_sentinel_pins_as_far_as_it_passes(self) -> None:
        played = Script(policy(guard=Guard(allowed_commands=frozenset({b"SENTINEL"})))).sends(words("SENTINEL MASTERS"))
        played.finds("admin").asks_for(2, "unknown")

    @pytest.mark.parametrize("text", ["NOSUCH m:a", "CLIENT NOSUCH"])
    def test_one_that_is_refused_does_not(self, text: str) -> None:
        played = Script().sends(words(text))
        (played.finds_nothing if "CLIENT" in text else played.finds)()
        assert played.client.startswith(b"-")
        played.shares()

    def test_a_command_of_a_cluster_does_not(self) -> None:
        played = Script().sends(words("CLUSTER FORGET x")).finds(arity=3)
        assert played.upstream == command(b"CLUSTER", b"KEYSLOT", b"")


def pinned(text: str = "CLIENT LIST") -> Script:
    """A client with a connection of its own."""
    played = Script().sends(words(text)).asks_for(2, "client").is_pinned()
    played.to_upstream(SETUP).replies(OK).to_upstream(words(text)).replies(bulk(b"x")).to_client(bulk(b"x"))
    return played


class TestAfterwards:
    def test_what_the_client_was_told_is_told_to_redis(self) -> None:
        played = Script().sends(words("HELLO 3 SETNAME me")).asks_for(3).is_linked(greeting(3))
        played.sends(words("CLIENT SETINFO LIB-NAME a") + words("CLIENT SETINFO lib-name b") + words("MULTI"))
        played.asks_for(3, "transaction").client = b""
        played.is_pinned().to_upstream(
            SETUP + words("HELLO 3") + words("CLIENT SETNAME me") + words("CLIENT SETINFO LIB-NAME b")
        )
        played.replies(OK + greeting(3) + OK).to_upstream(b"").to_client(b"")
        played.replies(OK).to_upstream(words("MULTI")).replies(OK).to_client(OK)

    def test_reset_forgets_the_name_but_not_the_library_as_redis_does(self) -> None:
        played = Script().sends(words("CLIENT SETNAME a") + words("CLIENT SETINFO LIB-VER 1") + words("RESET"))
        played.sends(words("MULTI")).asks_for(2, "transaction")
        played.is_pinned().to_upstream(SETUP + words("CLIENT SETINFO LIB-VER 1"))

    @pytest.mark.parametrize("replies", [b"-NOPERM no\r\n", OK + b"-NOPERM no\r\n"])
    def test_a_refusal_of_it_ends_the_conversation(self, replies: bytes) -> None:
        played = Script().sends(words("CLIENT SETNAME me") + words("MULTI")).asks_for(2, "transaction").is_pinned()
        played.replies(replies)
        assert played.client.startswith(OK + b"-ERR flask-cache-proxy: Redis refused")
        assert played.client.endswith(b": NOPERM no\r\n")
        assert played.closed
        assert played.redis_fails

    def test_a_reply_to_it_that_redis_never_gives_ends_the_conversation(self) -> None:
        played = Script().sends(words("CLIENT SETNAME me") + words("MULTI")).is_pinned(b"")
        assert played.replies(b"!5\r\nERR x\r\n").closed

    def test_the_client_stays_logged_in(self) -> None:
        played = Script(gate=Gate([b"p"])).sends(words("AUTH p") + words("MULTI")).asks_for(2, "transaction")
        played.is_pinned().replies(OK).to_upstream(SETUP + words("MULTI"))
        assert played.session.is_admitted

    def test_it_is_answered_by_redis_from_then_on(self) -> None:
        played = pinned()
        for text in ("HELLO 3", "CLIENT ID", "CLIENT GETNAME", "SELECT 0", "CLIENT SETINFO LIB-NAME a"):
            played.sends(words(text)).to_upstream(words(text)).replies(b"-ERR no\r\n")
            played.client = b""

    def test_reset_sends_the_setup_again(self) -> None:
        played = pinned().sends(words("RESET") + PING).to_upstream(words("RESET"))
        played.replies(b"+RESET\r\n").to_client(b"+RESET\r\n").to_upstream(SETUP).replies(OK).to_upstream(PING)

    def test_the_rest_of_the_read_follows_in_order(self) -> None:
        rest = words("GET a") + words("MULTI") + words("SET m:a x") + words("EXEC") + words("GET m:a")
        played = Script().sends(rest[:-5]).to_upstream(words("GET a"))
        played.sends(rest[-5:]).replies(b"$-1\r\n").asks_for(2, "transaction").is_pinned(b"")
        played.to_upstream(words("MULTI") + words("SET m:a !x") + words("EXEC") + words("GET m:a"))
        played.replies(OK + b"+QUEUED\r\n*1\r\n+OK\r\n" + bulk(b"!x"))
        played.to_client(b"$-1\r\n" + OK + b"+QUEUED\r\n*1\r\n+OK\r\n" + bulk(b"x"))

    def test_a_subscription_works(self) -> None:
        played = Script().sends(words("SUBSCRIBE c")).asks_for(2, "subscription").is_pinned(b"")
        confirmed, message = (
            b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
            b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n",
        )
        played.to_upstream(words("SUBSCRIBE c")).replies(confirmed + message).to_client(confirmed + message)

    def test_refusals_of_the_request_that_waited_name_its_command(self) -> None:
        played = Script().sends(command(b"LPUSH", b"m:a", b"x" * 1024 * 1024) + PING).asks_for(2, "large")
        played.is_pinned(b"").takes_turns()
        assert [report.command for report in played.reports] == ["LPUSH"]

    def test_the_counters_count_each_request_once(self) -> None:
        played = Script().sends(PING + words("MULTI") + command(b"SET", b"k", b"x" * 1024 * 1024)).replies(PONG)
        played.is_pinned(b"").takes_turns()
        counts = {row.name: count for row, count in played.tally.commands.items() if row is not None}
        assert counts == {b"PING": 1, b"MULTI": 1, b"SET": 1}


def test_a_conversation_that_fails_meanwhile_asks_for_nothing_more() -> None:
    played = Script().sends(PING + words("MULTI")).fails("no link")
    assert played.closed == "no link"
    assert not played.relinks


def test_a_link_that_cannot_be_had_fails_the_conversation() -> None:
    played = Script().sends(words("MULTI")).asks_for(2, "transaction").fails("Redis has no room")
    played.to_client(b"-ERR flask-cache-proxy: Redis has no room\r\n")
    assert played.closed


@pytest.mark.parametrize("name", [b"GET", b"ECHO", b"EVAL", b"LPUSH", b"NO!SUCH", b"BLPOP", b"HELLO", b"SELECT"])
def test_no_request_is_kept(name: bytes) -> None:
    played = opened(Script(gate=Gate(None)))
    request = command(name, b"m:a", b"x" * 60_000)
    before = sys.getrefcount(request)
    played.sends(request)
    if played.relinks:
        played.is_pinned(b"")
    played.replies(b"-ERR no\r\n" * played.session.pending)
    assert played.client.startswith(b"-")
    assert played.session.is_idle
    played.upstream = b""
    assert sys.getrefcount(request) == before
    assert played.session.memory == 0


def test_requests_that_wait_count_as_memory() -> None:
    played = Script().sends(command(b"ECHO", b"x" * 2_000_000)).asks_for(2, "large")
    assert played.session.memory > 2_000_000
    assert not played.session.is_idle
