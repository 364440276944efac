"""200 clients at once on two trunks: each gets the bytes that a connection of its own would bring."""

import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.e2e.conversations.scripts import comparable, converse, random_chunks, whole
from tests.e2e.proxy_process import Address
from tests.e2e.sharing.conftest import TRUNKS, BothWays
from tests.e2e.wire import pipeline, request

CLIENTS = 200
ORDINARY = """
SET M J|SET M J EX 1000|SET M bad|GET M|GET M|MGET M K M|MSET M J K V|GETSET M J|SET M J GET|DEL M K|EXISTS M|GETDEL M|INCR M|TYPE M
SET K V|GET K|APPEND K V|INCR K|STRLEN K|RPUSH K V V|LRANGE K 0 -1|HSET K V V|HGETALL K|SADD K 1 2 3|SMEMBERS K|ZADD K 1 V
ZRANGE K 0 -1 WITHSCORES|LPOP K|GETRANGE K 0 3|EXPIRE K 1000|PERSIST K|RENAME K K|COPY K K|OBJECT ENCODING K|EXISTS K K K
PING|PING V|ECHO V|GET|SET K|INCR K V|SELECT 0|CLIENT SETNAME N|CLIENT GETNAME|CLIENT SETINFO LIB-NAME N|HELLO 2|HELLO 3|HELLO
HELLO 3 SETNAME N|RESET|CONFIG GET *|EVAL V 0|DEBUG V
"""  # noqa: E501 (a vocabulary reads best in long lines)
PINNING = """
MULTI|EXEC|EXEC|DISCARD|WATCH K|UNWATCH|SELECT 1|SELECT 0|BLPOP K 0.001|SORT K|SUBSCRIBE K|UNSUBSCRIBE|NOSUCH V|CLIENT TRACKING on
CLIENT TRACKING off|CLIENT REPLY SKIP|CLIENT REPLY ON|CLIENT NOSUCH|HELLO 3 SETNAME|HELLO 4|AUTH V V|CLIENT SETNAME V|WAIT 0 0|OBJECT NOSUCH|LMPOP 1 K LEFT
"""  # noqa: E501


def templates(text: str) -> list[list[str]]:
    return [line.split() for line in text.replace("\n", "|").split("|") if line]


def said(number: int, vocabulary: list[list[str]]) -> bytes:
    """What a client says, always the same. Its keys and channels are its own."""
    chance = random.Random(number)
    words = {
        "K": [f"{number}:{letter}" for letter in "abcd"],
        "M": [f"flask_cache_{number}_{letter}" for letter in "abc"],
        "N": ["me", "", "client-1"],
        "V": ["v", "", "12", "\r\n", "+OK", "*1", "x" * 300, "y" * 9000],
        "J": ["1", "-7", '"text"', "[1,null]", '{"a":true}', '"' + "x" * 5000 + '"', '"' + "y" * 100_000 + '"'],
    }
    commands = [
        request(*(chance.choice(words.get(word, [word])) for word in chance.choice(vocabulary)))
        for _ in range(chance.choice((1, 5, 30, 120)))
    ]
    return b"".join(commands)


def comes(address: Address, number: int, vocabulary: list[list[str]]) -> bytes:
    """All that a client gets."""
    cut = random_chunks if number % 7 == 0 else whole
    return comparable(converse(address, [said(number, vocabulary)], pipeline("RESET", "QUIT"), cut))


def compare(both_ways: BothWays, vocabulary: list[list[str]]) -> None:
    came = []
    with ThreadPoolExecutor(CLIENTS) as clients:
        for proxy in (both_ways.alone, both_ways.sharing.proxy):
            came.append(list(clients.map(partial(comes, proxy.json, vocabulary=vocabulary), range(CLIENTS))))
            both_ways.sharing.flush()
    for alone, shared in zip(*came, strict=True):
        assert shared == alone


@pytest.mark.usefixtures("redis_7")
def test_two_hundred_clients_on_two_trunks_get_what_is_theirs(both_ways: BothWays) -> None:
    compare(both_ways, templates(ORDINARY))
    assert both_ways.sharing.number("pinned_clients") == 0
    assert both_ways.sharing.number("upstream_trunks") <= 2 * TRUNKS
    assert both_ways.sharing.number("upstream_connects_total") <= 2 * TRUNKS


@pytest.mark.usefixtures("redis_7")
def test_so_do_those_who_leave_the_trunks_beside_others(both_ways: BothWays) -> None:
    compare(both_ways, [*templates(ORDINARY) * 2, *templates(PINNING)])
