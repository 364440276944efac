"""Answers the questions that cluster clients ask, as a cluster of one node which has all slots: the proxy.

A client that learned the address of a real node would connect to it, and bypass the proxy. The forms are those of
Redis 7 (cluster.c, clusterCommand).
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from proxy.commands import Command
from proxy.resp import encode
from proxy.session import error_texts
from proxy.session.slots import SLOTS, key_slot

_INFO: Final = (
    f"cluster_state:ok\r\ncluster_slots_assigned:{SLOTS}\r\ncluster_slots_ok:{SLOTS}\r\ncluster_slots_pfail:0\r\n"
    "cluster_slots_fail:0\r\ncluster_known_nodes:1\r\ncluster_size:1\r\ncluster_current_epoch:1\r\n"
    "cluster_my_epoch:1\r\ncluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
)
_LAST: Final = SLOTS - 1


class _Node(NamedTuple):
    host: bytes
    port: int
    id: bytes


def answer(command: Command, args: Sequence[bytes], announce: str, protocol: int) -> bytes:
    """The reply to CLUSTER KEYSLOT, SLOTS, SHARDS, NODES, INFO or MYID: an error if it cannot be answered.

    `announce`: `host:port` of the proxy; empty: there is none. `protocol`: 2 or 3, that of RESP.
    """
    count, needs_address, make = _ANSWERS[command.name]
    if len(args) != count:
        return encode.error(error_texts.wrong_number(command.name))
    if needs_address and not announce:
        return encode.error(error_texts.NO_ADDRESS)
    host, _, port = announce.rpartition(":")
    identity = hashlib.sha1(announce.encode(), usedforsecurity=False).hexdigest().encode()
    node = _Node(host.removeprefix("[").removesuffix("]").encode(), int(port or "0"), identity)
    return make(node, args, protocol)


def _keyslot(_node: _Node, args: Sequence[bytes], _protocol: int) -> bytes:
    return b":%d\r\n" % key_slot(args[2])


def _slots(node: _Node, _args: Sequence[bytes], _protocol: int) -> bytes:
    its = b"*4\r\n%b:%d\r\n%b*0\r\n" % (encode.bulk(node.host), node.port, encode.bulk(node.id))
    return b"*1\r\n*3\r\n:0\r\n:%d\r\n%b" % (_LAST, its)


def _shards(node: _Node, _args: Sequence[bytes], protocol: int) -> bytes:
    text = encode.bulk
    fields = (
        (b"id", text(node.id)),
        (b"port", b":%d\r\n" % node.port),
        (b"ip", text(node.host)),
        (b"endpoint", text(node.host)),
        (b"role", text(b"master")),
        (b"replication-offset", b":0\r\n"),
        (b"health", text(b"online")),
    )
    slots = b"*2\r\n:0\r\n:%d\r\n" % _LAST
    nodes = b"*1\r\n%b" % _map(fields, protocol)
    return b"*1\r\n%b" % _map(((b"slots", slots), (b"nodes", nodes)), protocol)


def _map(fields: Sequence[tuple[bytes, bytes]], protocol: int) -> bytes:
    """Names and values. RESP2 has no maps, so there they take turns in an array."""
    header = b"%%%d\r\n" % len(fields) if protocol == 3 else b"*%d\r\n" % (2 * len(fields))
    return header + b"".join(encode.bulk(name) + value for name, value in fields)


def _nodes(node: _Node, _args: Sequence[bytes], protocol: int) -> bytes:
    line = b"%b %b:%d@%d myself,master - 0 0 1 connected 0-%d\n"
    return _text(line % (node.id, node.host, node.port, node.port + 10_000, _LAST), protocol)


def _info(_node: _Node, _args: Sequence[bytes], protocol: int) -> bytes:
    return _text(_INFO.encode(), protocol)


def _text(text: bytes, protocol: int) -> bytes:
    """RESP3 has a form for texts that humans read."""
    return b"=%d\r\ntxt:%b\r\n" % (4 + len(text), text) if protocol == 3 else encode.bulk(text)


def _my_id(node: _Node, _args: Sequence[bytes], _protocol: int) -> bytes:
    return encode.bulk(node.id)


_ANSWERS: Final[dict[bytes, tuple[int, bool, Callable[[_Node, Sequence[bytes], int], bytes]]]] = {
    b"CLUSTER|KEYSLOT": (3, False, _keyslot),
    b"CLUSTER|SLOTS": (2, True, _slots),
    b"CLUSTER|SHARDS": (2, True, _shards),
    b"CLUSTER|NODES": (2, True, _nodes),
    b"CLUSTER|INFO": (2, False, _info),
    b"CLUSTER|MYID": (2, False, _my_id),
}
"""For each command the number of its arguments, whether it names our address, and its answer."""
