"""Clients on shared trunks to the nodes of a cluster, at random: each gets exactly its replies, whatever happens."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.downstream.shared_cluster_connection import SharedClusterConnection
from proxy.resp import ReplyFramer
from proxy.resp.encode import bulk, command
from proxy.session import SlotMap, key_slot
from proxy.session.runs import Runs
from proxy.upstream.link import Greeting, OwnLink, SharedOwner, SharedPlace
from tests.downstream.cluster_fakes import NODES, SLOTS, FakeCluster
from tests.downstream.fakes import FakeClient, FakeRedis, FakeServer, settled
from tests.effort import cases
from tests.session.playbook import policy
from tests.upstream.fakes import HELLO, FakeTransport, NodeNet

CLIENTS = 6
STEPS = 150
SIZES = (0, 1, 10, 300, 5000, 70_000)
EXECABORT = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
ABORTED = EXECABORT, b"-TRYAGAIN flask-cache-proxy: the keys of the transaction are moving"
OURS = b"-ERR flask-cache-proxy: "


def value(key: bytes) -> bytes:
    return key + b"x" * SIZES[sum(key) % len(SIZES)]


def arguments(data: bytes) -> Iterator[list[bytes]]:
    """The requests in these bytes."""
    at = 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        count, at = int(data[at + 1 : end]), end + 2
        args = []
        for _ in range(count):
            end = data.index(b"\r\n", at)
            size = int(data[at + 1 : end])
            args.append(data[end + 2 : end + 2 + size])
            at = end + 4 + size
        yield args


class Slots:
    """The owners of slots, as the nodes know them."""

    def __init__(self) -> None:
        self.map = SLOTS

    def move(self) -> None:
        """All slots move to the next node."""
        owners = tuple((owner + 1) % len(NODES) for owner in self.map.owners)
        self.map = SlotMap(NODES, owners, version=self.map.version + 1)


class Side:
    """A node, at the other end of one connection. It answers in pieces."""

    def __init__(self, node: str, transport: FakeTransport | FakeRedis, slots: Slots, *, is_shared: bool) -> None:
        self.node = node
        self._slots = slots
        self.transport = transport
        self._is_shared = is_shared
        self._seen = 0
        self._due = b""
        self._queued: list[bytes] | None = None
        self._aborts = False  # EXEC will fail
        self._null = b"*-1\r\n"

    def _sent(self) -> bytes:
        if isinstance(self.transport, FakeRedis):
            return self.transport.sent
        return b"".join(self.transport.requests)

    def answer(self, rng: random.Random) -> bool:
        """Send some of the replies that are due. False: there are none."""
        sent = self._sent()
        for args in arguments(sent[self._seen :]):
            self._due += self._reply(args)
        self._seen = len(sent)
        transport = self.transport
        if transport.lost:
            return False
        if isinstance(transport, FakeRedis) and (transport.is_closing() or (transport.finished and not self._due)):
            transport.lose()
            return True
        if not self._due or not transport.reads or transport.aborted:
            return False
        size = rng.choice((1, 7, 100, 4096, 65536))
        part, self._due = self._due[:size], self._due[size:]
        self.transport.says(part)
        return True

    def _reply(self, args: list[bytes]) -> bytes:
        name = args[0].upper()
        assert not self._is_shared or name in (b"GET", b"MGET", b"PING")
        if name in (b"GET", b"MGET", b"BLPOP"):
            slot = key_slot(args[1])
            owner = self._slots.map.owner(slot)
            if owner != self.node:
                self._aborts = True
                return b"-MOVED %d %s\r\n" % (slot, str(owner).encode())
        if name == b"EXEC":
            queued, self._queued = self._queued or [], None
            return EXECABORT if self._aborts else b"*%d\r\n" % len(queued) + b"".join(queued)
        reply = self._one(name, args)
        if self._queued is not None:
            self._queued.append(reply)
            return b"+QUEUED\r\n"
        if name == b"MULTI":
            self._queued, self._aborts = [], False
        return reply

    def _one(self, name: bytes, args: list[bytes]) -> bytes:
        match name:
            case b"GET":
                return bulk(value(args[1]))
            case b"MGET":
                return b"*%d\r\n" % (len(args) - 1) + b"".join(bulk(value(key)) for key in args[1:])
            case b"PING":
                return b"+PONG\r\n"
            case b"BLPOP":
                return self._null
            case b"HELLO":
                self._null = b"_\r\n" if args[1] == b"3" else b"*-1\r\n"
                return HELLO[int(args[1])]
            case b"RESET":
                self._null = b"*-1\r\n"
                return b"+RESET\r\n"
        return b"+OK\r\n"


class OwnCluster(FakeCluster):
    """Also keeps all own links."""

    def __init__(self, server: FakeServer, slots: Slots) -> None:
        super().__init__(server)
        self._slots = slots
        self.sides: list[Side] = []
        self.gates: dict[str, asyncio.Event] = {}
        """By node: dials wait for it."""

    async def dial(self, link: OwnLink, node: str) -> None:
        if node in self.gates:
            await self.gates[node].wait()
        await super().dial(link, node)
        self.sides.append(Side(node, self.nodes[node], self._slots, is_shared=False))


class Sharing:
    """The shared links of the process."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.net = NodeNet(size=2, buffered_bytes=1 << 30)
        self.pins: list[tuple[int, str]] = []
        self._sides: dict[FakeTransport, Side] = {}

    async def greeting(self, node: str, protocol: int) -> Greeting:
        return await self.net.trunks.greeting(node, protocol)

    async def link(self, owner: SharedOwner, owed: Runs[Any], node: str, protocol: int) -> SharedPlace:
        return await self.net.trunks.link(owner, owed, node, protocol)

    def pinned(self, number: int, reason: str) -> None:
        assert number not in dict(self.pins)
        self.pins.append((number, reason))

    def unpinned(self, reason: str) -> None:
        self.pins.remove(next(pin for pin in self.pins if pin[1] == reason))

    def sides(self) -> list[Side]:
        for node in NODES:
            for transport in self.net[node]:
                if transport not in self._sides:
                    self._sides[transport] = Side(node, transport, self.slots, is_shared=True)
        return list(self._sides.values())


