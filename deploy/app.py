"""The Flask app of compose.yaml and kubernetes.yaml. It caches as any app does, and does not know the proxy."""

import os

from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": os.environ["REDIS_URL"]})


@app.get("/index")
@cache.cached(timeout=60)
def index() -> str:
    """The page without a value of the producer in the cache."""
    return "Hello from Flask"
