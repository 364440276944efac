"""Shared connections to the nodes of a cluster: trunks and nodes that end, slots that move, replies that wait."""

import random
import re
import threading

import pytest

from tests.e2e.cluster.conftest import other
from tests.e2e.cluster.load import TAGS, Load
from tests.e2e.cluster.test_faults import NODE_IS_GONE, is_of_a_fault
from tests.e2e.cluster.test_resharding import is_of_a_moving_slot
from tests.e2e.proxy_process import wait_until
from tests.e2e.sharing.on_a_cluster import (
    LOST,
    NodeSharing,
    StartNodes,
    are_served,
    cluster,
    shared_nodes,
    sharing_nodes,
    start_nodes,
)
from tests.e2e.wire import request

__all__ = ["cluster", "shared_nodes", "sharing_nodes", "start_nodes"]

OK = b"+OK\r\n"
UNKNOWN = b"whether this command was done is not known"
NOT_DONE = b"; this command was not done\r\n"
KILLS = 15
MOVES = 10


# -- trunks that end ----------------------------------------------------------------------------------------


def test_a_trunk_that_ends_costs_only_what_its_node_owes(sharing_nodes: NodeSharing) -> None:
    nodes, keys = sharing_nodes, sharing_nodes.keys
    waiting, idle = nodes.clients(10), nodes.clients(5)
    lost = nodes.number("trunks_lost_total")
    nodes.proxy.expect(LOST)
    masters = nodes.cluster.masters
    for victim in masters:
        with nodes.writes_wait(*masters):
            for number, client in enumerate(waiting):
                client.send(b"".join(request("SET", f"{{{key}}}:{number}", f"{number}") for key in keys) * 2)
            nodes.awaits(60)
            nodes.kill(victim)
        for client in waiting:
            for _ in range(2):
                for key in keys:
                    reply = client.reply()
                    assert (UNKNOWN in reply) if nodes.cluster.owner(nodes.cluster.slot(key)) is victim else reply == OK
            assert client.received == b""
        are_served([*waiting, *idle], keys)
    assert nodes.number("trunks_lost_total") >= lost + 3


def test_idle_clients_do_not_notice_that_trunks_end(sharing_nodes: NodeSharing) -> None:
    nodes, keys = sharing_nodes, sharing_nodes.keys
    clients = nodes.clients(20)
    for client in clients[:5]:
        client("HELLO", "3")
    for _ in range(3):
        nodes.kill(*nodes.cluster.masters)
        wait_until(lambda: nodes.number("upstream_trunks") == 0, "the trunks to end")
        are_served(clients, keys)


def is_of_a_kill(error: bytes) -> bool:
    """Whether this is an error of a trunk that has ended, also in the middle of its dial."""
    return is_of_a_fault(error) or error.endswith(NOT_DONE)


class Killer(threading.Thread):
    """Ends all trunks of all nodes, again and again."""

    def __init__(self, nodes: NodeSharing) -> None:
        super().__init__(name="killer")
        self._nodes = nodes
        self._ends = threading.Event()

    def __enter__(self) -> "Killer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()

    def run(self) -> None:
        masters = self._nodes.cluster.masters
        while not self._ends.is_set():
            self._nodes.kill(*masters)


@pytest.mark.parametrize("connections", [1, 2])
def test_trunks_that_end_under_load_cross_no_replies(start_nodes: StartNodes, connections: int) -> None:
    nodes = start_nodes(connections)
    nodes.proxy.expect(NODE_IS_GONE)
    with Load(nodes.proxy.json, 8, is_of_a_kill) as load:
        for _ in range(KILLS):
            nodes.kill(*nodes.cluster.masters)
            load.goes_on()
        with Killer(nodes):
            load.goes_on(10)
        load.goes_on(3)
    assert nodes.number("upstream_trunks") <= connections * 3
    assert nodes.number("pinned_clients") == 0


