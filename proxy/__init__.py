"""flask-cache-proxy: a Redis proxy that converts JSON and msgpack to the values of Flask's cache, and back."""

__version__ = "0.1.0"
