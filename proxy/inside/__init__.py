"""Looking inside the cache: straight on Redis, with the rules of the proxy. Nothing here is on a client's way."""
