"""Real clients on shared connections: ordinary use pins nobody, and Redis sees no more connections than promised."""

import asyncio
import threading

import pytest
import redis
import redis.asyncio

from tests.e2e.conftest import client_of
from tests.e2e.sharing.conftest import TRUNKS, Sharing

CLIENTS = 30


def promised(sharing: Sharing) -> None:
    """Nobody has a connection of its own."""
    assert sharing.number("pinned_clients") == 0
    assert sharing.connections() <= 2 * TRUNKS


def uses(client: "redis.Redis", number: int) -> None:
    """What a program does with a cache."""
    key = f"flask_cache_{number}"
    assert client.ping()
    for value in range(20):
        assert client.set(key, f'{{"value":{value}}}', ex=1000)
        assert client.get(key) == b'{"value":%d}' % value
    with client.pipeline(transaction=False) as pipeline:
        for value in range(100):
            pipeline.set(f"{key}_{value}", str(value))
            pipeline.get(f"{key}_{value}")
        assert pipeline.execute() == [each for value in range(100) for each in (True, b"%d" % value)]
    assert client.mget(key, f"{key}_7", "none") == [b'{"value":19}', b"7", None]
    assert client.delete(key, f"{key}_7") == 2
    with pytest.raises(redis.ResponseError, match="flask-cache-proxy"):
        client.set(key, "no json")


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(sharing: Sharing, protocol: int) -> None:
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with client_of(sharing.proxy.json, protocol=protocol, client_name=f"client-{number}") as client:
                uses(client, number)
                assert client.client_getname() in (f"client-{number}", b"client-%d" % number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    promised(sharing)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_redis_py_with_asyncio(sharing: Sharing, protocol: int) -> None:
    host, port = sharing.proxy.json
    client = redis.asyncio.Redis(host=str(host), port=int(port), protocol=protocol)

    async def run(number: int) -> None:
        key = f"flask_cache_{number}"
        for value in range(20):
            assert await client.set(key, str(value))
            assert await client.get(key) == b"%d" % value

    try:
        await asyncio.gather(*(run(number) for number in range(CLIENTS)))
        await asyncio.to_thread(promised, sharing)
    finally:
        await client.aclose()


def test_a_transaction_of_redis_py_pins_its_connection_only(sharing: Sharing) -> None:
    with client_of(sharing.proxy.json) as client, client_of(sharing.proxy.json) as other:
        with client.pipeline() as pipeline:
            assert pipeline.set("flask_cache_a", "1").get("flask_cache_a").execute() == [True, b"1"]
        uses(other, 1)
        sharing.pins(1)
