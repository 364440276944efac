"""flask-cache-proxy: a Redis proxy that turns JSON and msgpack into what Flask caches, and back."""

__version__ = "0.1.0"
