"""Reads the answers to CLUSTER SLOTS and CLUSTER NODES: which node owns each slot. Pure: answers in, a layout out.

A node may be broken or hostile. So each range, host and port is checked, and one that cannot be right is an error.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from proxy.config import TcpAddress
from proxy.config.printable import printable
from proxy.resp import Answer, ErrorAnswer
from proxy.session import NOBODY, SLOTS, SlotMap

_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_UNKNOWN_HOSTS: Final = (None, "", "?")
"""Hosts that mean: the host that was asked. Redis gives `?` if a node should have a host name and has none."""
_MAX_NODES: Final = 10_000
"""More nodes than any cluster has."""
_NO_NODES: Final = frozenset({"noaddr", "handshake"})
"""Flags of entries in CLUSTER NODES that are no node, or not yet."""
_WORDS: Final = 8
"""Words of a line of CLUSTER NODES, at least."""
_LONGEST_TEXT: Final = 160
"""Characters of a node's error that are repeated."""


class SlotsError(Exception):
    """The answer tells no layout. `str()` gives the reason."""


class Layout(NamedTuple):
    """The nodes of a cluster, as one node tells them."""

    masters: tuple[TcpAddress, ...]
    """The addresses that the nodes announce, in the order of their first slots."""
    owners: tuple[int, ...]
    """For each slot, the index of its master, or NOBODY."""
    replicas: tuple[TcpAddress, ...]
    others: frozenset[str] = frozenset()
    """Names of all nodes, from CLUSTER NODES: it shows masters without slots too. Empty if it is not permitted."""

    def slot_map(self, version: int) -> SlotMap:
        """The layout as sessions need it. Raises ValueError if there are too many masters."""
        names = [name(master) for master in self.masters]
        nodes = tuple(sorted(names))
        place = {NOBODY: NOBODY, **{number: nodes.index(each) for number, each in enumerate(names)}}
        others = self.others | {name(replica) for replica in self.replicas}
        return SlotMap(nodes, tuple(place[owner] for owner in self.owners), others, version)


def name(address: TcpAddress) -> str:
    """The name of a node as redirects have it: host:port, for IPv6 without brackets."""
    return f"{address.host}:{address.port}"


def address_of(node: str) -> TcpAddress:
    """The address in the name of a node. Raises ValueError."""
    host, _, port = node.rpartition(":")
    if not (_HOST.fullmatch(host) and _PORT.fullmatch(port) and 0 < int(port) < 1 << 16):
        raise ValueError("a node needs a host and a port")
    return TcpAddress(host, int(port))


def read_slots(answer: Answer, asked: TcpAddress) -> Layout:
    """Read `[[first, last, master, replica ...] ...]`, where a node is `[host, port, ...]`.

    `asked`: the address that gave the answer. Raises SlotsError. Source: CLUSTER SLOTS in Redis' documentation.
    """
    if isinstance(answer, ErrorAnswer):
        raise SlotsError(printable(answer.text[:_LONGEST_TEXT]))
    if not isinstance(answer, list):
        raise SlotsError("it answers CLUSTER SLOTS with no list")
    owners = [NOBODY] * SLOTS
    masters: dict[TcpAddress, int] = {}
    replicas: dict[TcpAddress, None] = {}
    for each in answer:
        first, last, nodes = _range(each, asked)
        if any(owner != NOBODY for owner in owners[first : last + 1]):
            raise SlotsError(f"two ranges of its slots overlap, in {first} to {last}")
        owners[first : last + 1] = [masters.setdefault(nodes[0], len(masters))] * (last + 1 - first)
        replicas |= dict.fromkeys(nodes[1:])
        if len(masters) + len(replicas) > _MAX_NODES:
            raise SlotsError(f"it tells more than {_MAX_NODES} nodes")
    if not masters:
        raise SlotsError("no node owns a slot: the cluster has not been created")
    return Layout(tuple(masters), tuple(owners), tuple(replicas))


def _range(each: Answer, asked: TcpAddress) -> tuple[int, int, list[TcpAddress]]:
    match each:
        case [int() as first, int() as last, master, *replicas] if 0 <= first <= last < SLOTS:
            return first, last, [_node(node, asked) for node in (master, *replicas)]
    raise SlotsError("it answers CLUSTER SLOTS with a range that is none")


def _node(node: Answer, asked: TcpAddress) -> TcpAddress:
    match node:
        case [host, int() as port, *_] if 0 < port < 1 << 16:
            if host in _UNKNOWN_HOSTS:
                return TcpAddress(asked.host, port)
            if isinstance(host, str) and _HOST.fullmatch(host):
                return TcpAddress(host, port)
    raise SlotsError("it answers CLUSTER SLOTS with a node without a valid host and port")


def read_nodes(answer: Answer, asked: TcpAddress) -> frozenset[str]:
    """The names of all nodes in an answer to CLUSTER NODES. Empty for any other answer, as for NOPERM.

    A line is `id ip:port@bus[,hostname[,...]] flags ...`. Lines that are not so are skipped.
    """
    if not isinstance(answer, str):
        return frozenset()
    return frozenset(name for line in answer.splitlines()[:_MAX_NODES] for name in _names(line.split(), asked))


def _names(words: list[str], asked: TcpAddress) -> Iterator[str]:
    """The names of the node in a line: with its address, and with its host name if it has one."""
    if len(words) < _WORDS or _NO_NODES & set(words[2].split(",")):
        return
    place, *names = words[1].split(",")
    host, _, port = place.partition("@")[0].rpartition(":")
    for each in (host or asked.host, *names[:1]):
        if _HOST.fullmatch(each) and _PORT.fullmatch(port) and 0 < int(port) < 1 << 16:
            yield f"{each}:{port}"
