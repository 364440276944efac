"""Tools that look into the cache directly on Redis, with the proxy's rules. Clients of the proxy do not use them."""
