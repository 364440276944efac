"""The password of a listener, where the proxy is logged in to Redis itself."""

import pytest

from proxy.resp.writers import command
from proxy.session import Gate
from tests.session.playbook import POISON, Playbook

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
