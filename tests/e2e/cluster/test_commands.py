"""Commands over the slots of a real cluster. A client sees one server, and no address of a node."""

import pickle
import re

import pytest
import redis

from tests.e2e.admin import ask, metric
from tests.e2e.cluster.conftest import ClusterProxy, key_on, other
from tests.e2e.wire import Wire, request
from tests.redis_cluster import Node, wait_until

KEYS = [f"flask_cache_{number}" for number in range(300)]


def test_keys_of_all_nodes_in_one_pipeline(proxy: ClusterProxy, wire: Wire) -> None:
    wire.send(b"".join(request("SET", key, f'{{"n":{number}}}') for number, key in enumerate(KEYS)))
    assert wire.replies(len(KEYS)) == b"+OK\r\n" * len(KEYS)
    wire.send(b"".join(request("GET", key) for key in KEYS))
    payloads = [f'{{"n":{number}}}'.encode() for number in range(len(KEYS))]
    assert wire.replies(len(KEYS)) == b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in payloads)
    stored = [node.client.keys("flask_cache_*") for node in proxy.cluster.masters]
    assert all(stored)
    assert sum(map(len, stored)) == len(KEYS)
    first = proxy.cluster.owner(proxy.cluster.slot(KEYS[7])).client.get(KEYS[7])
    assert pickle.loads(first[1:]) == {"n": 7}


def test_several_keys_in_one_command(wire: Wire) -> None:
    pairs = [word for number, key in enumerate(KEYS) for word in (key, f'{{"n":{number}}}')]
    assert wire("MSET", *pairs) == b"+OK\r\n"
    assert wire("MGET", KEYS[1], "none", KEYS[0]) == b'*3\r\n$7\r\n{"n":1}\r\n$-1\r\n$7\r\n{"n":0}\r\n'
    assert wire("EXISTS", *KEYS, "none", KEYS[0]) == b":301\r\n"
    assert wire("TOUCH", *KEYS) == b":300\r\n"
    assert wire("UNLINK", *KEYS[:10], "none") == b":10\r\n"
    assert wire("DEL", *KEYS) == b":290\r\n"
    assert wire("DBSIZE") == b":0\r\n"


def test_a_value_that_cannot_be_stored_stores_none(proxy: ClusterProxy, wire: Wire) -> None:
    assert wire("MSET", KEYS[0], "1", KEYS[1], "no JSON", KEYS[2], "3").startswith(b"-ERR flask-cache-proxy: ")
    assert wire("DBSIZE") == b":0\r\n"


def test_keys_of_different_slots_elsewhere_are_redis_error(wire: Wire) -> None:
    assert wire("RENAME", "a", "b") == b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
    assert wire("SUNION", "{a}1", "{a}2") == b"*0\r\n"


def test_scan_keys_and_dbsize_see_all_nodes(proxy: ClusterProxy, wire: Wire) -> None:
    wire.send(b"".join(request("SET", f"plain:{number}", "x") for number in range(1000)))
    wire.replies(1000)
    expected = sorted(f"plain:{number}".encode() for number in range(1000))
    with redis.Redis(*proxy.json) as client:
        assert sorted(client.keys("plain:*")) == expected
        assert sorted(set(client.scan_iter("plain:*", count=50))) == expected
        assert client.dbsize() == 1000
        assert client.flushdb()
        assert client.keys() == []


def test_no_reply_names_a_node(proxy: ClusterProxy, wire: Wire) -> None:
    ports = [str(node.port).encode() for node in proxy.cluster.nodes]
    ids = [node.id.encode() for node in proxy.cluster.nodes]
    own = str(proxy.json[1]).encode()
    questions = (
        "SLOTS",
        "SHARDS",
        "NODES",
        "INFO",
        "MYID",
        "REPLICAS x",
        "LINKS",
        "MYSHARDID",
        "SLAVES x",
        "COUNTKEYSINSLOT 1",
    )
    for args in (["ROLE"], ["HELLO", "3"], *(["CLUSTER", *question.split()] for question in questions)):
        for script in ([args], [["MULTI"], args, ["PING"], ["EXEC"], ["DISCARD"]]):
            said = b"".join(wire(*each) for each in script)
            assert not any(
                each in said
                for each in (*ids, *(b":%s\r" % port for port in ports), *(b":%s@" % port for port in ports))
            )
    slots = wire("CLUSTER", "SLOTS")
    assert slots.startswith(b"*1\r\n*3\r\n:0\r\n:16383\r\n")
    assert b"$9\r\n127.0.0.1\r\n:%s\r\n" % own in slots
    assert wire("CLUSTER", "KEYSLOT", "foo") == b":12182\r\n"


