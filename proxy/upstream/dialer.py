"""Dialing Redis. Each dial resolves the host name again. Only this module turns system errors into UpstreamError."""

import asyncio
import logging
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from weakref import WeakSet

from proxy.config import Address, TcpAddress
from proxy.config.passwords import PasswordError
from proxy.config.printable import printable
from proxy.net.tls import ClientTls, tls_reason
from proxy.resp import Answer, ErrorAnswer
from proxy.resp.encode import command
from proxy.session import CommandInfo, Opening
from proxy.upstream.cluster import Cluster
from proxy.upstream.link import OwnLink, UpstreamError
from proxy.upstream.login import Login
from proxy.upstream.node_trunks import NodeTrunks
from proxy.upstream.query import Query
from proxy.upstream.sentinel import Master, MasterError
from proxy.upstream.trunks import PasswordWantedError, Trunks

_log = logging.getLogger("proxy.upstream")
_MAX_CACHED: Final = 4096
_IDLE: Final = 1.0
"""Seconds for which the query connection stays open after a query."""
_NO_LOGIN: Final = "Redis refused the proxy's own login (upstream.username, upstream.password)"
_NO_DATABASE: Final = "Redis refused the database of upstream.url"
_PING: Final = command(b"PING")
_CLUSTER_INFO: Final = command(b"CLUSTER", b"INFO")
_DOWN: Final = "cluster_state:fail"
"""A line of CLUSTER INFO."""
_PONG: Final = "PONG"
_NOAUTH: Final = "NOAUTH"
"""The first word of Redis' error if it requires a password."""
_CLUSTER_MODE: Final = ("mode", "cluster")
"""A field of HELLO's reply and its value on a node of a cluster."""
_LONGEST_WORD: Final = 32
"""Characters of a server's name or version that are shown."""

_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""OpenSSL's errors for bytes that are not TLS."""

Side = TypeVar("Side", bound=asyncio.Protocol)


class ClusterModeError(UpstreamError):
    """Redis runs in cluster mode. It redirects clients to other nodes, which they cannot reach through the proxy."""

    def __init__(self, place: object) -> None:
        """`place`: the address of Redis."""
        super().__init__(
            f"Redis at {place} runs in cluster mode: commands that it redirects to another node fail. Set upstream.url"
            " to redis-cluster://host:port (rediss-cluster:// with TLS)"
        )


class HungUpError(UpstreamError):
    """The server takes connections and closes them before its first answer, as a TLS port does without TLS."""

    def __init__(self, place: object) -> None:
        """`place`: the address of Redis, which is dialed without TLS."""
        super().__init__(f"Redis at {place} hangs up before it answers. Is it rediss:// (TLS)?")


