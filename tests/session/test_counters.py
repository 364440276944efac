"""Sessions count commands, refusals, and the limits by which a client's bytes ended a conversation."""

import pytest

from proxy.policy import SessionLimits
from proxy.resp import RequestLimits
from proxy.resp.encode import command
from proxy.session import Gate
from tests.session.playbook import Playbook, policy

SMALL = RequestLimits(request_bytes=100, arguments=5, first_bytes=50)
PING = command(b"PING")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (PING + command(b"SET", b"k", b"x" * 100), "request_bytes"),
        (command(b"SET", b"k", b"x" * 60), "first_command_bytes"),
        (command(b"MGET", *b"abcdef".hex(" ").encode().split()), "arguments"),
        (PING + b"*1\r\n:1\r\n", "protocol"),
        (command(b"POST", b"/"), "protocol"),
    ],
)
def test_an_end_counts_by_the_limit_that_was_met(sent: bytes, reason: str) -> None:
    played = Playbook(policy(limits=SessionLimits(request=SMALL))).sends(sent).replies(b"+PONG\r\n")
    assert played.closed
    assert played.tally.ended == {reason: 1}


def test_too_much_before_the_password_is_no_limit_of_ours() -> None:
    played = Playbook(gate=Gate([b"sesame"])).sends(command(b"AUTH", b"x" * 20_000))
    assert played.closed
    assert played.tally.ended == {"protocol": 1}


def test_other_ends_are_no_clients_fault() -> None:
    assert Playbook().command(b"QUIT").replies(b"+OK\r\n").tally.ended == {}
    assert Playbook().fails("Redis has not answered ([limits] reply_timeout)").tally.ended == {}
