"""The password of a listener, where the proxy logs in to Redis itself."""

import hmac
from collections.abc import Callable

import pytest

from proxy.resp.encode import command
from proxy.session import Gate
from tests.session.playbook import Playbook, policy

NOAUTH = b"-NOAUTH Authentication required.\r\n"
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


def play(*passwords: bytes) -> Playbook:
    return Playbook(gate=Gate(passwords or [b"sesame"]))


def test_nothing_of_a_stranger_reaches_redis() -> None:
    played = play().command(b"SET", b"m:a", b"v").command(b"NO.SUCH").command(b"FLUSHALL")
    played.to_upstream(b"").to_client(NOAUTH * 3)
    assert not played.lookups


def test_auth_is_answered_here_and_lets_in() -> None:
    played = play().sends(command(b"AUTH", b"sesame") + command(b"PING"))
    played.to_upstream(command(b"PING")).replies(b"+PONG\r\n").to_client(b"+OK\r\n+PONG\r\n")


@pytest.mark.parametrize("args", [(b"wrong",), (b"default", b"wrong"), (b"root", b"sesame"), (b"",), (b"sesam",)])
def test_a_wrong_password_lets_nobody_in_and_nobody_out(args: tuple[bytes, ...]) -> None:
    played = play().command(b"AUTH", *args).command(b"PING").to_client(WRONG + NOAUTH)
    played.command(b"AUTH", b"default", b"sesame").command(b"AUTH", *args)
    played.command(b"PING").replies(b"+PONG\r\n").to_client(b"+OK\r\n" + WRONG + b"+PONG\r\n")


def test_hello_is_forwarded_without_its_auth() -> None:
    played = play().command(b"HELLO", b"3", b"auth", b"default", b"sesame", b"SETNAME", b"me")
    played.to_upstream(command(b"HELLO", b"3", b"SETNAME", b"me")).replies(b"%0\r\n")
    played.command(b"GET", b"m:a").replies(b"_\r\n").to_client(b"%0\r\n_\r\n")


def test_hello_with_a_wrong_password_changes_nothing() -> None:
    played = play().command(b"HELLO", b"3", b"AUTH", b"default", b"x", b"SETNAME", b"me").to_upstream(b"")
    played.to_client(WRONG)
    played.command(b"HELLO", b"3").to_upstream(b"")
    assert played.client.startswith(b"-NOAUTH HELLO must be called with the client already authenticated")


def test_reset_logs_out_and_the_proxy_in_again() -> None:
    login = command(b"AUTH", b"own")
    played = Playbook(gate=Gate([b"sesame"]), setup=(login,)).to_upstream(login).replies(b"+OK\r\n")
    played.command(b"AUTH", b"sesame").to_upstream(b"").to_client(b"+OK\r\n")
    reset = command(b"RESET")
    played.sends(reset + command(b"PING")).to_upstream(reset).replies(b"+RESET\r\n").to_upstream(login)
    played.replies(b"+OK\r\n").to_upstream(b"").to_client(b"+RESET\r\n" + NOAUTH)


def test_what_is_too_large_for_a_stranger_ends_the_conversation() -> None:
    for request, text in (
        (command(b"MGET", *[b"a"] * 10), b"multibulk"),
        (command(b"ECHO", b"x" * 16385), b"bulk"),
        (b"*1\r\n$1000000\r\n" + b"x" * 200_000, b"bulk"),
    ):
        played = play().sends(request)
        assert played.client == b"-ERR Protocol error: unauthenticated %s length\r\n" % text
        assert played.closed
        played.to_upstream(b"")


def test_a_gate_without_a_password_is_open_but_answers_auth_itself() -> None:
    played = (
        Playbook(gate=Gate(None))
        .command(b"PING")
        .to_upstream(command(b"PING"))
        .replies(b"+PONG\r\n")
        .to_client(b"+PONG\r\n")
    )
    played.command(b"AUTH", b"x").to_upstream(b"")
    assert played.client.startswith(b"-ERR AUTH <password> called without any password configured")


@pytest.mark.parametrize(
    "options", [(b"AUTH", b"default", b"sesame", b"FOO\0x"), (b"FOO",), (b"AUTH", b"default", b"x", b"FOO", b"y")]
)
def test_a_hello_with_a_syntax_error_logs_nobody_in(options: tuple[bytes, ...]) -> None:
    played = play().command(b"HELLO", b"3", *options).to_upstream(b"")
    played.to_client(b"-ERR Syntax error in HELLO option 'FOO'\r\n")
    played.command(b"PING").to_upstream(b"").to_client(NOAUTH)


@pytest.mark.parametrize(
    ("options", "forwarded"),
    [
        ((b"AUTH\0", b"default", b"zzz"), None),
        ((b"auth\0x", b"other", b"otherpw"), None),
        ((b"SETNAME\0", b"x", b"AUTH", b"default", b"q"), None),
        ((b"AUTH", b"default", b"sesame", b"auth\0", b"default", b"zzz"), None),
        ((b"FOO", b"AUTH", b"default", b"q"), (b"FOO",)),
        ((b"FOO\0", b"x", b"AUTH", b"default", b"q"), (b"FOO",)),
        ((b"SETNAME\0", b"x"), (b"SETNAME", b"x")),
        ((b"SETNAME", b"x", b"FOO"), (b"SETNAME", b"x", b"FOO")),
        ((b"SETNAME",), (b"SETNAME",)),
        ((b"AUTH\0", b"default"), (b"AUTH",)),
        ((b"", b"AUTH", b"default", b"q"), (b"",)),
    ],
)
def test_no_spelling_of_auth_reaches_redis(options: tuple[bytes, ...], forwarded: tuple[bytes, ...] | None) -> None:
    """Redis compares options as C strings."""
    played = play().command(b"AUTH", b"sesame").to_upstream(b"").to_client(b"+OK\r\n")
    played.command(b"HELLO", b"2", *options)
    if forwarded is None:
        played.to_upstream(b"").to_client(WRONG)
    else:
        played.to_upstream(command(b"HELLO", b"2", *forwarded))


