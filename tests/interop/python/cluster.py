"""A client for clusters, pointed at one server: its arguments are the client, the address, a key and a payload.

Prints what it reads of what it wrote, or why it does not.
"""

import asyncio
import sys

import redis.asyncio.cluster
import redis.cluster
import redis.exceptions

CLIENT, ADDRESS, KEY, PAYLOAD = sys.argv[1:]
HOST, PORT = ADDRESS.rsplit(":", 1)


def blocking() -> bytes:
    with redis.cluster.RedisCluster(HOST, int(PORT)) as client:
        client.set(KEY, PAYLOAD)
        return client.get(KEY)


async def asynchronous() -> bytes:
    async with redis.asyncio.cluster.RedisCluster(HOST, int(PORT)) as client:
        await client.set(KEY, PAYLOAD)
        return await client.get(KEY)


try:
    print((blocking() if CLIENT == "redis-py" else asyncio.run(asynchronous())).decode())
except redis.exceptions.RedisClusterException as error:
    print(f"error: {error}")
