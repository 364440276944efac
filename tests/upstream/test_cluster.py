"""The nodes that are asked for the slots: in order, with the proxy's login, and past those that do not answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest

from proxy.config import ClusterTarget, TcpAddress
from proxy.resp.encode import command
from proxy.upstream.cluster import Cluster
from proxy.upstream.dialer import Upstream
from proxy.upstream.link import UpstreamError
from proxy.upstream.login import Login

SLOTS = command(b"CLUSTER", b"SLOTS") + command(b"CLUSTER", b"NODES")
NO_NODES = b"-NOPERM no\r\n"
SUPPORT = b"-ERR This instance has cluster support disabled\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"


class Node:
    """Answers each request with the next of its answers, and the last one again; None: it closes; b"": it is silent."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.connections = 0
        self.address = TcpAddress("", 0)
        self._connections: list[tuple[asyncio.StreamWriter, asyncio.Event]] = []

    async def close(self) -> None:
        """Close its connections, and wait until they have ended."""
        for writer, end in self._connections:
            writer.close()
            await end.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        end = asyncio.Event()
        self._connections.append((writer, end))
        while question := await reader.read(4096):
            self.asked.append(question)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is None:
                break
            writer.write(answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        end.set()


Nodes = Callable[..., Awaitable[Node]]


@pytest.fixture
async def node() -> AsyncIterator[Nodes]:
    """Starts nodes."""
    async with AsyncExitStack() as stack:

        async def start(*answers: bytes | None) -> Node:
            made = Node(*answers)
            server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
            stack.push_async_callback(made.close)
            stack.callback(server.close)
            made.address = TcpAddress("127.0.0.1", server.sockets[0].getsockname()[1])
            return made

        yield start


def slots(*nodes: Node | TcpAddress, host: bytes | None = b"127.0.0.1") -> bytes:
    """An answer in which each node has one slot."""
    ranges = b""
    for number, each in enumerate(nodes):
        port = each.port if isinstance(each, TcpAddress) else each.address.port
        where = b"$-1\r\n" if host is None else b"$%d\r\n%s\r\n" % (len(host), host)
        ranges += b"*3\r\n:%d\r\n:%d\r\n*2\r\n%s:%d\r\n" % (number, number, where, port)
    return b"*%d\r\n" % len(nodes) + ranges + NO_NODES


def cluster_of(*seeds: Node, translations: dict[TcpAddress, TcpAddress] | None = None, login: bool = False) -> Upstream:
    target = ClusterTarget(tuple(seed.address for seed in seeds))
    mine = Login("me", "secret", None) if login else None
    return Upstream(Cluster(target, translations or {}, 5.0), 0, 5.0, None, mine)


def masters(upstream: Upstream) -> list[int]:
    assert upstream.cluster is not None
    assert upstream.cluster.layout is not None
    return [each.port for each in upstream.cluster.layout.masters]


async def test_the_first_node_that_answers_is_believed(node: Nodes) -> None:
    dead, first, second = await node(None), await node(), await node()
    first.answers = [slots(first, second)]
    upstream = cluster_of(dead, first, second)
    assert await upstream.discover()
    assert masters(upstream) == [first.address.port, second.address.port]
    assert (dead.asked, first.asked, second.asked) == ([SLOTS], [SLOTS], [])
    upstream.close()


async def test_news_come_from_the_same_node_on_the_same_connection(node: Nodes) -> None:
    first, second = await node(), await node()
    first.answers = [slots(first), slots(first, second)]
    upstream = cluster_of(first)
    assert [await upstream.discover(), await upstream.discover()] == [True, True]
    assert first.connections == 1
    upstream.close()


async def test_a_node_without_news_is_not_asked_twice(node: Nodes) -> None:
    cut_off, other = await node(), await node()
    cut_off.answers = [slots(cut_off, other)]
    other.answers = [slots(other)]
    upstream = cluster_of(cut_off)
    assert [await upstream.discover() for _ in range(3)] == [True, False, True]
    assert masters(upstream) == [other.address.port]
    upstream.close()


async def test_the_proxy_logs_in_first(node: Nodes) -> None:
    first = await node(b"+OK\r\n")
    first.answers.append(slots(first))
    upstream = cluster_of(first, login=True)
    await upstream.discover()
    assert first.asked == [command(b"AUTH", b"me", b"secret"), SLOTS]
    upstream.close()


async def test_a_node_without_a_host_is_reached_where_it_was_asked(node: Nodes) -> None:
    first = await node()
    first.answers = [slots(first, TcpAddress("", 7), host=None)]
    upstream = cluster_of(first)
    await upstream.discover()
    assert upstream.cluster is not None
    assert upstream.cluster.layout is not None
    assert upstream.cluster.layout.masters == (first.address, TcpAddress("127.0.0.1", 7))
    upstream.close()


async def test_announced_addresses_are_translated_for_the_dial_only(node: Nodes) -> None:
    inside = TcpAddress("10.0.0.5", 6379)
    first = await node()
    first.answers = [slots(inside, host=b"10.0.0.5")]
    upstream = cluster_of(first, translations={inside: first.address})
    assert [await upstream.discover(), await upstream.discover()] == [True, False]
    assert upstream.cluster is not None
    assert upstream.cluster.layout is not None
    assert upstream.cluster.layout.masters == (inside,)
    assert upstream.cluster.dialled(inside) == first.address
    assert await upstream.discover() is False  # asked at the translated address
    upstream.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (SUPPORT * 2, "This instance has cluster support disabled"),
        (NOAUTH * 2, "NOAUTH Authentication required."),
        (None, "Redis closed the connection"),
        (b"*0\r\n" + NO_NODES, "has not been created"),
        (b"*100000000\r\n", "it sent an answer of more than"),
        (b"%1\r\n", "it sent an answer of an unknown type"),
    ],
)
async def test_the_reason_of_each_node_is_told(node: Nodes, answer: bytes | None, reason: str) -> None:
    first, second = await node(answer), await node(None)
    upstream = cluster_of(first, second)
    with pytest.raises(UpstreamError) as caught:
        await upstream.discover()
    assert str(caught.value).startswith(f"no node of the cluster {first.address}, {second.address} tells its slots: ")
    assert reason in str(caught.value)
    assert f"{second.address}: Redis closed the connection" in str(caught.value)
    upstream.close()


async def test_a_silent_node_costs_its_share_of_the_time(node: Nodes) -> None:
    silent, other = await node(b""), await node()
    other.answers = [slots(other)]
    target = ClusterTarget((silent.address, other.address))
    upstream = Upstream(Cluster(target, {}, 0.001), 0, 5.0)
    assert await upstream.discover()
    assert masters(upstream) == [other.address.port]
    upstream.close()


async def test_the_state_of_the_cluster_is_part_of_a_ping(node: Nodes) -> None:
    first = await node()
    down = b"$20\r\ncluster_state:fail\r\n\r\n"
    first.answers = [slots(first), b"+PONG\r\n", b"-NOPERM no\r\n", b"-NOPERM no\r\n", down]
    with pytest.raises(UpstreamError, match="is down: a node says cluster_state:fail"):
        await cluster_of(first).ping()
    first.answers = [slots(first), b"+PONG\r\n", b"-NOPERM no\r\n"]
    assert await cluster_of(first).ping() == "PONG"
