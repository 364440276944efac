"""A soak, to be run by hand: each reply is checked while slots move and a master dies each minute.

    python -m tests.e2e.cluster.soak SECONDS

A minute has two parts. While slots move, no write may be lost, doubled or misordered. While a master dies, writes that
it had answered may be lost with it, so a value need only be one of its key.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

from tests import servers
from tests.e2e.admin import metric
from tests.e2e.cluster.conftest import ClusterProxy, other
from tests.e2e.cluster.load import TAGS, Load
from tests.e2e.cluster.test_faults import NODE_IS_GONE, is_of_a_fault
from tests.e2e.cluster.test_resharding import is_of_a_moving_slot
from tests.e2e.proxy_process import wait_until
from tests.redis_cluster import RedisCluster, running_cluster

_CLIENTS: Final = 6
_MOVING: Final = 45.0
"""Seconds in which slots move, before a master dies."""


class Soak:
    """The state of a soak."""

    def __init__(self, cluster: RedisCluster, proxy: ClusterProxy) -> None:
        """Nothing has moved."""
        self._cluster = cluster
        self._proxy = proxy
        self._rng = random.Random(1)
        self._slots = [cluster.slot(f"{{tag{tag}}}") for tag in range(TAGS)]
        self.done: Counter[str] = Counter()
        """Rounds of clients, moves, deaths, and errors by their first words."""

    def minute(self, until: float) -> None:
        """Move slots, and then let a master die."""
        self._cluster.flush()
        with Load(self._proxy.json, _CLIENTS, is_of_a_moving_slot) as load:
            end = min(until, time.monotonic() + _MOVING)
            while time.monotonic() < end:
                self._move(load)
        self._count(load)
        victim = self._cluster.owner(self._rng.choice(self._slots))
        heir = self._cluster.replica_of(victim)
        with Load(self._proxy.json, _CLIENTS, is_of_a_fault, loses=True) as load:
            victim.kill()
            wait_until(lambda: heir.is_master, "the replica to take over")
            load.goes_on(3)
        self._count(load)
        self.done["deaths"] += 1
        self._cluster.heal()

    def _move(self, load: Load) -> None:
        cluster, slot = self._cluster, self._rng.choice(self._slots)
        target = other(cluster, cluster.owner(slot))
        cluster.begin_move(slot, target)
        load.goes_on()
        cluster.move_keys(slot, target, only=cluster.owner(slot).cluster("GETKEYSINSLOT", slot, 5))
        load.goes_on()
        cluster.move_keys(slot, target)
        cluster.end_move(slot, target)
        load.goes_on()
        self.done["moves"] += 1

    def _count(self, load: Load) -> None:
        self.done["rounds"] += sum(client.rounds for client in load.clients)
        for client in load.clients:
            self.done.update(error.partition(b" ")[0].decode() for error in client.errors)


def main(seconds: float) -> None:
    """Soak for so long. An AssertionError tells the replies that were wrong."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        numbers = count()

        def homes(name: str) -> Path:
            (made := home / f"{name}{next(numbers)}").mkdir()
            return made

        cluster = stack.enter_context(running_cluster(servers.executable(), homes))
        proxy = ClusterProxy(cluster, homes("proxy"))
        stack.callback(proxy.process.stop)
        proxy.process.wait_until_ready()
        soak, until = Soak(cluster, proxy), time.monotonic() + seconds
        while time.monotonic() < until:
            soak.minute(until)
            redirects = metric(proxy.admin, "cluster_redirects_total")
            print(f"{dict(soak.done)}, {redirects:g} redirects", flush=True)
        proxy.process.expect(NODE_IS_GONE)
        proxy.process.check_log()


if __name__ == "__main__":
    main(float(sys.argv[1]))