@pytest.mark.parametrize(
    "args",
    ["AUTH x", "SELECT 1", "WAIT 0 0", "CLIENT TRACKING ON", "SSUBSCRIBE a", "READONLY", "MOVE a 1", "SWAPDB 0 1"],
)
def test_what_one_node_alone_can_do_is_refused(wire: Wire, args: str) -> None:
    assert wire(*args.split()).startswith(b"-")
    assert wire("PING") == b"+PONG\r\n"


class TestTransactions:
    def test_one_slot_is_fine(self, wire: Wire) -> None:
        script = [["MULTI"], ["SET", "{a}1", "x"], ["INCR", "{a}n"], ["EXEC"]]
        assert [wire(*each) for each in script] == [b"+OK\r\n", b"+QUEUED\r\n", b"+QUEUED\r\n", b"*2\r\n+OK\r\n:1\r\n"]

    def test_keys_of_another_node_are_redis_error(self, proxy: ClusterProxy, wire: Wire) -> None:
        first, second = proxy.cluster.masters[:2]
        assert wire("MULTI") == b"+OK\r\n"
        assert wire("SET", key_on(proxy.cluster, first), "x") == b"+QUEUED\r\n"
        assert wire("SET", key_on(proxy.cluster, second), "x").startswith(b"-CROSSSLOT ")
        assert wire("EXEC").startswith(b"-EXECABORT ")
        assert wire("DBSIZE") == b":0\r\n"

    def test_a_watched_key_that_changes_aborts_it(self, proxy: ClusterProxy, wire: Wire) -> None:
        assert wire("WATCH", "a") == b"+OK\r\n"
        assert wire("MULTI") == b"+OK\r\n"
        with Wire(proxy.json) as another:
            assert another("SET", "a", "1") == b"+OK\r\n"
        assert wire("GET", "a") == b"+QUEUED\r\n"
        assert wire("EXEC") in (b"*-1\r\n", b"_\r\n")

    def test_a_slot_that_has_moved_before(self, proxy: ClusterProxy, wire: Wire) -> None:
        cluster, slot = proxy.cluster, proxy.cluster.slot("a")
        assert wire("SET", "a", "1") == b"+OK\r\n"
        cluster.move(slot, other(cluster, cluster.owner(slot)))
        script = [["MULTI"], ["SET", "a", "2"], ["EXEC"]]
        said = [wire(*each) for each in script]
        assert said[0] == b"+OK\r\n"
        assert said[1].startswith(b"-TRYAGAIN ")
        assert said[2].startswith(b"-EXECABORT ")
        assert wire("GET", "a") == b"$1\r\n1\r\n"
        wait_until(lambda: self.executes(wire), "the new map")

    def test_a_slot_that_moves_before_exec(self, proxy: ClusterProxy, wire: Wire) -> None:
        cluster, slot = proxy.cluster, proxy.cluster.slot("a")
        assert wire("MULTI") == b"+OK\r\n"
        assert wire("SET", "a", "2") == b"+QUEUED\r\n"
        cluster.move(slot, other(cluster, cluster.owner(slot)))
        assert wire("EXEC").startswith(b"-TRYAGAIN ")
        assert wire("GET", "a") == b"$-1\r\n"
        wait_until(lambda: self.executes(wire), "the new map")

    @staticmethod
    def executes(wire: Wire) -> bool:
        """Whether a transaction finds its node. Before the new map has come it is aborted, and can be tried again."""
        return [wire(*each) for each in (["MULTI"], ["SET", "a", "3"], ["EXEC"])][-1] == b"*1\r\n+OK\r\n"


