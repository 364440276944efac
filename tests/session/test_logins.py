"""AUTH, and HELLO with AUTH. Several versions of Redis do not answer a failing one while output is pending.

Also the limits for strangers, where Redis needs a password.
"""

import pytest

from proxy.resp.encode import command
from proxy.session import Gate
from tests.session.playbook import POISON, Playbook, policy

AUTH = command(b"AUTH", b"nobody", b"x")
HELLO_AUTH = command(b"HELLO", b"3", b"AUTH", b"nobody", b"x")
GET = command(b"GET", b"m:a")
PING = command(b"PING")
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
POISON_FAILS = b"-ERR wrong number of arguments for 'get' command\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
PUSH = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"

LOGINS = [
    AUTH,
    command(b"auth", b"x"),
    HELLO_AUTH,
    command(b"HELLO", b"2", b"SETNAME", b"me", b"auth\0x", b"nobody", b"x"),
    command(b"hello", b"3", b"LATER", b"AUTH", b"nobody", b"x"),  # an option that some server may know
]


def in_resp3() -> Playbook:
    hello = command(b"HELLO", b"3")
    return Playbook().sends(hello).replies(b"%0\r\n").to_upstream(hello).to_client(b"%0\r\n")


class TestInStep:
    @pytest.mark.parametrize("login", LOGINS)
    def test_a_login_waits_until_nothing_is_outstanding_and_the_rest_waits_for_it(self, login: bytes) -> None:
        played = Playbook().sends(PING + GET + login + GET).to_upstream(PING + GET)
        played.replies(b"+PONG\r\n").to_upstream(b"").replies(b"$2\r\n!v\r\n").to_upstream(login)
        played.replies(WRONG).to_upstream(GET).replies(b"$2\r\n!v\r\n")
        played.to_client(b"+PONG\r\n$1\r\nv\r\n" + WRONG + b"$1\r\nv\r\n")

    @pytest.mark.parametrize("hello", [command(b"HELLO"), command(b"HELLO", b"3"), command(b"HELLO", b"AUTH", b"a")])
    def test_a_hello_without_one_waits_for_nothing(self, hello: bytes) -> None:
        Playbook().sends(PING + hello + GET).to_upstream(PING + hello + GET)

    @pytest.mark.parametrize("login", LOGINS)
    def test_it_is_refused_inside_multi_which_fails(self, login: bytes) -> None:
        played = Playbook().sends(command(b"MULTI") + login + GET).to_upstream(command(b"MULTI"))
        played.replies(b"+OK\r\n").to_upstream(POISON).replies(POISON_FAILS).to_upstream(GET)
        played.to_client(
            b"+OK\r\n-ERR flask-cache-proxy: AUTH is refused inside MULTI, where Redis may leave it unanswered\r\n"
        )

    @pytest.mark.parametrize("login", LOGINS)
    def test_in_resp3_a_poison_tells_that_no_answer_came(self, login: bytes) -> None:
        played = in_resp3().sends(login + GET).to_upstream(login + POISON)
        played.replies(PUSH + POISON_FAILS).to_client(PUSH + WRONG)
        played.to_upstream(GET).replies(b"$2\r\n!v\r\n").to_client(b"$1\r\nv\r\n")

    @pytest.mark.parametrize("reply", [WRONG, b"+OK\r\n", b"%1\r\n+proto\r\n:3\r\n", b"-ERR syntax error\r\n"])
    @pytest.mark.parametrize("login", [AUTH, HELLO_AUTH])
    def test_in_resp3_an_answer_is_passed_on_and_nothing_of_the_poison(self, login: bytes, reply: bytes) -> None:
        for cut in (1, 7, 1000):
            played = Playbook(cut=lambda data, cut=cut: [data[at : at + cut] for at in range(0, len(data), cut)])  # type: ignore[misc]
            played.sends(command(b"HELLO", b"3")).replies(b"%0\r\n").to_client(b"%0\r\n")
            played.sends(login + GET).replies(reply + PUSH + POISON_FAILS).to_client(reply + PUSH)
            played.replies(b"_\r\n").to_client(b"_\r\n")
            assert not played.session.pending

    def test_a_hello_that_goes_back_to_resp2_is_the_last_with_a_poison(self) -> None:
        back = command(b"HELLO", b"2", b"AUTH", b"me", b"x")
        played = in_resp3().sends(back).to_upstream(back + POISON).replies(b"*0\r\n" + POISON_FAILS)
        played.sends(AUTH).to_upstream(AUTH).replies(WRONG).to_client(b"*0\r\n" + WRONG)

    def test_a_poison_that_does_not_fail_closes(self) -> None:
        assert in_resp3().sends(AUTH).replies(b"+OK\r\n+OK\r\n").closed

    @pytest.mark.parametrize("reply", [WRONG, POISON_FAILS])
    def test_a_skipped_login_is_silent(self, reply: bytes) -> None:
        played = in_resp3().sends(command(b"CLIENT", b"REPLY", b"SKIP")).replies(b"+OK\r\n").sends(AUTH + PING)
        if reply is WRONG:
            played.replies(WRONG)
        played.replies(POISON_FAILS).replies(b"+PONG\r\n").to_client(b"+PONG\r\n")