def test_a_new_password_is_asked_of_open_connections_too() -> None:
    inside = play().command(b"AUTH", b"sesame").to_client(b"+OK\r\n")
    outside = play()
    for played in (inside, outside):
        played.session.set_policy(policy(), Gate([b"new"]))
    inside.command(b"PING").replies(b"+PONG\r\n").to_client(b"+PONG\r\n")
    inside.command(b"AUTH", b"sesame").to_client(WRONG)
    outside.command(b"AUTH", b"sesame").command(b"AUTH", b"new")
    outside.to_client(WRONG + b"+OK\r\n")


LOGINS = {
    "AUTH": lambda password: command(b"AUTH", password),
    "AUTH default": lambda password: command(b"AUTH", b"default", password),
    "HELLO 2": lambda password: command(b"HELLO", b"2", b"AUTH", b"default", password),
    "HELLO 3": lambda password: command(b"HELLO", b"3", b"AUTH", b"default", password),
}
every_login = pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)


@every_login
@pytest.mark.parametrize("password", [b"old", b"new", b" new "])
def test_each_of_several_passwords_lets_in(login: Callable[[bytes], bytes], password: bytes) -> None:
    played = play(b"old", b"new", b" new ").sends(login(b"wrong") + login(b"")).to_client(WRONG * 2)
    is_hello = bool(played.sends(login(password)).upstream)  # its reply is Redis' own
    (played.replies(b"%0\r\n").to_client(b"%0\r\n") if is_hello else played.to_client(b"+OK\r\n"))
    played.command(b"PING").replies(b"+PONG\r\n").to_client(b"+PONG\r\n")


@every_login
def test_a_password_that_is_removed_lets_nobody_in_and_nobody_out(login: Callable[[bytes], bytes]) -> None:
    inside, outside = play(b"old", b"new").command(b"AUTH", b"old").to_client(b"+OK\r\n"), play(b"old", b"new")
    for played in (inside, outside):
        played.session.set_policy(policy(), Gate([b"new"]))
    inside.command(b"PING").replies(b"+PONG\r\n").to_client(b"+PONG\r\n")
    outside.sends(login(b"old")).command(b"PING").to_upstream(b"").to_client(WRONG + NOAUTH)
    inside.command(b"RESET").replies(b"+RESET\r\n").to_client(b"+RESET\r\n")
    inside.sends(login(b"old")).command(b"PING").to_client(WRONG + NOAUTH)


@pytest.mark.parametrize("right", [0, 3, 7])
def test_all_passwords_are_compared_and_only_by_digests(monkeypatch: pytest.MonkeyPatch, right: int) -> None:
    passwords = [b"x" * (1 + 10 * number) for number in range(8)]
    compared: list[tuple[bytes, bytes]] = []
    gate = Gate(passwords)

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert gate.admits(b"default", passwords[right])
    assert not gate.admits(b"default", b"y")
    assert len(compared) == 16
    assert {len(digest) for pair in compared for digest in pair} == {32}


def test_a_login_with_megabytes_is_wrong_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: pytest.fail("it was compared"))
    assert not Gate([b"sesame"]).admits(b"default", b"x" * 16385)


def test_a_gate_with_no_password_left_admits_nobody() -> None:
    assert not Gate([]).is_open
    assert not Gate([]).admits(b"default", b"")


def test_a_stranger_has_not_begun() -> None:
    played = play().command(b"PING").to_client(NOAUTH)
    assert not played.session.has_begun
    played.command(b"AUTH", b"sesame").to_client(b"+OK\r\n")
    assert played.session.has_begun


def test_a_reset_that_redis_refuses_closes_no_gate() -> None:
    played = play().command(b"AUTH", b"sesame").to_client(b"+OK\r\n").command(b"RESET", b"x")
    played.replies(b"-ERR wrong number\r\n").command(b"PING").replies(b"+PONG\r\n")
    played.to_client(b"-ERR wrong number\r\n+PONG\r\n")


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        (command(b"AUTH", b"sesame"), command(b"AUTH", b"")),
        (command(b"AUTH", b"nobody", b"x"), command(b"AUTH", b"")),
        (command(b"HELLO", b"2", b"AUTH", b"nobody", b"x"), command(b"HELLO", b"2")),
    ],
)
def test_to_a_subscriber_in_resp2_redis_says_what_it_may(login: bytes, sent: bytes) -> None:
    subscribe, confirmed = command(b"SUBSCRIBE", b"c"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
    refused = b"-ERR Can't execute this: only PING is allowed in this context\r\n"
    played = play().command(b"AUTH", b"sesame").to_client(b"+OK\r\n").to_upstream(b"")
    played.sends(subscribe).replies(confirmed).to_upstream(subscribe).to_client(confirmed)
    played.sends(login).to_upstream(sent).replies(refused).to_client(refused)
