"""Dialing Redis. Names are resolved at every dial; foreign exceptions become UpstreamError here and nowhere else."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, Final, TypeVar

import hiredis

from proxy.config import Address, TcpAddress
from proxy.resp.writers import command
from proxy.session import CommandInfo

_MAX_CACHED: Final = 4096
_NOT_ENOUGH: Final = object()

Protocol = TypeVar("Protocol", bound=asyncio.Protocol)


class UpstreamError(Exception):
    """Redis cannot be reached. `str()` is a sentence for a client: where, and why."""


class Upstream:
    """One Redis, and the ways to reach it."""

    def __init__(self, address: Address, db: int, timeout: float) -> None:
        """`timeout`: seconds that a dial may take, the name's look-up included."""
        self.address = address
        self._timeout = timeout
        self.setup: tuple[bytes, ...] = (command(b"SELECT", b"%d" % db),) if db else ()
        """What a session sends first, for the database of the url."""
        self._command_info: dict[bytes, CommandInfo] = {}
        self._lookups = asyncio.Semaphore(4)

    async def connect(self, factory: Callable[[], Protocol]) -> Protocol:
        """Dial; the protocol has its transport. Raises UpstreamError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                if isinstance(self.address, TcpAddress):
                    _, protocol = await loop.create_connection(factory, self.address.host, self.address.port)
                else:
                    _, protocol = await loop.create_unix_connection(factory, self.address.path)
        except TimeoutError:
            raise UpstreamError(f"cannot reach Redis at {self.address}: no answer in {self._timeout:g} s") from None
        except OSError as error:
            raise UpstreamError(f"cannot reach Redis at {self.address}: {_reason(error)}") from None
        return protocol

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """What Redis says of a command, asked once per name on a connection of our own; None: unknown to it.

        Where it cannot be asked, the answer has no flags, which lets nothing through, and is not kept.
        """
        if name in self._command_info:
            return self._command_info[name]
        async with self._lookups:
            try:
                info = await self._ask(command(b"COMMAND", b"INFO", name))
            except (UpstreamError, OSError, TimeoutError, hiredis.HiredisError):
                return CommandInfo(frozenset())
        if info is not None and len(self._command_info) < _MAX_CACHED:
            self._command_info[name] = info  # what it does not know, a module may bring
        return info

    async def _ask(self, request: bytes) -> CommandInfo | None:
        answer = await self.connect(_Answer)
        try:
            answer.ask(request)
            async with asyncio.timeout(self._timeout):
                return _command_info(await answer.reply)
        finally:
            answer.close()


def _reason(error: OSError) -> str:
    """The system's words: asyncio puts "Connect call failed" in their place, uvloop does not."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _command_info(reply: object) -> CommandInfo | None:
    """The flags in the reply to COMMAND INFO of one name: `[[name, arity, [flag, ...], ...]]` or `[nil]`."""
    if not isinstance(reply, list) or len(reply) != 1:
        raise OSError("COMMAND INFO was refused")
    (row,) = reply
    if row is None:
        return None
    return CommandInfo(frozenset(str(flag).lower() for flag in row[2]))


class _Answer(asyncio.Protocol):
    """One request, one reply."""

    def __init__(self) -> None:
        self.reply: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._reader = hiredis.Reader(notEnoughData=_NOT_ENOUGH, encoding="utf-8", errors="replace")
        self._transport: Any = None  # uvloop's are no asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> None:
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            reply = self._reader.gets()
        except hiredis.HiredisError as error:
            if not self.reply.done():
                self.reply.set_exception(error)
            return
        if reply is not _NOT_ENOUGH and not self.reply.done():
            self.reply.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.reply.done():
            self.reply.set_exception(OSError("Redis closed the connection"))

    def close(self) -> None:
        self.reply.cancel()
        if self._transport is not None:
            self._transport.close()
