"""Clients of one pool on shared connections: they work at once, and stay connected until the standard input ends.

Its arguments are the proxy's address, the protocol, a name for its keys, and `caching` for some more clients that keep
what they read until Redis says that it has changed.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import redis
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from report import CONNECTION, PREFIX, WROTE

CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
"""See producer.py."""
SEVERAL = 12


def work(client: redis.Redis, number: int) -> None:
    """On keys of its own, one by one and in a pipeline."""
    assert client.client_getname() == "redis-py"
    key = f"{PREFIX}{number}"
    for value in range(20):
        assert client.set(key, f'{{"value":{value}}}', ex=60)
        assert client.get(key) == f'{{"value":{value}}}'
    with client.pipeline(transaction=False) as pipe:
        for value in range(100):
            pipe.set(f"{key}:{value}", f"[{value}]", ex=60).get(f"{key}:{value}")
            WROTE[f"{key}:{value}"] = f"[{value}]"
        assert pipe.execute() == [each for value in range(100) for each in (True, f"[{value}]")]
    assert client.mget(f"{key}", "none", f"{key}:7") == ['{"value":19}', None, "[7]"]
    assert client.delete(key, "none") == 1
    try:
        client.set(key, "{nope")
    except redis.ResponseError as error:
        assert "flask-cache-proxy: " in str(error)  # noqa: PT017
    else:
        raise AssertionError("a bad payload was taken")
    assert client.get(key) is None


def changed_by(another: redis.Redis, caching: redis.Redis, number: int) -> None:
    key = f"{PREFIX}cached:{number}"
    assert another.set(key, '"before"', ex=60)
    assert caching.get(key) == '"before"'
    assert another.set(key, '"after"', ex=60)
    while caching.get(key) != '"after"':
        pass
    WROTE[key] = '"after"'


def main() -> None:
    with redis.Redis(**CONNECTION, db=0, client_name="redis-py") as pooled, ThreadPoolExecutor(SEVERAL) as threads:
        clients = [pooled.client() for _ in range(SEVERAL)]
        list(threads.map(work, clients, range(SEVERAL)))
        tracking = [redis.Redis(**CONNECTION, cache_config=CacheConfig()) for _ in range(3 * ("caching" in sys.argv))]
        for number, caching in enumerate(tracking):
            changed_by(clients[number], caching, number)
        print(json.dumps({"wrote": WROTE, "seen": {"tracking": len(tracking)}}), flush=True)
        sys.stdin.read()
        for client in (*clients, *tracking):
            client.close()


main()