class Client:
    """Asks for things whose replies only it can have."""

    def __init__(self, number: int, sharing: Sharing, rng: random.Random) -> None:
        self.number = number
        self.server = FakeServer()
        self.cluster = OwnCluster(self.server, sharing.slots)
        self._slots = sharing.slots
        self.transport = FakeClient()
        self.connection = SharedClusterConnection(
            self.server, 0, policy(), None, number, self.cluster, "proxy:1", sharing
        )
        self.wanted: list[bytes] = []
        self.has_left = False
        self.sends_no_more = False
        self._is_paused = False
        self._asked = 0
        self._rng = rng
        self._held = b""
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    def _key(self) -> bytes:
        self._asked += 1
        return b"%d-%d:" % (self.number, self._asked)

    def _pairs(self) -> list[tuple[bytes, bytes]]:
        """Requests, and the beginnings of their replies."""
        key = self._key()
        get = command(b"GET", key), bulk(value(key))
        match self._rng.randrange(40):
            case 0:
                return [(command(b"HELLO", b"3"), b"%1")]
            case 1:
                return [(command(b"RESET"), b"+RESET\r\n")]
            case 2:
                requests = command(b"MULTI"), get[0], command(b"EXEC")
                replies = b"+OK\r\n", b"+QUEUED\r\n", b"*1\r\n" + get[1]
                return [*zip(requests, replies, strict=True)]
            case 3:
                return [(command(b"BLPOP", key, b"1"), b"")]
            case 4 | 5 | 6:
                return [(command(b"PING"), b"+PONG\r\n")]
            case 7 | 8 | 9 | 10:
                keys = [self._key() for _ in range(self._rng.randint(1, 6))]
                values = b"".join(bulk(value(each)) for each in keys)
                return [(command(b"MGET", *keys), b"*%d\r\n" % len(keys) + values)]
        return [get]

    def act(self) -> None:
        """Do something."""
        if self.has_left:
            return
        match self._rng.randrange(60):
            case 0 | 1:
                self._is_paused = True
                self.connection.pause_writing()
            case 2 | 3 | 4:
                self.resume()
            case 5 if not self.sends_no_more:
                self._send_no_more()
            case _ if not self.sends_no_more and (self._held or self.transport.reads):
                self._send()

    def _send_no_more(self) -> None:
        self._send_rest()
        self.sends_no_more = True
        if not self.connection.eof_received():
            self.leave()

    def _send_rest(self) -> None:
        held, self._held = self._held, b""
        if held:
            self.connection.data_received(held)

    def _send(self) -> None:
        """Send some requests, perhaps not all of their bytes."""
        pairs = [pair for _ in range(self._rng.choice((1, 1, 2, 8))) for pair in self._pairs()]
        self.wanted += [reply for _, reply in pairs]
        data = self._held + b"".join(request for request, _ in pairs)
        cut = self._rng.choice((0, 0, 3))
        self._held = data[len(data) - cut :]
        self.connection.data_received(data[: len(data) - cut])

    def resume(self) -> None:
        """Read again."""
        if self._is_paused:
            self._is_paused = False
            self.connection.resume_writing()

    def finish(self) -> None:
        """Send the rest."""
        if not self.has_left:
            self.resume()
            self._send_rest()

    def leave(self) -> None:
        """The connection is gone."""
        if not self.has_left:
            self.has_left = True
            self._rng.choice((lambda: None, self.connection.abort, self.connection.close, self.connection.drain))()
            self.connection.connection_lost(None)

    def told_slots(self) -> None:
        """It gets the map that it has asked for."""
        if self.cluster.asking:
            self.cluster.asking.clear()
            self.connection.new_slots(self._slots.map, asked=True)

    def replies(self) -> list[bytes]:
        """What it has got."""
        framer = ReplyFramer()
        framer.feed(self.transport.sent)
        found: list[bytes] = []
        parts: list[bytes] = []
        while framer.forward(parts):
            found.append(b"".join(parts))
            parts = []
        return found

    def check(self, *, may_fail: bool) -> None:
        """It has all of its replies, or errors in their place. If it has left, it may have fewer."""
        got = self.replies()
        if self.sends_no_more and self._slots.map is not SLOTS:
            may_fail = True  # an own link that has no way to Redis any more cannot take a redirect
        is_there = not (self.has_left or self.transport.is_leaving)
        assert len(got) == len(self.wanted) or not is_there
        for reply, wanted in zip(got, self.wanted, strict=is_there):
            failed = reply.startswith(b"-") or OURS in reply  # an error may be an element of MGET
            is_aborted = reply.startswith(ABORTED)
            assert reply.startswith(wanted) or (may_fail and failed) or is_aborted, (reply[:100], wanted[:100])
        assert may_fail or is_there or self.has_left or (self.sends_no_more and len(got) == len(self.wanted))


