"""Redis itself, asked by redis-py: the Redis of the proxy's settings, reached and logged in to as the proxy does.

Foreign exceptions become StoreError here and nowhere else. What is read is bounded: see `Store.look`. A user of Redis
may be held to what is sent: AUTH, SELECT, DBSIZE, SCAN, STRLEN, TYPE, PTTL, GETRANGE, MULTI, EXEC and SET.
"""

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy import passwords
from proxy.assembly import upstream_for
from proxy.config import Address, EmbeddedTarget, Settings, TcpAddress
from proxy.inside.finding import Entry
from proxy.sentinel import Master
from proxy.tls import ClientTls, TlsError
from proxy.upstream import Upstream, UpstreamError, reason

_SCAN: Final = 1000
"""Keys that Redis looks at in one step of SCAN."""
_LOOK: Final = 250
"""Keys that are looked at together ..."""
_LOOK_BYTES: Final = 4 * 1024 * 1024
"""... and the bytes of their values, unless one alone has more."""


class StoreError(Exception):
    """Redis cannot be used. `str()` says where it is, what it said, and what to do."""


class Write(NamedTuple):
    """A value to be stored."""

    key: bytes
    stored: bytes
    ttl: int | None
    """Milliseconds; None: it stays until it is deleted."""


class _TlsConnection(redis.Connection):
    """TLS as the proxy does it: the same files, versions and names."""

    def __init__(self, *, tls: ClientTls, **how: Any) -> None:
        super().__init__(**how)  # type: ignore[no-untyped-call] # redis-py's are not
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
    """The Redis of the settings. Raises StoreError."""
    if isinstance(settings.upstream.target, EmbeddedTarget):
        raise StoreError(
            'upstream.url is "embedded": that Redis lives in its proxy only, and nothing else can look into it; '
            "start a Redis of your own and name it with --upstream"
        )
    try:
        upstream = upstream_for(settings)
        password = passwords.read(settings.upstream.password, settings.upstream.password_file)
        address = asyncio.run(_located(upstream))
    except (TlsError, passwords.PasswordError, UpstreamError) as error:
        raise StoreError(str(error)) from None
    pool: redis.ConnectionPool = redis.ConnectionPool(
        **_how(address, upstream.tls),
        db=settings.upstream.target.db,
        username=settings.upstream.username,
        password=password,
        socket_connect_timeout=settings.limits.connect_timeout,
        socket_timeout=settings.limits.reply_timeout or None,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    with redis.Redis(connection_pool=pool) as client:
        try:
            yield Store(client, str(address), settings.upstream.target.db, settings.limits.decoded_bytes)
        finally:
            pool.disconnect()


async def _located(upstream: Upstream) -> Address:
    try:
        async with asyncio.timeout(upstream.timeout):
            return await upstream.locate()
    except TimeoutError:
        raise UpstreamError(f"no sentinel answers in {upstream.timeout:g} s") from None
    finally:
        if isinstance(upstream.place, Master):
            await upstream.place.close()


def _how(address: Address, tls: ClientTls | None) -> dict[str, Any]:
    if not isinstance(address, TcpAddress):
        return {"connection_class": redis.UnixDomainSocketConnection, "path": address.path}
    place = {"host": address.host, "port": address.port}
    return place if tls is None else {**place, "connection_class": _TlsConnection, "tls": tls}


class Store:
    """One Redis."""

    def __init__(self, client: "redis.Redis", where: str, db: int, longest: int) -> None:
        """`where`, `db`: for messages. `longest`: bytes of a value beyond which no more of it is read."""
        self._client = client
        self._where = where
        self._db = db
        self._longest = longest

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"database {self._db} of Redis at {self._where}"

    def count(self) -> int:
        """Keys in the database. Raises StoreError."""
        with self._translated():
            return int(self._client.dbsize())

    def scan(self, pattern: bytes) -> Iterator[tuple[int, list[bytes]]]:
        """Keys that match, some at a time, with how many Redis looked at for them. Raises StoreError.

        As with SCAN itself, a key may come twice while Redis resizes its table, and one that comes or goes meanwhile
        may be missed.
        """
        cursor, keys = 0, []
        client: Any = self._client  # which gives bytes: we have it decode nothing
        while True:
            with self._translated():
                cursor, keys = client.scan(cursor, match=pattern, count=_SCAN)
            yield _SCAN, list(dict.fromkeys(keys))
            if cursor == 0:
                return

    def look(self, keys: Sequence[bytes]) -> Iterator[Entry]:
        """The entries of those keys that are there. Raises StoreError.

        Type, TTL, size and value are of the same moment. Of a value over the limit only so much is read as shows that
        it is; and never more values at once than fit `_LOOK_BYTES`.
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
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.strlen(key)
        sizes = pipeline.execute(raise_on_error=False)
        return [0 if _is_wrong_type(size) else size for size in map(_checked, sizes)]

    def _read(self, keys: Sequence[bytes]) -> list[Entry]:
        pipeline = self._client.pipeline(transaction=True)
        for key in keys:
            pipeline.type(key)
            pipeline.pttl(key)
            pipeline.strlen(key)
            pipeline.getrange(key, 0, self._longest)
        with self._translated():
            answers = list(map(_checked, pipeline.execute(raise_on_error=False)))
        entries = []
        for at, key in enumerate(keys):
            kind, ttl, size, stored = answers[4 * at : 4 * at + 4]
            if kind == b"none":
                continue
            if kind != b"string":
                size, stored = 0, b""
            entries.append(Entry(key, kind.decode(), size, None if ttl < 0 else ttl, stored))
        return entries

    def write(self, writes: Sequence[Write]) -> list[str | None]:
        """Store values, each wholly or not at all; for each what Redis had against it, None: it is stored.

        Raises StoreError if the connection ends: then it is not known which of them are stored.
        """
        pipeline = self._client.pipeline(transaction=False)
        for write in writes:
            pipeline.set(write.key, write.stored, px=write.ttl)
        with self._translated():
            answers = pipeline.execute(raise_on_error=False)
        return [self._said(answer) if isinstance(answer, exceptions.RedisError) else None for answer in answers]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.RedisError, OSError) as error:
            raise StoreError(self._said(error)) from None
        except (ValueError, TypeError):  # of redis-py, which expects no more of a server than that it is one
            raise StoreError(f"what answers at {self._where} is no Redis. Is upstream.url right?") from None

    def _said(self, error: Exception) -> str:
        """In a sentence: where, what, and what to do."""
        for kind, text in _SENTENCES:
            if isinstance(error, kind):
                return text.format(where=self._where, said=_cause(error))
        return f"Redis at {self._where} refused: {error}"


def _checked(answer: Any) -> Any:
    """An answer of a pipeline; Redis' errors are raised, but for the one that a key of another type makes."""
    if isinstance(answer, exceptions.RedisError) and not _is_wrong_type(answer):
        raise answer
    return answer


def _is_wrong_type(answer: Any) -> bool:
    return isinstance(answer, exceptions.ResponseError) and str(answer).startswith("WRONGTYPE")


def _cause(error: BaseException) -> str:
    """The system's words where it was the system, else Redis'."""
    below = error
    while (deeper := below.__cause__ or below.__context__) is not None:
        below = deeper
        if isinstance(below, OSError | ssl.SSLError):
            return reason(below)
    return reason(error) if isinstance(error, OSError) else str(error).rstrip(".")


_LOGIN: Final = (
    "Redis at {where} does not let us in: {said}. Set upstream.password_file and, where it has users, "
    "upstream.username (or FLASK_CACHE_PROXY_UPSTREAM_PASSWORD and FLASK_CACHE_PROXY_UPSTREAM_USERNAME)"
)
_CLUSTER: Final = "Redis at {where} is part of a cluster, which is not supported: {said}"
_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.AskError, _CLUSTER),  # and MOVED
    (exceptions.ClusterError, _CLUSTER),
    (exceptions.AuthenticationError, _LOGIN),
    (exceptions.AuthorizationError, _LOGIN),
    (exceptions.BusyLoadingError, "Redis at {where} is still loading its data: {said}. Try again in a while"),
    (exceptions.TimeoutError, "Redis at {where} does not answer in time. [limits] reply_timeout says how long to wait"),
    (exceptions.ConnectionError, "cannot reach Redis at {where}: {said}. Is it running, and upstream.url right?"),
    (exceptions.NoPermissionError, "Redis at {where} does not permit it: {said}. Its user needs leave for that"),
    (exceptions.ReadOnlyError, "Redis at {where} is a replica and takes no writes. Name its master in upstream.url"),
    (exceptions.OutOfMemoryError, "Redis at {where} is full: {said}"),
    (OSError, "cannot reach Redis at {where}: {said}. Is it running, and upstream.url right?"),
)
