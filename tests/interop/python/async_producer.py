"""A producer with redis-py's asyncio client.

Its arguments are the proxy's address, the protocol, and a name for its keys.
"""

import asyncio
import json

import redis
import redis.asyncio
from report import CONNECTION, PREFIX, WROTE, show

Redis = redis.asyncio.Redis


async def work(client: Redis, producer: int) -> None:
    """On keys of its own, one by one and in pipelines of both kinds."""
    for number in range(20):
        key, payload = f"{PREFIX}own:{producer}", json.dumps({"producer": producer, "round": number})
        assert await client.set(key, payload, ex=60)
        assert json.loads(await client.get(key)) == json.loads(payload)
        WROTE[key] = payload
    for transaction in (False, True):
        keys = [f"{PREFIX}{transaction}:{producer}:{number}" for number in range(20)]
        async with client.pipeline(transaction=transaction) as pipe:
            for number, key in enumerate(keys):
                pipe.set(key, f"[{number}]").get(key).mget(key, "none")
                WROTE[key] = f"[{number}]"
            replies = await pipe.execute()
        assert replies[0::3] == [True] * 20
        assert replies[1::3] == [f"[{number}]" for number in range(20)]
        assert replies[2::3] == [[f"[{number}]", None] for number in range(20)]


async def count(client: Redis) -> None:
    """Change one value with optimistic locking, in the others' way."""
    for _ in range(5):
        async with client.pipeline() as pipe:
            counted = False
            while not counted:
                await pipe.watch(f"{PREFIX}watched")
                value = json.loads(await pipe.get(f"{PREFIX}watched"))
                pipe.multi()
                pipe.set(f"{PREFIX}watched", json.dumps([value[0] + 1]))
                try:
                    counted = await pipe.execute() == [True]
                except redis.WatchError:
                    continue


async def lock(client: Redis) -> None:
    """Change what only a lock guards."""
    for _ in range(5):
        async with client.lock("flask_cache_lock:py", timeout=30, sleep=0.001) as held:
            assert await held.extend(10)
            assert await held.reacquire()
            seen = json.loads(await client.get(f"{PREFIX}locked"))
            await client.set(f"{PREFIX}locked", json.dumps([seen[0] + 1]))


async def listen(client: Redis) -> None:
    async with client.pubsub() as listener:
        await listener.subscribe(f"{PREFIX}news")
        messages = listener.listen()
        assert (await anext(messages))["type"] == "subscribe"
        for number in range(20):
            await client.publish(f"{PREFIX}news", number)
            assert (await anext(messages))["data"] == str(number)
        await listener.unsubscribe()
        assert (await anext(messages))["type"] == "unsubscribe"


async def main() -> None:
    async with Redis(**CONNECTION) as client:
        await asyncio.gather(*(work(client, number) for number in range(16)))
        for guarded, change in (("watched", count), ("locked", lock)):
            await client.set(f"{PREFIX}{guarded}", "[0]")
            await asyncio.gather(*(change(client) for _ in range(4)))
            assert await client.get(f"{PREFIX}{guarded}") == "[20]"
            WROTE[f"{PREFIX}{guarded}"] = "[20]"
        found = [key async for key in client.scan_iter(f"{PREFIX}own:*")]
        assert set(found) == {f"{PREFIX}own:{number}" for number in range(16)}
        await listen(client)
        show(
            await client.mget("flask_cache_from_flask", "flask_cache_counter"),
            await client.get("flask_cache_view//index"),
        )


asyncio.run(main())
