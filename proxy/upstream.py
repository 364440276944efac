"""Dialing Redis. Names are resolved at every dial; foreign exceptions become UpstreamError here and nowhere else."""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import hiredis

from proxy import passwords
from proxy.config import Address, TcpAddress
from proxy.resp.writers import command
from proxy.sentinel import Master, MasterError
from proxy.session import CommandInfo, Opening
from proxy.tls import ClientTls, tls_reason

_log = logging.getLogger("proxy.upstream")
_MAX_CACHED: Final = 4096
_IDLE: Final = 1.0
"""Seconds that the connection for questions stays open for the next one."""
_NO_LOGIN: Final = "Redis refused the proxy's own login (upstream.username, upstream.password)"
_NO_DATABASE: Final = "Redis refused the database of upstream.url"
_NOT_ENOUGH: Final = object()

Side = TypeVar("Side", bound=asyncio.Protocol)


class UpstreamError(Exception):
    """Redis cannot be reached. `str()` is a sentence for a client: where, and why."""


class Login(NamedTuple):
    """The proxy's own user at Redis."""

    username: str | None
    password: str | None
    password_file: str | None

    def opening(self) -> Opening:
        """AUTH, with the password as it is now. Raises UpstreamError."""
        try:
            password = passwords.read(self.password, self.password_file)
        except passwords.PasswordError as error:
            _log.error("%s", error)  # not for clients: where secrets are is nothing that strangers should know
            raise UpstreamError("the proxy cannot log in to Redis: it has no password, and its log says why") from None
        user = () if self.username is None else (self.username.encode(),)
        return Opening(command(b"AUTH", *user, password or b""), _NO_LOGIN)


class Asking(Protocol):
    """Whoever a connection to Redis belongs to."""

    def upstream_made(self) -> None:
        """Connected: `upstream_lost` will follow."""

    def upstream_received(self, data: bytes) -> None:
        """Bytes of Redis."""

    def upstream_full(self, full: bool) -> None:
        """Whether Redis takes no more for now."""

    def upstream_lost(self) -> None:
        """Redis is gone."""


