"""The Flask app of compose.yaml and kubernetes.yaml. It caches as any app does, and knows nothing of a proxy."""

import os

from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": os.environ["REDIS_URL"]})


@app.get("/index")
@cache.cached(timeout=60)
def index() -> str:
    """What is shown where the producer has put nothing into the cache."""
    return "Hello from Flask"