def stranger(gate: Gate | None = None) -> Playbook:
    """Redis needs a password."""
    return Playbook(gate=gate, wants_password=True)


MANY = command(b"MGET", *[b"a"] * 10)
LONG = command(b"ECHO", b"x" * 16385)
TOO_MUCH = [
    (b"*11\r\n", b"multibulk"),
    (b"*100\r\n", b"multibulk"),
    (MANY, b"multibulk"),
    (b"*1\r\n$16385\r\n", b"bulk"),
    (b"*1\r\n$100000000\r\n", b"bulk"),
    (b"*2\r\n$4\r\nECHO\r\n$100000000\r\nxxxx", b"bulk"),
    (LONG, b"bulk"),
]


def ending(kind: bytes) -> bytes:
    return b"-ERR Protocol error: unauthenticated %s length\r\n" % kind


class TestStrangers:
    @pytest.mark.parametrize(("sent", "kind"), TOO_MUCH, ids=lambda value: repr(value[:20]))
    @pytest.mark.parametrize("gate", [None, Gate([b"sesame"])])
    def test_what_is_too_much_ends_the_conversation_at_once(self, sent: bytes, kind: bytes, gate: Gate | None) -> None:
        played = stranger(gate).sends(sent).to_upstream(b"").to_client(ending(kind))
        assert played.closed

    @pytest.mark.parametrize(("sent", "kind"), TOO_MUCH, ids=lambda value: repr(value[:20]))
    @pytest.mark.parametrize(
        ("first", "reply"),
        [
            (PING, NOAUTH),
            (command(b"NOSUCH" * 20), b""),
            (AUTH, WRONG),
            (HELLO_AUTH, WRONG),
            (command(b"HELLO", b"3"), b"-NOAUTH HELLO must be called\r\n"),
            (command(b"HELLO"), b"*0\r\n"),  # from a server that answers HELLO before authentication
            (command(b"GET"), b"-ERR wrong number of arguments for 'get' command\r\n"),
            (command(b"RESET"), b"+RESET\r\n"),
        ],
        ids=lambda value: repr(value[:20]),
    )
    def test_nor_does_what_strangers_are_answered_make_them_known(
        self, sent: bytes, kind: bytes, first: bytes, reply: bytes
    ) -> None:
        at_once, later = stranger().sends(first + sent).replies(reply), stranger().sends(first).replies(reply)
        for played in (at_once, later.sends(sent)):
            assert played.client.endswith(ending(kind))
            assert played.closed

    @pytest.mark.parametrize(
        ("first", "reply"),
        [
            (AUTH, b"+OK\r\n"),
            (HELLO_AUTH, b"%0\r\n"),
            (command(b"HELLO", b"2", b"AUTH", b"me", b"x"), b"*0\r\n"),
            (PING, b"+PONG\r\n"),
            (command(b"GET", b"a"), b"$-1\r\n"),
            (GET, b"$2\r\n!v\r\n"),
            (command(b"MGET", b"m:a"), b"*1\r\n$-1\r\n"),
            (command(b"MULTI"), b"+OK\r\n"),
            (command(b"SELECT", b"1"), b"+OK\r\n"),
        ],
        ids=lambda value: repr(value[:20]),
    )
    def test_what_redis_does_for_one_that_it_knows_lifts_the_bounds(self, first: bytes, reply: bytes) -> None:
        at_once, later = stranger().sends(first + MANY).replies(reply), stranger().sends(first).replies(reply)
        for played in (at_once, later.sends(MANY)):
            assert played.upstream == first + MANY
            assert played.session.is_admitted
            assert not played.closed
            played.sends(b"*100\r\n$100000000\r\n")
            assert not played.closed

    @pytest.mark.parametrize(
        "refused", [command(b"SHUTDOWN"), command(b"EVAL", b"x", b"0"), command(b"RPUSH", b"m:a", b"x")]
    )
    def test_of_what_is_refused_they_hear_what_redis_tells_strangers(self, refused: bytes) -> None:
        select = command(b"SELECT", b"x")
        played = stranger().sends(refused).to_upstream(select).replies(NOAUTH).to_client(NOAUTH)
        played.sends(refused).to_upstream(select).replies(b"-ERR invalid DB index\r\n")
        assert played.client.startswith(b"-ERR flask-cache-proxy: ")
        stranger().sends(AUTH).replies(b"+OK\r\n").to_upstream(AUTH).sends(refused).to_upstream(b"")

    def test_small_requests_of_strangers_pass(self) -> None:
        small = command(b"MGET", *[b"a"] * 9) + command(b"ECHO", b"x" * 16384) + command(b"SET", b"m:a", b"v")
        played = stranger().sends(small).to_upstream(small.replace(b"$1\r\nv\r\n", b"$2\r\n!v\r\n"))
        played.replies(NOAUTH * 3).to_client(NOAUTH * 3)
        assert not played.session.is_admitted
        assert not played.session.has_begun

    def test_reset_makes_a_stranger_of_everybody(self) -> None:
        reset = command(b"RESET")
        played = stranger().sends(AUTH).replies(b"+OK\r\n").sends(reset + MANY).replies(b"+RESET\r\n")
        played.to_upstream(AUTH + reset).to_client(b"+OK\r\n+RESET\r\n" + ending(b"multibulk"))

    def test_a_reset_that_is_refused_does_not(self) -> None:
        reset = command(b"RESET", b"x")
        played = stranger().sends(AUTH).replies(b"+OK\r\n").sends(reset + MANY).replies(b"-ERR wrong number\r\n")
        played.to_upstream(AUTH + reset + MANY)

    def test_a_wrong_password_makes_no_stranger_of_a_client_that_is_known(self) -> None:
        played = stranger().sends(AUTH).replies(b"+OK\r\n").sends(AUTH + MANY).replies(WRONG)
        played.to_upstream(AUTH * 2 + MANY)

    def test_where_redis_wants_no_password_there_are_no_bounds(self) -> None:
        played = Playbook().sends(MANY).to_upstream(MANY).replies(b"-ERR x\r\n").sends(b"*100\r\n")
        assert not played.closed
        assert played.session.is_admitted

    def test_the_end_of_a_stranger_is_silent_where_replies_are(self) -> None:
        off = command(b"CLIENT", b"REPLY", b"OFF")
        played = stranger().sends(off).replies(b"+OK\r\n").sends(command(b"RESET", b"x")).replies(b"-ERR x\r\n")
        assert not played.client

    def test_the_policy_of_a_reload_changes_nothing(self) -> None:
        played = stranger()
        played.session.set_policy(policy(), None)
        assert played.sends(MANY).closed
