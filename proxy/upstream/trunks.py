"""The trunks of one process: for each version of RESP so many shared connections as `upstream.connections` says.

A trunk is dialled when it is needed: for the first client, when all others are busy, and after it has ended. Requests
wait in a trunk that is being dialled only if there is no open one. If the dial fails, their clients lose their links.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import astuple, dataclass
from operator import add
from typing import Any, Final, Protocol, TypeVar

from proxy.net.tasks import Tasks
from proxy.resp import FramingError
from proxy.resp.encode import command
from proxy.session import Opening
from proxy.session.runs import Runs
from proxy.upstream.link import Greeting, SharedOwner, UpstreamError
from proxy.upstream.shared_link import SharedLink
from proxy.upstream.trunk import Phase, Trunk

_log = logging.getLogger("proxy.upstream")
_LEAST_KEPT: Final = 1024 * 1024
"""A paused link keeps so much in any case: a reply that may not hold the trunk."""
_RETRY: Final = 1.0
"""Seconds between two dials that only more speed asks for."""
_REFUSED: Final = 10.0
"""Seconds for which Redis' refusal of RESP3 holds."""
_FULL: Final = 1 << 40
"""A full trunk counts as if it owed so many more replies."""
_SETINFO: Final = command(b"CLIENT", b"SETINFO", b"LIB-NAME", b"flask-cache-proxy")
PROTOCOLS: Final = (2, 3)
_ENDS: Final = "the proxy ends"
_ENDED: Final = "a shared connection to Redis at %s ended (%s), with requests of %d clients"
_OK: Final = b"+OK\r\n"
_GREETINGS: Final = (b"-", b"*", b"%")
"""The first bytes of a reply to HELLO: an error, or fields and values."""
_NOAUTH: Final = b"-NOAUTH"
"""The first word of Redis' error if it requires a password."""

Side = TypeVar("Side", bound=asyncio.Protocol)


class PasswordWantedError(UpstreamError):
    """Redis requires a password, which the proxy does not have. Clients cannot log in on a shared connection."""

    def __init__(self, place: object) -> None:
        """`place`: the address of Redis."""
        super().__init__(
            f"Redis at {place} requires a password, and clients share connections: set upstream.username and"
            ' upstream.password (or upstream.password_file), or upstream.connections = "per-client"'
        )


class Dialer(Protocol):
    """The way to Redis: `proxy.upstream.dialer.Upstream`."""

    @property
    def timeout(self) -> float:
        """Seconds for a dial."""

    @property
    def place(self) -> object:
        """The address, for texts."""

    async def connect(self, factory: Callable[[], Side]) -> Side:
        """Dial Redis. Raises UpstreamError."""

    def opening(self) -> tuple[Opening, ...]:
        """The requests that open each connection. Raises UpstreamError."""

    def hung_up(self) -> UpstreamError:
        """The error if Redis closes a connection before its first answer."""


@dataclass(slots=True)
class Counts:
    """Counters, since the start."""

    dials: int = 0
    failures: int = 0
    """Dials that failed."""
    deaths: int = 0
    """Trunks that ended with replies outstanding, or because Redis broke them, while the proxy ran."""
    evictions: int = 0
    """Clients that were closed because they did not read."""

    def __add__(self, other: "Counts") -> "Counts":
        """The sum of each counter."""
        return Counts(*map(add, astuple(self), astuple(other)))


