"""Slots move while clients write and read. No reply is lost, doubled or out of order, and no write is.

All lanes pass through relays that delay each piece by 1 to 12 ms. `test_relay` shows that a relay keeps the order.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.admin import metric
from tests.e2e.cluster.conftest import ClusterProxy, other
from tests.e2e.cluster.load import TAGS, Load
from tests.e2e.relay import Relay, late
from tests.redis_cluster import RedisCluster

MOVES = 24


@pytest.fixture
def relayed(cluster: RedisCluster, tmp_path: Path) -> Iterator[ClusterProxy]:
    """A proxy that reaches each node through a relay."""
    with ExitStack() as stack:
        places = []
        for number, node in enumerate(cluster.nodes):
            rng = random.Random(number)
            relay = stack.enter_context(
                Relay(("127.0.0.1", node.port), lambda rng=rng: (late(rng, 0.001, 0.012), late(rng, 0.001, 0.012)))
            )
            places.append(f'"{node.address}" = "127.0.0.1:{relay.address[1]}"')
        proxy = ClusterProxy(cluster, tmp_path, config=f"[upstream]\naddresses = {{ {', '.join(places)} }}\n")
        stack.callback(proxy.process.stop)
        proxy.process.wait_until_ready()
        yield proxy


def is_of_a_moving_slot(error: bytes) -> bool:
    """Redis' own error for an MGET whose keys are on both nodes. The proxy splits the MGET, if it still can."""
    return error.startswith(b"-TRYAGAIN ")


def test_slots_move_under_load(relayed: ClusterProxy) -> None:
    cluster, rng = relayed.cluster, random.Random(1)
    slots = [cluster.slot(f"{{tag{tag}}}") for tag in range(TAGS)]
    with Load(relayed.json, 6, is_of_a_moving_slot) as load:
        for _ in range(MOVES):
            slot = rng.choice(slots)
            target = other(cluster, cluster.owner(slot))
            cluster.begin_move(slot, target)
            load.goes_on()
            cluster.move_keys(slot, target, only=cluster.owner(slot).cluster("GETKEYSINSLOT", slot, 5))
            load.goes_on()
            cluster.move_keys(slot, target)
            cluster.end_move(slot, target)
            load.goes_on()
    assert metric(relayed.admin, "cluster_redirects_total") > MOVES
    assert metric(relayed.admin, "cluster_refreshes_total") > 1
