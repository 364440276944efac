"""Finds the address of a Redis master by asking its sentinels."""

import asyncio
import logging
import re
from typing import Final

from proxy.config import SentinelTarget, TcpAddress
from proxy.config.passwords import PasswordError
from proxy.config.printable import printable
from proxy.net.tasks import Tasks
from proxy.resp import Answer, ErrorAnswer
from proxy.resp.encode import command
from proxy.upstream.login import Login
from proxy.upstream.query import Query

_log = logging.getLogger("proxy.upstream")
_DOWN: Final = frozenset({"s_down", "o_down"})
_HOST: Final = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_NO_ACCESS: Final = ("NOAUTH", "NOPERM")
"""The first words of the errors that a sentinel gives to a stranger, and to a user who may not ask."""
_LONGEST_REASON: Final = 160
"""Characters of a sentinel's error that are repeated to clients."""


class MasterError(Exception):
    """No sentinel knows a running master. `str()` is a text for clients."""


class _RefusedError(Exception):
    """A sentinel refuses the proxy. `str()` gives its error and the settings."""

    def __init__(self, sentinel: TcpAddress, answer: Answer) -> None:
        text = answer.text if isinstance(answer, ErrorAnswer) else "an unexpected answer to AUTH"
        super().__init__(
            f"the sentinel at {sentinel} refuses the proxy (upstream.sentinel_username, upstream.sentinel_password): "
            f"{printable(text[:_LONGEST_REASON])}"
        )


class Master:
    """A master whose address may change."""

    def __init__(self, target: SentinelTarget, timeout: float, login: Login | None = None) -> None:
        """`timeout`: seconds for all sentinels together. Each sentinel gets an equal share of it.

        `login`: at the sentinels. None: they need no password.
        """
        self._login = login
        self._logged = ""
        """The last error of the password file, until the file can be read."""
        self._name = target.name
        self._each = timeout / len(target.sentinels)
        self._sentinels = list(target.sentinels)
        """The one that answered last comes first."""
        self._idle: dict[TcpAddress, Query] = {}
        """The connections that wait for the next question."""
        self._locating: asyncio.Future[TcpAddress] | None = None
        self._tasks = Tasks()
        self._last: TcpAddress | None = None  # the last answer
        self.moved = asyncio.Event()
        """Set when an answer is another address than the one before. Whoever waits for it clears it."""

    def __str__(self) -> str:
        """The name for messages."""
        return f"the master {self._name}"

    async def locate(self) -> TcpAddress:
        """The current address. Raises MasterError.

        One question serves all who ask while it is under way. So many dials take no more connections than one.
        """
        if self._locating is None:
            self._locating = asyncio.get_running_loop().create_future()
            self._tasks.start(self._tell(self._locating), "ask the sentinels")
        return await asyncio.shield(self._locating)

    async def _tell(self, told: asyncio.Future[TcpAddress]) -> None:
        try:
            told.set_result(await self._locate())
        except MasterError as error:
            told.set_exception(error)
        except Exception as error:
            told.set_exception(error)
            raise
        finally:
            self._locating = None
            if not told.cancel():
                told.exception()  # all who asked may have left: then nobody else takes it

    async def _locate(self) -> TcpAddress:
        refused: list[str] = []
        for sentinel in tuple(self._sentinels):
            try:
                async with asyncio.timeout(self._each):
                    address = _address(await self._ask(sentinel))
            except _RefusedError as error:
                refused.append(str(error))
            except (OSError, TimeoutError, UnicodeError):  # UnicodeError: an invalid host name
                continue
            else:
                if address is not None:
                    self._sentinels.remove(sentinel)
                    self._sentinels.insert(0, sentinel)
                    if self._last not in (None, address):
                        self.moved.set()
                    self._last = address
                    return address
        raise MasterError("; ".join([f"no sentinel knows a master {self._name} that is up", *refused[:1]]))

    async def _ask(self, sentinel: TcpAddress) -> Answer:
        """Ask a sentinel for the master. Raises OSError, MasterError, _RefusedError."""
        query = self._idle.pop(sentinel, None)
        if query is None or query.lost:  # closed since the last query
            query = await self._connected(sentinel)
        answer = await query.ask(command(b"SENTINEL", b"MASTER", self._name.encode()))
        if isinstance(answer, ErrorAnswer) and answer.text.startswith(_NO_ACCESS):
            query.close()  # the next query logs in again
            raise _RefusedError(sentinel, answer)
        self._idle[sentinel] = query
        return answer

    async def _connected(self, sentinel: TcpAddress) -> Query:
        """Dial a sentinel and log in there. Raises OSError, MasterError, _RefusedError."""
        _, query = await asyncio.get_running_loop().create_connection(Query, sentinel.host, sentinel.port)
        try:
            if self._login is not None and (answer := await query.ask(self._request(self._login))) != "OK":
                raise _RefusedError(sentinel, answer)
        except BaseException:
            query.close()
            raise
        return query

    def _request(self, login: Login) -> bytes:
        """The AUTH request. Raises MasterError."""
        try:
            request = login.request()
        except PasswordError as error:
            if self._logged != str(error):  # the proxy asks every second
                self._logged = str(error)
                _log.error("%s", error)  # not for clients, because it has the path of the password file
            raise MasterError(
                "the proxy cannot log in to the sentinels: it has no password, and its log says why"
            ) from None
        self._logged = ""
        return request

    async def end(self) -> None:
        """Close the connections to the sentinels at once, and wait until they are closed."""
        await self._tasks.cancel()
        if self._locating is not None:  # its task had not begun
            self._locating.cancel()
        while self._idle:
            await self._idle.popitem()[1].end()


def _address(answer: Answer) -> TcpAddress | None:
    """The address in a sentinel's answer about a master, a list of fields and values. None if the master is down."""
    if not isinstance(answer, list):
        return None
    fields = {name: value for name, value in zip(answer[::2], answer[1::2], strict=False) if isinstance(name, str)}
    host, port, flags = fields.get("ip"), fields.get("port"), fields.get("flags")
    if not (isinstance(host, str) and isinstance(port, str) and isinstance(flags, str)):
        return None
    states = frozenset(flags.split(","))
    is_up = "master" in states and not states & _DOWN
    is_place = _HOST.fullmatch(host) and _PORT.fullmatch(port) and int(port) < 1 << 16
    return TcpAddress(host, int(port)) if is_up and is_place else None