class _Pool:
    """The trunks of one protocol. It is the `Keeper` of its trunks, and the `Places` of its links."""

    def __init__(self, dialer: Dialer, protocol: int, size: int, counts: Counts) -> None:
        self._dialer = dialer
        self._protocol = protocol
        self._size = size
        self._counts = counts
        self._tasks = Tasks()
        self.open: list[Trunk] = []
        self.only: Trunk | None = None
        """See Places."""
        self.dialling: dict[Trunk, asyncio.Task[None]] = {}
        """The trunks that are not open yet."""
        self.waiting = 0
        """Callers of `ready`. The end of a dial wakes them a turn later."""
        self._connected: set[Trunk] = set()  # the trunks to wait for at the end
        self.links: set[SharedLink] = set()
        """Those that are not closed."""
        self.greeting = Greeting(b"", knows_setinfo=False)
        """Of the last trunk that was opened."""
        self._refusal = b""
        self._refused_at = float("-inf")
        self._failed_at = float("-inf")
        self._is_over = False
        self.most_kept = _LEAST_KEPT

    # -- links -----------------------------------------------------------------------------------------

    def join(self, owner: SharedOwner, owed: Runs[Any]) -> SharedLink:
        """A new link. There is an open trunk."""
        link = SharedLink(owner, owed, self, self.choose(), self._protocol)
        link.greeting, link.knows_setinfo = self.greeting
        self.links.add(link)
        return link

    def leave(self, link: SharedLink, *, is_evicted: bool = False) -> None:
        """See Places."""
        self.links.discard(link)
        self._counts.evictions += is_evicted

    def choose(self) -> Trunk:
        """See Places. Requests wait in a trunk that is being dialled only if no trunk is open."""
        trunks = self.open
        if not trunks:
            return min(self.dialling or (self._dial(),), key=lambda trunk: trunk.owed.size)
        best, least = trunks[0], 2 * _FULL
        for trunk in trunks:
            load = trunk.owed.size + _FULL if trunk.is_full else trunk.owed.size
            if load < least:
                best, least = trunk, load
        if least and len(trunks) + len(self.dialling) < self._size:
            self._dial_another()
        return best

    def _dial_another(self) -> None:
        """Dial one more trunk, because all are busy. After a failure it has time."""
        if asyncio.get_running_loop().time() - self._failed_at >= _RETRY:
            self._dial()

    # -- dials -----------------------------------------------------------------------------------------

    async def ready(self) -> bytes:
        """Wait for an open trunk. Returns Redis' refusal if it does not speak the protocol. Raises UpstreamError."""
        self.waiting += 1
        try:
            return await self._opened()
        finally:
            self.waiting -= 1

    async def _opened(self) -> bytes:
        while not self.open:
            if asyncio.get_running_loop().time() - self._refused_at < _REFUSED:
                return self._refusal
            if self._is_over:
                raise UpstreamError(_ENDS)
            trunk = next(iter(self.dialling), None) or self._dial()
            await asyncio.wait([self.dialling[trunk]])
            if trunk.failure:
                raise UpstreamError(trunk.failure)
        return b""

    def _dial(self) -> Trunk:
        """A new trunk, which is dialled."""
        trunk = Trunk(self)
        if self._is_over:
            trunk.abort(_ENDS)
        else:
            self._counts.dials += 1
            self.dialling[trunk] = self._tasks.start(self._open(trunk), "dial a shared connection")
        return trunk

    async def _open(self, trunk: Trunk) -> None:
        try:
            greeting = await self._greeted(trunk)
        except UpstreamError as error:
            self._fail(trunk, str(error))
        except asyncio.CancelledError:
            trunk.abort(_ENDS)
            raise
        except Exception:  # Tasks logs it
            self._fail(trunk, "a defect of the proxy")
            raise
        else:
            self._welcome(trunk, greeting)
        finally:
            self.dialling.pop(trunk, None)

    def _welcome(self, trunk: Trunk, greeting: Greeting) -> None:
        """Use a trunk that has been opened. Redis may have refused its protocol."""
        if trunk.phase is not Phase.WAITING:  # it has ended since
            self._fail(trunk, f"Redis at {self._dialer.place} closed the connection")
        elif self._protocol > 2 and greeting.hello.startswith(b"-"):
            self._refusal, self._refused_at = greeting.hello, asyncio.get_running_loop().time()
            trunk.abort("Redis refuses the protocol")
        else:
            self.greeting, self._failed_at = greeting, float("-inf")
            self.open.append(trunk)
            self.only = trunk if self._size == 1 else None
            trunk.begin()

    async def _greeted(self, trunk: Trunk) -> Greeting:
        """Connect and open a trunk. Raises UpstreamError."""
        dialer = self._dialer
        opening = dialer.opening()
        hello = command(b"HELLO", b"%d" % self._protocol)
        try:
            await dialer.connect(lambda: trunk)
        except BaseException:
            trunk.cut()
            raise
        try:
            async with asyncio.timeout(dialer.timeout):
                replies = await trunk.ask([*(each.raw for each in opening), hello, _SETINFO])
        except TimeoutError:
            raise UpstreamError(f"Redis at {dialer.place} has not answered in {dialer.timeout:g} s") from None
        except FramingError as error:
            raise UpstreamError(f"the server at {dialer.place} is not a Redis: it sent {error}") from None
        if not replies:
            raise dialer.hung_up()
        return _greeting(dialer.place, opening, replies)

    def _fail(self, trunk: Trunk, reason: str) -> None:
        """The dial has failed: the links whose requests wait in the trunk are lost."""
        trunk.failure = reason
        self._counts.failures += 1
        is_first = self._failed_at == float("-inf")
        self._failed_at = asyncio.get_running_loop().time()
        trunk.abort(reason)
        lost = self._lose(trunk)
        if lost or (is_first and self.open):  # else the clients that wait for it say so
            _log.warning("a shared connection: %s; it had requests of %d clients", reason, lost)

    # -- trunks ----------------------------------------------------------------------------------------

    def trunk_made(self, trunk: Trunk) -> None:
        """See Keeper."""
        self._connected.add(trunk)

    def trunk_full(self, trunk: Trunk) -> None:
        """See Keeper."""
        for link in tuple(self.links):
            if link.trunk is trunk:
                link.set_full(trunk.is_full)

    def trunk_failed(self, trunk: Trunk) -> None:
        """See Keeper. Nobody waits for it either: its dial may go on for long, if the server's machine is gone."""
        self.dialling.pop(trunk, None)
        if trunk in self.open:
            self.open.remove(trunk)
            self.only = None

    def trunk_ended(self, trunk: Trunk, reason: str) -> None:
        """See Keeper. A link that has nothing outstanding goes on, with another trunk."""
        self._connected.discard(trunk)
        lost = self._lose(trunk)
        if lost or trunk.is_misframed:
            self._counts.deaths += not self._is_over
            _log.warning(_ENDED, self._dialer.place, reason, lost)

    def _lose(self, trunk: Trunk) -> int:
        """The links with something outstanding lose the trunk. Returns their number. The others have room again."""
        lost = sum([user.lose() for user in trunk.users()])
        trunk.is_full = False
        self.trunk_full(trunk)
        return lost

    def check(self, most: int) -> None:
        """See Trunks."""
        for trunk in tuple(self.open):
            trunk.check(most)

    def drop(self, reason: str) -> None:
        """Close all trunks at once."""
        for trunk in (*self.open, *self.dialling):
            trunk.abort(reason)

    async def end(self) -> None:
        """See Trunks."""
        self._is_over = True
        await self._tasks.cancel()
        self.drop(_ENDS)
        for trunk in tuple(self._connected):
            await trunk.gone()