class UpstreamSide(asyncio.Protocol):
    """Redis' side of a client's connection."""

    __slots__ = ("_asking", "transport")

    def __init__(self, asking: Asking) -> None:
        """`asking`: whose upstream it is."""
        self._asking = asking
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = transport
        self._asking.upstream_made()

    def data_received(self, data: bytes) -> None:
        """Bytes of Redis."""
        self._asking.upstream_received(data)

    def pause_writing(self) -> None:
        """Redis takes no more for now."""
        self._asking.upstream_full(True)

    def resume_writing(self) -> None:
        """Redis takes more again."""
        self._asking.upstream_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Redis is gone."""
        self.transport = None
        self._asking.upstream_lost()


class Upstream:
    """One Redis, and the ways to reach it."""

    def __init__(
        self,
        place: Address | Master,
        db: int,
        timeout: float,
        tls: ClientTls | None = None,
        login: Login | None = None,
    ) -> None:
        """`tls`: over TCP only.

        `login`: the proxy's own; None: clients authenticate themselves.
        """
        self.place = place
        self._db = db
        self._login = login
        self.tls = tls
        self.timeout = timeout
        """Seconds that a dial may take, the name's look-up and TLS included."""
        self._command_info: dict[bytes, CommandInfo] = {}
        self._asking = asyncio.Lock()
        self._failures = 0
        self._failed = CommandInfo()
        self._asker: _Asker | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def connect(self, factory: Callable[[], Side]) -> Side:
        """Dial; the protocol has its transport. Raises UpstreamError."""
        where: object = self.place
        try:
            async with asyncio.timeout(self.timeout):
                where = address = await self.locate()
                if isinstance(address, TcpAddress):
                    return await self._connect_tcp(factory, address)
                _, protocol = await asyncio.get_running_loop().create_unix_connection(factory, address.path)
        except TimeoutError:
            raise UpstreamError(f"cannot reach Redis at {where}: no answer in {self.timeout:g} s") from None
        except OSError as error:
            raise UpstreamError(f"cannot reach Redis at {where}: {reason(error)}") from None
        return protocol

    async def _connect_tcp(self, factory: Callable[[], Side], address: TcpAddress) -> Side:
        how: Any = {}
        if self.tls is not None:
            how = {"ssl": self.tls.context, "server_hostname": self.tls.name or address.host}
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(factory, address.host, address.port, **how)
        return protocol

    def opening(self) -> tuple[Opening, ...]:
        """What begins each conversation: the proxy's login, its password read anew, and the url's database.

        Raises UpstreamError.
        """
        login = () if self._login is None else (self._login.opening(),)
        select = (Opening(command(b"SELECT", b"%d" % self._db), _NO_DATABASE),) if self._db else ()
        return (*login, *select)

    async def locate(self) -> Address:
        """Where Redis is at the moment. Raises UpstreamError if no sentinel knows."""
        if not isinstance(self.place, Master):
            return self.place
        try:
            return await self.place.locate()
        except MasterError as error:
            raise UpstreamError(str(error)) from None

    async def ping(self) -> object:
        """The reply to PING on a connection of its own, begun as a client's is; errors are hiredis.ReplyError.

        Raises UpstreamError, OSError, hiredis.HiredisError.
        """
        asker = await self.connect(_Asker)
        try:
            for opening in self.opening():
                reply = await asker.ask(opening.raw)
                if isinstance(reply, hiredis.ReplyError):
                    raise UpstreamError(f"{opening.refused}: {reply}")
            return await asker.ask(command(b"PING"))
        finally:
            asker.close()

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """What Redis says of a command, asked once per name on a connection of our own; None: unknown to it.

        Where it does not say (the connection has no password), the answer has no flags, which lets nothing
        through, but the reason; it is not kept.
        """
        if name in self._command_info:
            return self._command_info[name]
        failures = self._failures
        async with self._asking:
            if failures != self._failures:  # nobody waits for one after the other to fail
                return self._failed
            try:
                async with asyncio.timeout(self.timeout):
                    info = await self._ask(command(b"COMMAND", b"INFO", name))
            except (UpstreamError, OSError, TimeoutError, hiredis.HiredisError) as error:
                self.close()
                self._failures += 1
                self._failed = CommandInfo(unknown_because=str(error) or f"no answer in {self.timeout:g} s")
                return self._failed
            except BaseException:
                self.close()  # nobody waits any more: the reply must not be taken for that to another question
                raise
        if info is not None and not info.unknown_because and len(self._command_info) < _MAX_CACHED:
            self._command_info[name] = info  # what it does not know, a module may bring
        return info

    async def _ask(self, request: bytes) -> CommandInfo | None:
        if self._asker is None or self._asker.lost:
            self._asker = await self.connect(_Asker)
            if self._login is not None:
                reply = await self._asker.ask(self._login.opening().raw)
                if isinstance(reply, hiredis.ReplyError):
                    return CommandInfo(unknown_because=str(reply))
        if self._idle is not None:
            self._idle.cancel()
        try:
            return _command_info(await self._asker.ask(request))
        finally:
            self._idle = asyncio.get_running_loop().call_later(_IDLE, self.close)

    def close(self) -> None:
        """Close the connection for questions; the next one dials again."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._asker is not None:
            self._asker.close()
            self._asker = None


def reason(error: OSError) -> str:
    """The system's words: asyncio puts "Connect call failed" in their place, uvloop does not."""
    if isinstance(error, ssl.SSLError):
        return tls_reason(error)
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _command_info(reply: object) -> CommandInfo | None:
    """The flags in the reply to COMMAND INFO of one name: `[[name, arity, [flag, ...], ...]]`, `[nil]` or an error."""
    if isinstance(reply, hiredis.ReplyError):
        return CommandInfo(unknown_because=str(reply))
    if not isinstance(reply, list) or len(reply) != 1:
        raise OSError("an odd reply to COMMAND INFO")
    (row,) = reply
    if row is None:
        return None
    return CommandInfo(frozenset(str(flag).lower() for flag in row[2]))


class _Asker(asyncio.Protocol):
    """A connection for one question after the other."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=_NOT_ENOUGH, encoding="utf-8", errors="replace")
        self._transport: Any = None  # uvloop's are no asyncio.Transport
        self._reply: asyncio.Future[object] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def ask(self, request: bytes) -> object:
        """The reply. Raises OSError, or hiredis.HiredisError if it is no reply."""
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._reply

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._reply.done():
            return
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
        except hiredis.HiredisError as error:
            self._reply.set_exception(error)
            return
        if reply is not _NOT_ENOUGH:
            self._reply.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(OSError("Redis closed the connection"))

    def close(self) -> None:
        """Close."""
        self.lost = True
        if self._transport is not None:
            self._transport.close()
