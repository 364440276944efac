"""The map of a Redis Cluster: which node has which slot. Frozen, so that every conversation can share it.

Rules: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ ("Key distribution model").
"""

from binascii import crc_hqx
from dataclasses import dataclass, field
from typing import Final

SLOTS: Final = 16384
NOBODY: Final = -1
"""In `SlotMap.owners`: no node has the slot."""
MOST_NODES: Final = 1023
"""Masters that a map may have. SCAN's cursors have room for so many."""


def key_slot(key: bytes) -> int:
    """The slot of a key, or of a shard channel: 0 to 16383. A hash tag `{...}` that is not empty stands for the key."""
    start = key.find(b"{") + 1
    if start:
        end = key.find(b"}", start)
        if end > start:
            key = key[start:end]
    return crc_hqx(key, 0) & 16383


@dataclass(frozen=True, slots=True, eq=False)
class SlotMap:
    """One answer to CLUSTER SLOTS.

    Addresses are `host:port` as the cluster itself says them, so that they can be compared with those in redirects.
    Where `upstream.addresses` gives another address for one, only the dialer knows that.
    """

    nodes: tuple[str, ...]
    """The masters that have slots, sorted. The position of a node is its index, as long as the map lives."""
    owners: tuple[int, ...]
    """For each of the 16384 slots the index of its master in `nodes`, or `NOBODY`."""
    others: frozenset[str] = frozenset()
    """Further nodes that a redirect may name: replicas, and masters that have no slot yet."""
    version: int = 0
    """The number of the map since the start of the process. A later map has a greater one."""
    ids: tuple[int, ...] = field(init=False)
    """For each node a number from 1 to `MOST_NODES`. It depends on the addresses only, so all workers agree on it."""

    def __post_init__(self) -> None:
        """Give each node its id. Raises ValueError if the map has too many nodes, or not an owner for each slot."""
        if len(self.owners) != SLOTS or len(self.nodes) > MOST_NODES:
            raise ValueError(f"a cluster has {SLOTS} slots and at most {MOST_NODES} masters")
        taken: set[int] = set()
        ids: dict[str, int] = {}
        for node in sorted(self.nodes):
            number = crc_hqx(node.encode(), 0) % MOST_NODES
            while number in taken:
                number = (number + 1) % MOST_NODES
            taken.add(number)
            ids[node] = number + 1
        object.__setattr__(self, "ids", tuple(ids[node] for node in self.nodes))

    @property
    def known(self) -> int:
        """Number of slots that have an owner."""
        return SLOTS - self.owners.count(NOBODY)

    def owner(self, slot: int) -> str | None:
        """The address of the master of a slot. None: no node has it."""
        index = self.owners[slot]
        return None if index == NOBODY else self.nodes[index]

    def has(self, address: str) -> bool:
        """Whether a node of the cluster has this address."""
        return address in self.nodes or address in self.others
