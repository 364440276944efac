"""A producer with redis-py at its ordinary work.

Its arguments are the proxy's address, the protocol, and a name for its keys.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import redis
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from report import CONNECTION, PREFIX, PROTOCOL, WROTE, show

CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
"""redis-py asks for 7.4, for the sake of other servers; Redis has told its clients what has changed since 6.0."""


def write(client: redis.Redis, key: str, payload: str, **options: object) -> None:
    assert client.set(key, payload, **options)
    WROTE[key] = payload


def values(client: redis.Redis) -> None:
    key = f"{PREFIX}options"
    assert client.get(key) is None
    assert client.set(key, '"a"', xx=True) is None
    assert client.set(key, '"a"', nx=True, ex=60) is True
    assert client.set(key, "[null]", get=True, keepttl=True) == '"a"'
    assert client.getex(key, ex=600) == "[null]"
    assert client.ttl(key) > 60
    assert client.getset(key, "5") == "[null]"
    assert client.incrby(key, 2) == 7
    assert client.getdel(key) == "7"
    assert client.mset({f"{PREFIX}one": "1", f"{PREFIX}two": '"two"', "raw": "plain"})
    assert client.mget(f"{PREFIX}one", "none", f"{PREFIX}two", "raw") == ["1", None, '"two"', "plain"]
    WROTE.update({f"{PREFIX}one": "1", f"{PREFIX}two": '"two"'})
    try:
        client.set(f"{PREFIX}bad", "{nope")
    except redis.ResponseError as error:
        assert "flask-cache-proxy: " in str(error)  # noqa: PT017
    else:
        raise AssertionError("a bad payload was taken")
    assert client.get(f"{PREFIX}bad") is None


def work(client: redis.Redis, producer: int) -> None:
    """On keys of its own, one by one and in pipelines of both kinds."""
    for number in range(20):
        payload = json.dumps({"producer": producer, "round": number})
        write(client, f"{PREFIX}own:{producer}", payload, ex=60)
        assert json.loads(client.get(f"{PREFIX}own:{producer}")) == json.loads(payload)
    for transaction in (False, True):
        keys = [f"{PREFIX}{transaction}:{producer}:{number}" for number in range(20)]
        with client.pipeline(transaction=transaction) as pipe:
            for number, key in enumerate(keys):
                pipe.set(key, f"[{number}]").get(key).get("none").mget(key, "none")
                WROTE[key] = f"[{number}]"
            replies = pipe.execute()
        assert replies[0::4] == [True] * 20
        assert replies[1::4] == [f"[{number}]" for number in range(20)]
        assert replies[2::4] == [None] * 20
        assert replies[3::4] == [[f"[{number}]", None] for number in range(20)]


def count(client: redis.Redis, _producer: int) -> None:
    """Change one value with optimistic locking, in the others' way."""

    def increment(pipe: redis.client.Pipeline) -> None:
        value = json.loads(pipe.get(f"{PREFIX}watched"))
        pipe.multi()
        pipe.set(f"{PREFIX}watched", json.dumps([value[0] + 1]))

    for _ in range(5):
        assert client.transaction(increment, f"{PREFIX}watched") == [True]


def lock(client: redis.Redis, _producer: int) -> None:
    """Change what only a lock guards."""
    for _ in range(5):
        with client.lock("flask_cache_lock:py", timeout=30, sleep=0.001) as held:
            assert held.extend(10)
            assert held.reacquire()
            seen = json.loads(client.get(f"{PREFIX}locked"))
            client.set(f"{PREFIX}locked", json.dumps([seen[0] + 1]))


def listen(client: redis.Redis) -> None:
    with client.pubsub() as listener:
        listener.subscribe(f"{PREFIX}news")
        listener.psubscribe(f"{PREFIX}p*")
        assert [listener.get_message(timeout=30)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
        for number in range(20):
            client.publish(f"{PREFIX}news", number)
            client.publish(f"{PREFIX}patterns", number)
            heard = [listener.get_message(timeout=30) for _ in range(2)]
            assert [(one["type"], one["data"]) for one in heard] == [
                ("message", str(number)),
                ("pmessage", str(number)),
            ]
        listener.unsubscribe()
        listener.punsubscribe()
        assert [listener.get_message(timeout=30)["type"] for _ in range(2)] == ["unsubscribe", "punsubscribe"]


def client_side_caching(client: redis.Redis) -> None:
    """Values that were read are cached until Redis reports a change by Flask or by another client."""
    key, answer = f"{PREFIX}cached", f"answer:{PREFIX}"

    def by_flask(value: object) -> None:
        client.rpush("orders", json.dumps({"key": key, "value": value, "answer": answer}))
        client.blpop([answer], 30)

    def by_another(value: object) -> None:
        client.set(key, json.dumps(value))

    def reads() -> int:
        return int(client.info("commandstats")["cmdstat_get"]["calls"])

    write(client, key, '"before"')
    with redis.Redis(**CONNECTION, cache_config=CacheConfig()) as caching:
        assert caching.get(key) == '"before"'
        for change in (by_flask, by_another):
            before, seen = reads(), caching.get(key)
            for _ in range(10):
                assert caching.get(key) == seen
            assert reads() == before
            change([change.__name__])
            while (now := caching.get(key)) == seen:  # the message and this read are on their way at once
                pass
            assert json.loads(now) == [change.__name__]
        WROTE[key] = now


def main() -> None:
    with redis.Redis(**CONNECTION) as client, ThreadPoolExecutor(8) as threads:
        values(client)
        list(threads.map(lambda number: work(client, number), range(8)))
        for guarded, change in (("watched", count), ("locked", lock)):
            client.set(f"{PREFIX}{guarded}", "[0]")
            list(threads.map(lambda number, change=change: change(client, number), range(4)))
            assert client.get(f"{PREFIX}{guarded}") == "[20]"
            WROTE[f"{PREFIX}{guarded}"] = "[20]"
        assert set(client.scan_iter(f"{PREFIX}own:*")) == {f"{PREFIX}own:{number}" for number in range(8)}
        listen(client)
        if PROTOCOL == 3:
            client_side_caching(client)
        show(client.mget("flask_cache_from_flask", "flask_cache_counter"), client.get("flask_cache_view//index"))


main()