# -- slots that move, and masters that die ------------------------------------------------------------------


@pytest.fixture
def both(start_nodes: StartNodes) -> list[NodeSharing]:
    """With one trunk for each node, and with two."""
    return [start_nodes(1), start_nodes(2)]


def test_slots_move_under_load(both: list[NodeSharing]) -> None:
    one, two = both
    cluster, rng = one.cluster, random.Random(1)
    slots = [cluster.slot(f"{{tag{tag}}}") for tag in range(TAGS)]
    with (
        Load(one.proxy.json, 5, is_of_a_moving_slot) as load,
        Load(two.proxy.json, 5, is_of_a_moving_slot, first=5) as more,
    ):

        def go_on() -> None:
            load.goes_on()
            more.goes_on()

        for _ in range(MOVES):
            slot = rng.choice(slots)
            target = other(cluster, cluster.owner(slot))
            cluster.begin_move(slot, target)
            go_on()
            cluster.move_keys(slot, target, only=cluster.owner(slot).cluster("GETKEYSINSLOT", slot, 5))
            go_on()
            cluster.move_keys(slot, target)
            cluster.end_move(slot, target)
            go_on()
    for nodes in both:
        assert nodes.number("cluster_redirects_total") > MOVES
        assert nodes.number("pinned_clients") == 0


def test_a_master_dies_under_load(both: list[NodeSharing]) -> None:
    one, two = both
    cluster = one.cluster
    victim = cluster.owner(cluster.slot("{tag0}"))
    heir = cluster.replica_of(victim)
    for nodes in both:
        nodes.proxy.expect(NODE_IS_GONE)
    with (
        Load(one.proxy.json, 4, is_of_a_fault, loses=True) as load,
        Load(two.proxy.json, 4, is_of_a_fault, loses=True, first=4) as more,
    ):
        victim.kill()
        wait_until(lambda: heir.is_master, "the replica to take over")
        load.goes_on(3)
        more.goes_on(3)
    assert load.errors
    assert more.errors
    for nodes in both:
        nodes.proxy.wait_for_line(
            f"INFO    the cluster has changed to 3 masters, 16384 of 16384 slots, without {victim.address}"
        )
    with Load(one.proxy.json, 4, loses=True) as load, Load(two.proxy.json, 4, loses=True, first=4) as more:
        load.goes_on(3)
        more.goes_on(3)
    for nodes in both:
        nodes.leave()
        wait_until(lambda nodes=nodes: victim.address not in by_use(nodes), "the trunks to the dead node to go")


def by_use(nodes: NodeSharing) -> list[str]:
    """The nodes with connections."""
    return [node for node, number in nodes.lanes.items() if number]


def test_a_replica_takes_over_under_load(both: list[NodeSharing]) -> None:
    """Nobody dies, so no write is lost."""
    one, two = both
    cluster = one.cluster
    victim = cluster.owner(cluster.slot(f"{{tag{TAGS - 1}}}"))
    for nodes in both:
        nodes.proxy.expect(NODE_IS_GONE)
    with Load(one.proxy.json, 4, is_of_a_fault) as load, Load(two.proxy.json, 4, is_of_a_fault, first=4) as more:
        cluster.failover(cluster.replica_of(victim))
        load.goes_on(3)
        more.goes_on(3)


# -- clients that do not read, and nodes that answer slowly -------------------------------------------------

UNREAD = r"\[\d+\] closed, because .*(\[limits\] buffered_bytes|\[upstream\] connections)"


def test_a_client_that_never_reads_is_closed_and_a_bystander_served(sharing_nodes: NodeSharing) -> None:
    nodes, keys = sharing_nodes, sharing_nodes.keys
    bystander, hog = nodes.clients(2)
    for key in keys:
        assert bystander("SET", key, "x" * 200_000) == OK
    closed = nodes.number("closed_clients_total")
    nodes.proxy.expect(UNREAD)
    hog.send(b"".join(request("GET", key) for key in keys * 400))
    while nodes.number("closed_clients_total") == closed:
        are_served([bystander], keys)
    are_served([bystander], keys)
    nodes.proxy.wait_for_line(UNREAD)


