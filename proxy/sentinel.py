"""Where the master of a group of Redis servers is, by asking its sentinels (redis-py knows how).

redis-py is imported where it is used: it takes a third of the time that a process needs to start.
"""

from typing import Any

from proxy.config import SentinelTarget, TcpAddress


class MasterError(Exception):
    """No sentinel knows of a master. `str()` is a sentence for a client."""


class Master:
    """A master that may move."""

    def __init__(self, target: SentinelTarget, timeout: float) -> None:
        """`timeout`: seconds that one sentinel may take to answer; the next one is asked then."""
        from redis.asyncio.retry import Retry
        from redis.asyncio.sentinel import Sentinel
        from redis.backoff import NoBackoff

        self._name = target.name
        each = timeout / len(target.sentinels)
        make: Any = Sentinel  # without types in redis-py
        self._sentinel = make(
            [(sentinel.host, sentinel.port) for sentinel in target.sentinels],
            sentinel_kwargs={"socket_timeout": each, "socket_connect_timeout": each, "retry": Retry(NoBackoff(), 0)},
        )

    def __str__(self) -> str:
        """For messages."""
        return f"the master {self._name}"

    async def locate(self) -> TcpAddress:
        """Its address now. Raises MasterError."""
        from redis.asyncio.sentinel import MasterNotFoundError
        from redis.exceptions import RedisError

        try:
            host, port = await self._sentinel.discover_master(self._name)
        except (MasterNotFoundError, RedisError, OSError):
            raise MasterError(f"no sentinel knows a master {self._name} that is up") from None
        return TcpAddress(str(host), int(port))

    async def close(self) -> None:
        """Close the connections to the sentinels."""
        for client in self._sentinel.sentinels:
            await client.aclose()