class World:
    """All clients and nodes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.slots = Slots()
        self.sharing = Sharing(self.slots)
        self._gates: dict[str, asyncio.Event] = {}
        self.clients = [Client(number, self.sharing, self.rng) for number in range(1, CLIENTS + 1)]

    def sides(self) -> list[Side]:
        return self.sharing.sides() + [side for client in self.clients for side in client.cluster.sides]

    async def step(self, *, deaths: int = 0, leaves: int = 0, holds: int = 0, faults: int = 0, moves: int = 0) -> None:
        """Each number: one in so many steps. 0: none."""
        rng = self.rng
        rng.choice(self.clients).act()
        sides = self.sides()
        for side in rng.sample(sides, min(len(sides), 4)):
            side.answer(rng)
        if self._is_due(leaves):
            rng.choice(self.clients).leave()
        if self._is_due(deaths) and sides and not (side := rng.choice(sides)).transport.lost:
            side.transport.lose()
        if self._is_due(holds):
            self._hold(rng.choice(NODES))
        if self._is_due(faults):
            self._break(rng.choice(NODES))
        if self._is_due(moves):
            self.slots.move()
        self.sharing.net.trunks.forget(rng.choice((NODES, NODES[:2], NODES[1:])))
        for each in self.clients:
            if rng.randrange(2):
                each.server.turn()
            each.told_slots()
        for _ in range(rng.choice((0, 1, 2, 20))):
            await asyncio.sleep(0)

    def _is_due(self, one_in: int) -> bool:
        return one_in > 0 and self.rng.randrange(one_in) == 0

    def _hold(self, node: str) -> None:
        """Dials of the node wait, or go on."""
        gate = self._gates.pop(node, None)
        if gate is not None:
            gate.set()
        else:
            gate = self._gates[node] = asyncio.Event()
        held = self._gates.get(node)
        self.sharing.net.nodes.of[node].held = held
        for client in self.clients:
            client.cluster.gates = dict(self._gates)

    def _break(self, node: str) -> None:
        """The node cannot be dialed, or can again."""
        dialer = self.sharing.net.nodes.of[node]
        dialer.fault = "" if dialer.fault else "cannot reach Redis"
        for client in self.clients:
            client.cluster.unreachable ^= {node}

    async def rest(self) -> None:
        """Everything that is under way ends."""
        for node in tuple(self._gates):
            self._hold(node)
        for client in self.clients:
            client.finish()
        still = 0
        while still < 5:  # the dial of a trunk takes some turns
            await settled()
            moves = False
            for side in self.sides():
                moves |= side.answer(self.rng)
            for client in self.clients:
                moves |= client.server.is_busy
                client.server.turn()
                client.told_slots()
            still = 0 if moves else still + 1

    async def end(self) -> None:
        """All clients leave, and all nodes close their own links."""
        for client in self.clients:
            client.leave()
        await self.rest()
        for client in self.clients:
            for side in client.cluster.sides:
                if not side.transport.lost:
                    side.transport.lose()
        await settled()
        for client in self.clients:
            assert client.server.closed_ == [client.connection]
            assert client.cluster.open == 0
        assert self.sharing.pins == []
        assert all(trunks.is_unused for _, trunks in self.sharing.net.trunks.by_node())
        await self.sharing.net.trunks.end()


KINDS = {
    "nothing else happens": {},
    "dials wait": {"holds": 15},
    "clients leave": {"leaves": 40, "holds": 15},
    "connections end": {"deaths": 10, "leaves": 40},
    "nodes cannot be reached": {"deaths": 15, "faults": 15},
    "slots move": {"moves": 30, "holds": 15},
    "all of it": {"deaths": 15, "faults": 30, "leaves": 40, "holds": 15, "moves": 30},
}
MAY_FAIL = {"deaths", "faults"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(cases(40)))
async def test_each_client_gets_exactly_its_replies(kind: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    world = World(seed)
    await settled()
    for _ in range(STEPS):
        await world.step(**KINDS[kind])
    await world.rest()
    for client in world.clients:
        client.check(may_fail=bool(MAY_FAIL & set(KINDS[kind])))
    await world.end()
    assert MAY_FAIL & set(KINDS[kind]) or not caplog.messages
    caplog.clear()
