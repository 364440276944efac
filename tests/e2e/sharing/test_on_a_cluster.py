"""Shared connections to the nodes of a cluster: who gets what, how many there are, and whose state is whose."""

import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from tests.e2e.conversations.scripts import comparable, converse, random_chunks, whole
from tests.e2e.proxy_process import Address, wait_until
from tests.e2e.sharing.on_a_cluster import (
    TRUNKS,
    NodeSharing,
    StartNodes,
    are_served,
    cluster,
    connections,
    shared_nodes,
    sharing_nodes,
    start_nodes,
)
from tests.e2e.sharing.test_conversations import ORDINARY, templates
from tests.e2e.sharing.test_hostile import ODD, at_once, closes, cut_anywhere, ends, resets
from tests.e2e.wire import Wire, end_of_value, pipeline, request
from tests.redis_cluster import RedisCluster

__all__ = ["cluster", "shared_nodes", "sharing_nodes", "start_nodes"]

OK = b"+OK\r\n"
NULL = b"$-1\r\n"
CLIENTS = 200
ON_ANY_NODE = ORDINARY.replace("CONFIG GET *", "CONFIG GET maxmemory")  # the nodes have ports of their own
OF_NODES = """
MGET K K K|MGET M M K|MGET M K T|MSET K V K V|MSET M J M J|MSET M J M bad|DEL K K M|UNLINK K T|EXISTS K M T|TOUCH K K|MGET T T|MSET T V T V
RENAME T T|RENAME K K|COPY T T|SUNION T T|SINTERSTORE T T T|PFMERGE T T|SCAN 0 MATCH K COUNT 100000|SCAN 0 MATCH M COUNT 100000
SCAN 0 MATCH K COUNT 1000000 TYPE string|SCAN nonsense|SCAN 99|CLUSTER KEYSLOT K|CLUSTER NOSUCH|SELECT 0|SELECT 1|READONLY|ASKING|WAIT 0 0|AUTH V
CLIENT TRACKING on|PUBLISH N V|SET K V GET|GETSET M J|MGET K K K K K K K K K K|SET K V|SET M J|SET T V|GET T|GET T
"""  # noqa: E501 (a vocabulary reads best in long lines)
PINNING = """
MULTI|EXEC|EXEC|DISCARD|WATCH T|WATCH K|UNWATCH|BLPOP T 0.001|SORT T|NOSUCH V|NOSUCH
CLIENT REPLY SKIP|CLIENT REPLY ON|CLIENT NOSUCH|CLIENT NO-EVICT on|HELLO 3 SETNAME|HELLO 4|CLIENT SETNAME V|OBJECT NOSUCH|LMPOP 1 T LEFT
EVAL S 0|EVAL S 1 T|EVAL S 2 T T|EVAL S 2 K K|SET T V|GET T|GET T|GET K
"""  # noqa: E501


