"""A client's transport, a link and a server, scripted: what a connection does is written down, and nothing is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from proxy.downstream.connection import Connection
from proxy.observe.families import ROUND_TRIP_SECONDS
from proxy.observe.metrics import Metrics
from proxy.observe.refusal_log import RefusalLog
from proxy.policy import Policy
from proxy.session import CommandInfo, Conversion, Converted, Gate, Opening, Tally
from proxy.upstream.link import OwnLink, SharedOwner, UpstreamError

GREETINGS = {
    2: b"*4\r\n$2\r\nid\r\n:77\r\n$5\r\nproto\r\n:2\r\n",
    3: b"%2\r\n$2\r\nid\r\n:77\r\n$5\r\nproto\r\n:3\r\n",
}
"""Replies to HELLO, by protocol."""


class FakeClient:
    """A client's transport."""

    def __init__(self, *, tls: bool = False) -> None:
        self.sent = b""
        self.writes = 0
        self.unread = 0
        """Bytes that the client does not take."""
        self.reads = True
        self.ended = False
        self.closing = False
        self.aborted = False
        self._tls = tls

    def write(self, data: bytes) -> None:
        self.sent += data
        self.writes += 1
        assert not self.aborted
        assert not self.ended  # uvloop raises

    def get_write_buffer_size(self) -> int:
        return self.unread

    def set_write_buffer_limits(self, *, high: int, low: int) -> None:
        assert high > low

    def get_extra_info(self, _name: str) -> None:
        return None

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def can_write_eof(self) -> bool:
        return not self._tls and not self.ended

    def write_eof(self) -> None:
        self.ended = True

    @property
    def is_leaving(self) -> bool:
        """The proxy has closed it, or ended its own direction."""
        return self.ended or self.closing

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True


class FakeRedis:
    """Redis' transport, behind a real link."""

    def __init__(self, link: OwnLink) -> None:
        self.sent = b""
        self.writes = 0
        self.unsent = 0
        self.reads = True
        self.finished = False
        self.lost = False
        self.closed = False
        self.aborted = False
        self.can_finish = True
        self._link = link

    def write(self, data: bytes) -> None:
        self.sent += data
        self.writes += 1

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def set_write_buffer_limits(self, *, high: int, low: int) -> None:
        assert high > low

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def can_write_eof(self) -> bool:
        return self.can_finish

    def write_eof(self) -> None:
        self.finished = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def says(self, data: bytes) -> None:
        """Bytes of Redis."""
        self._link.data_received(data)

    def is_full(self, full: bool) -> None:
        """Redis takes no more, or takes more again."""
        (self._link.pause_writing if full else self._link.resume_writing)()

    def lose(self) -> None:
        """Redis closes."""
        self.lost = True
        self._link.connection_lost(None)


class FakePlace:
    """A place on a trunk."""

    knows_setinfo = False
    unsent = 0

    def __init__(self, owner: SharedOwner, protocol: int) -> None:
        self.protocol = protocol
        self.greeting = GREETINGS[protocol]
        self.sent = b""
        self.reads = True
        self.is_head = True
        self.is_closing = False
        self.has_left = False
        self._owner = owner

    def write(self, data: bytes) -> None:
        assert not self.is_closing
        self.sent += data

    def pause(self) -> None:
        self.reads = False

    def resume(self) -> None:
        self.reads = True

    def finish(self) -> bool:
        self.close()
        return True

    def close(self) -> None:
        if not self.is_closing:
            self.is_closing = True
            asyncio.get_running_loop().call_soon(self._tell)

    abort = close

    def _tell(self) -> None:
        if not self.has_left:
            self._owner.place_lost()

    def leave(self) -> None:
        self.is_closing = self.has_left = True

    def says(self, data: bytes) -> None:
        self._owner.link_received(data)

    def is_full(self, full: bool) -> None:
        self._owner.link_full(full)


class FakeServer:
    """The services of a connection. Tasks run; turns of the loop wait for `turn`."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.tally = Tally()
        self.refusals = RefusalLog()
        self.round_trips = self.metrics.histogram(ROUND_TRIP_SECONDS)
        self.buffered_bytes = 1 << 20
        self.slow_seconds = 0.0
        self.allowance = 1 << 40
        self.openings: tuple[Opening, ...] = ()
        self.wants_password = False
        self.dialing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.converting: asyncio.Future[Converted] = asyncio.get_running_loop().create_future()
        self.info: CommandInfo | None = None
        self.links: list[FakeRedis] = []
        self.turns: list[Callable[[], None]] = []
        self.opened_: list[Any] = []
        self.closed_: list[Any] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def opening(self) -> tuple[Opening, ...]:
        return self.openings

    def wait_turn(self, work: Callable[[], None]) -> None:
        self.turns.append(work)

    def turn(self) -> None:
        """One turn of the loop: what waits now runs."""
        turns, self.turns = self.turns, []
        for work in turns:
            work()

    def sum_up(self) -> None:
        raise AssertionError("there is memory for all")

    async def dial(self, link: OwnLink) -> bool:
        await self.dialing
        transport = FakeRedis(link)
        self.links.append(transport)
        link.connection_made(transport)  # type: ignore[arg-type]
        return self.wants_password

    async def convert(self, _conversion: Conversion) -> Converted:
        return await self.converting

    async def command_info(self, _name: bytes) -> CommandInfo | None:
        return self.info

    def start(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def is_busy(self) -> bool:
        """A task runs, or something waits for a turn."""
        return bool(self._tasks or self.turns)

    def opened(self, connection: Any) -> None:
        self.opened_.append(connection)

    def closed(self, connection: Any) -> None:
        self.closed_.append(connection)


class Pair:
    """A connection between a fake client and a fake server."""

    def __init__(self, policy: Policy, gate: Gate | None = None, *, tls: bool = False) -> None:
        self.server = FakeServer()
        self.client = FakeClient(tls=tls)
        self.connection = Connection(self.server, 0, policy, gate, 1)
        self.connection.connection_made(self.client)  # type: ignore[arg-type]

    @property
    def redis(self) -> FakeRedis:
        return self.server.links[0]

    async def dialed(self, error: str = "") -> "Pair":
        """The dial ends."""
        if error:
            self.server.dialing.set_exception(UpstreamError(error))
        else:
            self.server.dialing.set_result(None)
        await settled()
        return self

    def send(self, data: bytes) -> None:
        """The client sends."""
        self.connection.data_received(data)

    def answer(self, data: bytes) -> None:
        """Redis sends."""
        self.redis.says(data)

    def hang_up(self) -> None:
        """The client's transport is gone."""
        self.connection.connection_lost(None)


async def settled() -> None:
    """Let tasks that can go on go on."""
    for _ in range(5):
        await asyncio.sleep(0)
