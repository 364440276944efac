"""Client-side caching: invalidations come as pushes, or as messages of another client's subscription."""

# ruff: noqa: E501 (a conversation reads best on one line)

from collections.abc import Callable

import pytest
import redis

from tests.e2e.conversations.conftest import Both
from tests.e2e.conversations.scripts import Aside, Until, lines
from tests.e2e.proxy_process import Address, ProxyProcess
from tests.e2e.wire import Wire

TRACKING = {
    "on and off": "HELLO 3|SET a 1|CLIENT TRACKING on|GET a|SET a 2|GET a|MULTI|SET a 3|GET a|SET a 4|EXEC|MGET a none|"
    "MSET a 5 none 6|FLUSHALL|CLIENT TRACKING off|SET a 7",
    "opt-in": "HELLO 3|SET a 1|CLIENT TRACKING on OPTIN|GET a|SET a 2|CLIENT CACHING yes|GET a|SET a 3|CLIENT CACHING no|"
    "MULTI|CLIENT CACHING yes|GET a|EXEC|SET a 4|CLIENT CACHING yes|MULTI|GET a|EXEC|SET a 5",
    "opt-out": "HELLO 3|CLIENT TRACKING on OPTOUT|GET a|SET a 1|CLIENT CACHING no|GET a|SET a 2|CLIENT CACHING yes",
    "no loop": "HELLO 3|CLIENT TRACKING on NOLOOP|GET a|SET a 1|GET a|CLIENT TRACKINGINFO|CLIENT GETREDIR",
    "errors": "CLIENT TRACKING|CLIENT TRACKING maybe|CLIENT TRACKING on PREFIX a|CLIENT TRACKING on OPTIN OPTOUT|CLIENT CACHING yes|"
    "CLIENT TRACKING on BCAST PREFIX a PREFIX ab|CLIENT TRACKING on BCAST OPTIN|CLIENT TRACKING on REDIRECT 0|CLIENT TRACKING on REDIRECT x",
    "without a protocol for pushes": "CLIENT TRACKING on|GET a|SET a 1|CLIENT TRACKINGINFO|HELLO 3|GET a|SET a 2|HELLO 2|SET a 3|RESET|CLIENT TRACKINGINFO",
    "while replies are off": "HELLO 3|CLIENT TRACKING on|CLIENT REPLY OFF|GET a|SET a 1|CLIENT REPLY ON|GET a|CLIENT REPLY SKIP|SET a 2|GET a",
}  # fmt: skip


@pytest.mark.parametrize("name", TRACKING)
def test_replies_are_the_same(both: Both, hello: bytes, name: str) -> None:
    assert both(hello + lines(TRACKING[name]))


def test_keyspace_invalidations(both: Both) -> None:
    came = both(
        lines("HELLO 3|CLIENT TRACKING on|GET a|MGET b c"),
        Until(rb"\*2\r\n_\r\n_\r\n"),
        Aside("SET a 1"),
        Until(rb"invalidate\r\n\*1\r\n\$1\r\na\r\n"),
        Aside("SET c 1"),
        Until(rb"invalidate\r\n\*1\r\n\$1\r\nc\r\n"),
        lines("GET a"),
        Until(rb"\$1\r\n1\r\n"),
        Aside("FLUSHALL"),
        Until(rb"invalidate\r\n_\r\n"),
        lines("GET a"),
    )
    assert came.count(b"invalidate") == 3


def test_a_refusal_uses_up_a_caching(
    proxy: ProxyProcess, direct: redis.Redis, connect: Callable[[Address], Wire]
) -> None:
    """As an error does in Redis: else the next key would be cached by the client, and not tracked."""
    client = connect(proxy.json)
    client.send(lines("HELLO 3|CLIENT TRACKING on OPTOUT|CLIENT CACHING no|APPEND flask_cache_k x|GET a|PING"))
    client.until(rb"-ERR flask-cache-proxy: .*PONG\r\n")
    direct.set("a", "1")
    client.until(rb"invalidate\r\n\*1\r\n\$1\r\na\r\n")


def test_invalidations_by_prefix(both: Both) -> None:
    both(
        lines("HELLO 3|CLIENT TRACKING on BCAST PREFIX a PREFIX x|PING"),
        Until(rb"PONG\r\n"),
        Aside("MSET abc 1 b 1"),
        Until(rb"invalidate\r\n\*1\r\n\$3\r\nabc\r\n"),
        Aside("DEL b abc"),
        Until(rb"invalidate\r\n\*1\r\n\$3\r\nabc\r\n"),
        lines("GET abc|CLIENT TRACKINGINFO|CLIENT TRACKING off"),
    )


def test_invalidations_inside_a_transaction(both: Both) -> None:
    both(
        lines("HELLO 3|CLIENT TRACKING on|GET a|MULTI|GET b"),
        Until(rb"\+QUEUED\r\n"),
        Aside("SET a 1"),
        Until(rb"invalidate\r\n\*1\r\n\$1\r\na\r\n"),
        lines("GET a|EXEC"),
        Until(rb"\*2\r\n_\r\n\$1\r\n1\r\n"),
        Aside("MSET a 2 b 2"),
        Until(rb"invalidate.*invalidate\r\n\*1\r\n\$1\r\n[ab]\r\n"),
        lines("GET b"),
    )


@pytest.mark.per_client
def test_invalidations_can_be_redirected_to_a_resp2_client(
    proxy: ProxyProcess, direct: redis.Redis, connect: Callable[[Address], Wire]
) -> None:
    listener, reader = connect(proxy.json), connect(proxy.json)
    own_id = listener("CLIENT", "ID")[1:-2]
    assert listener("SUBSCRIBE", "__redis__:invalidate").endswith(b":1\r\n")
    assert reader("CLIENT", "TRACKING", "on", "REDIRECT", own_id) == b"+OK\r\n"
    reader("GET", "flask_cache_k")
    direct.set("flask_cache_k", "1")
    assert listener.reply() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$13\r\nflask_cache_k\r\n"
    direct.flushall()
    assert listener.reply() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n"
    assert reader("GET", "flask_cache_k") == b"$-1\r\n"


@pytest.mark.per_client
def test_a_lost_target_of_redirection_is_told(
    proxy: ProxyProcess, direct: redis.Redis, connect: Callable[[Address], Wire]
) -> None:
    listener, reader = connect(proxy.json), connect(proxy.json)
    own_id = listener("CLIENT", "ID")[1:-2]
    reader("HELLO", "3")
    assert reader("CLIENT", "TRACKING", "on", "REDIRECT", own_id) == b"+OK\r\n"
    reader("GET", "flask_cache_k")
    listener.send(lines("QUIT"))
    assert listener.until_closed() == b"+OK\r\n"
    direct.set("flask_cache_k", "1")
    assert reader.reply() == b">2\r\n$21\r\ntracking-redir-broken\r\n:%s\r\n" % own_id
    assert reader("GET", "flask_cache_k") == b"$1\r\n1\r\n"
