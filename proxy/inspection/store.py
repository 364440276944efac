"""Direct access to the Redis of the proxy's settings, through redis-py. It connects and logs in like the proxy.

On a cluster, `cluster_clients` finds the node of each key. Only this module turns redis-py's errors into StoreError.
Reads are bounded: see `Store.look`. A Redis user for it needs these commands: AUTH, SELECT, DBSIZE, SCAN, STRLEN, TYPE,
PTTL, GETRANGE, MULTI, EXEC, SET, PEXPIRE, PERSIST; on a cluster, CLUSTER and ASKING too.
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy.assembly import upstream_for
from proxy.config import Address, EmbeddedTarget, Settings, TcpAddress, passwords
from proxy.inspection.cluster_clients import ClusterClients, Words
from proxy.inspection.entries import Entry
from proxy.net.tls import ClientTls, TlsError
from proxy.upstream.dialer import Upstream, reason
from proxy.upstream.link import UpstreamError

_SCAN: Final = 1000
"""The COUNT of each SCAN: about as many keys as Redis examines in one step."""
_LOOK: Final = 250
"""Keys that are read together at most."""
_LOOK_BYTES: Final = 4 * 1024 * 1024
"""Bytes of values that are read together at most. A single value may have more."""


_GONE: Final = -2
"""PTTL's answer for a key that does not exist."""


class StoreError(Exception):
    """Redis cannot be used. `str()` gives its address, its error and what to do."""


class Write(NamedTuple):
    """A value to store."""

    key: bytes
    stored: bytes
    ttl: int | None
    """Time to live in milliseconds. None: no expiry."""


class _TlsConnection(redis.Connection):
    """A connection with the proxy's own TLS context: the same files, versions and names."""

    def __init__(self, *, tls: ClientTls, **how: Any) -> None:
        super().__init__(**how)  # type: ignore[no-untyped-call] # redis-py has no types here
        self._tls = tls

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[no-untyped-call]
        try:
            return self._tls.context.wrap_socket(connection, server_hostname=self._tls.name or self.host)
        except BaseException:
            connection.close()
            raise


@contextmanager
def opened(settings: Settings) -> Iterator["Store"]:
    """Open the Redis of the settings. Raises StoreError."""
    if isinstance(settings.upstream.target, EmbeddedTarget):
        raise StoreError(
            'upstream.url is "embedded": only its own proxy can use that Redis; '
            "start a Redis of your own and set it with --upstream"
        )
    db = settings.upstream.target.db
    try:
        upstream = upstream_for(settings)
        password = passwords.read(settings.upstream.password, settings.upstream.password_file)
        client_at = partial(_client, settings, db, password, upstream.tls)
        address = asyncio.run(_located(upstream))
        clients: OneClient | ClusterClients = OneClient(client_at(address))
        if upstream.cluster is not None:
            clients = ClusterClients(upstream, client_at)
    except (TlsError, passwords.PasswordError, UpstreamError) as error:
        raise StoreError(str(error)) from None
    where = str(upstream.cluster or address)
    has_tls = upstream.tls is not None if isinstance(address, TcpAddress) else None
    with closing(clients):
        yield Store(clients, where, db, _longest(settings), has_tls)