class Upstream:
    """One Redis: connects clients' links to it, and sends the proxy's own queries."""

    def __init__(
        self,
        place: Address | Master | Cluster,
        db: int,
        timeout: float,
        tls: ClientTls | None = None,
        login: Login | None = None,
    ) -> None:
        """`tls`: for TCP only. `timeout`: seconds for a dial. `db`: see `database`.

        `login`: the proxy's own login. None: clients authenticate themselves.
        """
        self.place = place
        self.database = db
        """The database of `upstream.url`."""
        self._login = login
        self.tls = tls
        self.timeout = timeout
        """Seconds for a dial, with name resolution and the TLS handshake."""
        self._command_info: dict[bytes, CommandInfo] = {}
        self._asking = asyncio.Lock()
        self._failures = 0
        self._failed = ""
        self._query: Query | None = None
        self._queries: WeakSet[Query] = WeakSet()
        """All connections for queries. Over TLS one that is closed stays open until Redis agrees."""
        self._finding_out = asyncio.Lock()
        self._unanswered = 0
        self._is_plain = False
        """The server has answered without TLS, so a later hang-up has another cause."""
        self._wants_password = False
        """Redis' last answer to `_ask_for_password`."""
        self._witness: OwnLink | None = None
        """A link that was opened after that answer. While it is open, Redis has not restarted and the answer holds."""
        self.server = ""
        """The name and version of the server, as it told the last `ping`. Empty if it did not."""
        self._idle: asyncio.TimerHandle | None = None
        self.trunks: Trunks | NodeTrunks | None = None
        """The connections that clients share. None: each client has its own."""

    def share(self, connections: int, buffered_bytes: int) -> None:
        """Have clients share so many connections, to each node of a cluster. `buffered_bytes`: see Trunks."""
        make = Trunks if self.cluster is None else NodeTrunks
        self.trunks = make(self, connections, buffered_bytes)

    @property
    def cluster(self) -> Cluster | None:
        """The cluster, if this is one."""
        return self.place if isinstance(self.place, Cluster) else None

    async def connect(self, factory: Callable[[], Side], node: TcpAddress | None = None) -> Side:
        """Dial Redis. Returns the connected protocol. Raises UpstreamError.

        `node`: in a cluster, the address that the node announces. None: any node.
        """
        protocol = await self._dialed(factory, node)
        if isinstance(protocol, Query):
            self._queries.add(protocol)
        return protocol

    async def _dialed(self, factory: Callable[[], Side], node: TcpAddress | None) -> Side:
        where: object = self.place
        try:
            async with asyncio.timeout(self.timeout):
                where = address = await self._located(node)
                if isinstance(address, TcpAddress):
                    return await self._connect_tcp(factory, address)
                _, protocol = await asyncio.get_running_loop().create_unix_connection(factory, address.path)
        except TimeoutError:
            hint = "" if self.tls is None else ". Does it speak TLS? Without TLS, the url begins with redis://"
            raise UpstreamError(f"cannot reach Redis at {where}: no answer in {self.timeout:g} s{hint}") from None
        except OSError as error:
            raise UpstreamError(f"cannot reach Redis at {where}: {reason(error)}") from None
        except UnicodeError:  # raised by the name resolution
            raise UpstreamError(f"cannot reach Redis at {where}: the host name is invalid") from None
        return protocol

    async def _connect_tcp(self, factory: Callable[[], Side], address: TcpAddress) -> Side:
        how: Any = {}
        if self.tls is not None:
            how = {"ssl": self.tls.context, "server_hostname": self.tls.name or address.host}
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(factory, address.host, address.port, **how)
        return protocol

    async def _located(self, node: TcpAddress | None) -> Address:
        return await self.locate() if node is None or self.cluster is None else self.cluster.dialled(node)

    async def ask_at(self, factory: Callable[[], Query], node: TcpAddress | None = None) -> Query:
        """A connection for queries that is opened like a client's. `node`: see `connect`.

        Raises UpstreamError, OSError.
        """
        query = await self.connect(factory, node)
        try:
            await self._open(query)
        except BaseException:
            query.close()
            raise
        return query

    async def _open(self, query: Query) -> None:
        """Send the requests that open a connection. Raises UpstreamError, OSError."""
        for opening in self.opening():
            answer = await query.ask(opening.raw)
            self._check_password(answer)
            if answer != "OK":
                raise UpstreamError(f"{opening.refused}: {_error_text(answer)}")

    def _check_password(self, answer: Answer) -> None:
        """Raise PasswordWantedError if clients share connections, and Redis requires a password that is not there."""
        if self.trunks is not None and _wants_password(answer):
            raise PasswordWantedError(self.place)

    async def discover(self) -> bool:
        """Ask the cluster for its slots. True if its layout has changed. Raises UpstreamError."""
        assert self.cluster is not None  # noqa: S101 (callers have checked it)
        return await self.cluster.discover(self.ask_at)

    def opening(self) -> tuple[Opening, ...]:
        """The requests that open each connection: the proxy's AUTH and the SELECT of the url's database.

        Reads the password file each time. Raises UpstreamError.
        """
        login = () if self._login is None else (Opening(self._login_request(self._login), _NO_LOGIN),)
        select = (Opening(command(b"SELECT", b"%d" % self.database), _NO_DATABASE),) if self.database else ()
        return (*login, *select)

    @staticmethod
    def _login_request(login: Login) -> bytes:
        """The AUTH request. Reads the password file each time. Raises UpstreamError."""
        try:
            return login.request()
        except PasswordError as error:
            _log.error("%s", error)  # not for clients, because it has the path of the password file
            raise UpstreamError("the proxy cannot log in to Redis: it has no password, and its log says why") from None

    async def locate(self) -> Address:
        """The current address of Redis. Raises UpstreamError if no sentinel knows it."""
        if isinstance(self.place, Cluster):
            return await self.place.locate()
        if not isinstance(self.place, Master):
            return self.place
        try:
            return await self.place.locate()
        except MasterError as error:
            raise UpstreamError(str(error)) from None

    async def ping(self) -> Answer:
        """Send PING on a new connection that is opened like a client's. Returns the answer.

        In a cluster, ask first for the slots, and ping the node that told them. Raises UpstreamError, OSError.
        Raises ClusterModeError if Redis runs in cluster mode and the url names no cluster.
        """
        if self.cluster is not None:
            await self.discover()
        query = await self.connect(Query)
        try:
            await self._open(query)
            answer = await query.ask(_PING)
            self._check_password(answer)
            if answer == _PONG:
                greeting = _pairs(await query.ask(command(b"HELLO")))
                # Redis before 6 has no HELLO, and an ACL may forbid it.
                self.server = _server(greeting or _info(await query.ask(command(b"INFO", b"server"))))
                if self.cluster is not None:
                    await self._check_state(query)
                elif _CLUSTER_MODE in greeting.items():
                    raise ClusterModeError(self.place)
            return answer
        except OSError as error:
            if not self._may_want_tls(query, error):
                raise
            raise HungUpError(self.place) from None
        finally:
            query.close()

    async def _check_state(self, query: Query) -> None:
        """Raise UpstreamError if the node says that the cluster is down. An ACL may forbid the question."""
        answer = await query.ask(_CLUSTER_INFO)
        if isinstance(answer, str) and _DOWN in answer:
            raise UpstreamError(f"{self.place} is down: a node says {_DOWN} (CLUSTER INFO)")

    async def dial(self, link: OwnLink) -> bool:
        """Connect a client's link. Returns True if Redis requires a password from the client. Raises UpstreamError.

        A query on a connection of its own finds this out. The answer is cached as long as a link from that time is
        open, because Redis cannot have restarted before.
        """
        failures = self._unanswered
        if self._login is None and not self._knows_what_redis_wants:
            async with self._finding_out:  # one query serves all clients that wait
                if failures == self._unanswered and not self._knows_what_redis_wants:
                    try:
                        is_told = await self._ask_for_password()
                        await self.connect(lambda: link)
                    except UpstreamError:
                        self._unanswered += 1
                        raise
                    self._witness = link if is_told else None
                    self._unanswered += not is_told
                    return self._wants_password
        await self.connect(lambda: link)
        return self._wants_password

    @property
    def _knows_what_redis_wants(self) -> bool:
        witness = self._witness
        return witness is not None and not witness.is_closing

    async def _ask_for_password(self) -> bool:
        """Ask Redis whether it requires a password. Returns False if it does not answer. Raises UpstreamError."""
        query = await self.connect(Query)
        try:
            async with asyncio.timeout(self.timeout):
                answer = await query.ask(_PING)
        except OSError as error:
            if self._may_want_tls(query, error):
                raise HungUpError(self.place) from None
            return False
        finally:
            await query.end()  # Redis may have only one free connection, and the client needs it
        self._is_plain = True
        self._wants_password = _wants_password(answer)
        return True

    def _may_want_tls(self, query: Query, error: OSError) -> bool:
        """Whether the server may speak TLS: it has hung up on a query, and has never answered one."""
        self._is_plain = self._is_plain or query.has_heard
        is_tcp = self.tls is None and isinstance(self.place, TcpAddress)
        return is_tcp and not self._is_plain and not isinstance(error, TimeoutError)

    def hung_up(self) -> UpstreamError:
        """The error if Redis closes a connection before its first answer."""
        if self.tls is None and isinstance(self.place, TcpAddress):
            return HungUpError(self.place)
        return UpstreamError(f"Redis at {self.place} closed the connection before it answered")

    async def command_info(self, name: bytes) -> CommandInfo | None:
        """Redis' COMMAND INFO about a command, or None if Redis does not know the command. Answers are cached.

        If Redis cannot be asked, the result has `unknown_because` and is not cached. Then the command is refused.
        """
        if name in self._command_info:
            return self._command_info[name]
        try:
            async with self._asking_redis() as query:
                info = _command_info(await query.ask(command(b"COMMAND", b"INFO", name)))
        except UpstreamError as error:
            return CommandInfo(unknown_because=str(error))
        if info is not None and not info.unknown_because and len(self._command_info) < _MAX_CACHED:
            self._command_info[name] = info  # an unknown command is not cached: Redis may load a module later
        return info

    @asynccontextmanager
    async def _asking_redis(self) -> AsyncIterator[Query]:
        """The query connection, for one caller at a time. Raises UpstreamError, also for errors of the query."""
        failures = self._failures
        async with self._asking:
            if failures != self._failures:  # one failure ends all queries that waited for it
                raise UpstreamError(self._failed)
            self._stay_open(None)
            try:
                async with asyncio.timeout(self.timeout):
                    yield await self._connected()
            except (UpstreamError, OSError, TimeoutError) as error:
                self.close()
                self._failures += 1
                self._failed = str(error) or f"no answer in {self.timeout:g} s"
                raise UpstreamError(self._failed) from None
            self._stay_open(_IDLE)

    async def _connected(self) -> Query:
        if self._query is None or self._query.lost:
            self.close()
            self._query = await self.connect(Query)
            if self._login is not None and (answer := await self._query.ask(self._login_request(self._login))) != "OK":
                raise UpstreamError(_error_text(answer))
        return self._query

    def _stay_open(self, seconds: float | None) -> None:
        """Close the query connection after so many seconds. None: keep it open."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.close)

    def close(self) -> None:
        """Close the query connection, and that for the slots. The next query dials again."""
        if self.cluster is not None:
            self.cluster.close()
        self._stay_open(None)
        if self._query is not None:
            self._query.close()
            self._query = None

    def leave(self) -> None:
        """Redis has moved: close the query connection and the shared ones. The next need dials again."""
        self.close()
        if self.trunks is not None:
            self.trunks.drop()

    async def end(self) -> None:
        """Close all connections but the clients' own links at once, and wait until they are closed.

        uvloop cannot close the loop cleanly while transports are open.
        """
        self.close()
        if self.trunks is not None:
            await self.trunks.end()
        for query in tuple(self._queries):
            await query.end()
        if isinstance(self.place, Master):
            await self.place.end()


def reason(error: OSError) -> str:
    """The system's text for an error. asyncio replaces it by "Connect call failed", uvloop does not."""
    if isinstance(error, ssl.SSLError):
        hint = "; does it speak TLS? Without TLS, the url begins with redis://" if error.reason in _NO_TLS else ""
        return tls_reason(error) + hint
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _wants_password(answer: Answer) -> bool:
    return isinstance(answer, ErrorAnswer) and answer.text.startswith(_NOAUTH)


