"""Subscriptions of all three kinds."""

# ruff: noqa: E501 (a conversation reads best on one line)

import pytest

from tests.e2e.conversations.conftest import Both
from tests.e2e.conversations.scripts import Aside, Until, lines

SUBSCRIPTIONS = {
    "of all kinds": "SUBSCRIBE a|SUBSCRIBE b c a|UNSUBSCRIBE b none|PSUBSCRIBE x* y*|PUNSUBSCRIBE x*|PING|PING hi|"
    "UNSUBSCRIBE|PUNSUBSCRIBE|UNSUBSCRIBE|PUNSUBSCRIBE|PING|SSUBSCRIBE s t|SUNSUBSCRIBE|SUNSUBSCRIBE|GET none",
    "of none": "UNSUBSCRIBE|PUNSUBSCRIBE|SUNSUBSCRIBE|UNSUBSCRIBE a b|PUNSUBSCRIBE a b|SUNSUBSCRIBE a b|SUBSCRIBE|PING|GET none",
    "left without naming them": "SUBSCRIBE a b c|UNSUBSCRIBE|PSUBSCRIBE a b|SUBSCRIBE x|PUNSUBSCRIBE|PING|UNSUBSCRIBE|SSUBSCRIBE a|UNSUBSCRIBE|SUNSUBSCRIBE|GET none",
    "commands meanwhile": "SUBSCRIBE a|GET none|SET a 1|MULTI|DISCARD|NOSUCH|INCR|PUBLISH a x|HELLO 3|HELLO 2|UNSUBSCRIBE|GET a",
    "shard commands meanwhile": "SSUBSCRIBE a|GET none|PING|SPUBLISH a x|PUBSUB SHARDCHANNELS|RESET|PUBSUB SHARDCHANNELS|PUBSUB SHARDNUMSUB a",
    "own messages": "SUBSCRIBE a|HELLO 3|UNSUBSCRIBE|HELLO 3|SUBSCRIBE a|PUBLISH a x|PSUBSCRIBE a*|PUBLISH a y|UNSUBSCRIBE|"
    "PUBLISH a z|PUNSUBSCRIBE|PUBLISH a end|PUBSUB CHANNELS|PUBSUB NUMPAT|PUBSUB NUMSUB a",
    "own shard messages": "HELLO 3|SSUBSCRIBE a b|SPUBLISH a x|SPUBLISH c x|MULTI|SPUBLISH b y|GET none|EXEC|SUNSUBSCRIBE a|SPUBLISH a x|SPUBLISH b z",
    "messages inside EXEC": "HELLO 3|SUBSCRIBE a|MULTI|PUBLISH a x|GET none|PUBLISH a y|MGET none none|EXEC|GET none|PUBLISH a z",
    "ended by RESET": "SUBSCRIBE a b|PSUBSCRIBE p*|RESET|GET none|SUBSCRIBE a|UNSUBSCRIBE|GET none",
    "ended by QUIT": "SUBSCRIBE a|QUIT|UNSUBSCRIBE",
    "protocol switches": "HELLO 3|SUBSCRIBE a|HELLO 2|PING|GET none|UNSUBSCRIBE|PING|SUBSCRIBE a|RESET|PING",
    "twice the same": "SUBSCRIBE a a a|UNSUBSCRIBE a a|PSUBSCRIBE * *|SUBSCRIBE a|PUNSUBSCRIBE *|PUNSUBSCRIBE|UNSUBSCRIBE|PING",
    "names that are replies": "SUBSCRIBE +OK :1 $-1 subscribe message pong|PING|UNSUBSCRIBE +OK|PING pong|UNSUBSCRIBE|PING",
}  # fmt: skip


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
def test_replies_are_the_same(both: Both, hello: bytes, name: str) -> None:
    assert both(hello + lines(SUBSCRIPTIONS[name]))


def test_messages(both: Both, hello: bytes) -> None:
    came = both(
        hello + lines("SUBSCRIBE a b|PSUBSCRIBE p* *"),
        Until(rb"\$1\r\n\*\r\n:4\r\n"),
        Aside("PUBLISH a hello"),
        Aside("PUBLISH b " + "x" * 100_000),
        Aside("PUBLISH px both"),
        Until(rb"(px\r\n\$4\r\nboth\r\n.*){2}"),
        lines("PING|UNSUBSCRIBE a"),
        Until(rb"unsubscribe\r\n\$1\r\na\r\n:3\r\n"),
        Aside("PUBLISH a again"),
        Until(rb"again\r\n"),
        lines("UNSUBSCRIBE|PUNSUBSCRIBE|PING|GET a"),
    )
    assert came.count(b"message") >= 6


def test_messages_that_look_like_other_replies(both: Both, hello: bytes) -> None:
    both(
        hello + lines("SUBSCRIBE subscribe message unsubscribe"),
        Until(rb"unsubscribe\r\n:3\r\n"),
        Aside("PUBLISH unsubscribe :1"),
        Aside("PUBLISH message +OK"),
        Aside("PUBLISH subscribe unsubscribe"),
        Until(rb"\$9\r\nsubscribe\r\n\$11\r\nunsubscribe\r\n$"),
        lines("UNSUBSCRIBE message|PING|UNSUBSCRIBE|PING"),
    )


def test_shard_messages(both: Both, hello: bytes) -> None:
    both(
        hello + lines("SSUBSCRIBE s t|SUBSCRIBE a"),
        Until(rb"\$1\r\na\r\n:1\r\n"),
        Aside("SPUBLISH s hello"),
        Aside("PUBLISH a there"),
        Until(rb"there\r\n"),
        lines("SUNSUBSCRIBE s|SUNSUBSCRIBE|UNSUBSCRIBE|GET a"),
    )


def test_messages_between_the_replies_of_a_resp3_client(both: Both) -> None:
    came = both(
        lines("HELLO 3|SUBSCRIBE a|SSUBSCRIBE s|PSUBSCRIBE p*|SET k 1|GET k"),
        Until(rb"\+OK\r\n\$1\r\n1\r\n"),
        Aside("PUBLISH a 1"),
        Aside("SPUBLISH s 2"),
        Aside("PUBLISH px 3"),
        Until(rb"\$2\r\npx\r\n\$1\r\n3\r\n"),
        lines("MULTI|GET k"),
        Until(rb"\+QUEUED\r\n"),
        Aside("PUBLISH a 4"),
        Until(rb"\$1\r\n4\r\n"),
        lines("EXEC|UNSUBSCRIBE|GET k"),
    )
    assert came.count(b"message\r\n") == 4