def _client(
    settings: Settings, db: int, password: bytes | None, tls: ClientTls | None, address: Address
) -> "redis.Redis":
    pool: redis.ConnectionPool = redis.ConnectionPool(
        **_how(address, tls),
        db=db,
        username=settings.upstream.username,
        password=password,
        socket_connect_timeout=settings.limits.connect_timeout,
        socket_timeout=settings.limits.reply_timeout or None,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return redis.Redis.from_pool(pool)


class OneClient:
    """The client of the only Redis, with the operations of ClusterClients."""

    def __init__(self, client: "redis.Redis") -> None:
        self.masters = [client]

    def answers(self, commands: Sequence[Words]) -> list[Any]:
        """See ClusterClients."""
        pipeline: Any = self.masters[0].pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def close(self) -> None:
        """See ClusterClients."""
        self.masters[0].close()


def _longest(settings: Settings) -> int:
    """The bytes of the largest value that a rule reads."""
    return max(settings.limits.decoded_bytes, *(rule.decoded_bytes or 0 for rule in settings.rule), 0)


async def _located(upstream: Upstream) -> Address:
    try:
        async with asyncio.timeout(upstream.timeout):
            return await upstream.locate()
    except TimeoutError:
        raise UpstreamError(f"no sentinel answers in {upstream.timeout:g} s") from None
    finally:
        await upstream.end()


def _how(address: Address, tls: ClientTls | None) -> dict[str, Any]:
    if not isinstance(address, TcpAddress):
        return {"connection_class": redis.UnixDomainSocketConnection, "path": address.path}
    place = {"host": address.host, "port": address.port}
    return place if tls is None else {**place, "connection_class": _TlsConnection, "tls": tls}


class Store:
    """The entries of one Redis database, or of a cluster."""

    def __init__(
        self, clients: OneClient | ClusterClients, where: str, db: int, longest: int, has_tls: bool | None = None
    ) -> None:
        """`where`, `db`: for messages. `longest`: the limit for reading one value, in bytes.

        `has_tls`: whether it is dialed with TLS; None: this cannot be wrong.
        """
        self._has_tls = has_tls
        self._clients = clients
        self._where = where
        self._db = db
        self._longest = longest

    @property
    def place(self) -> str:
        """The database and address of Redis, for messages."""
        if isinstance(self._clients, ClusterClients):
            return self._where
        return f"database {self._db} of Redis at {self._where}"

    def count(self) -> int:
        """The number of keys in the database. Raises StoreError."""
        with self._translated():
            return sum(int(client.dbsize()) for client in self._clients.masters)

    def scan(self, pattern: bytes) -> Iterator[tuple[int, list[bytes]]]:
        """Yield (number of examined keys, matching keys) in steps. Raises StoreError.

        As with SCAN itself, a key may appear twice while Redis resizes its table. A key that is added or removed
        during the scan may be missed. On a cluster, one master follows the other, and a key whose slot moves meanwhile
        may appear twice or be missed.
        """
        for client in self._clients.masters:
            yield from self._scan(client, pattern)

    def _scan(self, client: Any, pattern: bytes) -> Iterator[tuple[int, list[bytes]]]:
        cursor, keys = 0, []
        while True:
            with self._translated():
                cursor, keys = client.scan(cursor, match=pattern, count=_SCAN)
            yield _SCAN, list(dict.fromkeys(keys))
            if cursor == 0:
                return

    def look(self, keys: Sequence[bytes]) -> Iterator[Entry]:
        """The entries of those keys that exist. Raises StoreError.

        Type, TTL, size and value come from one transaction; on a cluster, from requests in a row. Of a value over the
        limit, only one byte more than the limit is read. `_LOOK_BYTES` bounds the values that are read together.
        """
        for at in range(0, len(keys), _LOOK):
            some = keys[at : at + _LOOK]
            with self._translated():
                sizes = self._sizes(some)
            group: list[bytes] = []
            weight = 0
            for key, size in zip(some, sizes, strict=True):
                read = min(size, self._longest)
                if group and weight + read > _LOOK_BYTES:
                    yield from self._read(group)
                    group, weight = [], 0
                group.append(key)
                weight += read
            yield from self._read(group)

    def _sizes(self, keys: Sequence[bytes]) -> list[int]:
        sizes = self._clients.answers([("STRLEN", key) for key in keys])
        return [0 if _is_wrong_type(size) else size for size in map(_checked, sizes)]

    def _read(self, keys: Sequence[bytes]) -> list[Entry]:
        commands: list[Words] = []
        for key in keys:
            commands += ("TYPE", key), ("PTTL", key), ("STRLEN", key), ("GETRANGE", key, 0, self._longest)
        with self._translated():
            answers = list(map(_checked, self._together(commands)))
        entries = []
        for at, key in enumerate(keys):
            kind, ttl, size, stored = answers[4 * at : 4 * at + 4]
            if kind == b"none" or ttl == _GONE:
                continue
            if kind != b"string" or _is_wrong_type(size) or _is_wrong_type(stored):
                size, stored = 0, b""
            elif len(stored) <= self._longest:  # on a cluster, the value may have changed since STRLEN
                size = len(stored)
            entries.append(Entry(key, kind.decode(), size, None if ttl < 0 else ttl, stored))
        return entries

    def _together(self, commands: Sequence[Words]) -> list[Any]:
        """The answers to commands, from one transaction if there is only one Redis."""
        if isinstance(self._clients, ClusterClients):
            return self._clients.answers(commands)
        pipeline: Any = self._clients.masters[0].pipeline(transaction=True)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers

    def write(self, writes: Sequence[Write]) -> list[str | None]:
        """Store values, each completely or not at all. Returns None or Redis' error for each.

        Raises StoreError if the connection ends. Then it is unknown which values are stored.
        """
        commands: list[Words] = [
            ("SET", write.key, write.stored, *(() if write.ttl is None else ("PX", write.ttl))) for write in writes
        ]
        with self._translated():
            answers = self._clients.answers(commands)
        return [self._said(answer) if isinstance(answer, exceptions.RedisError) else None for answer in answers]

    def keep(self, entries: Sequence[Entry], ttl: int | None) -> None:
        """Extend the lives of entries to at least `ttl` milliseconds from now. None: no expiry. Raises StoreError."""
        commands: list[Words] = []
        for entry in entries:
            if entry.ttl is not None and ttl is None:
                commands.append(("PERSIST", entry.key))
            elif entry.ttl is not None and ttl is not None and entry.ttl < ttl:
                commands.append(("PEXPIRE", entry.key, ttl))  # the option GT, which compares, is of Redis 7.0 on
        with self._translated():
            for answer in self._clients.answers(commands):
                _raised(answer)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UpstreamError as error:
            raise StoreError(str(error)) from None
        except (exceptions.RedisError, OSError) as error:
            raise StoreError(self._said(error)) from None
        except (ValueError, TypeError):  # redis-py raises them for answers that no Redis sends
            raise StoreError(f"the server at {self._where} is not a Redis. Is upstream.url right?") from None

    def _said(self, error: Exception) -> str:
        """The message for an error: where, what, and what to do."""
        for kind, text in _SENTENCES:
            if isinstance(error, kind):
                text = _TLS_HINTS.get((kind, self._has_tls), text) if _may_be_tls(error) else text
                return text.format(where=self._where, said=_cause(error))
        return f"Redis at {self._where} refused: {error}"


def _checked(answer: Any) -> Any:
    """An answer of a pipeline. Raises Redis' errors, except WRONGTYPE."""
    if isinstance(answer, exceptions.RedisError) and not _is_wrong_type(answer):
        raise answer
    return answer


def _raised(answer: Any) -> None:
    if isinstance(answer, exceptions.RedisError):
        raise answer


def _is_wrong_type(answer: Any) -> bool:
    return isinstance(answer, exceptions.ResponseError) and str(answer).startswith("WRONGTYPE")


def _may_be_tls(error: Exception) -> bool:
    """Whether the server may speak TLS where we do not, or the other way round: it hangs up or does not answer."""
    hangs_up = _cause(error).startswith(("Connection reset", "Connection closed"))
    return hangs_up or isinstance(error, exceptions.TimeoutError)


def _cause(error: BaseException) -> str:
    """The system's text for an error of the system, otherwise Redis' text."""
    below = error
    while (deeper := below.__cause__ or below.__context__) is not None:
        below = deeper
        if isinstance(below, OSError | ssl.SSLError):
            return reason(below)
    return reason(error) if isinstance(error, OSError) else str(error).rstrip(".")


_LOGIN: Final = (
    "Redis at {where} refuses the login: {said}. Set upstream.password_file and, if Redis has users, "
    "upstream.username (or FLASK_CACHE_PROXY_UPSTREAM_PASSWORD and FLASK_CACHE_PROXY_UPSTREAM_USERNAME)"
)
_CLUSTER: Final = (
    "Redis at {where} is part of a cluster: {said}. Set upstream.url to redis-cluster://host:port. If it is that "
    "already, slots are moving: try again later"
)
_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.AskError, _CLUSTER),  # MOVED is a subclass
    (exceptions.ClusterError, _CLUSTER),
    (exceptions.AuthenticationError, _LOGIN),
    (exceptions.AuthorizationError, _LOGIN),
    (exceptions.BusyLoadingError, "Redis at {where} is still loading its data: {said}. Try again later"),
    (exceptions.TimeoutError, "Redis at {where} does not answer within [limits] reply_timeout"),
    (exceptions.ConnectionError, "cannot reach Redis at {where}: {said}. Is it running, and upstream.url right?"),
    (exceptions.NoPermissionError, "Redis at {where} does not permit it: {said}. Its user needs this permission"),
    (exceptions.ReadOnlyError, "Redis at {where} is a replica and takes no writes. Set its master in upstream.url"),
    (exceptions.OutOfMemoryError, "Redis at {where} is full: {said}"),
    (OSError, "cannot reach Redis at {where}: {said}. Is it running, and upstream.url right?"),
)
_TLS_HINTS: Final[dict[tuple[type[Exception], bool | None], str]] = {
    (
        exceptions.ConnectionError,
        False,
    ): "cannot reach Redis at {where}: {said}. Is it rediss:// (TLS)?",
    (exceptions.TimeoutError, True): "Redis at {where} does not answer. Does it speak TLS? Without TLS, the url begins "
    "with redis://",
}
"""Sentences with a better hint, by whether we speak TLS."""
