"""MULTI and what belongs to it."""

# ruff: noqa: E501 (a conversation reads best on one line)

import pytest

from tests.e2e.conversations.conftest import Both
from tests.e2e.conversations.scripts import Aside, Until, lines

TRANSACTIONS = {
    "plain": "MULTI|SET a 1|GET a|INCR a|MGET a none|HSET h f v|HGETALL h|EXEC|GET a|MULTI|DISCARD|GET a|MULTI|EXEC",
    "errors while queueing": "MULTI|MULTI|SET a|EXEC|MULTI|NOSUCH|EXEC|MULTI|SET a x|INCR a|GET a|EXEC|MULTI|WATCH a|EXEC|EXEC",
    "errors that end nothing": "MULTI|GET a b|DISCARD|GET a|MULTI|EXEC x|EXEC|MULTI|DISCARD x|EXEC|MULTI x|EXEC|UNWATCH|MULTI|UNWATCH|EXEC",
    "errors inside EXEC": "LPUSH l x|MULTI|GET l|SET a b BOGUS|SET a b EX 0|SELECT 99|HELLO 4|SET a 1|OBJECT ENCODING none|EXEC|GET a",
    "unknown subcommands": "MULTI|OBJECT NOSUCH a|EXEC|MULTI|CLIENT|EXEC|MULTI|CLIENT NOSUCH|GET a|EXEC",
    "watch": "WATCH a|SET a 1|MULTI|GET a|EXEC|WATCH a|UNWATCH|SET a 2|MULTI|GET a|EXEC|WATCH a|SET a 3|MULTI|DISCARD|GET a",
    "a nil EXEC and then another": "WATCH a b|SET b 1|MULTI|GET a|GET b|MGET a b|EXEC|MULTI|GET a|GET b|MGET a b|EXEC|EXEC",
    "hello": "MULTI|GET none|HELLO 3|GET none|HGETALL none|EXEC|GET none|MULTI|GET none|HELLO 2|GET none|EXEC|MULTI|HELLO 9|HELLO|EXEC",
    "select": "SET a 0|MULTI|SELECT 5|SET a 5|GET a|EXEC|GET a|SELECT 0|GET a",
    "blocking commands": "MULTI|BLPOP l 0|BLMOVE l k LEFT LEFT 0|BRPOPLPUSH l k 0|BZPOPMIN z 0|XREAD BLOCK 0 STREAMS x 0|BLMPOP 0 1 l LEFT|WAIT 0 0|EXEC",
    "monitor": "MULTI|MONITOR|EXEC|GET a",
    "reset": "MULTI|GET a|RESET|EXEC|GET a|MULTI|RESET x|GET a|EXEC|WATCH a|SET a 1|MULTI|RESET|MULTI|GET a|EXEC",
    "quit": "MULTI|SET a 1|QUIT|EXEC",
    "empty replies": "MULTI|EXEC|MULTI|LRANGE none 0 -1|HGETALL none|SMEMBERS none|GET none|SET a x|GETRANGE a 9 9|EXEC",
    "EXEC as an element": "MULTI|LRANGE l 0 -1|COMMAND INFO exec nosuch|GET none|EXEC|RPUSH l +QUEUED|MULTI|LRANGE l 0 -1|ECHO QUEUED|EXEC|ECHO QUEUED",
    "tracking": "HELLO 3|CLIENT TRACKING on|MULTI|GET a|CLIENT TRACKING off|SET a 1|CLIENT TRACKING on|GET a|EXEC|SET a 2",
    "other databases": "SELECT 3|SET a 3|MULTI|GET a|SELECT 0|SET a 0|MOVE a 4|EXEC|GET a|MULTI|SWAPDB 0 3|GET a|EXEC|GET a",
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_replies_are_the_same(both: Both, hello: bytes, name: str) -> None:
    assert both(hello + lines(TRANSACTIONS[name]))


def test_a_watched_key_changes(both: Both, hello: bytes) -> None:
    came = both(
        hello + lines("WATCH a|MULTI|GET a"),
        Until(rb"\+QUEUED\r\n"),
        Aside("SET a 1"),
        lines("EXEC|MULTI|GET a|EXEC"),
    )
    assert b"_\r\n" in came or b"*-1\r\n" in came