def test_a_client_that_reads_a_large_reply_slowly_is_closed_and_a_bystander_served(sharing_nodes: NodeSharing) -> None:
    nodes, keys = sharing_nodes, sharing_nodes.keys
    bystander, slow = nodes.clients(2)
    size = 64 * 1024 * 1024
    assert bystander("SETRANGE", keys[0], str(size - 1), "x") == b":%d\r\n" % size
    nodes.proxy.expect(r"closed, because you read a large reply too slowly: .*\(\[upstream\] connections\)")
    before = len(nodes.proxy.lines)
    slow.send(request("GET", keys[0]))
    slow.until(b"^")
    while not any("too slowly" in line for line in nodes.proxy.lines[before:]):
        are_served([bystander], keys)
    assert len(slow.until_closed()) < size
    are_served([bystander], keys)


def test_large_replies_of_all_nodes_come_whole_to_whoever_reads_them(sharing_nodes: NodeSharing) -> None:
    nodes, keys = sharing_nodes, sharing_nodes.keys
    clients = nodes.clients(3)
    size = 20 * 1024 * 1024  # more than `buffered_bytes`: it holds its trunk, for far less than a second
    for key in keys:
        assert clients[0]("SETRANGE", key, str(size - 1), "x") == b":%d\r\n" % size
    for client in clients:
        for key in keys:
            assert len(client("GET", key)) == size + len(b"$\r\n\r\n") + len(str(size))
    are_served(clients, keys)


def test_replies_wait_for_a_node_that_is_slow(sharing_nodes: NodeSharing) -> None:
    """Less than `buffered_bytes` of them wait in the proxy, and nobody else is held up."""
    nodes, keys = sharing_nodes, sharing_nodes.keys
    waiting, bystander = nodes.clients(2)
    for key in keys:
        assert bystander("SET", key, key * 100_000) == OK
    slow = nodes.cluster.owner(nodes.cluster.slot(keys[0]))
    with nodes.writes_wait(slow):
        waiting.send(request("SET", f"{{{keys[0]}}}:x", "1") + b"".join(request("GET", key) for key in keys[1:] * 2))
        nodes.awaits(5)
        are_served([bystander], keys[1:])
    assert waiting.reply() == OK
    for key in keys[1:] * 2:
        assert waiting.reply() == b"$%d\r\n%s\r\n" % (100_000 * len(key), key.encode() * 100_000)
    are_served([waiting, bystander], keys)


MUCH = {
    "one large reply": (1, "a large reply waited for an earlier one of another node: .*connections"),
    "many replies": (50, "more than .* bytes of replies waited for you on a shared connection .*buffered_bytes"),
}
"""How many replies, of 40 MiB in all, wait for another node -> why their client is closed."""


@pytest.mark.parametrize("name", MUCH)
def test_too_much_that_waits_for_a_slow_node_costs_its_client(sharing_nodes: NodeSharing, name: str) -> None:
    nodes, keys = sharing_nodes, sharing_nodes.keys
    count, why = MUCH[name]
    waiting, bystander = nodes.clients(2)
    size = 40 * 1024 * 1024 // count
    assert bystander("SETRANGE", keys[1], str(size - 1), "x") == b":%d\r\n" % size
    nodes.proxy.expect(rf"closed, because {why}")
    with nodes.writes_wait(nodes.cluster.owner(nodes.cluster.slot(keys[0]))):
        waiting.send(request("SET", f"{{{keys[0]}}}:x", "1") + request("GET", keys[1]) * count)
        are_served([bystander], keys[1:])
        assert re.search(why.encode(), waiting.until_closed())
        are_served([bystander], keys[1:])
    are_served([bystander], keys)
