"""A real Flask app with Flask-Caching, on the Redis that the proxy writes to. It knows nothing of any proxy."""

from collections import Counter
from typing import Any

import redis
from flask import Flask, jsonify, make_response
from flask_caching import Cache


class FlaskApp:
    """The app, its cache, and how often each view ran."""

    def __init__(self, unix: str, key_prefix: str = "flask_cache_") -> None:
        """`unix`: the socket of Redis."""
        self.runs: Counter[str] = Counter()
        self.app = Flask("shop")
        self.app.config.update(
            CACHE_TYPE="RedisCache",
            CACHE_REDIS_URL=f"unix://{unix}",
            CACHE_KEY_PREFIX=key_prefix,
            CACHE_DEFAULT_TIMEOUT=300,
        )
        self._cache = Cache(self.app)
        self._add_views()
        self._context = self.app.app_context()
        self._context.push()

    @property
    def cache(self) -> Any:
        """Flask-Caching's API, in the app's context."""
        return self._cache

    def get(self, path: str) -> str:
        """The response as a browser gets it."""
        with self.app.test_client() as browser, browser.get(path) as response:
            assert response.status_code == 200
            return str(response.text)

    def close(self) -> None:
        """Close its connections."""
        backend = self._cache.cache
        for client in {id(one): one for one in vars(backend).values() if isinstance(one, redis.Redis)}.values():
            client.close()
        self._context.pop()

    def _add_views(self) -> None:
        app, cache, runs = self.app, self._cache, self.runs

        @app.get("/index")
        @cache.cached(timeout=60)
        def index() -> str:
            runs["index"] += 1
            return "foo"

        @app.get("/user/<name>/")
        @cache.cached(timeout=60)
        def user(name: str) -> str:
            runs["user"] += 1
            return f"Hello, {name}! ☃"

        @app.get("/plain-dict")
        @cache.cached(timeout=60)
        def plain_dict() -> dict[str, object]:
            runs["plain-dict"] += 1
            return {"price": 1.5, "tags": ["a", "b"], "none": None}

        @app.get("/json")
        @cache.cached(timeout=60)
        def json() -> Any:
            runs["json"] += 1
            return jsonify({"price": 1.5})

        @app.get("/made")
        @cache.cached(timeout=60)
        def made() -> Any:
            runs["made"] += 1
            response = make_response("made", 200)
            response.headers["X-Made"] = "yes"
            return response

        @app.get("/report")
        @cache.cached(timeout=60)
        def report() -> tuple[str, int, dict[str, str]]:
            runs["report"] += 1
            return "a report", 200, {"Content-Type": "text/plain"}

    def memoized(self) -> Any:
        """A memoized function of one argument, which counts its runs."""

        @self._cache.memoize(timeout=60)
        def square(number: int) -> dict[str, int]:
            self.runs["square"] += 1
            return {"square": number * number}

        return square
