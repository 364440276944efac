"""The password of a listener, where the proxy is logged in to Redis itself."""

import pytest

from proxy.resp.writers import command
from proxy.session import Gate
from tests.session.playbook import POISON, Playbook, policy

NOAUTH = b"-NOAUTH Authentication required.\r\n"
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
ERROR = b"-ERR x\r\n"


def play(password: bytes | None = b"sesame") -> Playbook:
    return Playbook(gate=Gate(password))


def test_nothing_of_a_stranger_reaches_redis() -> None:
    played = play().command(b"SET", b"m:a", b"v").command(b"NO.SUCH").command(b"FLUSHALL")
    played.to_upstream(POISON * 3).replies(ERROR * 3).to_client(NOAUTH * 3)
    assert not played.lookups


def test_auth_is_answered_here_and_lets_in() -> None:
    played = play().sends(command(b"AUTH", b"sesame") + command(b"PING")).to_upstream(POISON)
    played.replies(ERROR).to_upstream(command(b"PING")).replies(b"+PONG\r\n").to_client(b"+OK\r\n+PONG\r\n")


@pytest.mark.parametrize("args", [(b"wrong",), (b"default", b"wrong"), (b"root", b"sesame"), (b"",), (b"sesam",)])
def test_a_wrong_password_lets_nobody_in_and_nobody_out(args: tuple[bytes, ...]) -> None:
    played = play().command(b"AUTH", *args).replies(ERROR).command(b"PING").replies(ERROR).to_client(WRONG + NOAUTH)
    played.command(b"AUTH", b"default", b"sesame").replies(ERROR).command(b"AUTH", *args).replies(ERROR)
    played.command(b"PING").replies(b"+PONG\r\n").to_client(b"+OK\r\n" + WRONG + b"+PONG\r\n")


def test_hello_is_forwarded_without_its_auth() -> None:
    played = play().command(b"HELLO", b"3", b"auth", b"default", b"sesame", b"SETNAME", b"me")
    played.to_upstream(command(b"HELLO", b"3", b"SETNAME", b"me")).replies(b"%0\r\n")
    played.command(b"GET", b"m:a").replies(b"_\r\n").to_client(b"%0\r\n_\r\n")


def test_hello_with_a_wrong_password_changes_nothing() -> None:
    played = play().command(b"HELLO", b"3", b"AUTH", b"default", b"x", b"SETNAME", b"me").to_upstream(POISON)
    played.replies(ERROR).to_client(WRONG)
    played.command(b"HELLO", b"3").to_upstream(POISON).replies(ERROR)
    assert played.client.startswith(b"-NOAUTH HELLO must be called with the client already authenticated")


def test_reset_logs_out_and_the_proxy_in_again() -> None:
    login = command(b"AUTH", b"own")
    played = Playbook(gate=Gate(b"sesame"), setup=(login,)).to_upstream(login).replies(b"+OK\r\n")
    played.command(b"AUTH", b"sesame").to_upstream(POISON).replies(ERROR).to_client(b"+OK\r\n")
    reset = command(b"RESET")
    played.sends(reset + command(b"PING")).to_upstream(reset).replies(b"+RESET\r\n").to_upstream(login)
    played.replies(b"+OK\r\n").to_upstream(POISON).replies(ERROR).to_client(b"+RESET\r\n" + NOAUTH)


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
    played = play(None).command(b"PING").to_upstream(command(b"PING")).replies(b"+PONG\r\n").to_client(b"+PONG\r\n")
    played.command(b"AUTH", b"x").to_upstream(POISON).replies(ERROR)
    assert played.client.startswith(b"-ERR AUTH <password> called without any password configured")


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
    played = play().command(b"AUTH", b"sesame").to_upstream(POISON).replies(ERROR).to_client(b"+OK\r\n")
    played.command(b"HELLO", b"2", *options)
    if forwarded is None:
        played.to_upstream(POISON).replies(ERROR).to_client(WRONG)
    else:
        played.to_upstream(command(b"HELLO", b"2", *forwarded))


def test_a_new_password_is_asked_of_open_connections_too() -> None:
    inside = play().command(b"AUTH", b"sesame").replies(ERROR).to_client(b"+OK\r\n")
    outside = play()
    for played in (inside, outside):
        played.session.set_policy(policy(), Gate(b"new"))
    inside.command(b"PING").replies(b"+PONG\r\n").to_client(b"+PONG\r\n")
    inside.command(b"AUTH", b"sesame").replies(ERROR).to_client(WRONG)
    outside.command(b"AUTH", b"sesame").replies(ERROR).command(b"AUTH", b"new").replies(ERROR)
    outside.to_client(WRONG + b"+OK\r\n")


def test_a_stranger_has_not_begun() -> None:
    played = play().command(b"PING").replies(ERROR).to_client(NOAUTH)
    assert not played.session.has_begun
    played.command(b"AUTH", b"sesame").replies(ERROR).to_client(b"+OK\r\n")
    assert played.session.has_begun


def test_a_reset_that_redis_refuses_closes_no_gate() -> None:
    played = play().command(b"AUTH", b"sesame").replies(ERROR).to_client(b"+OK\r\n").command(b"RESET", b"x")
    played.replies(b"-ERR wrong number\r\n").command(b"PING").replies(b"+PONG\r\n")
    played.to_client(b"-ERR wrong number\r\n+PONG\r\n")
