"""A real Redis Cluster for tests: three masters and three replicas, whose slots move and whose masters die."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

SLOTS = 16384
_MASTERS = 3
_DEADLINE = 60.0
_STARTS = 5
_LOOKS = 50
"""Looks at a replica before it is told again to take over."""
_BUS = 10_000
"""The cluster bus listens on the port of clients plus this."""
_NODE_TIMEOUT = 1500
"""Milliseconds after which a node that does not answer counts as dead."""


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for a state of the cluster."""
    deadline = time.monotonic() + _DEADLINE
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class Node:
    """One server of the cluster."""

    def __init__(self, executable: str, home: Path, options: Sequence[str]) -> None:
        """Start it on a free port. It is in no cluster yet."""
        self.port = free_port()
        self.unix = str(home / "redis.sock")
        self._command = [executable, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.unix]
        self._command += ["--dir", str(home), "--save", "", "--appendonly", "no", "--cluster-enabled", "yes"]
        self._command += ["--cluster-node-timeout", str(_NODE_TIMEOUT), "--repl-diskless-sync-delay", "0", *options]
        self.client: Any = redis.Redis(unix_socket_path=self.unix)
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(lambda: process.poll() is not None or self.answers, "a node of the cluster")
        return process

    @property
    def answers(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def id(self) -> str:
        """Its name in the cluster."""
        return str(self.client.execute_command("CLUSTER MYID").decode())

    def cluster(self, *args: object) -> Any:
        """The reply to a CLUSTER command."""
        return self.client.execute_command("CLUSTER", *args)

    def info(self) -> dict[str, str]:
        """The fields of CLUSTER INFO."""
        said: dict[str, str] = self.client.execute_command("CLUSTER INFO")
        return said

    @property
    def is_master(self) -> bool:
        """Whether it is a master that owns slots."""
        return bool(self.client.role()[0] == b"master")

    def kill(self) -> None:
        """End it without a word, as kill -9 does."""
        self.process.kill()
        self.process.wait(_DEADLINE)

    def restart(self) -> None:
        """Start it again where it was. It still knows the cluster."""
        self.process = self._started()


class RedisCluster:
    """Six nodes. `masters` and `replicas` change as the cluster changes."""

    def __init__(self, executable: str, homes: Callable[[str], Path], *options: str) -> None:
        """Start it, and wait until every node says that it is healthy."""
        self.nodes = [Node(executable, homes("node"), options) for _ in range(2 * _MASTERS)]
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            node.cluster("SET-CONFIG-EPOCH", number + 1)
            if node is not first:
                node.cluster("MEET", "127.0.0.1", first.port)
        for number, node in enumerate(self.nodes[:_MASTERS]):
            slots = range(SLOTS)[number * SLOTS // _MASTERS : (number + 1) * SLOTS // _MASTERS]
            node.cluster("ADDSLOTS", *slots)
        for master, replica in zip(self.nodes[:_MASTERS], self.nodes[_MASTERS:], strict=True):
            wait_until(lambda replica=replica, master=master: _knows(replica, master), "the nodes to meet")
            replica.cluster("REPLICATE", master.id)
        self.settle()

    def settle(self) -> None:
        """Wait until all nodes agree: each is up, three masters own all slots, and each has its replica."""
        wait_until(lambda: all(node.answers for node in self.nodes), "all nodes")
        wait_until(lambda: all(self._is_content(node) for node in self.nodes), "the cluster to be healthy")
        wait_until(self._agrees, "the nodes to agree")

    def _agrees(self) -> bool:
        seen = {_seen(node) for node in self.nodes}
        return len(seen) == 1 and "fail" not in seen.pop()

    def _is_content(self, node: Node) -> bool:
        info = node.info()
        is_whole = info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS)
        if node.is_master:
            return is_whole and len(self.masters) == _MASTERS and len(node.client.role()[2]) >= 1
        return is_whole and node.client.role()[3] == b"connected"

    @property
    def masters(self) -> list[Node]:
        """The masters that answer."""
        return [node for node in self.nodes if node.answers and node.is_master]

    @property
    def replicas(self) -> list[Node]:
        """The replicas that answer."""
        return [node for node in self.nodes if node.answers and not node.is_master]

    @property
    def url(self) -> str:
        """The url for `upstream.url`, with two of the nodes."""
        return f"redis-cluster://{self.nodes[0].address},{self.nodes[1].address}"

    def node_at(self, port: int) -> Node:
        """The node with this port."""
        return next(node for node in self.nodes if node.port == port)

    def owner(self, slot: int) -> Node:
        """The master that owns a slot."""
        slots = next(node for node in self.nodes if node.answers).cluster("SLOTS")
        (place,) = (each[2] for each in _ranges(slots) if each[0] <= slot <= each[1])
        return self.node_at(int(place[1]))

    def slot(self, key: bytes | str) -> int:
        """The slot of a key."""
        return int(self.nodes[0].cluster("KEYSLOT", key))

    def replica_of(self, master: Node) -> Node:
        """A replica of a master."""
        port = str(master.port).encode()
        return next(node for node in self.replicas if str(node.client.role()[2]).encode() == port)

    def begin_move(self, slot: int, target: Node) -> None:
        """The slot is about to move: keys that are not there any more are answered by ASK."""
        source = self.owner(slot)
        target.cluster("SETSLOT", slot, "IMPORTING", source.id)
        source.cluster("SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, target: Node, *, only: Sequence[bytes] = ()) -> None:
        """Move the keys of a slot, or `only` these of them, to the node that it moves to."""
        source = self.owner(slot)
        while keys := only or source.cluster("GETKEYSINSLOT", slot, 100):
            source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            if only:
                return

    def end_move(self, slot: int, target: Node) -> None:
        """The slot has moved."""
        source = self.owner(slot)
        for node in (target, source, *(other for other in self.masters if other not in (source, target))):
            node.cluster("SETSLOT", slot, "NODE", target.id)

    def move(self, slot: int, target: Node) -> None:
        """Move a slot with its keys."""
        if self.owner(slot) is not target:
            self.begin_move(slot, target)
            self.move_keys(slot, target)
            self.end_move(slot, target)

    def failover(self, replica: Node) -> None:
        """Let a replica take over from its master, which lives. The masters may need a second to agree to that."""
        deadline = time.monotonic() + _DEADLINE
        while not replica.is_master:
            assert time.monotonic() < deadline, "waited in vain for the failover"
            replica.cluster("FAILOVER")
            for _ in range(_LOOKS):
                if not replica.is_master:
                    time.sleep(0.02)

    def heal(self) -> None:
        """Start the dead nodes again, and wait until the cluster is healthy and empty."""
        for node in self.nodes:
            if node.process.poll() is not None:
                node.restart()
        self.settle()
        self.flush()

    def flush(self) -> None:
        """Remove all keys."""
        for node in self.masters:
            node.client.flushall()

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.client.close()
            node.process.kill()
            node.process.wait()


def _knows(node: Node, other: Node) -> bool:
    return other.id in str(node.cluster("NODES")) and node.info()["cluster_state"] == "ok"


def _ranges(slots: Any) -> list[Any]:
    """The ranges of CLUSTER SLOTS, whether or not redis-py has read the reply."""
    if isinstance(slots, dict):
        return [[first, last, place["primary"]] for (first, last), place in slots.items()]
    return list(slots)


def _seen(node: Node) -> str:
    """All nodes, their roles, epochs and slots, as a node sees them. An election needs masters that agree on these."""
    lines = [
        (place["node_id"], place["flags"].replace("myself,", ""), place["master_id"], place["epoch"], place["slots"])
        for place in node.client.execute_command("CLUSTER NODES").values()
    ]
    return repr(sorted(lines))


def free_port() -> int:
    """A port that is free, and whose port of the cluster bus is free too."""
    for _ in range(1000):
        with closing(socket.socket()) as client, closing(socket.socket()) as bus:
            client.bind(("127.0.0.1", 0))
            port: int = client.getsockname()[1]
            if port + _BUS < 1 << 16:
                try:
                    bus.bind(("127.0.0.1", port + _BUS))
                except OSError:
                    continue
                return port
    pytest.fail("no free port for a node of a cluster")


@contextmanager
def running_cluster(executable: str, homes: Callable[[str], Path], *options: str) -> Iterator[RedisCluster]:
    """A cluster until the end of the block."""
    cluster = RedisCluster(executable, homes, *options)
    try:
        yield cluster
    finally:
        cluster.stop()
