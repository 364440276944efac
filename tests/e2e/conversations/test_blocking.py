"""Commands that wait for others, and what is pipelined behind them."""

# ruff: noqa: E501 (a conversation reads best on one line)

import pytest

from tests.e2e.conversations.conftest import Both
from tests.e2e.conversations.scripts import Aside, Blocked, Until, lines

BLOCKING = {
    "that time out": "BLPOP l 0.01|BZPOPMIN z 0.01|XREAD BLOCK 1 STREAMS x $|PING",
    "that need not wait": "RPUSH l a b c d|BLPOP k l 0|BRPOP l 0|BLMOVE l k LEFT LEFT 0|BRPOPLPUSH l k 0|ZADD z 1 m 2 n|BZPOPMIN z 0|BZPOPMAX z 0|WAIT 0 0",
    "errors": "BLPOP l|BLPOP l x|BLPOP l -1|SET s x|BLPOP s 0|XREAD BLOCK x STREAMS s 0|XREAD BLOCK 0 STREAMS s|XREADGROUP GROUP g me BLOCK 0 STREAMS none >|WAIT x 0|WAIT 0 -1",
    "while replies are off": "CLIENT REPLY OFF|BLPOP l 0.01|CLIENT REPLY ON|CLIENT REPLY SKIP|BLPOP l 0.01|PING",
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKING)
def test_replies_are_the_same(both: Both, hello: bytes, name: str) -> None:
    assert both(hello + lines(BLOCKING[name]))


def test_they_are_served(both: Both, hello: bytes) -> None:
    came = both(
        hello + lines("BLPOP l 0|GET a|BRPOP l k 0|BZPOPMIN z 0|XREAD BLOCK 0 STREAMS x $|BLMOVE l m LEFT LEFT 0|BRPOPLPUSH l m 0|XREADGROUP GROUP g me BLOCK 0 STREAMS w >"),
        Blocked(),
        Aside("SET a 1"),
        Aside("RPUSH l x"),
        Until(rb"\$1\r\n1\r\n"),
        Blocked(),
        Aside("RPUSH k y"),
        Until(rb"y\r\n"),
        Blocked(),
        Aside("ZADD z 1.5 m"),
        Until(rb"1\.5\r\n"),
        Blocked(),
        Aside("XADD x 5-1 f v"),
        Until(rb"v\r\n"),
        Blocked(),
        Aside("RPUSH l move"),
        Until(rb"move\r\n"),
        Blocked(),
        Aside("RPUSH l push"),
        Until(rb"push\r\n"),
        Blocked(),
        Aside("XADD w 6-1 f end"),
        Until(rb"end\r\n"),
        setup="XGROUP CREATE w g $ MKSTREAM",
    )  # fmt: skip
    assert b"\r\nl\r\n$1\r\nx\r\n" in came


def test_what_is_pipelined_behind_one_waits_with_it(both: Both, hello: bytes) -> None:
    behind = "GET a|MULTI|GET a|EXEC|SUBSCRIBE c|UNSUBSCRIBE|HELLO 3|GET a|CLIENT REPLY SKIP|GET a|RESET|GET a|NOSUCH a"
    came = both(hello + lines("BLPOP l 0|" + behind), Blocked(), Aside("SET a late"), Aside("RPUSH l x"))
    assert came.count(b"$4\r\nlate\r\n") == 4


def test_one_that_is_unblocked_with_an_error(both: Both, hello: bytes) -> None:
    came = both(
        hello + lines("XREADGROUP GROUP g me BLOCK 0 STREAMS x >|PING"),
        Blocked(),
        Aside("XGROUP DESTROY x g"),
        Until(rb"PONG\r\n"),
        setup="XGROUP CREATE x g $ MKSTREAM",
    )
    assert b"-" in came


def test_one_inside_a_transaction_waits_for_nobody(both: Both, hello: bytes) -> None:
    both(hello + lines("RPUSH l x|MULTI|BLPOP l k 0|BLPOP l k 0|BZPOPMIN z 0|WAIT 0 0|GET a|EXEC|BLPOP l 0.01|GET a"))
