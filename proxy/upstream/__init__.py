"""Connections to Redis: dialing, links, the proxy's own queries, Sentinel, the embedded server."""