def said(number: int, vocabulary: list[list[str]]) -> bytes:
    """What a client says, always the same. Its keys and channels are its own, and they are on all nodes."""
    chance = random.Random(number)
    words = {
        "K": [f"{number}:{letter}" for letter in "abcdefgh"],
        "T": [f"{{{number}}}:{letter}" for letter in "abc"],
        "M": [f"flask_cache_{number}_{letter}" for letter in "abcd"],
        "N": ["me", "", "client-1"],
        "V": ["v", "", "12", "\r\n", "+OK", "*1", "-MOVED 1 a:1", "x" * 300, "y" * 9000],
        "J": ["1", "-7", '"text"', "[1,null]", '{"a":true}', '"' + "x" * 5000 + '"', '"' + "y" * 100_000 + '"'],
        "S": ["return 1", "return KEYS", "return redis.error_reply('MY error')", "nonsense"],
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


def stored(cluster: RedisCluster) -> dict[bytes, bytes]:
    """What the nodes hold, by key."""
    return {key: node.client.dump(key) for node in cluster.masters for key in node.client.keys("*")}


def is_same(one: bytes, other: bytes, asked: bytes) -> None:
    """Compare reply for reply, because a failure must be short enough to read."""
    if one != other:
        both = zip(parts(asked), parts(one), parts(other), strict=False)
        assert [each for each in both if each[1] != each[2]][:2] == []
        assert one == other


def parts(data: bytes) -> list[bytes]:
    """The values, each cut to a readable length."""
    found, at, whole_data = [], 0, bytearray(data)
    while 0 <= at < len(data):
        end = end_of_value(whole_data, at)
        found.append(data[at : end if end >= 0 else None][:160])
        at = end
    return found


def compare(alone: NodeSharing, shared: NodeSharing, vocabulary: list[list[str]]) -> None:
    came, held = [], []
    with ThreadPoolExecutor(CLIENTS) as clients:
        for proxy in (alone, shared):
            came.append(list(clients.map(partial(comes, proxy.proxy.json, vocabulary=vocabulary), range(CLIENTS))))
            held.append(stored(shared.cluster))
            with Wire(proxy.proxy.json) as wire:
                assert wire("DBSIZE") == b":%d\r\n" % len(held[-1])
            shared.cluster.flush()
    for number, each in enumerate(zip(*came, strict=True)):
        is_same(*each, said(number, vocabulary))
    assert held[0] == held[1]


@pytest.fixture
def alone(start_nodes: StartNodes) -> NodeSharing:
    """A proxy before the same cluster whose clients share nothing."""
    return start_nodes("per-client")


def test_two_hundred_clients_get_what_is_theirs(sharing_nodes: NodeSharing, alone: NodeSharing) -> None:
    compare(alone, sharing_nodes, [*templates(ON_ANY_NODE), *templates(OF_NODES) * 2])


def test_so_do_those_who_leave_the_trunks(sharing_nodes: NodeSharing, alone: NodeSharing) -> None:
    compare(alone, sharing_nodes, [*templates(ON_ANY_NODE), *templates(OF_NODES), *templates(PINNING)])
    assert sharing_nodes.number("upstream_trunks") <= 2 * TRUNKS * len(sharing_nodes.cluster.masters)


# -- how many there are -------------------------------------------------------------------------------------


def has_no_more_than_promised(nodes: NodeSharing, protocols: tuple[int, ...], pinned: int = 0) -> None:
    """Each node has at most two connections for each protocol, and one for each client that is pinned."""
    for node in nodes.cluster.masters:
        for protocol in (2, 3):
            most = TRUNKS if protocol in protocols else 0
            assert connections(node, protocol) <= most + (pinned if protocol == 2 else 0)
        both = connections(node, 2) + connections(node, 3)
        assert nodes.lanes[node.address] == both
    assert all(connections(node, 2) + connections(node, 3) == 0 for node in nodes.cluster.replicas)


def test_each_node_sees_the_trunks_and_those_who_need_their_own(sharing_nodes: NodeSharing) -> None:
    nodes = sharing_nodes
    for node in nodes.cluster.masters:  # those of the tests before
        nodes.kill(node)
    wait_until(lambda: not nodes.lanes or not sum(nodes.lanes.values()), "no trunk")
    clients, keys = nodes.clients(60), nodes.keys
    are_served(clients, keys)
    has_no_more_than_promised(nodes, (2,))
    assert nodes.number("upstream_trunks") <= TRUNKS * 3
    for client in clients[:30]:
        client("HELLO", "3")
    are_served(clients, keys)
    has_no_more_than_promised(nodes, (2, 3))
    trunks = nodes.number("upstream_trunks")
    assert trunks <= 2 * TRUNKS * 3
    for client in clients[30:40]:
        assert client("WATCH", keys[0]) == OK
    nodes.pins(10)
    are_served(clients, keys)
    has_no_more_than_promised(nodes, (2, 3), pinned=10)
    assert sum(nodes.lanes.values()) == nodes.number("upstream_connections") == nodes.number("upstream_trunks") + 30
    for client in clients[:40]:
        client.close()
    nodes.pins(0)
    wait_until(lambda: nodes.number("upstream_connections") == nodes.number("upstream_trunks"), "their own to end")
    are_served(clients[40:], keys)
    has_no_more_than_promised(nodes, (2, 3))


# -- whose state it is --------------------------------------------------------------------------------------


def is_untouched(client: Wire, keys: list[str]) -> None:
    """Nothing of another client's state shows here, on any node."""
    are_served([client], keys)
    assert client("CLIENT", "GETNAME") == NULL
    assert client("MGET", *keys) == b"*3\r\n" + NULL * 3  # RESP2
    assert client("MSET", *[word for key in keys for word in (f"{{{key}}}:m", "1")]) == OK
    assert client("PING") == b"+PONG\r\n"
    assert client.received == b""


STATES = {
    "MULTI|SET {} 2|SET {}:x": (b"+OK\r\n+QUEUED\r\n", b"-"),
    "WATCH {}|MULTI|SET {} 2": (b"+OK\r\n+OK\r\n", b"+QUEUED\r\n"),
    "SELECT 1": (b"", b"-ERR flask-cache-proxy: SELECT is refused"),
    "HELLO 3 SETNAME me": (b"", b"%7\r\n"),
    "CLIENT SETNAME me|HELLO 3": (b"+OK\r\n", b"%7\r\n"),
    "CLIENT TRACKING ON": (b"", b"-ERR flask-cache-proxy: CLIENT TRACKING is refused"),
    "HELLO 3|CLIENT TRACKING ON BCAST": (b"%7", b"-ERR flask-cache-proxy: CLIENT TRACKING is refused"),
    "SUBSCRIBE c": (b"", b"*3\r\n$9\r\nsubscribe\r\n"),
    "HELLO 3|PSUBSCRIBE *": (b"%7", b">3\r\n$10\r\npsubscribe\r\n"),
    "MONITOR": (b"", OK),
    "READONLY": (b"", b"-ERR flask-cache-proxy: READONLY is refused"),
    "ASKING": (b"", b"-ERR flask-cache-proxy: ASKING is refused"),
    "READWRITE": (b"", b"-ERR flask-cache-proxy: READWRITE is refused"),
    "CLIENT CACHING YES": (b"", b"-ERR flask-cache-proxy: CLIENT CACHING is refused"),
    "CLIENT NO-EVICT ON": (b"", b"-ERR flask-cache-proxy: CLIENT NO-EVICT is refused"),
    "EVAL return(redis.setresp(3)) 1 {}": (b"", NULL),
}
"""Words of one client -> how its replies begin, and how the last one does."""


@pytest.mark.parametrize("words", STATES)
def test_a_state_is_one_clients(sharing_nodes: NodeSharing, words: str) -> None:
    keys = sharing_nodes.keys
    one, other, third = sharing_nodes.clients(3)
    for key in keys:
        hostile = one if key == keys[0] else sharing_nodes.client()
        lines = words.format(key, key).split("|") if "{}" in words else words.split("|")
        hostile.send(pipeline(*lines))
        is_untouched(other, keys)
        first, last = STATES[words]
        came = [hostile.reply() for _ in lines]
        assert b"".join(came).startswith(first)
        assert came[-1].startswith(last)
        are_served([third, other], keys)
    sharing_nodes.leave()
    is_untouched(sharing_nodes.client(), keys)


def test_a_watch_sees_the_write_of_a_client_that_shares(sharing_nodes: NodeSharing) -> None:
    keys = sharing_nodes.keys
    one, other = sharing_nodes.clients(2)
    for key in keys:
        assert one("WATCH", key) == OK
        assert other("SET", key, "1") == OK
        assert one("MULTI") == OK
        assert one("SET", key, "2") == b"+QUEUED\r\n"
        assert one("EXEC") == b"*-1\r\n"
        assert other("GET", key) == b"$1\r\n1\r\n"
    assert other("EXEC") == b"-ERR EXEC without MULTI\r\n"


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
def test_replies_that_are_off_are_off_for_one_client(sharing_nodes: NodeSharing, mode: str) -> None:
    keys = sharing_nodes.keys
    one, other = sharing_nodes.clients(2)
    one.send(pipeline(f"CLIENT REPLY {mode}", f"SET {keys[0]}:silent never-seen"))
    is_untouched(other, keys)
    one.send(pipeline("CLIENT REPLY ON", "ECHO on"))
    assert one.replies(2) == OK + b"$2\r\non\r\n"
    is_untouched(other, keys)


def test_messages_reach_only_who_has_subscribed(sharing_nodes: NodeSharing) -> None:
    keys = sharing_nodes.keys
    clients = sharing_nodes.clients(6)
    subscribers, others = clients[:3], clients[3:]
    for number, client in enumerate(subscribers):
        assert client("SUBSCRIBE", f"c{number}").startswith(b"*3\r\n$9\r\nsubscribe\r\n")
    for number, client in enumerate(others):  # whatever their home nodes
        for channel, subscriber in enumerate(subscribers):
            assert client("PUBLISH", f"c{channel}", f"m{number}") in (b":0\r\n", b":1\r\n")
            assert subscriber.reply() == b"*3\r\n$7\r\nmessage\r\n$2\r\nc%d\r\n$2\r\nm%d\r\n" % (channel, number)
    are_served(others, keys)
    sharing_nodes.pins(3)


def test_a_client_that_waits_holds_up_nobody(sharing_nodes: NodeSharing) -> None:
    keys = sharing_nodes.keys
    waiting, others = sharing_nodes.clients(3), sharing_nodes.clients(3)
    for client, key in zip(waiting, keys, strict=True):
        client.send(request("BLPOP", f"{{{key}}}:list", "0") + b"".join(request("GET", other) for other in keys))
    sharing_nodes.pins(3)
    are_served(others, keys)
    for client, key in zip(waiting, keys, strict=True):
        name = f"{{{key}}}:list"
        assert others[0]("RPUSH", name, "job") == b":1\r\n"
        assert client.replies(4) == b"*2\r\n$%d\r\n%s\r\n$3\r\njob\r\n" % (len(name), name.encode()) + NULL * 3


def test_a_login_admits_one_client(start_nodes: StartNodes) -> None:
    nodes = start_nodes(config='[[listener]]\nbind = "127.0.0.1:0"\npassword = "sesame"\n')
    keys = nodes.keys
    with Wire(nodes.proxy.json) as one, Wire(nodes.proxy.json) as other, Wire(nodes.proxy.json) as third:
        assert one("AUTH", "sesame") == OK
        are_served([one], keys)
        assert other("GET", keys[0]).startswith(b"-NOAUTH")
        assert third("AUTH", "wrong").startswith(b"-WRONGPASS")
        assert third("HELLO", "3", "AUTH", "default", "wrong").startswith(b"-WRONGPASS")
        assert b"proto\r\n:3\r\n" in other("HELLO", "3", "AUTH", "default", "sesame")
        are_served([one, other], keys)
        for line in ("GET {}", "MULTI", "SUBSCRIBE c", "SCAN 0", "DBSIZE", "MGET {} {}", "CLUSTER SLOTS", "ASKING"):
            assert third(*line.format(keys[1], keys[2]).split()).startswith(b"-NOAUTH")
        assert one("RESET") == b"+RESET\r\n"
        for key in keys:
            assert one("GET", key).startswith(b"-NOAUTH")
        are_served([other], keys)
        assert nodes.number("pinned_clients") == 0


# -- what clients say ---------------------------------------------------------------------------------------

MANY = [f"k{number}" for number in range(990)]
ODD_HERE = {
    **ODD,
    "many slots": request("MGET", *MANY) + request("DEL", *MANY) + request("EXISTS", *MANY) + request("PING"),
    "many slots, large": request("MSET", *[word for key in MANY[:480] for word in (key, "x" * 2000)]) + request("PING"),
    "too many keys": request("MGET", *MANY, *MANY) + request("PING"),
    "a value for no key": request("MSET", "k1", "v", "k2") + request("MSET") + request("MGET") + request("DEL"),
    "cursors": pipeline("SCAN 0", "SCAN 600", "SCAN 99999999999999999999", "SCAN -1", "SCAN", "SCAN 1 COUNT x", "PING"),
    "replies like redirects": request("SET", "k", "-MOVED 1 a:1\r\n")
    + request("GET", "k")
    + request("ECHO", "-ASK 1 a"),
    "scripts like redirects": request("EVAL", "return redis.error_reply('MOVED 1 127.0.0.1:1')", "1", "k") * 2,
    "words for one node": pipeline("ASKING", "READONLY", "READWRITE", "CLUSTER RESET", "CLUSTER SLOTS", "WAIT 0 0"),
    "a transaction of two slots": pipeline("MULTI", "SET k1 1", "SET k2 1", "EXEC", "PING"),
    "a watch of two slots": pipeline("WATCH k1 k2", "WATCH k1", "MULTI", "GET k2", "EXEC", "UNWATCH"),
}


@pytest.mark.parametrize("leave", [closes, resets, ends], ids=lambda leave: leave.__name__)
def test_what_a_client_says_never_moves_the_replies_of_others(
    sharing_nodes: NodeSharing, leave: Callable[[Wire], None]
) -> None:
    keys = sharing_nodes.keys
    bystanders = sharing_nodes.clients(4)
    for said in ODD_HERE.values():
        for cut in (at_once, cut_anywhere):
            hostile = sharing_nodes.client()
            with suppress(OSError):  # the proxy may have closed
                for part in cut(said):
                    hostile.send(part)
            are_served(bystanders, keys)
            leave(hostile)
            are_served(bystanders[:1], keys)


# -- who leaves ---------------------------------------------------------------------------------------------


def test_nobody_gets_the_replies_of_a_client_that_has_left(sharing_nodes: NodeSharing) -> None:
    keys = sharing_nodes.keys
    clients = sharing_nodes.clients(6)
    assert clients[0]("MSET", *[word for key in keys for word in (key, key * 50_000)]) == OK
    for _ in range(20):
        leaver = Wire(sharing_nodes.proxy.json)
        leaver.send(b"".join(request("GET", key) for key in keys * 5) + request("MGET", *keys * 3))
        leaver.close()
        are_served(clients, keys)


def test_a_client_that_leaves_while_nodes_owe_it_replies_disturbs_nobody(sharing_nodes: NodeSharing) -> None:
    nodes, keys = sharing_nodes, sharing_nodes.keys
    leaving, others = nodes.clients(10), nodes.clients(4)
    with nodes.writes_wait(*nodes.cluster.masters):
        for number, client in enumerate(leaving):
            client.send(b"".join(request("SET", f"{{{key}}}:left:{number}", f"{number}") for key in keys) * 10)
        nodes.awaits(300)
        for number, client in enumerate(others):
            client.send(b"".join(request("SET", key, f"{number}") + request("GET", key) for key in keys))
        nodes.awaits(300 + 24)
        for client in leaving:
            resets(client)
        nodes.number("clients")  # the answer comes in a later turn of the proxy's loop: it has seen them leave
    for client in others:
        for _ in keys:
            assert client.reply() == OK
            assert client.reply() in [b"$1\r\n%d\r\n" % number for number in range(4)]
        assert client.received == b""
    for number in range(10):  # what they sent was done
        for key in keys:
            assert others[0]("GET", f"{{{key}}}:left:{number}") == b"$1\r\n%d\r\n" % number
    are_served(others, keys)


def test_a_client_that_sends_no_more_gets_its_replies(sharing_nodes: NodeSharing) -> None:
    keys = sharing_nodes.keys
    for hello in (b"", request("HELLO", "3")):
        with Wire(sharing_nodes.proxy.json) as wire:
            wire.send(hello + b"".join(request("SET", key, "x") for key in keys * 20))
            wire.send_no_more()
            assert wire.until_closed().endswith(OK * 60)


Leaving = Callable[[Wire], None]


@pytest.mark.parametrize("leave", [Wire.close, Wire.send_no_more], ids=["closes", "sends no more"])
def test_a_client_may_leave_while_it_changes_its_connection(sharing_nodes: NodeSharing, leave: Leaving) -> None:
    keys = sharing_nodes.keys
    bystander = sharing_nodes.client()
    get = "|".join(f"GET {key}" for key in keys)
    for line in ("MULTI", "HELLO 3", "SUBSCRIBE c", "HELLO 3|MULTI", f"{get}|HELLO 3|{get}|WATCH a|{get}", "EVAL x 0"):
        wire = Wire(sharing_nodes.proxy.json)
        wire.send(pipeline(*line.split("|")))
        leave(wire)
        are_served([bystander], keys)
        if leave is not Wire.close:
            assert wire.until_closed()
        wire.close()
    sharing_nodes.pins(0)


# -- the life of the proxy ----------------------------------------------------------------------------------


def test_a_drain_gives_the_replies_that_all_nodes_owe(start_nodes: StartNodes) -> None:
    nodes = start_nodes()
    keys, waiting, idle = nodes.keys, nodes.clients(5), nodes.clients(5)
    are_served(idle, keys)
    with nodes.writes_wait(*nodes.cluster.masters):
        for number, client in enumerate(waiting):
            for key in keys:
                client.send(request("SET", f"{{{key}}}:{number}", "x") + request("GET", f"{{{key}}}:{number}"))
        nodes.awaits(30)
        nodes.proxy.terminate()
        nodes.proxy.wait_for_line("stopping")
    for client in waiting:
        assert client.until_closed() == (OK + b"$1\r\nx\r\n") * 3
    assert {client.until_closed() for client in idle} == {b""}
    assert nodes.proxy.wait() == 0


def test_a_reload_closes_nobody(start_nodes: StartNodes) -> None:
    nodes = start_nodes(config='[[rule]]\nkeys = "none:*"\n')
    keys, clients = nodes.keys, nodes.clients(10)
    are_served(clients, keys)
    assert clients[0]("WATCH", keys[0]) == OK
    config = nodes.config
    with nodes.writes_wait(nodes.cluster.masters[0]):
        clients[1].send(b"".join(request("SET", key, "no json") for key in keys))
        nodes.awaits(3)
        config.write_text('[[rule]]\nkeys = "*"\n[limits]\nbuffered_bytes = 1000000\n')
        nodes.proxy.process.send_signal(signal.SIGHUP)
        nodes.proxy.wait_for_line("reloaded: 1 rules")
        clients[1].send(request("PING"))
    assert clients[1].replies(4) == OK * 3 + b"+PONG\r\n"
    for client in clients:
        for key in keys:
            assert client("SET", key, "no json").startswith(b"-ERR flask-cache-proxy")
    assert nodes.number("pinned_clients") == 1