def test_a_slot_that_moves_is_followed(proxy: ClusterProxy, wire: Wire) -> None:
    cluster, slot = proxy.cluster, proxy.cluster.slot("{m}0")
    before = metric(proxy.admin, "cluster_redirects_total")
    keys = [f"{{m}}{number}" for number in range(10)]
    for key in keys:
        assert wire("SET", key, key) == b"+OK\r\n"
    target = other(cluster, cluster.owner(slot))
    cluster.begin_move(slot, target)
    cluster.move_keys(slot, target, only=[key.encode() for key in keys[:5]])
    assert [wire("GET", key) for key in keys] == [b"$4\r\n%s\r\n" % key.encode() for key in keys]
    assert wire("MGET", *keys).count(b"$4\r\n") in (0, 10)
    assert wire("EXISTS", *keys).startswith((b":10", b"-TRYAGAIN"))
    cluster.move_keys(slot, target)
    cluster.end_move(slot, target)
    assert [wire("GET", key) for key in keys] == [b"$4\r\n%s\r\n" % key.encode() for key in keys]
    assert metric(proxy.admin, "cluster_redirects_total") > before


def test_a_blocked_client_whose_slot_leaves_is_served_by_its_new_node(proxy: ClusterProxy, wire: Wire) -> None:
    cluster, slot = proxy.cluster, proxy.cluster.slot("list")
    wire.send(request("BLPOP", "list", "0"))
    with Wire(proxy.json) as another:
        source = cluster.owner(slot)
        source_blocks(source, 1)
        cluster.move(slot, other(cluster, source))
        source_blocks(source, 0)
        assert another("RPUSH", "list", "x") == b":1\r\n"
    assert wire.reply() == b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n"


def source_blocks(node: Node, count: int) -> None:
    """Wait until so many clients are blocked there."""
    wait_until(lambda: node.client.info("clients")["blocked_clients"] == count, "the blocked client")


def test_messages_come_while_other_nodes_answer(proxy: ClusterProxy, wire: Wire) -> None:
    """In RESP3 a push never stands inside a reply."""
    value = "x" * 100_000
    keys = [key_on(proxy.cluster, node) for node in proxy.cluster.masters]
    assert wire("HELLO", "3").startswith(b"%")
    assert wire("SUBSCRIBE", "news").startswith(b">3\r\n")
    with Wire(proxy.json) as another:
        for key in keys:
            assert another("SET", key, value) == b"+OK\r\n"
        wire.send(b"".join(request("GET", key) for key in keys * 30))
        for number in range(50):
            another("PUBLISH", "news", f"{number:02}")  # it answers the subscribers on its own node only
    bulk = b"$100000\r\n%s\r\n" % value.encode()
    came = [wire.reply() for _ in range(140)]
    assert came.count(bulk) == 90
    assert [one for one in came if one != bulk] == [
        b">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\n%02d\r\n" % number for number in range(50)
    ]


@pytest.mark.per_client
def test_it_is_ready_and_tells_what_it_sees(proxy: ClusterProxy, wire: Wire) -> None:
    wire.send(b"".join(request("GET", f"k{number}") for number in range(50)))
    wire.replies(50)
    assert ask(proxy.admin, "GET /readyz")[0] == 200
    page = ask(proxy.admin, "GET /metrics")[2]
    for line in ('cluster_nodes{role="master"} 3.0', 'cluster_nodes{role="other"} 3.0', "cluster_slots 16384.0"):
        assert f"flask_cache_proxy_{line}\n" in page
    assert re.search(r'cluster_refreshes_total\{result="changed"\} [1-9]', page)
    assert metric(proxy.admin, "cluster_lanes") == metric(proxy.admin, "upstream_connections") == 3
    for node in proxy.cluster.masters:
        assert f'cluster_dials_total{{node="{node.address}",result="connected"}}' in page
    proxy.process.wait_for_line(r"INFO    the cluster has 3 masters, 16384 of 16384 slots$")


def test_a_subscriber_gets_redis_own_error_for_keys_of_all_nodes(proxy: ClusterProxy, wire: Wire) -> None:
    assert wire("SUBSCRIBE", "news") == b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
    of_redis = wire("DBSIZE")
    assert of_redis.startswith(b"-ERR Can't execute 'dbsize': only ")
    for node in proxy.cluster.masters:
        assert wire("GET", key_on(proxy.cluster, node)) == of_redis.replace(b"dbsize", b"get")
    assert wire("PING") == b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
