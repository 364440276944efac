"""A cluster that lives in memory: nodes with keys, slots that move key by key, nodes that die. Deterministic."""

from collections.abc import Callable, Iterator

from proxy.resp.encode import bulk
from proxy.session import SlotMap, key_slot
from proxy.session.cluster.gather import arguments

OK, QUEUED = b"+OK\r\n", b"+QUEUED\r\n"
CROSSSLOT = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
TRYAGAIN = b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
Data = dict[bytes, bytes]


def _set(data: Data, args: list[bytes]) -> bytes:
    data[args[1]] = args[2]
    return OK


def _append(data: Data, args: list[bytes]) -> bytes:
    data[args[1]] = data.get(args[1], b"") + args[2]
    return b":%d\r\n" % len(data[args[1]])


def _get(data: Data, args: list[bytes]) -> bytes:
    return bulk(data[args[1]]) if args[1] in data else b"$-1\r\n"


def _del(data: Data, args: list[bytes]) -> bytes:
    return b":%d\r\n" % sum(data.pop(key, None) is not None for key in args[1:])


def _exists(data: Data, args: list[bytes]) -> bytes:
    return b":%d\r\n" % sum(key in data for key in args[1:])


def _mget(data: Data, args: list[bytes]) -> bytes:
    return b"*%d\r\n" % (len(args) - 1) + b"".join(_get(data, [b"GET", key]) for key in args[1:])


def _mset(data: Data, args: list[bytes]) -> bytes:
    data.update(zip(args[1::2], args[2::2], strict=True))
    return OK


def _echo(_data: Data, args: list[bytes]) -> bytes:
    return bulk(args[1])


COMMANDS: dict[bytes, tuple[Callable[[Data, list[bytes]], bytes], slice | None]] = {
    b"SET": (_set, slice(1, 2)),
    b"APPEND": (_append, slice(1, 2)),
    b"GET": (_get, slice(1, 2)),
    b"DEL": (_del, slice(1, None)),
    b"EXISTS": (_exists, slice(1, None)),
    b"MGET": (_mget, slice(1, None)),
    b"MSET": (_mset, slice(1, None, 2)),
    b"ECHO": (_echo, None),
}


class Node:
    """One master."""

    def __init__(self, cluster: "FakeCluster", address: str) -> None:
        self.cluster = cluster
        self.address = address
        self.data: Data = {}
        self.leaving: dict[int, str] = {}
        self.coming: set[int] = set()


class Connection:
    """A lane, as a node sees it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.received = b""
        self.replies = b""
        self.is_asking = False
        self.queue: list[list[bytes]] | None = None
        self.is_dirty = False

    def takes(self, data: bytes) -> None:
        self.received += data
        for args in self._whole():
            self.replies += self.answer(args)

    def _whole(self) -> Iterator[list[bytes]]:
        while (end := _end_of(self.received)) is not None:
            raw, self.received = self.received[:end], self.received[end:]
            yield arguments(raw)

    def answer(self, args: list[bytes]) -> bytes:
        name = args[0].upper()
        if name == b"ASKING":
            self.is_asking = True
            return OK
        asking, self.is_asking = self.is_asking, False
        if name == b"HELLO":
            return b"%0\r\n"
        if name == b"MULTI":
            self.queue, self.is_dirty = [], False
            return OK
        if name == b"EXEC":
            return self._exec()
        if name not in COMMANDS:
            self.is_dirty = True
            return b"-ERR unknown or wrong\r\n"
        error = self._misplaced(args, asking)
        if error is not None:
            self.is_dirty = True
            return error
        if self.queue is not None:
            self.queue.append(args)
            return QUEUED
        return COMMANDS[name][0](self.node.data, args)

    def _exec(self) -> bytes:
        queue, self.queue = self.queue or [], None
        if self.is_dirty:
            return b"-EXECABORT Transaction discarded because of previous errors.\r\n"
        for args in queue:
            error = self._misplaced(args, False)
            if error is not None:
                return error
        return b"*%d\r\n" % len(queue) + b"".join(COMMANDS[args[0]][0](self.node.data, args) for args in queue)

    def _misplaced(self, args: list[bytes], asking: bool) -> bytes | None:
        where = COMMANDS[args[0].upper()][1]
        keys = [] if where is None else args[where]
        slots = {key_slot(key) for key in keys}
        if len(slots) > 1:
            return CROSSSLOT
        node = self.node
        for slot in slots:
            absent = [key for key in keys if key not in node.data]
            if node.cluster.owners[slot] != node.address:
                if not (asking and slot in node.coming):
                    return b"-MOVED %d %b\r\n" % (slot, node.cluster.owners[slot].encode())
                if len(set(keys)) > 1 and absent:
                    return TRYAGAIN
            elif slot in node.leaving and absent:
                if len(set(absent)) < len(set(keys)):
                    return TRYAGAIN
                return b"-ASK %d %b\r\n" % (slot, node.leaving[slot].encode())
        return None


class FakeCluster:
    """See the module."""

    def __init__(self, slots: SlotMap) -> None:
        self.owners = [slots.owner(slot) or "" for slot in range(16384)]
        self.nodes = {address: Node(self, address) for address in (*slots.nodes, *slots.others)}
        self.version = slots.version

    def map(self) -> SlotMap:
        self.version += 1
        nodes = tuple(sorted(set(self.owners)))
        index = {node: at for at, node in enumerate(nodes)}
        return SlotMap(nodes, tuple(index[owner] for owner in self.owners), frozenset(self.nodes), self.version)

    def begins_to_move(self, slot: int, target: str) -> None:
        source = self.nodes[self.owners[slot]]
        if source.address != target and slot not in source.leaving:
            source.leaving[slot] = target
            self.nodes[target].coming.add(slot)

    def moves_a_key(self, slot: int) -> None:
        source = self.nodes[self.owners[slot]]
        for key in sorted(source.data):
            if slot in source.leaving and key_slot(key) == slot:
                self.nodes[source.leaving[slot]].data[key] = source.data.pop(key)
                return

    def ends_to_move(self, slot: int) -> None:
        source = self.nodes[self.owners[slot]]
        if slot not in source.leaving:
            return
        while any(key_slot(key) == slot for key in source.data):
            self.moves_a_key(slot)
        target = self.nodes[source.leaving.pop(slot)]
        target.coming.discard(slot)
        self.owners[slot] = target.address

    @property
    def data(self) -> Data:
        return {key: value for node in self.nodes.values() for key, value in node.data.items()}


def _end_of(data: bytes) -> int | None:
    """The end of the first whole request."""
    end = data.find(b"\r\n")
    if end < 0:
        return None
    at = end + 2
    for _ in range(int(data[1:end])):
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        at = end + 2 + int(data[at + 1 : end]) + 2
        if at > len(data):
            return None
    return at
