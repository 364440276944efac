"""Flask-Caching itself, on keys that no rule manages: its pool of connections shares those of the proxy."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask
from flask_caching import Cache

from tests.e2e.sharing.conftest import TRUNKS, Sharing

APPS, THREADS = 6, 4
"""Processes of a web server, each with a pool of its own, and their threads."""


@contextmanager
def app_on(sharing: Sharing, number: int) -> Iterator[tuple[Flask, Cache]]:
    """An app whose cache is behind the proxy."""
    host, port = sharing.proxy.json
    app = Flask(f"shop{number}")
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"redis://{host}:{port}/0", "CACHE_KEY_PREFIX": "shop_"}
    app.config.update(config)
    cache = Cache(app)

    @app.get(f"/{number}")
    @cache.cached(timeout=60)
    def index() -> str:
        return f"page {number}"

    yield app, cache
    cache.cache._write_client.close()


def uses(app: Flask, cache: Cache, name: str) -> None:
    """What an app does with its cache."""
    with app.app_context():
        for value in range(10):
            assert cache.set(f"{name}:a", {"value": (value, b"\xff")}, timeout=60)
            assert cache.get(f"{name}:a") == {"value": (value, b"\xff")}
        assert not cache.add(f"{name}:a", 1)
        assert len(cache.set_many({f"{name}:{value}": value for value in range(50)})) == 50
        assert cache.get_many(*(f"{name}:{value}" for value in range(50))) == list(range(50))
        assert cache.cache.inc(f"{name}:7") == 8
        assert cache.has(f"{name}:8")
        assert cache.delete_many(f"{name}:a", f"{name}:8")
        assert cache.get(f"{name}:a") is None

        @cache.memoize(timeout=60)
        def double(number: int) -> int:
            return 2 * number

        assert [double(4), double(4)] == [8, 8]
        cache.delete_memoized(double)
    with app.test_client() as browser:
        for _ in range(2):
            assert browser.get(f"/{app.name.removeprefix('shop')}").text.startswith("page")


@pytest.fixture
def apps(sharing: Sharing) -> Iterator[list[tuple[Flask, Cache]]]:
    """Several of them."""
    with ExitStack() as stack:
        yield [stack.enter_context(app_on(sharing, number)) for number in range(APPS)]


def test_its_pools_share(sharing: Sharing, apps: list[tuple[Flask, Cache]]) -> None:
    names = [f"{app.name}-{thread}" for app, _ in apps for thread in range(THREADS)]
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda each: uses(*each), [(*apps[at // THREADS], name) for at, name in enumerate(names)]))
    assert sharing.number("pinned_clients") == 0
    assert sharing.connections() == sharing.number("upstream_trunks") <= 2 * TRUNKS  # redis-py speaks RESP3 from 8 on
    assert sharing.number("clients") >= APPS


def test_clear_pins_the_connection_that_it_takes(sharing: Sharing, apps: list[tuple[Flask, Cache]]) -> None:
    """With a prefix it asks for all KEYS, which takes long."""
    (app, cache), *_ = apps
    with app.app_context():
        cache.set("a", 1)
        assert cache.clear()
        assert cache.get("a") is None
    assert sharing.number('pinned_clients{reason="keyspace"}') == sharing.number("pinned_clients") == 1