def _error_text(answer: Answer) -> str:
    """The error in an answer that should be OK."""
    return answer.text if isinstance(answer, ErrorAnswer) else "Redis sent an unexpected answer"


def _pairs(answer: Answer) -> dict[str, Answer]:
    """The fields of an answer to HELLO (RESP2). Empty for an error."""
    pairs = zip(answer[::2], answer[1::2], strict=False) if isinstance(answer, list) else ()
    return {field: value for field, value in pairs if isinstance(field, str)}


def _info(answer: Answer) -> dict[str, Answer]:
    """The version in an answer to INFO, as HELLO has it. Empty for an error."""
    found = re.search(r"^redis_version:(\S+)", answer, re.MULTILINE) if isinstance(answer, str) else None
    return {"server": "redis", "version": found[1]} if found else {}


def _server(greeting: Mapping[str, Answer]) -> str:
    """The name and the version in an answer to HELLO, such as "redis 7.0.15". Only printable text of sane length."""
    words = (greeting.get("server"), greeting.get("version"))
    return " ".join(printable(word[:_LONGEST_WORD]) for word in words if isinstance(word, str))


def _command_info(answer: Answer) -> CommandInfo | None:
    """Parse COMMAND INFO: `[[name, arity, flags, first, last, step, categories, ...]]` or `[nil]`, for one name.

    Redis before 6.0 and some compatible servers leave the categories out.
    """
    match answer:
        case ErrorAnswer(text):
            return CommandInfo(unknown_because=text)
        case [None]:
            return None
        case [[_, int(arity), list(flags), int(first), _, _, list(categories), *_]] if _are_words(flags, categories):
            return CommandInfo(_words(flags), first_key=first, categories=_words(categories), arity=arity)
        case [[_, int(), list(), int(), int(), int()]]:
            return CommandInfo(unknown_because="its COMMAND INFO has no ACL categories")
    return CommandInfo(unknown_because="an unexpected answer to COMMAND INFO")


def _are_words(*lists: list[Answer]) -> bool:
    """True if the lists contain only words. Anything else might be a flag that matters."""
    return all(isinstance(word, str) for words in lists for word in words)


def _words(answers: list[Answer]) -> frozenset[str]:
    return frozenset(str(word).lower() for word in answers)
