"""A redis-py client for each master of a cluster. Each command goes to the master of its key, and follows redirects.

redis-py's own RedisCluster is not used: it logs in and checks certificates in its own way, and its `keys` and `dbsize`
ask one node only. The slots are asked for as `serve` does it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from redis import exceptions

from proxy.config import TcpAddress
from proxy.session import SlotMap, key_slot
from proxy.upstream.dialer import Upstream
from proxy.upstream.link import UpstreamError
from proxy.upstream.slot_ranges import address_of

_ATTEMPTS: Final = 50
_PAUSE: Final = 0.1
"""Seconds between two attempts, while slots move or a replica takes over: five seconds in all."""
_MOVES: Final = (exceptions.MovedError, exceptions.TryAgainError, exceptions.ClusterDownError, exceptions.AskError)
"""Errors that mean: try again, with a new map."""

Words = tuple[bytes | str | int, ...]
"""A command. Its key is the second word."""


class ClusterClients:
    """See the module."""

    def __init__(self, upstream: Upstream, client_at: Callable[[TcpAddress], "redis.Redis"]) -> None:
        """`client_at` makes a client for an address. Raises UpstreamError if no node tells the slots."""
        self._upstream = upstream
        self._client_at = client_at
        self._clients: dict[str, redis.Redis] = {}
        self._slots = self._discovered()

    def _discovered(self) -> SlotMap:
        return asyncio.run(self._discover())

    async def _discover(self) -> SlotMap:
        try:
            await self._upstream.discover()
        finally:
            await self._upstream.end()
        cluster = self._upstream.cluster
        assert cluster is not None  # noqa: S101 (the caller has checked it)
        assert cluster.layout is not None  # noqa: S101 (it has just been discovered)
        return cluster.layout.slot_map(0)

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients.values():
            client.close()

    @property
    def masters(self) -> "list[redis.Redis]":
        """A client for each master that has slots."""
        return [self._of(node) for node in self._slots.nodes]

    def _of(self, node: str) -> "redis.Redis":
        if node not in self._clients:
            cluster = self._upstream.cluster
            assert cluster is not None  # noqa: S101 (as above)
            self._clients[node] = self._client_at(cluster.dialled(address_of(node)))
        return self._clients[node]

    def answers(self, commands: Sequence[Words]) -> list[Any]:
        """The answers to commands with one key each. Errors of Redis are among the answers.

        Raises redis-py's errors if a node is lost, and UpstreamError if no node tells the slots any more.
        """
        found: list[Any] = [None] * len(commands)
        left = list(range(len(commands)))
        for attempt in range(_ATTEMPTS):
            self._ask(commands, left, found)
            left = [at for at in left if isinstance(found[at], _MOVES)]
            if not left:
                break
            if attempt:
                time.sleep(_PAUSE)
            self._slots = self._discovered()
        return found

    def _ask(self, commands: Sequence[Words], wanted: Sequence[int], found: list[Any]) -> None:
        """Ask for some of the commands, node by node. One that was answered by ASK is asked there."""
        asked: dict[tuple[str, bool], list[int]] = {}
        for at in wanted:
            before = found[at]
            asks = isinstance(before, exceptions.AskError)
            node = f"{before.host}:{before.port}" if asks else self._owner(commands[at])
            asked.setdefault((node, asks and self._slots.has(node)), []).append(at)
        for (node, asking), some in asked.items():
            pipeline: Any = self._of(node).pipeline(transaction=False)
            for at in some:
                if asking:
                    pipeline.execute_command("ASKING")
                pipeline.execute_command(*commands[at])
            answers = pipeline.execute(raise_on_error=False)
            for at, answer in zip(some, answers[1::2] if asking else answers, strict=True):
                found[at] = answer

    def _owner(self, command: Words) -> str:
        key = command[1]
        assert isinstance(key, bytes)  # noqa: S101 (narrows the type: keys are bytes)
        owner = self._slots.owner(key_slot(key))
        if owner is None:
            raise UpstreamError(f"no node of {self._upstream.place} has slot {key_slot(key)}")
        return owner
