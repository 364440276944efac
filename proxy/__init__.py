"""flask-cache-proxy: a Redis proxy that turns JSON and msgpack into what Flask caches, and back."""