class Trunks:
    """See the module."""

    def __init__(self, dialer: Dialer, size: int, buffered_bytes: int, counts: Counts | None = None) -> None:
        """`size`: trunks for each protocol. `buffered_bytes`: what is kept for a client that does not read.

        `counts`: goes on with these counters.
        """
        self.counts = counts or Counts()
        self._pools = {protocol: _Pool(dialer, protocol, size, self.counts) for protocol in PROTOCOLS}
        self.keep(buffered_bytes)

    def keep(self, buffered_bytes: int) -> None:
        """Keep so much for a client that does not read, and 1 MiB in any case."""
        for pool in self._pools.values():
            pool.most_kept = max(buffered_bytes, _LEAST_KEPT)

    async def link(self, owner: SharedOwner, owed: Runs[Any], protocol: int = 2) -> SharedLink:
        """A link on the trunks of a protocol. Waits until one is open. Raises UpstreamError.

        If Redis refuses the protocol, the link is of protocol 2, and its greeting is the refusal.
        """
        refusal = await self._pools[protocol].ready()
        if not refusal:
            return self._pools[protocol].join(owner, owed)
        link = await self.link(owner, owed)
        link.greeting = refusal
        return link

    async def greeting(self, protocol: int = 2) -> Greeting:
        """The greeting on the trunks of a protocol, or the refusal of the protocol. Raises UpstreamError as `link`."""
        refusal = await self._pools[protocol].ready()
        return Greeting(refusal, knows_setinfo=False) if refusal else self._pools[protocol].greeting

    @property
    def is_unused(self) -> bool:
        """There is no link, and nobody waits for one."""
        return not any(pool.links or pool.dialling or pool.waiting for pool in self._pools.values())

    def open(self) -> dict[int, int]:
        """By protocol: the number of trunks that are open."""
        return {protocol: len(pool.open) for protocol, pool in self._pools.items()}

    def check(self, most: int) -> None:
        """Called in each interval of the watchdog. `most`: checks without a byte that end a trunk. 0: no limit."""
        for pool in self._pools.values():
            pool.check(most)

    def drop(self, reason: str = "Redis has moved") -> None:
        """Close all trunks. The next need dials again."""
        for pool in self._pools.values():
            pool.drop(reason)

    async def end(self) -> None:
        """Close all trunks at once, and wait until they are closed."""
        for pool in self._pools.values():
            await pool.end()


def _greeting(place: object, opening: tuple[Opening, ...], replies: list[bytes]) -> Greeting:
    """Check the replies to the requests that open a trunk. Raises UpstreamError."""
    for each, reply in zip(opening, replies, strict=False):
        if reply.startswith(_NOAUTH):
            raise PasswordWantedError(place)
        if reply != _OK:
            raise UpstreamError(f"{each.refused}: {_text(reply)}")
    answers = replies[len(opening) :]
    if any(reply.startswith(_NOAUTH) for reply in answers):
        raise PasswordWantedError(place)
    match answers:
        case [hello, _] if not hello.startswith(_GREETINGS):
            raise UpstreamError(f"Redis at {place} sent an unexpected answer to HELLO")
        case [_, setinfo] if setinfo != _OK and not setinfo.startswith(b"-"):
            raise UpstreamError(f"Redis at {place} sent an unexpected answer to CLIENT SETINFO")
        case [hello, setinfo]:
            return Greeting(hello, setinfo == _OK)
        case [error, *_] if error.startswith(b"-"):
            raise UpstreamError(f"Redis at {place} says: {_text(error)}")
    raise UpstreamError(f"Redis at {place} closed the connection before it answered")


def _text(reply: bytes) -> str:
    """The text of an error."""
    return reply[1:-2].decode(errors="replace") if reply.startswith(b"-") else "Redis sent an unexpected answer"
